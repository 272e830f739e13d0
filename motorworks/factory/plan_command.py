"""`motorworks plan`: what training a member on so many GPUs would take, printed with its formulas, drawn on a page, proved on fake ranks."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from typing import Any

from motorworks.factory.commands import Plan
from motorworks.factory.errors import BadUsage, FactoryError
from motorworks.factory.plan_facts import Planned, matters_most, plan_facts, proof_rows
from motorworks.factory.recipe import nearest
from motorworks.factory.report.charts import number
from motorworks.factory.report.page import write_page
from motorworks.factory.report.plan_page import plan_sections
from motorworks.factory.show import columns
from motorworks.models.config import FAMILY
from motorworks.train.planner.assumptions import Assumptions
from motorworks.train.planner.gpus import GPUS
from motorworks.train.planner.quantity import Quantity
from motorworks.train.planner.shapes import num_params, params_per_rank

PROOF_DEPTHS = (8, 16)  # the whole follows by a straight line
PROOF_LIMIT_S = 600


class NotProved(FactoryError):
    """The plan does not build, or what is built is not what the table says."""


def plan(command: Plan) -> None:
    """Plans, proves if asked, writes the page, prints."""
    planned = _planned(command)
    if command.prove:
        planned = replace(planned, proof=prove(planned))
    name = f"{planned.member}-{planned.num_gpus}-{planned.gpu.name}"
    page = write_page(
        command.artifacts / "plan" / f"{name}.html",
        plan_sections(planned),
        title=f"{planned.member} on {planned.num_gpus:,} {planned.gpu.name.upper()}",
        beside="a plan on paper",
        when="computed, not measured",
        foot=f"Made by motorworks plan {planned.member} --gpus {planned.num_gpus} --gpu {planned.gpu.name}; docs/plan.md says how it is checked.",
    )
    if command.json:
        print(json.dumps({**planned.as_json(), "page": str(page)}, indent=1))
    else:
        print(f"{plan_lines(planned)}\n\npage: {page}")


def _planned(command: Plan) -> Planned:
    if command.member not in FAMILY:
        raise BadUsage(f"no member is called {command.member!r}{nearest(command.member, list(FAMILY))}")
    if command.gpu not in GPUS:
        raise BadUsage(f"no GPU is called {command.gpu!r}{nearest(command.gpu, list(GPUS))}")
    if not command.clips or min(command.clips) < 1:
        raise BadUsage("--clips takes one number of clips or several, each at least 1")
    try:
        return plan_facts(command.member, GPUS[command.gpu], command.gpus, command.clips, assumptions(command.assume))
    except ValueError as error:
        raise BadUsage(str(error)) from error


def assumptions(given: Sequence[str]) -> Assumptions:
    """The usual ones but for NAME=VALUE."""
    known, changed = [one.name for one in fields(Assumptions)], {}
    for text in given:
        name, _, value = text.partition("=")
        if name not in known:
            raise BadUsage(f"nothing called {name!r} is assumed{nearest(name, known)}")
        try:
            changed[name] = float(value)
        except ValueError:
            raise BadUsage(f"--assume {text}: write NAME=NUMBER, as {known[0]}=0.6") from None
    return replace(Assumptions(), **changed)


def prove(planned: Planned) -> dict[str, Any]:
    """Builds the plan on fake tensors in a process of its own; raises where it is not what the table says."""
    cut, depth = planned.choice.best.sharding, planned.config.depth
    depths = PROOF_DEPTHS if depth > max(PROOF_DEPTHS) else (depth, depth)
    question = json.dumps({"config": asdict(planned.config), "sharding": asdict(cut), "depths": depths})
    command = [sys.executable, "-m", "motorworks.train.planner.prove", question]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PROOF_LIMIT_S)
    if done.returncode:
        raise NotProved(f"the plan does not build: {(done.stderr.strip().splitlines() or ['no word'])[-1]}")
    proof: dict[str, Any] = json.loads(done.stdout)
    said = {"params": num_params(planned.config), "params_rank_0": params_per_rank(planned.config, shard=cut.shard, tp=cut.tp)}
    wrong = [f"{name} {proof[name]:,} instead of {value:,}" for name, value in said.items() if proof[name] != value]
    if wrong:
        raise NotProved(f"what is built is not what is planned: {'; '.join(wrong)}")
    return {**proof, "said_peak_bytes": planned.choice.best.memory.total}


def plan_lines(planned: Planned) -> str:
    """For a terminal: every number with its unit and how it came about, then what moves it."""
    blocks = [f"{planned.member} on {planned.num_gpus:,} {planned.gpu.name.upper()}: {planned.choice.best.sharding}"]
    blocks += [f"{group}\n{_rows(found)}" for group, found in planned.groups.items()]
    turn = planned.turns[-1]
    rows = [(f"  {stage.name}", number(stage.hours), "h", stage.how) for stage in turn.stages]
    blocks.append(f"stages of {turn.num_clips / 1e6:.4g}M clips\n{columns(rows)}")
    head = ("  assumption", "low", "usual", "high", "days at low", "days at high", "unit")
    moved = [
        (f"  {one.name}", number(one.low), number(one.usual), number(one.high), number(one.days_at_low), number(one.days_at_high), one.unit)
        for one in planned.swings
    ]
    blocks.append(f"what moves it: {matters_most(planned)}\n{columns([head, *moved])}")
    blocks.append("sources\n" + "\n".join(f"  {planned.gpu.name}: {source}" for source in planned.gpu.sources))
    if planned.proof:
        shown = [(f"  {name}", value, how) for name, value, how in proof_rows(planned.proof)]
        blocks.append(f"proof\n{columns(shown)}")
    return "\n\n".join(blocks)


def _rows(found: Sequence[Quantity]) -> str:
    return columns([(f"  {one.name}", number(one.value), one.unit, one.how) for one in found])

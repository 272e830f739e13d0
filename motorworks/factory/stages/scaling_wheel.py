"""What loss means at the wheel: closed-loop failures of ever larger runs, each of more samples than the one before, beside the probes."""

import json
import pickle
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motorworks.factory.artifact import Inputs
from motorworks.factory.fingerprint import digest
from motorworks.factory.stages.gate import NUM_ENVS
from motorworks.factory.step import Output

if TYPE_CHECKING:
    from motorworks.policy.policy import Policy

FIRST_SEED = 5_000  # training towns that no clip of this recipe comes from; the held-out ones are for `evaluate`
FAILURES = ("route_left_frac", "failed_frac")  # what is left of the route, and drives that did not end clean


@dataclass(frozen=True, kw_only=True)
class ScalingWheelConfig:
    """How many ordinary drives each gets."""

    num_scenarios: int = 12
    num_agents: int = 10
    device: str = "cpu"  # of whoever drives, in fp32; the town that judges is the CPU's
    threads: int = 1


def run(config: ScalingWheelConfig, inputs: Inputs, out: Output) -> None:
    """Leaves drives.json: a row per driver and metric; and of what fails, the exponent over compute."""
    import numpy as np

    from motorworks.factory.stages.contestants import yardsticks
    from motorworks.metrics.aggregate import score_rows
    from motorworks.train.frontier import failure_exponent

    grid, largest = (json.loads((inputs.one(role).path / "cells.json").read_text()) for role in ("grid", "largest"))
    driven = (("grid", diagonal(grid)), ("largest", largest[:1]))
    drivers = {row["name"]: (inputs.one(role), row["flops"]) for role, rows in driven for row in rows}
    files = {name: artifact.path / "cells" / name / "model.safetensors" for name, (artifact, _) in drivers.items()}
    made_from = {name: artifact.digest for name, (artifact, _) in drivers.items()} | dict.fromkeys(yardsticks(), "code")
    keys = {digest({"driver": name, "made_from": of})[:32]: name for name, of in made_from.items()}
    folders = out.items("driver", list(keys), partial(_drive, config, keys, files))
    scores = {name: pickle.loads((folder / "scores.pickle").read_bytes()) for name, folder in zip(keys.values(), folders, strict=True)}
    flops = {name: of for name, (_, of) in drivers.items()}
    rows = [asdict(row) | {"flops": flops.get(name)} for name, of in scores.items() for row in score_rows(of, policy=name, world="town")]
    exponents = {}
    for metric in FAILURES:
        values = np.array([[score.value for of in scores[name] for score in of if score.metric == metric] for name in flops])
        exponents[metric] = asdict(failure_exponent(np.array(list(flops.values())), values))
    (out.path / "drives.json").write_text(json.dumps({"rows": rows, "exponents": exponents}, indent=1))
    out.record(num_drivers=len(keys), **{f"{metric}_exponent": at["value"] for metric, at in exponents.items()})
    out.thin(f"{config.num_scenarios} drives each, by imitation alone: failures tell weak runs from weaker ones, not how good driving gets.")


def diagonal(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A run a size, of the first seed, with more samples the larger it is."""
    widths, amounts = (sorted({row[name] for row in rows}) for name in ("width", "num_samples"))
    step = (len(amounts) - 1) / max(1, len(widths) - 1)
    wanted = {width: amounts[round(place * step)] for place, width in enumerate(widths)}
    first = min(row["seed"] for row in rows)
    return sorted((row for row in rows if row["num_samples"] == wanted[row["width"]] and row["seed"] == first), key=lambda row: row["flops"])


def _drive(config: ScalingWheelConfig, keys: dict[str, str], files: dict[str, Path], key: str, folder: Path) -> None:
    from motorworks.datatypes.score import Score
    from motorworks.metrics.closed_loop import score_rollout
    from motorworks.sim.rollout import roll_out
    from motorworks.sim.seeds import town_scenarios
    from motorworks.sim.town import Town

    scenarios = town_scenarios(FIRST_SEED, config.num_scenarios, num_agents=config.num_agents)
    policy = _driver(keys[key], files, config)()
    rollouts = roll_out(Town(min(NUM_ENVS, len(scenarios)), threads=config.threads), policy, scenarios)
    scores = [score_rollout(rollout) for rollout in rollouts]
    for of in scores:
        value = {score.metric: score.value for score in of}
        left = (1 - value["route_completion_frac"], 1 - value["success_frac"])
        of += [Score(metric=metric, value=of_drive) for metric, of_drive in zip(FAILURES, left, strict=True)]
    (folder / "scores.pickle").write_bytes(pickle.dumps(scores))


def _driver(name: str, files: dict[str, Path], config: ScalingWheelConfig) -> "Callable[[], Policy]":
    from motorworks.factory.stages.contestants import torch_policy, yardsticks

    return yardsticks().get(name) or partial(torch_policy, files[name], name, config.threads, device=config.device)

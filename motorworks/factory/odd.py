"""`make odd`: the operational design domain as a page, docs/odd.md: every scenario kind with its parameters, how the expert does, and a film strip.

The towns are training towns, so that looking costs nothing.
"""

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
from jaxtyping import Float

from motorworks.bodies.body import CAR
from motorworks.datatypes.rollout import Rollout
from motorworks.datatypes.scenario import Scenario
from motorworks.factory.report.strips import draw_strip
from motorworks.factory.report.top_down import draw_top_down
from motorworks.factory.town_camera import town_camera
from motorworks.geometry.array import Array
from motorworks.metrics.closed_loop import score_rollout
from motorworks.metrics.failures import explain_failures
from motorworks.policy.expert import Expert
from motorworks.sim.acts import cued
from motorworks.sim.agents import AT_STEP, MAX_AGENTS, NO_CUE, START, empty_agents
from motorworks.sim.curriculum import LONG_TAIL, tail_scenarios
from motorworks.sim.ground import build_town
from motorworks.sim.rollout import roll_out
from motorworks.sim.scenarios import SCENARIOS
from motorworks.sim.staging import Stage
from motorworks.sim.town import Town

FIRST_SEED, FILM_DIFFICULTY_FRAC, DIFFICULTIES = 300, 0.6, (0.2, 0.5, 0.8)
SHOWN_AT_M, SHOWN_AROUND = (14.0, 45.0, 75.0, 110.0), (-32, -16, -5, 12)  # metres of the route; steps
SHOWN_AT_LEAST, SHOWN_FOR = 24, 60  # steps after an act began
IN_VIEW_PER_M = 0.75  # to either side, a metre ahead: a little less than the picture shows
FRAME_PX = 256


class AskedStage(Stage):
    """Remembers which parameters a generator asked for."""

    asked: Mapping[str, tuple[float, float]] = MappingProxyType({})

    def value(self, name: str, easy: float, hard: float, *, least: float | None = None, most: float | None = None) -> float:
        self.asked = {**self.asked, name: (easy, hard)}
        return super().value(name, easy, hard, least=least, most=most)


def prepared(scenario: Scenario) -> AskedStage:
    """The stage after the scenario's generator and before ordinary traffic."""
    rng = np.random.default_rng((scenario.town_seed, scenario.route_seed, 0x72))
    stage = AskedStage(town=build_town(scenario.town_seed), scenario=scenario, rng=rng, agents=empty_agents((MAX_AGENTS,)), first_slot=1)
    SCENARIOS[scenario.kind](stage)
    return stage


def moments(rollout: Rollout, staged: Stage) -> list[int]:
    """Four steps from the first act of what was staged to where it is seen nearest; where nobody waits for a cue, around the nearest approach.

    Of a scenario of weather, four places along the route.
    """
    last, others = len(rollout.speed_mps) - 2, range(1, MAX_AGENTS - staged.crowd.num_free)
    apart = nearest_m(rollout, others)
    if not np.isfinite(apart).any():
        return [int(np.argmax(rollout.progress_m >= min(at, float(rollout.progress_m.max())))) for at in SHOWN_AT_M]
    acting = acting_slots(staged)
    begun = begins(rollout, staged, acting)
    if begun is None:
        steps = [int(apart.argmin()) + shift for shift in SHOWN_AROUND]
    else:
        nearest = int(nearest_m(rollout, acting, seen=True)[begun : begun + SHOWN_FOR].argmin())
        steps = [begun + round(step) for step in np.linspace(0, max(nearest, SHOWN_AT_LEAST), 4)]
    return [min(max(step, 0), last) for step in steps]


def nearest_m(rollout: Rollout, slots: Sequence[int], *, seen: bool = False) -> Float[Array, " time"]:
    """From the ego to the nearest of these agents, at each step; `seen`: of those that its front camera has in view. inf where there is none."""
    yaw = rollout.ego_world[:, None, 2]
    east, north = np.moveaxis(rollout.agents_world[:, slots, :2] - rollout.ego_world[:, None, :2], 2, 0)
    ahead, left = np.cos(yaw) * east + np.sin(yaw) * north, np.cos(yaw) * north - np.sin(yaw) * east
    there = rollout.agents_valid[:, slots] & ((np.abs(left) < IN_VIEW_PER_M * (ahead - town_camera().ahead_m)) | (not seen))
    return np.where(there, np.hypot(ahead, left), np.inf).min(axis=1, initial=np.inf)


def acting_slots(staged: Stage) -> list[int]:
    """Whoever waits for a cue; a queue that moves on at last is no event."""
    cue, act = staged.agents.cue, staged.agents.act
    return [int(slot) for slot in np.flatnonzero((cue != NO_CUE) & ~((cue == AT_STEP) & (act == START)))]


def begins(rollout: Rollout, staged: Stage, slots: Sequence[int]) -> int | None:
    """The step at which the first cue of these agents comes."""
    for step, (x, y, yaw) in enumerate(rollout.ego_world[:-1]):
        ahead = CAR.centre_ahead_m
        ego = np.array([x + ahead * np.cos(yaw), y + ahead * np.sin(yaw), yaw, rollout.speed_mps[step]])
        staged.agents.pose[slots] = rollout.agents_world[step, slots, :3]
        if any(cued(staged.agents, slot, ego, step) for slot in slots):
            return step
    return None


def film(scenario: Scenario, file: Path) -> None:
    """The expert through one scenario, four moments of it."""
    (rollout,) = roll_out(Town(1), Expert(), [scenario], keep_frames=True, keep_plans=True)
    if rollout.frames is None or rollout.plans is None:
        raise ValueError(f"{scenario.name}: no frames were kept")
    steps = moments(rollout, prepared(scenario))
    inset = partial(draw_top_down, build_town(scenario.town_seed), rollout, size_px=(FRAME_PX, FRAME_PX // 2), m_per_px=0.25)
    picture = draw_strip(
        rollout.frames, rollout.plans, rollout.speed_mps, rollout.thoughts, town_camera(), steps=steps, frame_width_px=FRAME_PX, inset=inset
    )
    picture.save(file, quality=80)


def judge(kind: str, num: int) -> tuple[list[Rollout], str]:
    """The expert over `num` scenarios of a kind at each difficulty; and a line of the table."""
    scenarios = [s for d in DIFFICULTIES for s in tail_scenarios(FIRST_SEED, num, kinds=(kind,), num_agents=12, difficulty_frac=d)]
    rollouts = roll_out(Town(min(len(scenarios), 24), renders=False), Expert(), scenarios)
    values = {name: [] for name in ("route_completion_frac", "driving_score", "at_fault_collision_frac")}
    for rollout in rollouts:
        for score in score_rollout(rollout):
            if score.metric in values:
                values[score.metric].append(score.value)
    done, driving, fault = (float(np.mean(of)) for of in values.values())
    return rollouts, f"{done:.2f} | {driving:.0f} | {fault:.2f}"


def write_page(folder: Path, num: int) -> None:
    """docs/odd.md and a picture for each kind."""
    (folder / "odd").mkdir(parents=True, exist_ok=True)
    rows, parts, failures = [], [], []
    for kind in LONG_TAIL:
        (shown,) = tail_scenarios(FIRST_SEED, 1, kinds=(kind,), num_agents=12, difficulty_frac=FILM_DIFFICULTY_FRAC)
        film(shown, folder / "odd" / f"{kind}.jpg")
        rollouts, line = judge(kind, num)
        failures += [failure.text for rollout in rollouts for failure in explain_failures(rollout)]
        ranges = "; ".join(f"`{name}` {easy:g} → {hard:g}" for name, (easy, hard) in prepared(shown).asked.items()) or "none"
        said = (SCENARIOS[kind].__doc__ or "").strip()
        rows.append(f"| [{kind}](#{kind}) | {said} | {line} |")
        parts.append(f"## {kind}\n\n{said}\n\nParameters, easy → hard: {ranges}\n\n![{kind}](odd/{kind}.jpg)\n")
        print(kind, line, flush=True)
    head = (
        "# Operational design domain\n\nGenerated by `make odd`; do not edit. Every scenario that can be staged in the town, the expert driving it. "
        f"The table is of {num * len(DIFFICULTIES)} drives each in training towns, difficulty {', '.join(map(str, DIFFICULTIES))}; "
        f"the strips are of difficulty {FILM_DIFFICULTY_FRAC}. Below them, every failure of these drives.\n\n"
        "| kind | what happens | route completed | driving score | at-fault collisions per drive |\n|---|---|---|---|---|\n"
    )
    listed = "\n".join(f"- {line}" for line in failures) or "None."
    (folder / "odd.md").write_text(f"{head}{chr(10).join(rows)}\n\n{chr(10).join(parts)}\n## Failures of the expert\n\n{listed}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    parser.add_argument("--num", type=int, default=4, help="drives of a kind at each difficulty")
    options = parser.parse_args()
    write_page(options.docs, options.num)

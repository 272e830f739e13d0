"""Film strips for the report: the worst drives and a good one, with plan and chain of thought drawn in."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from motorworks.factory.step import Output

if TYPE_CHECKING:
    from motorworks.datatypes.scenario import Scenario
    from motorworks.policy.policy import Policy


def draw_strips(
    out: Output, policy: "Policy", scenarios: "Sequence[Scenario]", completion_frac: Sequence[float], *, threads: int, num_worst: int = 3
) -> None:
    """Drives the worst and the best again (the same scenario gives the same rollout) with the camera kept."""
    from motorworks.factory.report.strips import draw_strip, pick_steps
    from motorworks.factory.stages.view import TOWN_CAMERA
    from motorworks.sim.rollout import iterate_rollouts
    from motorworks.sim.town import Town

    order = sorted(range(len(scenarios)), key=lambda index: completion_frac[index])
    chosen = list(dict.fromkeys([*order[:num_worst], order[-1]]))
    world = Town(1, threads=threads)
    (out.path / "strips").mkdir()
    rows = []
    for _, rollout in iterate_rollouts(world, policy, [scenarios[index] for index in chosen], keep_frames=True, keep_plans=True):
        num = len(rollout.frames) - 1
        good = rollout.outcome == "completed"
        steps = pick_steps(num) if good else pick_steps(num, around=num - 1)
        file = f"strips/{rollout.scenario.name}.jpg"
        strip = draw_strip(rollout.frames, rollout.plans, rollout.speed_mps, rollout.thoughts, TOWN_CAMERA, steps=steps)
        strip.save(out.path / file, quality=85)
        done = rollout.progress_m.max() / rollout.route_length_m
        rows.append({
            "file": file, "title": f"{rollout.scenario.name}: {rollout.outcome.replace('_', ' ')}",
            "caption": f"{policy.name}, {min(done, 1):.0%} of {rollout.route_length_m:.0f} m" + ("" if good else "; the last seconds"),
        })  # fmt: skip
    (out.path / "strips.json").write_text(json.dumps(rows, indent=1))

"""Film strips for the report: the worst drives and a good one, with plan and chain of thought drawn in."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from motorworks.factory.step import Output

if TYPE_CHECKING:
    from motorworks.datatypes.rollout import Rollout


def choose_drives(completion_frac: list[float], *, num_worst: int = 3) -> list[int]:
    """The worst ones first, then the best."""
    order = sorted(range(len(completion_frac)), key=lambda index: completion_frac[index])
    return list(dict.fromkeys([*order[:num_worst], order[-1]]))


def draw_strips(out: Output, rollouts: "Iterable[Rollout]") -> None:
    """Leaves strips/ and strips.json; every rollout needs its frames and plans."""
    from functools import partial

    from motorworks.factory.report.strips import draw_strip, pick_steps
    from motorworks.factory.report.top_down import draw_top_down
    from motorworks.factory.town_camera import town_camera
    from motorworks.sim.ground import build_town

    camera = town_camera()
    (out.path / "strips").mkdir()
    rows: list[dict[str, Any]] = []
    for rollout in rollouts:
        if rollout.frames is None or rollout.plans is None:
            raise ValueError(f"{rollout.scenario.name}: a film strip needs frames and plans; roll out with keep_frames and keep_plans")
        last, good = len(rollout.plans.accel_mps2) - 1, rollout.outcome == "completed"
        steps = pick_steps(last + 1) if good else pick_steps(last + 1, around=last)
        inset = partial(draw_top_down, build_town(rollout.scenario.town_seed), rollout, size_px=(320, 200), m_per_px=0.2)
        strip = draw_strip(rollout.frames, rollout.plans, rollout.speed_mps, rollout.thoughts, camera, steps=steps, inset=inset)
        file = f"strips/{rollout.scenario.name}.jpg"
        strip.save(out.path / file, quality=85)
        share = min(float(rollout.progress_m.max()) / rollout.route_length_m, 1.0)
        caption = f"{rollout.policy}: {share:.0%} of {rollout.route_length_m:.0f} m" + ("" if good else "; the last seconds")
        rows.append({"file": file, "title": f"{rollout.scenario.name}: {rollout.outcome.replace('_', ' ')}", "caption": caption})
    (out.path / "strips.json").write_text(json.dumps(rows, indent=1))

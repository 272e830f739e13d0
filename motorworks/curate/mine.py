"""What went wrong becomes what is driven next: failures of a drive, the clips around them, the scenarios near them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from motorworks.bodies.body import CAR, Body
from motorworks.clips.cut import cut
from motorworks.datatypes.clip import Clip
from motorworks.datatypes.failure import KINDS, Failure
from motorworks.datatypes.rollout import Rollout
from motorworks.datatypes.scenario import MAX_MOVING, Scenario
from motorworks.datatypes.trajectory import DT_S
from motorworks.geometry.array import Array
from motorworks.metrics.failures import explain_failures
from motorworks.metrics.overlap import agent_boxes, boxes_touch, ego_boxes

_ROUTE_STRIDE, _MAX_ROUTE_SEED = 7919, 1_000_000  # a prime: neighbours of neighbours do not fall on each other


@dataclass(frozen=True, kw_only=True)
class MineConfig:
    """When a moment is worth keeping. `surprise` and `disagreement` are in the unit of the arrays given: choose by their own quantiles."""

    near_ttc_s: float = 1.0
    near_gap_m: float = 1.0
    near_speed_mps: float = 1.0  # slower than this nothing is near: cars stand close to each other
    min_surprise: float = 0.5
    min_disagreement: float = 0.5
    quiet_s: float = 2.0  # one event of a kind in this time

    def __post_init__(self) -> None:
        if min(self.near_ttc_s, self.near_gap_m, self.quiet_s) < 0:
            raise ValueError(f"times and distances must not be negative: {self}")


def find_failures(
    rollout: Rollout,
    *,
    surprise: Float[Array, " time"] | None = None,
    disagreement: Float[Array, " time"] | None = None,
    fallback: Bool[Array, " time"] | None = None,
    limits: MineConfig = MineConfig(),
    body: Body = CAR,
) -> list[Failure]:
    """All failures of a drive, by step: broken rules and how it ended (metrics/failures.py), near misses, and what the vehicle's log says.

    NaN is "not known".
    """
    num = len(rollout.speed_mps)
    for name, values in (("surprise", surprise), ("disagreement", disagreement), ("fallback", fallback)):
        if values is not None and len(values) > num:
            raise ValueError(f"{rollout.scenario.name}: {name} has {len(values)} entries, the drive has {num}: give one per step")
    found = explain_failures(rollout, body)
    near = np.asarray(near_misses(rollout, limits, body))
    if rollout.outcome == "collision":  # the last moments before a crash are that crash
        near[max(0, num - round(limits.quiet_s / DT_S)) :] = 0.0
    found += _events("near_miss", rollout, near, 0.0, limits, "of 1: how near, by time or distance")
    if surprise is not None:
        found += _events("surprise", rollout, surprise, limits.min_surprise, limits, "of the world head")
    if disagreement is not None:
        found += _events("disagreement", rollout, disagreement, limits.min_disagreement, limits, "between driver and shadow")
    if fallback is not None:
        found += _events("fallback", rollout, np.asarray(fallback, np.float64), 0.0, limits, "the deadline was missed")
    return sorted(found, key=lambda failure: (failure.step, KINDS.index(failure.kind)))


def near_misses(rollout: Rollout, limits: MineConfig = MineConfig(), body: Body = CAR) -> Float[Array, " time"]:
    """How near, 0 (not) to 1 (touching): 1 - ttc / near_ttc_s at constant velocity, or 1 - gap / near_gap_m between the boxes' rims."""
    poses, agents = np.asarray(rollout.ego_world, np.float64), np.asarray(rollout.agents_world, np.float64)
    near = np.zeros(len(poses))
    if agents.shape[1] == 0:
        return near
    valid, speed = np.asarray(rollout.agents_valid), np.asarray(rollout.speed_mps, np.float64)
    num_looks = max(1, round(limits.near_ttc_s / DT_S))
    for look in range(num_looks):
        moved = poses.copy()
        moved[:, 0] += speed * np.cos(poses[:, 2]) * look * DT_S
        moved[:, 1] += speed * np.sin(poses[:, 2]) * look * DT_S
        touch = boxes_touch(ego_boxes(moved, body)[:, None], agent_boxes(agents, look * DT_S)) & valid
        near = np.maximum(near, touch.any(axis=1) * (1 - look / num_looks))
    ego, others = ego_boxes(poses, body), agent_boxes(agents)
    for part in range(5):
        grown = ego.copy()
        grown[:, 3:] += 2 * limits.near_gap_m * part / 5
        touch = boxes_touch(grown[:, None], others) & valid
        near = np.maximum(near, touch.any(axis=1) * (1 - part / 5))
    return np.where(np.abs(speed) >= limits.near_speed_mps, near, 0.0)


def new_scenarios(failures: Sequence[Failure], num: int, *, is_held_out: Callable[[Scenario], bool] | None = None) -> list[Scenario]:
    """`num` different scenarios to drive next: the failed ones, worst first, then their neighbours (same town, another route, busier).

    Deterministic. With `is_held_out` a held-out failure raises: what is evaluated on must never be trained on.
    """
    for failure in failures:
        if is_held_out is not None and is_held_out(failure.scenario):
            raise ValueError(f"{failure.name} is of a held-out town: mine the fleet's drives, not the evaluation's")
    if not failures:
        return []
    # worst first within a kind; kinds in turn, because severities of two kinds do not compare
    ranked = sorted(failures, key=lambda failure: (KINDS.index(failure.kind), -failure.severity, failure.name))
    rank: dict[str, int] = {}
    in_turn: list[tuple[int, int, Failure]] = []
    for failure in ranked:
        rank[failure.kind] = rank.get(failure.kind, -1) + 1
        in_turn.append((rank[failure.kind], KINDS.index(failure.kind), failure))
    seeds = list(dict.fromkeys(failure.scenario for _, _, failure in sorted(in_turn, key=lambda entry: entry[:2])))
    chosen: dict[Scenario, None] = {}
    circle = 0
    while len(chosen) < num:
        for scenario in seeds:
            chosen.setdefault(_neighbour(scenario, circle), None)
            if len(chosen) == num:
                break
        circle += 1
    return list(chosen)


def cut_clip(clip: Clip, step: int, before_s: float, after_s: float) -> Clip:
    """The moments around a step of a drive's clip, as far as it goes; tagged as mined."""
    num = len(clip.timestamp_us)
    if not 0 <= step < num:
        raise ValueError(f"clip of {clip.recording_id} has {num} steps, there is no step {step}")
    start, stop = max(0, step - round(before_s / DT_S)), min(num, step + round(after_s / DT_S) + 1)
    if stop - start < 2:
        start, stop = max(0, stop - 2), max(stop, 2)
    part = cut(clip, start, stop)
    return part if "mined" in part.tags else replace(part, tags=(*part.tags, "mined"))


def _neighbour(scenario: Scenario, circle: int) -> Scenario:
    """The scenario itself, then rings around it: other routes of its town, every second one with more traffic."""
    if circle == 0:
        return scenario
    route = (scenario.route_seed + circle * _ROUTE_STRIDE) % _MAX_ROUTE_SEED
    return replace(scenario, route_seed=route, num_agents=min(scenario.num_agents + 4 * (circle % 2), MAX_MOVING))


def _events(kind: str, rollout: Rollout, values: Float[Array, " time"], above: float, limits: MineConfig, detail: str) -> list[Failure]:
    """The peaks above a limit, the highest first, each silencing its kind for `quiet_s` around it."""
    values = np.nan_to_num(np.asarray(values, np.float64), nan=-np.inf)
    quiet = round(limits.quiet_s / DT_S)
    chosen: list[int] = []
    for step in sorted(np.flatnonzero(values > above).tolist(), key=lambda step: (-values[step], step)):
        if all(abs(step - other) >= quiet for other in chosen):
            chosen.append(step)
    return [
        Failure(kind=kind, scenario=rollout.scenario, step=step, severity=float(values[step]), detail=f"{values[step]:.2f} {detail}")
        for step in sorted(chosen)
    ]

"""EPDMS-style score of a rollout: NAVSIM v2's sub-scores, without a human log and without traffic lights.

EPDMS = NC * DAC * DDC * (5 EP + 5 TTC + 2 LK + 2 HC + 2 EC) / 16. The gates judge the whole rollout. NAVSIM's scenes last 4 s and
ours do not, so TTC, LK and HC are the share of 4 s pieces that pass, EC the share of plans that continue the one before. EP is progress
over the route (or over a reference drive). As published, progress weighs 5 of 16: a car that never moves still gets some 0.6, so read it
beside route completion.
"""

import numpy as np
from jaxtyping import Bool

from motorworks.bodies.body import Body
from motorworks.datatypes.rollout import Rollout
from motorworks.datatypes.score import Score
from motorworks.datatypes.trajectory import DT_S
from motorworks.geometry.array import Array
from motorworks.metrics import thresholds
from motorworks.metrics.comfort import comfortable, felt, smooth
from motorworks.metrics.overlap import agent_boxes, boxes_touch, ego_boxes


def score_epdms(rollout: Rollout, body: Body, *, reference_progress_m: float | None = None) -> list[Score]:
    """`epdms_style` and its sub-scores; EC is invalid (and left out of the weights) where the rollout keeps no plans."""
    # a completed route counts in full: worlds end a drive some metres before the last point
    progress = rollout.route_length_m if rollout.outcome == "completed" else float(np.max(rollout.progress_m))
    reference = rollout.route_length_m if reference_progress_m is None else reference_progress_m
    plans_calm = plans_agree(rollout)
    parts = {
        "nc": 0.0 if rollout.outcome == "collision" and rollout.collision_at_fault else 1.0,
        "dac": 0.0 if rollout.outcome == "off_road" or not rollout.on_road.all() else 1.0,
        "ddc": driving_direction(rollout),
        "ep": 1.0 if reference <= thresholds.MIN_REFERENCE_PROGRESS_M else float(np.clip(progress / reference, 0.0, 1.0)),
        "ttc": share_of_pieces(keeps_distance(rollout, body)),
        "lk": share_of_pieces(keeps_lane(rollout)),
        "hc": share_of_pieces(comfortable(felt(rollout.speed_mps, rollout.accel_mps2, rollout.curvature_per_m))),
    }
    if plans_calm is not None:
        parts["ec"] = float(plans_calm.mean())
    weights = {name: weight for name, weight in thresholds.EPDMS_WEIGHTS.items() if name in parts}
    total = parts["nc"] * parts["dac"] * parts["ddc"] * sum(weight * parts[name] for name, weight in weights.items()) / sum(weights.values())
    named = [Score(metric=f"epdms_{name}", value=value) for name, value in parts.items()]
    if plans_calm is None:
        named.append(Score(metric="epdms_ec", value=0.0, valid=False))
    return [Score(metric="epdms_style", value=total), *named]


def share_of_pieces(passes: Bool[Array, " time"]) -> float:
    """Share of 4 s pieces in which every step passes; a short last piece counts as one."""
    size = round(thresholds.PIECE_S / DT_S)
    starts = range(0, len(passes), size)
    return float(np.mean([passes[start : start + size].all() for start in starts]))


def driving_direction(rollout: Rollout) -> float:
    """1, 0.5 or 0 by the most metres driven against traffic in any 1 s."""
    metres = np.where(rollout.wrong_way, np.abs(rollout.speed_mps) * DT_S, 0.0)
    window = round(thresholds.ONCOMING_WINDOW_S / DT_S)
    worst = np.convolve(metres, np.ones(window)).max()
    return 1.0 if worst < thresholds.ONCOMING_HALF_M else 0.5 if worst < thresholds.ONCOMING_ZERO_M else 0.0


def keeps_lane(rollout: Rollout) -> Bool[Array, " time"]:
    """False once the centreline has been over 0.5 m away for 2 s running; inside junctions the count pauses."""
    limit = round(thresholds.LANE_KEEP_S / DT_S)
    passes, count = np.ones(len(rollout.speed_mps), bool), 0
    for step, (offset, inside) in enumerate(zip(rollout.lateral_offset_m, rollout.in_junction, strict=True)):
        if not inside:
            count = count + 1 if abs(offset) > thresholds.LANE_KEEP_MAX_M else 0
            passes[step] = count <= limit
    return passes


def keeps_distance(rollout: Rollout, body: Body) -> Bool[Array, " time"]:
    """False where ego and an agent ahead (or, in a junction, beside) meet within 0.9 s at constant velocity."""
    moving = np.abs(rollout.speed_mps) >= thresholds.TTC_STANDING_MPS
    poses, agents = np.asarray(rollout.ego_world, np.float64), np.asarray(rollout.agents_world, np.float64)
    heading = np.stack([np.cos(poses[:, 2]), np.sin(poses[:, 2])], axis=-1)
    centre = ego_boxes(poses, body)
    to_agent = agents[:, :, :2] - centre[:, None, :2]
    ahead_m = np.einsum("tac,tc->ta", to_agent, heading)
    counts = (ahead_m > body.length_m / 2) | (rollout.in_junction[:, None] & (ahead_m > -body.length_m / 2))
    close = np.zeros(agents.shape[:2], bool)
    for ahead_s in thresholds.TTC_PROBES_S:
        ego = centre.copy()
        ego[:, :2] += heading * (rollout.speed_mps * ahead_s)[:, None]
        close |= boxes_touch(ego[:, None], agent_boxes(agents, ahead_s))
    return ~((close & counts & rollout.agents_valid).any(axis=1) & moving)


def plans_agree(rollout: Rollout) -> Bool[Array, " time"] | None:
    """True where a plan continues the one before it (RMS bounds on acceleration, jerk, yaw rate, yaw acceleration)."""
    if rollout.plans is None or len(rollout.plans.accel_mps2) < 2:
        return None
    accel = np.asarray(rollout.plans.accel_mps2, np.float64)
    speeds = np.maximum(np.asarray(rollout.speed_mps, np.float64)[: len(accel), None] + np.cumsum(accel, axis=-1) * DT_S, 0.0)
    yaw_rate = speeds * np.asarray(rollout.plans.curvature_per_m, np.float64)
    bounds = (
        (accel, thresholds.PLAN_RMS_ACCEL_MPS2),
        (smooth(accel, derivative=1), thresholds.PLAN_RMS_JERK_MPS3),
        (yaw_rate, thresholds.PLAN_RMS_YAW_RATE_RADPS),
        (smooth(yaw_rate, derivative=1), thresholds.PLAN_RMS_YAW_ACCEL_RADPS2),
    )
    agree = np.ones(len(accel) - 1, bool)
    for signal, bound in bounds:
        agree &= np.sqrt(np.mean((signal[1:, :-1] - signal[:-1, 1:]) ** 2, axis=-1)) <= bound
    return agree

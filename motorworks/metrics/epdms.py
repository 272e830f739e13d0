"""EPDMS-style score of a rollout: every sub-score of NAVSIM v2, without a human log to filter by.

EPDMS = NC * DAC * DDC * TLC * (5 EP + 5 TTC + 2 LK + 2 HC + 2 EC) / 16. The gates judge the whole rollout. NAVSIM's scenes last 4 s and
ours do not, so TTC, LK and HC are the share of 4 s pieces that pass, EC the share of plans that continue the one before. EP is progress
over the route (or over a reference drive). As published, progress weighs 5 of 16: a car that never moves still gets some 0.6, so read it
beside route completion.
"""

import numpy as np
from jaxtyping import Bool

from motorworks.bodies.body import Body
from motorworks.datatypes.agent import FIRST_OBJECT
from motorworks.datatypes.rollout import Rollout
from motorworks.datatypes.score import Score
from motorworks.datatypes.trajectory import DT_S
from motorworks.geometry.array import Array
from motorworks.metrics import thresholds
from motorworks.metrics.comfort import comfortable, felt, smooth
from motorworks.metrics.encounters import Encounters
from motorworks.metrics.fault import collision_of


def score_epdms(rollout: Rollout, met: Encounters, body: Body, *, reference_progress_m: float | None = None) -> list[Score]:
    """`epdms_style` and its sub-scores; EC is invalid (and left out of the weights) where the rollout keeps no plans."""
    plans_calm = plans_agree(rollout)
    parts = {
        "nc": no_collision(rollout, body),
        "dac": 0.0 if rollout.outcome == "off_road" or not rollout.on_road.all() else 1.0,
        "ddc": driving_direction(rollout),
        "tlc": 0.0 if rollout.red_light.any() else 1.0,
        "ep": progress_frac(rollout, reference_progress_m),
        "ttc": share_of_pieces(keeps_distance(rollout, met)),
        "lk": share_of_pieces(keeps_lane(rollout)),
        "hc": share_of_pieces(comfortable(felt(rollout.speed_mps, rollout.accel_mps2, rollout.curvature_per_m))),
    }
    if plans_calm is not None:
        parts["ec"] = float(plans_calm.mean())
    weights = {name: weight for name, weight in thresholds.EPDMS_WEIGHTS.items() if name in parts}
    gate = parts["nc"] * parts["dac"] * parts["ddc"] * parts["tlc"]
    total = gate * sum(weight * parts[name] for name, weight in weights.items()) / sum(weights.values())
    named = [Score(metric=f"epdms_{name}", value=value) for name, value in parts.items()]
    if plans_calm is None:
        named.append(Score(metric="epdms_ec", value=0.0, valid=False))
    return [Score(metric="epdms_style", value=total), *named]


def no_collision(rollout: Rollout, body: Body) -> float:
    """0 after an at-fault hit with an agent, 0.5 with a thing, 1 else."""
    hit = collision_of(rollout, body)
    if hit is None or not hit.at_fault:
        return 1.0
    return thresholds.NC_OBJECT if hit.kind >= FIRST_OBJECT else 0.0


def progress_frac(rollout: Rollout, reference_progress_m: float | None = None) -> float:
    """Progress over the route's length (or a reference drive's progress), at most 1; 1 where that is no more than 5 m."""
    # a completed route counts in full: worlds end a drive some metres before the last point
    progress = rollout.route_length_m if rollout.outcome == "completed" else float(np.max(rollout.progress_m))
    reference = rollout.route_length_m if reference_progress_m is None else reference_progress_m
    return 1.0 if reference <= thresholds.MIN_REFERENCE_PROGRESS_M else float(np.clip(progress / reference, 0.0, 1.0))


def share_of_pieces(passes: Bool[Array, " time"], piece_s: float = thresholds.PIECE_S) -> float:
    """Share of pieces of that length in which every step passes; a short last piece counts as one."""
    size = round(piece_s / DT_S)
    return float(np.mean(np.logical_and.reduceat(passes, np.arange(0, len(passes), size))))


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
    beyond = (np.abs(rollout.lateral_offset_m) > thresholds.LANE_KEEP_MAX_M).tolist()
    for step, (outside, inside) in enumerate(zip(beyond, rollout.in_junction.tolist(), strict=True)):
        if not inside:
            count = count + 1 if outside else 0
            passes[step] = count <= limit
    return passes


def keeps_distance(rollout: Rollout, met: Encounters) -> Bool[Array, " time"]:
    """False where ego and an agent in its way touch after 0, 0.3, 0.6 or 0.9 s at constant velocity."""
    moving = np.abs(rollout.speed_mps) >= thresholds.TTC_STANDING_MPS
    close = np.zeros(met.valid.shape, bool)
    for ahead_s in thresholds.TTC_PROBES_S:
        close |= (met.contact_from_s <= ahead_s) & (met.contact_until_s >= ahead_s)
    return ~((close & met.in_the_way).any(axis=1) & moving)


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

"""nuPlan-style closed-loop score: gates times a weighted mean.

0 after an at-fault hit with a vehicle or a vulnerable road user, a wheel off the road, 6 m against traffic within 1 s, or less than a fifth of
the route; half for a thing hit or 2 m against traffic. nuPlan's scenarios last 15 s: time to collision and comfort, yes or no there, are
here the share of 15 s pieces that pass. Its 0.3 m of grace at the road's edge is not given: the world reports wheels, not distances.
"""

import numpy as np
from jaxtyping import Bool

from motorworks.bodies.body import Body
from motorworks.datatypes.rollout import Rollout
from motorworks.datatypes.score import Score
from motorworks.geometry.array import Array
from motorworks.metrics import thresholds
from motorworks.metrics.comfort import comfortable, felt
from motorworks.metrics.encounters import Encounters
from motorworks.metrics.epdms import driving_direction, no_collision, progress_frac, share_of_pieces


def score_nuplan(rollout: Rollout, met: Encounters, body: Body, *, reference_progress_m: float | None = None) -> list[Score]:
    """`nuplan_style` and its weighted terms."""
    progress, direction = progress_frac(rollout, reference_progress_m), driving_direction(rollout)
    parts = {
        "ttc": share_of_pieces(keeps_time(rollout, met), thresholds.NUPLAN_PIECE_S),
        "progress": progress,
        "direction": direction,
        "speed": speed_limit_score(rollout),
        "comfort": share_of_pieces(comfortable(felt(rollout.speed_mps, rollout.accel_mps2, rollout.curvature_per_m)), thresholds.NUPLAN_PIECE_S),
    }
    hit = no_collision(rollout, body)  # 0, one half for a thing, 1: as nuPlan's gate
    on_road = rollout.outcome != "off_road" and bool(rollout.on_road.all())
    gate = hit * direction * on_road * (progress >= thresholds.NUPLAN_LEAST_PROGRESS_FRAC)
    weights = thresholds.NUPLAN_WEIGHTS
    total = gate * sum(weights[name] * value for name, value in parts.items()) / sum(weights.values())
    return [Score(metric="nuplan_style", value=float(total)), *(Score(metric=f"nuplan_{name}", value=value) for name, value in parts.items())]


def keeps_time(rollout: Rollout, met: Encounters) -> Bool[Array, " time"]:
    """False where an agent in the way would be met within 0.95 s at constant velocity."""
    moving = np.abs(rollout.speed_mps) >= thresholds.TTC_STANDING_MPS
    return ~((met.in_the_way & (met.contact_s < thresholds.NUPLAN_LEAST_TTC_S)).any(axis=1) & moving)


def speed_limit_score(rollout: Rollout) -> float:
    """max(0, 1 - mean overspeed / 2.23 m/s)."""
    over = np.maximum(np.asarray(rollout.speed_mps, np.float64) - rollout.speed_limit_mps, 0.0)
    return max(0.0, 1.0 - float(over.mean()) / thresholds.OVERSPEED_SCALE_MPS)

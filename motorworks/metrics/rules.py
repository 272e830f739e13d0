"""Traffic rules as events: how often they were broken, how far was driven, and what each kilometre cost."""

import numpy as np
from jaxtyping import Bool

from motorworks.bodies.body import CAR, Body
from motorworks.datatypes.rollout import Rollout
from motorworks.datatypes.score import Score
from motorworks.datatypes.trajectory import DT_S
from motorworks.geometry.array import Array
from motorworks.metrics.fault import collision_of

LEAST_DRIVEN_M = 1.0  # under this a rate says nothing
RULES = {
    "red_lights_per_km": "red_light",
    "stop_signs_per_km": "stop_sign",
    "gave_no_way_per_km": "gave_no_way",
    "blocks_siren_per_km": "blocks_siren",
}


def num_events(flags: Bool[Array, " time"]) -> int:
    """Runs of true steps: each is one event, however long it lasts."""
    flags = np.asarray(flags, bool)
    return int(flags[0]) + int((flags[1:] & ~flags[:-1]).sum())


def driven_m(rollout: Rollout) -> float:
    """Metres, forwards or back."""
    return float(np.abs(np.asarray(rollout.speed_mps, np.float64)).sum() * DT_S)


def score_rules(rollout: Rollout, body: Body = CAR) -> list[Score]:
    """`driven_km`, and rates whose weight is the distance driven in the rate's own unit."""
    km, hit = driven_m(rollout) / 1000.0, collision_of(rollout, body)
    counts = {name: num_events(getattr(rollout, field)) for name, field in RULES.items()}
    return [
        Score(metric="driven_km", value=km),
        _rate("collisions_per_km", int(hit is not None), km),
        _rate("at_fault_collisions_per_100km", int(hit is not None and hit.at_fault), km / 100.0),
        *(_rate(name, count, km) for name, count in counts.items()),
    ]


def _rate(metric: str, count: int, distance: float) -> Score:
    far_enough = distance > 0 and (distance * (100e3 if metric.endswith("_per_100km") else 1e3)) >= LEAST_DRIVEN_M
    return Score(metric=metric, value=count / distance if far_enough else 0.0, valid=far_enough, weight=distance, is_rate=True)

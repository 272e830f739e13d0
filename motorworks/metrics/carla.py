"""CARLA Leaderboard 2's driving score, and Bench2Drive's success by the same events.

Score = 100 * route completion * product of a factor per event * (1 - share of metres outside the lanes). Every collision counts, whoever
was at fault; where nobody can be named it counts as a vehicle. A drive that runs out of time on a staged scenario pays for the scenario's
time; in plain traffic only the route is unfinished. Giving no way is no event of CARLA's and costs nothing here.
"""

from collections.abc import Mapping

import numpy as np

from motorworks.bodies.body import CAR, Body
from motorworks.datatypes.agent import FIRST_OBJECT, FIRST_WALKER
from motorworks.datatypes.rollout import Rollout
from motorworks.datatypes.scenario import TRAFFIC
from motorworks.datatypes.score import Score
from motorworks.metrics import thresholds
from motorworks.metrics.fault import collision_of
from motorworks.metrics.rules import num_events


def carla_events(rollout: Rollout, body: Body = CAR) -> Mapping[str, int]:
    """How often each of CARLA_PENALTIES happened."""
    hit = collision_of(rollout, body)
    whom = None if hit is None else "static" if hit.kind >= FIRST_OBJECT else "pedestrian" if hit.kind >= FIRST_WALKER else "vehicle"
    events = {name: int(name == whom) for name in ("pedestrian", "vehicle", "static")}
    return events | {
        "red_light": num_events(rollout.red_light),
        "stop_sign": num_events(rollout.stop_sign),
        "emergency_vehicle": num_events(rollout.blocks_siren),
        "scenario_timeout": int(rollout.outcome == "timeout" and rollout.scenario.kind != TRAFFIC),
    }


def outside_frac(rollout: Rollout) -> float:
    """Share of the metres driven off the road or against traffic."""
    metres = np.abs(np.asarray(rollout.speed_mps, np.float64))
    outside = np.asarray(rollout.wrong_way, bool) | ~np.asarray(rollout.on_road, bool)
    return float(metres[outside].sum() / metres.sum()) if metres.sum() > 0 else 0.0


def score_carla(rollout: Rollout, completion_frac: float, body: Body = CAR) -> list[Score]:
    """`driving_score` of 100 and `success_frac`: completed without an event, a wheel off the road or a metre against traffic."""
    events, outside = carla_events(rollout, body), outside_frac(rollout)
    kept = float(np.prod([thresholds.CARLA_PENALTIES[name] ** count for name, count in events.items()]))
    clean = not any(events.values()) and bool(rollout.on_road.all()) and not bool(rollout.wrong_way.any())
    return [
        Score(metric="driving_score", value=100.0 * completion_frac * kept * (1.0 - outside)),
        Score(metric="success_frac", value=float(rollout.outcome == "completed" and clean)),
    ]

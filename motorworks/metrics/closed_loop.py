"""Every closed-loop metric of one rollout. One Score each; aggregate.py and tables.py make rows of many."""

import numpy as np

from motorworks.bodies.body import CAR, Body
from motorworks.datatypes.rollout import Rollout
from motorworks.datatypes.score import Score, StepValues
from motorworks.datatypes.trajectory import DT_S
from motorworks.metrics import thresholds
from motorworks.metrics.agreement import score_agreement
from motorworks.metrics.carla import score_carla
from motorworks.metrics.comfort import comfortable, felt
from motorworks.metrics.encounters import Encounters, collisions, encounters, gaps, times_to_collision
from motorworks.metrics.epdms import score_epdms
from motorworks.metrics.fault import collision_of
from motorworks.metrics.nuplan import score_nuplan, speed_limit_score
from motorworks.metrics.rules import LEAST_DRIVEN_M, driven_m, score_rules

_NUMBERS = ("ego_world", "speed_mps", "accel_mps2", "curvature_per_m", "progress_m", "lateral_offset_m", "speed_limit_mps")


def score_rollout(rollout: Rollout, body: Body = CAR, *, reference_progress_m: float | None = None) -> list[Score]:
    """All scores of a rollout. `reference_progress_m`: what a reference driver covered, for EP; by default the whole route.

    Raises ValueError for a rollout with a number that is not finite.
    """
    require_finite(rollout)
    met = encounters(rollout, body)
    return [
        *score_route(rollout, body),
        *score_motion(rollout),
        score_time_to_collision(rollout, body, met),
        score_agreement(rollout, body),
        *score_epdms(rollout, met, body, reference_progress_m=reference_progress_m),
        *score_nuplan(rollout, met, body, reference_progress_m=reference_progress_m),
    ]


def values_of_steps(rollout: Rollout, body: Body = CAR) -> list[StepValues]:
    """What the scores are made of, per step (and agent): `collision`, `gap_m`, `time_to_collision_s`, and the ego's own.

    Raises ValueError for a rollout with a number that is not finite.
    """
    require_finite(rollout)
    met, always = encounters(rollout, body), np.ones(len(rollout.speed_mps), bool)
    speed = np.asarray(rollout.speed_mps, np.float64)
    signals = felt(speed, rollout.accel_mps2, rollout.curvature_per_m)
    of_ego = {
        "overspeed_mps": np.maximum(speed - rollout.speed_limit_mps, 0.0),
        "lateral_offset_m": np.abs(np.asarray(rollout.lateral_offset_m, np.float64)),
        "comfortable": comfortable(signals).astype(np.float64),
        "jerk_mps3": signals.jerk_mps3,
        "lat_accel_mps2": np.abs(signals.lat_accel_mps2),
        "off_road": (~np.asarray(rollout.on_road, bool)).astype(np.float64),
    } | {name: np.asarray(getattr(rollout, name), np.float64) for name in ("wrong_way", "red_light", "stop_sign", "gave_no_way", "blocks_siren")}
    return [
        collisions(met),
        gaps(rollout, body),
        times_to_collision(met, rollout, body),
        *(StepValues(metric=name, values=values, valid=always) for name, values in of_ego.items()),
    ]


def require_finite(rollout: Rollout) -> None:
    """ValueError that names the scenario, the field and the step, where a number is NaN or infinite or an agent has no kind."""
    for name in _NUMBERS:
        values = np.asarray(getattr(rollout, name))
        if not np.isfinite(values).all():
            step = int(np.argwhere(~np.isfinite(values))[0, 0])
            raise ValueError(f"rollout {rollout.scenario.name} of {rollout.policy}: {name} is not finite at step {step}: the world or body is broken")
    bad = rollout.agents_valid & ~np.isfinite(rollout.agents_world).all(axis=-1)
    if bad.any():
        step, agent = np.argwhere(bad)[0]
        raise ValueError(
            f"rollout {rollout.scenario.name} of {rollout.policy}: agents_world is not finite at step {step}, agent {agent}, though it is valid"
        )
    if len(rollout.agents_kind) != rollout.agents_world.shape[1]:
        raise ValueError(
            f"rollout {rollout.scenario.name}: agents_kind names {len(rollout.agents_kind)} agents, agents_world has {rollout.agents_world.shape[1]}"
        )


def route_completion(rollout: Rollout) -> float:
    """Share of the route driven, in [0, 1]."""
    if rollout.outcome == "completed":
        return 1.0
    return float(np.clip(np.max(rollout.progress_m) / max(rollout.route_length_m, 1e-6), 0.0, 1.0))


def score_route(rollout: Rollout, body: Body = CAR) -> list[Score]:
    """Completion, how the drive ended, CARLA's and AlpaSim's scores, and rules broken per kilometre."""
    completion, metres = route_completion(rollout), driven_m(rollout)
    hit = collision_of(rollout, body)
    at_fault = hit is not None and hit.at_fault
    # a wheel beyond the pavement is off the drivable area for AlpaSim, though the drive goes on
    off_road = rollout.outcome == "off_road" or not bool(rollout.on_road.all())
    alpasim = 0.0 if at_fault or off_road else min(completion / thresholds.ALPASIM_FULL_PROGRESS_FRAC, 1.0)
    against = float(np.abs(np.asarray(rollout.speed_mps, np.float64))[rollout.wrong_way].sum()) * DT_S
    far_enough = metres >= LEAST_DRIVEN_M
    return [
        Score(metric="route_completion_frac", value=completion),
        *score_carla(rollout, completion, body),
        Score(metric="alpasim_scene_score", value=alpasim),
        Score(metric="collision_frac", value=float(hit is not None)),
        Score(metric="at_fault_collision_frac", value=float(at_fault)),
        Score(metric="off_road_frac", value=float(rollout.outcome == "off_road")),
        Score(metric="timeout_frac", value=float(rollout.outcome == "timeout")),
        Score(metric="wrong_way_frac", value=against / metres if far_enough else 0.0, valid=far_enough),
        *score_rules(rollout, body),
    ]


def score_motion(rollout: Rollout) -> list[Score]:
    """Speed, overspeed, lane offset and comfort."""
    speed = np.asarray(rollout.speed_mps, np.float64)
    signals = felt(speed, rollout.accel_mps2, rollout.curvature_per_m)
    return [
        Score(metric="mean_speed_mps", value=float(speed.mean())),
        Score(metric="speed_limit_score", value=speed_limit_score(rollout)),
        Score(metric="lateral_offset_m", value=float(np.abs(rollout.lateral_offset_m).mean())),
        Score(metric="comfort_frac", value=float(comfortable(signals).mean())),
        Score(metric="jerk_rms_mps3", value=float(np.sqrt(np.mean(signals.jerk_mps3**2)))),
        Score(metric="lat_accel_max_mps2", value=float(np.abs(signals.lat_accel_mps2).max())),
    ]


def score_time_to_collision(rollout: Rollout, body: Body = CAR, met: Encounters | None = None) -> Score:
    """The least time to a meeting with any agent not behind, both at constant velocity; capped at 5 s. Never rewarded."""
    times = times_to_collision(met if met is not None else encounters(rollout, body), rollout, body)
    least = float(np.min(times.values, where=times.valid, initial=thresholds.TTC_HORIZON_S))
    return Score(metric="time_to_collision_s", value=least, valid=bool(rollout.agents_valid.any()))

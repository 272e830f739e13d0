"""Every closed-loop metric of one rollout. One Score each; aggregate.py makes rows of many."""

import numpy as np

from motorworks.bodies.body import CAR, Body
from motorworks.datatypes.rollout import Rollout
from motorworks.datatypes.score import Score
from motorworks.datatypes.trajectory import DT_S
from motorworks.metrics import thresholds
from motorworks.metrics.agreement import score_agreement
from motorworks.metrics.comfort import comfortable, felt
from motorworks.metrics.epdms import score_epdms
from motorworks.metrics.overlap import agent_boxes, boxes_touch, ego_boxes

_PROBE_EVERY_S = 0.1


def score_rollout(rollout: Rollout, body: Body = CAR, *, reference_progress_m: float | None = None) -> list[Score]:
    """All scores of a rollout. `reference_progress_m`: what a reference driver covered, for EP; by default the whole route."""
    return [
        *score_route(rollout),
        *score_motion(rollout),
        score_time_to_collision(rollout, body),
        score_agreement(rollout, body),
        *score_epdms(rollout, body, reference_progress_m=reference_progress_m),
    ]


def route_completion(rollout: Rollout) -> float:
    """Share of the route driven, in [0, 1]."""
    if rollout.outcome == "completed":
        return 1.0
    return float(np.clip(np.max(rollout.progress_m) / max(rollout.route_length_m, 1e-6), 0.0, 1.0))


def score_route(rollout: Rollout) -> list[Score]:
    """Completion, collisions, driving direction, CARLA's driving score, Bench2Drive's success, AlpaSim's scene score."""
    completion, metres = route_completion(rollout), np.abs(rollout.speed_mps) * DT_S
    driven_m = float(metres.sum())
    collided = rollout.outcome == "collision"
    left_road = rollout.outcome == "off_road"
    # a wheel beyond the pavement is off the drivable area for NAVSIM and AlpaSim, though the drive goes on
    at_fault, off_road = collided and rollout.collision_at_fault, left_road or not bool(rollout.on_road.all())
    outside = float(metres[rollout.wrong_way | ~rollout.on_road].sum()) / driven_m if driven_m > 0 else 0.0
    driving_score = 100.0 * completion * (thresholds.CARLA_PENALTY_VEHICLE if collided else 1.0) * (1.0 - outside)
    alpasim = 0.0 if at_fault or off_road else min(completion / thresholds.ALPASIM_FULL_PROGRESS_FRAC, 1.0)
    clean = not collided and not off_road and not bool(rollout.wrong_way.any())
    far_enough = driven_m >= 1.0
    return [
        Score(metric="route_completion_frac", value=completion),
        Score(metric="driving_score", value=driving_score),
        Score(metric="success_frac", value=float(rollout.outcome == "completed" and clean)),
        Score(metric="alpasim_scene_score", value=alpasim),
        Score(metric="collision_frac", value=float(collided)),
        Score(metric="at_fault_collision_frac", value=float(at_fault)),
        Score(metric="off_road_frac", value=float(left_road)),
        Score(metric="timeout_frac", value=float(rollout.outcome == "timeout")),
        Score(metric="wrong_way_frac", value=float(metres[rollout.wrong_way].sum()) / driven_m if far_enough else 0.0, valid=far_enough),
        Score(metric="collisions_per_km", value=collided * 1000.0 / driven_m if far_enough else 0.0, valid=far_enough, weight=driven_m / 1000.0),
    ]


def score_motion(rollout: Rollout) -> list[Score]:
    """Speed, overspeed, lane offset and comfort."""
    speed = np.asarray(rollout.speed_mps, np.float64)
    signals = felt(speed, rollout.accel_mps2, rollout.curvature_per_m)
    overspeed = float(np.mean(np.maximum(speed - rollout.speed_limit_mps, 0.0)))
    return [
        Score(metric="mean_speed_mps", value=float(speed.mean())),
        Score(metric="speed_limit_score", value=max(0.0, 1.0 - overspeed / thresholds.OVERSPEED_SCALE_MPS)),
        Score(metric="lateral_offset_m", value=float(np.abs(rollout.lateral_offset_m).mean())),
        Score(metric="comfort_frac", value=float(comfortable(signals).mean())),
        Score(metric="jerk_rms_mps3", value=float(np.sqrt(np.mean(signals.jerk_mps3**2)))),
        Score(metric="lat_accel_max_mps2", value=float(np.abs(signals.lat_accel_mps2).max())),
    ]


def score_time_to_collision(rollout: Rollout, body: Body = CAR) -> Score:
    """The least time to a meeting with any agent not behind, both at constant velocity; capped at 5 s. Never rewarded."""
    poses, agents = np.asarray(rollout.ego_world, np.float64), np.asarray(rollout.agents_world, np.float64)
    if agents.shape[1] == 0 or not rollout.agents_valid.any():
        return Score(metric="time_to_collision_s", value=thresholds.TTC_HORIZON_S, valid=False)
    centre = ego_boxes(poses, body)
    heading = np.stack([np.cos(poses[:, 2]), np.sin(poses[:, 2])], axis=-1)
    ahead_m = np.einsum("tac,tc->ta", agents[:, :, :2] - centre[:, None, :2], heading)
    gap_m = np.linalg.norm(agents[:, :, :2] - centre[:, None, :2], axis=-1) - body.length_m - agents[:, :, 4]
    reach_m = (np.abs(rollout.speed_mps)[:, None] + np.abs(agents[:, :, 3])) * thresholds.TTC_HORIZON_S
    # an ego that stands, or is hit from behind, is not closing in on anyone
    candidates = rollout.agents_valid & (ahead_m > -body.length_m / 2) & (gap_m <= reach_m) & (np.abs(rollout.speed_mps) > 0.1)[:, None]
    step, agent = np.nonzero(candidates)
    least = thresholds.TTC_HORIZON_S
    for ahead_s in np.arange(0.0, thresholds.TTC_HORIZON_S, _PROBE_EVERY_S):
        ego = centre[step].copy()
        ego[:, :2] += heading[step] * (rollout.speed_mps[step] * ahead_s)[:, None]
        if boxes_touch(ego, agent_boxes(agents[step, agent], ahead_s)).any():
            least = float(ahead_s)
            break
    return Score(metric="time_to_collision_s", value=least)

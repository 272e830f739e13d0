"""How good is each proposed plan, judged from the scene alone: a PDM-like score for labels, group-relative RL and choosing.

gates (no hit, on the road, stop line) times (5 progress + 2 lane + 2 comfort + 4 speed limit) / 13, over 4 s. PDM's time-to-collision
term is left out on purpose: that metric is in thresholds.NEVER_REWARDED. Agents are predicted at constant velocity; who is not in a car is
given half a metre all round, and a thing costs less than an agent. The road is the lane about the route, so a pass through the next lane
counts as leaving it.
"""

import numpy as np
from jaxtyping import Bool, Float

from motorworks.bodies.body import CAR, Body, integrate
from motorworks.datatypes.agent import CYCLIST, FIRST_OBJECT
from motorworks.datatypes.scene import PATH_SPACING_M, Scene
from motorworks.datatypes.trajectory import DT_S, Trajectory
from motorworks.geometry.array import Array
from motorworks.metrics import thresholds
from motorworks.metrics.overlap import boxes_touch, ego_boxes

_EVERY = 2  # judge each second step: 0.2 s


def score_proposals(scene: Scene, proposals: Trajectory, body: Body = CAR) -> Float[Array, "batch proposal"]:
    """A score in 0..1 of each proposal `[batch proposal time]`. ValueError where a proposal is not finite."""
    for name in ("accel_mps2", "curvature_per_m"):
        if not np.isfinite(getattr(proposals, name)).all():
            raise ValueError(f"proposals: {name} is not finite in item {int(np.argwhere(~np.isfinite(getattr(proposals, name)))[0, 0])}")
    steps = round(thresholds.PROPOSAL_HORIZON_S / DT_S)
    plan = Trajectory(accel_mps2=proposals.accel_mps2[..., :steps], curvature_per_m=proposals.curvature_per_m[..., :steps])
    start = np.asarray(scene.speed_mps, np.float64)[:, None]
    poses, speeds = integrate(plan, start, can_reverse=body.can_reverse)
    poses, speeds_all, speeds = poses[..., _EVERY - 1 :: _EVERY, :].astype(np.float32), speeds, speeds[..., _EVERY - 1 :: _EVERY].astype(np.float32)
    along_m, offset_m = follow_path(scene, poses)
    hit_agent, hit_object = meets_agents(scene, poses, speeds, body)
    progress_m = along_m[..., -1]

    gate = _late_gate(hit_agent, thresholds.LATE_HIT_FACTOR) * _late_gate(hit_object, thresholds.LATE_OBJECT_HIT_FACTOR)
    gate = (
        gate
        * _road_gate(offset_m)
        * _late_gate(along_m > line_gap_m(scene)[:, None, None] + thresholds.STOP_LINE_SLACK_M, thresholds.LATE_HIT_FACTOR)
    )
    limit = np.asarray(scene.speed_limit_mps, np.float64)[:, None]
    reference = np.maximum(reachable_m(scene), 1e-3)[:, None]
    standing_is_fine = reference <= thresholds.MIN_REFERENCE_PROGRESS_M
    progress = np.where(standing_is_fine, 1.0, np.clip(progress_m / reference, 0.0, 1.0))
    beyond = (np.abs(offset_m) - thresholds.LANE_KEEP_MAX_M) / (thresholds.LANE_HALF_WIDTH_M - thresholds.LANE_KEEP_MAX_M)
    lane = 1.0 - np.clip(beyond, 0.0, 1.0).mean(axis=-1)
    slow = 1.0 - np.clip(np.maximum(speeds - limit[..., None], 0.0).mean(axis=-1) / thresholds.OVERSPEED_SCALE_MPS, 0.0, 1.0)
    comfort = _comfort(plan, speeds_all)
    return gate * (5 * progress + 2 * lane + 2 * comfort + 4 * slow) / 13.0


def follow_path(
    scene: Scene, poses: Float[Array, "batch proposal time 3"]
) -> tuple[Float[Array, "batch proposal time"], Float[Array, "batch proposal time"]]:
    """Metres along the route ahead and to its left, of each pose."""
    path = np.asarray(scene.path_rig_m, np.float32)
    batch = len(path)
    tangent = np.gradient(path, axis=1)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=-1, keepdims=True), 1e-6)
    points = poses[..., :2].reshape(batch, -1, 2)
    # |p - q|^2 without the p^2 that argmin ignores: one small matrix product instead of a cube of differences
    nearest = np.argmin((path**2).sum(-1)[:, None] - 2 * points @ path.transpose(0, 2, 1), axis=-1)
    rows = np.arange(batch)[:, None]
    base, direction = path[rows, nearest], tangent[rows, nearest]
    delta = points - base
    ahead = (delta * direction).sum(-1)
    # before the first and beyond the last point only the end segments tell
    left = direction[..., 0] * delta[..., 1] - direction[..., 1] * delta[..., 0]
    shape = poses.shape[:-1]
    return (nearest * PATH_SPACING_M + ahead).reshape(shape), left.reshape(shape)


def meets_agents(
    scene: Scene,
    poses: Float[Array, "batch proposal time 3"],
    speeds: Float[Array, "batch proposal time"],
    body: Body,
) -> tuple[Bool[Array, "batch proposal time"], Bool[Array, "batch proposal time"]]:
    """Where ego hits an agent, and where a thing, by its own doing: not run into from behind, not standing."""
    agents = np.asarray(scene.agents_rig, np.float32)
    if agents.shape[1] == 0 or not scene.agents_valid.any():
        return np.zeros(poses.shape[:-1], bool), np.zeros(poses.shape[:-1], bool)
    is_thing = agents[..., 6] >= FIRST_OBJECT
    vulnerable = (agents[..., 6] >= CYCLIST) & ~is_thing
    sizes = agents[..., 4:6] + (2 * thresholds.VULNERABLE_MARGIN_M * vulnerable[..., None]).astype(np.float32)
    times = ((np.arange(poses.shape[2]) + 1) * _EVERY * DT_S).astype(np.float32)
    heading = np.stack([np.cos(agents[..., 2]), np.sin(agents[..., 2])], axis=-1)
    moved = agents[:, None, :, :2] + (agents[..., 3:4] * heading)[:, None] * times[None, :, None, None]
    shapes = np.concatenate([agents[..., 2:3], sizes], axis=-1)
    other = np.concatenate([moved, np.broadcast_to(shapes[:, None], (*moved.shape[:-1], 3))], axis=-1)[:, None]
    ego = ego_boxes(poses, body)[:, :, :, None]
    cos, sin = np.cos(poses[..., 2])[..., None], np.sin(poses[..., 2])[..., None]
    # cheap first: where in ego's frame, how far apart at most; then look closely at the few that can meet
    dx, dy = other[..., 0] - ego[..., 0], other[..., 1] - ego[..., 1]
    within = dx * dx + dy * dy <= ((np.hypot(other[..., 3], other[..., 4]) + np.hypot(body.length_m, body.width_m)) / 2) ** 2
    within &= scene.agents_valid[:, None, None, :]
    hit = np.zeros(within.shape, bool)
    if within.any():
        hit[within] = boxes_touch(np.broadcast_to(ego, (*within.shape, 5))[within], np.broadcast_to(other, (*within.shape, 5))[within])
        # the first touch tells whose doing it is: an agent that ran into us from behind drives on through us in this prediction
        innocent = (dx * cos + dy * sin <= -body.length_m / 2) | (speeds <= 0.1)[..., None]
        hit &= ~(np.logical_or.accumulate(hit & innocent, axis=2) | innocent)
    thing = is_thing[:, None, None, :]
    return np.any(hit & ~thing, axis=-1), np.any(hit & thing, axis=-1)


def line_gap_m(scene: Scene) -> Float[Array, " batch"]:
    """Front bumper to where the ego must not go on: the line it must stop at, or a junction that it may not enter; inf if neither."""
    blocked = np.where(scene.junction_blocked & (scene.junction_gap_m > 0), scene.junction_gap_m, np.inf)
    stop = np.asarray(scene.stop_gap_m, np.float64)
    stop = np.where(stop < -thresholds.LINE_PASSED_M, np.inf, stop)
    return np.maximum(np.minimum(stop, blocked), 0.0)


def reachable_m(scene: Scene) -> Float[Array, " batch"]:
    """How far a brisk, lawful driver gets in the horizon: speed limit, leader, stop line and the route's end all bound it."""
    horizon = thresholds.PROPOSAL_HORIZON_S
    speed, limit = np.asarray(scene.speed_mps, np.float64), np.asarray(scene.speed_limit_mps, np.float64)
    rising_s = np.clip((limit - speed) / thresholds.PROPOSAL_REACHABLE_ACCEL_MPS2, 0.0, horizon)
    top = np.minimum(speed + thresholds.PROPOSAL_REACHABLE_ACCEL_MPS2 * rising_s, np.maximum(limit, 0.0))
    free = (np.minimum(speed, limit) + top) / 2 * rising_s + top * (horizon - rising_s)
    behind = np.maximum(np.asarray(scene.lead_gap_m, np.float64) + scene.lead_speed_mps * horizon - thresholds.FOLLOWING_GAP_M, 0.0)
    return np.minimum.reduce([free, behind, line_gap_m(scene), np.maximum(scene.remaining_m, 0.0)])


def _late_gate(wrong: Bool[Array, "batch proposal time"], most: float) -> Float[Array, "batch proposal"]:
    """1 where nothing is wrong; else the later it begins the more is kept, from 0 to `most`."""
    first = np.argmax(wrong, axis=-1) / wrong.shape[-1]
    return np.where(wrong.any(axis=-1), most * first, 1.0)


def _road_gate(offset_m: Float[Array, "batch proposal time"]) -> Float[Array, "batch proposal"]:
    outside = np.abs(offset_m) > thresholds.LANE_HALF_WIDTH_M
    # an ego already outside earns by coming back, else every proposal there would be 0 and none could be chosen
    return np.where(outside[..., -1], 0.0, 1.0 - outside.mean(axis=-1)) + np.where(outside[..., -1], 0.1 * (1.0 - outside.mean(axis=-1)), 0.0)


def _comfort(plan: Trajectory, speeds: Float[Array, "batch proposal time"]) -> Float[Array, "batch proposal"]:
    accel = np.asarray(plan.accel_mps2)
    ok = (accel <= thresholds.MAX_LON_ACCEL_MPS2) & (accel >= thresholds.MIN_LON_ACCEL_MPS2)
    ok &= np.abs(speeds**2 * plan.curvature_per_m) <= thresholds.MAX_ABS_LAT_ACCEL_MPS2
    ok &= np.abs(speeds * plan.curvature_per_m) <= thresholds.MAX_ABS_YAW_RATE_RADPS
    smooth_enough = np.abs(np.diff(accel, axis=-1)) / DT_S <= thresholds.MAX_ABS_LON_JERK_MPS3
    return (ok.mean(axis=-1) + smooth_enough.mean(axis=-1)) / 2

"""Words for motion: the driver's decision and its cause, from what was observed up to now.

Where a scene was known its thoughts are kept. From motion alone only the decision can be seen; the cause is a bend where the turning is
steady and gentle, else "the driver chose so". Nothing ahead of a step is used to word it; what lies ahead only strikes out words that it
contradicts, since those would teach a model to say one thing and do another.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from motorworks.bodies.body import BODIES, CAR, Body
from motorworks.datatypes.clip import Clip, Motion
from motorworks.datatypes.thought import Thought
from motorworks.datatypes.trajectory import DT_S, NUM_STEPS, Trajectory
from motorworks.geometry.array import Array
from motorworks.metrics.agreement import agrees as plan_agrees

_CHOSE = "the driver chose so"


@dataclass(frozen=True, kw_only=True)
class LabelConfig:
    """Thresholds at the scale of a car; a small body's motion is enlarged to it first (lengths by the ratio of top speeds, angles kept)."""

    look_back_s: float = 1.0
    still_mps: float = 0.3
    accel_mps2: float = 0.6  # mean over the look back
    bend_radps: float = 0.05
    turn_curvature_per_m: float = 0.05  # tighter than 20 m over the look back is a turn, not a bend
    agree_ahead_s: float = 3.0

    def __post_init__(self) -> None:
        if min(self.look_back_s, self.agree_ahead_s) < DT_S:
            raise ValueError(f"look_back_s and agree_ahead_s need at least one step of {DT_S} s: {self}")


def label_from_motion(clip: Clip, config: LabelConfig = LabelConfig()) -> tuple[Thought | None, ...]:
    """A thought per step: the clip's own where it has one, else from motion of the past second; None where nothing is known."""
    own = clip.thoughts or (None,) * len(clip.timestamp_us)
    if clip.motion is None:
        return own
    motion = at_car_scale(clip.motion, BODIES[clip.body])
    speed, yaw = motion.speed_mps, np.unwrap(motion.poses_world[:, 2])
    look = round(config.look_back_s / DT_S)
    thoughts: list[Thought | None] = []
    for step, thought in enumerate(own):
        start = max(0, step - look)
        if thought is None and step - start >= look // 2:
            thought = _decide(speed[start : step + 1], float(yaw[step] - yaw[start]), config)
        thoughts.append(thought)
    return tuple(thoughts)


def label(clip: Clip, config: LabelConfig = LabelConfig()) -> Clip:
    """The clip with a thought wherever motion gives one that the next seconds do not contradict; its own thoughts stay as they are."""
    thoughts = label_from_motion(clip, config)
    own = clip.thoughts or (None,) * len(thoughts)
    checked = [
        thought if kept is not None or thought is None or agrees(thought, clip, step, config) else None
        for step, (thought, kept) in enumerate(zip(thoughts, own, strict=True))
    ]
    return replace(clip, thoughts=tuple(checked) if any(checked) else None)


def agrees(thought: Thought, clip: Clip, step: int, config: LabelConfig = LabelConfig()) -> bool:
    """Whether the motion from `step` on does what the thought says: the rule that plans are judged by, on what was driven.

    False where too little motion is left to tell.
    """
    if clip.motion is None:
        return False
    body = BODIES[clip.body]
    motion = at_car_scale(clip.motion, body)
    stop = min(step + NUM_STEPS, len(motion.speed_mps) - 1)
    if (stop - step) * DT_S < config.agree_ahead_s - 1e-9:
        return False
    ahead = Trajectory(accel_mps2=np.diff(motion.speed_mps[step : stop + 1]) / DT_S, curvature_per_m=motion.curvature_per_m[step:stop])
    return plan_agrees(thought, ahead, float(motion.speed_mps[step]), replace(CAR, can_reverse=body.can_reverse))


def agreement(clip: Clip, config: LabelConfig = LabelConfig()) -> tuple[Bool[Array, " time"], Bool[Array, " time"]]:
    """Per step: whether the clip's thought agrees with the motion ahead, and whether that can be told."""
    num, least = len(clip.timestamp_us), round(config.agree_ahead_s / DT_S)
    thoughts = clip.thoughts or (None,) * num
    valid = np.array([thought is not None and clip.motion is not None and num - 1 - step >= least for step, thought in enumerate(thoughts)], bool)
    judged = [thought is not None and agrees(thought, clip, step, config) for step, thought in enumerate(thoughts)]
    return np.array(judged, bool) & valid, valid


def _decide(speed: Float[Array, " past"], turned_rad: float, config: LabelConfig) -> Thought:
    now, lasted_s = float(speed[-1]), (len(speed) - 1) * DT_S
    accel, yaw_rate = float(speed[-1] - speed[0]) / lasted_s, turned_rad / lasted_s
    if now < -config.still_mps:
        return Thought(decision="reverse", cause=_CHOSE)
    if np.abs(speed).max() < config.still_mps:
        return Thought(decision="wait", cause=_CHOSE)
    if abs(now) < config.still_mps and accel < 0:
        return Thought(decision="stop", cause=_CHOSE)
    if abs(yaw_rate) > config.bend_radps:
        side = "left" if yaw_rate > 0 else "right"
        if abs(yaw_rate) > config.turn_curvature_per_m * max(abs(float(speed.mean())), config.still_mps):
            return Thought(decision=f"turn {side}", cause=_CHOSE)
        return Thought(decision=f"follow the bend {side}", cause=f"the road bends {side}")
    if abs(accel) > config.accel_mps2:
        return Thought(decision="speed up" if accel > 0 else "slow down", cause=_CHOSE)
    return Thought(decision="keep going", cause=_CHOSE)


def at_car_scale(motion: Motion, body: Body) -> Motion:
    """Motion as a car's would be: a 1:10 chassis at 1 m/s looks like a car at 7.5 m/s on a course enlarged as much."""
    scale = max(1.0, CAR.max_speed_mps / body.max_speed_mps)
    poses = np.asarray(motion.poses_world, np.float64) * [scale, scale, 1.0]
    return Motion(
        kind=motion.kind,
        poses_world=poses,
        speed_mps=np.asarray(motion.speed_mps, np.float64) * scale,
        accel_mps2=np.asarray(motion.accel_mps2, np.float64) * scale,
        curvature_per_m=np.asarray(motion.curvature_per_m, np.float64) / scale,
    )

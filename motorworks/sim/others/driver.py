"""A policy of ours behind the interfaces of other simulators: their camera, poses and commands in, a plan out.

Written against public interfaces, never run in those simulators. Frames: theirs are converted to ours before they come here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from motorworks.bodies.body import CAR, integrate
from motorworks.datatypes.observation import NUM_PAST_POSES, Observation
from motorworks.datatypes.rig import FRONT, Camera
from motorworks.datatypes.trajectory import DT_S, NUM_STEPS, Plan
from motorworks.drive.bundle import VehicleIdentity, open_bundle
from motorworks.drive.runtime import bundle_policy
from motorworks.geometry.array import Array
from motorworks.geometry.se2 import compose, inverse, wrap_angle
from motorworks.policy.policy import Policy
from motorworks.tokens.text import DEFAULT_INSTRUCTION

OUR_CAMERA = FRONT.cameras[0]


@dataclass(frozen=True, kw_only=True)
class Timed:
    """Something known at a time: a picture [height, width, 3] or a pose (x_m, y_m, yaw_rad) of the rear axle in a fixed frame."""

    timestamp_us: int
    value: Array


def load_policy(where: str, threads: int = 1) -> Policy:
    """From `bundle_folder:trusted_root.json`, as a vehicle would open it."""
    folder, colon, root = where.partition(":")
    if not colon:
        raise ValueError(f"{where!r}: name the bundle's folder and the root it is trusted by, as in release:root.json")
    return bundle_policy(open_bundle(Path(folder), Path(root), VehicleIdentity(body=CAR.name), None, accept=False), threads=threads)


def reframe(
    image: UInt8[Array, "height width 3"], focal_px: tuple[float, float], centre_px: tuple[float, float], camera: Camera = OUR_CAMERA
) -> UInt8[Array, "h w 3"]:
    """The picture as `camera` would have taken it from the same place, nearest pixel; black where the other did not look. No distortion."""
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] < 3 or image.dtype != np.uint8:
        raise ValueError(f"picture has shape {image.shape} and type {image.dtype}; it must be uint8 RGB, height x width x 3")
    across = (np.arange(camera.width_px) + 0.5 - camera.centre_px[0]) / camera.focal_px
    down = (np.arange(camera.height_px) + 0.5 - camera.centre_px[1]) / camera.focal_px
    columns = np.floor(across * focal_px[0] + centre_px[0]).astype(int)
    rows = np.floor(down * focal_px[1] + centre_px[1]).astype(int)
    seen_rows, seen_columns = (rows >= 0) & (rows < image.shape[0]), (columns >= 0) & (columns < image.shape[1])
    found = np.zeros((camera.height_px, camera.width_px, 3), np.uint8)
    found[np.ix_(seen_rows, seen_columns)] = image[rows[seen_rows]][:, columns[seen_columns], :3]
    return found


class PastPoses:
    """Poses of a fixed frame, any rate, as the observation wants them: at -0.1 .. -1.6 s in today's rig frame."""

    def __init__(self) -> None:
        self._poses: list[Timed] = []

    def add(self, timestamp_us: int, pose: Float[Array, " 3"]) -> None:
        """A newer one; those that nobody asks for any more are forgotten."""
        self._poses.append(Timed(timestamp_us=timestamp_us, value=np.asarray(pose, np.float64)))
        keep_us = timestamp_us - int((NUM_PAST_POSES + 2) * DT_S * 1e6)
        self._poses = [pose for pose in self._poses if pose.timestamp_us >= keep_us]

    def now_and_past(self, speed_mps: float) -> tuple[Float[Array, " 3"], Float[Array, "16 3"]]:
        """Today's pose and the past; before the first pose the car is taken to have come straight at today's speed."""
        times = np.array([pose.timestamp_us for pose in self._poses]) / 1e6
        values = np.stack([pose.value for pose in self._poses])
        values[:, 2] = np.unwrap(values[:, 2])
        asked = times[-1] - DT_S * np.arange(1, NUM_PAST_POSES + 1)
        past = np.stack([np.interp(asked, times, values[:, column]) for column in range(3)], axis=-1)
        earlier_s = np.maximum(times[0] - asked, 0.0)
        past[:, :2] -= speed_mps * earlier_s[:, None] * np.array([np.cos(values[0, 2]), np.sin(values[0, 2])])
        rig = compose(inverse(values[-1]), past)
        return values[-1], np.concatenate([rig[:, :2], wrap_angle(rig[:, 2])[:, None]], axis=-1)


def observe(
    frame: UInt8[Array, "height width 3"] | None,
    speed_mps: float,
    yaw_rate_radps: float,
    past_poses_rig: Float[Array, "16 3"],
    instruction: str = DEFAULT_INSTRUCTION,
    *,
    first: bool,
) -> Observation:
    """A batch of one. ValueError where a number is not finite."""
    numbers: dict[str, Array | float] = {"speed_mps": speed_mps, "yaw_rate_radps": yaw_rate_radps, "past_poses_rig": past_poses_rig}
    for name, value in numbers.items():
        if not np.isfinite(value).all():
            raise ValueError(f"{name} is not finite: {value}; the simulator's sensor has no reading yet")
    return Observation(
        frames=None if frame is None else frame[None],
        speed_mps=np.array([speed_mps], np.float32),
        yaw_rate_radps=np.array([yaw_rate_radps], np.float32),
        past_poses_rig=past_poses_rig[None].astype(np.float32),
        instructions=(instruction,),
        first=np.array([first]),
    )


def plan_from_history(policy: Policy, frames: Sequence[Timed], poses: Sequence[Timed], speed_mps: float, instruction: str) -> Plan:
    """A plan where an interface tells the recent past at once and remembers nothing between calls.

    The policy lives through the last 1.6 s at 10 Hz, each time with the newest picture there was, so that its memory is as on the road.
    """
    if not poses or (policy.uses_camera and not frames):
        raise ValueError(f"a plan needs at least one pose and, for {policy.name}, one picture; got {len(poses)} and {len(frames)}")
    now_us, step_us = poses[-1].timestamp_us, int(DT_S * 1e6)
    history = PastPoses()
    for pose in poses:
        history.add(pose.timestamp_us, pose.value)
    here, past = history.now_and_past(speed_mps)
    lived = compose(here, np.concatenate([past[::-1], np.zeros((1, 3))]))  # oldest first
    plan = None
    for k, pose in enumerate(lived):
        time_us = now_us - (len(lived) - 1 - k) * step_us
        known = [frame for frame in frames if frame.timestamp_us <= time_us] or list(frames[:1])
        before = np.concatenate([lived[:k][::-1], np.repeat(lived[:1], NUM_PAST_POSES, axis=0)])[:NUM_PAST_POSES]
        step = compose(inverse(lived[k - 1]), pose) if k else np.zeros(3)
        speed = speed_mps if k in (0, len(lived) - 1) else float(np.hypot(step[0], step[1])) / DT_S
        frame = known[-1].value if known else None
        plan = policy.act(observe(frame, speed, float(step[2]) / DT_S, compose(inverse(pose), before), instruction, first=k == 0))
    assert plan is not None
    return plan


def poses_at(plan: Plan, speed_mps: float, times_s: Float[Array, " time"]) -> Float[Array, "time 3"]:
    """Where the plan is at these times, in today's rig frame. They must lie within its 6.4 s."""
    if times_s.min() < 0 or times_s.max() > NUM_STEPS * DT_S + 1e-6:
        raise ValueError(f"a plan reaches {NUM_STEPS * DT_S} s; asked for {times_s.min()} to {times_s.max()}")
    poses, _ = integrate(plan.trajectory[0], np.asarray(speed_mps, np.float64))
    poses = np.concatenate([np.zeros((1, 3)), poses])
    clock = DT_S * np.arange(NUM_STEPS + 1)
    return np.stack([np.interp(times_s, clock, poses[:, column]) for column in range(3)], axis=-1)

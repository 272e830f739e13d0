"""An observation: what a policy may see at one time. Batch first."""

from dataclasses import dataclass

from jaxtyping import Bool, Float, UInt8

from motorworks.datatypes.rig import Camera
from motorworks.datatypes.scene import Scene
from motorworks.geometry.array import Array

NUM_PAST_POSES = 16


@dataclass(frozen=True, kw_only=True)
class Observation:
    """Newest camera frame, ego motion, route hint; `scene` only for policies that declare themselves privileged."""

    frames: UInt8[Array, "batch height width 3"] | None  # forward camera, RGB; None when the camera is off
    rig_frames: UInt8[Array, "batch camera height width 3"] | None = None  # every camera of the rig in its order, where there are several
    rig_valid: Bool[Array, "batch camera"] | None = None  # false: that camera gave no picture; None: all did
    cameras: tuple[Camera, ...] = ()  # of the rig, where known: what `frames`, or `rig_frames`, were taken with
    speed_mps: Float[Array, " batch"]
    yaw_rate_radps: Float[Array, " batch"]
    past_poses_rig: Float[Array, "batch 16 3"]  # x_m y_m yaw_rad at -0.1 .. -1.6 s, newest first, in today's rig frame
    instructions: tuple[str, ...]  # one of tokens.text.INSTRUCTIONS per item
    first: Bool[Array, " batch"]  # true on the first observation of an episode: forget what came before
    scene: Scene | None = None

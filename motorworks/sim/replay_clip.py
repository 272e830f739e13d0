"""A clip that can be driven again: pictures, poses, the camera that took them, and the depth of every pixel where that can be had."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from motorworks.bodies.body import BODIES, Body
from motorworks.datatypes.clip import Clip, Motion
from motorworks.datatypes.rig import Camera
from motorworks.geometry.array import Array
from motorworks.geometry.se2 import wrap_angle

_STANDS_FRAC = 0.01  # of the wheelbase: rows nearer together than this are one place
_JUMP_FRAC = 3.0  # of what the speed explains, plus one wheelbase: a longer step between rows is a fault of the poses


@dataclass(frozen=True, kw_only=True)
class ReplayClip:
    """Validated on the way in: ValueError names the clip and what it lacks. `assumed` says, for reports, what of it nobody measured."""

    clip: Clip
    camera: Camera
    depth_m: Float[Array, "time height width"] | None = None  # along the camera's axis; inf where endlessly far, NaN where unknown
    assumed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        clip, name = self.clip, f"clip of {self.clip.recording_id}"
        if clip.body not in BODIES:
            raise ValueError(f"{name}: body {clip.body!r} is not one of {tuple(BODIES)}")
        if clip.frames is None or clip.motion is None:
            lacks = "frames" if clip.frames is None else "motion"
            raise ValueError(f"{name}: a replay needs frames and motion, it has no {lacks}")
        if clip.frames.shape[1:3] != (self.camera.height_px, self.camera.width_px):
            want = (self.camera.height_px, self.camera.width_px)
            raise ValueError(f"{name}: frames are {clip.frames.shape[1:3]} (height, width), camera {self.camera.name} is {want}; see scale_camera")
        if self.depth_m is not None and self.depth_m.shape != clip.frames.shape[:3]:
            raise ValueError(f"{name}: depth_m is {self.depth_m.shape}, frames are {clip.frames.shape[:3]}")
        poses, speed = clip.motion.poses_world, clip.motion.speed_mps
        if not (np.isfinite(poses).all() and np.isfinite(speed).all()):
            raise ValueError(f"{name}: poses or speeds are not finite from row {_first_bad(poses, speed)} on")
        if (speed < 0.0).any():
            raise ValueError(f"{name}: it reverses at row {int(np.argmax(speed < 0.0))}; a replay only goes on along its path, see forward_part")
        steps = np.hypot(*np.diff(poses[:, :2], axis=0).T)
        times_s = np.diff(clip.timestamp_us) / 1e6
        most = _JUMP_FRAC * np.maximum(speed[1:], speed[:-1]) * times_s + self.body.wheelbase_m
        if (steps > most).any():
            row = int(np.argmax(steps > most))
            raise ValueError(f"{name}: the pose jumps by {steps[row]:.1f} m after row {row}, at {speed[row]:.1f} m/s; cut it there")
        if len(self.path()) < 2:
            raise ValueError(f"{name}: the vehicle never moves, so there is no path to keep to")

    @property
    def body(self) -> Body:
        """The vehicle that was recorded."""
        return BODIES[self.clip.body]

    @property
    def motion(self) -> Motion:
        """The recorded motion."""
        if self.clip.motion is None:
            raise ValueError("a replay clip has motion")
        return self.clip.motion

    def rows(self) -> Int[Array, " point"]:
        """Rows of the clip that lie apart: the first of each place the vehicle stood at."""
        poses, least = self.motion.poses_world, _STANDS_FRAC * self.body.wheelbase_m
        kept = [0]
        for row in range(1, len(poses)):
            if np.hypot(*(poses[row, :2] - poses[kept[-1], :2])) >= least:
                kept.append(row)
        return np.array(kept, np.int64)

    def path(self) -> Float[Array, "point 5"]:
        """The places: x_m y_m yaw_rad, metres from the start, row of the clip."""
        rows = self.rows()
        poses = self.motion.poses_world[rows]
        along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(poses[:, :2], axis=0).T))])
        return np.column_stack([poses[:, :2], wrap_angle(poses[:, 2]), along, rows]).astype(np.float64)


def _first_bad(poses: Float[Array, "time 3"], speed: Float[Array, " time"]) -> int:
    return int(np.argmin(np.isfinite(poses).all(axis=1) & np.isfinite(speed)))


def scale_camera(camera: Camera, width_px: int, height_px: int) -> Camera:
    """The same camera with its picture resized; ValueError where that would stretch it by more than a pixel."""
    scale = width_px / camera.width_px
    if abs(camera.height_px * scale - height_px) > 1.0:
        raise ValueError(f"camera {camera.name}: {camera.width_px}x{camera.height_px} does not become {width_px}x{height_px} without stretching")
    centre = (camera.centre_px[0] * scale, camera.centre_px[1] * scale)
    return replace(camera, width_px=width_px, height_px=height_px, focal_px=camera.focal_px * scale, centre_px=centre)


def cut_clip(clip: Clip, start: int, stop: int) -> Clip:
    """Rows [start, stop) as a clip of its own; same recording."""
    motion = clip.motion
    part = slice(start, stop)
    if motion is not None:
        columns = (motion.poses_world, motion.speed_mps, motion.accel_mps2, motion.curvature_per_m)
        poses, speed, accel, curvature = (column[part] for column in columns)
        motion = Motion(kind=motion.kind, poses_world=poses, speed_mps=speed, accel_mps2=accel, curvature_per_m=curvature)
    return replace(
        clip,
        timestamp_us=clip.timestamp_us[part],
        frames=None if clip.frames is None else clip.frames[part],
        motion=motion,
        instructions=clip.instructions and clip.instructions[part],
        thoughts=clip.thoughts and clip.thoughts[part],
    )


def forward_part(clip: Clip) -> Clip:
    """The longest stretch of the clip without reversing."""
    if clip.motion is None:
        raise ValueError(f"clip of {clip.recording_id}: without motion nobody knows where it goes forward")
    back = np.flatnonzero(clip.motion.speed_mps < 0.0)
    edges = np.concatenate([[-1], back, [len(clip.timestamp_us)]])
    longest = int(np.argmax(np.diff(edges)))
    return cut_clip(clip, int(edges[longest]) + 1, int(edges[longest + 1]))

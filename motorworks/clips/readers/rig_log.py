"""What data sets of several cameras have in common: pictures with times, poses of the vehicle in 3D, calibration. Each reader fills a
`RigLog`; here it becomes clips."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np
from jaxtyping import Float, Int64, UInt8

from motorworks.bodies.body import BODIES
from motorworks.clips.clock import MAX_GAP_S, MIN_CLIP_S, cut_pieces, nearest_index
from motorworks.clips.motion import Track, solve
from motorworks.clips.readers.pictures import Pictures
from motorworks.clips.record import encoded
from motorworks.clips.recording import Quarantined, ReadResult
from motorworks.datatypes.clip import Clip
from motorworks.datatypes.rig import Camera
from motorworks.geometry.array import Array

_MOST_APART_S = 0.11  # of another camera's picture from its tick, beyond what the front camera's own is
FORWARD_FROM_OPTICAL = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]])  # x ahead, y left, z up from x right, y down, z ahead
_SHAPE_FRAC = 0.02  # by which the ratio of width to height may differ between cameras


@dataclass(frozen=True, kw_only=True)
class CameraLog:
    """One camera's pictures in order of time, and its calibration at their own size where that is known."""

    name: str
    time_us: Int64[Array, " picture"]
    pictures: Pictures
    camera: Camera | None = None


@dataclass(frozen=True, kw_only=True)
class RigLog:
    """A drive; the first camera looks ahead. Without a track its clips have no motion."""

    recording_id: str
    source: str
    body: str
    licence: str
    track: Track | None
    cameras: Sequence[CameraLog]
    tags: tuple[str, ...] = ()
    instructions: Sequence[tuple[int, str]] = ()  # from that time on (µs, in order); the first holds before it too
    max_gap_s: float | None = None  # between pictures; None: as for every other reader


def clips_of(log: RigLog, path: Path) -> ReadResult:
    """Clips at 10 Hz with all cameras at one size. A picture that cannot be read cuts there; what is too sparse is told as such."""
    front, opened = log.cameras[0], _Opened()
    if not len(front.time_us):
        return ReadResult(quarantine=[Quarantined(path=path, reason=f"no picture of {front.name}: a clip needs some")])
    good = np.ones(len(front.time_us), bool) if log.track is None else log.track.covers(front.time_us)
    gap_s = log.max_gap_s or MAX_GAP_S
    if cut_pieces(front.time_us, good, max_gap_s=gap_s):
        for index in np.flatnonzero(good):
            good[index] = opened.open(front, int(index)) is not None
    pieces = cut_pieces(front.time_us, good, max_gap_s=gap_s)
    if not pieces:
        return ReadResult(quarantine=[*opened.quarantine, Quarantined(path=path, reason=_too_sparse(log, gap_s))])
    driven = None if log.track is None else solve(log.track)
    clips = []
    for piece in pieces:
        sides = {}
        for other in log.cameras[1:]:
            stack = _at_ticks(other, piece.tick_us, gap_s, opened)
            if stack is not None:
                sides[other.name] = stack
        shown = [front.camera, *(other.camera for other in log.cameras[1:] if other.name in sides)]
        known = [_shrunk(camera, opened.size_px) for camera in shown if camera is not None]
        clips.append(
            Clip(
                recording_id=log.recording_id,
                source=log.source,
                body=log.body,
                licence=log.licence,
                timestamp_us=piece.tick_us,
                frames=np.stack([opened.open(front, int(index)) for index in piece.nearest]),
                motion=None if driven is None else driven.motion(piece.tick_us, kind="measured", body=BODIES[log.body]),
                side_frames=sides,
                cameras=tuple(known) if len(known) == len(shown) else (),
                instructions=_instructions(log.instructions, piece.tick_us),
                instruction_kind="given" if log.instructions else None,
                tags=log.tags,
            )
        )
    return ReadResult(clips=clips, quarantine=opened.quarantine)


def as_videos(result: ReadResult) -> ReadResult:
    """With pictures encoded as the store keeps them, a small part of the memory: for files that hold many drives."""
    return replace(result, clips=[encoded(clip, clip.front_camera) for clip in result.clips])


def of_one_shape(cameras: Sequence[CameraLog]) -> tuple[list[CameraLog], list[str]]:
    """Cameras whose pictures have the first one's shape, and a note of those left out: one size for all would stretch them."""
    sizes = {log.name: (log.camera.width_px, log.camera.height_px) for log in cameras if log.camera is not None}
    width_px, height_px = sizes.get(cameras[0].name, (0, 0))
    other = [name for name, (width, height) in sizes.items() if height_px and abs(width * height_px / (height * width_px) - 1) > _SHAPE_FRAC]
    said = [f"{', '.join(other)}: left out, their pictures are not of the shape {width_px} x {height_px} of {cameras[0].name}"] if other else []
    return [log for log in cameras if log.name not in other], said


def track_of_poses(time_us: Int64[Array, " pose"], world_from_rig: Float[Array, "pose 4 4"]) -> Track:
    """Poses of the rear axle in any order; the first of those at one time counts, the first of all is the origin."""
    order = np.argsort(time_us, kind="stable")
    time_us, first = np.unique(time_us[order], return_index=True)
    poses = world_from_rig[order][first]
    flat = np.column_stack([poses[:, 0, 3] - poses[0, 0, 3], poses[:, 1, 3] - poses[0, 1, 3], np.arctan2(poses[:, 1, 0], poses[:, 0, 0])])
    return Track(time_us=time_us, poses_world=flat)


def camera_from(name: str, size_px: tuple[int, int], matrix_px: Float[Array, "3 3"], rig_from_camera: Float[Array, "4 4"]) -> Camera:
    """Of intrinsics and of the camera's pose in the rig (x right, y down, z forward). One focal length: the mean of theirs."""
    forward, down = rig_from_camera[:3, 2], rig_from_camera[:3, 1]
    yaw, pitch = float(np.arctan2(forward[1], forward[0])), float(-np.arcsin(np.clip(forward[2], -1, 1)))
    level = Camera(name=name, width_px=1, height_px=1, focal_px=1, centre_px=(0, 0), position_rig_m=(0, 0, 1), yaw_rad=yaw, pitch_rad=pitch)
    right, own_down = level.rig_from_camera[:, 0], level.rig_from_camera[:, 1]
    x, y, z = (float(value) for value in rig_from_camera[:3, 3])
    return Camera(
        name=name,
        width_px=size_px[0],
        height_px=size_px[1],
        focal_px=float(matrix_px[0, 0] + matrix_px[1, 1]) / 2,
        centre_px=(float(matrix_px[0, 2]), float(matrix_px[1, 2])),
        position_rig_m=(x, y, max(z, 0.05)),
        yaw_rad=yaw,
        pitch_rad=pitch,
        roll_rad=float(np.arctan2(-(down @ right), down @ own_down)),
    )


def pose_matrix(quaternion_wxyz: Sequence[float], translation_m: Sequence[float]) -> Float[Array, "4 4"]:
    """Raises ValueError for what is no rotation."""
    quaternion = np.asarray(quaternion_wxyz, np.float64)
    length = float(np.linalg.norm(quaternion))
    matrix = np.eye(4)
    matrix[:3, 3] = translation_m
    if quaternion.shape != (4,) or not np.isfinite(matrix).all() or not 0.9 < length < 1.1:
        raise ValueError(f"pose with quaternion {list(quaternion_wxyz)} and translation {list(translation_m)}: not finite, or no rotation")
    w, x, y, z = quaternion / length
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return matrix


class _Opened:
    """Pictures opened once, all at the size of the first; each that cannot be read is set aside once."""

    def __init__(self) -> None:
        self.size_px: tuple[int, int] | None = None
        self.quarantine: list[Quarantined] = []
        self._pictures: dict[tuple[str, int], UInt8[Array, "height width 3"] | None] = {}

    def open(self, log: CameraLog, index: int) -> UInt8[Array, "height width 3"] | None:
        key = (log.name, index)
        if key not in self._pictures:
            self._pictures[key] = self._read(log, index)
        return self._pictures[key]

    def _read(self, log: CameraLog, index: int) -> UInt8[Array, "height width 3"] | None:
        try:
            picture = log.pictures.open(index, self.size_px)
        except (OSError, ValueError, av.FFmpegError) as error:
            reason = "the picture is missing" if isinstance(error, FileNotFoundError) else f"picture unreadable ({error})"
            entry = Quarantined(path=log.pictures.place(index), reason=f"{reason}; cut there")
            self.quarantine += [] if entry in self.quarantine else [entry]
            return None
        self.size_px = self.size_px or (picture.shape[1], picture.shape[0])
        return picture


def _too_sparse(log: RigLog, gap_s: float) -> str:
    front = log.cameras[0]
    step_s = float(np.median(np.diff(front.time_us))) / 1e6 if len(front.time_us) > 1 else 0.0
    reason = f"{len(front.time_us)} pictures of {front.name}, one every {step_s:.2f} s: no piece of {MIN_CLIP_S:.0f} s without a gap over {gap_s} s"
    outside = 0 if log.track is None else int((~log.track.covers(front.time_us)).sum())
    return f"{reason} (max_gap_s in ingest.toml allows longer ones)" + (f"; {outside} of them lie outside the vehicle's track" if outside else "")


def _at_ticks(other: CameraLog, tick_us: Int64[Array, " tick"], gap_s: float, opened: _Opened) -> UInt8[Array, "tick height width 3"] | None:
    """Another camera's nearest pictures; None where one is missing or unreadable."""
    if not len(other.time_us):
        return None
    nearest = nearest_index(other.time_us, tick_us)
    if np.abs(other.time_us[nearest] - tick_us).max() > (gap_s / 2 + _MOST_APART_S) * 1e6:
        return None
    stack = []
    for index in nearest:
        picture = opened.open(other, int(index))
        if picture is None:
            return None
        stack.append(picture)
    return np.stack(stack)


def _instructions(given: Sequence[tuple[int, str]], tick_us: Int64[Array, " tick"]) -> tuple[str, ...] | None:
    if not given:
        return None
    place = np.searchsorted(np.array([time for time, _ in given]), tick_us, side="right") - 1
    return tuple(given[max(0, int(index))][1] for index in place)


def _shrunk(camera: Camera, size_px: tuple[int, int]) -> Camera:
    """The calibration at the size that pictures are kept at."""
    across, down = size_px[0] / camera.width_px, size_px[1] / camera.height_px
    centre = (camera.centre_px[0] * across, camera.centre_px[1] * down)
    return replace(camera, width_px=size_px[0], height_px=size_px[1], focal_px=camera.focal_px * (across + down) / 2, centre_px=centre)

"""What data sets of several cameras have in common: pictures with times, poses of the vehicle in 3D, calibration. Each reader fills a
`RigLog`; here it becomes clips."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int64, UInt8

from motorworks.bodies.body import BODIES
from motorworks.clips.clock import MAX_GAP_S, MIN_CLIP_S, cut_pieces, nearest_index
from motorworks.clips.frames import open_image
from motorworks.clips.motion import Track, solve
from motorworks.clips.recording import Quarantined, ReadResult
from motorworks.datatypes.clip import Clip
from motorworks.datatypes.rig import Camera
from motorworks.geometry.array import Array

_MOST_APART_S = 0.11  # of another camera's picture from its tick, beyond what the front camera's own is


@dataclass(frozen=True, kw_only=True)
class CameraLog:
    """One camera's pictures in order of time, and its calibration at their own size."""

    name: str
    time_us: Int64[Array, " picture"]
    files: Sequence[Path]
    camera: Camera


@dataclass(frozen=True, kw_only=True)
class RigLog:
    """A drive; the first camera looks ahead."""

    recording_id: str
    source: str
    body: str
    licence: str
    pose_time_us: Int64[Array, " pose"]
    world_from_rig: Float[Array, "pose 4 4"]  # of the rear axle on the ground
    cameras: Sequence[CameraLog]
    tags: tuple[str, ...] = ()
    max_gap_s: float | None = None  # between pictures; None: as for every other reader


def clips_of(log: RigLog, path: Path) -> ReadResult:
    """Clips at 10 Hz with all cameras at one size. A picture that cannot be read cuts there; what is too sparse is told as such."""
    front, quarantine = log.cameras[0], list[Quarantined]()
    if not len(front.time_us) or len(log.pose_time_us) < 2:
        reason = f"{len(front.time_us)} pictures of {front.name} and {len(log.pose_time_us)} poses: a clip needs both"
        return ReadResult(quarantine=[Quarantined(path=path, reason=reason)])
    size_px: tuple[int, int] | None = None
    pictures = dict[Path, UInt8[Array, "height width 3"]]()
    good = (front.time_us >= log.pose_time_us[0]) & (front.time_us <= log.pose_time_us[-1])
    gap_s = log.max_gap_s or MAX_GAP_S
    if cut_pieces(front.time_us, good, max_gap_s=gap_s):
        for index, file in enumerate(front.files):
            picture = _open(file, size_px, quarantine)
            good[index] &= picture is not None
            if picture is not None:
                size_px, pictures[file] = (picture.shape[1], picture.shape[0]), picture
    pieces = cut_pieces(front.time_us, good, max_gap_s=gap_s)
    if not pieces:
        step_s = float(np.median(np.diff(front.time_us))) / 1e6 if len(front.time_us) > 1 else 0.0
        reason = (
            f"{len(front.time_us)} pictures of {front.name}, one every {step_s:.2f} s: no piece of {MIN_CLIP_S:.0f} s without a gap over {gap_s} s"
        )
        return ReadResult(quarantine=[*quarantine, Quarantined(path=path, reason=f"{reason} (max_gap_s in ingest.toml allows longer ones)")])
    assert size_px is not None, "a piece has pictures"
    driven = solve(_track(log))
    clips = []
    for piece in pieces:
        sides = {}
        for other in log.cameras[1:]:
            stack = _at_ticks(other, piece.tick_us, gap_s, size_px, pictures, quarantine)
            if stack is not None:
                sides[other.name] = stack
        shown = [front, *(other for other in log.cameras[1:] if other.name in sides)]
        clips.append(
            Clip(
                recording_id=log.recording_id,
                source=log.source,
                body=log.body,
                licence=log.licence,
                timestamp_us=piece.tick_us,
                frames=np.stack([pictures[front.files[index]] for index in piece.nearest]),
                motion=driven.motion(piece.tick_us, kind="measured", body=BODIES[log.body]),
                side_frames=sides,
                cameras=tuple(_shrunk(one.camera, size_px) for one in shown),
                tags=log.tags,
            )
        )
    return ReadResult(clips=clips, quarantine=list({(entry.path, entry.reason): entry for entry in quarantine}.values()))


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


def _track(log: RigLog) -> Track:
    order = np.argsort(log.pose_time_us, kind="stable")
    time_us, first = np.unique(log.pose_time_us[order], return_index=True)
    poses = log.world_from_rig[order][first]
    flat = np.column_stack([poses[:, 0, 3] - poses[0, 0, 3], poses[:, 1, 3] - poses[0, 1, 3], np.arctan2(poses[:, 1, 0], poses[:, 0, 0])])
    return Track(time_us=time_us, poses_world=flat)


def _at_ticks(
    other: CameraLog,
    tick_us: Int64[Array, " tick"],
    gap_s: float,
    size_px: tuple[int, int],
    pictures: dict[Path, UInt8[Array, "height width 3"]],
    quarantine: list[Quarantined],
) -> UInt8[Array, "tick height width 3"] | None:
    """Another camera's nearest pictures; None where one is missing or unreadable."""
    if not len(other.time_us):
        return None
    nearest = nearest_index(other.time_us, tick_us)
    if np.abs(other.time_us[nearest] - tick_us).max() > (gap_s / 2 + _MOST_APART_S) * 1e6:
        return None
    for index in dict.fromkeys(nearest.tolist()):
        if other.files[index] not in pictures:
            picture = _open(other.files[index], size_px, quarantine)
            if picture is None:
                return None
            pictures[other.files[index]] = picture
    return np.stack([pictures[other.files[index]] for index in nearest])


def _open(file: Path, size_px: tuple[int, int] | None, quarantine: list[Quarantined]) -> UInt8[Array, "height width 3"] | None:
    try:
        return open_image(file, size_px)
    except (OSError, ValueError) as error:
        reason = "the picture is missing" if isinstance(error, FileNotFoundError) else f"picture unreadable ({error})"
        quarantine.append(Quarantined(path=file, reason=f"{reason}; cut there"))
        return None


def _shrunk(camera: Camera, size_px: tuple[int, int]) -> Camera:
    """The calibration at the size that pictures are kept at."""
    across, down = size_px[0] / camera.width_px, size_px[1] / camera.height_px
    centre = (camera.centre_px[0] * across, camera.centre_px[1] * down)
    return replace(camera, width_px=size_px[0], height_px=size_px[1], focal_px=camera.focal_px * (across + down) / 2, centre_px=centre)

"""comma2k19 segments: a minute of motorway with camera, pose and CAN.

What is assumed: `global_pose` is the camera's, 1.6 m ahead of the rear axle (not stated by the data set, and not measurable from motorway
driving); the device's yaw in the car is the median difference between where it looks and where it goes; rig yaw is its yaw less that.
World is east-north-up at the first frame. Row t's acceleration and curvature hold over [t, t + 0.1 s).
"""

from pathlib import Path

import av
import numpy as np
from jaxtyping import Float, Int64, UInt8

from motorworks.bodies.body import HIGHWAY_CAR
from motorworks.clips.clock import Piece, cut_pieces
from motorworks.clips.frames import iterate_video
from motorworks.clips.motion import WGS84_E2, motion_at_ticks
from motorworks.clips.recording import ClipReader, Quarantined, ReadResult
from motorworks.datatypes.clip import Clip
from motorworks.geometry.array import Array
from motorworks.geometry.se2 import wrap_angle

CAMERA_AHEAD_OF_REAR_AXLE_M = 1.6
_POSE_FILES = {"frame_times": (), "frame_positions": (3,), "frame_orientations": (4,), "frame_velocities": (3,)}
_MOVING_MPS = 5.0  # above this, course over ground is heading


class Comma2k19Reader(ClipReader):
    """Reads one segment folder."""

    name = "comma2k19"
    understands = "comma2k19 segment: a folder with global_pose/frame_times, frame_positions, ... (and video.hevc, processed_log/CAN)"

    def recognises(self, path: Path) -> bool:
        """A folder with a global_pose of the frames."""
        return (path / "global_pose").is_dir() and any((path / "global_pose" / name).is_file() for name in _POSE_FILES)

    def read(self, path: Path) -> ReadResult:
        """The segment as clips, usually one of a minute; pictures only where video.hevc is there."""
        quarantine: list[Quarantined] = []
        arrays = _read_pose(path / "global_pose", quarantine)
        if arrays is None:
            return ReadResult(quarantine=quarantine)
        time_us = np.nan_to_num(arrays["frame_times"] * 1e6, posinf=0.0, neginf=0.0).round().astype(np.int64)
        good = _check_rows(path / "global_pose", arrays, time_us, quarantine)
        pieces = cut_pieces(time_us, good)
        if not pieces:
            return ReadResult(quarantine=[*quarantine, Quarantined(path=path, reason=f"no gap-free piece of 3 s in {len(time_us)} frames")])
        frames, notes = _read_video(path / "video.hevc", pieces, len(time_us), quarantine)
        poses, speed = _to_rig(arrays, good)
        notes += _compare_can(path / "processed_log" / "CAN" / "speed", arrays["frame_times"], speed, good)
        clips = [
            Clip(
                recording_id=_recording_id(path),
                source="comma2k19",
                body=HIGHWAY_CAR.name,
                licence="MIT",
                timestamp_us=piece.tick_us,
                frames=None if frames is None else np.stack([frames[index] for index in piece.nearest]),
                motion=motion_at_ticks(piece.interpolate(time_us, poses), piece.interpolate(time_us, speed), kind="measured", body=HIGHWAY_CAR),
                tags=(f"segment:{path.name}",),
            )
            for piece in pieces
        ]
        return ReadResult(clips=clips, quarantine=quarantine, notes=[f"{path.name}: {note}" for note in notes])


def _recording_id(path: Path) -> str:
    """Segments of one route (folders 0, 1, 2 ... of it) are one recording."""
    path = path.resolve()
    return f"comma2k19-{path.parent.name}" if path.name.isdigit() else f"comma2k19-{path.parent.name}-{path.name}"


def _read_pose(folder: Path, quarantine: list[Quarantined]) -> dict[str, Float[Array, "frame *dim"]] | None:
    arrays = {}
    for name, shape in _POSE_FILES.items():
        try:
            with (folder / name).open("rb") as file:
                array = np.asarray(np.load(file, allow_pickle=False), np.float64)
            if array.ndim == 0 or array.shape[1:] != shape:
                raise ValueError(f"shape {array.shape}, expected {('frame', *shape)}")
            arrays[name] = array
        except (OSError, ValueError, EOFError) as error:
            reason = "missing" if isinstance(error, FileNotFoundError) else f"unreadable as .npy ({error})"
            quarantine.append(Quarantined(path=folder / name, reason=f"{reason}: the segment has no motion without it"))
            return None
    if len({len(array) for array in arrays.values()}) != 1:
        lengths = ", ".join(f"{name} {len(array)}" for name, array in arrays.items())
        quarantine.append(Quarantined(path=folder, reason=f"the pose files differ in length: {lengths}"))
        return None
    return arrays


def _check_rows(folder: Path, arrays: dict[str, Float[Array, "frame *dim"]], time_us: Int64[Array, " frame"], quarantine: list[Quarantined]) -> Array:
    """True where every number is finite; each bad run of a field, and each step back of the clock, is named."""
    good = np.ones(len(time_us), bool)
    for name, array in arrays.items():
        finite = np.isfinite(array.reshape(len(array), -1)).all(axis=1)
        if not finite.all():
            reason = f"{int((~finite).sum())} rows are not finite, the first is row {int(np.argmin(finite))}; cut there"
            quarantine.append(Quarantined(path=folder / name, reason=reason))
            good &= finite
    for index in np.flatnonzero((np.diff(time_us) < 0) & good[1:] & good[:-1]) + 1:
        reason = f"row {index}: time goes back by {(time_us[index - 1] - time_us[index]) / 1e6:.3f} s; cut there"
        quarantine.append(Quarantined(path=folder / "frame_times", reason=reason))
    return good


def _read_video(
    path: Path, pieces: list[Piece], num_frames: int, quarantine: list[Quarantined]
) -> tuple[dict[int, UInt8[Array, "height width 3"]] | None, list[str]]:
    """The pictures that the ticks need, by frame number (a raw stream: frame i belongs to frame_times[i])."""
    if not path.is_file():
        return None, [f"{path.name} missing: motion only"]
    wanted = {int(index) for piece in pieces for index in piece.nearest}
    try:
        frames = {index: frame for index, (_, frame) in enumerate(iterate_video(path)) if index in wanted}
    except (av.FFmpegError, ValueError, OSError) as error:
        reason = "0 bytes" if path.stat().st_size == 0 else f"undecodable ({error})"
        quarantine.append(Quarantined(path=path, reason=f"{reason}: motion only"))
        return None, []
    missing = wanted - frames.keys()
    if missing:
        quarantine.append(Quarantined(path=path, reason=f"ends before frame {min(missing)} of {num_frames}: motion only"))
        return None, []
    return frames, []


def _to_rig(arrays: dict[str, Float[Array, "frame *dim"]], good: Array) -> tuple[Float[Array, "frame 3"], Float[Array, " frame"]]:
    """Rear-axle poses in local east-north-up with continuous yaw, and signed speed along the rig's x. Bad rows hold the last good one."""
    hold = np.maximum.accumulate(np.where(good, np.arange(len(good)), int(np.argmax(good))))
    position, quaternion, velocity = (arrays[name][hold] for name in ("frame_positions", "frame_orientations", "frame_velocities"))
    w, x, y, z = (quaternion / np.linalg.norm(quaternion, axis=1, keepdims=True)).T
    forward_ecef = np.stack([1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)], axis=-1)  # first column of the rotation
    enu_from_ecef = _enu_from_ecef(position[0])
    forward, ground_velocity = forward_ecef @ enu_from_ecef.T, velocity @ enu_from_ecef.T
    camera_m = (position - position[0]) @ enu_from_ecef.T
    yaw = np.unwrap(np.arctan2(forward[:, 1], forward[:, 0]))
    moving = np.linalg.norm(ground_velocity[:, :2], axis=1) > _MOVING_MPS
    if moving.any():
        course = np.arctan2(ground_velocity[:, 1], ground_velocity[:, 0])
        yaw = yaw - np.median(wrap_angle(yaw - course)[moving])
    ahead = np.stack([np.cos(yaw), np.sin(yaw)], axis=-1)
    rear_m = camera_m[:, :2] - CAMERA_AHEAD_OF_REAR_AXLE_M * ahead
    return np.concatenate([rear_m, yaw[:, None]], axis=-1), np.sum(ground_velocity[:, :2] * ahead, axis=-1)


def _enu_from_ecef(position_m: Float[Array, " 3"]) -> Float[Array, "3 3"]:
    """Rotation to east-north-up there (geodetic latitude for a point near the ellipsoid: error under 1e-6 rad at 1 km)."""
    lon = np.arctan2(position_m[1], position_m[0])
    lat = np.arctan2(position_m[2], np.hypot(position_m[0], position_m[1]) * (1 - WGS84_E2))
    east = np.array([-np.sin(lon), np.cos(lon), 0.0])
    north = np.array([-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)])
    return np.stack([east, north, np.cross(east, north)])


def _compare_can(folder: Path, times_s: Float[Array, " frame"], speed: Float[Array, " frame"], good: Array) -> list[str]:
    """A second opinion on the speed, where CAN is there."""
    try:
        with (folder / "t").open("rb") as file:
            can_s = np.load(file, allow_pickle=False)
        with (folder / "value").open("rb") as file:
            can_mps = np.load(file, allow_pickle=False).reshape(len(can_s), -1)[:, 0]
        known = np.isfinite(can_s) & np.isfinite(can_mps)
        difference = np.interp(times_s[good], can_s[known], can_mps[known]) - speed[good]
    except (OSError, ValueError, TypeError, EOFError, IndexError):
        return ["no CAN speed to compare with"]
    return [f"CAN and pose speed differ by {np.sqrt(np.mean(difference**2)):.2f} m/s rmse"]

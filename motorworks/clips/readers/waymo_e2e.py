"""Waymo Open Dataset, End-to-End Driving: TFRecord shards of `E2EDFrame`, read without TensorFlow and without Waymo's package.

Written from the specification (waymo-open-dataset 1.6.7: end_to_end_driving_data.proto, dataset.proto), untested on real files: none could be
opened here, but shards that Waymo's own classes wrote could. Frames of all sequences lie shuffled over the shards of a split, so that one alone
has hardly a second of anything: reading a shard takes its share of the sequences (by checksum of their names) from all shards beside it, and
together the shards give each sequence once.

`context.name` is `<sequence>-<number>`, ten numbers a second. That rate is not in the specification and users report every time in the files to
be 0; where `timestamp_micros` is filled and increases, it is used. Their vehicle frame is ours (x forward, y left, z up, under the rear axle);
a camera's is x forward, y left, z up: turned here. Each frame has the path of the vehicle, 4 s back and 5 s ahead at 4 Hz, in its own frame and
without headings; poses come from laying the paths on each other. Lens distortion is left out. Intent is what the driver was told; straight, by far
the most, is our default. Trajectories rated by people are told by a tag, not read.
"""

import re
import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from motorworks.clips.clock import TICK_US
from motorworks.clips.motion import Track
from motorworks.clips.readers.pictures import ImageBytes
from motorworks.clips.readers.rig_log import FORWARD_FROM_OPTICAL, CameraLog, RigLog, as_videos, camera_from, clips_of, of_one_shape
from motorworks.clips.readers.settings import Settings, with_settings
from motorworks.clips.readers.wire import Message, fields
from motorworks.clips.recording import ClipReader, Quarantined, ReadResult, join
from motorworks.datatypes.rig import Camera
from motorworks.geometry.array import Array
from motorworks.geometry.se2 import wrap_angle
from motorworks.tokens.text import DEFAULT_INSTRUCTION

LICENCE = "Waymo-Open-NC"  # Waymo Dataset License Agreement for Non-Commercial Use
_SHARD = re.compile(r"(.+)\.tfrecord(?:-\d+-of-(\d+))?")
_CAMERAS = {1: "front", 2: "front_left", 3: "front_right", 4: "side_left", 5: "side_right", 6: "rear_left", 7: "rear", 8: "rear_right"}
_INTENTS = {0: DEFAULT_INSTRUCTION, 1: DEFAULT_INSTRUCTION, 2: "turn left now", 3: "turn right now"}
_FRAME, _FUTURE, _PAST, _INTENT, _RATED = 1, 5, 6, 7, 8  # of E2EDFrame
_CONTEXT, _TIME, _IMAGES = 1, 2, 4  # of Frame; of Context: name 1, calibrations 2
_STEP_S = 0.25
_STANDS_M = 0.3  # a path that spreads less has no direction: the vehicle stands, and does not turn


class WaymoE2EReader(ClipReader):
    """Reads a shard's share of the sequences."""

    name = "waymo_e2e"
    understands = "Waymo End-to-End shards: NAME.tfrecord-00000-of-00093 ..., all of a split in one folder"

    def recognises(self, path: Path) -> bool:
        """A file named as a shard."""
        return bool(_SHARD.fullmatch(path.name)) and path.is_file()

    def beside(self, path: Path) -> tuple[Path, ...]:
        """The other shards of its split."""
        return tuple(shard for shard in _shards(path) if shard.name != path.name)

    def read(self, path: Path) -> ReadResult:
        """The sequences as clips, their pictures encoded."""
        return with_settings(path, lambda settings: _read(path, settings))


def _shards(path: Path) -> list[Path]:
    kind = _SHARD.fullmatch(path.name)
    named = {one: _SHARD.fullmatch(one.name) for one in path.absolute().parent.iterdir()}
    return sorted(one for one, match in named.items() if match and kind and match.groups() == kind.groups() and one.is_file())


@dataclass(frozen=True, kw_only=True)
class _Frame:
    number: int
    time_us: int  # 0 where it is not told
    images: dict[str, memoryview]
    calibrations: Sequence[memoryview]
    path_s: Float[Array, " step"]
    path_m: Float[Array, "step 2"]
    speed_mps: float
    instruction: str
    rated: bool


def _read(path: Path, settings: Settings) -> ReadResult:
    from motorworks.clips.readers.tfrecord import records

    shards = _shards(path)
    mine = [shard.name for shard in shards].index(path.name)
    quarantine, frames = list[Quarantined](), defaultdict[str, dict[int, _Frame]](dict)
    for shard in shards:
        own = shard.name == path.name  # what cannot be said of a sequence is said once, by the shard itself
        try:
            for record in records(shard):
                try:
                    sequence, number = _name(record.data)
                except ValueError as error:
                    quarantine += [Quarantined(path=shard, reason=f"record {record.number} is no E2EDFrame ({error})")] if own else []
                    continue
                if zlib.crc32(sequence.encode()) % len(shards) != mine:
                    continue
                try:
                    if not record.whole:
                        raise ValueError("its bytes do not match their checksum: download the shard again")
                    frames[sequence].setdefault(number, _frame(number, Message.of(record.data)))
                except ValueError as error:
                    reason = f"record {record.number} ({sequence}-{number}) is left out: {error}"
                    quarantine.append(Quarantined(path=shard, reason=reason))
        except (ValueError, OSError) as error:
            quarantine += [Quarantined(path=shard, reason=str(error))] if own else []
    results = [_sequence(path, name, [by_number[one] for one in sorted(by_number)], settings) for name, by_number in sorted(frames.items())]
    read = join([ReadResult(quarantine=quarantine), *results])
    return replace(read, notes=list(dict.fromkeys(read.notes)))  # what is so in every sequence is said once


def _name(record: memoryview) -> tuple[str, int]:
    """Sequence and number, from the head of a record: frame, context and name come first in each message."""
    part = record
    for number in (_FRAME, _CONTEXT, 1):
        part = next((value for field, value in fields(part) if field == number and not isinstance(value, int)), memoryview(b""))
    sequence, _, count = bytes(part).decode(errors="replace").rpartition("-")
    if not sequence or not count.isdigit():
        raise ValueError(f"frame.context.name is {bytes(part[:80])!r}, not <sequence>-<number>")
    return sequence, int(count)


def _frame(number: int, record: Message) -> _Frame:
    frame, past, future = record.message(_FRAME), record.message(_PAST), record.message(_FUTURE)
    if (intent := record.integer(_INTENT)) not in _INTENTS:
        raise ValueError(f"intent is {intent}, not 0 to {len(_INTENTS) - 1}")
    behind, ahead = (
        _columns("past_states", past, {"pos_x": 1, "pos_y": 2, "vel_x": 4, "vel_y": 5}),
        _columns("future_states", future, {"pos_x": 1, "pos_y": 2}),
    )
    if not len(behind):
        raise ValueError("past_states is empty: neither speed nor path")
    images = {}
    for image in map(Message.of, frame.parts(_IMAGES)):
        if (name := _CAMERAS.get(image.integer(1))) is not None and image.parts(2):
            images[name] = image.parts(2)[-1]
    return _Frame(
        number=number,
        time_us=frame.integer(_TIME),
        images=images,
        calibrations=frame.message(_CONTEXT).parts(2),
        path_s=np.arange(1 - len(behind), len(ahead) + 1) * _STEP_S,
        path_m=np.concatenate([behind[:, :2], ahead]),
        speed_mps=float(np.copysign(np.hypot(*behind[-1, 2:]), behind[-1, 2])),
        instruction=_INTENTS[intent],
        rated=any((Message.of(one).floats(8) >= 0).any() for one in record.parts(_RATED)),
    )


def _columns(name: str, states: Message, numbers: dict[str, int]) -> Float[Array, "step column"]:
    columns = {field: states.floats(number) for field, number in numbers.items()}
    if len({len(column) for column in columns.values()}) != 1:
        raise ValueError(f"{name} has {', '.join(f'{len(column)} of {field}' for field, column in columns.items())}: not equally many")
    values = np.stack(list(columns.values()), axis=-1)
    if not np.isfinite(values).all():
        raise ValueError(f"{name} is not finite")
    return values


def _sequence(path: Path, name: str, frames: Sequence[_Frame], settings: Settings) -> ReadResult:
    where, quarantine = path / name, list[Quarantined]()
    stamps = np.array([frame.time_us for frame in frames], np.int64)
    time_us = stamps if stamps.all() and (np.diff(stamps) > 0).all() else np.array([frame.number for frame in frames], np.int64) * TICK_US
    calibrations = _calibrations(where, frames[0].calibrations, quarantine)
    logs = []
    for camera in sorted({camera for frame in frames for camera in frame.images}, key=lambda camera: (camera != "front", camera)):
        seen = [index for index, frame in enumerate(frames) if camera in frame.images]
        pictures = ImageBytes(path=where / camera, images=[frames[index].images[camera] for index in seen])
        logs.append(CameraLog(name=camera, time_us=time_us[seen], pictures=pictures, camera=calibrations.get(camera)))
    if not logs or logs[0].name != "front":
        return ReadResult(quarantine=[*quarantine, Quarantined(path=where, reason="no picture of the front camera")])
    logs, notes = of_one_shape(logs)
    log = RigLog(
        recording_id=f"waymo_e2e-{name}",
        source="waymo_e2e",
        body=settings.body,
        licence=LICENCE,
        track=Track(time_us=time_us, poses_world=_laid(frames, time_us), speed_mps=np.array([frame.speed_mps for frame in frames])),
        cameras=logs,
        tags=(f"sequence:{name}", *(["rated_trajectories"] if any(frame.rated for frame in frames) else [])),
        instructions=[(int(time), frame.instruction) for time, frame in zip(time_us, frames, strict=True)],
        max_gap_s=settings.max_gap_s,
    )
    return join([ReadResult(quarantine=quarantine, notes=notes), as_videos(clips_of(log, where))])


def _laid(frames: Sequence[_Frame], time_us: Any) -> Float[Array, "frame 3"]:
    """Poses in the frame of the first: each frame's path laid on that of half a second before, which has the very same steps."""
    poses = np.zeros((len(frames), 3))
    for index in range(1, len(frames)):
        before = min(index - 1, int(np.searchsorted(time_us, time_us[index] - 2 * round(_STEP_S * 1e6))))
        x, y, yaw = poses[before]
        ahead_m, left_m, turn = _moved(frames[before], frames[index], float(time_us[index] - time_us[before]) / 1e6)
        cos, sin = np.cos(yaw), np.sin(yaw)
        poses[index] = x + cos * ahead_m - sin * left_m, y + sin * ahead_m + cos * left_m, yaw + turn
    poses[:, 2] = wrap_angle(poses[:, 2])
    return poses


def _moved(before: _Frame, after: _Frame, step_s: float) -> tuple[float, float, float]:
    """Pose of a frame in one before: the rotation and shift that lay their common path best (least squares; Kabsch 1976 in the plane)."""
    there_s = after.path_s + step_s
    both = (there_s >= before.path_s[0]) & (there_s <= before.path_s[-1])
    if both.sum() < 2:
        return 0.0, 0.0, 0.0  # a gap of seconds: no clip reaches across it
    there, here = _between(before.path_s, before.path_m, there_s[both]), after.path_m[both]
    from_there, from_here = there - there.mean(axis=0), here - here.mean(axis=0)
    turn = 0.0
    if np.sqrt((from_here**2).sum(axis=1).mean()) > _STANDS_M:
        cross = from_here[:, 0] * from_there[:, 1] - from_here[:, 1] * from_there[:, 0]
        turn = float(np.arctan2(cross.sum(), (from_here * from_there).sum()))
    cos, sin = np.cos(turn), np.sin(turn)
    x, y = there.mean(axis=0) - np.array([[cos, -sin], [sin, cos]]) @ here.mean(axis=0)
    return float(x), float(y), turn


def _between(path_s: Float[Array, " step"], path_m: Float[Array, "step 2"], at_s: Float[Array, " time"]) -> Float[Array, "time 2"]:
    """Cubic Hermite between the steps."""
    slope = np.gradient(path_m, path_s, axis=0)
    left = np.clip(np.searchsorted(path_s, at_s, side="right") - 1, 0, len(path_s) - 2)
    width = (path_s[left + 1] - path_s[left])[:, None]
    u = (at_s - path_s[left])[:, None] / width
    ends = (2 * u**3 - 3 * u**2 + 1) * path_m[left] + (3 * u**2 - 2 * u**3) * path_m[left + 1]
    return ends + width * ((u**3 - 2 * u**2 + u) * slope[left] + (u**3 - u**2) * slope[left + 1])


def _calibrations(where: Path, entries: Sequence[memoryview], quarantine: list[Quarantined]) -> dict[str, Camera]:
    cameras = {}
    for entry in map(Message.of, entries):
        name = _CAMERAS.get(entry.integer(1), "unknown")
        try:
            intrinsic, pose = entry.floats(2, 8), entry.message(3).floats(1, 8)
            if len(intrinsic) < 4 or len(pose) != 16 or not np.isfinite([*intrinsic, *pose]).all():
                raise ValueError("intrinsic needs 4 and extrinsic 16 finite numbers")
            pose = pose.reshape(4, 4)
            if abs(np.linalg.det(pose[:3, :3]) - 1) > 0.01:
                raise ValueError("extrinsic is no rotation")
            matrix = np.array([[intrinsic[0], 0, intrinsic[2]], [0, intrinsic[1], intrinsic[3]], [0, 0, 1]])
            cameras[name] = camera_from(name, (entry.integer(4), entry.integer(5)), matrix, pose @ FORWARD_FROM_OPTICAL)
        except ValueError as error:
            quarantine.append(Quarantined(path=where, reason=f"calibration of camera {name}: {error}; the sequence is taken without calibration"))
    return cameras

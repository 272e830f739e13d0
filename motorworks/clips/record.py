"""A clip as bytes: a head that says what it is, then its videos, one after another. The rows that packs and tables keep about it."""

import hashlib
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from itertools import chain, groupby, repeat
from typing import Any

import msgspec
import numpy as np
from jaxtyping import UInt8

from motorworks.clips import motion_code
from motorworks.clips.cut import cut
from motorworks.clips.digest import clip_digest, content_digest
from motorworks.clips.frames import decode_mp4, decode_whole, encode_mp4, video_size
from motorworks.datatypes.clip import Clip
from motorworks.datatypes.rig import Camera
from motorworks.datatypes.thought import Thought
from motorworks.datatypes.trajectory import DT_S
from motorworks.geometry.array import Array

ID_LETTERS = 32  # of a digest in hexadecimal: 128 bits
_HEAD = struct.Struct("<I")


class View(msgspec.Struct, frozen=True, array_like=True):
    """One camera's video of a clip: `nbytes` from `start` of its record on."""

    camera: str
    start: int
    nbytes: int
    height_px: int
    width_px: int
    check: int = 0  # crc32 of the record's head and this video: all that is read for one camera


class ClipRow(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked about a clip without opening it."""

    clip_id: str
    content_id: str  # equal for the same content under two names
    recording_id: str
    source: str
    body: str
    licence: str
    tags: tuple[str, ...]
    start_us: int
    num_steps: int
    motion_kind: str | None
    instruction_kind: str | None
    num_thoughts: int  # steps with one
    views: tuple[View, ...]  # none: motion only; the first looks ahead
    mean_speed_mps: float | None
    max_speed_mps: float | None
    min_accel_mps2: float | None
    max_lateral_accel_mps2: float | None
    distance_m: float | None
    turn_rad: float | None  # heading at the end against the start, unwrapped
    nbytes: int
    check: str  # of the record's bytes
    offset: int = -1  # of its record in its pack, once it lies in one

    @property
    def duration_s(self) -> float:
        """From the first step to the last."""
        return (self.num_steps - 1) * DT_S


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    clip_id: str
    recording_id: str
    source: str
    body: str
    licence: str
    tags: tuple[str, ...]
    num_steps: int
    motion_kind: str | None
    motion: bytes  # motion_code: clock and motion
    instructions: list[Any] | None
    instruction_kind: str | None
    thoughts: list[Any] | None
    cameras: list[dict[str, Any]]
    videos: list[tuple[str, int, int, int]]  # camera, bytes, height, width


def encode_record(clip: Clip) -> tuple[ClipRow, bytes]:
    """The clip's bytes and its row; pictures that are encoded already go in as they are."""
    clip = motion_code.quantise(clip)
    content = content_digest(clip)
    clip_id = clip_digest(clip, content)[:ID_LETTERS]
    videos = encode_videos(clip)
    head = _Head(
        clip_id=clip_id,
        recording_id=clip.recording_id,
        source=clip.source,
        body=clip.body,
        licence=clip.licence,
        tags=clip.tags,
        num_steps=len(clip.timestamp_us),
        motion_kind=clip.motion and clip.motion.kind,
        motion=motion_code.encode(clip),
        instructions=None if clip.instructions is None else pack_runs(clip.instructions),
        instruction_kind=clip.instruction_kind,
        thoughts=None if clip.thoughts is None else pack_runs([thought and (thought.decision, thought.cause) for thought in clip.thoughts]),
        cameras=[asdict(camera) for camera in clip.cameras],
        videos=[(name, len(video), height, width) for name, (video, height, width) in videos.items()],
    )
    packed = msgspec.msgpack.encode(head)
    packed = _HEAD.pack(len(packed)) + packed
    record = b"".join([packed, *(video for video, _, _ in videos.values())])
    row = ClipRow(
        clip_id=clip_id,
        content_id=content[:ID_LETTERS],
        recording_id=clip.recording_id,
        source=clip.source,
        body=clip.body,
        licence=clip.licence,
        tags=clip.tags,
        start_us=int(clip.timestamp_us[0]),
        num_steps=len(clip.timestamp_us),
        motion_kind=head.motion_kind,
        instruction_kind=clip.instruction_kind,
        num_thoughts=sum(thought is not None for thought in clip.thoughts or ()),
        views=_views(packed, videos),
        **_summary(clip),
        nbytes=len(record),
        check=checksum(record),
    )
    return row, record


def decode_record(record: bytes | memoryview, *, cameras: Sequence[str] | None = None, decode: bool = True) -> Clip:
    """The clip of a record. `cameras` names those whose pictures are wanted (None: all); undecoded they come as `encoded`."""
    head, start = _read_head(record)
    encoded: dict[str, bytes] = {}
    pictures: dict[str, Any] = {}
    for name, nbytes, height, width in head.videos:
        video = memoryview(record)[start : start + nbytes]
        start += nbytes
        if cameras is not None and name not in cameras:
            continue
        if not decode:
            encoded[name] = bytes(video)
            continue
        pictures[name] = decode_mp4(video, height_px=height, width_px=width)
        _check_number(head, name, len(pictures[name]), head.num_steps)
    front = head.videos[0][0] if head.videos else None
    return _clip(head, frames=pictures.pop(front, None), side_frames=pictures, encoded=encoded)


def decode_view(head_bytes: bytes | memoryview, video: memoryview | bytes, camera: int, *, start: int = 0, stop: int | None = None) -> Clip:
    """Steps [start, stop) of a clip with the pictures of one camera (its place in the record) as `frames`; no others are decoded."""
    head, _ = _read_head(head_bytes)
    stop = head.num_steps if stop is None else stop
    name, _, height, width = head.videos[camera]
    frames = decode_mp4(video, height_px=height, width_px=width, start=start, stop=stop)
    _check_number(head, name, len(frames), stop - start)
    whole = _clip(head, frames=np.broadcast_to(frames[:1], (head.num_steps, *frames.shape[1:])))  # stands in until the cut
    return replace(cut(whole, start, stop), frames=frames)


def view_name(head_bytes: bytes | memoryview, camera: int) -> str:
    """The camera of a record's video, by its place."""
    return _read_head(head_bytes)[0].videos[camera][0]


def _check_number(head: _Head, camera: str, num: int, expected: int) -> None:
    if num != expected:
        raise ValueError(f"clip {head.clip_id}: camera {camera} has {num} pictures for {expected} steps")


def _clip(head: _Head, **pictures: Any) -> Clip:
    clock, motion = motion_code.decode(head.motion, head.num_steps, head.motion_kind)
    return Clip(
        recording_id=head.recording_id,
        source=head.source,
        body=head.body,
        licence=head.licence,
        tags=head.tags,
        timestamp_us=clock,
        motion=motion,
        cameras=cameras_of(head.cameras),
        instructions=head.instructions and tuple(unpack_runs(head.instructions)),
        instruction_kind=head.instruction_kind,
        thoughts=head.thoughts and tuple(words and Thought(decision=words[0], cause=words[1]) for words in unpack_runs(head.thoughts)),
        **pictures,
    )


def cameras_of(fields: Sequence[Mapping[str, Any]]) -> tuple[Camera, ...]:
    """Cameras from their fields, in which JSON and MessagePack have lists for tuples."""
    return tuple(Camera(**{**camera, **{key: tuple(camera[key]) for key in ("centre_px", "position_rig_m")}}) for camera in fields)


def _read_head(record: bytes | memoryview) -> tuple[_Head, int]:
    """What a record says it is, and where its videos start."""
    (length,) = _HEAD.unpack_from(record)
    return msgspec.msgpack.decode(memoryview(record)[_HEAD.size : _HEAD.size + length], type=_Head), _HEAD.size + length


def head_nbytes(start: bytes) -> int:
    """Length of a record's head, itself included, by its first four bytes."""
    return _HEAD.size + int(_HEAD.unpack(start)[0])


def checksum(data: bytes | memoryview) -> str:
    """Half of a sha256."""
    return hashlib.sha256(data).hexdigest()[:ID_LETTERS]


def pack_runs(values: Sequence[Any]) -> list[list[Any]]:
    """Runs of equal values as [how many, value]: words change seldom."""
    return [[len(list(group)), value] for value, group in groupby(values)]


def unpack_runs(runs: Sequence[Sequence[Any]]) -> list[Any]:
    """The values of `pack_runs`."""
    return list(chain.from_iterable(repeat(value, num) for num, value in runs))


def front_frames(clip: Clip) -> UInt8[Array, "time height width 3"] | None:
    """The pictures of the camera that looks ahead, decoded where they come encoded; None without pictures."""
    if clip.frames is not None or not clip.encoded:
        return clip.frames
    return decode_whole(clip.encoded[clip.front_camera])


def encode_videos(clip: Clip) -> Mapping[str, tuple[bytes, int, int]]:
    """MP4, height and width by camera, the one that looks ahead first."""
    if clip.encoded:
        return {name: (video, *video_size(video)) for name, video in clip.encoded.items()}
    frames = {} if clip.frames is None else {clip.front_camera: clip.frames}
    return {name: (encode_mp4(pictures), pictures.shape[1], pictures.shape[2]) for name, pictures in (frames | dict(clip.side_frames)).items()}


def encoded(clip: Clip, front: str) -> Clip:
    """The clip with its pictures as a store keeps them, a thirtieth of the memory: for readers whose recordings hold many clips. `front` is
    the name of the camera that looks ahead. Pictures that the codec pads stay as they are: their size would be lost.
    """
    if clip.frames is None:
        return clip
    pictures = {front: clip.frames, **clip.side_frames}
    videos = {name: encode_mp4(frames) for name, frames in pictures.items()}
    if any(video_size(video) != pictures[name].shape[1:3] for name, video in videos.items()):
        return clip
    return replace(clip, frames=None, side_frames={}, encoded=videos)


def _views(head: bytes, videos: Mapping[str, tuple[bytes, int, int]]) -> tuple[View, ...]:
    views, start, head_check = [], len(head), zlib.crc32(head)
    for name, (video, height, width) in videos.items():
        check = zlib.crc32(video, head_check)
        views.append(View(camera=name, start=start, nbytes=len(video), height_px=height, width_px=width, check=check))
        start += len(video)
    return tuple(views)


def _summary(clip: Clip) -> dict[str, float | None]:
    names = ("mean_speed_mps", "max_speed_mps", "min_accel_mps2", "max_lateral_accel_mps2", "distance_m", "turn_rad")
    if clip.motion is None:
        return dict.fromkeys(names)
    speed, yaw = np.asarray(clip.motion.speed_mps, np.float64), np.unwrap(clip.motion.poses_world[:, 2])
    values = (
        speed.mean(),
        speed.max(),
        clip.motion.accel_mps2.min(),
        np.abs(speed**2 * clip.motion.curvature_per_m).max(),
        np.hypot(*np.diff(clip.motion.poses_world[:, :2], axis=0).T).sum(),
        yaw[-1] - yaw[0],
    )
    return {name: round(float(value), 4) for name, value in zip(names, values, strict=True)}

"""Generated Waymo End-to-End shards come back as the drives they were made from; what is torn is named."""

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from motorworks.clips.frames import decode_mp4
from motorworks.clips.reader import find, read, read_beside
from motorworks.clips.readers.tfrecord import masked_crc32c, records
from motorworks.clips.readers.wire import Message, fields
from motorworks.datatypes.rig import SURROUND7

NUM, SHARDS = 40, 3
LEVELS = np.random.default_rng(3).integers(5, 180, NUM)  # of grey: each picture is known by its own
SIZES = {1: (120, 134), 2: (120, 134), 7: (120, 68)}  # front, front left, rear: of another shape
# distance along a circle, curvature and intent, over time: one goes round steadily, one stands and then pulls away to the right
DRIVES: dict[str, tuple[Callable[[Any], Any], float, Callable[[float], int]]] = {
    "round": (lambda time_s: 8.0 * time_s, 0.02, lambda time_s: 2 if time_s > 1.95 else 1),
    "pulls-away": (lambda time_s: np.maximum(0, time_s - 1.5) ** 2, -0.05, lambda time_s: 3),
}


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def _part(number: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    value = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _floats(number: int, values: Any) -> bytes:
    return _part(number, np.asarray(values, "<f4").tobytes())


def _doubles(number: int, values: Any) -> bytes:
    """One by one: the fields are not packed."""
    return b"".join(_varint(number << 3 | 1) + struct.pack("<d", value) for value in np.ravel(values))


def _pose(drive: str, time_s: Any) -> tuple[Any, Any]:
    along, curvature, _ = DRIVES[drive]
    yaw = 0.7 + along(time_s) * curvature
    return np.stack([np.sin(yaw), -np.cos(yaw)], axis=-1) / curvature, yaw


@dataclass
class Parts:
    """The parts of one record, as they are written; a fault changes one."""

    name: str
    time_us: int
    intent: int
    images: dict[int, bytes]
    past: dict[int, Any]
    future: dict[int, Any]
    calibrations: list[bytes] = field(default_factory=list)
    rated: tuple[float, ...] = (-1.0, -1.0)

    def record(self) -> bytes:
        context = _part(1, self.name) + b"".join(_part(2, one) for one in self.calibrations)
        images = b"".join(_part(4, _part(1, camera) + _part(2, jpeg)) for camera, jpeg in self.images.items())
        frame = _part(1, context) + _part(2, self.time_us) + images
        past, future = (b"".join(_floats(number, values) for number, values in states.items()) for states in (self.past, self.future))
        score = b"".join(_part(8, _varint(8 << 3 | 5) + struct.pack("<f", one)) for one in self.rated)
        return _part(1, frame) + _part(5, future) + _part(6, past) + _part(7, self.intent) + score


def _parts(drive: str, number: int) -> Parts:
    time_s = number / 10
    along, _, intent = DRIVES[drive]
    position, yaw = _pose(drive, time_s)
    steps = np.arange(-15, 21) / 4
    away = _pose(drive, time_s + steps)[0] - position
    path = away @ np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
    speed = (along(time_s + steps[:16] + 1e-4) - along(time_s + steps[:16] - 1e-4)) / 2e-4
    turned = _pose(drive, time_s + steps[:16])[1] - yaw
    images, calibrations = {}, []
    for camera, size in SIZES.items():
        file = io.BytesIO()
        Image.fromarray(np.full((*size[::-1], 3), LEVELS[number] + 10 * camera, np.uint8)).save(file, "JPEG")
        images[camera] = file.getvalue()
        mount = SURROUND7.cameras[{1: 0, 2: 1, 7: 6}[camera]]
        own = np.eye(4)
        own[:3, :3], own[:3, 3] = mount.rig_from_camera[:, [2, 0, 1]] * [1, -1, -1], mount.position_rig_m  # x forward, y left, z up
        calibrations.append(
            _part(1, camera) + _doubles(2, [110, 110, 60, 50, 0.1, 0, 0, 0, 0]) + _part(3, _doubles(1, own)) + _part(4, size[0]) + _part(5, size[1])
        )
    return Parts(
        name=f"{drive}-{number:03d}",
        time_us=0,
        intent=intent(time_s),
        images=images,
        past={1: path[:16, 0], 2: path[:16, 1], 4: speed * np.cos(turned), 5: speed * np.sin(turned), 6: np.zeros(16), 7: np.zeros(16)},
        future={1: path[16:, 0], 2: path[16:, 1], 3: np.zeros(20)},
        calibrations=calibrations,
    )


def _framed(record: bytes) -> bytes:
    length = struct.pack("<Q", len(record))
    return length + struct.pack("<I", masked_crc32c(length)) + record + struct.pack("<I", masked_crc32c(record))


def _shards(folder: Path, edit: Callable[[Parts], object] = lambda parts: None, drives: tuple[str, ...] = tuple(DRIVES)) -> list[Path]:
    """Frames shuffled over the shards of a split."""
    frames = [_parts(drive, number) for drive in drives for number in range(NUM)]
    for parts in frames:
        edit(parts)
    order = np.random.default_rng(0).permutation(len(frames))
    paths = [folder / f"val_2025.tfrecord-{shard:05d}-of-{SHARDS:05d}" for shard in range(SHARDS)]
    for shard, path in enumerate(paths):
        path.write_bytes(b"".join(_framed(frames[index].record()) for index in order[shard::SHARDS]))
    return paths


def test_generated_shards_are_the_drives_they_were_made_from(tmp_path: Path) -> None:
    _shards(tmp_path)
    result = read([tmp_path])
    clips = {clip.recording_id.removeprefix("waymo_e2e-"): clip for clip in result.clips}
    assert not result.quarantine and sorted(clips) == sorted(DRIVES) and len(result.clips) == len(DRIVES)
    for name, clip in clips.items():
        time_s, (position, yaw) = clip.timestamp_us / 1e6, _pose(name, clip.timestamp_us / 1e6)
        turn = np.array([[np.cos(yaw[0]), -np.sin(yaw[0])], [np.sin(yaw[0]), np.cos(yaw[0])]])
        np.testing.assert_allclose(clip.motion.poses_world[:, :2], (position - position[0]) @ turn, atol=0.03)
        np.testing.assert_allclose(clip.motion.poses_world[:, 2], yaw - yaw[0], atol=0.004)
        speed = np.gradient(DRIVES[name][0](time_s), time_s)
        np.testing.assert_allclose(clip.motion.speed_mps[1:-1], speed[1:-1], atol=0.06)
        far = speed > 1.5
        np.testing.assert_allclose(clip.motion.curvature_per_m[far], DRIVES[name][1], rtol=0.05)
        assert clip.instruction_kind == "given" and clip.licence == "Waymo-Open-NC" and "rated_trajectories" not in clip.tags
    assert clips["round"].instructions == ("follow the road",) * 20 + ("turn left now",) * 20
    assert set(clips["pulls-away"].instructions) == {"turn right now"}


def test_pictures_and_calibration_are_those_of_their_cameras(tmp_path: Path) -> None:
    _shards(tmp_path, drives=("round",))
    result = read([tmp_path])
    (clip,) = result.clips
    front, left = (decode_mp4(video, height_px=134, width_px=120).mean(axis=(1, 2, 3)) for video in clip.encoded.values())
    assert np.abs(front - LEVELS - 10).max() < 6 and np.abs(left - front - 10).max() < 6
    assert [camera.name for camera in clip.cameras] == list(clip.encoded) == ["front", "front_left"]
    assert any("rear: left out" in note for note in result.notes)
    ahead, side = clip.cameras
    assert ahead.focal_px == pytest.approx(110) and ahead.centre_px == pytest.approx((60, 50)) and ahead.yaw_rad == pytest.approx(0, abs=1e-6)
    assert side.yaw_rad == pytest.approx(np.deg2rad(55), abs=1e-6) and side.position_rig_m == pytest.approx((1.4, 0.4, 1.5))


def test_a_shard_depends_on_all_of_its_split_and_takes_its_own_share(tmp_path: Path) -> None:
    paths = _shards(tmp_path)
    (tmp_path / "train.tfrecord-00000-of-00003").write_bytes(b"")
    assert [one.name for one in read_beside(paths[1])] == [paths[0].name, paths[2].name]
    shares = [{clip.recording_id for clip in reader.read(path).clips} for reader, path in find(paths)]
    assert sum(map(len, shares)) == len(set().union(*shares)) == len(DRIVES)


def test_times_that_are_told_are_used_and_ratings_are_tagged(tmp_path: Path) -> None:
    def told(parts: Parts) -> None:
        number = int(parts.name[-3:])
        parts.time_us, parts.rated = 1_700_000_000_000_000 + 100_000 * number, (8.0, -1.0) if number == 7 else (-1.0,)

    _shards(tmp_path, told, drives=("round",))
    (clip,) = read([tmp_path]).clips
    assert clip.timestamp_us[0] == 1_700_000_000_000_000 and "rated_trajectories" in clip.tags


def test_a_split_without_a_future_is_read_too(tmp_path: Path) -> None:
    _shards(tmp_path, lambda parts: parts.future.clear(), drives=("round",))
    (clip,) = read([tmp_path]).clips
    np.testing.assert_allclose(clip.motion.curvature_per_m, 0.02, rtol=0.1)


def test_the_checksum_and_the_wire_format_are_the_published_ones() -> None:
    crc = 0xE3069283  # of "123456789", RFC 3720 B.4's polynomial
    assert masked_crc32c(b"123456789") == (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
    assert list(fields(memoryview(b"\x08\x96\x01"))) == [(1, 150)]  # the encoding guide's first example
    assert bytes(Message.of(memoryview(b"\x12\x07testing")).parts(2)[0]) == b"testing"
    for torn in (b"\x08", b"\x12\x07test", b"\x0b", b"\x09\x00", b"\x08" + b"\x80" * 11):
        with pytest.raises(ValueError, match=r"beyond its message|wire type"):
            list(fields(memoryview(torn)))


def _only(number: int, change: Callable[[Parts], object]) -> Callable[[Parts], None]:
    return lambda parts: change(parts) if parts.name == f"round-{number:03d}" else None


def _not_finite(parts: Parts) -> None:
    parts.past[4][3] = np.nan


def _first_camera(parts: Parts, extrinsic: bytes) -> None:
    parts.calibrations[0] = _part(1, 1) + _doubles(2, [1] * 9) + _part(3, extrinsic) + _part(4, 120) + _part(5, 134)


# of one record of 40, in the middle or near the end: the sequence goes on without it
FAULTS: dict[str, tuple[Callable[[Parts], object], str, int]] = {
    "no past": (_only(20, lambda parts: parts.past.clear()), "past_states is empty", 1),
    "no speed": (_only(20, lambda parts: parts.past.pop(4)), "past_states has 16 of pos_x, 16 of pos_y, 0 of vel_x", 1),
    "not a number": (_only(20, _not_finite), "(round-20) is left out: past_states is not finite", 1),
    "an unknown intent": (_only(20, lambda parts: setattr(parts, "intent", 9)), "intent is 9, not 0 to 3", 1),
    "a name without a number": (_only(20, lambda parts: setattr(parts, "name", "round")), "not <sequence>-<number>", 1),
    "a torn picture": (_only(38, lambda parts: parts.images.update({1: b"\xff\xd8torn"})), "picture unreadable", 1),
    "no front picture": (lambda parts: parts.images.pop(1), "no picture of the front camera", 0),
    "no extrinsic": (lambda parts: _first_camera(parts, b""), "extrinsic 16 finite numbers", 1),
    "no rotation": (lambda parts: _first_camera(parts, _doubles(1, [0] * 16)), "extrinsic is no rotation", 1),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_frame_is_named_and_the_rest_is_taken(tmp_path: Path, fault: str) -> None:
    edit, words, num_clips = FAULTS[fault]
    _shards(tmp_path, edit, drives=("round",))
    result = read([tmp_path])
    (entry,) = result.quarantine
    assert words in entry.reason and len(result.clips) == num_clips
    for clip in result.clips:
        assert len(clip.timestamp_us) == (38 if fault == "a torn picture" else NUM)
        np.testing.assert_allclose(clip.motion.speed_mps, 8.0, rtol=1e-3)


def _flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)


def _second(path: Path) -> int:
    return 12 + len(next(records(path)).data) + 4


TORN: dict[str, tuple[Callable[[Path], object], str, int]] = {
    "a byte of a record": (lambda path: _flip(path, 12 + 4000), "do not match their checksum", 1),
    "a length": (lambda path: _flip(path, _second(path)), "the length of record 1 is torn; what follows cannot be found", 0),
    "the end": (lambda path: path.write_bytes(path.read_bytes()[:-100]), "the file ends within record", 1),
    "all of it": (lambda path: path.write_bytes(b""), "0 bytes", 0),
    "no TFRecord": (lambda path: path.write_bytes(b"hello, this is a text"), "the length of record 0 is torn", 0),
}


@pytest.mark.parametrize("fault", TORN)
def test_a_torn_shard_is_named_once_and_what_can_be_found_is_taken(tmp_path: Path, fault: str) -> None:
    damage, words, num_clips = TORN[fault]
    damage(_shards(tmp_path, drives=("round",))[0])
    result = read([tmp_path])
    assert sum(words in entry.reason for entry in result.quarantine) == 1
    assert len([clip for clip in result.clips if len(clip.timestamp_us) >= 30]) == num_clips
    assert num_clips or all("no piece" in entry.reason or words in entry.reason for entry in result.quarantine)

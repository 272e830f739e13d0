"""Tesla's dash-cam folders: videos with telemetry written into their H.264 come back as the drive it was made from."""

import io
import shutil
import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from motorworks.bodies.body import CAR
from motorworks.clips.frames import decode_mp4
from motorworks.clips.reader import find, read
from motorworks.clips.readers.tesla_sei import message, read_seen, units

HZ, NUM, SPEED_MPS, YAW_RATE = 36, 180, 8.0, 0.1
STAMP = "2026-01-31_17-05-06"
START_US = 1_769_879_106_000_000
FRONT = f"{STAMP}-front.mp4"
Values = dict[int, float]  # by field number of SeiMetadata


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def _message(values: Values) -> bytes:
    """As proto3 writes it: what is zero is left out."""
    out = b""
    for number, value in sorted(values.items()):
        if value == 0:
            continue
        if number in (4, 5, 6):
            out += _varint(number << 3 | 5) + struct.pack("<f", value)
        elif number >= 11:
            out += _varint(number << 3 | 1) + struct.pack("<d", value)
        else:
            out += _varint(number << 3) + _varint(int(value))
    return out


def _unit(body: bytes) -> bytes:
    """An SEI unit around it, with a 3 wherever two zeros are followed by 0 to 3."""
    plain = b"\x06\x05" + bytes([min(254, len(body) + 4)]) + b"\x42\x42\x42\x69" + body + b"\x80"
    out, zeros = bytearray(), 0
    for byte in plain:
        if zeros == 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)


def _levels(camera: int) -> np.ndarray:
    return 20 + camera + np.arange(NUM) / HZ * 20


def _video(path: Path, levels: np.ndarray, bodies: Sequence[bytes | None] = ()) -> None:
    """H.264 in MP4, a message before each frame that has one."""
    plain = io.BytesIO()
    with av.open(plain, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=HZ, options={"preset": "ultrafast", "threads": "1", "crf": "4", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for index, level in enumerate(levels):
            frame = av.VideoFrame.from_ndarray(np.full((96, 128, 3), level, np.uint8), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, HZ)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(io.BytesIO(plain.getvalue())) as source, av.open(str(path), "w", format="mp4") as out:
        stream = source.streams.video[0]
        own = out.add_stream_from_template(stream)
        for index, packet in enumerate(packet for packet in source.demux(stream) if packet.size):
            body = bodies[index] if index < len(bodies) else None
            unit = b"" if body is None else _unit(body)
            more = av.Packet((struct.pack(">I", len(unit)) + unit if unit else b"") + bytes(packet))
            more.pts, more.dts, more.time_base, more.is_keyframe, more.stream = packet.pts, packet.dts, packet.time_base, packet.is_keyframe, own
            out.mux(more)


def _circle(index: int) -> Values:
    """A left circle with self-driving on."""
    heading = np.rad2deg(np.pi / 2 - (0.4 + YAW_RATE * index / HZ)) % 360
    wheel = -15 * np.rad2deg(np.arctan(YAW_RATE / SPEED_MPS * CAR.wheelbase_m))  # positive to the right
    return {1: 1, 2: 1, 3: 70_000 + index, 4: SPEED_MPS, 5: 0.25, 6: wheel, 7: 1, 10: 1, 11: 52.5, 12: 13.4, 13: heading, 14: 0.5}


def _event(folder: Path, said: Callable[[int], Values] = _circle, cameras: Sequence[str] = ("back", "left_repeater")) -> Path:
    """An event's folder with one minute, of five seconds."""
    _video(folder / FRONT, _levels(0), [_message(said(index)) for index in range(NUM)])
    for place, camera in enumerate(cameras, start=1):
        _video(folder / f"{STAMP}-{camera}.mp4", _levels(60 * place))
    (folder / "event.json").write_text('{"reason": "user_interaction_dashcam_icon_tapped"}')
    return folder


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _event(tmp_path_factory.mktemp("SavedClips") / "2026-01-31_17-06-00")


@pytest.fixture
def event(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / written.name))


def test_a_folder_is_the_drive_it_was_made_from(event: Path) -> None:
    result = read([event.parent])
    (clip,) = result.clips
    assert not result.quarantine and (clip.source, clip.body, clip.motion.kind) == ("tesla", "car", "measured")
    assert clip.recording_id == "tesla-2026-01-31" and clip.instructions is None and clip.timestamp_us[0] == START_US
    assert clip.tags == (f"file:{FRONT}", "autopilot:self_driving") and list(clip.encoded) == ["front", "back", "left_repeater"]
    inner = slice(8, -8)
    np.testing.assert_allclose(clip.motion.speed_mps[inner], SPEED_MPS, rtol=1e-3)
    np.testing.assert_allclose(clip.motion.curvature_per_m[inner], YAW_RATE / SPEED_MPS, rtol=0.02)
    np.testing.assert_allclose(clip.motion.poses_world[20, 2], 0.4 + YAW_RATE * 2, atol=0.01)  # east is 0, north pi / 2
    ticks = np.arange(len(clip.timestamp_us)) / 10
    for place, video in enumerate(clip.encoded.values()):  # the same moments
        levels = decode_mp4(video, height_px=96, width_px=128).mean(axis=(1, 2, 3))
        assert np.abs(levels - (20 + 60 * place + 20 * ticks)).max() <= 3.5
    assert any("motion from speed and the heading; telemetry for 5.0 of 5.0 s" in note for note in result.notes)


def test_one_file_is_its_minute(event: Path) -> None:
    _event(event / "other")
    (found,) = find([event / FRONT])
    assert found[0].name == "tesla" and len(read([event / FRONT]).clips) == 1
    assert [place.name for _, place in find([event.parent])] == [event.name]  # a folder, not its files


def test_reverse_is_negative_and_without_a_fix_the_wheel_counts(tmp_path: Path) -> None:
    def back(index: int) -> Values:
        return _circle(index) | {2: 2, 11: 0, 12: 0, 13: 0}

    (clip,) = read([_event(tmp_path / "a", back, ())]).clips
    np.testing.assert_allclose(clip.motion.speed_mps, -SPEED_MPS, rtol=1e-3)
    np.testing.assert_allclose(clip.motion.curvature_per_m, YAW_RATE / SPEED_MPS, rtol=1e-3)  # to the left, driven backwards
    assert clip.motion.poses_world[-1, 2] == pytest.approx(-YAW_RATE * 4.9, abs=0.02)


def test_without_telemetry_there_are_pictures_only(tmp_path: Path) -> None:
    _video(tmp_path / "event" / FRONT, _levels(0))
    result = read([tmp_path / "event"])
    assert [clip.motion for clip in result.clips] == [None] and not result.quarantine
    assert "pictures only" in result.notes[0] and result.clips[0].source == "tesla"


def test_other_videos_still_go_to_the_dash_cam_reader(tmp_path: Path) -> None:
    _video(tmp_path / "2026-01-31.mp4", _levels(0), [_message(_circle(index)) for index in range(NUM)])
    assert [(reader.name, place.name) for reader, place in find([tmp_path])] == [("video", "2026-01-31.mp4")]


def test_what_is_written_into_the_video_is_read_to_the_bit(event: Path) -> None:
    seen = read_seen(event / FRONT)
    assert len(seen.time_us) == len(seen.said_us) == NUM and seen.num_torn == 0 and seen.ended is None
    for index in (0, 7, NUM - 1):
        wanted = _circle(index)
        for name, number in {"gear": 2, "autopilot": 10, "lat_deg": 11, "lon_deg": 12, "heading_deg": 13}.items():
            assert seen.said[name][index] == wanted[number]
        assert seen.said["speed_mps"][index] == SPEED_MPS and seen.said["wheel_deg"][index] == np.float32(wanted[6])
    assert list(units(b"\0\0\0\1\x09\x10\0\0\1\x65\x88", None)) == [b"\x09\x10", b"\x65\x88"]  # start codes
    assert message(_message({4: 8.0, 10: 3}) + _varint(99 << 3 | 2) + b"\x02hi") == {"speed_mps": 8.0, "autopilot": 3.0}


def _again(said: Callable[[int], bytes | None]) -> Callable[[Path], object]:
    return lambda folder: _video(folder / FRONT, _levels(0), [said(index) for index in range(NUM)])


def _rename(old: str, new: str) -> Callable[[Path], object]:
    return lambda folder: (folder / old).rename(folder / new)


FAULTS: dict[str, tuple[Callable[[Path], object], str, int, int]] = {  # damage, words, clips, cameras
    "a torn video ahead": (lambda folder: (folder / FRONT).write_bytes((folder / FRONT).read_bytes()[:3000]), "unreadable (", 0, 0),
    "an empty video ahead": (lambda folder: (folder / FRONT).write_bytes(b""), "0 bytes; the minute is left out", 0, 0),
    "a torn video behind": (
        lambda folder: (folder / f"{STAMP}-back.mp4").write_bytes(b"\0" * 500),
        "the minute goes on without this camera",
        1,
        2,
    ),
    "no camera ahead": (lambda folder: (folder / FRONT).unlink(), f"no {STAMP}-front.mp4 beside it", 0, 0),
    "no date": (
        lambda folder: [file.rename(folder / file.name.replace("2026-01-31", "2026-13-31")) for file in folder.glob("*.mp4")],
        "which is no date",
        0,
        0,
    ),
    "another video beside it": (_rename(f"{STAMP}-left_repeater.mp4", "holiday.mp4"), "put it into a folder of its own", 1, 2),
    "torn messages": (
        _again(lambda index: _message(_circle(index))[: 20 if index in (50, 51) else None]),
        "2 of 180 telemetry messages are torn",
        1,
        3,
    ),
    "fields of another type": (
        _again(lambda index: _varint(4 << 3) + _varint(8) if index == 9 else _message(_circle(index))),
        "1 of 180 telemetry messages are torn or have fields of another type",
        1,
        3,
    ),
    "no number": (
        _again(lambda index: _message(_circle(index) | ({4: np.nan} if index < 3 else {}))),
        "3 of 180 telemetry messages hold a value that is no number",
        1,
        3,
    ),
    "no latitude": (
        _again(lambda index: _message(_circle(index) | ({11: 1e9} if index == 3 else {}))),
        "1 of 180 telemetry messages hold a value that is no number or no latitude",
        1,
        3,
    ),
    "a broken ingest.toml": (lambda folder: (folder / "ingest.toml").write_text("licence = 3\n"), "licence is 3, not a text", 0, 0),
    "too short": (lambda folder: _video(folder / FRONT, _levels(0)[:60]), "no piece of 3 s", 0, 0),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_and_the_rest_is_taken(event: Path, fault: str) -> None:
    damage, words, num_clips, num_cameras = FAULTS[fault]
    damage(event)
    result = read([event])
    assert [words in entry.reason for entry in result.quarantine] == [True], [entry.reason for entry in result.quarantine]
    assert [len(clip.encoded) for clip in result.clips] == [num_cameras] * num_clips
    for clip in result.clips:
        np.testing.assert_allclose(clip.motion.curvature_per_m[8:-8], YAW_RATE / SPEED_MPS, rtol=0.05)


def test_a_gap_in_the_telemetry_cuts(tmp_path: Path) -> None:
    folder = tmp_path / "event"
    levels = np.tile(_levels(0), 2)
    _video(folder / FRONT, levels, [None if 130 <= index < 240 else _message(_circle(index)) for index in range(2 * NUM)])
    clips = read([folder]).clips
    assert [len(clip.timestamp_us) for clip in clips] == [36, 33]
    for clip in clips:
        np.testing.assert_allclose(clip.motion.speed_mps, SPEED_MPS, rtol=1e-3)

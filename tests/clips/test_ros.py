"""Bags and MCAP files: what six writers wrote of one drive comes back as that drive; faults are named and the rest is taken."""

import contextlib
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rosbags")
pytest.importorskip("mcap_ros2")

sys.path.insert(0, str(Path(__file__).parent))
import ros_bags as bags

from motorworks.clips.reader import read
from motorworks.clips.readers import ros_log
from motorworks.clips.recording import ReadResult
from motorworks.datatypes.clip import Clip
from motorworks.datatypes.rig import SURROUND7

INNER = slice(8, -8)


def _is_the_drive(clip: Clip, *, rtol: float = 0.005) -> None:
    """Speed, curvature, and the way of the rear axle seen from where it began, on whatever axes."""
    assert clip.motion is not None and clip.motion.kind == "measured"
    np.testing.assert_allclose(clip.motion.speed_mps[INNER], bags.SPEED_MPS, rtol=rtol)
    np.testing.assert_allclose(clip.motion.curvature_per_m[INNER], bags.YAW_RATE / bags.SPEED_MPS, rtol=0.03)
    way, turned = clip.motion.poses_world[:, :2] - clip.motion.poses_world[0, :2], bags.YAW_RATE * np.arange(len(clip.timestamp_us)) / 10
    yaw, radius = clip.motion.poses_world[0, 2], bags.SPEED_MPS / bags.YAW_RATE
    own = way @ np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
    assert np.abs(own - radius * np.stack([np.sin(turned), 1 - np.cos(turned)], axis=-1)).max() < 0.5


def _in_step(pictures: np.ndarray, time_us: np.ndarray, grey: int = 0) -> None:
    """Each picture is the one of its tick: a tenth of a second is two levels of grey."""
    own = np.rint((time_us - bags.START_NS / 1000) / 1e6 * 20) + grey
    assert np.abs(pictures[..., 1].mean(axis=(1, 2)) - own).max() <= 1


def _read(folder: Path, messages: list[bags.Message], settings: str = "") -> ReadResult:
    if settings:
        (folder / "ingest.toml").write_text(settings)
    return read([bags.write_mcap(folder / "drive.mcap", messages)])


@pytest.mark.parametrize("writer", bags.WRITERS)
def test_what_each_writer_wrote_is_the_drive(tmp_path: Path, writer: str) -> None:
    name, write = bags.WRITERS[writer]
    result = read([write(tmp_path / name, bags.drive())])
    (clip,) = result.clips
    assert not result.quarantine and clip.source == "ros" and clip.body == "car" and len(clip.timestamp_us) == 60
    assert clip.timestamp_us[0] == bags.START_NS // 1000  # stamps, not the log's time 30 ms later
    _is_the_drive(clip)
    _in_step(clip.frames, clip.timestamp_us)
    front = clip.cameras[0]
    assert (front.width_px, front.height_px) == (256, 144) and front.focal_px == pytest.approx(0.8 * bags.FOCAL_PX)
    assert front.centre_px == pytest.approx((128, 60)) and front.position_rig_m == pytest.approx(SURROUND7.cameras[0].position_rig_m)
    if writer in ("mcap json", "mcap protobuf"):  # Foxglove's schemas: no raw picture, no text in this drive
        return
    np.testing.assert_allclose(clip.motion.speed_mps, bags.SPEED_MPS, rtol=1e-6)  # odometry says it
    _in_step(clip.side_frames["left"], clip.timestamp_us, grey=90)
    assert np.abs(clip.side_frames["left"][..., 0].astype(int) - clip.side_frames["left"][..., 2] - 30).max() <= 1
    left = clip.cameras[1]
    assert left.name == "left" and left.yaw_rad == pytest.approx(np.deg2rad(55)) and left.position_rig_m == pytest.approx((1.4, 0.4, 1.5))
    assert clip.instruction_kind == "given" and clip.instructions.index("turn left") == 30 and clip.instructions[0] == "go straight on"


def test_a_bag_converted_is_the_same_recording(tmp_path: Path) -> None:
    paths = [
        bags.WRITERS[writer][1](tmp_path / f"{writer[4:5]}{bags.WRITERS[writer][0]}", bags.drive()) for writer in ("ros 1", "ros 2 db3", "mcap cdr")
    ]
    assert len({clip.recording_id for clip in read(paths).clips}) == 1


def _stamps(change: Callable[[int, int], int], messages: list[bags.Message]) -> list[bags.Message]:
    """Every header's stamp, by number and nanoseconds."""
    for index, one in enumerate(messages):
        stamp = one.fields["header"]["stamp"]
        ns = change(index, stamp["sec"] * 10**9 + stamp["nanosec"])
        one.fields["header"]["stamp"] = {"sec": ns // 10**9, "nanosec": ns % 10**9}
    return messages


def _edit(change: Callable[[dict[str, Any]], Any], messages: list[bags.Message], places: slice = slice(None)) -> list[bags.Message]:
    for one in messages[places]:
        change(one.fields)
    return messages


def _still(fields: dict[str, Any]) -> None:
    fields["twist"]["twist"] = {"linear": {"x": 0.0, "y": 0.0, "z": 0.0}, "angular": {"x": 0.0, "y": 0.0, "z": 0.0}}


def _nowhere(fields: dict[str, Any]) -> None:
    fields["pose"]["pose"] = {"position": {"x": 0.0, "y": 0.0, "z": 0.0}, "orientation": {"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0}}


def _goal(one: bags.Message) -> bags.Message:
    return bags.message("/goal_pose", "geometry_msgs/msg/PoseStamped", 1.0, {"header": one.fields["header"], "pose": one.fields["pose"]["pose"]})


SOURCES: dict[str, tuple[Callable[[], list[bags.Message]], str]] = {
    "a twist": (lambda: bags.twist(), "speed of twist and yaw rate of twist"),
    "a twist without turning, and an imu": (lambda: [*bags.twist(rate=0.0), *bags.imu()], "yaw rate of imu"),
    "a twist beside a command": (lambda: [*bags.twist(), *bags.twist(rate=9.0, topic="/cmd_vel")], "speed of twist"),
    "fixes": (lambda: bags.fix(), "positions of fix"),
    "fixes, and a twist without turning": (lambda: [*bags.fix(), *bags.twist(rate=0.0)], "positions of fix and speed of twist"),
    "odometry without a twist": (lambda: _edit(_still, bags.odometry()), "twist is not the speed of its poses"),
    "odometry without a pose": (lambda: _edit(_nowhere, bags.odometry()), "poses never change"),
    "odometry, fixes, two twists": (lambda: [*bags.odometry(), *bags.fix(), *bags.twist(), *bags.twist(topic="/b")], "odometry /localization"),
    "odometry beside a goal": (lambda: [*bags.odometry(), _goal(bags.odometry()[0])], "odometry /localization"),
    "odometry of a bumper": (
        lambda: [*bags.odometry(place_rig=(3.7, 0.0, 0.0), child="bumper"), *_mounted("bumper", 3.7)],
        "odometry /localization",
    ),
    "odometry of a sensor on the side": (
        lambda: [*bags.odometry(place_rig=(1.0, 1.2, 0.6), child="sensor"), *_mounted("sensor", 1.0, 1.2, 0.6)],
        "odometry /localization",
    ),
    "odometry of a frame that nothing joins": (lambda: [*bags.odometry(child="sensor"), *bags.transforms()], "no transform joins sensor"),
}


def _mounted(child: str, x_m: float, y_m: float = 0.0, yaw: float = 0.0) -> list[bags.Message]:
    row = {"header": bags.header(0.0, "base_link"), "child_frame_id": child}
    row["transform"] = {"translation": {"x": x_m, "y": y_m, "z": 0.0}, "rotation": {"x": 0.0, "y": 0.0, "z": np.sin(yaw / 2), "w": np.cos(yaw / 2)}}
    return [bags.message("/tf_static", "tf2_msgs/msg/TFMessage", 0.0, {"transforms": [row]})]


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_of_motion_gives_the_drive(tmp_path: Path, source: str) -> None:
    make, words = SOURCES[source]
    result = _read(tmp_path, [*bags.front(), *make()])
    assert not result.quarantine and any(words in note for note in result.notes), result
    _is_the_drive(result.clips[0], rtol=1e-5 if words.startswith("odometry /") else 0.01)  # said, not worked out from poses


def test_a_video_in_packets_is_decoded(tmp_path: Path) -> None:
    result = _read(tmp_path, [*bags.video(), *bags.odometry()])
    (clip,) = result.clips
    assert not result.quarantine and len(clip.timestamp_us) == 60
    _in_step(clip.frames / 2, clip.timestamp_us)


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "bayer_rggb8", "bayer_gbrg8"])
def test_colours_of_a_raw_picture(tmp_path: Path, encoding: str) -> None:
    (clip,) = _read(tmp_path, bags.left(encoding, topic="/front/image_raw")).clips
    assert clip.motion is None and np.abs(clip.frames[0].mean(axis=(0, 1)) - [120, 90, 90]).max() <= 1
    assert clip.frames.shape[1:3] == ((90, 160) if encoding.startswith("bayer") else (144, 256))


def test_ingest_toml_chooses_topics(tmp_path: Path) -> None:
    messages = [*bags.front(), *bags.left(), *bags.odometry(), *_edit(_still, bags.odometry(topic="/wheel")), *bags.twist(), *bags.twist(topic="/b")]
    topics = f'licence = "MIT"\n[topics]\nfront = "{bags.LEFT}"\ntwist = "/b"\n[topics.cameras]\nnose = "{bags.FRONT}"\n'
    result = _read(tmp_path, messages, topics)
    (clip,) = result.clips
    assert not result.quarantine and clip.licence == "MIT" and list(clip.side_frames) == ["nose"]
    _in_step(clip.frames, clip.timestamp_us, grey=90)
    _in_step(clip.side_frames["nose"], clip.timestamp_us)
    assert any("twist /b" in note and "guessed" not in note for note in result.notes)
    several = [*bags.front(), *bags.left(topic="/camera/front/image_rect"), *bags.left(topic="/camera/left/image_rect_color"), *bags.left()]
    assert list(_read(tmp_path, several, "# all by type").clips[0].side_frames) == ["left"]  # one of each camera, the compressed one in front
    bare = _read(tmp_path, [*bags.front(), *bags.left(), *bags.odometry()], f'[topics]\nfront = "{bags.FRONT}"\nodometry = ""')
    assert bare.clips[0].motion is None and not bare.clips[0].side_frames


CLOCKS: dict[str, tuple[Callable[[], list[bags.Message]], str, int]] = {
    "all set": (lambda: [*bags.front(), *bags.odometry()], "clock: header.stamp", 0),
    "none set": (lambda: _stamps(lambda _, ns: 0, [*bags.front(), *bags.odometry()]), "has no header.stamp", bags.LATE_NS),
    "one that stands": (lambda: [*bags.front(), *_stamps(lambda _, ns: 5, bags.odometry())], "does not go on at 299", bags.LATE_NS),
    "of pictures that stand": (lambda: [*_stamps(lambda _, ns: 5, bags.front()), *bags.odometry()], "does not go on at", bags.LATE_NS),
    "an hour apart": (lambda: [*bags.front(), *_stamps(lambda _, ns: ns - 3_600 * 10**9, bags.odometry())], "are 3600.0 s apart", bags.LATE_NS),
    "of a simulation": (
        lambda: _stamps(lambda _, ns: ns - bags.START_NS + 10**9, [*bags.front(), *bags.odometry()]),
        "clock: header.stamp",
        10**9 - bags.START_NS,
    ),
}


@pytest.mark.parametrize("stamps", CLOCKS)
def test_stamps_are_the_clock_where_they_are_one(tmp_path: Path, stamps: str) -> None:
    make, words, late_ns = CLOCKS[stamps]
    result = _read(tmp_path, make())
    (clip,) = result.clips
    assert any(words in note for note in result.notes) and abs(clip.timestamp_us[0] - (bags.START_NS + late_ns) // 1000) <= 1
    _is_the_drive(clip)
    _in_step(clip.frames, clip.timestamp_us - late_ns // 1000)


@pytest.mark.parametrize("stamped", [True, False])
def test_of_a_fast_camera_pictures_near_the_tenths_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stamped: bool) -> None:
    logs: list[ros_log.BagLog] = []
    monkeypatch.setattr("motorworks.clips.readers.ros.collect", lambda *given: logs.append(ros_log.collect(*given)) or logs[0])
    front = bags.front(hz=60.0) if stamped else _stamps(lambda _, ns: 5, bags.front(hz=60.0))
    (clip,) = _read(tmp_path, [*front, *bags.odometry()]).clips
    assert 60 <= len(logs[0].shots["front"].values) <= 62  # the first and the last may be the nearest to a tenth outside
    _in_step(clip.frames, clip.timestamp_us - (0 if stamped else bags.LATE_NS // 1000))


def test_a_long_bag_is_read_up_to_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ros_log, "MOST_S", 4.0)
    result = _read(tmp_path, bags.drive())
    assert len(result.clips[0].timestamp_us) == 41 and any("only the first 4 s are read" in note for note in result.notes)
    monkeypatch.setattr(ros_log, "MOST_BYTES", 10 * 2 * 3 * 256 * 144)
    assert not _read(tmp_path, bags.drive()).clips


def test_a_camera_named_by_its_link_looks_along_x(tmp_path: Path) -> None:
    messages = [*bags.front(), *bags.info("front", "front_optical"), *bags.odometry(), *_mounted("front_optical", 1.5)]
    result = _read(tmp_path, messages)
    assert result.clips[0].cameras[0].yaw_rad == pytest.approx(0) and result.clips[0].cameras[0].pitch_rad == pytest.approx(0)
    assert any("no optical frame" in note for note in result.notes)
    messages[-1] = bags.transforms()[0]
    for one in messages:
        if one.type.endswith("TFMessage"):
            one.fields["transforms"] = one.fields["transforms"][1:]
    result = _read(tmp_path, messages)
    assert not result.clips[0].cameras and any("no transform joins it with base_link" in note for note in result.notes)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is written, what is done to the file, the words of each quarantine line, and how many clips survive."""

    messages: Callable[[], list[bags.Message]] = bags.drive
    damage: Callable[[Path], Any] | None = None
    words: tuple[str, ...]
    num_clips: int
    settings: str = ""
    writer: str = "mcap cdr"


def _without(topic: str) -> list[bags.Message]:
    return [one for one in bags.drive() if one.topic != topic]


def _cut(path: Path, frac: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: round(len(data) * frac)])


def _flip(path: Path) -> None:
    """A byte amid the pictures of a chunk."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def _change(topic: str, change: Callable[[dict[str, Any]], Any], places: slice = slice(None)) -> Callable[[], list[bags.Message]]:
    def make() -> list[bags.Message]:
        messages = bags.drive()
        _edit(change, [one for one in messages if one.topic == topic], places)
        return messages

    return make


def _back(fields: dict[str, Any]) -> None:
    fields["header"]["stamp"]["sec"] -= 2


FAULTS = {
    "0 bytes": Fault(damage=lambda path: path.write_bytes(b""), words=("0 bytes",), num_clips=0),
    "no MCAP": Fault(damage=lambda path: path.write_bytes(b"x" * 999), words=("not an MCAP file",), num_clips=0),
    "torn MCAP": Fault(damage=lambda path: _cut(path, 0.8), words=("torn at byte",), num_clips=1),
    "torn before its first topic": Fault(damage=lambda path: _cut(path, 0.0005), words=("torn at byte",), num_clips=0),
    "a broken chunk": Fault(writer="mcap cdr, not compressed", damage=_flip, words=("the chunk at byte",), num_clips=1),
    "torn ROS 1 bag": Fault(writer="ros 1", damage=lambda path: _cut(path, 0.8), words=("rosbag reindex FILE",), num_clips=0),
    "torn db3": Fault(writer="ros 2 db3", damage=lambda path: _cut(path / "drive.db3", 0.5), words=("not readable as a bag",), num_clips=0),
    "no db3": Fault(writer="ros 2 db3", damage=lambda path: (path / "drive.db3").unlink(), words=("files are missing",), num_clips=0),
    "no pictures": Fault(messages=bags.odometry, words=("no topic of pictures",), num_clips=0),
    "two odometries": Fault(
        messages=lambda: [*bags.drive(), *bags.odometry(topic="/wheel")],
        words=(
            '2 topics may be odometry: /localization/odometry, /wheel. Write into ingest.toml the line [topics] and, below it, the line odometry = "',
        ),
        num_clips=0,
    ),
    "a topic that is not there": Fault(
        settings='[topics]\nfront = "/x"', words=("there is no topic /x; of its types there is /camera/front",), num_clips=0
    ),
    "a topic of another type": Fault(
        settings='[topics]\nimu = "/tf_static"', words=("/tf_static is tf2_msgs/TFMessage, not one of sensor_msgs/Imu",), num_clips=0
    ),
    "no such role": Fault(settings='[topics]\nlidar = "/x"', words=("[topics] lidar: known are front, cameras, odometry",), num_clips=0),
    "a topic that is no text": Fault(settings="[topics]\nimu = 3", words=("[topics] imu is 3, not a topic's name",), num_clips=0),
    "topics that are no table": Fault(settings='topics = "/x"', words=("topics is not a table",), num_clips=0),
    "NaN in poses": Fault(
        messages=_change(bags.ODOMETRY, lambda fields: fields["pose"]["pose"]["position"].update(x=float("nan")), slice(40, 60)),
        words=("/localization/odometry: 20 of 300 messages cannot be used and are left out; the first: pose with quaternion",),
        num_clips=1,
    ),
    "no rotation": Fault(
        messages=_change(bags.ODOMETRY, lambda fields: fields["pose"]["pose"]["orientation"].update(z=0.0, w=0.0)),
        words=("300 of 300 messages cannot be used",),
        num_clips=1,
    ),
    "no fix for a second": Fault(
        messages=lambda: [*bags.front(), *_edit(lambda fields: fields["status"].update(status=-1), bags.fix(), slice(20, 30))],
        words=("/gnss/fix: 10 of 60 messages cannot be used and are left out; the first: the receiver has no fix",),
        num_clips=1,
    ),
    "a clock that goes back": Fault(
        messages=_change(bags.FRONT, _back, slice(70, 74)), words=("image_raw/compressed: header.stamp goes back after 3.4",), num_clips=1
    ),
    "a torn picture": Fault(
        messages=_change(bags.FRONT, lambda fields: fields.update(data=b"\xff\xd8torn"), slice(70, 72)),
        words=("neither JPEG nor PNG); cut there",),
        num_clips=1,
    ),
    "another encoding of a side camera": Fault(
        messages=_change(bags.LEFT, lambda fields: fields.update(encoding="yuv422")),
        words=("/camera/left/image_raw: 60 of 60 messages cannot be used and are left out; the first: encoding 'yuv422' is not read",),
        num_clips=1,
    ),
    "a raw picture too short": Fault(
        messages=_change(bags.LEFT, lambda fields: fields.update(data=b"\0" * 100), slice(30, 31)),
        words=("100 bytes are no 320 x 180 picture",),
        num_clips=1,
    ),
    "a camera that is not calibrated": Fault(
        messages=_change(bags.INFO.format("left"), lambda fields: fields.update(k=[0.0] * 9)), words=("the camera is not calibrated",), num_clips=1
    ),
    "a torn packet of a video": Fault(
        messages=lambda: [*_edit(lambda fields: fields.update(data=b"\0\0\1torn"), bags.video(), slice(60, 61)), *bags.odometry()],
        words=("/camera/front/video: 1 of 120 messages cannot be used",),
        num_clips=1,
    ),
    "another format of a video": Fault(
        messages=lambda: [*_edit(lambda fields: fields.update(format="mjpg"), bags.video()), *bags.odometry()],
        words=("format 'mjpg' is not read: h264, h265",),
        num_clips=0,
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_and_the_rest_is_taken(tmp_path: Path, fault: str) -> None:
    one = FAULTS[fault]
    name, write = bags.WRITERS[one.writer]
    path = write(tmp_path / name, one.messages())
    if one.damage is not None:
        one.damage(path)
    if one.settings:
        (tmp_path / "ingest.toml").write_text(one.settings)
    result = read([path])
    reasons = [entry.reason for entry in result.quarantine]
    assert len(reasons) == len(one.words) and all(words in reason for words, reason in zip(one.words, reasons, strict=True)), reasons
    assert len(result.clips) == one.num_clips


def test_an_encoding_that_is_not_read_is_named(tmp_path: Path) -> None:
    from mcap.writer import Writer

    with (tmp_path / "drive.mcap").open("wb") as stream:
        writer = Writer(stream)
        writer.start()
        channel = writer.register_channel("/front", "flatbuffer", writer.register_schema("foxglove.CompressedImage", "flatbuffer", b"\0"))
        for step in range(40):
            writer.add_message(channel, step * 100_000_000, b"\0" * 30, step * 100_000_000)
        writer.finish()
    (entry,) = read([tmp_path / "drive.mcap"]).quarantine
    assert "40 of 40 messages" in entry.reason and "encoding 'flatbuffer' is not read: cdr, ros1, json and protobuf are" in entry.reason


def test_an_old_bag_without_definitions_is_read_by_the_usual_ones(tmp_path: Path) -> None:
    path = bags.write_bag2(tmp_path / "drive", [*bags.video(), *bags.odometry()])
    with contextlib.closing(sqlite3.connect(path / "drive.db3")) as base:
        assert base.execute("DELETE FROM message_definitions").rowcount == 2
        base.commit()
    result = read([path])
    assert not result.quarantine
    _is_the_drive(result.clips[0])


def test_a_clock_of_telemetry_that_is_off_is_set_right(tmp_path: Path) -> None:
    def brake(messages: list[bags.Message]) -> list[bags.Message]:
        for index, one in enumerate(messages):
            one.fields["twist"]["linear"]["x"] = 8.0 - index / 50
        return messages

    speeds = [_read(tmp_path, [*bags.front(), *brake(bags.twist())], f"time_offset_s = {offset}").clips[0] for offset in (0.0, 1.0)]
    assert speeds[1].motion.speed_mps[0] == pytest.approx(speeds[0].motion.speed_mps[0], abs=0.01)
    assert speeds[1].timestamp_us[0] - speeds[0].timestamp_us[0] == 1_000_000  # where the track begins


def test_missing_libraries_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = bags.write_mcap(tmp_path / "drive.mcap", bags.drive())
    monkeypatch.setitem(sys.modules, "rosbags.highlevel", None)
    (entry,) = read([path]).quarantine
    assert entry.reason == "needs rosbags: pip install 'motorworks[data]'"

"""LeRobot datasets: what we wrote comes back, what others write comes back as the drive it was made from."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from motorworks.clips import frames as frames_module
from motorworks.clips.export_lerobot import write_lerobot
from motorworks.clips.frames import decode_mp4, encode_mp4
from motorworks.clips.reader import read
from motorworks.clips.record import front_frames
from motorworks.datatypes.clip import Clip
from motorworks.datatypes.rig import FRONT3

pyarrow = pytest.importorskip("pyarrow")
pytest.importorskip("pandas")
MakeClip = Callable[..., Clip]

PEER = "MOTORWORKS_LEROBOT_PYTHON"
SCRIPT = """
import sys; sys.path.insert(0, "bench")
import lerobot_peer; lerobot_peer._let_torchvision_in()
import numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset
folder, kind = sys.argv[1:]
features = {"observation.images.front": {"dtype": kind, "shape": (96, 128, 3), "names": ["height", "width", "channels"]}}
for name, names in {"observation.state": ["speed", "yaw_rate"], "action": ["gas", "steering"]}.items():
    features[name] = {"dtype": "float32", "shape": (2,), "names": names}
dataset = LeRobotDataset.create("me/set", fps=30, root=folder, features=features, use_videos=kind == "video")
for episode in range(2):
    for index in range(150):
        picture = np.full((96, 128, 3), 10 + 80 * episode + index / 30 * 20, np.uint8)
        state, action = np.array([8, 0.1], np.float32), np.zeros(2, np.float32)
        row = {"observation.images.front": picture, "observation.state": state, "action": action, "task": f"episode {episode}"}
        dataset.add_frame(row)
    dataset.save_episode()
dataset.finalize()
"""
FPS, NUM, SPEED_MPS, YAW_RATE = 30, 150, 8.0, 0.1
CAMERAS = {"observation.images.front_left": 0, "observation.images.rear": 60}
VEHICLE = ["speed", "heading", "heading_error", "hp_loc_latitude", "hp_loc_longitude"]  # as L2D has them
DATA, EPISODES, INFO = "data/chunk-000/file-000.parquet", "meta/episodes/chunk-000/file-000.parquet", "meta/info.json"
FRONT_MP4 = "videos/observation.images.front_left/chunk-000/file-000.mp4"


def _video(path: Path, levels: np.ndarray) -> None:
    """One frame a level, key frames where the encoder likes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "threads": "1", "crf": "4", "g": "250"})
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for index, level in enumerate(levels):
            frame = av.VideoFrame.from_ndarray(np.full((96, 128, 3), level, np.uint8), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _levels(episode: int, camera: int) -> np.ndarray:
    """Brightness that tells time, episode and camera: 20 a second."""
    return 10 + 80 * episode * (camera == 0) + camera + np.arange(NUM) / FPS * 20


def _vehicle(time_s: np.ndarray) -> np.ndarray:
    """A left circle: km/h, degrees clockwise from north, WGS84."""
    heading = np.rad2deg(np.pi / 2 - (0.4 + YAW_RATE * time_s)) % 360
    return np.column_stack([np.full(NUM, SPEED_MPS * 3.6), heading, np.zeros(NUM), np.full((NUM, 2), [52.5, 13.4])])


def _write(folder: Path, state: Callable[[np.ndarray], np.ndarray] = _vehicle, names: Any = None, key: str = "observation.state.vehicle") -> Path:
    """A foreign set of two episodes of 5 s at 30 fps with two cameras; both share each file."""
    import pandas

    time_s = np.arange(NUM) / FPS
    values = state(time_s).astype(np.float32)
    for camera, level in CAMERAS.items():
        _video(folder / f"videos/{camera}/chunk-000/file-000.mp4", np.concatenate([_levels(episode, level) for episode in range(2)]))
    rows = {
        key: list(values) * 2,
        "action": list(np.zeros((2 * NUM, 2), np.float32)),
        "timestamp": np.tile(time_s, 2).astype(np.float32),
        "frame_index": np.tile(np.arange(NUM), 2),
        "episode_index": np.repeat([0, 1], NUM),
        "index": np.arange(2 * NUM),
        "task_index": np.concatenate([np.zeros(NUM, int), np.zeros(60, int), np.ones(NUM - 60, int)]),
    }
    episodes = [
        {"episode_index": number, "length": NUM, "data/chunk_index": 0, "data/file_index": 0, "stats/action/min": [0.0]}
        | {
            f"videos/{camera}/{name}": value
            for camera in CAMERAS
            for name, value in {"chunk_index": 0, "file_index": 0, "from_timestamp": number * 5.0, "to_timestamp": number * 5.0 + 5}.items()
        }
        for number in range(2)
    ]
    for place in (DATA, EPISODES):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
    pandas.DataFrame(rows).to_parquet(folder / DATA)
    pandas.DataFrame(episodes).to_parquet(folder / EPISODES)
    pandas.DataFrame({"task_index": [0, 1]}, index=["follow the road", "turn left at the lights"]).to_parquet(folder / "meta/tasks.parquet")
    features: dict[str, Any] = {camera: {"dtype": "video", "shape": [96, 128, 3], "names": ["height", "width", "channels"]} for camera in CAMERAS}
    features["observation.images.map"] = {"dtype": "video", "shape": [36, 64, 3], "names": None}  # its files are not even there
    features[key] = {"dtype": "float32", "shape": [values.shape[1]], "names": names or {"axes": VEHICLE}}
    features["action"] = {"dtype": "float32", "shape": [2], "names": ["speed", "steering"]}
    features |= {name: {"dtype": "int64", "shape": [1], "names": None} for name in ("frame_index", "episode_index", "index", "task_index")}
    info = {"codebase_version": "v3.0", "robot_type": "KIA Niro EV 2023", "fps": FPS, "features": features}
    info["data_path"] = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
    info["video_path"] = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
    (folder / INFO).write_text(json.dumps(info))
    (folder / "README.md").write_text("---\nlicense: apache-2.0\ntags:\n- LeRobot\n---\nA drive.\n")
    return folder


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The set that tests copy."""
    return _write(tmp_path_factory.mktemp("sets") / "drive")


@pytest.fixture
def foreign(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "drive"))


def _pictures(clip: Clip, camera: str) -> np.ndarray:
    return decode_mp4(clip.encoded[camera], height_px=96, width_px=128).mean(axis=(1, 2, 3))


def test_a_foreign_set_is_the_drive_it_was_made_from(foreign: Path) -> None:
    result = read([foreign])
    assert not result.quarantine and [clip.recording_id for clip in result.clips] == ["lerobot-drive-0", "lerobot-drive-1"]
    assert result.notes == [
        "drive: columns speed (speed) in km/h, heading (heading) in deg, lat (hp_loc_latitude) in deg, lon (hp_loc_longitude) in deg"
    ]
    for number, clip in enumerate(result.clips):
        assert (clip.source, clip.licence, list(clip.encoded)) == ("lerobot", "Apache-2.0", ["front_left", "rear"])
        assert len(clip.timestamp_us) == 50 and set(np.diff(clip.timestamp_us)) == {100_000}
        inner = slice(8, -8)
        np.testing.assert_allclose(clip.motion.speed_mps[inner], SPEED_MPS, rtol=1e-3)
        np.testing.assert_allclose(clip.motion.curvature_per_m[inner], YAW_RATE / SPEED_MPS, rtol=0.02)
        for camera, level in (("front_left", 0), ("rear", 60)):  # the episode's own part, at the tick
            assert np.abs(_pictures(clip, camera) - _levels(number, level)[::3]).max() < 3
    first, second = (clip.instructions for clip in result.clips)
    assert set(first) == {"follow the road"} and result.clips[0].instruction_kind == "given"
    assert second == ("follow the road",) * 20 + ("turn left at the lights",) * 30


def test_only_an_episodes_part_of_a_video_is_decoded(foreign: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    iterate = frames_module.iterate_video

    def counted(path: Path, size_px: Any = None, *, start_us: int | None = None) -> Any:
        for time_us, frame in iterate(path, size_px, start_us=start_us):
            seen.append(time_us)
            yield time_us, frame

    monkeypatch.setattr("motorworks.clips.readers.pictures.iterate_video", counted)
    read([foreign])
    assert len(seen) <= 2 * 2 * (NUM + 2)  # not the other episode's too


def test_columns_come_by_name_or_as_ingest_toml_says(tmp_path: Path) -> None:
    circle = np.tile([SPEED_MPS, YAW_RATE], (NUM, 1))
    by_name = _write(tmp_path / "named", lambda time_s: circle, ["vEgo", "yaw_rate"], "observation.state")
    (clip, _) = read([by_name]).clips
    np.testing.assert_allclose(clip.motion.curvature_per_m, YAW_RATE / SPEED_MPS, rtol=1e-3)
    said = _write(tmp_path / "said", lambda time_s: circle * [3.6, -180 / np.pi], ["Geschw", "Gier"], "observation.state")
    assert [clip.motion for clip in read([said]).clips] == [None, None]
    toml = 'licence = "CC0-1.0"\nbody = "car"\nfront_camera = "rear"\n[columns]\nspeed = {column = "Geschw", unit = "km/h"}\n'
    (said / "ingest.toml").write_text(toml + 'yaw_rate = {column = "Gier", unit = "deg/s", sign = -1}\n')
    (clip, _) = read([said]).clips
    assert (clip.licence, clip.body, list(clip.encoded)) == ("CC0-1.0", "car", ["rear", "front_left"])
    np.testing.assert_allclose(clip.motion.speed_mps, SPEED_MPS, rtol=1e-3)
    np.testing.assert_allclose(clip.motion.curvature_per_m, YAW_RATE / SPEED_MPS, rtol=1e-3)


def test_an_arm_is_no_vehicle(tmp_path: Path) -> None:
    names = ["x", "y", "yaw", "gripper"]
    result = read([_write(tmp_path / "arm", lambda time_s: np.zeros((NUM, 4)), names, "observation.state")])
    assert [clip.motion for clip in result.clips] == [None, None] and "'gripper' is no vehicle's" in result.notes[0]


def test_pictures_inside_the_table(foreign: Path) -> None:
    import io

    import pandas
    from PIL import Image

    def png(level: float) -> dict[str, Any]:
        file = io.BytesIO()
        Image.fromarray(np.full((96, 128, 3), level, np.uint8)).save(file, "PNG")
        return {"bytes": file.getvalue(), "path": None}

    key = "observation.images.front_left"
    rows = pandas.read_parquet(foreign / DATA)
    rows[key] = [png(level) for episode in range(2) for level in _levels(episode, 0)]
    rows.to_parquet(foreign / DATA)
    _edit(foreign / INFO, lambda info: info["features"][key].update(dtype="image"))
    shutil.rmtree(foreign / "videos" / key)
    result = read([foreign])
    assert not result.quarantine and len(result.clips) == 2
    for number, clip in enumerate(result.clips):
        assert np.abs(_pictures(clip, "front_left") - _levels(number, 0)[::3]).max() < 3


def test_what_we_wrote_comes_back(make_clip: MakeClip, tmp_path: Path) -> None:
    clips = []
    for seed in range(3):
        clip = make_clip(40 + seed, seed, recording_id=f"r{seed}", height=96, width=128)
        front, left = (replace(camera, width_px=128, height_px=96) for camera in FRONT3.cameras[:2])
        videos = {"front": encode_mp4(clip.frames), "front_left": encode_mp4(255 - clip.frames)}
        words = tuple("turn left ahead" if step > 20 else "follow the road" for step in range(len(clip.timestamp_us)))
        clips.append(replace(clip, frames=None, encoded=videos, cameras=(front, left), instructions=words, instruction_kind="derived"))
    clips[1] = replace(clips[1], instructions=None, instruction_kind=None, thoughts=None, timestamp_us=clips[1].timestamp_us + 7_000_000)
    write_lerobot(clips, tmp_path / "set")
    result = read([tmp_path / "set"])
    assert not result.quarantine and len(result.clips) == 3
    for clip, back in zip(clips, result.clips, strict=True):
        for name in ("recording_id", "source", "body", "licence", "tags", "cameras", "instructions", "instruction_kind", "thoughts"):
            assert getattr(back, name) == getattr(clip, name), name
        np.testing.assert_array_equal(back.timestamp_us, clip.timestamp_us)
        assert back.motion.kind == clip.motion.kind
        for name in ("poses_world", "speed_mps", "accel_mps2", "curvature_per_m"):
            np.testing.assert_allclose(getattr(back.motion, name), getattr(clip.motion, name), atol=1e-6)
        assert list(back.encoded) == ["front", "front_left"]
        for name, video in clip.encoded.items():  # not encoded once more
            one, other = (decode_mp4(data, height_px=96, width_px=128) for data in (video, back.encoded[name]))
            np.testing.assert_array_equal(one, other)


def test_pictures_that_the_codec_pads_come_back_at_their_size(make_clip: MakeClip, tmp_path: Path) -> None:
    clip = make_clip(40)
    write_lerobot([clip], tmp_path / "set")
    (back,) = read([tmp_path / "set"]).clips
    assert back.frames.shape == (40, 24, 32, 3) and np.abs(back.frames.astype(int) - clip.frames).mean() < 3
    np.testing.assert_array_equal(front_frames(back), back.frames)


def test_what_lerobot_itself_writes_is_read(tmp_path: Path) -> None:
    python = os.environ.get(PEER)
    if not python:
        pytest.skip(f"no Python with lerobot: set {PEER}")
    for kind in ("video", "image"):
        subprocess.run([python, "-c", SCRIPT, str(tmp_path / kind), kind], check=True, capture_output=True, text=True)
        result = read([tmp_path / kind])
        assert not result.quarantine and [set(clip.instructions) for clip in result.clips] == [{"episode 0"}, {"episode 1"}]
        for number, clip in enumerate(result.clips):
            assert np.abs(_pictures(clip, "front") - _levels(number, 0)[::3]).max() < 4
            np.testing.assert_allclose(clip.motion.curvature_per_m, YAW_RATE / SPEED_MPS, rtol=1e-3)


def _edit(path: Path, change: Callable[[Any], object]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def _table(name: str, change: Callable[[Any], Any]) -> Callable[[Path], object]:
    """Changes a table's columns."""

    def damage(folder: Path) -> None:
        import pandas

        table = pandas.read_parquet(folder / name)
        changed = change(table)
        (table if changed is None else changed).to_parquet(folder / name)

    return damage


def _set(table: Any, column: str, row: int, value: Any) -> None:
    values = table[column].tolist()
    values[row] = value
    table[column] = values


FAULTS: dict[str, tuple[Callable[[Path], object], str, int, int]] = {  # damage, words, quarantine lines, clips
    "a version before": (lambda folder: _edit(folder / INFO, lambda info: info.update(codebase_version="v2.1")), "convert_dataset_v21_to_v30", 1, 0),
    "a version to come": (lambda folder: _edit(folder / INFO, lambda info: info.update(codebase_version="v4.0")), "only v3 is read", 1, 0),
    "a torn head": (lambda folder: (folder / INFO).write_text('{"codebase_version": "v3.0", '), "no head of a dataset", 1, 0),
    "no fps": (lambda folder: _edit(folder / INFO, lambda info: info.pop("fps")), "no 'fps'", 1, 0),
    "no cameras": (
        lambda folder: _edit(folder / INFO, lambda info: [info["features"].pop(key) for key in list(info["features"]) if "images" in key]),
        "there are no pictures",
        1,
        0,
    ),
    "no episodes": (lambda folder: (folder / EPISODES).unlink(), "no table of episodes", 1, 0),
    "a torn table of episodes": (lambda folder: (folder / EPISODES).write_bytes(b"PAR1torn"), "the table cannot be read", 1, 0),
    "an episode without its place": (_table(EPISODES, lambda table: table.drop(columns="data/file_index")), "no 'data/file_index'", 2, 0),
    "an episode that points at nothing": (_table(EPISODES, lambda table: _set(table, "data/file_index", 1, 7)), "file-007.parquet", 1, 1),
    "a torn data file": (lambda folder: (folder / DATA).write_bytes(b"PAR1torn"), "episode 1: ", 2, 0),
    "an episode without rows": (_table(DATA, lambda table: table[table["episode_index"] == 0]), "holds no row of it", 1, 1),
    "a column of another type": (
        _table(DATA, lambda table: table.assign(**{"observation.state.vehicle": ["fast"] * len(table)})),
        "could not convert string",
        2,
        0,
    ),
    "rows that differ in length": (
        _table(DATA, lambda table: _set(table, "observation.state.vehicle", 3, [1.0])),
        "rows differ in length",
        1,
        1,
    ),
    "no number": (
        _table(DATA, lambda table: _set(table, "observation.state.vehicle", 40, [np.nan] * 5)),
        "episode 0: 1 of 150 rows of speed, heading",
        1,
        2,
    ),
    "a clock that goes back": (_table(DATA, lambda table: _set(table, "timestamp", 75, 0.2)), "the first is row 75", 1, 2),
    "a time far ahead": (_table(DATA, lambda table: _set(table, "timestamp", 20, 4.0)), "timestamp of 1 of 150 rows", 1, 2),
    "a time that is no number": (_table(DATA, lambda table: _set(table, "timestamp", 20, np.nan)), "timestamp of 1 of 150 rows", 1, 2),
    "a clock in milliseconds": (_table(DATA, lambda table: table.assign(timestamp=table["timestamp"] * 1000)), "does not go on by 1/30 s", 2, 0),
    "no tasks": (lambda folder: (folder / "meta/tasks.parquet").unlink(), "clips have no instruction", 1, 2),
    "no video of the camera ahead": (lambda folder: (folder / FRONT_MP4).unlink(), "the picture is missing", 4, 0),
    "a torn video": (lambda folder: (folder / FRONT_MP4).write_bytes((folder / FRONT_MP4).read_bytes()[:900]), "undecodable", 4, 0),
    "a video that ends early": (
        lambda folder: _video(folder / FRONT_MP4, _levels(0, 0)),
        "the video has no frame at the time; 51 of 51",
        2,
        1,
    ),
    "no such column": (
        lambda folder: (folder / "ingest.toml").write_text('[columns]\nspeed = "v"\n'),
        "there is no column 'v'",
        1,
        2,
    ),
    "an unknown unit": (
        lambda folder: (folder / "ingest.toml").write_text('[columns]\nspeed = {column = "speed", unit = "furlong"}\n'),
        "unit 'furlong' is none of",
        1,
        2,
    ),
    "no such camera": (lambda folder: (folder / "ingest.toml").write_text('front_camera = "top"\n'), "none of front_left, rear", 1, 0),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_and_the_rest_is_taken(foreign: Path, fault: str) -> None:
    damage, words, num_lines, num_clips = FAULTS[fault]
    damage(foreign)
    result = read([foreign])
    reasons = [entry.reason for entry in result.quarantine]
    assert any(words in reason for reason in reasons), reasons
    assert len(result.clips) == num_clips and not any("failed" in reason for reason in reasons)
    assert len(reasons) == num_lines or fault == "a torn data file", reasons

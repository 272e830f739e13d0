"""Generated py123d logs come back as the drive they were made from, however their pictures are kept; what is broken is named."""

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from motorworks.clips.frames import encode_mp4
from motorworks.clips.reader import read
from motorworks.datatypes.rig import SURROUND7

arrow = pytest.importorskip("pyarrow")

NUM, SPEED_MPS, YAW_RATE, SIZE = 40, 7.0, 0.2, (320, 180)
LEVELS = np.random.default_rng(3).integers(5, 150, NUM)  # of grey: each picture is known by its own
AXLE_UP_M = 0.3  # the rear axle above the ground; the IMU is 1 m ahead of it, 0.2 m higher, turned
IMU_FROM_AXLE = np.eye(4)
IMU_FROM_AXLE[:3, :3] = Rotation.from_euler("z", 0.1).as_matrix()
IMU_FROM_AXLE[:3, 3] = IMU_FROM_AXLE[:3, :3] @ [-1.0, 0.0, -0.2]
HEIGHT_M = 1.5


def _listed(pose: np.ndarray) -> list[float]:
    return [*pose[:3, 3].tolist(), *Rotation.from_matrix(pose[:3, :3]).as_quat(scalar_first=True).tolist()]


def _moved(x: float, y: float, z: float) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, 3] = x, y, z
    return pose


def _axle(time_s: float) -> np.ndarray:
    yaw, radius = -0.4 + YAW_RATE * time_s, SPEED_MPS / YAW_RATE
    pose = _moved(400 + radius * np.sin(yaw), -200 - radius * np.cos(yaw), 12.0)
    pose[:3, :3] = Rotation.from_euler("z", yaw).as_matrix()
    return pose


def _mount(index: int) -> np.ndarray:
    """The camera's pose at the IMU, of its place above the ground."""
    camera = SURROUND7.cameras[index]
    own = _moved(*camera.position_rig_m)
    own[:3, :3] = camera.rig_from_camera
    return IMU_FROM_AXLE @ _moved(0, 0, -AXLE_UP_M) @ own


@dataclass
class Parts:
    """The files of a log, as they are written; a fault changes one. Columns and metadata by file."""

    folder: Path
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    about: dict[str, dict[str, Any]] = field(default_factory=dict)

    def write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for key, columns in self.tables.items():
            table = arrow.table({f"{key}.{name}": values for name, values in columns.items()})
            about = {b"metadata": msgspec.msgpack.encode(self.about[key])} if key in self.about else {}
            with arrow.ipc.new_file(str(self.folder / f"{key}.arrow"), table.schema.with_metadata(about)) as writer:
                writer.write_table(table.replace_schema_metadata(about), max_chunksize=10)


@cache
def _image(level: int, kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((SIZE[1], SIZE[0], 3), level, np.uint8)).save(file, kind)
    return file.getvalue()


def _data(parts: Parts, key: str, levels: np.ndarray, codec: str) -> Any:
    if codec == "mp4":
        parts.folder.mkdir(parents=True, exist_ok=True)
        pictures = np.broadcast_to(levels[:, None, None, None], (NUM, SIZE[1], SIZE[0], 3)).astype(np.uint8)
        (parts.folder / f"{key}.mp4").write_bytes(encode_mp4(pictures))
        return arrow.array(range(NUM), arrow.int32())
    if codec == "path":
        names = [f"sensors/{key}/{number}.jpg" for number in range(NUM)]
        (parts.folder.parents[2] / "sensors" / key).mkdir(parents=True)
        for name, level in zip(names, levels, strict=True):
            (parts.folder.parents[2] / name).write_bytes(_image(level, "JPEG"))
        return arrow.array(names)
    return arrow.array([_image(level, codec) for level in levels], arrow.binary())


def _log(root: Path, codec: str = "JPEG", edit: Callable[[Parts], object] = lambda parts: None) -> Path:
    """Two cameras at 10 Hz, the ego state at 50 Hz."""
    parts = Parts(folder=root / "logs" / "nuplan_train" / "2021.05.12")
    parts.tables["sync"] = {"timestamp_us": [0]}
    parts.about["sync"] = {"dataset": "nuplan", "split": "nuplan_train", "log_name": "2021.05.12", "location": None, "version": "0.7.0"}
    time_s = np.arange(0, NUM * 5) / 50
    poses = [_axle(one) @ np.linalg.inv(IMU_FROM_AXLE) for one in time_s]
    parts.tables["ego_state_se3"] = {
        "timestamp_us": 1_600_000_000_000_000 + np.round(time_s * 1e6).astype(np.int64),
        "imu_se3": arrow.array([_listed(pose) for pose in poses], arrow.list_(arrow.float64(), 7)),
        "dynamic_state_se3": arrow.array([[0.0] * 9] * len(poses), arrow.list_(arrow.float64(), 9)),
    }
    centre = IMU_FROM_AXLE @ _moved(1.4, 0, HEIGHT_M / 2 - AXLE_UP_M)
    parts.about["ego_state_se3"] = {
        **{"vehicle_name": "generated", "width": 1.8, "length": 4.6, "height": HEIGHT_M, "wheel_base": 2.8},
        **{"center_to_imu_se3": _listed(centre), "rear_axle_to_imu_se3": _listed(IMU_FROM_AXLE)},
    }
    for index, name in enumerate(("pcam_f0", "pcam_l0")):
        key = f"camera.{name}"
        parts.tables[key] = {
            "timestamp_us": 1_600_000_000_000_000 + 100_000 * np.arange(NUM),
            "data": _data(parts, key, LEVELS + 60 * index, codec),
            "camera_to_global_se3": arrow.array([None] * NUM, arrow.list_(arrow.float64(), 7)),
        }
        parts.about[key] = {
            **{"camera_model": "pinhole", "camera_name": f"CAM_{index}", "camera_id": index, "intrinsics": [175.0, 175.0, 160.0, 75.0, 0.0]},
            **{"distortion": None, "width": SIZE[0], "height": SIZE[1], "camera_to_imu_se3": _listed(_mount(index)), "is_undistorted": True},
        }
    edit(parts)
    parts.write()
    return parts.folder


@pytest.mark.parametrize("codec", ["JPEG", "PNG", "mp4", "path"])
def test_a_generated_log_is_the_drive_it_was_made_from(tmp_path: Path, codec: str) -> None:
    _log(tmp_path, codec)
    result = read([tmp_path / "logs"])
    (clip,) = result.clips
    assert not result.quarantine and (clip.source, clip.recording_id, clip.licence) == ("py123d", "py123d-nuplan-2021.05.12", "CC-BY-NC-SA-4.0")
    motion, expected = clip.motion, np.stack([_axle(one)[:2, 3] for one in np.arange(NUM) / 10])
    np.testing.assert_allclose(motion.poses_world[:, :2], expected - expected[0], atol=1e-3)
    np.testing.assert_allclose(motion.speed_mps[8:-8], SPEED_MPS, rtol=0.01)
    np.testing.assert_allclose(motion.curvature_per_m[8:-8], YAW_RATE / SPEED_MPS, rtol=0.03)
    (side,) = clip.side_frames.values()
    assert np.abs(clip.frames.mean(axis=(1, 2, 3)) - LEVELS).max() < 6 and np.abs(side.mean(axis=(1, 2, 3)) - LEVELS - 60).max() < 6
    front, left = clip.cameras
    assert (front.name, left.name) == ("pcam_f0", "pcam_l0") and front.focal_px == pytest.approx(140) and front.centre_px == pytest.approx((128, 60))
    assert front.position_rig_m == pytest.approx((1.4, 0, 1.5), abs=1e-6) and front.yaw_rad == pytest.approx(0, abs=1e-6)
    assert left.yaw_rad == pytest.approx(np.deg2rad(55), abs=1e-6) and left.position_rig_m == pytest.approx((1.4, 0.4, 1.5), abs=1e-6)


LENSES: dict[str, dict[str, Any]] = {
    "ftheta": {"camera_model": "ftheta", "intrinsics": [160.0, 75.0, 0.0, 175.0, *[0.0] * 10]},
    "fisheye": {"camera_model": "fisheye_mei", "mirror_parameter": 1.0, "projection": [350.0, 350.0, 160.0, 75.0]},
}


@pytest.mark.parametrize("lens", LENSES)
def test_a_lens_that_is_no_pinhole_has_that_of_its_centre(tmp_path: Path, lens: str) -> None:
    (clip,) = read([_log(tmp_path, edit=lambda parts: parts.about["camera.pcam_f0"].update(LENSES[lens]))]).clips
    assert clip.cameras[0].focal_px == pytest.approx(140) and clip.cameras[0].centre_px == pytest.approx((128, 60))


def test_a_camera_of_another_shape_is_left_out_and_said_so(tmp_path: Path) -> None:
    result = read([_log(tmp_path, edit=lambda parts: parts.about["camera.pcam_l0"].update(width=180, height=320))])
    assert [list(clip.side_frames) for clip in result.clips] == [[]] and "pcam_l0: left out" in result.notes[0]


def test_a_licence_in_ingest_toml_goes_before(tmp_path: Path) -> None:
    (_log(tmp_path) / "ingest.toml").write_text('licence = "agreed-2025"\n')
    assert [clip.licence for clip in read([tmp_path / "logs"]).clips] == ["agreed-2025"]


FRONT, SIDE, EGO = "camera.pcam_f0", "camera.pcam_l0", "ego_state_se3"


def _column(key: str, name: str, change: Callable[[Any], Any]) -> Callable[[Parts], object]:
    return lambda parts: parts.tables[key].update({name: change(parts.tables[key][name])})


def _at(row: int, value: Any) -> Callable[[Any], Any]:
    def change(values: Any) -> Any:
        kind, rows = getattr(values, "type", None), values.tolist()
        rows[row] = value
        return arrow.array(rows, kind)

    return change


# what is done, what is said of it, clips that are left, how many of them have motion, and their cameras
FAULTS: dict[str, tuple[Callable[[Parts], object], str, int, int, int]] = {
    "no ego state": (lambda parts: parts.tables.pop(EGO), "the log is taken without motion", 1, 0, 2),
    "no pose": (lambda parts: parts.tables[EGO].pop("imu_se3"), "no column 'imu_se3'", 1, 0, 2),
    "not a number": (_column(EGO, "imu_se3", _at(5, [np.nan] * 7)), "'imu_se3' is not finite in 1 rows, the first 5", 1, 0, 2),
    "no rotation": (_column(EGO, "imu_se3", _at(5, [0.0] * 7)), "no rotation", 1, 0, 2),
    "ego clock goes back": (_column(EGO, "timestamp_us", _at(7, 5)), "'timestamp_us' goes back at row 7", 1, 0, 2),
    "no place of the axle": (lambda parts: parts.about[EGO].pop("rear_axle_to_imu_se3"), "field 'rear_axle_to_imu_se3' is missing", 1, 0, 2),
    "camera clock goes back": (_column(SIDE, "timestamp_us", _at(7, 5)), "'timestamp_us' goes back at row 7; this camera is left out", 1, 1, 1),
    "a clock of text": (_column(FRONT, "timestamp_us", lambda values: values.astype(str)), "not whole microseconds; the log is left out", 0, 0, 0),
    "no pictures": (lambda parts: parts.tables[FRONT].pop("data"), "no column 'data'", 0, 0, 0),
    "pictures of numbers": (_column(SIDE, "data", lambda values: np.ones(NUM)), "'data' is double: neither a picture", 1, 1, 1),
    "paths to nowhere": (_column(SIDE, "data", lambda values: ["x.jpg"] * NUM), "convert with camera_store_option jpeg_binary", 1, 1, 1),
    "a torn picture": (_column(FRONT, "data", _at(36, b"\xff\xd8torn")), "picture unreadable", 1, 1, 2),
    "a lens unknown": (lambda parts: parts.about[SIDE].update(camera_model="orthographic"), "camera_model is 'orthographic'", 1, 1, 1),
    "no camera ahead": (lambda parts: parts.tables.pop(FRONT), "no camera that looks ahead", 0, 0, 0),
    "not said what it is": (lambda parts: parts.about.pop("sync"), "does not say what the log is", 0, 0, 0),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_and_the_rest_is_taken(tmp_path: Path, fault: str) -> None:
    edit, words, num_clips, num_moved, num_cameras = FAULTS[fault]
    result = read([_log(tmp_path, edit=edit)])
    assert [words in entry.reason for entry in result.quarantine] == [True], result.quarantine
    assert (len(result.clips), sum(clip.motion is not None for clip in result.clips)) == (num_clips, num_moved)
    assert all(1 + len(clip.side_frames) == num_cameras for clip in result.clips)


@pytest.mark.parametrize(("name", "num_clips"), [("sync", 0), (EGO, 1), (SIDE, 1), (FRONT, 0)])
@pytest.mark.parametrize("size", [0, 300])
def test_a_torn_file_is_named(tmp_path: Path, name: str, size: int, num_clips: int) -> None:
    file = _log(tmp_path) / f"{name}.arrow"
    file.write_bytes(file.read_bytes()[:size])
    result = read([file.parent])
    assert [entry.path for entry in result.quarantine] == [file] and len(result.clips) == num_clips


def test_of_two_pictures_at_one_time_and_of_none_the_others_are_taken(tmp_path: Path) -> None:
    def edit(parts: Parts) -> None:
        times = parts.tables[SIDE]["timestamp_us"].copy()
        times[11] = times[10]
        parts.tables[SIDE]["timestamp_us"] = times
        _column(SIDE, "data", _at(20, None))(parts)

    (clip,) = read([_log(tmp_path, edit=edit)]).clips
    side = clip.side_frames["pcam_l0"].mean(axis=(1, 2, 3)) - 60
    same = np.abs(side - LEVELS) < 6
    assert not same[11] and not same[20] and same.sum() == NUM - 2


def test_without_pyarrow_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _log(tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (entry,) = read([path]).quarantine
    assert "pip install 'motorworks[data]'" in entry.reason

"""Data sets of several cameras: generated scenes in their layouts come back as the drive they were made from."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from motorworks.clips.reader import read
from motorworks.clips.readers.rig_log import camera_from, pose_matrix
from motorworks.datatypes.rig import SURROUND7

NUM, SPEED_MPS, YAW_RATE = 60, 8.0, 0.1
SIZE = (320, 180)


def _quaternion(rotation: np.ndarray) -> list[float]:
    return Rotation.from_matrix(rotation).as_quat(scalar_first=True).tolist()


def _world_from_rig(time_s: float) -> np.ndarray:
    """A left circle somewhere in the world."""
    yaw = 0.4 + YAW_RATE * time_s
    radius = SPEED_MPS / YAW_RATE
    pose = np.eye(4)
    pose[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    pose[:3, 3] = [400 + radius * np.sin(yaw), -200 - radius * np.cos(yaw), 12.0]
    return pose


def _rig_from_camera(index: int) -> np.ndarray:
    camera = SURROUND7.cameras[index]
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = camera.rig_from_camera, camera.position_rig_m
    return pose


def _save(path: Path, level: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((SIZE[1], SIZE[0], 3), level, np.uint8)).save(path)


def _dgp(folder: Path) -> Path:
    """A DGP scene with two cameras at 10 Hz."""
    names = ("CAMERA_01", "CAMERA_05")

    def pose(matrix: np.ndarray) -> dict[str, dict[str, float]]:
        return {
            "rotation": dict(zip(("qw", "qx", "qy", "qz"), _quaternion(matrix[:3, :3]), strict=True)),
            "translation": dict(zip(("x", "y", "z"), matrix[:3, 3].tolist(), strict=True)),
        }

    data, samples = [], []
    for step in range(NUM):
        keys = []
        for index, name in enumerate(names):
            file = f"rgb/{name}/{step}.jpg"
            _save(folder / file, 2 * step + 60 * index)
            own = _world_from_rig(step / 10) @ _rig_from_camera(index)
            image = {"filename": file, "width": SIZE[0], "height": SIZE[1], "pose": pose(own)}
            stamp = np.datetime64("2025-05-01T00:00:00", "us") + np.timedelta64(100_000 * step, "us")
            data.append({"key": f"{name}{step}", "id": {"name": name, "timestamp": f"{stamp}Z"}, "datum": {"image": image}})
            keys.append(f"{name}{step}")
        samples.append({"calibration_key": "c", "datum_keys": keys})
    calibration = {
        "names": list(names),
        "extrinsics": [pose(_rig_from_camera(index)) for index in range(2)],
        "intrinsics": [{"fx": 175.0, "fy": 175.0, "cx": 160.0, "cy": 75.0, "skew": 0.0}] * 2,
    }
    (folder / "calibration").mkdir()
    (folder / "calibration/c.json").write_text(json.dumps(calibration))
    (folder / "scene_0.json").write_text(json.dumps({"name": "generated", "data": data, "samples": samples}))
    return folder


def _nuscenes(folder: Path) -> Path:
    """One scene of two cameras at 12 Hz, a keyframe every sixth."""
    names, tables = ("CAM_FRONT", "CAM_FRONT_LEFT"), {"scene": [{"token": "s", "name": "scene-0001"}], "sample": [{"token": "k", "scene_token": "s"}]}
    rows: dict[str, list[dict[str, Any]]] = {**tables, "sample_data": [], "ego_pose": [], "calibrated_sensor": [], "sensor": []}
    for index, name in enumerate(names):
        mount = _rig_from_camera(index)
        rows["sensor"].append({"token": name, "channel": name})
        intrinsic = [[175.0, 0.0, 160.0], [0.0, 175.0, 75.0], [0.0, 0.0, 1.0]]
        own = {"rotation": _quaternion(mount[:3, :3]), "translation": mount[:3, 3].tolist()}
        rows["calibrated_sensor"].append({"token": f"c{name}", "sensor_token": name, "camera_intrinsic": intrinsic, **own})
        for step in range(72):
            file = f"{'samples' if step % 6 == 0 else 'sweeps'}/{name}/{step}.jpg"
            _save(folder / file, 2 * step + 60 * index)
            time_us = 1_600_000_000_000_000 + round(step / 12 * 1e6)
            pose = _world_from_rig(step / 12)
            rows["ego_pose"].append(
                {"token": f"p{name}{step}", "timestamp": time_us, "rotation": _quaternion(pose[:3, :3]), "translation": pose[:3, 3].tolist()}
            )
            rows["sample_data"].append(
                {"token": f"d{name}{step}", "sample_token": "k", "ego_pose_token": f"p{name}{step}", "calibrated_sensor_token": f"c{name}"}
                | {"timestamp": time_us, "fileformat": "jpg", "filename": file, "width": SIZE[0], "height": SIZE[1]}
            )
    (folder / "v1.0-mini").mkdir(parents=True, exist_ok=True)
    for name, values in rows.items():
        (folder / f"v1.0-mini/{name}.json").write_text(json.dumps(values))
    return folder / "v1.0-mini"


SETS = {"dgp": _dgp, "nuscenes": _nuscenes}


@pytest.mark.parametrize("name", SETS)
def test_a_generated_scene_is_the_drive_it_was_made_from(tmp_path: Path, name: str) -> None:
    result = read([SETS[name](tmp_path)])
    (clip,) = result.clips
    assert not result.quarantine and clip.source == name and clip.frames.shape[1:3] == (144, 256)
    motion, inner = clip.motion, slice(8, -8)
    np.testing.assert_allclose(motion.speed_mps[inner], SPEED_MPS, rtol=0.01)
    np.testing.assert_allclose(motion.curvature_per_m[inner], YAW_RATE / SPEED_MPS, rtol=0.03)
    (side,) = clip.side_frames
    assert clip.side_frames[side].shape == clip.frames.shape
    assert np.abs(clip.frames.mean(axis=(1, 2, 3)) + 60 - clip.side_frames[side].mean(axis=(1, 2, 3))).max() < 4  # the same moments
    front, left = clip.cameras
    assert front.focal_px == pytest.approx(175 * 0.8, rel=1e-3) and left.yaw_rad == pytest.approx(np.deg2rad(55), abs=1e-3)
    assert left.position_rig_m == pytest.approx(SURROUND7.cameras[1].position_rig_m, abs=1e-3)


def test_every_pose_of_a_camera_comes_back() -> None:
    for index, camera in enumerate(SURROUND7.cameras):
        matrix = np.array([[camera.focal_px, 0, camera.centre_px[0]], [0, camera.focal_px, camera.centre_px[1]], [0, 0, 1]])
        back = camera_from(camera.name, (camera.width_px, camera.height_px), matrix, _rig_from_camera(index))
        np.testing.assert_allclose(back.rig_from_camera, camera.rig_from_camera, atol=1e-9)
    rolled = camera_from("rolled", (10, 10), np.eye(3), pose_matrix([0.5, -0.45, 0.52, -0.51], [1.0, 0.0, 1.5]))
    np.testing.assert_allclose(rolled.rig_from_camera, pose_matrix([0.5, -0.45, 0.52, -0.51], [1.0, 0.0, 1.5])[:3, :3], atol=1e-9)


def _edit(path: Path, change: Any) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


FAULTS = {
    "a torn picture": ("dgp", lambda folder: (folder / "rgb/CAMERA_01/50.jpg").write_bytes(b"\xff\xd8torn"), "picture unreadable", 1),
    "a missing picture": ("dgp", lambda folder: (folder / "rgb/CAMERA_01/52.jpg").unlink(), "the picture is missing", 1),
    "no calibration": ("dgp", lambda folder: (folder / "calibration/c.json").unlink(), "calibration or poses cannot be used", 0),
    "a torn document": ("dgp", lambda folder: (folder / "scene_0.json").write_text("{"), "not a scene's document", 0),
    "no rotation": (
        "dgp",
        lambda folder: _edit(
            folder / "scene_0.json", lambda scene: scene["data"][4]["datum"]["image"]["pose"]["rotation"].update(qw=0, qx=0, qy=0, qz=0)
        ),
        "no rotation",
        0,
    ),
    "a missing table": ("nuscenes", lambda folder: (folder / "v1.0-mini/ego_pose.json").unlink(), "the table cannot be read", 0),
    "a token to nothing": ("nuscenes", lambda folder: _edit(folder / "v1.0-mini/ego_pose.json", lambda rows: rows.pop(3)), "points at nothing", 0),
    "a lost row": (
        "nuscenes",
        lambda folder: _edit(folder / "v1.0-mini/sample_data.json", lambda rows: rows[5].update(sample_token="x")),
        "1 rows point at a sample",
        1,
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_and_the_rest_is_taken(tmp_path: Path, fault: str) -> None:
    layout, damage, words, num_clips = FAULTS[fault]
    path = SETS[layout](tmp_path)
    damage(tmp_path)
    result = read([path])
    assert [words in entry.reason for entry in result.quarantine] == [True] and len(result.clips) == num_clips


def test_the_real_test_scenes_are_too_sparse_and_say_so(shared_data: Path) -> None:
    result = read([shared_data / "dgp_test_scenes"])
    assert not result.clips and all("one every 1.00 s" in entry.reason for entry in result.quarantine) and len(result.quarantine) == 2

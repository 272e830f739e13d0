"""A generated PhysicalAI-AV chunk comes back as the drive it was made from; what is broken in one is named."""

import io
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from motorworks.clips.frames import decode_mp4, encode_mp4
from motorworks.clips.reader import read, read_beside
from motorworks.datatypes.rig import SURROUND7

pandas = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")

NUM, SPEED_MPS, YAW_RATE = 105, 9.0, -0.15  # pictures at 30 Hz; a right bend
CAMERAS = ("camera_front_wide_120fov", "camera_cross_left_120fov")
CLIPS = ("25cd4769-5dcf-4b53-a351-bf2c5deb6124", "2edf278f-d5f9-4b83-b5aa-7a4e1f2c9a00")
LEVELS = np.random.default_rng(3).integers(5, 150, NUM)  # of grey: each picture is known by its own
FOCAL = 145.0  # px per radian at the centre of a picture of 320 x 180


def _parquet(frame: Any, *, index: bool = False) -> bytes:
    file = io.BytesIO()
    frame.to_parquet(file, index=index)
    return file.getvalue()


def _egomotion(scale: float) -> Any:
    """At 100 Hz, from before the first picture on, in the rig of the clip's start: a circle, x forward there."""
    time_us = np.arange(-100_000, 5_200_000, 10_000)
    time_s, speed = time_us / 1e6, SPEED_MPS * scale
    yaw, radius = YAW_RATE * time_s, speed / YAW_RATE
    columns = {"timestamp": time_us, "qx": 0 * yaw, "qy": 0 * yaw, "qz": np.sin(yaw / 2), "qw": np.cos(yaw / 2)}
    columns |= {"x": radius * np.sin(yaw), "y": radius * (1 - np.cos(yaw)), "z": 0 * yaw}
    columns |= {"vx": speed * np.cos(yaw), "vy": speed * np.sin(yaw), "vz": 0 * yaw, "ax": 0 * yaw, "ay": 0 * yaw, "az": 0 * yaw}
    return pandas.DataFrame(columns | {"curvature": 0 * yaw + YAW_RATE / speed})


def _calibration(root: Path, camera_poses: dict[str, Any]) -> None:
    index = pandas.MultiIndex.from_tuples([(clip, name) for clip in CLIPS for name in CAMERAS], names=["clip_id", "camera_name"])
    intrinsics = {"width": 320.0, "height": 180.0, "cx": 160.0, "cy": 75.0}
    intrinsics |= {f"{way}_poly_{power}": 0.0 for way in ("fw", "bw") for power in range(5)} | {"fw_poly_1": FOCAL, "fw_poly_3": -1.0}
    tables = {"camera_intrinsics": [intrinsics for _ in index], "sensor_extrinsics": [camera_poses[name] for _, name in index]}
    for kind, rows in tables.items():
        (root / "calibration" / kind).mkdir(parents=True)
        (root / f"calibration/{kind}/{kind}.chunk_0007.parquet").write_bytes(_parquet(pandas.DataFrame(rows, index=index), index=True))


Edit = Callable[[dict[str, bytes]], object]


def _chunk(root: Path, edit: Edit = lambda members: None, size: tuple[int, int] = (96, 64)) -> Path:
    """Two clips of two cameras; `edit` changes the members of all archives, by name, before they are written."""
    members: dict[str, bytes] = {}
    poses = {}
    for side, name in enumerate(CAMERAS):
        mount = SURROUND7.cameras[side]
        quaternion = Rotation.from_matrix(mount.rig_from_camera).as_quat()
        poses[name] = dict(zip(("qx", "qy", "qz", "qw"), quaternion, strict=True)) | dict(zip("xyz", mount.position_rig_m, strict=True))
        for which, clip in enumerate(CLIPS):
            levels = (LEVELS + 60 * side + 20 * which).astype(np.uint8)
            pictures = np.broadcast_to(levels[:, None, None, None], (NUM, size[1], size[0], 3))
            stamps = np.round(np.arange(NUM) * 1e6 / 30).astype(np.int64) + 4_000 * side
            members[f"{clip}.{name}.mp4"] = encode_mp4(np.ascontiguousarray(pictures), hz=30)
            members[f"{clip}.{name}.timestamps.parquet"] = _parquet(pandas.DataFrame({"timestamp": stamps}))
    members |= {f"{clip}.egomotion.parquet": _parquet(_egomotion(1 + which)) for which, clip in enumerate(CLIPS)}
    _calibration(root, poses)
    edit(members)
    for feature, folder in ((CAMERAS[0], "camera"), (CAMERAS[1], "camera"), ("egomotion", "labels")):
        (root / folder / feature).mkdir(parents=True)
        with zipfile.ZipFile(root / folder / feature / f"{feature}.chunk_0007.zip", "w") as archive:
            for name, content in members.items():
                if f".{feature}." in name:
                    archive.writestr(name, content)
    return root


def test_a_generated_chunk_is_the_drives_it_was_made_from(tmp_path: Path) -> None:
    result = read([_chunk(tmp_path, size=(320, 180))])
    assert not result.quarantine and [clip.recording_id for clip in result.clips] == [f"physical_ai-{clip}" for clip in CLIPS]
    for which, clip in enumerate(result.clips):
        motion, speed = clip.motion, SPEED_MPS * (1 + which)
        np.testing.assert_allclose(motion.speed_mps, speed, rtol=1e-4)
        np.testing.assert_allclose(motion.curvature_per_m, YAW_RATE / speed, rtol=0.01)
        assert motion.poses_world[-1, 1] < -1 and len(clip.timestamp_us) == NUM // 3 and clip.licence == "nvidia-av-dataset"
        assert list(clip.encoded) == ["front_wide_120fov", "cross_left_120fov"] and clip.frames is None
        front, left = (decode_mp4(video, height_px=144, width_px=256).mean(axis=(1, 2, 3)) for video in clip.encoded.values())
        assert np.abs(front - LEVELS[::3] - 20 * which).max() < 8 and np.abs(left - front - 60).max() < 8
        cameras = clip.cameras
        assert cameras[0].focal_px == pytest.approx(FOCAL * 0.8) and cameras[0].centre_px == pytest.approx((128, 60))
        assert cameras[1].yaw_rad == pytest.approx(np.deg2rad(55), abs=1e-6) and cameras[1].position_rig_m == pytest.approx((1.4, 0.4, 1.5))


def test_how_far_the_pinhole_is_off_at_the_edge_is_told(tmp_path: Path) -> None:
    (note,) = read([_chunk(tmp_path)]).notes
    edge = min(root.real for root in np.roots([-1, 0, FOCAL, -160]) if abs(root.imag) < 1e-9 and root.real > 0)
    assert f"front_wide_120fov {100 * (np.tan(edge) * FOCAL / 160 - 1):.0f} %" in note


def test_a_chunk_read_again_after_its_egomotion_changed_is_another(tmp_path: Path) -> None:
    path = _chunk(tmp_path) / f"camera/{CAMERAS[0]}/{CAMERAS[0]}.chunk_0007.zip"
    names = [one.name for one in read_beside(path)]
    assert names == [f"{CAMERAS[1]}.chunk_0007.zip", "egomotion.chunk_0007.zip"] + [
        f"{kind}.chunk_0007.parquet" for kind in ("camera_intrinsics", "sensor_extrinsics")
    ]


def _frame(members: dict[str, bytes], name: str, change: Callable[[Any], Any]) -> None:
    members[name] = _parquet(change(pandas.read_parquet(io.BytesIO(members[name]))))


EGO, STAMPS, VIDEO = f"{CLIPS[0]}.egomotion.parquet", f"{CLIPS[0]}.{CAMERAS[0]}.timestamps.parquet", f"{CLIPS[0]}.{CAMERAS[0]}.mp4"
SIDE_STAMPS = f"{CLIPS[0]}.{CAMERAS[1]}.timestamps.parquet"


def _set(frame: Any, row: int, column: str, value: Any) -> Any:
    frame.loc[row, column] = value
    return frame


# what is done, what is said of it, clips that are left, how many of them have motion
FAULTS: dict[str, tuple[Edit, str, int, int]] = {
    "no egomotion of a clip": (lambda members: members.pop(EGO), "no 25cd4769-5dcf-4b53-a351-bf2c5deb6124.egomotion.parquet", 2, 1),
    "egomotion torn": (lambda members: members.update({EGO: members[EGO][:900]}), "taken without motion", 2, 1),
    "no speed": (lambda members: _frame(members, EGO, lambda frame: frame.drop(columns="vx")), "no column 'vx'", 2, 1),
    "not a number": (
        lambda members: _frame(members, EGO, lambda frame: _set(frame, 7, "x", np.nan)),
        "'x' is not finite in 1 rows, the first 7",
        2,
        1,
    ),
    "no rotation": (lambda members: _frame(members, EGO, lambda frame: frame.assign(qw=0.0, qz=0.0)), "no rotation", 2, 1),
    "clock goes back": (
        lambda members: _frame(members, EGO, lambda frame: _set(frame, 9, "timestamp", 3)),
        "'timestamp' goes back or stands still at row 10",
        2,
        1,
    ),
    "a clock of text": (
        lambda members: _frame(members, STAMPS, lambda frame: frame.astype(str)),
        "not whole microseconds; the clip is left out",
        1,
        1,
    ),
    "no clock": (lambda members: members.pop(SIDE_STAMPS), "this camera is left out", 2, 2),
    "a torn video": (lambda members: members.update({VIDEO: members[VIDEO][:1500]}), f"{VIDEO}", 1, 1),
    "no front video": (
        lambda members: [members.pop(f"{clip}.{CAMERAS[0]}.mp4") for clip in CLIPS],
        "holds no {clip}.camera_front_wide_120fov.mp4",
        0,
        0,
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_clip_is_named_and_the_rest_is_taken(tmp_path: Path, fault: str) -> None:
    edit, words, num_clips, num_moved = FAULTS[fault]
    result = read([_chunk(tmp_path, edit)])
    assert any(words in f"{entry.path} {entry.reason}" for entry in result.quarantine), result.quarantine
    assert (len(result.clips), sum(clip.motion is not None for clip in result.clips)) == (num_clips, num_moved)


FILES: dict[str, tuple[Callable[[Path], object], str, int]] = {
    "front archive torn": (lambda root: _cut(root / f"camera/{CAMERAS[0]}/{CAMERAS[0]}.chunk_0007.zip"), "the archive cannot be opened", 0),
    "side archive torn": (lambda root: _cut(root / f"camera/{CAMERAS[1]}/{CAMERAS[1]}.chunk_0007.zip"), "the archive cannot be opened", 2),
    "egomotion not downloaded": (lambda root: (root / "labels/egomotion/egomotion.chunk_0007.zip").unlink(), "download labels/egomotion", 2),
    "intrinsics torn": (
        lambda root: _cut(root / "calibration/camera_intrinsics/camera_intrinsics.chunk_0007.parquet"),
        "taken without calibration",
        2,
    ),
}


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:500])


@pytest.mark.parametrize("fault", FILES)
def test_a_broken_file_of_a_chunk_is_named(tmp_path: Path, fault: str) -> None:
    damage, words, num_clips = FILES[fault]
    damage(_chunk(tmp_path))
    result = read([tmp_path])
    assert [words in entry.reason for entry in result.quarantine] == [True] and len(result.clips) == num_clips
    assert all(len(clip.cameras) == (0 if fault == "intrinsics torn" else len(clip.encoded)) for clip in result.clips)


def test_without_pyarrow_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _chunk(tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (entry,) = read([path]).quarantine
    assert "pip install 'motorworks[data]'" in entry.reason

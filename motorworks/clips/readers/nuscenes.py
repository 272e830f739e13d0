"""nuScenes tables: several cameras at 12 Hz, poses of the rear axle, calibration. The v1.0 schema, whole (`v1.0-mini`, `v1.0-trainval`).

Written from the specification (nuscenes.org/nuscenes#data-format), untested on real files: none could be opened here. Sweeps between the
keyframes are used, so clips are 10 Hz; `ego_pose` is the rear axle on the ground in a map frame (x east, y north), ours less its start.
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from motorworks.bodies.body import CAR
from motorworks.clips.readers.pictures import ImageFiles
from motorworks.clips.readers.rig_log import CameraLog, RigLog, camera_from, clips_of, pose_matrix, track_of_poses
from motorworks.clips.readers.settings import with_settings
from motorworks.clips.recording import ClipReader, Quarantined, ReadResult, join

LICENCE = "CC-BY-NC-SA-4.0"
_FRONT = "CAM_FRONT"
_TABLES = ("scene", "sample", "sample_data", "ego_pose", "calibrated_sensor", "sensor")


class NuscenesReader(ClipReader):
    """Reads a folder of tables; pictures lie beside it."""

    name = "nuscenes"
    understands = "nuScenes tables: a folder (v1.0-mini ...) with scene.json, sample_data.json ..., beside samples/ and sweeps/"

    def recognises(self, path: Path) -> bool:
        """A folder that holds the tables."""
        return (path / "scene.json").is_file() and (path / "sample_data.json").is_file()

    def beside(self, path: Path) -> tuple[Path, ...]:
        """The pictures."""
        return tuple(folder for name in ("samples", "sweeps") if (folder := path.parent / name).is_dir())

    def read(self, path: Path) -> ReadResult:
        """Every scene as clips."""
        return with_settings(path, lambda settings: _read(path, settings.max_gap_s))


def _read(path: Path, max_gap_s: float | None) -> ReadResult:
    tables: dict[str, list[dict[str, Any]]] = {}
    for name in _TABLES:
        try:
            tables[name] = json.loads((path / f"{name}.json").read_text())
        except (OSError, ValueError) as error:
            return ReadResult(quarantine=[Quarantined(path=path / f"{name}.json", reason=f"the table cannot be read ({error})")])
    by_token = {name: {row["token"]: row for row in rows} for name, rows in tables.items()}
    shots: dict[str, list[dict[str, Any]]] = defaultdict(list)  # by scene
    lost = 0
    for row in tables["sample_data"]:
        sample = by_token["sample"].get(row["sample_token"])
        if sample is None:
            lost += 1
        elif row["fileformat"] in ("jpg", "png"):
            shots[sample["scene_token"]].append(row)
    results = [_scene(path, scene, shots[scene["token"]], by_token, max_gap_s) for scene in tables["scene"]]
    if lost:
        reason = f"{lost} rows point at a sample that is not in sample.json; they are left out"
        results.append(ReadResult(quarantine=[Quarantined(path=path / "sample_data.json", reason=reason)]))
    return join(results)


def _scene(path: Path, scene: dict[str, Any], rows: list[dict[str, Any]], by_token: dict[str, Any], max_gap_s: float | None) -> ReadResult:
    where = path / "scene.json"
    cameras: dict[str, list[dict[str, Any]]] = defaultdict(list)
    poses: dict[int, Any] = {}
    try:
        for row in rows:
            sensor = by_token["calibrated_sensor"][row["calibrated_sensor_token"]]
            cameras[by_token["sensor"][sensor["sensor_token"]]["channel"]].append(row)
            pose = by_token["ego_pose"][row["ego_pose_token"]]
            poses[int(pose["timestamp"])] = pose_matrix(pose["rotation"], pose["translation"])
        logs = [_camera(path.parent, name, cameras[name], by_token) for name in sorted(cameras, key=lambda name: (name != _FRONT, name))]
    except (KeyError, ValueError) as error:
        reason = f"points at nothing: {error}" if isinstance(error, KeyError) else str(error)
        return ReadResult(quarantine=[Quarantined(path=where, reason=f"scene {scene['name']} {reason}")])
    if not logs:
        return ReadResult(quarantine=[Quarantined(path=where, reason=f"scene {scene['name']} has no picture")])
    log = RigLog(
        recording_id=f"nuscenes-{scene['name']}",
        source="nuscenes",
        body=CAR.name,
        licence=LICENCE,
        track=track_of_poses(np.array(list(poses), np.int64), np.stack(list(poses.values()))),
        cameras=logs,
        tags=(f"scene:{scene['name']}",),
        max_gap_s=max_gap_s,
    )
    return clips_of(log, where)


def _camera(root: Path, name: str, rows: list[dict[str, Any]], by_token: dict[str, Any]) -> CameraLog:
    rows = sorted(rows, key=lambda row: int(row["timestamp"]))
    sensor = by_token["calibrated_sensor"][rows[0]["calibrated_sensor_token"]]
    matrix, size = np.array(sensor["camera_intrinsic"], np.float64), (int(rows[0]["width"]), int(rows[0]["height"]))
    if matrix.shape != (3, 3):
        raise ValueError(f"camera {name}: camera_intrinsic is not 3 x 3")
    return CameraLog(
        name=name.removeprefix("CAM_").lower(),
        time_us=np.array([int(row["timestamp"]) for row in rows], np.int64),
        pictures=ImageFiles(files=[root / row["filename"] for row in rows]),
        camera=camera_from(name.removeprefix("CAM_").lower(), size, matrix, pose_matrix(sensor["rotation"], sensor["translation"])),
    )

"""Scenes in TRI's Dataset Governance Policy layout (github TRI-ML/dgp), as DDAD: several cameras, poses, calibration.

Their frames: the vehicle's is ours (x forward, y left, z up), a camera's x right, y down, z forward; quaternions are w x y z. A camera's
pose stands in the world at its own time; the vehicle's is that less the camera's place in it. Tried on the two test scenes of the DGP
repository, which hold one sample a second: too sparse for a clip, and said so. DDAD itself (10 Hz) could not be opened here.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from motorworks.bodies.body import CAR
from motorworks.clips.readers.pictures import ImageFiles
from motorworks.clips.readers.rig_log import CameraLog, RigLog, camera_from, clips_of, pose_matrix, track_of_poses
from motorworks.clips.readers.settings import Settings, with_settings
from motorworks.clips.recording import ClipReader, Quarantined, ReadResult
from motorworks.geometry.array import Array


class DgpReader(ClipReader):
    """Reads one scene folder."""

    name = "dgp"
    understands = "DGP or DDAD scene: a folder with scene_<hash>.json, calibration/ and rgb/"

    def recognises(self, path: Path) -> bool:
        """A folder with a scene's document and calibration."""
        return path.is_dir() and (path / "calibration").is_dir() and any(path.glob("scene_*.json"))

    def read(self, path: Path) -> ReadResult:
        """The scene as clips of all its cameras; the first by name looks ahead (DDAD: CAMERA_01)."""
        return with_settings(path, lambda settings: _read(path, settings))


def _read(path: Path, settings: Settings) -> ReadResult:
    document = sorted(path.glob("scene_*.json"))[0]
    try:
        scene = json.loads(document.read_text())
        data = {entry["key"]: entry for entry in scene["data"]}
        samples = [(sample["calibration_key"], [data[key] for key in sample["datum_keys"]]) for sample in scene["samples"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return ReadResult(quarantine=[Quarantined(path=document, reason=f"not a scene's document ({type(error).__name__}: {error})")])
    try:
        log = _log(path, settings, str(scene.get("name") or document.stem), samples)
    except (OSError, ValueError, KeyError) as error:
        return ReadResult(quarantine=[Quarantined(path=path, reason=f"calibration or poses cannot be used ({type(error).__name__}: {error})")])
    return clips_of(log, path)


def _log(path: Path, settings: Settings, name: str, samples: list[tuple[str, list[dict[str, Any]]]]) -> RigLog:
    shots: dict[str, list[tuple[int, Path]]] = {}
    cameras: dict[str, Any] = {}
    poses: list[tuple[int, Array]] = []
    for calibration_key, entries in samples:
        calibration = json.loads((path / "calibration" / f"{calibration_key}.json").read_text())
        of = {one: place for place, one in enumerate(calibration["names"])}
        for entry in entries:
            image, camera = entry["datum"].get("image"), entry["id"]["name"]
            if image is None:
                continue
            time_us = int(np.datetime64(entry["id"]["timestamp"].rstrip("Z"), "us").astype(np.int64))
            intrinsics, rig_from_camera = calibration["intrinsics"][of[camera]], matrix_of(calibration["extrinsics"][of[camera]])
            matrix = np.array([[intrinsics["fx"], intrinsics["skew"], intrinsics["cx"]], [0, intrinsics["fy"], intrinsics["cy"]], [0, 0, 1]])
            cameras.setdefault(camera, camera_from(camera, (image["width"], image["height"]), matrix, rig_from_camera))
            shots.setdefault(camera, []).append((time_us, path / image["filename"]))
            poses.append((time_us, matrix_of(image["pose"]) @ np.linalg.inv(rig_from_camera)))
    if not shots:
        raise ValueError("no sample has a picture")
    return RigLog(
        recording_id=f"dgp-{name}",
        source="dgp",
        body=CAR.name if settings.path is None else settings.body,
        licence=settings.licence,
        track=track_of_poses(np.array([time for time, _ in poses], np.int64), np.stack([pose for _, pose in poses])),
        cameras=[_camera_log(camera, sorted(shots[camera], key=lambda shot: shot[0]), cameras[camera]) for camera in sorted(shots)],
        tags=(f"scene:{name}",),
        max_gap_s=settings.max_gap_s,
    )


def _camera_log(name: str, shots: list[tuple[int, Path]], camera: Any) -> CameraLog:
    return CameraLog(
        name=name, time_us=np.array([time for time, _ in shots], np.int64), pictures=ImageFiles(files=[file for _, file in shots]), camera=camera
    )


def matrix_of(pose: dict[str, dict[str, float]]) -> Float[Array, "4 4"]:
    """Of a pose as their documents have it; raises ValueError for what is no rotation."""
    rotation, translation = pose["rotation"], pose["translation"]
    return pose_matrix([rotation[key] for key in ("qw", "qx", "qy", "qz")], [translation[key] for key in ("x", "y", "z")])

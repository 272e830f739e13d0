"""Logs of py123d (Arrow files a log; one form for nuScenes, nuPlan, Argoverse 2, Waymo, PandaSet, KITTI-360 and others), read with pyarrow alone.

Written from the specification (the source of py123d 0.7.0), untested on real files: none could be opened here, but logs that py123d's own writer
made of a generated drive could. A log is a folder:

    sync.arrow             what the log is called; its rows are not needed
    ego_state_se3.arrow    timestamp_us, imu_se3 (x y z qw qx qy qz in a level world), with the vehicle's measures
    camera.<id>.arrow      timestamp_us, data: JPEG or PNG, a frame's number in camera.<id>.mp4, or a path below the data set's own folder

Columns carry the file's name before theirs; what describes a file lies as MessagePack in its schema, under `metadata`. The vehicle's x is forward,
y left, z up; a camera's z forward, x right, y down. Poses are of an IMU and are moved to the rear axle, and from there to the ground by the
height of the vehicle's box. Speed comes from the poses: `dynamic_state_se3` is zero where a data set has none. A lens that is no pinhole gets that
of its centre, distortion is left out. Maps, boxes, lidar and labels are not read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from jaxtyping import Float

from motorworks.clips.motion import Track
from motorworks.clips.readers.arrow_table import NEEDS_PYARROW, numbers, times_us
from motorworks.clips.readers.pictures import ImageBytes, ImageFiles, Pictures, VideoFrames
from motorworks.clips.readers.rig_log import CameraLog, RigLog, camera_from, clips_of, of_one_shape, pose_matrix, track_of_poses
from motorworks.clips.readers.settings import Settings, with_settings
from motorworks.clips.recording import ClipReader, Quarantined, ReadResult, join
from motorworks.datatypes.rig import Camera
from motorworks.geometry.array import Array

_EGO = "ego_state_se3"
_FRONT = ("pcam_f0", "ftcam_f0", "pcam_stereo_l")  # the camera that looks ahead: the first of these that is there
_FOLDERS_UP = 4  # logs/<split>/<log> lie beside the sensors' folders, if anywhere near
_LICENCES = {  # of the data; a licence in ingest.toml goes before
    "av2-sensor": "CC-BY-NC-SA-4.0",
    "kitti360": "CC-BY-NC-SA-3.0",
    "nuplan": "CC-BY-NC-SA-4.0",
    "nuscenes": "CC-BY-NC-SA-4.0",
    "pandaset": "CC-BY-4.0",
    "physical-ai-av": "nvidia-av-dataset",
    "wod-perception": "Waymo-Open-NC",
}


class Py123dReader(ClipReader):
    """Reads one log."""

    name = "py123d"
    understands = "py123d log: a folder with sync.arrow, ego_state_se3.arrow and camera.<id>.arrow"

    def recognises(self, path: Path) -> bool:
        """A folder with the log's own file."""
        return (path / "sync.arrow").is_file()

    def read(self, path: Path) -> ReadResult:
        """The log as clips."""
        return with_settings(path, lambda settings: _read(path, settings))


@dataclass(frozen=True, kw_only=True)
class _File:
    """A table, its columns named without the file's name, and what describes it."""

    table: Any
    about: Mapping[str, Any]


def _read(path: Path, settings: Settings) -> ReadResult:
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        return ReadResult(quarantine=[Quarantined(path=path, reason=NEEDS_PYARROW)])
    try:
        log = _open(path / "sync.arrow").about
        name, dataset = str(log["log_name"]), str(log["dataset"])
    except (ValueError, OSError, KeyError) as error:
        return ReadResult(quarantine=[Quarantined(path=path / "sync.arrow", reason=f"does not say what the log is ({_said(error)})")])
    quarantine: list[Quarantined] = []
    rig_from_imu, track = _ego(path / f"{_EGO}.arrow", quarantine)
    files = {file.stem.partition(".")[2]: file for file in sorted(path.glob("camera.*.arrow"))}
    front = next((one for one in _FRONT if one in files), None)
    if front is None:
        reason = f"no camera that looks ahead: camera.{_FRONT[0]}.arrow is missing (there are: {', '.join(files) or 'none'})"
        return ReadResult(quarantine=[*quarantine, Quarantined(path=path, reason=reason)])
    logs = []
    for camera in sorted(files, key=lambda camera: (camera != front, camera)):
        try:
            logs.append(_camera_log(files[camera], camera, rig_from_imu))
        except (ValueError, OSError, KeyError, TypeError) as error:
            what = "the log" if camera == front else "this camera"
            quarantine.append(Quarantined(path=files[camera], reason=f"{_said(error)}; {what} is left out"))
            if camera == front:
                return ReadResult(quarantine=quarantine)
    kept, notes = of_one_shape(logs)
    rig = RigLog(
        recording_id=f"py123d-{dataset}-{name}",
        source="py123d",
        body=settings.body,
        licence=settings.licence if settings.licence != Settings().licence else _LICENCES.get(dataset, settings.licence),
        track=track,
        cameras=kept,
        tags=(f"dataset:{dataset}", f"split:{log.get('split')}", f"log:{name}"),
        max_gap_s=settings.max_gap_s,
    )
    return join([ReadResult(quarantine=quarantine, notes=[f"{name}: {note}" for note in notes]), clips_of(rig, path)])


def _said(error: Exception) -> str:
    return f"field {error} is missing" if isinstance(error, KeyError) else str(error)


def _open(path: Path) -> _File:
    """Raises ValueError (pyarrow's errors are) or OSError."""
    import pyarrow as arrow

    table = arrow.ipc.open_file(arrow.memory_map(str(path))).read_all()
    try:
        about = msgspec.msgpack.decode((table.schema.metadata or {})[b"metadata"])
    except (KeyError, msgspec.DecodeError) as error:
        raise ValueError(f"its schema has no readable metadata ({_said(error)})") from error
    if not isinstance(about, dict):
        raise ValueError(f"its metadata is {type(about).__name__}, not a table of fields")
    return _File(table=table.rename_columns([name.removeprefix(f"{path.stem}.") for name in table.column_names]), about=about)


def _pose(values: Sequence[float]) -> Float[Array, "4 4"]:
    return pose_matrix(values[3:7], values[:3])


def _ego(path: Path, quarantine: list[Quarantined]) -> tuple[Float[Array, "4 4"], Track | None]:
    """The rig from the IMU, and the track of the rig; without a file that can be used the IMU is taken for the rig, and there is no track."""
    try:
        ego = _open(path)
        imu_from_axle, centre = _pose(ego.about["rear_axle_to_imu_se3"]), _pose(ego.about["center_to_imu_se3"])
        imu_from_rig = imu_from_axle.copy()
        imu_from_rig[:3, 3] += imu_from_axle[:3, 2] * ((np.linalg.inv(imu_from_axle) @ centre)[2, 3] - float(ego.about["height"]) / 2)
        time_us, values = times_us(ego.table, "timestamp_us", still=True), numbers(ego.table, "imu_se3")
        if values.shape[1:] != (7,):
            raise ValueError(f"column 'imu_se3' has {values.shape[1:]} numbers a row, not x y z qw qx qy qz")
        poses = np.stack([_pose(row) for row in values]) @ imu_from_rig
        return np.linalg.inv(imu_from_rig), track_of_poses(time_us, poses)
    except (ValueError, OSError, KeyError, TypeError) as error:
        quarantine.append(Quarantined(path=path, reason=f"{_said(error)}; the log is taken without motion"))
        return np.eye(4), None


def _camera_log(path: Path, name: str, rig_from_imu: Float[Array, "4 4"]) -> CameraLog:
    file = _open(path)
    time_us = times_us(file.table, "timestamp_us", still=True)
    if "data" not in file.table.column_names:
        raise ValueError(f"no column 'data'; it has {', '.join(file.table.column_names)}")
    values = file.table.column("data")
    new = np.diff(time_us, prepend=time_us[:1] - 1) > 0  # of pictures at one time the first
    kept = np.flatnonzero(new & values.is_valid().to_numpy(zero_copy_only=False))
    return CameraLog(name=name, time_us=time_us[kept], pictures=_pictures(path, values, kept), camera=_camera(name, file.about, rig_from_imu))


def _pictures(path: Path, values: Any, kept: Array) -> Pictures:
    import pyarrow as arrow

    kind = values.type
    if arrow.types.is_binary(kind) or arrow.types.is_large_binary(kind):
        return ImageBytes(path=path, images=[memoryview(values[int(index)].as_buffer()) for index in kept])
    if arrow.types.is_integer(kind):
        return VideoFrames(path=path.with_suffix(".mp4"), at=values.to_numpy()[kept].astype(np.int64))
    if not arrow.types.is_string(kind):
        raise ValueError(f"column 'data' is {kind}: neither a picture, nor a frame's number, nor a path")
    names = [values[int(index)].as_py() for index in kept]
    root = next((one for one in path.absolute().parents[: _FOLDERS_UP + 1] if names and (one / names[0]).is_file()), None)
    if root is None:
        raise ValueError(
            f"its pictures are paths ({names[0] if names else 'none'}) below a folder that only py123d's settings know: "
            "put the log into that folder, or convert with camera_store_option jpeg_binary"
        )
    return ImageFiles(files=[root / one for one in names])


def _camera(name: str, about: Mapping[str, Any], rig_from_imu: Float[Array, "4 4"]) -> Camera | None:
    """The pinhole of the lens's centre; None where intrinsics are not told."""
    model = about["camera_model"]
    if model == "pinhole" and about["intrinsics"]:
        focal_x, focal_y, x, y = about["intrinsics"][:4]
    elif model == "ftheta" and about["intrinsics"]:
        x, y, _, focal_x = about["intrinsics"][:4]  # radius in px by angle: its slope at 0
        focal_y = focal_x
    elif model == "fisheye_mei" and about["projection"] and about["mirror_parameter"] is not None:
        focal_x, focal_y, x, y = about["projection"][:4]
        focal_x, focal_y = focal_x / (1 + about["mirror_parameter"]), focal_y / (1 + about["mirror_parameter"])
    elif model in ("pinhole", "ftheta", "fisheye_mei"):
        return None
    else:
        raise ValueError(f"metadata: camera_model is {model!r}, not pinhole, ftheta or fisheye_mei")
    matrix = np.array([[focal_x, 0, x], [0, focal_y, y], [0, 0, 1]], np.float64)
    if not np.isfinite(matrix).all():
        raise ValueError("metadata: intrinsics are not finite")
    return camera_from(name, (int(about["width"]), int(about["height"])), matrix, rig_from_imu @ _pose(about["camera_to_imu_se3"]))

"""NVIDIA PhysicalAI-Autonomous-Vehicles, the chunks as they are downloaded: seven cameras at 30 Hz, egomotion, calibration.

Written from the specification (the data set's wiki and the `physical_ai_av` package 0.2.3), untested on real files: none could be opened here.
A recording is the front camera's archive of one chunk, some hundred clips of 20 s; the rest of the chunk is found by its place beside it:

    camera/<camera>/<camera>.chunk_0000.zip                    {clip}.<camera>.mp4, {clip}.<camera>.timestamps.parquet
    labels/egomotion/egomotion.chunk_0000.zip                  {clip}.egomotion.parquet
    calibration/{camera_intrinsics,sensor_extrinsics}/....chunk_0000.parquet, rows by clip and sensor

Their rig is ours (x forward, y left, z up, under the rear axle); poses, and velocities too, stand in the rig of the clip's start; quaternions are
x y z w; cameras look along z with x right and y down; all clocks are the clip's, in µs. Lenses are f-theta (radius in px = polynomial of the angle):
pictures stay as recorded, and calibration is the pinhole of the lens's centre (focal length = the polynomial's slope at 0), which holds there and
is off towards the edge by what a note says. Lidar, radar, labels and vehicle dimensions are not read.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from motorworks.clips.clock import TICK_US, nearest_index
from motorworks.clips.motion import Track
from motorworks.clips.readers.arrow_table import NEEDS_PYARROW, numbers, times_us
from motorworks.clips.readers.pictures import VideoFrames
from motorworks.clips.readers.rig_log import CameraLog, RigLog, as_videos, camera_from, clips_of, pose_matrix, track_of_poses
from motorworks.clips.readers.settings import Settings, with_settings
from motorworks.clips.recording import ClipReader, Quarantined, ReadResult, join
from motorworks.datatypes.rig import Camera

LICENCE = "nvidia-av-dataset"
_FRONT = "camera_front_wide_120fov"
_CHUNK = re.compile(rf"{_FRONT}\.chunk_\d+\.zip")
_CALIBRATION = ("camera_intrinsics", "sensor_extrinsics")
_QUATERNION, _POSITION, _VELOCITY = ("qw", "qx", "qy", "qz"), ("x", "y", "z"), ("vx", "vy", "vz")


class PhysicalAiReader(ClipReader):
    """Reads one chunk."""

    name = "physical_ai"
    understands = f"NVIDIA PhysicalAI-AV chunk: {_FRONT}.chunk_0000.zip in camera/{_FRONT}/, with labels/ and calibration/ as downloaded"

    def recognises(self, path: Path) -> bool:
        """The front camera's archive of a chunk."""
        return bool(_CHUNK.fullmatch(path.name)) and path.is_file()

    def beside(self, path: Path) -> tuple[Path, ...]:
        """The chunk's other archives, and its tables."""
        return _parts(path)

    def read(self, path: Path) -> ReadResult:
        """Every clip of the chunk, its pictures encoded: decoded, a hundred clips of seven cameras are 15 GB."""
        return with_settings(path, lambda settings: _read(path, settings))


def _parts(path: Path) -> tuple[Path, ...]:
    root, chunk = path.absolute().parent.parent.parent, path.stem.rpartition(".")[2]
    cameras = [folder / f"{folder.name}.{chunk}.zip" for folder in sorted((root / "camera").glob("camera_*")) if folder.name != _FRONT]
    calibration = [root / "calibration" / kind / f"{kind}.{chunk}.parquet" for kind in _CALIBRATION]
    return tuple(part for part in (*cameras, _egomotion(path), *calibration) if part.is_file())


def _egomotion(path: Path) -> Path:
    return path.absolute().parent.parent.parent / "labels" / "egomotion" / f"egomotion.{path.stem.rpartition('.')[2]}.zip"


@dataclass(frozen=True, kw_only=True)
class _Archive:
    path: Path
    members: Mapping[str, str]  # by their last name

    def read(self, name: str) -> bytes:
        """A member, whole and with its check; raises ValueError."""
        if name not in self.members:
            raise ValueError(f"no {name} in {self.path.name}")
        try:
            with zipfile.ZipFile(self.path) as archive:
                return archive.read(self.members[name])
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            raise ValueError(f"{name} cannot be unpacked ({error})") from error

    def table(self, name: str) -> Any:
        """A Parquet member."""
        import pyarrow as arrow
        import pyarrow.parquet as parquet

        return parquet.read_table(arrow.BufferReader(self.read(name)))


@dataclass(frozen=True, kw_only=True)
class _Chunk:
    cameras: Mapping[str, _Archive]  # the front camera's first
    egomotion: _Archive | None
    calibration: Mapping[tuple[str, str], Camera]  # by clip and camera
    settings: Settings


def _read(path: Path, settings: Settings) -> ReadResult:
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        return ReadResult(quarantine=[Quarantined(path=path, reason=NEEDS_PYARROW)])
    quarantine: list[Quarantined] = []
    archives: dict[str, _Archive] = {}
    parts = _parts(path)
    for part in (path, *(part for part in parts if part.suffix == ".zip")):
        try:
            with zipfile.ZipFile(part) as archive:
                archives[part.name.partition(".")[0]] = _Archive(path=part, members={Path(name).name: name for name in archive.namelist()})
        except (zipfile.BadZipFile, OSError) as error:
            quarantine.append(Quarantined(path=part, reason=f"the archive cannot be opened ({error}); download it again"))
    if _FRONT not in archives:
        return ReadResult(quarantine=quarantine)
    if not _egomotion(path).is_file():
        quarantine.append(Quarantined(path=_egomotion(path), reason="missing; the chunk is taken without motion: download labels/egomotion"))
    calibration, notes = _calibration([part for part in parts if part.suffix == ".parquet"], quarantine)
    egomotion = archives.pop("egomotion", None)
    chunk = _Chunk(cameras=archives, egomotion=egomotion, calibration=calibration, settings=settings)
    ending = f".{_FRONT}.mp4"
    clip_ids = sorted(name.removesuffix(ending) for name in archives[_FRONT].members if name.endswith(ending))
    if not clip_ids:
        quarantine.append(Quarantined(path=path, reason=f"holds no {{clip}}{ending}"))
    return join([ReadResult(quarantine=quarantine, notes=notes), *(as_videos(_clip(chunk, clip_id)) for clip_id in clip_ids)])


def _clip(chunk: _Chunk, clip_id: str) -> ReadResult:
    quarantine: list[Quarantined] = []
    logs: list[CameraLog] = []
    for name, archive in chunk.cameras.items():
        file = f"{clip_id}.{name}.timestamps.parquet"
        try:
            time_us = times_us(archive.table(file), "timestamp")
        except (ValueError, OSError) as error:
            what = "the clip" if name == _FRONT else "this camera"
            quarantine.append(Quarantined(path=archive.path / file, reason=f"{error}; {what} is left out"))
            if name == _FRONT:
                return ReadResult(quarantine=quarantine)
            continue
        logs.append(_camera_log(archive, clip_id, name, time_us, chunk.calibration.get((clip_id, name)), logs[0].time_us[0] if logs else time_us[0]))
    log = RigLog(
        recording_id=f"physical_ai-{clip_id}",
        source="physical_ai",
        body=chunk.settings.body,
        licence=LICENCE,
        track=_track(chunk.egomotion, clip_id, quarantine),
        cameras=logs,
        tags=(f"clip:{clip_id}",),
        max_gap_s=chunk.settings.max_gap_s,
    )
    return join([ReadResult(quarantine=quarantine), clips_of(log, chunk.cameras[_FRONT].path / clip_id)])


def _camera_log(archive: _Archive, clip_id: str, name: str, time_us: Any, camera: Camera | None, start_us: int) -> CameraLog:
    """Of the 30 pictures a second the ten nearest to the front camera's ticks."""
    ticks = np.arange(start_us, time_us[-1] + TICK_US, TICK_US, dtype=np.int64)
    kept = np.unique(nearest_index(time_us, ticks))
    file = f"{clip_id}.{name}.mp4"
    pictures = VideoFrames(path=archive.path / file, at=kept, source=lambda: io.BytesIO(archive.read(file)))
    return CameraLog(name=name.removeprefix("camera_"), time_us=time_us[kept], pictures=pictures, camera=camera)


def _track(egomotion: _Archive | None, clip_id: str, quarantine: list[Quarantined]) -> Track | None:
    if egomotion is None:
        return None
    file = f"{clip_id}.egomotion.parquet"
    try:
        table = egomotion.table(file)
        time_us, values = times_us(table, "timestamp"), partial(_columns, table)
        poses = np.stack([pose_matrix(*row) for row in zip(values(_QUATERNION), values(_POSITION), strict=True)])
        return replace(track_of_poses(time_us, poses), speed_mps=(values(_VELOCITY) * poses[:, :3, 0]).sum(axis=1))
    except (ValueError, OSError) as error:
        quarantine.append(Quarantined(path=egomotion.path / file, reason=f"{error}; the clip is taken without motion"))
        return None


def _columns(table: Any, names: Sequence[str]) -> Any:
    return np.stack([numbers(table, name) for name in names], axis=-1)


def _calibration(files: Sequence[Path], quarantine: list[Quarantined]) -> tuple[dict[tuple[str, str], Camera], list[str]]:
    import pyarrow.parquet as parquet

    rows: dict[str, dict[tuple[str, str], Mapping[str, Any]]] = {}
    for file in files:
        try:
            table = parquet.read_table(file)
            clip, sensor = [name for name in (table.schema.pandas_metadata or {}).get("index_columns", ()) if isinstance(name, str)] or _texts(table)
            rows[file.parent.name] = {(row[clip], row[sensor]): row for row in table.to_pylist()}
        except (ValueError, OSError) as error:
            quarantine.append(Quarantined(path=file, reason=f"not a table by clip and sensor ({error}); clips are taken without calibration"))
    cameras, worst = {}, dict[str, float]()
    extrinsics = rows.get("sensor_extrinsics", {})
    for (clip_id, name), row in rows.get("camera_intrinsics", {}).items():
        try:
            cameras[clip_id, name] = _centre_pinhole(name.removeprefix("camera_"), row, extrinsics[clip_id, name])
            worst[name] = max(worst.get(name, 0.0), _off_at_edge_frac(row))
        except (KeyError, TypeError, ValueError) as error:
            reason = f"{clip_id} {name}: {type(error).__name__} {error} in intrinsics or extrinsics; that clip is taken without calibration"
            quarantine.append(Quarantined(path=next(file for file in files if file.parent.name == "camera_intrinsics"), reason=reason))
    edges = ", ".join(f"{name.removeprefix('camera_')} {100 * off:.0f} %" for name, off in sorted(worst.items()))
    return cameras, [f"f-theta lenses have the pinhole of their centre as calibration; at the side edge it is off by {edges}"] if edges else []


def _texts(table: Any) -> list[str]:
    import pyarrow as arrow

    return [entry.name for entry in table.schema if arrow.types.is_string(entry.type) or arrow.types.is_large_string(entry.type)]


def _centre_pinhole(name: str, row: Mapping[str, Any], pose: Mapping[str, Any]) -> Camera:
    focal = row["fw_poly_1"]
    matrix = np.array([[focal, 0, row["cx"]], [0, focal, row["cy"]], [0, 0, 1]], np.float64)
    if not np.isfinite(matrix).all():
        raise ValueError("cx, cy or fw_poly_1 is not finite")
    extrinsic = pose_matrix([pose[key] for key in _QUATERNION], [pose[key] for key in _POSITION])
    return camera_from(name, (int(row["width"]), int(row["height"])), matrix, extrinsic)


def _off_at_edge_frac(row: Mapping[str, Any]) -> float:
    """How much farther from the centre the pinhole puts what the lens shows half a width from it."""
    polynomial = np.polynomial.Polynomial([row[f"fw_poly_{power}"] for power in range(5)])
    angle = np.linspace(0.01, 1.5, 1000)
    edge = angle[int(np.argmin(np.abs(polynomial(angle) - row["width"] / 2)))]
    return float(abs(np.tan(edge) * row["fw_poly_1"] / polynomial(edge) - 1))

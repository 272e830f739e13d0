"""Donkeycar v2 tubs: camera JPEGs, steering and throttle of a small car, with real gaps and reversing.

What is assumed, because a tub does not say it:
- Curvature is *commanded*: angle (-1..1, right positive) times the lock of `bodies.DONKEY`, through its steering rate. On two real tubs the
  yaw gyro reads 1.15 rad/s at full lock where these commands say 1.8 rad/s, with the same sign and 0.1 s later.
- Speed is *commanded*: a first-order lag behind throttle times the body's top speed. There is no speed sensor: reversing and standing
  are known as well as the throttle tells them, distance is not.
- The car stands still before a recording and after a pause of over 1 s (it records while the throttle is pressed).
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from motorworks.bodies.body import DONKEY, respond
from motorworks.clips.clock import Piece, cut_pieces
from motorworks.clips.frames import open_image
from motorworks.clips.recording import ClipReader, Quarantined, ReadResult
from motorworks.datatypes.clip import Clip, Motion
from motorworks.datatypes.trajectory import DT_S
from motorworks.geometry.array import Array

THROTTLE_LAG_S = 0.3  # assumed
_ROLLS_ON_S = 1.0  # after a shorter pause the car still has the speed it had
_IMAGE, _TIME = "cam/image_array", "_timestamp_ms"


@dataclass(frozen=True, kw_only=True)
class _Record:
    time_us: int
    angle: float  # right positive
    throttle: float
    image: str
    where: str  # catalog and line, for messages
    good: bool


class DonkeycarReader(ClipReader):
    """Reads a tub folder."""

    name = "donkeycar"
    understands = "Donkeycar v2 tub: a folder with manifest.json, catalog_*.catalog and images/"

    def recognises(self, path: Path) -> bool:
        """A folder with catalogs, or with a manifest that lists them."""
        return path.is_dir() and (any(path.glob("catalog_*.catalog")) or _is_manifest(path / "manifest.json"))

    def read(self, path: Path) -> ReadResult:
        """The tub as clips, each a piece between gaps."""
        quarantine: list[Quarantined] = []
        catalogs, deleted, created = _read_manifest(path, quarantine)
        records = _read_records(path, catalogs, deleted, quarantine)
        if not records:
            return ReadResult(quarantine=[*quarantine, Quarantined(path=path, reason="no readable record in any catalog")])
        if not (path / "images").is_dir():
            return ReadResult(quarantine=[*quarantine, Quarantined(path=path / "images", reason="the folder of pictures is missing")])
        frames, seen = _read_frames(path / "images", records, quarantine)
        time_us = np.array([record.time_us for record in records], np.int64)
        for index in np.flatnonzero(np.diff(time_us) < 0) + 1:
            back_s = (time_us[index - 1] - time_us[index]) / 1e6
            quarantine.append(Quarantined(path=path, reason=f"{records[index].where}: {_TIME} goes back by {back_s:.3f} s; cut there"))
        good = np.array([record.good and ok for record, ok in zip(records, seen, strict=True)], bool)
        pieces = cut_pieces(time_us, good)
        recording_id = _recording_id(created, int(time_us[0]))
        clips = _to_clips(pieces, time_us, records, frames, recording_id=recording_id, tags=(f"tub:{path.name}",))
        kept_s = sum(len(piece.tick_us) for piece in pieces) * DT_S
        span_s = (time_us.max() - time_us.min()) / 1e6
        if not clips:
            quarantine.append(Quarantined(path=path, reason=f"no gap-free piece of 3 s in {len(records)} records over {span_s:.1f} s"))
        off_us = [np.abs(time_us[piece.nearest] - piece.tick_us) for piece in pieces]
        late_frac = float(np.mean(np.concatenate(off_us) > 60_000)) if off_us else 0.0
        note = (
            f"{path.name}: {len(clips)} clips, {kept_s:.1f} s of {span_s:.1f} s; {late_frac:.0%} of pictures lie over 60 ms off their tick; "
            "speed and curvature are commanded (no speed sensor)"
        )
        return ReadResult(clips=clips, quarantine=quarantine, notes=[note])


def _recording_id(created_s: float | None, first_us: int) -> str:
    """By time of making, not by folder: a renamed copy is the same recording."""
    start_s = first_us / 1e6 if created_s is None else created_s
    try:
        return f"donkeycar-{datetime.fromtimestamp(start_s, UTC):%Y%m%dT%H%M%S.%fZ}"
    except (ValueError, OverflowError, OSError):  # a clock outside the calendar
        return f"donkeycar-{first_us}"


def _is_manifest(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8") as file:
            names = json.loads(file.readline(100_000))
        return isinstance(names, list) and _IMAGE in names
    except (OSError, ValueError):
        return False


def _read_manifest(path: Path, quarantine: list[Quarantined]) -> tuple[list[Path], set[int], float | None]:
    """Catalogs in order, deleted record numbers, time of making; without a readable manifest: all catalogs there are."""
    try:
        lines = [json.loads(line) for line in (path / "manifest.json").read_text(encoding="utf-8").splitlines() if line.strip()]
        created = next((float(line["created_at"]) for line in lines if isinstance(line, dict) and "created_at" in line), None)
        last = next(line for line in lines if isinstance(line, dict) and "paths" in line)
        return [path / name for name in last["paths"]], set(last.get("deleted_indexes", ())), created
    except (OSError, ValueError, TypeError, StopIteration) as error:
        reason = f"manifest unreadable ({error or 'no line with paths'}): all catalogs are read, deleted_indexes are unknown"
        quarantine.append(Quarantined(path=path / "manifest.json", reason=reason))
        return sorted(path.glob("catalog_*.catalog"), key=lambda name: (len(name.name), name.name)), set(), None


def _read_records(path: Path, catalogs: list[Path], deleted: set[int], quarantine: list[Quarantined]) -> list[_Record]:
    """All records in the order written. One with a bad control stays, marked, so that the recording is cut there."""
    records: list[_Record] = []
    for catalog in catalogs:
        try:
            lines = catalog.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as error:
            quarantine.append(Quarantined(path=catalog, reason=f"catalog unreadable: {error.strerror}"))
            continue
        for number, line in enumerate(lines, 1):
            if not line.strip("\0 \t"):
                continue
            try:
                values = json.loads(line)
                if values["_index"] in deleted:
                    continue
                time_us, image = round(float(values[_TIME]) * 1000), str(values[_IMAGE])
                if abs(time_us) >= 2**62:
                    raise ValueError(f"{_TIME} is {values[_TIME]}")
            except (ValueError, TypeError, KeyError, OverflowError) as error:
                what = f"{error} is missing" if isinstance(error, KeyError) else f"not a whole record ({error})"
                quarantine.append(Quarantined(path=catalog, reason=f"line {number}: {what}; skipped"))
                continue
            if records and time_us == records[-1].time_us:
                quarantine.append(Quarantined(path=catalog, reason=f"line {number}: {_TIME} is that of the record before; skipped"))
                continue
            angle, throttle, bad = _controls(values)
            if bad:
                quarantine.append(Quarantined(path=catalog, reason=f"line {number}: {bad}; cut there"))
            where = f"{catalog.name} line {number}"
            records.append(_Record(time_us=time_us, angle=angle, throttle=throttle, image=image, where=where, good=not bad))
    return records


def _controls(values: Mapping[str, Any]) -> tuple[float, float, str]:
    """Angle and throttle of whoever drove (a pilot in the `local` modes), and what is wrong with them, if anything."""
    mode = str(values.get("user/mode", "user"))
    found = []
    for name, by_pilot in (("angle", mode in ("local", "local_angle")), ("throttle", mode == "local")):
        key = f"pilot/{name}" if by_pilot and f"pilot/{name}" in values else f"user/{name}"
        value = values.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return 0.0, 0.0, f"{key} is {'missing' if value is None else 'not a number'}"
        if not math.isfinite(value):
            return 0.0, 0.0, f"{key} is {value}"
        found.append(min(1.0, max(-1.0, float(value))))
    return found[0], found[1], ""


def _read_frames(
    folder: Path, records: list[_Record], quarantine: list[Quarantined]
) -> tuple[list[UInt8[Array, "height width 3"] | None], list[bool]]:
    """Every picture is decoded, so that a torn one is known; all are brought to the size of the first."""
    frames: list[UInt8[Array, "height width 3"] | None] = []
    size_px: tuple[int, int] | None = None
    for record in records:
        path = folder / record.image
        try:
            frame = open_image(path, size_px)
            size_px = size_px or (frame.shape[1], frame.shape[0])
            frames.append(frame)
        except (OSError, SyntaxError, ValueError) as error:  # Pillow's words for a broken file; SyntaxError is one of them
            reason = "picture is missing; cut there" if isinstance(error, FileNotFoundError) else f"picture unreadable ({error}); cut there"
            quarantine.append(Quarantined(path=path, reason=reason))
            frames.append(None)
    return frames, [frame is not None for frame in frames]


def _to_clips(
    pieces: list[Piece],
    time_us: Float[Array, " sample"],
    records: list[_Record],
    frames: list[UInt8[Array, "height width 3"] | None],
    *,
    recording_id: str,
    tags: tuple[str, ...],
) -> list[Clip]:
    angle = np.array([record.angle for record in records])
    throttle = np.array([record.throttle for record in records])
    clips: list[Clip] = []
    speed, curvature, stopped_us = 0.0, 0.0, -(10**18)
    for piece in pieces:
        command = piece.interpolate(time_us, np.stack([throttle, angle], axis=-1))
        if not 0 <= piece.tick_us[0] - stopped_us <= _ROLLS_ON_S * 1e6:
            speed, curvature = 0.0, 0.0
        motion = _drive(command[:, 0], command[:, 1], speed, curvature)
        speed, curvature, stopped_us = float(motion.speed_mps[-1]), float(motion.curvature_per_m[-1]), int(piece.tick_us[-1])
        clips.append(
            Clip(
                recording_id=recording_id,
                source="donkeycar",
                body=DONKEY.name,
                licence="unstated",
                timestamp_us=piece.tick_us,
                frames=np.stack([frames[index] for index in piece.nearest]),
                motion=motion,
                tags=tags,
            )
        )
    return clips


def _drive(throttle: Float[Array, " time"], angle: Float[Array, " time"], speed: float, curvature: float) -> Motion:
    """What the body does at these commands. Row t's acceleration and curvature hold over [t, t + 0.1 s)."""
    pose, poses, rows = np.zeros(3), [], []
    v, kappa = np.asarray(speed, np.float64), np.asarray(curvature, np.float64)
    for want_throttle, want_angle in zip(throttle, angle, strict=True):
        accel = (want_throttle * DONKEY.max_speed_mps - v) * (1 - math.exp(-DT_S / THROTTLE_LAG_S)) / DT_S
        next_pose, next_v, kappa, accel = respond(DONKEY, pose, v, kappa, accel, -want_angle * DONKEY.max_curvature_per_m)
        poses.append(pose)
        rows.append((v, accel, kappa))
        pose, v = next_pose, next_v
    values = np.array(rows, np.float32)
    return Motion(kind="commanded", poses_world=np.array(poses), speed_mps=values[:, 0], accel_mps2=values[:, 1], curvature_per_m=values[:, 2])

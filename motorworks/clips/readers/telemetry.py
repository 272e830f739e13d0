"""Telemetry beside a video: a CSV by column names, or a GPX track. Units and signs are converted here and nowhere else."""

import contextlib
import csv
import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from jaxtyping import Float

from motorworks.clips.motion import SUFFICIENT, Track, east_north, yaw_from_heading
from motorworks.clips.readers.settings import Column, Settings
from motorworks.geometry.array import Array

SUFFIXES = (".csv", ".gpx")
_MOST_ROWS = 5_000_000
_RELATIVE_S = 1e6  # a first time below this counts from the start of the recording, above it is a date

# name of a quantity -> unit -> factor to SI; the first unit is the usual one
UNITS: Mapping[str, Mapping[str, float]] = {
    "time": {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9},
    "speed": {"m/s": 1.0, "km/h": 1 / 3.6, "mph": 0.44704, "kn": 0.514444},
    "yaw": {"rad": 1.0, "deg": math.pi / 180},  # counter-clockwise from east
    "heading": {"deg": 1.0, "rad": 180 / math.pi},  # clockwise from north
    "yaw_rate": {"rad/s": 1.0, "deg/s": math.pi / 180},  # positive to the left
    "steering": {"deg": math.pi / 180, "rad": 1.0},  # of the steering wheel, positive to the left
    "lat": {"deg": 1.0},
    "lon": {"deg": 1.0},
    "x": {"m": 1.0},
    "y": {"m": 1.0},
}
# a column's name, without case and punctuation -> quantity, unit (None: the usual one)
_NAMES: Mapping[str, tuple[str, str | None]] = {
    **{name: ("time", None) for name in ("t", "time", "timestamp", "timesec")},
    **{name: ("time", "s") for name in ("times", "ts", "timestamps", "seconds", "sec")},
    **{name: ("time", "ms") for name in ("timems", "timestampms", "tms")},
    **{name: ("time", "us") for name in ("timeus", "timestampus", "tus")},
    **{name: ("time", "ns") for name in ("timens", "timestampns", "tns")},
    **{name: ("speed", "m/s") for name in ("speed", "speedmps", "v", "vmps", "velocity", "vego", "groundspeed")},
    **{name: ("speed", "km/h") for name in ("speedkmh", "speedkph", "kmh", "vkmh")},
    **{name: ("speed", "mph") for name in ("speedmph", "mph")},
    **{name: ("yaw", "rad") for name in ("yaw", "yawrad")},
    "yawdeg": ("yaw", "deg"),
    **{name: ("heading", "deg") for name in ("heading", "headingdeg", "course", "coursedeg", "bearing", "track")},
    **{name: ("yaw_rate", "rad/s") for name in ("yawrate", "yawrateradps", "yawrateradpers", "gyroz")},
    **{name: ("yaw_rate", "deg/s") for name in ("yawratedegps", "yawratedegs")},
    **{name: ("steering", "deg") for name in ("steering", "steeringangle", "steeringangledeg", "steeringdeg")},
    **{name: ("steering", "rad") for name in ("steeringrad", "steeringanglerad")},
    **{name: ("lat", "deg") for name in ("lat", "latitude")},
    **{name: ("lon", "deg") for name in ("lon", "lng", "long", "longitude")},
    **{name: ("x", "m") for name in ("x", "xm")},
    **{name: ("y", "m") for name in ("y", "ym")},
}


class TelemetryBroken(ValueError):
    """The file cannot be used at all; the message names field and fix."""


def telemetry_of(video: Path) -> Path | None:
    """The telemetry of a video: the CSV or GPX of its stem, or the only one in its folder where the video is the only one too."""
    for suffix in SUFFIXES:
        if (own := video.with_suffix(suffix)).is_file():
            return own
    others = [path for path in sorted(video.parent.iterdir()) if path.suffix.lower() in SUFFIXES]
    videos = [path for path in video.parent.iterdir() if path.suffix.lower() == video.suffix.lower()]
    return others[0] if len(others) == 1 and len(videos) == 1 else None


def read_telemetry(path: Path, settings: Settings) -> tuple[Track, list[str]]:
    """The track on its own clock (microseconds; a date counts from its first sample), and what was noticed. Bad rows are left out."""
    columns, units, notes = _read_gpx(path) if path.suffix.lower() == ".gpx" else _read_csv(path, settings)
    if "time" not in columns:
        raise TelemetryBroken(f'no column of times; name one in ingest.toml: [columns] time = {{column = ..., unit = "s"}} ({_seen(units)})')
    values = {name: column * settings.columns.get(name, Column(column="")).sign for name, column in columns.items()}
    good = np.all([np.isfinite(column) for column in values.values()], axis=0)
    time_s = values["time"]
    back = np.concatenate([[False], np.diff(np.where(good, time_s, np.nan)) <= 0])
    if not good.all():
        notes.append(f"{path.name}: {int((~good).sum())} of {len(good)} rows hold a value that is no number, and are left out")
    if back.any():
        notes.append(f"{path.name}: the clock does not go on at {int(back.sum())} rows, the first is row {int(np.argmax(back)) + 2}; left out")
    keep = good & (np.where(good, time_s, -np.inf) > _highest_before(np.where(good, time_s, -np.inf)))
    if keep.sum() < 2:
        raise TelemetryBroken(f"fewer than two usable rows of {len(keep)}")
    track = track_of({name: column[keep] for name, column in values.items()}, settings)
    if not track.used:
        raise TelemetryBroken(f"needs {SUFFICIENT}; there is {', '.join(sorted(values))} ({_seen(units)})")
    notes.append(f"{path.name}: motion from {' and '.join(track.used)}; units {_seen(units)}")
    return track, notes


def track_of(values: Mapping[str, Float[Array, " sample"]], settings: Settings) -> Track:
    """Of quantities in the first unit of UNITS or, for angles and rates, in radians; time in seconds."""
    time_s = values["time"]
    time_s = time_s if time_s[0] < _RELATIVE_S else time_s - time_s[0]
    yaw = values.get("yaw")
    poses = np.column_stack([values["x"], values["y"], yaw]) if yaw is not None and {"x", "y"} <= values.keys() else None
    curvature = None
    if "steering" in values:
        curvature = np.tan(values["steering"] / settings.steering_ratio) / settings.vehicle.wheelbase_m
    position = east_north(values["lat"], values["lon"]) if {"lat", "lon"} <= values.keys() else None
    if position is None and {"x", "y"} <= values.keys():
        position = np.column_stack([values["x"], values["y"]])
    return Track(
        time_us=np.rint((time_s + settings.time_offset_s) * 1e6).astype(np.int64),
        poses_world=poses,
        speed_mps=values.get("speed"),
        yaw_rad=yaw,
        course_rad=yaw_from_heading(values["heading"]) if "heading" in values else None,
        yaw_rate_radps=values.get("yaw_rate"),
        curvature_per_m=curvature,
        position_m=position,
    )


def _read_csv(path: Path, settings: Settings) -> tuple[dict[str, Float[Array, " row"]], dict[str, str], list[str]]:
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        sample = file.read(1 << 14)
        if not sample.strip():
            raise TelemetryBroken("empty")
        file.seek(0)
        delimiter = max(",;\t|", key=sample.splitlines()[0].count)
        rows = csv.reader(file, delimiter=delimiter)
        header = [name.strip() for name in next(rows)]
        chosen = choose_columns(header, settings)
        table = [
            [row[place] if place < len(row) else "" for place, _, _ in chosen.values()]
            for _, row in zip(range(_MOST_ROWS), rows, strict=False)
            if row
        ]
    if not table:
        raise TelemetryBroken("a header and no rows")
    values, units = {}, {}
    for (name, (_, label, unit)), texts in zip(chosen.items(), zip(*table, strict=True), strict=True):
        numbers = np.array([_number(text, decimal_comma=delimiter == ";") for text in texts])
        if unit is None and name == "time":
            unit = _time_unit(numbers)
        unit = unit or next(iter(UNITS[name]))
        values[name], units[f"{name} ({label})"] = numbers * UNITS[name][unit], unit
    return values, units, []


def choose_columns(header: Sequence[str], settings: Settings) -> dict[str, tuple[int, str, str | None]]:
    """Quantity -> place, name in the file, unit; what ingest.toml says goes before what names suggest."""
    chosen: dict[str, tuple[int, str, str | None]] = {}
    for name, column in settings.columns.items():
        if name not in UNITS:
            raise TelemetryBroken(f"ingest.toml [columns] {name}: known are {', '.join(UNITS)}")
        if column.column not in header:
            raise TelemetryBroken(f"ingest.toml [columns] {name}: there is no column {column.column!r}, but {', '.join(header)}")
        if column.unit is not None and column.unit not in UNITS[name]:
            raise TelemetryBroken(f"ingest.toml [columns] {name}: unit {column.unit!r} is none of {', '.join(UNITS[name])}")
        chosen[name] = header.index(column.column), column.column, column.unit
    for place, label in enumerate(header):
        base, unit = re.fullmatch(r"(.*?)\s*(?:[\[(](.*)[\])])?", label).groups()  # type: ignore[union-attr]  # it always matches
        known = _NAMES.get("".join(letter for letter in base.lower() if letter.isalnum()))
        if known is not None:
            chosen.setdefault(known[0], (place, label, unit if unit in UNITS[known[0]] else known[1]))
    return chosen


def _read_gpx(path: Path) -> tuple[dict[str, Float[Array, " row"]], dict[str, str], list[str]]:
    try:
        root = ElementTree.parse(path).getroot()  # no entities are resolved
    except ElementTree.ParseError as error:
        raise TelemetryBroken(f"not well-formed XML ({error})") from error
    rows = []
    for point in root.iter():
        if point.tag.rpartition("}")[2] != "trkpt":
            continue
        time = next((child.text for child in point if child.tag.rpartition("}")[2] == "time"), None)
        rows.append((_number(time or ""), _number(point.get("lat", "")), _number(point.get("lon", ""))))
    if not rows:
        raise TelemetryBroken("no track point (trkpt) in it")
    time_s, lat, lon = np.array(rows).T
    return {"time": time_s, "lat": lat, "lon": lon}, {"time": "s", "lat": "deg", "lon": "deg"}, []


def _number(text: str, *, decimal_comma: bool = False) -> float:
    """A number, or the seconds of a date in ISO 8601; what is neither is NaN."""
    text = text.strip()
    with contextlib.suppress(ValueError):
        return float(text.replace(",", ".") if decimal_comma else text)
    with contextlib.suppress(ValueError):
        date = datetime.fromisoformat(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    return math.nan


def _time_unit(numbers: Float[Array, " row"]) -> str:
    """By size: seconds since 1970 have ten digits, milliseconds thirteen ..."""
    first = float(numbers[np.isfinite(numbers)][0]) if np.isfinite(numbers).any() else 0.0
    return "ns" if first > 1e17 else "us" if first > 1e14 else "ms" if first > 1e11 else "s"


def _highest_before(values: Float[Array, " row"]) -> Float[Array, " row"]:
    return np.concatenate([[-np.inf], np.maximum.accumulate(values)[:-1]])


def _seen(units: Mapping[str, str]) -> str:
    return ", ".join(f"{name} in {unit}" for name, unit in units.items()) or "no known column"

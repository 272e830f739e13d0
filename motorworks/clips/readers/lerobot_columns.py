"""What the rows of a LeRobot dataset say: which numbers are the vehicle's motion, by names or as ingest.toml says; times; words."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64

from motorworks.clips.motion import SUFFICIENT, Track
from motorworks.clips.readers.settings import Column, Settings
from motorworks.clips.readers.telemetry import UNITS, TelemetryBroken, choose_columns, track_of
from motorworks.geometry.array import Array

_OFF_S = 0.5  # of a row's timestamp from its number over fps
_OBSERVED = "observation."
_ARMS = ("gripper", "finger", "joint", "shoulder", "elbow", "wrist")  # x, y and yaw are then of a hand
# Yaak's L2D (the large driving set in this layout) names no units: km/h, degrees clockwise from north.
_L2D = {
    "speed": Column(column="speed", unit="km/h"),
    "heading": Column(column="heading", unit="deg"),
    "lat": Column(column="hp_loc_latitude"),
    "lon": Column(column="hp_loc_longitude"),
}


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """By quantity: feature, place in its vector, factor to our unit."""

    places: Mapping[str, tuple[str, int, float]]
    notes: tuple[str, ...] = ()


def choose(features: Mapping[str, Mapping[str, Any]], settings: Settings) -> tuple[Chosen, str | None]:
    """The columns, and what is wrong with ingest.toml where it names others. Columns are named as an axis (`speed`) or, if that is no
    observation's or there are two, as feature/axis (`action/steering`); only observed ones are taken without being asked for."""
    header = _header(features)
    arm = next((label for label in header if any(word in label.lower() for word in _ARMS)), None)
    if arm is not None and not settings.columns:
        return Chosen(places={}, notes=(f"pictures only: {arm!r} is no vehicle's; for its motion name columns in ingest.toml",)), None
    known = {name: column for name, column in _L2D.items() if "hp_loc_latitude" in header and column.column in header}
    named = replace(settings, columns=known | dict(settings.columns))
    try:
        chosen = choose_columns(list(header), named)
    except TelemetryBroken as error:
        return Chosen(places={}), str(error)
    places, units = {}, []
    for name, (_, label, unit) in chosen.items():
        unit = unit or next(iter(UNITS[name]))
        sign = named.columns[name].sign if name in named.columns else 1
        if name != "time":
            places[name] = (*header[label], sign * UNITS[name][unit])
            units.append(f"{name} ({label}) in {unit}")
    return Chosen(places=places, notes=(f"columns {', '.join(units) or 'of motion: none that is known'}",)), None


def track_of_rows(rows: Any, time_s: Float[Array, " row"], chosen: Chosen, settings: Settings) -> tuple[Track | None, list[str]]:
    """The track of an episode, None where the columns do not suffice; what is wrong with its rows."""
    values = {name: matrix_of(rows[feature])[:, index] * factor for name, (feature, index, factor) in chosen.places.items()}
    values = {name: column for name, column in values.items() if np.isfinite(column).any()}
    if not values:
        return None, []
    good = np.all([np.isfinite(column) for column in values.values()], axis=0)
    bad = [] if good.all() else [f"{int((~good).sum())} of {len(good)} rows of {', '.join(values)} hold no number and count for no motion"]
    if good.sum() < 2:
        return None, [*bad, "fewer than two are left: pictures only"]
    track = track_of({"time": time_s[good], **{name: column[good] for name, column in values.items()}}, settings)
    return (track, bad) if track.used else (None, [*bad, f"pictures only: motion needs {SUFFICIENT}; there is {', '.join(sorted(values))}"])


def matrix_of(column: Any) -> Float[Array, "row axis"]:
    """A feature's column as numbers; raises ValueError for what are none or differ in length."""
    import pyarrow.types

    array = column.combine_chunks()
    if not pyarrow.types.is_fixed_size_list(array.type) and not pyarrow.types.is_list(array.type):
        return np.asarray(array.to_numpy(zero_copy_only=False), np.float64).reshape(-1, 1)
    flat = np.asarray(array.flatten().to_numpy(zero_copy_only=False), np.float64)
    lengths = set(array.value_lengths().to_pylist()) if pyarrow.types.is_list(array.type) else {array.type.list_size}
    if len(lengths) != 1 or array.null_count:
        raise ValueError(f"a feature's rows differ in length: {sorted(lengths, key=str)}")
    return flat.reshape(len(array), -1)


def in_step(time_s: Float[Array, " row"], fps: float) -> Bool[Array, " row"]:
    """Rows whose time is their number over fps, about, and goes on."""
    near_s = np.where(np.abs(time_s - np.arange(len(time_s)) / fps) < _OFF_S, time_s, -np.inf)
    return near_s > np.concatenate([[-np.inf], np.maximum.accumulate(near_s)[:-1]])


def instructions_of(tasks: Mapping[int, str], rows: Any, time_us: Int64[Array, " row"], good: Bool[Array, " row"]) -> list[tuple[int, str]]:
    """Where the words change; none where a task has no words."""
    if "task_index" not in rows.column_names:
        return []
    words = [tasks.get(task, "") for task in rows["task_index"].to_pylist()]
    if not all(words):
        return []
    places = np.flatnonzero(good).tolist()
    return [(int(time_us[index]), words[index]) for at, index in enumerate(places) if at == 0 or words[index] != words[places[at - 1]]]


def _header(features: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[str, int]]:
    """Feature and place by label, observed ones first."""
    header: dict[str, tuple[str, int]] = {}
    for key in sorted(features, key=lambda key: not key.startswith(_OBSERVED)):
        feature = features[key]
        if len(feature["shape"]) > 1 or not str(feature["dtype"]).startswith(("float", "int", "uint")):
            continue
        names = feature.get("names")
        names = next(iter(names.values()), None) if isinstance(names, dict) else names  # {"axes": [...]} or {"motors": [...]}
        if not isinstance(names, list) or len(names) != feature["shape"][0]:
            names = [key.removeprefix(_OBSERVED)] if feature["shape"] == [1] else []
        for index, name in enumerate(map(str, names)):
            label = name if key.startswith(_OBSERVED) and name not in header else f"{key}/{name}"
            header.setdefault(label, (key, index))
    return header

"""ingest.toml, beside recordings: what their files do not say — licence, body, which column or topic is what, how far the clocks are apart."""

import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from motorworks.bodies.body import BODIES, HIGHWAY_CAR, Body
from motorworks.clips.recording import Quarantined, ReadResult
from motorworks.datatypes.clip import FRONT_CAMERA

FILE = "ingest.toml"
_LEVELS = 3  # the recording itself, where it is a folder, and two folders up


class SettingsBroken(ValueError):
    """ingest.toml cannot be used; `path` is it."""

    def __init__(self, path: Path, reason: str):
        super().__init__(reason)
        self.path = path


@dataclass(frozen=True, kw_only=True)
class Column:
    """Where a quantity stands, in which unit (None: by its name, or as is usual), and whether their positive is our negative."""

    column: str
    unit: str | None = None
    sign: int = 1


@dataclass(frozen=True, kw_only=True)
class Topics:
    """Which topic of a bag says what. None: guessed by type; an empty text: not taken."""

    front: str | None = None
    cameras: Mapping[str, str] = field(default_factory=dict)  # the other cameras, by the name they get
    odometry: str | None = None
    twist: str | None = None
    imu: str | None = None
    fix: str | None = None
    instruction: str | None = None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What ingest.toml says; without one, what is assumed."""

    path: Path | None = None
    licence: str = "unstated"
    body: str = HIGHWAY_CAR.name
    columns: Mapping[str, Column] = field(default_factory=dict)
    topics: Topics = Topics()
    time_offset_s: float = 0.0  # added to telemetry's clock
    steering_ratio: float = 15.0  # turns of the steering wheel per turn of the road wheels; 1 where the road wheels' angle is told
    max_gap_s: float | None = None  # between frames; None: the reader's own
    front_camera: str = ""  # which of several cameras looks ahead; empty: as its name says

    @property
    def vehicle(self) -> Body:
        """The body by its name."""
        return BODIES[self.body]


def settings_file(recording: Path) -> Path | None:
    """The nearest ingest.toml."""
    folder = recording if recording.is_dir() else recording.parent
    return next((place / FILE for place in (folder, *folder.resolve().parents)[:_LEVELS] if (place / FILE).is_file()), None)


def load_settings(recording: Path) -> Settings:
    """Of the nearest ingest.toml: in the recording's folder or up to two above; raises SettingsBroken with file, field and fix."""
    path = settings_file(recording)
    if path is None:
        return Settings()
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsBroken(path, f"not readable as TOML ({error})") from error
    known = {entry.name for entry in fields(Settings)} - {"path"}
    if unknown := sorted(values.keys() - known):
        raise SettingsBroken(path, f"unknown entry {unknown[0]!r}: known are {', '.join(sorted(known))}")
    columns = values.get("columns", {})
    if not isinstance(columns, dict):
        raise SettingsBroken(path, "columns is not a table: write [columns] on a line of its own")
    tables = {"columns": {name: _column(path, name, value) for name, value in columns.items()}, "topics": _topics(path, values.get("topics", {}))}
    settings = Settings(**values | tables | {"path": path})
    _check(path, settings)
    return settings


def with_settings(recording: Path, read: Callable[[Settings], ReadResult]) -> ReadResult:
    """What `read` answers. A broken ingest.toml sets its recordings aside: their licence and columns are unknown until it is mended."""
    try:
        return read(load_settings(recording))
    except SettingsBroken as error:
        return ReadResult(quarantine=[Quarantined(path=error.path, reason=f"{error}; {recording.name} is not read until that is mended")])


def _column(path: Path, name: str, value: Any) -> Column:
    value = {"column": value} if isinstance(value, str) else value
    if not isinstance(value, dict) or not isinstance(value.get("column"), str) or value.keys() - {"column", "unit", "sign"}:
        raise SettingsBroken(path, f'[columns] {name}: write {name} = "NAME" or {name} = {{column = "NAME", unit = "UNIT", sign = 1}}')
    if value.get("sign", 1) not in (1, -1):
        raise SettingsBroken(path, f"[columns] {name}: sign is {value['sign']!r}, not 1 or -1")
    if not isinstance(value.get("unit", ""), str):
        raise SettingsBroken(path, f"[columns] {name}: unit is {value['unit']!r}, not a text")
    return Column(**value)


def _topics(path: Path, value: Any) -> Topics:
    if not isinstance(value, dict):
        raise SettingsBroken(path, "topics is not a table: write [topics] on a line of its own")
    known = [entry.name for entry in fields(Topics)]
    if unknown := sorted(value.keys() - set(known)):
        raise SettingsBroken(path, f"[topics] {unknown[0]}: known are {', '.join(known)}; other cameras stand under [topics.cameras]")
    cameras = value.get("cameras", {})
    if not isinstance(cameras, dict):
        raise SettingsBroken(path, "[topics] cameras is not a table: write [topics.cameras] on a line of its own")
    for name, topic in [*((name, topic) for name, topic in value.items() if name != "cameras"), *cameras.items()]:
        if not isinstance(topic, str):
            raise SettingsBroken(path, f'[topics] {name} is {topic!r}, not a topic\'s name: write {name} = "/some/topic"')
    if FRONT_CAMERA in cameras:
        raise SettingsBroken(path, f"[topics.cameras] {FRONT_CAMERA}: the camera that looks ahead stands under [topics]")
    return Topics(**value)


def _check(path: Path, settings: Settings) -> None:
    for entry in fields(Settings):
        value, default = getattr(settings, entry.name), getattr(Settings(), entry.name)
        if isinstance(default, float) or entry.name == "max_gap_s":
            fits = value is None or (isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value))
            if not fits or (value is not None and value <= 0 and entry.name != "time_offset_s"):
                raise SettingsBroken(path, f"{entry.name} is {value!r}, not a {'' if entry.name == 'time_offset_s' else 'positive '}number")
        elif isinstance(default, str) and not isinstance(value, str):
            raise SettingsBroken(path, f"{entry.name} is {value!r}, not a text")
    if settings.body not in BODIES:
        raise SettingsBroken(path, f"body is {settings.body!r}, not one of {', '.join(BODIES)}")

"""What an artifact is made from, written down strictly: what cannot be written raises."""

import dataclasses
import enum
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from motorworks.factory.content import sha256_text
from motorworks.factory.errors import CannotFingerprint

Content = Callable[[Path], Any]


def plain(value: Any, *, where: str, content: Content) -> Any:
    """A config as plain JSON; a `Path` stands for what lies there (`content`), never for where it is."""
    if isinstance(value, enum.Enum):
        return {"enum": f"{type(value).__module__}.{type(value).__qualname__}", "name": value.name}
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise CannotFingerprint(f"{where} is {value}: give a finite number, or None for 'not set'")
        return float(value)
    if isinstance(value, Path):
        return content(value)
    if isinstance(value, list | tuple):
        return [plain(item, where=f"{where}[{index}]", content=content) for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        return _plain_mapping(value, where, content)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain_dataclass(value, where, content)
    raise CannotFingerprint(
        f"{where} is a {type(value).__module__}.{type(value).__qualname__}, which cannot be written down: "
        "use numbers, text, paths, enums, tuples, mappings with text keys or frozen dataclasses"
    )


def _plain_mapping(value: Mapping[Any, Any], where: str, content: Content) -> dict[str, Any]:
    for key in value:
        if not isinstance(key, str):
            raise CannotFingerprint(f"{where} has the key {key!r}: keys must be text")
    return {key: plain(value[key], where=f"{where}.{key}", content=content) for key in sorted(value)}


def _plain_dataclass(value: Any, where: str, content: Content) -> dict[str, Any]:
    kind = type(value)
    if not kind.__dataclass_params__.frozen:
        raise CannotFingerprint(f"{where} is a {kind.__qualname__} that can change: declare it @dataclass(frozen=True)")
    fields = {field.name: plain(getattr(value, field.name), where=f"{where}.{field.name}", content=content) for field in dataclasses.fields(value)}
    return {"type": f"{kind.__module__}.{kind.__qualname__}", **fields}


def digest(fields: Any) -> str:
    """sha256 of plain JSON in one fixed spelling."""
    return sha256_text(json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False))


ABSENT = object()


def changes(old: Any, new: Any, where: str = "") -> list[str]:
    """The fields that differ, each as 'field: old → new'; none exactly where the digests are equal."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = [*old, *(key for key in new if key not in old)]
        return [line for key in keys for line in changes(old.get(key, ABSENT), new.get(key, ABSENT), f"{where}.{key}" if where else str(key))]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [line for index, pair in enumerate(zip(old, new, strict=True)) for line in changes(*pair, f"{where}[{index}]")]
    if ABSENT not in (old, new) and digest(old) == digest(new):  # not ==, for which 1, 1.0 and True are the same
        return []
    return [f"{where}: {_short(old)} → {_short(new)}"]


def _short(value: Any) -> str:
    if value is ABSENT:
        return "nothing"
    text = json.dumps(value)
    if isinstance(value, str) and len(value) == 64:
        return value[:12]
    return text if len(text) <= 60 else f"{text[:57]}..."

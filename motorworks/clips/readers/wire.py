"""Protocol Buffers as bytes: fields by number, without a schema (protobuf.dev/programming-guides/encoding). What is torn raises ValueError."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float

from motorworks.geometry.array import Array

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field in order: a whole number, or the bytes of anything else. Nothing is copied."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        if kind not in (_FIXED64, _BYTES, _FIXED32):
            raise ValueError(f"field {tag >> 3} has wire type {kind}: no Protocol Buffers message")
        size, at = _varint(data, at) if kind == _BYTES else (8 if kind == _FIXED64 else 4, at)
        if at + size > len(data):
            raise ValueError(f"field {tag >> 3} ends beyond its message")
        yield tag >> 3, data[at : at + size]
        at += size


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message's fields by number, each with its values in order."""

    values: dict[int, list[int | memoryview]]

    @classmethod
    def of(cls, data: memoryview) -> Self:
        """Splits one level; the messages inside are split when asked for."""
        pairs = list(fields(data))
        return cls(values={number: [value for one, value in pairs if one == number] for number, _ in pairs})

    def parts(self, number: int) -> list[memoryview]:
        """The bytes of a repeated field: messages, texts, pictures."""
        parts = [value for value in self.values.get(number, ()) if not isinstance(value, int)]
        if len(parts) != len(self.values.get(number, ())):
            raise ValueError(f"field {number} is a number, not bytes")
        return parts

    def message(self, number: int) -> "Message":
        """A message inside; empty where it is missing."""
        parts = self.parts(number)
        return Message.of(parts[-1]) if parts else Message(values={})

    def integer(self, number: int) -> int:
        """A whole number that is not negative, or an enumeration's; 0 where it is missing."""
        value = self.values.get(number, [0])[-1]
        if not isinstance(value, int):
            raise ValueError(f"field {number} is no whole number")
        return value

    def floats(self, number: int, size: int = 4) -> Float[Array, " value"]:
        """Repeated floats of 4 bytes or doubles of 8, packed or one by one."""
        return np.frombuffer(b"".join(self.parts(number)), f"<f{size}").astype(np.float64)  # raises ValueError for another size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
    raise ValueError("a number ends beyond its message")

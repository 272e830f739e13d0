"""TFRecord files without TensorFlow: per record its length, a checksum of that, the bytes, a checksum of those (tensorflow.org: TFRecord).

The checksum is CRC-32C (Castagnoli), masked. Only reading such files waits for Numba: import this inside functions.
"""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from motorworks.geometry.array import Array
from motorworks.geometry.kernel import kernel

_REVERSED_POLYNOMIAL, _MASK = 0x82F63B78, 0xA282EAD8
_HEAD, _FOOT = 12, 4  # bytes around a record


@dataclass(frozen=True, kw_only=True)
class Record:
    """A record's bytes where they lie in its file, not yet checked against `check`."""

    number: int
    data: memoryview
    check: int

    @property
    def whole(self) -> bool:
        """Whether the bytes are those that were written."""
        return masked_crc32c(self.data) == self.check


def records(path: Path) -> Iterator[Record]:
    """The records in order; only what is looked at is read. Raises ValueError where a length is torn: what follows cannot be found."""
    with path.open("rb") as file:
        if not (size := path.stat().st_size):
            raise ValueError("0 bytes")
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    at, number = 0, 0
    while at < size:
        length = int.from_bytes(data[at : at + 8], "little")
        if at + _HEAD > size or masked_crc32c(data[at : at + 8]) != int.from_bytes(data[at + 8 : at + _HEAD], "little"):
            raise ValueError(f"the length of record {number} is torn; what follows cannot be found")
        end = at + _HEAD + length
        if end + _FOOT > size:
            raise ValueError(f"the file ends within record {number}")
        yield Record(number=number, data=data[at + _HEAD : end], check=int.from_bytes(data[end : end + _FOOT], "little"))
        at, number = end + _FOOT, number + 1


def masked_crc32c(data: bytes | memoryview) -> int:
    """Rotated right by 15 bits, plus a constant (tensorflow/core/lib/hash/crc32c.h)."""
    crc = int(_crc32c(np.frombuffer(data, np.uint8), _TABLE))
    return (((crc >> 15) | (crc << 17)) + _MASK) & 0xFFFFFFFF


def _table() -> Array:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_REVERSED_POLYNOMIAL), table >> 1).astype(np.uint32)
    return table


@kernel
def _crc32c(data: Any, table: Any) -> Any:
    crc = np.uint32(0xFFFFFFFF)
    for byte in data:
        crc = table[(crc ^ byte) & np.uint32(0xFF)] ^ (crc >> np.uint32(8))
    return crc ^ np.uint32(0xFFFFFFFF)


_TABLE = _table()

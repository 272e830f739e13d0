"""Arrays on a GPU: NamedTuples of them, there and back."""

from typing import Any

import numpy as np
from numba import cuda


def need_gpu() -> None:
    """RuntimeError where numba finds no GPU."""
    if not cuda.is_available():
        raise RuntimeError("numba finds no CUDA device: it needs one, its driver and `pip install motorworks[cuda]`; or use sim.town.Town on the CPU")


def to_device(value: Any) -> Any:
    """A NamedTuple of host arrays, nested as it may be, as the same of device arrays."""
    if isinstance(value, tuple):
        return type(value)(*(to_device(part) for part in value))
    return cuda.to_device(np.ascontiguousarray(value))


def room_for(value: Any) -> Any:
    """As to_device, but nothing is copied yet."""
    if isinstance(value, tuple):
        return type(value)(*(room_for(part) for part in value))
    return cuda.device_array_like(value)


def send(here: Any, there: Any, part: int = 0, parts: int = 1) -> None:
    """Copy the rows of one of so many equal parts (an environment's, a map's) there, in every array."""
    if isinstance(here, tuple):
        for column, away in zip(here, there, strict=True):
            send(column, away, part, parts)
        return
    rows = len(here) // parts
    there[part * rows : (part + 1) * rows].copy_to_device(here[part * rows : (part + 1) * rows])


def fetch(here: Any, there: Any) -> None:
    """Copy every array back to where it was made."""
    for column, away in zip(here, there, strict=True):
        away.copy_to_host(column)

"""Clocks: the vehicle asks one for the time, so a simulated drive is repeatable."""

import time
from typing import Protocol


class Clock(Protocol):
    """Monotonic seconds from an arbitrary zero."""

    def now_s(self) -> float:
        """Never runs backwards."""
        ...


class RealClock:
    """The machine's monotonic clock."""

    def now_s(self) -> float:
        """Seconds since an arbitrary zero."""
        return time.perf_counter()


class SimClock:
    """Time that moves only when told to: a drive under it is the same on every machine."""

    def __init__(self) -> None:
        self._now_s = 0.0

    def now_s(self) -> float:
        """Seconds since the clock was made."""
        return self._now_s

    def advance(self, seconds_s: float) -> None:
        """Lets time pass."""
        if not seconds_s >= 0:
            raise ValueError(f"a monotonic clock cannot move by {seconds_s} s")
        self._now_s += seconds_s

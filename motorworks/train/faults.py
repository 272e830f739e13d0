"""When a step is not to be trusted, and when a run has to stop."""

import math
import signal
import statistics
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from motorworks.train.fit_config import FaultPolicy

MEDIAN_OF = 32  # steps that a jump is measured against
FEWEST = 8  # before so many nothing is a jump: a run begins with large gradients


_told = threading.Event()


class Preempted(RuntimeError):
    """The system asked the process to end (SIGTERM); a snapshot was taken. 75 is EX_TEMPFAIL of sysexits.h: try again later."""

    exit_code = 75


class FaultWatch:
    """Judges each step's row by those kept before it. Steps with a thought and without are compared among themselves."""

    def __init__(self, policy: FaultPolicy) -> None:
        self.policy = policy
        self._kept: dict[str, deque[float]] = {}

    def wrong(self, row: Mapping[str, float], *, thought: bool) -> list[str]:
        """What is wrong with a step, in words; nothing if it may be kept."""
        found = [f"{name}={value}" for name, value in row.items() if not math.isfinite(value)]
        if found or self.policy.spike_factor is None:
            return found
        for name in ("loss", "grad_norm"):
            before = self._kept.get(f"{name} {thought}", ())
            if len(before) >= FEWEST and 0 < (median := statistics.median(before)) < row[name] / self.policy.spike_factor:
                found.append(f"{name}={row[name]:.4g} is above {self.policy.spike_factor:g} times the median {median:.4g}")
        return found

    def keep(self, row: Mapping[str, float], *, thought: bool) -> None:
        """Remembers a step that was taken."""
        for name in ("loss", "grad_norm"):
            self._kept.setdefault(f"{name} {thought}", deque(maxlen=MEDIAN_OF)).append(row[name])

    def state_dict(self) -> dict[str, list[float]]:
        """Plain JSON."""
        return {name: list(values) for name, values in self._kept.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """As it was."""
        self._kept = {name: deque(values, maxlen=MEDIAN_OF) for name, values in state.items()}


def tell_to_stop() -> None:
    """What SIGTERM does, for the fits of this process that no signal reaches since they run outside the main thread; also for those to come."""
    _told.set()


@contextmanager
def told_to_stop(*, listen: bool) -> Iterator[threading.Event]:
    """An event that the first SIGTERM inside the block sets, a second does what it always did; outside the main thread only `tell_to_stop`
    sets it, and without `listen` nothing does."""
    stop = threading.Event()
    if not listen or threading.current_thread() is not threading.main_thread():
        yield _told if listen else stop
        return

    def on_signal(*_: object) -> None:
        stop.set()
        signal.signal(signal.SIGTERM, before)

    before = signal.signal(signal.SIGTERM, on_signal)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)

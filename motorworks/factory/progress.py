"""How a run looks while it runs: a live bar on a terminal, plain lines elsewhere; always on standard error."""

import sys
import time
from typing import Protocol, TextIO

LINE_EVERY_S = 10.0


class Progress(Protocol):
    """What the runner and the stages tell the person who watches."""

    def started(self, step: str, place: int, num_steps: int) -> None:
        """A step begins; it is the `place`-th of `num_steps`."""
        ...

    def advance(self, done: int, total: int | None, unit: str, note: str) -> None:
        """The running step has done this much."""
        ...

    def ended(self, step: str, outcome: str) -> None:
        """A step is over: built, reused, failed."""
        ...

    def say(self, line: str) -> None:
        """A line that stays."""
        ...

    def close(self) -> None:
        """Nothing follows."""
        ...


class Silent:
    """Says nothing."""

    def started(self, step: str, place: int, num_steps: int) -> None:
        """Nothing."""

    def advance(self, done: int, total: int | None, unit: str, note: str) -> None:
        """Nothing."""

    def ended(self, step: str, outcome: str) -> None:
        """Nothing."""

    def say(self, line: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class Lines:
    """Plain lines without control codes, at most one in ten seconds for one step."""

    def __init__(self, stream: TextIO | None = None):
        self._stream = stream or sys.stderr
        self._place, self._began_s, self._last_s, self._first_done = "", 0.0, 0.0, 0

    def started(self, step: str, place: int, num_steps: int) -> None:
        """One line."""
        self._place = f"[{place}/{num_steps}] {step}"
        self._began_s = self._last_s = time.monotonic()
        self._first_done = 0

    def advance(self, done: int, total: int | None, unit: str, note: str) -> None:
        """A line with rate and remaining time, if the last one is old enough."""
        now_s = time.monotonic()
        if now_s - self._last_s < LINE_EVERY_S:
            return
        self._last_s = now_s
        self.say(f"{self._place}: {describe(done, total, unit, now_s - self._began_s)}{f' · {note}' if note else ''}")

    def ended(self, step: str, outcome: str) -> None:
        """One line."""
        self.say(f"{self._place or step}: {outcome}")

    def say(self, line: str) -> None:
        """The line, at once."""
        print(line, file=self._stream, flush=True)

    def close(self) -> None:
        """Nothing is open."""


class Live:
    """A bar with rate and remaining time on a terminal (rich)."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        self._console = Console(stderr=True)
        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )
        self._task = self._bars.add_task("", total=None, rate="", visible=False)
        self._bars.start()
        self._began_s, self._place = 0.0, ""

    def started(self, step: str, place: int, num_steps: int) -> None:
        """A fresh bar."""
        self._place, self._began_s = f"[{place}/{num_steps}] {step}", time.monotonic()
        self._bars.reset(self._task, description=self._place, total=None, rate="", visible=True)

    def advance(self, done: int, total: int | None, unit: str, note: str) -> None:
        """Move the bar."""
        rate = describe(done, total, unit, time.monotonic() - self._began_s)
        self._bars.update(self._task, completed=done, total=total, rate=f"{rate} {note}".strip())

    def ended(self, step: str, outcome: str) -> None:
        """A line that stays."""
        self._bars.update(self._task, visible=False)
        self.say(f"{self._place or step}: {outcome}")

    def say(self, line: str) -> None:
        """A line above the bar."""
        self._console.print(line, markup=False, highlight=False)

    def close(self) -> None:
        """Give the terminal back."""
        self._bars.stop()


def progress_for(stream: TextIO | None = None) -> Progress:
    """A live bar if the stream is a terminal, else lines."""
    return Live() if (stream or sys.stderr).isatty() else Lines(stream)


def describe(done: int, total: int | None, unit: str, elapsed_s: float) -> str:
    """'120/400 clips · 35/s · 8 s left'."""
    parts = [" ".join(part for part in (f"{done}/{total}" if total else f"{done}", unit) if part)]
    if elapsed_s > 0 and done > 0:
        rate_hz = done / elapsed_s
        parts.append(f"{rate_hz:.3g}/s")
        if total and total > done:
            parts.append(f"{duration((total - done) / rate_hz)} left")
    return " · ".join(parts)


def duration(seconds_s: float) -> str:
    """'8.2 s', '3 min 05 s', '2 h 10 min'."""
    if seconds_s < 60:
        return f"{seconds_s:.1f} s"
    minutes, seconds = divmod(round(seconds_s), 60)
    if minutes < 60:
        return f"{minutes} min {seconds:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"

"""Which clock a bag's messages are laid on: the senders' stamps where they are set and go on, else the time at which each was written down."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from motorworks.clips.readers.ros_log import Series, Shots
from motorworks.geometry.array import Array

_MOST_BACK_FRAC = 0.05  # of a topic's messages whose stamp does not go on; above it, its stamps are no clock
_MOST_APART_S = 1.0  # between topics: how long after its stamp a message is written down, in the median


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Stamps, or the log's time; without stamps of its own a message is as late as those of the front camera."""

    stamps: bool
    late_ns: int
    why: str

    def lay(self, series: Series) -> tuple[Int64[Array, " message"], Int64[Array, " kept"], str | None]:
        """Times in µs, the messages that are kept (their times go on), and a line on those that go back."""
        log_ns, stamp_ns = series.clocks_ns
        order = np.argsort(log_ns, kind="stable")
        stamped = self.stamps and len(stamp_ns) and (stamp_ns > 0).all()
        time_us = (stamp_ns if stamped else log_ns - self.late_ns)[order] // 1000
        going_on = _goes_on(time_us)
        back = np.flatnonzero(np.diff(time_us) < 0)
        said = None
        if len(back):
            at_s = (time_us[back[0]] - time_us[0]) / 1e6
            said = f"header.stamp goes back after {at_s:.2f} s: {int((~going_on).sum())} of {len(time_us)} messages are left out"
        return time_us[going_on], order[going_on], said


def choose_clock(series: Mapping[str, Series]) -> Clock:
    """One for all topics, so that they stay in step."""
    late = {}
    for one in series.values():
        log_ns, stamp_ns = one.clocks_ns
        if not len(log_ns) or not (isinstance(one, Shots) or (stamp_ns > 0).any()):
            continue
        if (stamp_ns <= 0).any():
            return Clock(stamps=False, late_ns=0, why=f"log time, because {one.topic} has no header.stamp")
        back = ~_goes_on(stamp_ns[np.argsort(log_ns, kind="stable")])
        if back.mean() > _MOST_BACK_FRAC:
            return Clock(stamps=False, late_ns=0, why=f"log time, because header.stamp of {one.topic} does not go on at {int(back.sum())} messages")
        late[one.topic] = float(np.median(log_ns - stamp_ns)) / 1e9
    if not late:
        return Clock(stamps=False, late_ns=0, why="log time, because no message has a header.stamp")
    if max(late.values()) - min(late.values()) > _MOST_APART_S:
        first, last = min(late, key=late.__getitem__), max(late, key=late.__getitem__)
        why = f"log time, because the stamps of {first} and {last} are {late[last] - late[first]:.1f} s apart"
        return Clock(stamps=False, late_ns=0, why=why)
    return Clock(stamps=True, late_ns=round(next(iter(late.values())) * 1e9), why="header.stamp")


def _goes_on(time: Int64[Array, " message"]) -> Bool[Array, " message"]:
    """True where a time lies after all before it."""
    return np.concatenate([np.ones(min(1, len(time)), bool), time[1:] > np.maximum.accumulate(time)[:-1]])

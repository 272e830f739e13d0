"""What is kept of a bag while it is read once: numbers of every message, pictures near 10 Hz, and both clocks of each.

Bounded: 10 minutes, or pictures that take 4 GB (their compressed bytes, and twice their kept size for what is made of them); then reading stops,
and a note says so. Of a camera above 16 Hz only the picture nearest to each tenth of a second is kept, of a slower one all.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from motorworks.clips.clock import TICK_US
from motorworks.clips.frames import MAX_HEIGHT_PX
from motorworks.clips.readers import ros_messages as says
from motorworks.clips.readers.ros_bag import Bag
from motorworks.clips.readers.ros_topics import Chosen
from motorworks.geometry.array import Array

MOST_S = 600.0
MOST_BYTES = 4 << 30
_LATER_BYTES = 2 * 3 * MAX_HEIGHT_PX * MAX_HEIGHT_PX * 16 // 9  # of each picture: opened, and in its clip
_DENSE_NS = 60_000_000
_TICK_NS = TICK_US * 1000
_NUMBERS: Mapping[str, Callable[[Any], tuple[float, ...]]] = {"odometry": says.odometry, "twist": says.twist, "imu": says.imu, "fix": says.fix}


class Series:
    """Messages of one topic in the order they were met: when written down, when it happened by the sender (0: not said), and what they say."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.log_ns: list[int] = []
        self.stamp_ns: list[int] = []
        self.values: list[Any] = []
        self.frame = ""  # of the first message
        self.child = ""  # the frame whose pose or speed it tells, where it names one
        self.num = 0  # messages met, those included that could not be used
        self.unusable: list[str] = []  # a reason each

    def add(self, log_ns: int, stamp_ns: int, value: Any) -> None:
        self.log_ns.append(log_ns)
        self.stamp_ns.append(stamp_ns)
        self.values.append(value)

    @property
    def clocks_ns(self) -> tuple[Int64[Array, " message"], Int64[Array, " message"]]:
        """Log time and stamp."""
        return np.array(self.log_ns, np.int64), np.array(self.stamp_ns, np.int64)


class Shots(Series):
    """Pictures of one camera, near 10 Hz."""

    def __init__(self, topic: str) -> None:
        super().__init__(topic)
        self._last_ns: int | None = None
        self._by_stamp = True

    def offer(self, log_ns: int, stamp_ns: int, picture: Callable[[], bytes]) -> int:
        """Bytes that it takes more than before. A stamp that does not go on is not asked again: then the log's time says which are near a tick."""
        if self._by_stamp and (stamp_ns <= 0 or (self._last_ns is not None and stamp_ns <= self._last_ns)):
            self._by_stamp, self._last_ns = False, self.log_ns[-1] if self.log_ns else None
        time_ns = stamp_ns if self._by_stamp else log_ns
        dense = self._last_ns is not None and 0 <= time_ns - self._last_ns < _DENSE_NS
        self._last_ns, more = time_ns, 0
        if dense and self.log_ns:
            held_ns = self.stamp_ns[-1] if self._by_stamp else self.log_ns[-1]
            tick_ns = round(time_ns / _TICK_NS) * _TICK_NS
            if round(held_ns / _TICK_NS) * _TICK_NS == tick_ns:
                if abs(time_ns - tick_ns) >= abs(held_ns - tick_ns):
                    return 0
                more -= len(self.values[-1]) + _LATER_BYTES
                self.log_ns.pop(), self.stamp_ns.pop(), self.values.pop()
        data = picture()
        self.add(log_ns, stamp_ns, data)
        return more + len(data) + _LATER_BYTES


@dataclass(frozen=True, kw_only=True)
class BagLog:
    """Everything that was kept."""

    shots: Mapping[str, Shots]
    infos: Mapping[str, Series]
    numbers: Mapping[str, Series]  # odometry, twist, imu, fix
    texts: Series | None
    frames: dict[str, tuple[str, Float[Array, "4 4"]]]  # child -> parent and parent_from_child, the first that was told
    notes: list[str]

    @property
    def stamped(self) -> dict[str, Series]:
        """Those that choose the clock, the front camera first."""
        return {**self.shots, **self.numbers}

    @property
    def all_series(self) -> list[Series]:
        """Each, for what could not be used of it."""
        return [*self.shots.values(), *self.infos.values(), *self.numbers.values(), *([] if self.texts is None else [self.texts])]


def collect(bag: Bag, chosen: Chosen) -> BagLog:
    """One pass through the bag."""
    log = BagLog(
        shots={name: Shots(topic) for name, topic in chosen.cameras.items()},
        infos={name: Series(topic) for name, topic in chosen.infos.items()},
        numbers={role: Series(topic) for role, topic in chosen.roles.items() if role in _NUMBERS},
        texts=Series(chosen.roles["instruction"]) if "instruction" in chosen.roles else None,
        frames={},
        notes=[],
    )
    videos = {name: says.VideoTopic() for name, topic in chosen.cameras.items() if bag.topics[topic].endswith("Video")}
    of: dict[str, list[tuple[str, Series | None]]] = {}
    texts = {} if log.texts is None else {"instruction": log.texts}
    for name, series in [*log.shots.items(), *log.infos.items(), *log.numbers.items(), *texts.items()]:
        of.setdefault(series.topic, []).append((name, series))
    for topic in chosen.transforms:
        of.setdefault(topic, []).append(("transforms", None))
    held, first_ns = 0, None
    for entry in bag.entries(chosen.all):
        first_ns = entry.log_ns if first_ns is None else first_ns
        if entry.log_ns - first_ns > MOST_S * 1e9 or held > MOST_BYTES:
            read_s = min(MOST_S, (entry.log_ns - first_ns) / 1e9)
            log.notes.append(f"only the first {read_s:.0f} s are read (pictures take {held / 1e6:.0f} MB): cut the bag to use the rest")
            break
        try:
            message = entry.decode()
        except Exception as error:  # the boundary: foreign bytes raise what they will
            for _, series in of[entry.topic]:
                if series is not None:
                    series.num += 1
                    series.unusable.append(_reason(error))
            continue
        for name, series in of[entry.topic]:
            try:
                held += _take(log, videos, name, series, entry.log_ns, message)
            except Exception as error:
                if series is not None:
                    series.unusable.append(_reason(error))
    for name, video in videos.items():
        try:
            for shot in video.end():
                log.shots[name].offer(*shot)
        except Exception as error:
            log.shots[name].unusable.append(_reason(error))
    return log


def _take(log: BagLog, videos: Mapping[str, says.VideoTopic], name: str, series: Series | None, log_ns: int, message: Any) -> int:
    if series is None:
        for parent, child, pose in says.transforms(message):
            log.frames.setdefault(child, (parent, pose))
        return 0
    series.num += 1
    if series.num == 1:
        series.frame = says.frame_of(message)
        series.child = str(getattr(message, "child_frame_id", "")).strip("/")
    if isinstance(series, Shots):
        if name in videos:
            return sum(series.offer(*shot) for shot in videos[name].feed(message, log_ns))
        raw = hasattr(message, "encoding")
        return series.offer(log_ns, says.stamp_ns(message), lambda: says.raw_picture(message) if raw else says.bytes_of(message))
    if series is log.texts:
        series.add(log_ns, 0, str(message.data).strip())
    elif series is log.numbers.get(name):
        series.add(log_ns, says.stamp_ns(message), _NUMBERS[name](message))
    elif not series.values:
        series.add(log_ns, says.stamp_ns(message), says.calibration(message))
    return 0


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"

"""Drop what teaches nothing: parked, frozen camera, dark, too short. What is dropped is named, span by span."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from motorworks.clips.cut import cut
from motorworks.datatypes.clip import Clip
from motorworks.datatypes.trajectory import DT_S
from motorworks.geometry.array import Array

REASONS = ("parked", "frozen", "dark", "short")


@dataclass(frozen=True, kw_only=True)
class FilterConfig:
    """Thresholds. Waiting is driving: only standing for longer than `parked_s` is parked, and a margin at each end stays."""

    still_mps: float = 0.05
    parked_s: float = 8.0
    parked_margin_s: float = 2.0
    frozen_level: float = 0.2  # mean absolute difference of neighbouring pictures, of 255
    frozen_s: float = 1.0
    dark_level: float = 16.0  # mean brightness, of 255
    dark_s: float = 0.5
    min_clip_s: float = 3.0

    def __post_init__(self) -> None:
        if self.parked_s < 2 * self.parked_margin_s:
            raise ValueError(f"parked_s {self.parked_s} must be at least twice parked_margin_s {self.parked_margin_s}")


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """Steps [start, stop) of clip number `clip`, and why."""

    clip: int
    start: int
    stop: int
    reason: str  # one of REASONS


@dataclass(frozen=True, kw_only=True)
class Filtered:
    """What is left, what is not, and which clip each kept part is of."""

    clips: list[Clip]
    origin: list[int]  # index of the clip given, per clip kept
    dropped: list[Dropped]


def filter_clips(clips: Sequence[Clip], config: FilterConfig = FilterConfig()) -> Filtered:
    """Each clip whole, trimmed, in parts or gone."""
    kept, origin, dropped = [], [], []
    for number, clip in enumerate(clips):
        spans, reasons = judge(clip, config)
        dropped += [Dropped(clip=number, start=start, stop=stop, reason=reason) for start, stop, reason in reasons]
        whole = spans == [(0, len(clip.timestamp_us))]
        kept += [clip if whole else cut(clip, start, stop) for start, stop in spans]
        origin += [number] * len(spans)
    return Filtered(clips=kept, origin=origin, dropped=dropped)


def judge(clip: Clip, config: FilterConfig = FilterConfig()) -> tuple[list[tuple[int, int]], list[tuple[int, int, str]]]:
    """Spans to keep, and spans to drop with their reason; together they are the clip. A step bad in two ways goes by the first of REASONS."""
    num = len(clip.timestamp_us)
    reason = np.full(num, "", dtype=object)
    for name, bad in (("parked", find_parked(clip, config)), ("frozen", find_frozen(clip, config)), ("dark", find_dark(clip, config))):
        reason[bad & (reason == "")] = name
    for start, stop in runs(reason == ""):
        # what is left between two cuts may be nothing but standing
        if clip.motion is not None and (np.abs(clip.motion.speed_mps[start:stop]) < config.still_mps).all():
            reason[start:stop] = "parked"
        elif (stop - start - 1) * DT_S < config.min_clip_s - 1e-9:
            reason[start:stop] = "short"
    edges = [0, *(np.flatnonzero(reason[1:] != reason[:-1]) + 1).tolist(), num]
    spans = [(start, stop, str(reason[start])) for start, stop in itertools.pairwise(edges)]
    return [(start, stop) for start, stop, why in spans if not why], [span for span in spans if span[2]]


def find_parked(clip: Clip, config: FilterConfig) -> Bool[Array, " time"]:
    """Standing for long, less a margin; wholly bad where the clip never moves. Without motion nothing is known to be parked."""
    num = len(clip.timestamp_us)
    if clip.motion is None:
        return np.zeros(num, bool)
    still = np.abs(clip.motion.speed_mps) < config.still_mps
    if still.all():
        return still
    parked, margin = np.zeros(num, bool), round(config.parked_margin_s / DT_S)
    for start, stop in runs(still):
        if (stop - start) * DT_S > config.parked_s:
            parked[(start if start == 0 else start + margin) : (stop if stop == num else stop - margin)] = True
    return parked


def find_frozen(clip: Clip, config: FilterConfig) -> Bool[Array, " time"]:
    """The picture stands still though the car moves (or, without motion, at all)."""
    num = len(clip.timestamp_us)
    if clip.frames is None:
        return np.zeros(num, bool)
    small = _small(clip)
    same = np.abs(np.diff(small, axis=0)).mean(axis=(1, 2)) < config.frozen_level
    if clip.motion is not None:
        same &= np.abs(clip.motion.speed_mps[1:]) >= config.still_mps
    return _long_runs(np.concatenate([[False], same]), config.frozen_s)


def find_dark(clip: Clip, config: FilterConfig) -> Bool[Array, " time"]:
    """Lens covered, or night without light."""
    if clip.frames is None:
        return np.zeros(len(clip.timestamp_us), bool)
    return _long_runs(_small(clip).mean(axis=(1, 2)) < config.dark_level, config.dark_s)


def _small(clip: Clip) -> Float[Array, "time row column"]:
    """Brightness at every fourth pixel: enough to tell dark and frozen."""
    assert clip.frames is not None
    return clip.frames[:, ::4, ::4].mean(axis=-1, dtype=np.float32)


def _long_runs(bad: Bool[Array, " time"], longer_than_s: float) -> Bool[Array, " time"]:
    long = np.zeros(len(bad), bool)
    for start, stop in runs(bad):
        if (stop - start) * DT_S > longer_than_s:
            long[start:stop] = True
    return long


def runs(mask: Bool[Array, " time"]) -> list[tuple[int, int]]:
    """[start, stop) of each run of true."""
    edges = np.diff(np.concatenate([[0], np.asarray(mask).astype(np.int8), [0]]))
    return list(zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True))

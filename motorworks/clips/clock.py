"""From a recording's own clock, gaps and all, to gap-free pieces at 10 Hz."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Int64

from motorworks.geometry.array import Array

TICK_US = 100_000
# Two real 20 Hz tubs stall for about 0.2 s every second or two. Of their 368 s, cutting at gaps over 0.2 s leaves nothing, 0.25 s 119 s
# with two pieces long enough for a 6.4 s plan, 0.35 s 260 s with fifteen. The price: a frame may lie up to 0.175 s off its tick.
MAX_GAP_S = 0.35
MIN_CLIP_S = 3.0
MAX_CLIP_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Samples [start, stop) of a recording, and the 10 Hz ticks laid over them."""

    start: int
    stop: int
    tick_us: Int64[Array, " tick"]
    nearest: Int64[Array, " tick"]  # index of the recording's sample nearest to each tick; never decreases

    def interpolate(self, time_us: Int64[Array, " sample"], values: Float[Array, "sample *dim"]) -> Float[Array, "tick *dim"]:
        """Values of the recording, linear between samples, at the ticks."""
        part_us, part = time_us[self.start : self.stop], np.asarray(values[self.start : self.stop], np.float64)
        if part.ndim == 1:
            return np.interp(self.tick_us, part_us, part)
        return np.stack([np.interp(self.tick_us, part_us, column) for column in part.reshape(len(part), -1).T], axis=-1).reshape(-1, *part.shape[1:])


def cut_pieces(
    time_us: Int64[Array, " sample"],
    good: Bool[Array, " sample"],
    *,
    max_gap_s: float = MAX_GAP_S,
    min_clip_s: float = MIN_CLIP_S,
    max_clip_s: float = MAX_CLIP_S,
) -> list[Piece]:
    """Cuts at bad samples, at gaps and where the clock goes backwards or stands still; drops what is too short, halves what is too long."""
    pieces = []
    for start, stop in _runs(time_us, good, round(max_gap_s * 1e6)):
        ticks = np.arange(time_us[start], time_us[stop - 1] + 1, TICK_US, dtype=np.int64)
        if (len(ticks) - 1) * TICK_US < min_clip_s * 1e6:
            continue
        nearest = start + nearest_index(time_us[start:stop], ticks)
        num_parts = -(-len(ticks) // max(2, round(max_clip_s * 1e6 / TICK_US)))
        for part_ticks, part_nearest in zip(np.array_split(ticks, num_parts), np.array_split(nearest, num_parts), strict=True):
            pieces.append(Piece(start=start, stop=stop, tick_us=part_ticks, nearest=part_nearest))
    return pieces


def nearest_index(time_us: Int64[Array, " sample"], tick_us: Int64[Array, " tick"]) -> Int64[Array, " tick"]:
    """Index of the sample nearest in time to each tick; `time_us` increases."""
    after = np.clip(np.searchsorted(time_us, tick_us), 1, max(1, len(time_us) - 1))
    if len(time_us) == 1:
        return np.zeros(len(tick_us), np.int64)
    return np.where(tick_us - time_us[after - 1] <= time_us[after] - tick_us, after - 1, after)


def thinned(time_us: Int64[Array, " sample"]) -> Int64[Array, " kept"]:
    """Of a denser clock that increases: the samples nearest to its ticks from the first on, which are all that `cut_pieces` uses of it."""
    if not len(time_us):
        return np.zeros(0, np.int64)
    tick = np.rint((time_us - time_us[0]) / TICK_US).astype(np.int64)
    order = np.lexsort((np.abs(time_us - time_us[0] - tick * TICK_US), tick))
    return np.sort(order[np.unique(tick[order], return_index=True)[1]])


def _runs(time_us: Int64[Array, " sample"], good: Bool[Array, " sample"], max_gap_us: int) -> list[tuple[int, int]]:
    """Longest runs [start, stop) of good samples with steps in (0, max_gap_us]."""
    if len(time_us) == 0:
        return []
    step = np.diff(time_us)
    joined: Int[Array, " step"] = (step > 0) & (step <= max_gap_us) & good[1:] & good[:-1]
    starts = np.flatnonzero(np.concatenate([[True], ~joined]))
    stops = np.concatenate([starts[1:], [len(time_us)]])
    return [(int(start), int(stop)) for start, stop in zip(starts, stops, strict=True) if good[start]]

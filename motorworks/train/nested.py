"""Which samples a run of a scaling grid sees: some recordings held out, the others in one order, of which a smaller run sees the beginning."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int64

from motorworks.geometry.array import Array
from motorworks.train.samples import Samples


@dataclass(frozen=True, kw_only=True)
class Nested:
    """Rows of the samples, recording after recording; `ends[i]` counts those of the first i + 1 recordings."""

    train: Int64[Array, " train"]
    train_ends: Int64[Array, " recording"]
    held_out: Int64[Array, " held_out"]
    held_out_ends: Int64[Array, " held_out_recording"]


def nested_by_recording(recording: Sequence[str], *, held_out_frac: float, seed: int) -> Nested:
    """`recording` names the recording of every sample. Both sides get two recordings at least; raises ValueError where there are too few."""
    names = sorted(set(recording), key=lambda name: (hashlib.sha256(f"{seed}:{name}".encode()).digest(), name))
    if not 0 < held_out_frac < 1:
        raise ValueError(f"held_out_frac {held_out_frac} must be between 0 and 1")
    if len(names) < 4:
        raise ValueError(f"there are {len(names)} recordings: two to train on and two to hold out is the least; add some")
    held_out = min(max(2, round(held_out_frac * len(names))), len(names) - 2)
    label = np.asarray(recording)
    rows = [np.flatnonzero(label == name) for name in names]
    return Nested(
        train=np.concatenate(rows[held_out:]),
        train_ends=np.cumsum([len(of) for of in rows[held_out:]]),
        held_out=np.concatenate(rows[:held_out]),
        held_out_ends=np.cumsum([len(of) for of in rows[:held_out]]),
    )


def first_recordings(ends: Sequence[int], wanted: int) -> int:
    """How many samples the first whole recordings hold that come nearest to `wanted`; at least one recording."""
    return int(min(ends, key=lambda end: (abs(end - wanted), end)))


def compact(samples: Samples, rows: Int64[Array, " some"]) -> Samples:
    """These samples alone, equally often drawn, with the frames they look at and no others: none ahead, so nothing to foresee."""
    chosen = samples.select(rows)
    used, index = np.unique(chosen.frame_index, return_inverse=True)
    shift = int(len(used) > 0 and used[0] < 0)  # -1: no frame, and it stays so
    return replace(
        chosen,
        frames=samples.frames[used[shift:]],
        frame_index=index.reshape(chosen.frame_index.shape).astype(np.int64) - shift,
        next_frame_index=np.full_like(chosen.next_frame_index, -1),
        later_frame_index=np.full_like(chosen.later_frame_index, -1),
        weight=np.ones(len(rows), np.float32),
    )

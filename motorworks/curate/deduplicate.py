"""The same drive twice teaches once and leaks between splits: drop exact copies, and clips that look and move alike.

Thin: near copies are compared step by step, so one shifted in time is not found; every pair of like length is compared, which is for
thousands of clips, not millions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from motorworks.clips.digest import content_digest
from motorworks.datatypes.clip import Clip
from motorworks.geometry.array import Array

_NUM_LOOKS = 12  # moments of a clip that its signature looks at
_GRID_PX = 17  # 16 differences a row


@dataclass(frozen=True, kw_only=True)
class DuplicateConfig:
    """How alike is the same. Two drives along one road are not: pictures and, where known, motion must both agree."""

    picture_bits_frac: float = 0.03  # of the difference hash
    speed_mps: float = 0.05  # rms
    curvature_per_m: float = 0.002  # rms
    num_steps: int = 2  # difference in length


@dataclass(frozen=True, kw_only=True)
class Duplicate:
    """Clip number `clip` repeats the earlier clip number `of`."""

    clip: int
    of: int
    exact: bool


def find_duplicates(clips: Sequence[Clip], config: DuplicateConfig = DuplicateConfig()) -> list[Duplicate]:
    """Clips that repeat an earlier one; the first of each family stays, so put what an earlier turn kept first."""
    found: list[Duplicate] = []
    by_digest: dict[str, int] = {}
    kept: list[tuple[int, _Signature]] = []
    for number, clip in enumerate(clips):
        digest = content_digest(clip)
        if digest in by_digest:
            found.append(Duplicate(clip=number, of=by_digest[digest], exact=True))
            continue
        signature = _sign(clip)
        like = next((other for other, earlier in kept if _alike(signature, earlier, config)), None)
        by_digest[digest] = number if like is None else like
        if like is None:
            kept.append((number, signature))
        else:
            found.append(Duplicate(clip=number, of=like, exact=False))
    return found


def deduplicate(clips: Sequence[Clip], config: DuplicateConfig = DuplicateConfig()) -> tuple[list[Clip], list[Duplicate]]:
    """The clips without their repeats, and the repeats."""
    found = find_duplicates(clips, config)
    gone = {duplicate.clip for duplicate in found}
    return [clip for number, clip in enumerate(clips) if number not in gone], found


@dataclass(frozen=True, kw_only=True)
class _Signature:
    body: str
    num_steps: int
    bits: UInt8[Array, " byte"] | None  # packed difference hash of the looks
    motion: Float[Array, "look 2"] | None  # speed, curvature


def _sign(clip: Clip) -> _Signature:
    looks = np.linspace(0, len(clip.timestamp_us) - 1, _NUM_LOOKS).round().astype(int)
    bits = None if clip.frames is None else np.packbits(_difference_hash(clip.frames[looks]))
    motion = None if clip.motion is None else np.stack([clip.motion.speed_mps[looks], clip.motion.curvature_per_m[looks]], axis=-1)
    return _Signature(body=clip.body, num_steps=len(clip.timestamp_us), bits=bits, motion=motion)


def _difference_hash(frames: UInt8[Array, "look height width 3"]) -> UInt8[Array, "look bit"]:
    """1 where brightness rises to the right, on a coarse grid of block means: survives compression and light."""
    grey = frames.mean(axis=-1)
    rows = np.linspace(0, grey.shape[1], _GRID_PX).astype(int)[:-1]
    columns = np.linspace(0, grey.shape[2], _GRID_PX + 1).astype(int)[:-1]
    sums = np.add.reduceat(np.add.reduceat(grey, rows, axis=1), columns, axis=2)
    area = np.diff(np.append(rows, grey.shape[1]))[:, None] * np.diff(np.append(columns, grey.shape[2]))
    means = sums / np.maximum(area, 1)
    # flat sky would give random bits: a rise must be seen
    return (np.diff(means, axis=2) > 2.0).astype(np.uint8).reshape(len(frames), -1)


def _alike(a: _Signature, b: _Signature, config: DuplicateConfig) -> bool:
    if a.body != b.body or abs(a.num_steps - b.num_steps) > config.num_steps or (a.bits is None) != (b.bits is None):
        return False
    if (a.motion is None) != (b.motion is None):
        return False
    if a.motion is not None and b.motion is not None:
        rms = np.sqrt(np.mean((a.motion - b.motion) ** 2, axis=0))
        if rms[0] > config.speed_mps or rms[1] > config.curvature_per_m:
            return False
    if a.bits is not None and b.bits is not None:
        return bool(np.unpackbits(np.bitwise_xor(a.bits, b.bits)).mean() <= config.picture_bits_frac)
    return True

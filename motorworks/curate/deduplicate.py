"""The same drive twice teaches once and leaks between splits: exact copies by digest, near copies by embedding and then by a closer look.

Near copies are looked for within groups of like embeddings (as SemDeDup, Abbas et al. 2023, does) and compared at every shift in time:
pictures by brightness over a coarse grid, motion step by step. Two drives along one road look alike and move differently; a mirrored copy
looks more like the mirror image. Neither is a duplicate.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int8

from motorworks.clips.digest import content_digest
from motorworks.curate.cluster import groups
from motorworks.curate.embed import LayoutEmbedder, block_means, brightness, embed_clip, unit
from motorworks.datatypes.clip import Clip
from motorworks.geometry.array import Array

LOOK_STEPS = 2  # 10 Hz steps between two looks
_GRID = (8, 16)


@dataclass(frozen=True, kw_only=True)
class DuplicateConfig:
    """How alike is the same."""

    candidate_cosine: float = 0.88  # of embeddings: what is compared at all
    max_candidates: int = 24  # of a clip, the most alike
    picture_correlation: float = 0.82  # mean over the common looks
    speed_mps: float = 0.05  # rms; where both know their motion
    yaw_rate_radps: float = 0.01  # rms
    min_common_s: float = 2.0
    min_common_frac: float = 0.6  # of the shorter clip


@dataclass(frozen=True, kw_only=True)
class Signature:
    """What a closer look at a clip needs: about 80 bytes a look."""

    looks: Int8[Array, "look 128"] | None  # brightness over a grid, of length 127, the mean taken off
    motion: Float[Array, "step 2"] | None  # speed, yaw rate at 10 Hz


@dataclass(frozen=True, kw_only=True)
class ClipFeatures:
    """All that deduplication reads of a clip."""

    content_id: str
    body: str
    embedding: Float[Array, " dim"] | None
    signature: Signature


@dataclass(frozen=True, kw_only=True)
class Duplicate:
    """Clip number `clip` repeats the earlier clip number `of`."""

    clip: int
    of: int
    exact: bool


def features_of(clip: Clip, *, content_id: str | None = None) -> ClipFeatures:
    """Of a clip with its pictures; `content_id` where it is known already."""
    return ClipFeatures(
        content_id=content_id or content_digest(clip), body=clip.body, embedding=embed_clip(clip, LayoutEmbedder()), signature=sign(clip)
    )


def sign(clip: Clip) -> Signature:
    """The signature of a clip."""
    looks = motion = None
    if clip.frames is not None:
        grey = brightness(clip.frames[::LOOK_STEPS])
        light = block_means(grey, *_GRID).reshape(len(grey), -1)
        looks = np.rint(127 * unit(light - light.mean(axis=1, keepdims=True), floor=1.0)).astype(np.int8)
    if clip.motion is not None:
        motion = np.stack([clip.motion.speed_mps, clip.motion.speed_mps * clip.motion.curvature_per_m], axis=-1).astype(np.float32)
    return Signature(looks=looks, motion=motion)


def find_duplicates(clips: Sequence[ClipFeatures], config: DuplicateConfig = DuplicateConfig()) -> list[Duplicate]:
    """Clips that repeat an earlier one; the first of each family stays, so put what an earlier turn kept first."""
    first: dict[str, int] = {}
    of: dict[int, Duplicate] = {}
    for number, clip in enumerate(clips):
        if (earlier := first.setdefault(clip.content_id, number)) != number:
            of[number] = Duplicate(clip=number, of=earlier, exact=True)
    by_kind: dict[tuple[str, bool, bool], list[int]] = {}
    for number, clip in enumerate(clips):
        if number not in of:
            kind = (clip.body, clip.signature.looks is None, clip.signature.motion is None)
            by_kind.setdefault(kind, []).append(number)
    for members in by_kind.values():
        for later, earlier in _candidates(members, clips, config):
            if later not in of and earlier not in of and same(clips[earlier].signature, clips[later].signature, config):
                of[later] = Duplicate(clip=later, of=earlier, exact=False)
    root = {number: entry.of for number, entry in of.items() if not entry.exact}  # a copy of a near copy is one too
    return [Duplicate(clip=number, of=root.get(of[number].of, of[number].of), exact=of[number].exact) for number in sorted(of)]


def same(a: Signature, b: Signature, config: DuplicateConfig = DuplicateConfig()) -> bool:
    """Whether two clips, one perhaps shifted in time, are one drive seen by one camera."""
    if a.looks is None or b.looks is None:
        return a.motion is not None and b.motion is not None and _moves_alike(a.motion, b.motion, 0, config) and len(a.motion) == len(b.motion)
    right = (a.looks.astype(np.float32) @ b.looks.astype(np.float32).T) / 127**2
    shift, correlation = _best_shift(right, len(a.looks), len(b.looks), config)
    if correlation < config.picture_correlation:
        return False
    flipped = b.looks.reshape(len(b.looks), *_GRID)[:, :, ::-1].reshape(len(b.looks), -1)
    mirrored = np.diagonal((a.looks.astype(np.float32) @ flipped.astype(np.float32).T) / 127**2, -shift).mean()
    if mirrored > correlation:
        return False
    if a.motion is None or b.motion is None:
        return True
    near = range(LOOK_STEPS * shift - LOOK_STEPS, LOOK_STEPS * shift + LOOK_STEPS + 1)
    return any(_moves_alike(a.motion, b.motion, steps, config) for steps in near)


def _candidates(members: list[int], clips: Sequence[ClipFeatures], config: DuplicateConfig) -> Iterator[tuple[int, int]]:
    """Pairs (later, earlier) worth a look, by the later one and then by the earlier. Without pictures: all of them."""
    if clips[members[0]].embedding is None:
        yield from ((later, earlier) for place, later in enumerate(members) for earlier in members[:place])
        return
    vectors = np.stack([clips[number].embedding for number in members]).astype(np.float32)  # type: ignore[arg-type]  # one kind: all have one
    pairs: set[tuple[int, int]] = set()
    found = groups(vectors)
    for group in range(int(found.max()) + 1):
        inside = np.flatnonzero((found == group).any(axis=1))
        alike = vectors[inside] @ vectors[inside].T
        np.fill_diagonal(alike, -1)
        for place, row in enumerate(alike):
            best = np.argsort(-row, kind="stable")[: config.max_candidates]
            pairs |= {(max(inside[place], inside[one]), min(inside[place], inside[one])) for one in best if row[one] >= config.candidate_cosine}
    yield from ((members[later], members[earlier]) for later, earlier in sorted(pairs))


def _best_shift(pairs: Float[Array, "a b"], num_a: int, num_b: int, config: DuplicateConfig) -> tuple[int, float]:
    """By how many looks b begins after a, and how alike the common looks are then."""
    step_s = LOOK_STEPS / 10
    least = max(round(config.min_common_s / step_s), round(config.min_common_frac * min(num_a, num_b)), 1)
    best = (0, -1.0)
    for shift in sorted(range(least - num_b, num_a - least + 1), key=abs):
        mean = float(np.diagonal(pairs, -shift).mean())
        if mean > best[1] + 1e-6:
            best = (shift, mean)
    return best


def _moves_alike(a: Float[Array, "step 2"], b: Float[Array, "step 2"], shift: int, config: DuplicateConfig) -> bool:
    a, b = (a[shift:], b) if shift >= 0 else (a, b[-shift:])
    num = min(len(a), len(b))
    if num < 2:
        return False
    speed, yaw_rate = np.sqrt(np.mean((a[:num] - b[:num]) ** 2, axis=0))
    return bool(speed <= config.speed_mps and yaw_rate <= config.yaw_rate_radps)

"""Copies go, likes go, different drives stay."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from motorworks.clips.cut import cut
from motorworks.clips.frames import decode_mp4, encode_mp4
from motorworks.curate.cluster import groups, map_2d
from motorworks.curate.deduplicate import Duplicate, features_of, find_duplicates
from motorworks.curate.embed import LayoutEmbedder, embed_clip
from motorworks.datatypes.clip import Clip

Drive = Callable[..., Clip]


def find(clips: Sequence[Clip]) -> list[Duplicate]:
    return find_duplicates([features_of(clip) for clip in clips])


def _picture(seed: int, num: int = 80) -> np.ndarray:
    """A smooth scene that moves: what a camera sees, not noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:72, 0:96]
    waves = rng.uniform(0.02, 0.12, (6, 2))
    phases = rng.uniform(0, 6, 6)
    pictures = [sum(np.sin(fx * (x + 3 * step) + fy * y + phase) for (fx, fy), phase in zip(waves, phases, strict=True)) for step in range(num)]
    return np.repeat((np.stack(pictures)[..., None] * 20 + 128).clip(0, 255), 3, axis=-1).astype(np.uint8)


@pytest.fixture
def clip(drive: Drive) -> Clip:
    """Speeding up and slowing down, 8 s."""
    return replace(drive(np.sin(np.arange(80) / 9), 0.02 * np.cos(np.arange(80) / 7)), frames=_picture(1))


def test_a_renamed_copy_is_exact(drive: Drive) -> None:
    clip = drive(np.zeros(60), np.zeros(60))
    assert find([clip, replace(clip, recording_id="other", tags=("x",))]) == [Duplicate(clip=1, of=0, exact=True)]


PLANTED = {
    "compressed and dimmed": lambda clip: replace(
        clip, frames=decode_mp4(encode_mp4((clip.frames * 0.8).astype(np.uint8)), height_px=72, width_px=96)
    ),
    "cropped": lambda clip: replace(clip, frames=np.repeat(np.repeat(clip.frames[:, 3:69, 4:92], 2, axis=1), 2, axis=2)),
    "half a second later": lambda clip: cut(clip, 5, 80),
    "two seconds later": lambda clip: cut(clip, 20, 80),
    "shorter at both ends": lambda clip: cut(clip, 13, 70),
    "without motion, brighter": lambda clip: replace(clip, frames=clip.frames // 2 + 60),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_near_copy_is_found(clip: Clip, kind: str) -> None:
    assert find([clip, PLANTED[kind](clip)]) == [Duplicate(clip=1, of=0, exact=False)]


OTHERS = {
    "elsewhere": lambda clip: replace(clip, frames=_picture(2)),
    "the same road, faster": lambda clip: replace(clip, motion=replace(clip.motion, speed_mps=clip.motion.speed_mps + 0.3)),
    "the mirror image": lambda clip: replace(clip, motion=None, frames=clip.frames[:, :, ::-1].copy()),
    "motion alone": lambda clip: replace(clip, frames=None),  # not comparable, so not the same
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_not_the_same_stays(clip: Clip, kind: str) -> None:
    other = OTHERS[kind](clip)
    assert not find([replace(clip, motion=other.motion) if kind == "the mirror image" else clip, other])


def test_a_family_points_to_its_first(drive: Drive) -> None:
    clip = drive(np.zeros(60), np.zeros(60), frames=False)
    near = replace(clip, motion=replace(clip.motion, speed_mps=clip.motion.speed_mps + 0.01))
    assert [duplicate.of for duplicate in find([clip, near, near, clip])] == [0, 0, 0]


def test_the_order_of_others_does_not_matter(clip: Clip) -> None:
    """What an earlier turn kept stays, whatever comes behind it."""
    others = [replace(clip, recording_id=str(seed), frames=_picture(seed)) for seed in range(3, 9)]
    assert find([clip, *others, cut(clip, 5, 80)]) == find([clip, *others[::-1], cut(clip, 5, 80)]) == [Duplicate(clip=7, of=0, exact=False)]


def test_groups_are_small_and_keep_neighbours_together() -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(40, 16))
    vectors = np.repeat(centres, 100, axis=0) + 0.05 * rng.normal(size=(4000, 16))
    found = groups(vectors.astype(np.float32), size=200)
    assert np.bincount(found[:, 0]).max() < 1000
    together = [np.isin(found[one], found[one + 1]).any() for one in range(0, 4000, 100)]
    assert np.mean(together) > 0.95


def test_an_embedding_forgives_light_and_tells_scenes_apart(clip: Clip) -> None:
    looks = np.stack([clip.frames[0], clip.frames[0] // 2, _picture(5)[0]])
    own, dim, other = vectors = LayoutEmbedder()(looks)
    assert vectors.shape == (3, 224) and own @ dim > 0.99 and own @ other < 0.5
    assert embed_clip(clip, LayoutEmbedder()).shape == (224,) and embed_clip(replace(clip, frames=None), LayoutEmbedder()) is None
    flat = map_2d(vectors)
    assert np.linalg.norm(flat[0] - flat[1]) < 0.1 * np.linalg.norm(flat[0] - flat[2])


def test_real_clips_are_all_different(shared_data: Path) -> None:
    from motorworks.clips.reader import read

    clips = read([shared_data / "donkeycar_tubs"]).clips
    assert not find(clips)
    assert len(find(clips + clips)) == len(clips)

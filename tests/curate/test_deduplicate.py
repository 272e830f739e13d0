"""Copies go, likes go, different drives stay."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from motorworks.clips.frames import decode_mp4, encode_mp4
from motorworks.curate.deduplicate import Duplicate, deduplicate, find_duplicates
from motorworks.datatypes.clip import Clip

Drive = Callable[..., Clip]


def _picture(seed: int, num: int = 60) -> np.ndarray:
    """A smooth scene that moves: what a camera sees, not noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:72, 0:96]
    waves = rng.uniform(0.02, 0.12, (6, 2))
    phases = rng.uniform(0, 6, 6)
    pictures = [sum(np.sin(fx * (x + 3 * step) + fy * y + phase) for (fx, fy), phase in zip(waves, phases, strict=True)) for step in range(num)]
    return np.repeat((np.stack(pictures)[..., None] * 20 + 128).clip(0, 255), 3, axis=-1).astype(np.uint8)


def test_a_renamed_copy_is_exact(drive: Drive) -> None:
    clip = drive(np.zeros(60), np.zeros(60))
    assert find_duplicates([clip, replace(clip, recording_id="other", tags=("x",))]) == [Duplicate(clip=1, of=0, exact=True)]


def test_a_compressed_dimmed_copy_is_found_and_another_drive_is_not(drive: Drive) -> None:
    clip = replace(drive(np.zeros(60), np.zeros(60)), frames=_picture(1))
    copy = replace(clip, frames=decode_mp4(encode_mp4((clip.frames * 0.9).astype(np.uint8)), height_px=72, width_px=96))
    elsewhere = replace(clip, frames=_picture(2))
    faster = replace(drive(np.full(60, 0.2), np.zeros(60)), frames=clip.frames)
    assert find_duplicates([clip, elsewhere, faster, copy]) == [Duplicate(clip=3, of=0, exact=False)]
    kept, gone = deduplicate([copy, clip, elsewhere])
    assert kept[0] is copy and len(kept) == 2 and gone == [Duplicate(clip=1, of=0, exact=False)]


def test_a_family_points_to_its_first(drive: Drive) -> None:
    clip = drive(np.zeros(60), np.zeros(60), frames=False)
    near = replace(clip, motion=replace(clip.motion, speed_mps=clip.motion.speed_mps + 0.01))
    assert [duplicate.of for duplicate in find_duplicates([clip, near, near, clip])] == [0, 0, 0]
    with_frames = drive(np.zeros(60), np.zeros(60))
    assert not find_duplicates([clip, with_frames])  # not comparable, so not the same


def test_real_clips_are_all_different(shared_data: Path) -> None:
    from motorworks.clips.reader import read

    clips = read([shared_data / "donkeycar_tubs"]).clips
    assert not find_duplicates(clips)
    assert len(find_duplicates(clips + clips)) == len(clips)

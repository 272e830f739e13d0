"""A stream gives every clip once a pass, the same for any number of readers, and steps over what is broken."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorworks.clips.cut import cut
from motorworks.clips.manifest import ENTRY, Manifest, ManifestBroken, write_manifest
from motorworks.clips.order import Permutation
from motorworks.clips.store import PACKS, ClipStore, write_clips
from motorworks.clips.stream import ClipBroken, ClipStream, ClipViews, raw_windows
from motorworks.datatypes.clip import Clip

MakeViews = Callable[..., ClipViews]


@pytest.fixture
def make_views(make_clip: Callable[..., Clip], tmp_path: Path) -> MakeViews:
    """`make_views(num)`: clips of 40 steps and more in a store, with a manifest over them."""

    def make(num: int = 5, num_steps: int = 40) -> ClipViews:
        write_clips(tmp_path, [make_clip(num_steps + seed, seed, recording_id=f"r{seed}") for seed in range(num)])
        stored = sorted(ClipStore(tmp_path).index.values(), key=lambda one: one.row.recording_id)
        assert write_manifest(tmp_path / "clips.manifest", stored) == num
        return ClipViews(Manifest(tmp_path / "clips.manifest"), tmp_path)

    return make


@given(st.integers(1, 3000), st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_an_order_has_every_item_once(num: int, seed: int) -> None:
    found = Permutation(num, key=(seed,))(np.arange(num))
    np.testing.assert_array_equal(np.sort(found), np.arange(num))


def test_an_order_is_shuffled_and_differs_between_passes() -> None:
    first, second = (Permutation(10_000, key=(0, epoch))(np.arange(10_000)) for epoch in range(2))
    assert abs(np.corrcoef(first, np.arange(10_000))[0, 1]) < 0.05 and abs(np.corrcoef(first, second)[0, 1]) < 0.05
    assert np.mean(np.abs(np.diff(first))) == pytest.approx(10_000 / 3, rel=0.05)  # as of independent draws
    with pytest.raises(IndexError, match="10000"):
        Permutation(10_000, key=(0,))(np.array([10_000]))


def test_an_entry_is_24_bytes_and_a_part_reads_as_the_whole_does(make_views: MakeViews) -> None:
    views = make_views()
    assert ENTRY.itemsize == 24
    store = ClipStore(views.root)
    for number, stored in enumerate(sorted(store.index.values(), key=lambda one: one.row.recording_id)):
        whole, part = store.read(stored.row.clip_id), views.read(number, 13, 29)
        expected = cut(whole, 13, 29)
        np.testing.assert_array_equal(part.frames, expected.frames)
        np.testing.assert_array_equal(part.motion.poses_world, expected.motion.poses_world)
        assert (part.thoughts, part.instructions, part.recording_id) == (expected.thoughts, expected.instructions, expected.recording_id)


def test_every_camera_can_be_listed(make_clip: Callable[..., Clip], tmp_path: Path) -> None:
    clip = make_clip()
    write_clips(tmp_path, [replace(clip, side_frames={"left": clip.frames[:, ::-1].copy()})])
    assert write_manifest(tmp_path / "m", ClipStore(tmp_path).index.values(), cameras=("front", "left")) == 2
    views = ClipViews(Manifest(tmp_path / "m"), tmp_path)
    left = views.read(1).frames
    assert np.abs(left.astype(int) - clip.frames[:, ::-1]).mean() < 4 < np.abs(left.astype(int) - clip.frames).mean()


def test_a_pass_draws_every_clip_evenly_and_a_block_is_a_function_of_its_number(make_views: MakeViews) -> None:
    views = make_views(5)
    stream = ClipStream(views=views, make=partial(raw_windows, num_frames=4), span=4, windows_per_clip=3, clips_per_block=2)
    blocks = [stream.block(0, index) for index in range(stream.num_blocks)]
    np.testing.assert_array_equal(np.concatenate([block.sample for block in blocks]), np.arange(15))
    again = stream.block(0, 1)
    np.testing.assert_array_equal(again.arrays["frames"], blocks[1].arrays["frames"])
    drawn = np.concatenate([block.arrays["poses_world"][:, 0] for block in blocks])
    for number in range(5):
        assert sum((views.read(number).motion.poses_world == pose).all(axis=1).any() for pose in drawn) == 3
    assert not np.array_equal(stream.block(1, 0).arrays["speed_mps"], blocks[0].arrays["speed_mps"])


def test_broken_and_short_clips_are_skipped_and_named(make_views: MakeViews) -> None:
    views = make_views(4, num_steps=40)
    stream = ClipStream(views=views, make=partial(raw_windows, num_frames=42), span=42, windows_per_clip=2, clips_per_block=4)
    entry = views.manifest.entries[3]
    pack = Path(views.root) / PACKS / views.manifest.packs[entry["pack"]]
    data = bytearray(pack.read_bytes())
    data[int(entry["offset"]) + int(entry["start"]) + int(entry["nbytes"]) // 2] ^= 1
    pack.write_bytes(data)
    with pytest.raises(ClipBroken, match=r"record at byte \d+: not what was written"):
        views.read(3)
    block = stream.block(0, 0)
    assert len(block.sample) == 2 and len(block.skipped) == 3  # of 40 and 41 steps, and the one with another bit
    assert sum("shorter than a window of 42 steps" in line for line in block.skipped) == 2


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: b"", lambda data: data[:64] + data[88:]])
def test_a_broken_manifest_is_told(make_views: MakeViews, damage: Callable[[bytes], bytes]) -> None:
    path = make_views(3).manifest.path
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ManifestBroken, match=r"clips\.manifest.*write it again"):
        Manifest(path)


def test_another_bit_in_a_manifest_is_found_by_its_check(make_views: MakeViews) -> None:
    manifest = make_views(3).manifest
    manifest.check()
    data = bytearray(manifest.path.read_bytes())
    data[70] ^= 1
    manifest.path.write_bytes(data)
    with pytest.raises(ManifestBroken, match="sha256"):
        Manifest(manifest.path).check()

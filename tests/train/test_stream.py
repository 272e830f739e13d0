"""Batches of a stream: the same for any number of workers, and to be gone on with from any of them."""

from functools import partial

import numpy as np
import pytest
import torch

from motorworks.clips.manifest import Manifest, write_manifest
from motorworks.clips.store import PACKS, ClipStore, write_clips
from motorworks.clips.stream import ClipStream, ClipViews, raw_windows
from motorworks.datatypes.clip import Clip, Motion
from motorworks.train.stream import StreamLoader

MAKE = partial(raw_windows, num_frames=4)


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> ClipStream:
    """Seven clips of 30 steps, of which the third is broken: three blocks, 28 windows planned, 24 there."""
    root = tmp_path_factory.mktemp("store")
    write_clips(root, [_clip(number) for number in range(7)])
    stored = sorted(ClipStore(root).index.values(), key=lambda one: one.row.recording_id)
    write_manifest(root / "clips.manifest", stored)
    manifest = Manifest(root / "clips.manifest")
    entry = manifest.entries[2]
    pack = root / PACKS / manifest.packs[entry["pack"]]
    data = bytearray(pack.read_bytes())
    data[int(entry["offset"]) + int(entry["start"]) + 50] ^= 1
    pack.write_bytes(data)
    return ClipStream(views=ClipViews(manifest, root), make=MAKE, span=4, windows_per_clip=4, clips_per_block=3)


def test_batches_are_the_same_for_any_number_of_workers(stream: ClipStream) -> None:
    expected = _two_passes(StreamLoader(stream, batch_size=5))
    assert [len(batch) for batch in expected] == [5, 5, 5, 5, 4] * 2
    for num_workers in (1, 2):
        loader = StreamLoader(stream, batch_size=5, num_workers=num_workers)
        for batch, other in zip(expected, _two_passes(loader), strict=True):
            torch.testing.assert_close(batch, other, rtol=0, atol=0)
        assert loader.num_skipped == 2 and "not what was written" in loader.skipped[0]


@pytest.mark.parametrize("num_taken", range(11))
def test_it_goes_on_at_the_very_sample(stream: ClipStream, num_taken: int) -> None:
    whole = _two_passes(StreamLoader(stream, batch_size=5))
    first, rest = StreamLoader(stream, batch_size=5), []
    batches = (batch for _ in range(2) for batch in first)
    for _ in range(num_taken):
        next(batches)
    resumed = StreamLoader(stream, batch_size=5)
    resumed.load_state_dict(first.state_dict())
    while resumed.epoch < 2:
        rest += [batch["speed_mps"] for batch in resumed]
    torch.testing.assert_close(torch.cat(rest) if rest else torch.zeros(0, 4), torch.cat([*whole[num_taken:], torch.zeros(0, 4)]), rtol=0, atol=0)
    assert resumed.num_skipped == 2  # a clip is counted once, however often its block was read


def _two_passes(loader: StreamLoader) -> list[torch.Tensor]:
    return [batch["speed_mps"] for _ in range(2) for batch in loader]


def _clip(number: int, num: int = 30) -> Clip:
    values = np.arange(num, dtype=np.float32)
    return Clip(
        recording_id=f"r{number}",
        source="town",
        body="car",
        licence="CC0-1.0",
        timestamp_us=np.arange(num, dtype=np.int64) * 100_000,
        frames=np.full((num, 64, 64, 3), 10 * number, np.uint8),
        motion=Motion(
            kind="measured", poses_world=np.zeros((num, 3)), speed_mps=values + 100 * number, accel_mps2=0 * values, curvature_per_m=0 * values
        ),
    )

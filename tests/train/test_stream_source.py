"""Training from a stream: the samples are those that memory would hold, and a run goes on at the very window."""

import itertools
import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from motorworks.clips.manifest import Manifest, write_manifest
from motorworks.clips.store import ClipStore, write_clips
from motorworks.clips.stream import ClipStream, ClipViews, RigViews
from motorworks.datatypes.clip import Clip, Motion
from motorworks.datatypes.rig import FRONT3
from motorworks.tokens.camera import CameraCodec
from motorworks.train.batch import NO_JITTER
from motorworks.train.fit_config import FitConfig
from motorworks.train.loop import fit
from motorworks.train.samples import samples_from_clip
from motorworks.train.stream_source import FromClips, sample_windows, window_steps

CONFIG = FitConfig(steps=3, batch_size=10, record_every=1)


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> ClipStream:
    """Six clips of 30 steps: 24 windows a pass, two batches of ten and a rest."""
    root = tmp_path_factory.mktemp("store")
    write_clips(root, [_clip(number) for number in range(6)])
    write_manifest(root / "clips.manifest", list(ClipStore(root).index.values()))
    views = ClipViews(Manifest(root / "clips.manifest"), root)
    return ClipStream(views=views, make=sample_windows, span=window_steps(), windows_per_clip=4, clips_per_block=3)


def test_windows_are_the_samples_that_memory_would_hold():
    clip, starts = _clip(3), np.array([0, 7, 15])
    windows, samples = sample_windows(clip, starts), samples_from_clip(clip, stride=1)
    for row, step in enumerate(starts + 4):
        at = int(np.flatnonzero(samples.step == step)[0])
        assert np.array_equal(windows["controls"][row], samples.controls[at], equal_nan=True)
        pictures = [samples.frames[index] for index in (*samples.frame_index[at, :, 0], samples.next_frame_index[at])]
        assert np.array_equal(windows["pictures"][row], pictures) and samples.controls_valid[at].sum() >= 10


def test_a_run_from_a_stream_learns_and_its_batches_go_on_from_any_cursor(stream: ClipStream, small_model):
    source = FromClips(stream)
    assert fit(small_model, source, CONFIG, threads=1).curves[-1]["step"] == 3
    whole = list(itertools.islice(source.batches(CONFIG, mine=slice(None), cursor=None), 7))
    for number in (1, 2, 3):
        cursor = json.loads(json.dumps(whole[number].cursor))
        rest = itertools.islice(source.batches(CONFIG, mine=slice(None), cursor=cursor), 3)
        for one, other in zip(whole[number + 1 :], rest, strict=False):
            assert torch.equal(one.batch.images, other.batch.images) and torch.equal(one.batch.ego, other.batch.ego)
    halves = [next(source.batches(CONFIG, mine=mine, cursor=None)).batch for mine in (slice(0, 5), slice(5, 10))]
    assert torch.equal(torch.cat([half.controls for half in halves]), whole[0].batch.controls)
    assert torch.equal(torch.cat([half.ego for half in halves]), whole[0].batch.ego)


def test_windows_of_a_rig_hold_its_sides_and_say_where_there_are_none(tmp_path):
    rigs = [replace(_clip(number), cameras=FRONT3.cameras, side_frames={"front_right": _clip(9 - number).frames}) for number in range(3)]
    write_clips(tmp_path, [*rigs, _clip(4)])
    cameras = ("front", "front_right")
    write_manifest(tmp_path / "clips.manifest", ClipStore(tmp_path).index.values(), cameras=cameras)
    views = RigViews(Manifest(tmp_path / "clips.manifest"), tmp_path)
    assert len(views) == 4 and len(views.manifest) == 7
    whole = {len(clip.side_frames): clip for clip in (views.read(number) for number in range(4))}
    stored = ClipStore(tmp_path).read(next(row.clip_id for row in ClipStore(tmp_path).rows if row.recording_id == whole[1].recording_id))
    assert np.array_equal(whole[1].side_frames["front_right"], stored.side_frames["front_right"]) and not whole[0].side_frames

    make = partial(sample_windows, num_frames=3, num_views=2)
    stream = ClipStream(views=views, make=make, span=window_steps(3), windows_per_clip=2, clips_per_block=4)
    batch = next(FromClips(stream).batches(replace(CONFIG, batch_size=8, jitter=NO_JITTER), mine=slice(None), cursor=None)).batch
    assert batch.image_row.shape == (8, 3, 2) and (batch.image_row[:, :, 0] >= 0).all()
    alone = (batch.image_row[:, :, 1] < 0).all(dim=1)
    assert alone.sum() == 2 and (batch.image_row[~alone] >= 0).all() and len(batch.images) == 6 * 7 + 2 * 4  # six pictures and the next one
    right = torch.from_numpy(CameraCodec().encode(FRONT3.cameras[2:]))[0]
    assert torch.equal(batch.cameras[batch.image_row[~alone][0, 0, 1]], right)


def test_too_few_clips_for_a_batch_are_an_error_not_an_endless_loop(stream: ClipStream, small_model):
    with pytest.raises(ValueError, match="is no full batch of 25"):
        fit(small_model, FromClips(stream), FitConfig(steps=1, batch_size=25, jitter=NO_JITTER), threads=1)


def _clip(number: int, num: int = 30) -> Clip:
    generator = np.random.default_rng(number)
    speed = np.full(num, 5.0 + number, np.float32)
    x = np.arange(num) * 0.1 * speed
    return Clip(
        recording_id=f"r{number}",
        source="town",
        body="car",
        licence="CC0-1.0",
        timestamp_us=np.arange(num, dtype=np.int64) * 100_000,
        frames=generator.integers(0, 256, (num, 64, 128, 3), dtype=np.uint8),
        motion=Motion(
            kind="measured",
            poses_world=np.stack([x, 0 * x, 0 * x], axis=1),
            speed_mps=speed,
            accel_mps2=0 * speed,
            curvature_per_m=(0.01 * generator.normal(size=num)).astype(np.float32),
        ),
    )

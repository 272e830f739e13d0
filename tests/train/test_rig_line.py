"""Several cameras and a longer past, from the town to the wheel; and that both are what a plan may hang on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rig_samples import rig_samples

from motorworks.clips.store import ClipStore, write_clips
from motorworks.datatypes.rig import FRONT3, rig_of
from motorworks.datatypes.rollout import Rollout
from motorworks.models.config import family, looking
from motorworks.models.driving_model import DrivingModel
from motorworks.models.infer import TorchInfer
from motorworks.policy.expert import Expert
from motorworks.policy.model import ModelPolicy
from motorworks.sim.rollout import clip_from_rollout, roll_out
from motorworks.sim.seeds import TRAIN_SEEDS, town_scenarios
from motorworks.sim.town import Town
from motorworks.tokens.camera import CameraCodec
from motorworks.train.batch import NO_JITTER, gather, look
from motorworks.train.evaluate import best_controls
from motorworks.train.fit_config import FitConfig, LossWeights
from motorworks.train.loop import fit
from motorworks.train.samples import concat, samples_from_clip

ACTION = LossWeights(reasoned=0, language=0, world=0)
TINY = replace(family("pico"), vision_dim=32, latents_per_frame=4, side_latents=4)
NUM_STEPS = 26


@pytest.fixture(scope="module")
def driven() -> Rollout:
    """Some steps of the expert past three cameras."""
    (rollout,) = roll_out(Town(1, rig=FRONT3, max_steps=NUM_STEPS), Expert(), town_scenarios(TRAIN_SEEDS[0], 1, num_agents=6), keep_frames=True)
    return rollout


def test_three_cameras_from_the_town_to_the_store_to_training_and_back_to_the_wheel(driven: Rollout, tmp_path: Path) -> None:
    clip = clip_from_rollout(driven)
    write_clips(tmp_path, [clip, replace(clip, recording_id="ahead", side_frames={}, cameras=())])
    store = ClipStore(tmp_path)
    parts = [
        samples_from_clip(store.read_views(row.clip_id, 3), num_frames=4, num_views=3) for row in sorted(store.rows, key=lambda row: -len(row.views))
    ]
    samples = concat(parts)
    assert samples.frame_index.shape == (2 * len(parts[0]), 4, 3) and np.array_equal(samples.cameras[0], CameraCodec().encode(FRONT3.cameras))
    row = int(np.flatnonzero(samples.step == 14)[0])
    pictures = samples.frames[samples.frame_index[row]].astype(int)
    expected = np.stack([driven.frames, *driven.side_frames.values()], axis=1)[2:15:4]
    small = expected[:, :, 16:].reshape(4, 3, 64, 2, 128, 2, 3).mean(axis=(3, 5))
    assert np.abs(pictures - small).mean() < 4  # of the codec of the store
    alone = samples.select(np.arange(len(parts[0]), len(samples)))
    assert (alone.frame_index[:, :, 1:] == -1).all() and (alone.frame_index[:, -1, 0] >= 0).all() and not alone.cameras.any()

    torch.manual_seed(0)
    model = DrivingModel(looking(TINY, num_views=3, num_frames=4))
    fit(model, samples, FitConfig(steps=2, batch_size=8), threads=1)
    policy = ModelPolicy(TorchInfer(model), name="rig")
    (drive,) = roll_out(Town(1, rig=rig_of(policy.infer.num_views), max_steps=14), policy, town_scenarios(TRAIN_SEEDS[1], 1))
    assert len(drive.speed_mps) > 5 and policy.last_inputs.latents_valid.sum() == 3 * (1 + (len(drive.speed_mps) - 2) // 4)


def test_one_camera_records_what_it_always_did() -> None:
    (rollout,) = roll_out(Town(1, max_steps=3), Expert(), town_scenarios(TRAIN_SEEDS[0], 1), keep_frames=True)
    clip = clip_from_rollout(rollout)
    assert clip.frames is not None and not clip.side_frames and clip.cameras == ()  # a clip's id hangs on its cameras


def test_fewer_frames_and_views_are_a_part_of_more() -> None:
    samples = rig_samples(8, frame=0, camera=0)
    fewer = samples.seen_as(num_frames=2, num_views=1)
    assert np.array_equal(fewer.frame_index, samples.frame_index[:, 2:, :1]) and samples.seen_as(num_frames=4, num_views=3) is samples
    with pytest.raises(ValueError, match="looks at 8 frames of 3 cameras, the samples hold 4 of 3: set num_frames"):
        fit(DrivingModel(looking(TINY, num_views=3, num_frames=8)), samples, FitConfig(steps=1, batch_size=4))
    batch = gather(samples, np.arange(8), NO_JITTER, np.random.default_rng(0), world=False)
    with pytest.raises(ValueError, match="the batch holds 4 of 3"):
        look(DrivingModel(TINY), batch)
    for item in range(8):
        for frame, view in ((0, 2), (3, 0), (3, 1)):
            at = batch.image_row[item, frame, view]
            assert np.array_equal(batch.images[at], samples.frames[samples.frame_index[item, frame, view]])
            assert np.array_equal(batch.cameras[at], samples.cameras[item, view]) and (at < 24) == (frame == 3)  # today's come first


@pytest.mark.parametrize(
    ("says", "enough", "short", "steps"), [((3, 1), (1, 3), (1, 1), 50), ((0, 0), (4, 1), (2, 1), 80)], ids=["a side camera", "1.2 s ago"]
)
def test_it_learns_from_the_one_picture_that_says_how_to_steer(says, enough, short, steps) -> None:
    train, judged = (rig_samples(num, frame=says[0], camera=says[1], seed=seed) for num, seed in ((192, 0), (96, 1)))

    def right_frac(num_frames: int, num_views: int) -> float:
        torch.manual_seed(0)
        model = DrivingModel(looking(TINY, num_views=num_views, num_frames=num_frames))
        fit(model, train, FitConfig(steps=steps, batch_size=16, lr=1e-2, jitter=NO_JITTER, losses=ACTION), threads=1)
        seen = judged.seen_as(num_frames=num_frames, num_views=num_views)
        return float((np.sign(best_controls(model, seen)[:, 10, 1]) == np.sign(judged.controls[:, 10, 1])).mean())

    assert right_frac(*enough) > 0.9 and right_frac(*short) < 0.6

"""What a smaller run sees is the beginning of what a larger one sees, and nobody sees what is held out."""

from dataclasses import fields
from itertools import pairwise

import numpy as np
import pytest
import torch

from motorworks.models.config import FAMILY, family
from motorworks.models.driving_model import DrivingModel
from motorworks.models.scaled import member, scaled
from motorworks.train.batch import NO_JITTER, gather
from motorworks.train.evaluate import action_loss
from motorworks.train.nested import compact, first_recordings, nested_by_recording
from motorworks.train.samples import Samples
from motorworks.train.scaling_run import noise, samples_per_s, size_of, train_run

RECORDINGS = [f"r{number}" for number in range(10) for _ in range(3 + number)]


def test_whole_recordings_are_held_out_and_the_rest_is_in_one_order():
    nested = nested_by_recording(RECORDINGS, held_out_frac=0.3, seed=4)
    names = np.array(RECORDINGS)
    assert not set(names[nested.train]) & set(names[nested.held_out]) and len(set(names[nested.held_out])) == 3
    assert sorted([*nested.train, *nested.held_out]) == list(range(len(RECORDINGS)))
    starts = [0, *nested.train_ends[:-1]]
    assert all(len(set(names[nested.train[start:end]])) == 1 for start, end in zip(starts, nested.train_ends, strict=True))
    assert nested.train_ends[-1] == len(nested.train) and nested.held_out_ends[-1] == len(nested.held_out)
    again, other = (nested_by_recording(RECORDINGS, held_out_frac=0.3, seed=seed) for seed in (4, 5))
    assert np.array_equal(again.train, nested.train) and not np.array_equal(other.train, nested.train)


def test_the_amount_is_that_of_the_nearest_whole_recordings():
    assert [first_recordings([5, 9, 20], wanted) for wanted in (1, 6, 8, 14, 99)] == [5, 5, 9, 9, 20]


@pytest.mark.parametrize(("names", "frac", "said"), [(["a", "b", "c"], 0.2, "there are 3 recordings"), (RECORDINGS, 0.0, "held_out_frac")])
def test_too_few_recordings_are_refused(names, frac, said):
    with pytest.raises(ValueError, match=said):
        nested_by_recording(names, held_out_frac=frac, seed=0)


def test_compact_samples_show_the_same_pictures():
    samples = noise(12)
    samples.frame_index[3, 0, 0] = -1
    samples.next_frame_index[7], samples.later_frame_index[7] = 10, 11  # pictures that no chosen sample looks at today
    rows = np.array([7, 3, 4])
    small = compact(samples, rows)
    assert len(small.frames) == len(np.unique(samples.frame_index[rows])) - 1
    for name in (item.name for item in fields(Samples)):
        if name not in ("frames", "frame_index", "next_frame_index", "later_frame_index", "weight"):
            assert np.array_equal(getattr(small, name), getattr(samples, name)[rows], equal_nan=True), name
    assert (small.next_frame_index == -1).all() and (small.later_frame_index == -1).all()
    batches = [gather(of, index, NO_JITTER, np.random.default_rng(0), world=False) for of, index in ((samples, rows), (small, np.arange(3)))]
    assert torch.equal(batches[0].images, batches[1].images) and torch.equal(batches[0].image_row, batches[1].image_row)


def test_a_run_repeats_itself_and_its_loss_is_a_mean_over_recordings():
    samples, ends = noise(48), np.array([10, 16])
    train, held_out = samples.select(np.arange(32)), samples.select(np.arange(32, 48))
    first, again = (train_run(16, train, held_out, ends, passes=2, seed=3) for _ in range(2))
    assert first.facts == again.facts and first.facts["steps"] == 2
    assert all(torch.equal(a, b) for a, b in zip(first.model.state_dict().values(), again.model.state_dict().values(), strict=True))
    each = action_loss(first.model, held_out, ends)
    assert first.facts["loss"] == pytest.approx((10 * each[0] + 6 * each[1]) / 16)
    assert action_loss(first.model, held_out, ends, batch_size=4) == pytest.approx(each, rel=1e-5)
    assert each[0] == pytest.approx(action_loss(first.model, held_out.select(np.arange(10)), np.array([10]))[0], rel=1e-6)


def test_a_run_may_have_another_batch_and_train_in_bf16_and_is_judged_in_fp32():
    samples, ends = noise(48), np.array([10, 16])
    train, held_out = samples.select(np.arange(32)), samples.select(np.arange(32, 48))
    plain, low = (train_run(16, train, held_out, ends, passes=2, seed=3, batch_size=16, precision=precision) for precision in ("fp32", "bf16"))
    assert plain.facts["steps"] == 4 and plain.facts["batch_size"] == 16
    assert plain.facts["loss"] != low.facts["loss"] == pytest.approx(plain.facts["loss"], rel=0.05)
    each = action_loss(low.model, held_out, ends)
    assert low.facts["loss"] == pytest.approx((10 * each[0] + 6 * each[1]) / 16)
    assert samples_per_s(16, num_steps=1, threads=1, batch_size=4, precision="bf16") > 0


def test_sizes_are_those_of_the_model_and_grow_with_the_width():
    sizes = [size_of(width) for width in (16, 32, 64, 128, 192)]
    assert all(a["params"] < b["params"] and a["flops_per_sample"] < b["flops_per_sample"] for a, b in pairwise(sizes))
    assert 20_000 < sizes[0]["params"] < 30_000 and 2.5e6 < sizes[-1]["params"] < 3.5e6
    model = DrivingModel(scaled(32).config)
    model.vision.requires_grad_(False)
    idle = sum(value.numel() for part in (model.world, model.road, model.speak) for value in part.parameters())
    assert sizes[1]["params"] == sum(value.numel() for value in model.parameters()) - idle


@pytest.mark.parametrize("width", [8, 20, 0])
def test_a_width_that_makes_no_member_is_refused(width):
    with pytest.raises(ValueError, match="multiple of 8"):
        scaled(width)


@pytest.mark.parametrize("name", FAMILY)
def test_named_members_have_the_rate_of_their_width(name: str):
    one = member(name)
    assert one.config == family(name) and one.lr * one.config.dim == pytest.approx(scaled(64).lr * 64) and one.batch_size == scaled(64).batch_size


def test_wider_members_are_deeper_and_learn_slower():
    members = [scaled(width) for width in (16, 64, 256, 512)]
    assert [member.config.depth for member in members] == [2, 2, 4, family("small").depth]
    assert all(a.lr > b.lr for a, b in pairwise(members))
    assert all(scaled(width).config.dim // scaled(width).config.heads % 2 == 0 for width in range(16, 520, 8))

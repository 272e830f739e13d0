"""The loop: it learns, repeats itself bit for bit, and stops at the first NaN."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from steering_samples import steering_samples

from motorworks.models.config import family
from motorworks.models.driving_model import DrivingModel
from motorworks.train.batch import NO_JITTER, DrawOrder, gather
from motorworks.train.checkpoint import load, save
from motorworks.train.fit_config import FitConfig, Jitter, LossWeights
from motorworks.train.loop import fit
from motorworks.train.optim import BatchedMuon, optimisers, orthogonal


def _model(seed: int = 0) -> DrivingModel:
    torch.manual_seed(seed)
    return DrivingModel(family("pico"))


def test_it_learns_what_the_image_says():
    result = fit(_model(), steering_samples(), FitConfig(steps=40, batch_size=32, lr=3e-3, jitter=NO_JITTER, record_every=5), threads=1)
    first, last = result.curves[0], result.curves[-1]
    assert last["action"] < 0.5 * first["action"] and last["language"] < 0.2 * first["language"]
    assert last["step"] == 40 and result.num_samples == 40 * 32
    assert result.busy_s + result.data_s <= result.wall_s and result.flops_per_token > 0


def test_same_seed_same_bits_and_another_seed_other_bits():
    def weights(seed: int) -> list[torch.Tensor]:
        model = _model()
        fit(model, steering_samples(), FitConfig(steps=4, batch_size=8, seed=seed), threads=1)
        return list(model.parameters())

    one, again, other = weights(0), weights(0), weights(1)
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_nan_raises_and_names_step_and_part():
    samples = steering_samples()
    controls = samples.controls.copy()
    controls[5] = np.nan
    model = _model()
    before = [value.clone() for value in model.parameters()]
    with pytest.raises(FloatingPointError, match=r"step 0: .*action=nan"):
        fit(model, replace(samples, controls=controls), FitConfig(steps=3, batch_size=32), threads=1)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_short_sequence_bf16_and_blind_samples_train_too():
    samples = steering_samples()
    blind = replace(samples, frames=samples.frames[:0], frame_index=np.full((32, 2, 1), -1), next_frame_index=np.full(32, -1))
    weights = LossWeights(reasoned=0, language=0, world=0)
    result = fit(_model(), blind, FitConfig(steps=2, batch_size=8, losses=weights, precision="bf16"), threads=1)
    assert "action" in result.curves[-1] and "world" not in result.curves[-1] and "language" not in result.curves[-1]


def test_thoughts_may_be_taught_in_some_steps_only():
    config = FitConfig(steps=4, batch_size=8, record_every=1)
    always, seldom = (fit(_model(), steering_samples(), replace(config, think_every=every), threads=1) for every in (1, 3))
    assert all("language" in row for row in always.curves)
    assert ["language" in row for row in seldom.curves] == [True, False, False, True] and "action" in seldom.curves[1]
    assert seldom.flops_per_token * seldom.tokens_per_s * seldom.wall_s < always.flops_per_token * always.tokens_per_s * always.wall_s


def test_every_parameter_has_one_optimiser_and_muon_the_matrices_inside_blocks():
    model = _model()
    adam, muon = optimisers(model, lr=1e-3, weight_decay=0.1)
    taken = [{id(value) for group in one.param_groups for value in group["params"]} for one in (adam, muon)]
    assert taken[0].isdisjoint(taken[1]) and taken[0] | taken[1] == {id(value) for value in model.parameters()}
    inner = {name for name, value in model.named_parameters() if id(value) in taken[1]}
    assert "vision.blocks.0.attention.query.weight" in inner and all(name.startswith(("vision.", "backbone.")) for name in inner)
    assert len(optimisers(model, lr=1e-3, weight_decay=0.1, muon=False)) == 1


def test_matrices_taken_together_move_as_each_alone():
    torch.manual_seed(0)
    shapes = [(8, 8), (8, 8), (16, 8), (8, 16)]
    values = [torch.randn(shape, requires_grad=True) for shape in shapes]
    others = [value.detach().clone().requires_grad_() for value in values]
    settings = {"lr": 0.02, "weight_decay": 0.1}
    ours, theirs = BatchedMuon(values, **settings), torch.optim.Muon(others, **settings, adjust_lr_fn="match_rms_adamw")
    for _ in range(3):
        for value, other in zip(values, others, strict=True):
            value.grad = torch.randn_like(value)
            other.grad = value.grad.clone()
        ours.step()
        theirs.step()
    for value, other in zip(values, others, strict=True):
        assert torch.allclose(value, other, atol=2e-3)  # theirs is rounded to bf16 on the way; a step is about 0.004 an entry
        assert not torch.allclose(value, other, atol=1e-9)
    x = orthogonal(torch.randn(3, 6, 10), steps=8, coefficients=(2.0, -1.5, 0.5), eps=1e-7)  # coefficients that converge
    assert torch.allclose(x @ x.mT, torch.eye(6).expand(3, 6, 6), atol=1e-3)


def test_draws_follow_the_weights():
    equal = DrawOrder(np.ones(50), 10, seed=3)
    assert sorted(np.concatenate([next(equal) for _ in range(5)]).tolist()) == list(range(50))
    weight = np.array([0.0, 1.0, 3.0, 4.0])
    order = DrawOrder(weight, 8, seed=0)
    counts = np.bincount(np.concatenate([next(order) for _ in range(200)]), minlength=4)
    assert np.allclose(counts / counts.sum(), weight / 8, atol=0.02)
    with pytest.raises(ValueError, match="weight"):
        next(DrawOrder(np.zeros(0), 8, seed=0))


def test_gather_points_at_the_right_pictures():
    samples, index = steering_samples(), np.array([2, 9, 30])
    batch = gather(samples, index, NO_JITTER, np.random.default_rng(0))
    assert batch.image_row[0, 0, 0] == -1
    for item, row in enumerate(index):
        assert np.array_equal(batch.images[batch.image_row[item, 1, 0]], samples.frames[row])
        assert np.array_equal(batch.images[batch.next_row[item]], samples.frames[row + 5])
    assert np.array_equal(batch.images[batch.image_row[2, 0, 0]], samples.frames[26])
    dark = gather(samples, index, Jitter(image_dropout_frac=1.0), np.random.default_rng(0), world=False)
    assert len(dark.images) == 0 and (dark.image_row == -1).all()


def test_checkpoint_round_trip_and_a_torn_file(tmp_path):
    model, path = _model(), tmp_path / "a" / "model.safetensors"
    save(path, model)
    again, config = load(path)
    assert config == model.config and [file.name for file in path.parent.iterdir()] == ["model.safetensors"]
    images = torch.randint(0, 256, (2, 64, 128, 3), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(model.eval().see(images), again.see(images))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="is not a whole checkpoint"):
        load(path)

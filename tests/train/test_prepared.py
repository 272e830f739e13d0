"""What is only for the time of a fit: kept activations, attention, compiled parts. It changes how a model is run, not what it is."""

import copy
from dataclasses import replace
from functools import partial

import pytest
import torch
from steering_samples import steering_samples
from torch import nn
from torch._dynamo.utils import counters

from motorworks.train.clock import RunClock
from motorworks.train.feed import InMemory
from motorworks.train.fit_config import FitConfig, LossWeights
from motorworks.train.learner import Learner
from motorworks.train.loop import fit
from motorworks.train.prepared import plain_attention, prepared
from motorworks.train.ranks import Ranks

CONFIG = FitConfig(steps=4, batch_size=6, losses=LossWeights(action=1.0, reasoned=0.3, language=0.3, world=0.1), muon=False, record_every=1)


def gradient(block: nn.Module, x: torch.Tensor) -> torch.Tensor:
    block.zero_grad()
    block(x).square().sum().backward()
    return block.mlp[0].weight.grad.clone()


def test_recomputing_changes_no_bit_and_leaves_no_trace(small_model):
    block, x = small_model.vision.blocks[0], torch.randn(2, 5, small_model.config.vision_dim)
    kept: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda value: kept.append(value.numel()) or value, lambda value: value):
        plain = gradient(block, x)
        all_kept, kept[:] = sum(kept), []
        with prepared(small_model, replace(CONFIG, recompute=True)):
            again = gradient(block, x)
        assert sum(kept) < 0.2 * all_kept
    assert torch.equal(plain, again) and "forward" not in vars(block)


def losses(model: nn.Module, config: FitConfig) -> list[float]:
    return [row["loss"] for row in fit(model, steering_samples(), config, threads=1, ahead=0).curves]


def test_plain_attention_learns_the_same_and_is_for_short_sequences_in_bf16_on_a_cpu(small_model):
    config, seen = replace(CONFIG, precision="bf16"), []
    learner = Learner(copy.deepcopy(small_model), config, Ranks.join(None, "cpu"), "cpu")
    batch = next(InMemory(steering_samples()).batches(config, mine=slice(None), cursor=None)).batch
    fused = learner.gradients(batch, 0, RunClock())
    with prepared(small_model, config):
        seen.append(torch.backends.cuda.flash_sdp_enabled())  # the CPU's kernel too listens to it
        plain = learner.gradients(batch, 0, RunClock())
    assert seen == [False] and torch.backends.cuda.flash_sdp_enabled()
    assert plain["loss"] == pytest.approx(fused["loss"], rel=5e-3) and plain["grad_norm"] == pytest.approx(fused["grad_norm"], rel=2e-2)
    assert plain_attention(small_model.config, config, "cpu")
    assert not plain_attention(small_model.config, CONFIG, "cpu") and not plain_attention(small_model.config, config, "cuda")
    assert not plain_attention(replace(small_model.config, latents_per_frame=128), config, "cpu")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:DeprecationWarning", "ignore:The .grad attribute")  # raised inside torch's compiler
def test_compiled_it_learns_the_same_by_three_programs_for_any_number_of_images(small_model, monkeypatch):
    plain = losses(copy.deepcopy(small_model), CONFIG)
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))  # all of it but the C++ compiler
    counters.clear()
    assert losses(small_model, replace(CONFIG, compile=True, recompute=True)) == pytest.approx(plain, rel=1e-5)
    assert counters["stats"]["unique_graphs"] == 3, "the eye with and without gradients, and the decoder"
    assert "forward" not in vars(small_model.vision) and "forward" not in vars(small_model.backbone)

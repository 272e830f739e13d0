"""DrivingModel: what may influence what, and that every way of asking gives the same answer."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from motorworks.models.action_head import knot_matrix
from motorworks.models.config import FAMILY, ModelConfig, family
from motorworks.models.driving_model import DrivingModel, ModelInput, num_params
from motorworks.models.graphs import PlanGraph, ThinkGraph, VisionGraph
from motorworks.models.infer import TorchInfer
from motorworks.tokens.ego import NUM_EGO
from motorworks.tokens.image import HEIGHT_PX, WIDTH_PX
from motorworks.tokens.scene import NUM_ROAD
from motorworks.tokens.text import NUM_INSTRUCTION, NUM_THOUGHT, VOCABULARY


@pytest.fixture(scope="module")
def model() -> DrivingModel:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return DrivingModel(family("pico")).eval()


def _input(num: int = 3) -> ModelInput:
    generator = torch.Generator().manual_seed(1)
    return ModelInput(
        images=torch.randint(0, 256, (num, 2, 64, 128, 3), generator=generator, dtype=torch.uint8),
        images_valid=torch.ones(num, 2, dtype=torch.bool),
        ego=torch.randn(num, NUM_EGO, generator=generator),
        instruction_ids=torch.randint(0, 40, (num, 8), generator=generator),
        thought_ids=torch.randint(0, 40, (num, 16), generator=generator),
    )


@torch.no_grad()
def test_a_thought_changes_the_reasoned_plan_and_never_the_fast_one(model):
    batch = _input()
    words = batch.thought_ids.clone()
    words[:, 5] = (words[:, 5] + 1) % 40
    one, other = model(batch), model(replace(batch, thought_ids=words))
    assert torch.allclose(one.controls, other.controls, atol=1e-6) and torch.allclose(one.logits, other.logits, atol=1e-6)
    assert torch.allclose(one.thought_logits[:, :5], other.thought_logits[:, :5], atol=1e-6)  # no word sees a later one
    assert not torch.allclose(one.thought_logits[:, 5:], other.thought_logits[:, 5:], atol=1e-4)
    assert not torch.allclose(one.reasoned_controls, other.reasoned_controls, atol=1e-5)


@torch.no_grad()
def test_batch_equals_stacked_singles(model):
    batch = _input()
    whole = model(batch)
    for item in range(3):
        single = model(ModelInput(**{name: value[item : item + 1] for name, value in vars(batch).items() if value is not None}))
        for name in ("controls", "logits", "next_latents", "thought_logits", "reasoned_controls"):
            assert torch.allclose(getattr(whole, name)[item], getattr(single, name)[0], atol=1e-5), name


@torch.no_grad()
def test_a_missing_image_is_not_looked_at(model):
    batch = _input()
    valid = torch.tensor([[False, True]] * 3)
    other = batch.images.clone()
    other[:, 0] = 255 - other[:, 0]
    hidden, changed = model(replace(batch, images_valid=valid)), model(replace(batch, images_valid=valid, images=other))
    assert torch.equal(hidden.controls, changed.controls)
    assert not torch.allclose(model(batch).controls, hidden.controls, atol=1e-5)
    assert not torch.allclose(model(batch).controls, model(replace(batch, images=other)).controls, atol=1e-6)


@torch.no_grad()
def test_infer_and_graphs_agree_with_the_full_forward(model):
    batch = _input()
    full = model(batch)
    infer = TorchInfer(model)
    latents = np.stack([infer.see(batch.images[:, frame].numpy()) for frame in range(2)], axis=1)
    arguments = (latents, batch.images_valid.numpy(), batch.ego.numpy(), batch.instruction_ids.numpy())
    controls, logits = infer.plan(*arguments)
    assert np.allclose(controls, full.controls, atol=1e-5) and np.allclose(logits, full.logits, atol=1e-5)
    assert np.allclose(infer.think(*arguments, batch.thought_ids.numpy()), full.thought_logits, atol=1e-5)
    assert np.allclose(infer.foresee(*arguments), full.next_latents, atol=1e-5)
    tensors = tuple(torch.from_numpy(value) for value in arguments)
    assert np.allclose(VisionGraph(model)(batch.images[:, 1]), latents[:, 1], atol=1e-5)
    assert np.allclose(PlanGraph(model)(*tensors)[0], controls, atol=1e-6)
    assert np.allclose(ThinkGraph(model)(*tensors, batch.thought_ids), full.thought_logits, atol=1e-5)


def test_no_gradient_reaches_todays_latents_through_the_world_head(model):
    latents = torch.randn(2, 8, model.config.vision_dim, requires_grad=True)
    state = torch.randn(2, model.config.dim, requires_grad=True)
    torch.nn.init.normal_(model.world.mlp[-1].weight, std=0.02)
    model.world(latents, state, torch.zeros(2, 64, 2)).sum().backward()
    torch.nn.init.zeros_(model.world.mlp[-1].weight)
    assert latents.grad is None and state.grad.abs().sum() > 0


def test_the_family_grows_and_the_student_is_a_quarter():
    sizes = [num_params(family(name)) for name in FAMILY]
    assert sizes == sorted(sizes) and sizes[-1] > 70e9
    assert sizes[0] <= sizes[1] / 4
    assert num_params(family("pico")) == sum(value.numel() for value in DrivingModel(family("pico")).parameters())


def test_a_wrong_config_names_the_field():
    with pytest.raises(ValueError, match="heads must divide"):
        replace(family("pico"), heads=3)
    with pytest.raises(ValueError, match="smollm2-135m needs"):
        replace(family("pico"), backbone="smollm2-135m")
    with pytest.raises(ValueError, match="giant"):
        family("giant")
    assert isinstance(family("base"), ModelConfig)


@pytest.mark.parametrize("name", FAMILY)
def test_the_family_fits_what_the_codecs_deliver(name):
    config = family(name)
    expects = (config.height_px, config.width_px, config.num_ego, config.num_instruction, config.num_thought, config.num_vocab, config.num_road)
    assert expects == (HEIGHT_PX, WIDTH_PX, NUM_EGO, NUM_INSTRUCTION, NUM_THOUGHT, len(VOCABULARY), NUM_ROAD)


def test_knots_interpolate_lines_exactly():
    times_s = family("nano").knot_times_s
    matrix = knot_matrix(times_s)
    assert matrix.shape == (len(times_s), 64)
    assert np.allclose(matrix.sum(axis=0), 1)
    assert np.allclose((2 - 0.3 * np.array(times_s)) @ matrix, 2 - 0.3 * np.arange(64) * 0.1, atol=1e-5)


def test_what_all_images_share_does_not_drown_what_differs():
    torch.manual_seed(0)
    model = DrivingModel(family("pico")).train()
    generator = torch.Generator().manual_seed(2)
    images = 120.0 + 4 * torch.randn(32, 64, 128, 3, generator=generator)  # nearly the same grey everywhere
    assert model.see(images).std(dim=0).mean() > 0.5

"""The planner's counts beside the modules themselves."""

from dataclasses import replace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import Dinov2Config

from motorworks.datatypes import trajectory
from motorworks.models.config import FAMILY, family, looking
from motorworks.models.driving_model import DrivingModel, ModelInput
from motorworks.models.pretrained import with_eye
from motorworks.train.planner import shapes

AROUND = looking(family("pico"), num_views=3, num_frames=4)


@pytest.mark.parametrize("config", [*map(family, FAMILY), AROUND], ids=[*FAMILY, "around"])
def test_every_member_has_exactly_the_weights_that_the_formulas_say(config):
    with torch.device("meta"):
        model = DrivingModel(config, pretrained=False)
    ours = sorted(weight.shape for weight in shapes.weights(config) for _ in range(weight.count))
    assert ours == sorted(tuple(value.shape) for value in model.parameters())
    assert shapes.num_params(config) == sum(value.numel() for value in model.parameters())
    assert shapes.NUM_STEPS == trajectory.NUM_STEPS


@pytest.mark.parametrize(("config", "thought"), [(family("pico"), True), (family("pico"), False), (family("nano"), True), (AROUND, True)])
def test_flops_are_those_that_torch_counts(config, thought):
    pictures = config.num_frames * config.num_views
    model = DrivingModel(config)
    images = torch.zeros(2, config.height_px, config.width_px, 3)
    inputs = {
        "ego": torch.zeros(2, config.num_ego),
        "instruction_ids": torch.ones(2, config.num_instruction, dtype=torch.long),
        "images_valid": torch.ones(2, pictures, dtype=torch.bool),
        "thought_ids": torch.ones(2, config.num_thought, dtype=torch.long) if thought else None,
        "controls": torch.zeros(2, shapes.NUM_STEPS, 2),
    }
    with FlopCounterMode(display=False) as eye, sdpa_kernel(SDPBackend.MATH):  # the CPU's fused attention is not counted
        seen = model.see(images, torch.ones(2, config.num_camera))
    with FlopCounterMode(display=False) as rest, sdpa_kernel(SDPBackend.MATH):
        out = model(ModelInput(latents=seen[:, None].expand(-1, pictures, -1, -1), **inputs))
    flops = shapes.forward_flops(config, thought=thought, causal=False)
    assert eye.get_total_flops() == 2 * flops["eye"]
    assert rest.get_total_flops() == 2 * (flops["decoder"] + flops["ends"])
    parts = [out.controls, out.logits, out.next_latents, out.road, out.thought_logits, out.reasoned_controls, out.reasoned_logits]
    with FlopCounterMode(display=False) as backward:
        sum(part.sum() for part in parts if part is not None).backward()
    total = eye.get_total_flops() + rest.get_total_flops() + backward.get_total_flops()
    ours = shapes.train_flops(config, thought=thought, world=False, causal=False)
    ours -= (3 * (config.num_views - 1) + pictures - config.num_views) * flops["eye"]  # one image was seen
    # what the rule of three counts too much: gradients of what has none (pixels, rays, ego motion, controls, the matrix of knots)
    stem = config.height_px * config.width_px / 16 * 9 * 12 * config.stem_widths[1]
    stem += config.grid[0] * config.grid[1] * (6 * config.vision_dim + 2 * 9) if config.calibrated else 0
    first = config.num_ego * config.dim + 2 * config.foresight_steps * config.vision_dim
    knots = (1 + thought) * config.num_proposals * 2 * config.num_knots * shapes.NUM_STEPS
    assert total == 2 * (ours - 2 * (stem + first + knots))


@pytest.mark.parametrize("frozen", [True, False])
def test_flops_of_a_tower_are_those_that_torch_counts(tmp_path, frozen):
    Dinov2Config(hidden_size=48, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=2, image_size=56, patch_size=14).save_pretrained(tmp_path)
    config = with_eye(family("pico"), tmp_path, patches=(3, 6), frozen=frozen)
    model, images = DrivingModel(config), torch.zeros(2, config.height_px, config.width_px, 3)
    with FlopCounterMode(display=False) as counted, sdpa_kernel(SDPBackend.MATH):
        seen = model.see(images, torch.ones(2, config.num_camera))
    assert counted.get_total_flops() == pytest.approx(2 * shapes.forward_flops(config)["eye"], rel=1e-3)
    with FlopCounterMode(display=False) as backward:
        seen.sum().backward()
    tower = 2 * shapes.tower(config)[0]
    reads = shapes.forward_flops(config)["eye"] - tower
    pixels = 2 * config.num_patches * 3 * 14**2 * 48  # have no gradient
    assert backward.get_total_flops() == pytest.approx(2 * (2 * reads + (0 if frozen else 2 * tower - pixels)), rel=1e-3)
    one = shapes.train_flops(config, world=False) - 3 * sum(shapes.forward_flops(config)[part] for part in ("decoder", "ends"))
    assert one == pytest.approx(4 * reads + (2 if frozen else 4) * tower)  # now and one older picture


def test_what_a_rank_keeps_adds_up():
    config = replace(family("1b"), depth=2)
    assert shapes.params_per_rank(config, shard=1, tp=1) == shapes.num_params(config)
    matrices = 2 * (2 * 2048**2 + 2 * 1024 * 2048 + 3 * 5632 * 2048)  # of two decoder blocks
    hidden = 14 * (2 * 4 * 768**2 + 4 * 768)  # of the eye's MLPs; its attention and all else is whole on each rank of a tensor-parallel group
    uncut = shapes.num_params(config) - matrices - hidden
    assert shapes.num_params(config, tp=4) == uncut + (matrices + hidden) // 4
    assert shapes.params_per_rank(config, shard=16, tp=4) >= shapes.num_params(config, tp=4) / 16
    assert shapes.params_per_rank(config, shard=16, tp=4) == pytest.approx(shapes.num_params(config, tp=4) / 16, rel=0.03)

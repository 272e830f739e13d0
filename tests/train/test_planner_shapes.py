"""The planner's counts beside the modules themselves."""

from dataclasses import replace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from motorworks.datatypes import trajectory
from motorworks.models.config import FAMILY, family
from motorworks.models.driving_model import DrivingModel, ModelInput
from motorworks.train.planner import shapes


@pytest.mark.parametrize("name", FAMILY)
def test_every_member_has_exactly_the_weights_that_the_formulas_say(name):
    config = family(name)
    with torch.device("meta"):
        model = DrivingModel(config, pretrained=False)
    ours = sorted(weight.shape for weight in shapes.weights(config) for _ in range(weight.count))
    assert ours == sorted(tuple(value.shape) for value in model.parameters())
    assert shapes.num_params(config) == sum(value.numel() for value in model.parameters())
    assert shapes.NUM_STEPS == trajectory.NUM_STEPS


@pytest.mark.parametrize(("name", "thought"), [("pico", True), ("pico", False), ("nano", True)])
def test_flops_are_those_that_torch_counts(name, thought):
    config = family(name)
    model = DrivingModel(config)
    images = torch.zeros(2, config.height_px, config.width_px, 3)
    inputs = {
        "ego": torch.zeros(2, config.num_ego),
        "instruction_ids": torch.ones(2, config.num_instruction, dtype=torch.long),
        "images_valid": torch.ones(2, config.num_frames, dtype=torch.bool),
        "thought_ids": torch.ones(2, config.num_thought, dtype=torch.long) if thought else None,
        "controls": torch.zeros(2, shapes.NUM_STEPS, 2),
    }
    with FlopCounterMode(display=False) as eye, sdpa_kernel(SDPBackend.MATH):  # the CPU's fused attention is not counted
        seen = model.see(images)
    with FlopCounterMode(display=False) as rest, sdpa_kernel(SDPBackend.MATH):
        out = model(ModelInput(latents=seen[:, None].expand(-1, config.num_frames, -1, -1), **inputs))
    flops = shapes.forward_flops(config, thought=thought, causal=False)
    assert eye.get_total_flops() == 2 * flops["eye"]
    assert rest.get_total_flops() == 2 * (flops["decoder"] + flops["ends"])
    parts = [out.controls, out.logits, out.next_latents, out.road, out.thought_logits, out.reasoned_controls, out.reasoned_logits]
    with FlopCounterMode(display=False) as backward:
        sum(part.sum() for part in parts if part is not None).backward()
    total = eye.get_total_flops() + rest.get_total_flops() + backward.get_total_flops()
    ours = shapes.train_flops(config, thought=thought, world=False, causal=False) - flops["eye"]
    # what the rule of three counts too much: gradients of what has none (pixels, ego motion, controls, the matrix of knots)
    stem = config.height_px * config.width_px / 16 * 9 * 12 * config.stem_widths[1]
    first = config.num_ego * config.dim + 2 * config.foresight_steps * config.vision_dim
    knots = (1 + thought) * config.num_proposals * 2 * config.num_knots * shapes.NUM_STEPS
    assert total == 2 * (ours - 2 * (stem + first + knots))


def test_what_a_rank_keeps_adds_up():
    config = replace(family("1b"), depth=2)
    assert shapes.params_per_rank(config, shard=1, tp=1) == shapes.num_params(config)
    assert shapes.params_per_rank(config, shard=16, tp=4) >= shapes.num_params(config) / 64
    assert shapes.params_per_rank(config, shard=16, tp=4) == pytest.approx(shapes.num_params(config) / 64, rel=0.03)  # norms are kept whole by tp

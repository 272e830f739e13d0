"""A member's weights and arithmetic from its config alone, without torch: every weight by its shape, every product by its formula.

Parts: `eye` (stem, ViT, resampler), `decoder` (the blocks) and `ends` (everything between and after them).
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from motorworks.models.config import ModelConfig

NUM_STEPS = 64  # of a trajectory (datatypes.trajectory; a test keeps them in step)
COLUMN, ROW, WHOLE = "column", "row", "whole"  # how tensor parallelism cuts a weight: outputs, inputs, not at all


@dataclass(frozen=True, kw_only=True)
class Weight:
    """`count` tensors of one shape in one part of the member."""

    part: str
    shape: tuple[int, ...]
    count: int = 1
    cut: str = WHOLE

    @property
    def params(self) -> int:
        """Of all of them."""
        return self.count * math.prod(self.shape)

    def params_per_rank(self, *, shard: int, tp: int) -> int:
        """On the fullest rank: FSDP2 cuts the first axis into equal pieces of which the last may be short, after tensor parallelism."""
        first, rest = self.shape[0], math.prod(self.shape[1:])
        if self.part != "decoder":
            return self.count * -(-first // (shard * tp)) * rest
        first = first // tp if self.cut == COLUMN else first
        rest = rest // tp if self.cut == ROW else rest
        return self.count * -(-first // shard) * rest


@cache
def weights(config: ModelConfig) -> tuple[Weight, ...]:
    """All weights of a member."""
    return (*_eye(config), *_decoder(config), *_ends(config))


def num_params(config: ModelConfig, part: str = "") -> int:
    """Parameters of the member, or of one part; equal to those of the module (a test)."""
    return sum(weight.params for weight in weights(config) if part in ("", weight.part))


def block_params(config: ModelConfig, *, tp: int = 1) -> int:
    """Parameters of one decoder block on a rank of a tensor-parallel group."""
    blocks = (weight for weight in weights(config) if weight.part == "decoder")
    return sum(weight.params // (1 if weight.cut == WHOLE else tp) for weight in blocks) // config.depth


def params_per_rank(config: ModelConfig, *, shard: int, tp: int) -> int:
    """Parameters that the fullest rank keeps."""
    return sum(weight.params_per_rank(shard=shard, tp=tp) for weight in weights(config))


def _linear(part: str, num_in: int, num_out: int, count: int = 1) -> list[Weight]:
    return [Weight(part=part, shape=(num_out, num_in), count=count), Weight(part=part, shape=(num_out,), count=count)]


def _eye(config: ModelConfig) -> list[Weight]:
    dim, ratio, (rows, columns) = config.vision_dim, config.vision_mlp_ratio, config.grid
    found = [Weight(part="eye", shape=shape) for shape in ((rows * columns, dim), (config.latents_per_frame, dim))]
    for before, after in pairwise(config.stem_widths):
        found += [Weight(part="eye", shape=(after, before, 3, 3)), Weight(part="eye", shape=(after,), count=3)]  # bias and norm
    found += _blocks("eye", dim, ratio, config.vision_depth) + _blocks("eye", dim, ratio, config.resampler_depth, cross=True)
    if config.calibrated:
        found += _linear("eye", 6, dim) + _linear("eye", dim, dim)
    return found


def _blocks(part: str, dim: int, ratio: int, count: int, *, cross: bool = False) -> list[Weight]:
    found = [Weight(part=part, shape=(dim,), count=count * (6 if cross else 4))]
    for num_in, num_out in ((dim, dim), (dim, 2 * dim), (dim, dim), (dim, ratio * dim), (ratio * dim, dim)):
        found += _linear(part, num_in, num_out, count)
    return found


def _decoder(config: ModelConfig) -> list[Weight]:
    dim, keys, wide, depth = config.dim, kv_dim(config), config.mlp_dim, config.depth
    return [
        Weight(part="decoder", shape=(dim,), count=2 * depth),
        Weight(part="decoder", shape=(dim, dim), count=depth, cut=COLUMN),
        Weight(part="decoder", shape=(keys, dim), count=2 * depth, cut=COLUMN),
        Weight(part="decoder", shape=(dim, dim), count=depth, cut=ROW),
        Weight(part="decoder", shape=(wide, dim), count=2 * depth, cut=COLUMN),
        Weight(part="decoder", shape=(dim, wide), count=depth, cut=ROW),
    ]


def _ends(config: ModelConfig) -> list[Weight]:
    dim, channel, latents = config.dim, config.vision_dim, config.latents_per_frame
    alone = (
        (config.num_frames, latents, channel),
        (config.num_frames, latents, dim),
        (config.num_vocab, dim),
        (2, dim),
        (dim,),
        (latents, channel),
    )
    found = [Weight(part="ends", shape=shape) for shape in alone]
    for num_in, num_out in _end_linears(config):
        found += _linear("ends", num_in, num_out)
    if config.num_views > 1:
        found += [Weight(part="ends", shape=shape) for shape in ((config.num_frames, config.side_latents, dim), (config.side_latents, channel))]
        found += _blocks("ends", channel, config.vision_mlp_ratio, 1, cross=True)
    return found


def _end_linears(config: ModelConfig) -> Sequence[tuple[int, int]]:
    dim, channel = config.dim, config.vision_dim
    return (
        (channel, dim),  # project
        (config.num_ego, dim),
        (dim, dim),
        (dim, config.num_vocab),  # speak
        (dim, 2 * dim),  # action
        (2 * dim, config.num_proposals * (2 * config.num_knots + 1)),
        (dim, channel),  # world
        (2 * config.foresight_steps, channel),
        (2 * channel, 2 * channel),
        (2 * channel, channel),
        (dim, config.num_road),
    )


def kv_dim(config: ModelConfig) -> int:
    """Width of keys, and of values."""
    return config.dim // config.heads * config.kv_heads


def num_tokens(config: ModelConfig, *, thought: bool = True) -> int:
    """Decoder positions of a sample; the head of action tokens says each plan in some more."""
    said = 2 * config.num_knots - 1 if "tokens" in config.action_heads else 0
    return (config.num_full_tokens + said if thought else config.num_plan_tokens) + said


@cache
def tower(config: ModelConfig) -> tuple[float, int]:
    """Multiply-adds of a Hugging Face vision tower over one image (its patches, then per block four projections, an MLP and attention), and its
    width; zeros with an eye of our own. Pooling heads, which some towers have and we do not read, are left out."""
    if config.eye == "own":
        return 0.0, 0
    from transformers import AutoConfig

    given = json.loads(config.eye_json)
    theirs = AutoConfig.for_model(given.pop("model_type"), **given)
    wide, patches = theirs.hidden_size, config.num_patches
    hidden = getattr(theirs, "intermediate_size", None) or round(theirs.mlp_ratio * wide)
    others = (0 if theirs.model_type.startswith("siglip") else 1) + getattr(theirs, "num_register_tokens", 0)  # class and register tokens
    tokens = patches + others
    block = tokens * (4 * wide + 2 * hidden) * wide + 2 * tokens**2 * wide
    return float(patches * 3 * theirs.patch_size**2 * wide + theirs.num_hidden_layers * block), wide


@cache
def forward_flops(config: ModelConfig, *, thought: bool = True, causal: bool = True) -> dict[str, float]:
    """FLOP forward by part: `eye` of one image, the rest of one sample. 2 a multiply-add; `causal` counts half of the decoder's attention."""
    dim, ratio, patches, queries = config.vision_dim, config.vision_mlp_ratio, config.num_patches, config.latents_per_frame
    if config.eye == "own":
        pixels = config.height_px * config.width_px
        eye = sum(pixels / 4 ** (step + 2) * 9 * before * after for step, (before, after) in enumerate(pairwise(config.stem_widths)))
        eye += config.vision_depth * (patches * (4 + 2 * ratio) * dim**2 + 2 * patches**2 * dim)
    else:
        products, wide = tower(config)
        eye = products + patches * wide * dim
    eye += config.resampler_depth * (queries * (2 + 2 * ratio) * dim**2 + 2 * patches * dim**2 + 2 * queries * patches * dim)
    eye += patches * ((6 + dim) * dim + 9) if config.calibrated else 0
    tokens = num_tokens(config, thought=thought)
    products = sum(math.prod(weight.shape) * weight.count for weight in _decoder(config) if len(weight.shape) == 2)
    decoder = tokens * products + config.depth * 2 * tokens**2 * config.dim * (0.5 if causal else 1.0)
    project, ego, act, say, head, last, *world, _, _, road = (num_in * num_out for num_in, num_out in _end_linears(config))
    foresee = sum(world) + queries * 6 * dim**2
    knots = config.num_proposals * 2 * config.num_knots * NUM_STEPS
    ends = project * config.num_frames * queries + ego + act + (1 + thought) * (head + last + knots) + foresee + road
    ends += config.num_thought * say if thought else 0
    if config.num_views > 1:
        sides, around = config.side_latents, (config.num_views - 1) * queries
        ends += config.num_frames * (sides * ((2 + 2 * ratio) * dim**2 + project) + 2 * around * dim**2 + 2 * sides * around * dim)
    return {"eye": 2.0 * eye, "decoder": 2.0 * decoder, "ends": 2.0 * ends}


def train_flops(config: ModelConfig, *, thought: bool = True, world: bool = True, causal: bool = True) -> float:
    """Model FLOP of one sample (no recompute): three times the forward pass of what has a gradient, and the other images once. The head of flow is
    not counted."""
    flops = forward_flops(config, thought=thought, causal=causal)
    others = config.num_views * (config.num_frames - 1) + (1 if world else 0)
    once = 2 * config.num_views * 2.0 * tower(config)[0] if config.eye_frozen else 0.0  # forward only
    return 3 * (sum(flops.values()) + (config.num_views - 1) * flops["eye"]) + others * flops["eye"] - once

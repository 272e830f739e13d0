"""A member's weights and arithmetic from its config alone, without torch: every weight by its shape, every product by its formula.

Parts: `eye` (stem, ViT, resampler), `decoder` (the blocks) and `ends` (everything between and after them).
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
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
    block: bool = False  # of a block that FSDP gathers alone; all else it gathers at once and keeps

    @property
    def params(self) -> int:
        """Of all of them."""
        return self.count * math.prod(self.shape)

    def params_per_rank(self, *, shard: int, tp: int) -> int:
        """Of all of them, on the fullest rank."""
        return self.count * math.prod(self.local_shape(shard=shard, tp=tp))

    def local_shape(self, *, shard: int, tp: int) -> tuple[int, ...]:
        """On the first rank, which is the fullest: what tensor parallelism leaves, of whose first axis FSDP2 takes equal pieces, the last short."""
        found = list(self.shape)
        if self.cut != WHOLE:
            found[0 if self.cut == COLUMN else 1] //= tp
        return -(-found[0] // shard), *found[1:]


@cache
def weights(config: ModelConfig) -> tuple[Weight, ...]:
    """All weights of a member."""
    return (*_eye(config), *_decoder(config), *_ends(config))


def num_params(config: ModelConfig, part: str = "", *, tp: int = 1, block: bool | None = None) -> int:
    """Parameters of the member, or of one part, or only in or out of blocks; equal to those of the module (a test). `tp`: what one of so many
    tensor-parallel ranks has."""
    counted = (weight for weight in weights(config) if part in ("", weight.part) and block in (None, weight.block))
    return sum(weight.params // (1 if weight.cut == WHOLE else tp) for weight in counted)


def block_params(config: ModelConfig, *, tp: int = 1) -> int:
    """Parameters of one decoder block on a rank of a tensor-parallel group."""
    return num_params(config, "decoder", tp=tp) // config.depth


def params_per_rank(config: ModelConfig, *, shard: int, tp: int) -> int:
    """Parameters that the fullest rank keeps."""
    return sum(weight.params_per_rank(shard=shard, tp=tp) for weight in weights(config))


def _linear(part: str, num_in: int, num_out: int, count: int = 1, *, cut: str = WHOLE, block: bool = False) -> list[Weight]:
    bias = cut if cut == COLUMN else WHOLE  # of rows it is added once, to their sum
    shapes = (((num_out, num_in), cut), ((num_out,), bias))
    return [Weight(part=part, shape=shape, count=count, cut=along, block=block) for shape, along in shapes]


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
    """Attention is whole on every rank; in the eye the MLP is cut, and each block gathered alone, as models.parallel_plan says."""
    eye = part == "eye"
    found = [Weight(part=part, shape=(dim,), count=count * (6 if cross else 4), block=eye)]
    for num_in, num_out in ((dim, dim), (dim, 2 * dim), (dim, dim)):
        found += _linear(part, num_in, num_out, count, block=eye)
    found += _linear(part, dim, ratio * dim, count, cut=COLUMN if eye else WHOLE, block=eye)
    return found + _linear(part, ratio * dim, dim, count, cut=ROW if eye else WHOLE, block=eye)


def _decoder(config: ModelConfig) -> list[Weight]:
    dim, keys, wide, depth = config.dim, kv_dim(config), config.mlp_dim, config.depth
    found = (
        ((dim,), 2, WHOLE),  # norms
        ((dim, dim), 1, COLUMN),  # queries
        ((keys, dim), 2, COLUMN),  # keys, values
        ((dim, dim), 1, ROW),  # out
        ((wide, dim), 2, COLUMN),  # gate, up
        ((dim, wide), 1, ROW),  # down
    )
    return [Weight(part="decoder", shape=shape, count=count * depth, cut=cut, block=True) for shape, count, cut in found]


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
    given = json.loads(config.eye_json)
    theirs = import_module("transformers").AutoConfig.for_model(given.pop("model_type"), **given)
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


def eye_mlp_flops(config: ModelConfig) -> float:
    """Those of the `eye` of one image that are its MLPs', which tensor parallelism cuts; all else of the eye every rank computes."""
    dim, (rows, columns) = config.vision_dim, config.grid
    return 2.0 * (config.vision_depth * rows * columns + config.resampler_depth * config.latents_per_frame) * 2 * config.vision_mlp_ratio * dim**2


def train_flops(config: ModelConfig, *, thought: bool = True, world: bool = True, causal: bool = True) -> float:
    """Model FLOP of one sample (no recompute): three times the forward pass of what has a gradient, and the other images once. The head of flow is
    not counted."""
    flops = forward_flops(config, thought=thought, causal=causal)
    others = config.num_views * (config.num_frames - 1) + (1 if world else 0)
    once = 2 * config.num_views * 2.0 * tower(config)[0] if config.eye_frozen else 0.0  # forward only
    return 3 * (sum(flops.values()) + (config.num_views - 1) * flops["eye"]) + others * flops["eye"] - once

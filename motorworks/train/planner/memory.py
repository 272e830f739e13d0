"""What a training step takes on its fullest rank, by kind, from formulas.

States: fp32 masters, gradients and AdamW's two moments, cut by FSDP2 (shapes.Weight.params_per_rank). Activations: what autograd keeps of
transformers' Llama block and of our ViT block, read off torch's saved tensors; tests hold them against fake steps on thousands of ranks and
against a real step on a CPU. Thin: kernels' own workspaces and NCCL's buffers are a reserve (`Assumptions.reserve_gb`), not a formula; and
Muon is counted on one device only: over many ranks it needs whole matrices to update, which is not planned for.
"""

from dataclasses import dataclass, fields, replace
from itertools import pairwise

from motorworks.models.config import ModelConfig
from motorworks.train.planner import shapes
from motorworks.train.planner.sharding import Sharding

FP32 = 4
MOMENTS = 2  # AdamW's
NORM_TEMPORARIES = 5  # fp32 copies of the residual that the backward pass of one RMSNorm holds at once, eager (tracked)


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes on the fullest rank at the moment of most."""

    weights: float
    grads: float
    optimizer: float
    gathered: float  # whole weights of what is at work, and gradients on their way to their owners
    activations: float
    logits: float  # of words and proposals, and what the losses keep
    temporaries: float  # of the backward pass of one block

    @property
    def total(self) -> float:
        """All kinds."""
        return sum(getattr(self, field.name) for field in fields(self))


def sharded_step(config: ModelConfig, sharding: Sharding, *, itemsize: int = 2) -> Memory:
    """A step of bf16 computation under FSDP2 with fp32 reduction, at the worse of two moments: in the decoder's backward pass, or, where the
    eye is large beside the decoder, when it looks at the images without a gradient. `itemsize` 4: all in fp32."""
    kept = shapes.params_per_rank(config, shard=sharding.shard, tp=sharding.tp)
    root, eye, decoder = _gathered(config, sharding)
    under_way, temporaries = _backward_peak(config, sharding, itemsize, block=decoder / config.depth)
    backward = Memory(
        weights=FP32 * kept,
        grads=FP32 * kept,
        optimizer=FP32 * MOMENTS * kept,
        gathered=itemsize * (_always_gathered(config, sharding) + _action_params(config)) + under_way,
        activations=activations(config, sharding, itemsize=itemsize),
        logits=sharding.micro_batch * _loss_bytes(config, itemsize),
        temporaries=temporaries,
    )
    looking = replace(
        backward,
        gathered=itemsize * (root + (eye / (config.vision_depth + config.resampler_depth) if sharding.reshard else eye)),
        activations=_seen_bytes(config, sharding, itemsize),
        logits=0.0,
        temporaries=sharding.micro_batch * _looking_bytes(config, sharding.tp, itemsize),
    )
    return max(backward, looking, key=lambda moment: moment.total)


def waiting(config: ModelConfig, sharding: Sharding, *, itemsize: int = 2) -> float:
    """Bytes at the end of the forward pass: activations and what stays gathered, losses left out."""
    return activations(config, sharding, itemsize=itemsize) + itemsize * _always_gathered(config, sharding)


def whole_step(config: ModelConfig, batch_size: int, *, muon: bool = True, thought: bool = True) -> Memory:
    """A step of train.loop on one device in fp32: gradients of the step before are there until the forward pass has ended."""
    alone = Sharding(micro_batch=batch_size, checkpoint=False)
    params = shapes.num_params(config)
    return Memory(
        weights=FP32 * params,
        grads=FP32 * params,
        optimizer=FP32 * (MOMENTS * params - (_block_matrices(config) if muon else 0)),
        gathered=0.0,
        activations=activations(config, alone, itemsize=FP32, thought=thought),
        logits=batch_size * _loss_bytes(config, FP32, thought=thought),
        temporaries=max(0.0, sum(_backward_peak(config, alone, FP32, block=0.0, thought=thought)) - FP32 * params),
    )


def activations(config: ModelConfig, sharding: Sharding, *, itemsize: int, thought: bool = True) -> float:
    """Bytes that wait for the backward pass of one micro-batch when its forward pass has ended, its pictures among them."""
    samples = sharding.micro_batch
    tokens = samples * shapes.num_tokens(config, thought=thought)
    blocks = config.depth * tokens * (itemsize * config.dim if sharding.checkpoint else _block_bytes(config, sharding.tp, itemsize))
    last_norm = tokens * _norm_bytes(config.dim, itemsize)
    return blocks + last_norm + _seen_bytes(config, sharding, itemsize) + samples * _ends_bytes(config, itemsize, thought)


def saved(config: ModelConfig, sharding: Sharding, *, itemsize: int) -> float:
    """Bytes of activations of one micro-batch if nothing were recomputed: what norms, products and heads write for each other."""
    return activations(config, replace(sharding, checkpoint=False), itemsize=itemsize)


def _norm_bytes(dim: int, itemsize: int) -> float:
    """A token through RMSNorm: its input in fp32, normalised, weighted; one root."""
    return FP32 * dim + 2 * itemsize * dim + FP32


def _block_bytes(config: ModelConfig, tp: int, itemsize: int) -> float:
    """A token through a Llama block: two norms; queries, keys, values, the attended and its log-sum; gate, its SiLU, up and their product."""
    return 2 * _norm_bytes(config.dim, itemsize) + (_attention_bytes(config, itemsize) + 4 * itemsize * config.mlp_dim) / tp


def _attention_bytes(config: ModelConfig, itemsize: int) -> float:
    return itemsize * (2 * config.dim + 2 * shapes.kv_dim(config)) + FP32 * config.heads


def _seen_bytes(config: ModelConfig, sharding: Sharding, itemsize: int) -> float:
    """Pictures, and what the eye keeps of today's: every rank of a tensor-parallel group sees all of the group's."""
    pictures = (config.num_frames + 1) * config.height_px * config.width_px * 3
    return sharding.micro_batch * (_eye_bytes(config, sharding.tp, itemsize, checkpoint=sharding.checkpoint) + pictures)


def _looking_bytes(config: ModelConfig, tp: int, itemsize: int) -> float:
    """A sample's other images on their way through the eye, which keeps nothing of them: all pixels in fp32, these ones' in `itemsize` too, and
    the most of: a convolution's input and output and the output's norm; the state before and within a ViT block, its norm, and its MLP before
    and behind the ReLU."""
    pixels, widths = 3 * config.height_px * config.width_px, config.stem_widths
    sizes = [pixels, *(width * pixels / 3 / 4 ** (step + 2) for step, width in enumerate(widths[1:]))]
    stem = max(before + 2 * after for before, after in pairwise(sizes))
    block = config.grid[0] * config.grid[1] * config.vision_dim * (3 + 2 * config.vision_mlp_ratio / tp)
    return FP32 * (config.num_frames + 1) * pixels + config.num_frames * itemsize * (pixels + max(stem, block))


def _eye_bytes(config: ModelConfig, tp: int, itemsize: int, *, checkpoint: bool) -> float:
    """An image with a gradient through stem, ViT and resampler. A patch: LayerNorm's input and output, query, key, value, attended, and again
    before the MLP, whose ReLU keeps a rank's share of one; a latent the same without keys and values, which it takes of the patches."""
    dim, hidden, latents, pixels = config.vision_dim, config.vision_mlp_ratio / tp, config.latents_per_frame, config.height_px * config.width_px
    patches = config.grid[0] * config.grid[1]
    stem = 3 * pixels + sum(2 * after * pixels / 4 ** (step + 2) for step, (_, after) in enumerate(pairwise(config.stem_widths)))
    if checkpoint:
        blocks = config.vision_depth * patches * dim + config.resampler_depth * latents * dim + patches * dim
    else:
        blocks = config.vision_depth * patches * (8 + hidden) * dim
        blocks += config.resampler_depth * (latents * (6 + hidden) + 3 * patches) * dim + patches * dim
    return itemsize * (stem + blocks + 2 * latents * dim)


def _ends_bytes(config: ModelConfig, itemsize: int, thought: bool) -> float:
    """A sample between eye and decoder and in the heads: latents seen, taken and filled in; hidden layers of the heads."""
    dim, seen = config.dim, config.latents_per_frame * config.vision_dim
    latents = itemsize * seen * (3 * config.num_frames + 1)
    world = itemsize * seen * 8
    ego = itemsize * (config.num_ego + 3 * dim)
    action = itemsize * (1 + thought) * 5 * dim
    return latents + world + ego + action


def _loss_bytes(config: ModelConfig, itemsize: int, *, thought: bool = True) -> float:
    """A sample's words (logits, in fp32, softmax) and proposals (about ten fp32 tensors of controls, paths and errors)."""
    words = config.num_thought * config.num_vocab * (itemsize + 2 * FP32) if thought else 0
    return words + (1 + thought) * 10 * FP32 * config.num_proposals * 2 * shapes.NUM_STEPS


def _backward_peak(config: ModelConfig, sharding: Sharding, itemsize: int, *, block: float, thought: bool = True) -> tuple[float, float]:
    """What the backward pass holds beyond what waited for it, at its worst moment: (weights and gradients under way, temporaries).

    `block`: parameters of a gathered block. The moments: at the last norm; in the last block's MLP; at that block's second norm; and the last two
    one block later, when the gradients of the block before are on their way in fp32.
    """
    tokens, wide = sharding.micro_batch * shapes.num_tokens(config, thought=thought), itemsize * config.mlp_dim / sharding.tp
    norm, at_norm = tokens * _norm_bytes(config.dim, itemsize), tokens * NORM_TEMPORARIES * FP32 * config.dim
    kept = tokens * _block_bytes(config, sharding.tp, itemsize)
    again = kept if sharding.checkpoint else 0.0
    gather = itemsize * block if sharding.reshard else 0.0
    matrix = itemsize * block * config.mlp_dim * config.dim / shapes.block_params(config)
    in_mlp = (2 * gather + matrix, again - norm + tokens * (2 * wide + itemsize * config.dim))
    at_second = (2 * gather + 3 * matrix, again - tokens * (4 * wide + 2 * itemsize * config.dim) - norm + at_norm)
    gone = tokens * itemsize * config.dim if sharding.checkpoint else kept
    later = [(under_way + FP32 * block, held - gone) for under_way, held in (in_mlp, at_second)] if config.depth > 1 else []
    return max([(gather, at_norm), in_mlp, at_second, *later], key=sum)


def _block_matrices(config: ModelConfig) -> float:
    """Parameters that Muon moves, with one moment each (train.optim): the matrices inside blocks."""
    eye = (config.vision_depth + config.resampler_depth) * (4 + 2 * config.vision_mlp_ratio) * config.vision_dim**2
    return eye + shapes.num_params(config, "decoder") - 2 * config.depth * config.dim


def _action_params(config: ModelConfig) -> float:
    return 2.0 * config.dim * config.dim + 2 * config.dim * config.num_proposals * (2 * config.num_knots + 1)


def _always_gathered(config: ModelConfig, sharding: Sharding) -> float:
    root, eye, decoder = _gathered(config, sharding)
    return root if sharding.reshard else root + eye + decoder


def _gathered(config: ModelConfig, sharding: Sharding) -> tuple[float, float, float]:
    """Parameters of a tensor-parallel rank when gathered: outside blocks, in those of the eye, in those of the decoder. Every tensor's first axis
    is padded to a multiple of the ranks, which a small one feels."""
    found = {"": 0, "eye": 0, "decoder": 0}
    for weight in shapes.weights(config):
        found[weight.part if weight.block else ""] += sharding.shard * weight.params_per_rank(shard=sharding.shard, tp=sharding.tp)
    return found[""], found["eye"], found["decoder"]

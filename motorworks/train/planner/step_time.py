"""How long a training step takes: a roofline of products, memory traffic and collectives.

Products go at `kernel_efficiency` of peak, or as fast as their weights can be read; everything between them at the rate of HBM; a ring moves
(n - 1)/n of its bytes over its slowest link; FSDP's rings hide behind `overlap` of the computing, tensor parallelism's do not. Pipeline and
context parallelism are not considered, nor is sequence parallelism: norms, the eye but for its MLPs, and all outside blocks are computed by
every rank of a tensor-parallel group. What travels is what train.parallel's cut makes travel, counted on a fake step (a test).
"""

from dataclasses import dataclass, fields

from motorworks.models.config import ModelConfig
from motorworks.train.planner import memory, shapes
from motorworks.train.planner.assumptions import Assumptions
from motorworks.train.planner.gpus import Gpu
from motorworks.train.planner.sharding import Sharding

BF16, FP32 = 2, 4
OPTIMIZER_BYTES = 7 * FP32  # a parameter: read master, gradient, two moments; write master and moments


@dataclass(frozen=True, kw_only=True)
class StepTime:
    """Seconds of one optimiser step on every rank."""

    products_s: float
    between_s: float
    tensor_links_s: float
    exposed_s: float  # of FSDP's collectives, what does not hide
    replicas_s: float
    optimizer_s: float
    straggler_s: float
    hidden_s: float  # of FSDP's collectives; not part of the step

    @property
    def total_s(self) -> float:
        """Wall time."""
        return sum(getattr(self, field.name) for field in fields(self) if field.name != "hidden_s")


def step_time(config: ModelConfig, sharding: Sharding, gpu: Gpu, assumed: Assumptions) -> StepTime:
    """One step of `accumulate` micro-batches."""
    products, between = _products_s(config, sharding, gpu, assumed), _between_s(config, sharding, gpu, assumed)
    tensor, fsdp = _tensor_links_s(config, sharding, gpu, assumed), _fsdp_links_s(config, sharding, gpu, assumed)
    exposed = max(fsdp - assumed.overlap * (products + between), fsdp / (2 * config.depth))  # the first gather hides behind nothing
    kept = shapes.params_per_rank(config, shard=sharding.shard, tp=sharding.tp)
    replicas = ring_s(2 * FP32 * kept, sharding.replicate, gpu.nic_gb_per_s, assumed) if sharding.replicate > 1 else 0.0
    optimizer = OPTIMIZER_BYTES * kept / (gpu.hbm_gb_per_s * 1e9 * assumed.hbm_efficiency)
    times = sharding.accumulate
    sure = times * (products + between + tensor + exposed) + replicas + optimizer
    return StepTime(
        products_s=times * products,
        between_s=times * between,
        tensor_links_s=times * tensor,
        exposed_s=times * exposed,
        replicas_s=replicas,
        optimizer_s=optimizer,
        straggler_s=assumed.straggler * sure,
        hidden_s=times * max(0.0, fsdp - exposed),
    )


def mfu(config: ModelConfig, sharding: Sharding, gpu: Gpu, seconds: float) -> float:
    """Causal model FLOP, no recompute, over what all GPUs could at their dense bf16 peak in that time."""
    return shapes.train_flops(config) * sharding.samples_per_step / (seconds * sharding.num_ranks * gpu.peak_flops)


def ring_s(num_bytes: float, ranks: int, gb_per_s: float, assumed: Assumptions, *, hops: int | None = None) -> float:
    """A ring all-gather or reduce-scatter of `num_bytes` in total; an all-reduce is two of them."""
    if ranks == 1:
        return 0.0
    return (ranks - 1) / ranks * num_bytes / (gb_per_s * 1e9 * assumed.link_efficiency) + assumed.hop_us * 1e-6 * (
        ranks - 1 if hops is None else hops
    )


def _products_s(config: ModelConfig, sharding: Sharding, gpu: Gpu, assumed: Assumptions) -> float:
    flops, mlps = shapes.forward_flops(config), shapes.eye_mlp_flops(config)
    passes = 4 if sharding.checkpoint else 3
    rate, read = gpu.peak_flops * assumed.kernel_efficiency, gpu.hbm_gb_per_s * 1e9 * assumed.hbm_efficiency
    others = config.num_frames  # older images and the next one, without a gradient
    eye = sharding.micro_batch * (passes + others) * (flops["eye"] - mlps + mlps / sharding.tp) / rate
    decoder = passes * sharding.micro_batch * flops["decoder"] / sharding.tp / rate
    least = passes * config.depth * BF16 * shapes.block_params(config, tp=sharding.tp) / read
    return eye + max(decoder, least) + 3 * sharding.micro_batch * flops["ends"] / rate


def _between_s(config: ModelConfig, sharding: Sharding, gpu: Gpu, assumed: Assumptions) -> float:
    kept = memory.saved(config, sharding, itemsize=BF16) * (4 / 3 if sharding.checkpoint else 1)
    return assumed.traffic * kept / (gpu.hbm_gb_per_s * 1e9 * assumed.hbm_efficiency)


def _tensor_links_s(config: ModelConfig, sharding: Sharding, gpu: Gpu, assumed: Assumptions) -> float:
    return ring_s(2 * summed_bytes(config, sharding), sharding.tp, gpu.link_gb_per_s, assumed, hops=0)


def summed_bytes(config: ModelConfig, sharding: Sharding) -> float:
    """What a tensor-parallel group all-reduces for a micro-batch. Forward a sum behind each pair of cut matrices; backward one in front of each
    cut by columns, for torch's ColwiseParallel takes its input's gradient alone: five of a decoder block, one of an MLP of the eye. A block that
    is computed again ends before its last sum, which nobody needs: one more of the decoder's, none of the eye's. Other images pass once."""
    blocks = config.depth * (2 + 5 + sharding.checkpoint) * shapes.num_tokens(config) * config.dim
    positions = config.vision_depth * config.grid[0] * config.grid[1] + config.resampler_depth * config.latents_per_frame
    return BF16 * sharding.micro_batch * (blocks + (2 + config.num_frames) * positions * config.vision_dim)


def gathered_parts(config: ModelConfig, sharding: Sharding) -> list[tuple[int, int, int]]:
    """(calls, parameters, how often gathered in a micro-batch) of the decoder's blocks, the eye's and the rest, which is gathered once. A block
    that is let go is gathered again backward, and the eye's before that for the images without a gradient."""
    return [
        (config.depth, shapes.num_params(config, "decoder", tp=sharding.tp), 2 if sharding.reshard else 1),
        (config.vision_depth + config.resampler_depth, shapes.num_params(config, "eye", tp=sharding.tp, block=True), 3 if sharding.reshard else 1),
        (1, shapes.num_params(config, block=False), 1),
    ]


def _fsdp_links_s(config: ModelConfig, sharding: Sharding, gpu: Gpu, assumed: Assumptions) -> float:
    """Weights gathered in bf16, gradients reduced once in fp32, block by block, over `shard` ranks of which a node holds every tp-th."""
    in_node = gpu.gpus_per_node // sharding.tp
    nodes = -(-sharding.shard // in_node)
    rate = gpu.link_gb_per_s if nodes == 1 else min(gpu.link_gb_per_s, gpu.nic_gb_per_s * in_node)
    return sum(
        ring_s((BF16 * gathers + FP32) * params, sharding.shard, rate, assumed, hops=(nodes - 1) * (gathers + 1) * calls)
        for calls, params, gathers in gathered_parts(config, sharding)
    )

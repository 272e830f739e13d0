"""Proof that a plan builds: the member on fake tensors, cut by the trainer's own hands for rank 0 of a fake group of thousands.

    python -m motorworks.train.planner.prove '{"config": {...}, "sharding": {...}, "depths": [8, 16]}'

What is built is what `fit` builds: train.ranks joins the ranks, train.parallel cuts the model and wraps it, train.prepared recomputes, train.optim
steps; here are only the fake group, a batch and the counting. Nothing is allocated: the answer (JSON on stdout) says how far this process grew.
The whole member is built once for its parameters; a training step runs at two smaller depths of decoder and ViT, and everything of it is linear
in depth, so the whole follows. Thin: a fake group moves nothing, so what NCCL takes and whether numbers are right is not shown here (the tests
on real ranks do that for small members); and fake tensors are a CPU's, whose autocast leaves the eye's norms in bf16 where CUDA's has fp32.
"""

import json
import resource
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any
from unittest import mock

import torch
import torch.distributed as dist
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.testing._internal.distributed.fake_pg import FakeStore

from motorworks.models.config import ModelConfig
from motorworks.models.driving_model import ModelOutput
from motorworks.train.batch import Batch, look_at
from motorworks.train.fit_config import FitConfig, ParallelPlan
from motorworks.train.optim import optimisers
from motorworks.train.parallel import NormOverRanks, Seeing, parallelise
from motorworks.train.planner.shapes import NUM_STEPS
from motorworks.train.planner.sharding import Sharding
from motorworks.train.planner.tracker import MemoryTracker
from motorworks.train.prepared import prepared
from motorworks.train.ranks import Ranks, local
from motorworks.train.start import on_meta


@dataclass(frozen=True, kw_only=True)
class StepMemory:
    """One fake training step on rank 0, bytes. `after_forward` is what the backward pass waits for, gathered weights included."""

    weights: float
    grads: float
    optimizer: float
    after_forward: float
    peak: float


def join(sharding: Sharding) -> Ranks:
    """Rank 0 of the running fake group, cut as training cuts: the plan in the trainer's words."""
    return Ranks.join(ParallelPlan(replicate=sharding.replicate, shard=sharding.shard, tensor=sharding.tp), "cpu")


def cut(config: ModelConfig, sharding: Sharding, ranks: Ranks) -> Seeing:
    """The member on the meta device, as train.learner has it cut for a run in bf16: what FSDP wraps is the trainer's own `Seeing`."""
    return parallelise(on_meta(config), replace(ranks, reshard=sharding.reshard), precision="bf16")


def count_params(config: ModelConfig, sharding: Sharding, ranks: Ranks) -> tuple[int, int]:
    """Parameters of the whole member and those that rank 0 keeps, read off the wrapped module."""
    values = list(cut(config, sharding, ranks).parameters())
    return sum(value.numel() for value in values), sum(local(value).numel() for value in values)


def fake_step(config: ModelConfig, sharding: Sharding, ranks: Ranks) -> StepMemory:
    """Forward, backward and update of one micro-batch in bf16 with fp32 masters, on fake tensors. All that asks a tensor for its value is
    answered here, since fake ones have none: how many images are of today and that they are lit anew (`look`), that they are more than one
    (NormOverRanks), that a row holds one sequence (transformers would keep a mask that real ones do without). The loss is a stand-in."""
    seeing = cut(config, sharding, ranks)
    model, run = seeing.model, FitConfig(steps=1, precision="bf16", recompute=sharding.checkpoint)
    seeing.look = partial(look_at, num_now=sharding.micro_batch, lit=True)
    with ExitStack() as stack:
        stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        stack.enter_context(mock.patch("transformers.masking_utils.find_packed_sequence_indices", return_value=None))
        stack.enter_context(mock.patch.object(NormOverRanks, "too_few", return_value=False))
        stack.enter_context(prepared(model, run, device="cuda", cut=True))
        params = list(seeing.to_empty(device="cpu").parameters())
        steppers = optimisers(model, lr=run.lr, weight_decay=run.weight_decay, muon=False)
        with MemoryTracker() as tracker:
            tracker.adopt(params)
            weights = tracker.live_bytes
            batch = _batch(config, sharding.micro_batch)
            with torch.autocast("cpu", torch.bfloat16):
                output, _, _ = seeing(batch, thought=True)
            loss = _loss(output)
            del output, _
            after_forward = tracker.live_bytes - weights
            loss.backward()
            del loss, batch
            grads = tracker.live_bytes - weights
            peak = tracker.peak_bytes
            for stepper in steppers:
                stepper.step()
            optimizer = tracker.live_bytes - weights - grads
    return StepMemory(weights=weights, grads=grads, optimizer=optimizer, after_forward=after_forward, peak=peak + optimizer)


def _loss(output: ModelOutput) -> Tensor:
    parts = [output.controls, output.logits, output.next_latents, output.road, output.thought_logits]
    parts += [output.reasoned_controls, output.reasoned_logits]
    return sum((part.float().square().mean() for part in parts if part is not None), torch.zeros(()))


def _batch(config: ModelConfig, num: int) -> Batch:
    """`num` samples of which every picture is there: today's, then the older ones, then the next."""
    pictures = num * (config.num_frames + 1)
    row = torch.arange(pictures).view(config.num_frames + 1, num).T
    return Batch(
        images=torch.zeros(pictures, config.height_px, config.width_px, 3, dtype=torch.uint8),
        cameras=torch.zeros(pictures, config.num_camera),
        image_row=row[:, : config.num_frames, None],
        next_row=row[:, -1],
        gain=torch.ones(pictures),
        offset=torch.zeros(pictures),
        ego=torch.zeros(num, config.num_ego),
        instruction_ids=torch.ones(num, config.num_instruction, dtype=torch.long),
        thought_ids=torch.ones(num, config.num_thought, dtype=torch.long),
        controls=torch.zeros(num, NUM_STEPS, 2),
        controls_valid=torch.ones(num, NUM_STEPS, dtype=torch.bool),
        speed_mps=torch.zeros(num),
        curvature_scale_per_m=torch.ones(num),
        distance_scale_m=torch.ones(num),
        road=torch.zeros(num, config.num_road),
    )


def at_depth(config: ModelConfig, depth: int) -> ModelConfig:
    """The member with `depth` decoder blocks and as large a share of its ViT."""
    return replace(config, depth=depth, vision_depth=max(1, round(config.vision_depth * depth / config.depth)))


def extrapolated(config: ModelConfig, small: tuple[ModelConfig, StepMemory], large: tuple[ModelConfig, StepMemory]) -> StepMemory:
    """The whole member's step from two of less depth: a straight line in the number of decoder blocks."""
    along = (config.depth - small[0].depth) / (large[0].depth - small[0].depth)
    low, high = asdict(small[1]), asdict(large[1])
    return StepMemory(**{name: low[name] + along * (high[name] - low[name]) for name in low})


def prove(config: ModelConfig, sharding: Sharding, depths: tuple[int, int]) -> dict[str, Any]:
    """Builds, steps, extrapolates; needs a process of its own, for the group and for what it says of memory."""
    start, before = time.perf_counter(), _resident_bytes()
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=sharding.num_ranks)
    try:
        ranks = join(sharding)
        whole, mine = count_params(config, sharding, ranks)
        built_s = time.perf_counter() - start
        members = [at_depth(config, depth) for depth in sorted(set(depths))]
        steps = [fake_step(member, sharding, ranks) for member in members]
        memory = extrapolated(config, (members[0], steps[0]), (members[-1], steps[-1])) if len(steps) > 1 else steps[0]
    finally:
        dist.destroy_process_group()
    return {
        "num_ranks": sharding.num_ranks,
        "params": whole,
        "params_rank_0": mine,
        "built_s": built_s,
        "depths": list(depths),
        "steps": [asdict(step) for step in steps],
        "memory": asdict(memory),
        "grown_bytes": _resident_bytes() - before,
        "took_s": time.perf_counter() - start,
    }


def _resident_bytes() -> float:
    """The most this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def main(text: str) -> None:
    """Reads the question, prints the answer."""
    asked = json.loads(text)
    torch.set_num_threads(1)
    config = ModelConfig(**{**asked["config"], "knot_times_s": tuple(asked["config"]["knot_times_s"])})
    print(json.dumps(prove(config, Sharding(**asked["sharding"]), tuple(asked["depths"]))))


if __name__ == "__main__":
    main(sys.argv[1])

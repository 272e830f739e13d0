"""Proof that a plan builds: the member on fake tensors, cut by FSDP2 and tensor parallelism for rank 0 of a fake group of thousands.

    python -m motorworks.train.planner.prove '{"config": {...}, "sharding": {...}, "depths": [8, 16]}'

Nothing is allocated: the answer (JSON on stdout) says how far this process grew. The whole member is built once for its parameters; a training
step runs at two smaller depths of decoder and ViT, and everything of it is linear in depth, so the whole follows. Thin: a fake group moves
nothing, so what NCCL takes and whether numbers are right is not shown here (the tests on real ranks do that for small members).
"""

import json
import resource
import sys
import time
from dataclasses import asdict, dataclass, replace
from typing import Any
from unittest import mock

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.testing._internal.distributed.fake_pg import FakeStore

from motorworks.models.config import ModelConfig
from motorworks.models.driving_model import DrivingModel, ModelInput
from motorworks.train.planner.shapes import NUM_STEPS
from motorworks.train.planner.sharding import Sharding
from motorworks.train.planner.tracker import MemoryTracker


@dataclass(frozen=True, kw_only=True)
class StepMemory:
    """One fake training step on rank 0, bytes. `after_forward` is what the backward pass waits for, gathered weights included."""

    weights: float
    grads: float
    optimizer: float
    after_forward: float
    peak: float


class TrainStep(nn.Module):
    """Today's images with a gradient, the others without, then the sequence and a loss over every output, as one module for FSDP to wrap.

    The eye sees a tensor-parallel group's images split by rank, so its gradients are to be summed over that group, not averaged.
    """

    def __init__(self, model: DrivingModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, now: Tensor, others: Tensor, inputs: dict[str, Tensor]) -> Tensor:
        seen = self.model.vision(now)
        with torch.no_grad():
            before = self.model.vision(others)
        # ranks of a tensor-parallel group see different images; repeating takes the room that gathering would
        samples, older = len(inputs["ego"]), self.model.config.num_frames - 1
        seen, before = (one.repeat(-(-samples // len(now)), 1, 1) for one in (seen, before))
        frames = [*before.split(len(seen))[:older], seen]
        output = self.model(ModelInput(latents=torch.stack([frame[:samples] for frame in frames], dim=1), **inputs))
        parts = [output.controls, output.logits, output.next_latents, output.road, output.thought_logits]
        parts += [output.reasoned_controls, output.reasoned_logits]
        return sum((part.float().square().mean() for part in parts if part is not None), torch.zeros(()))


def meshes(sharding: Sharding) -> tuple[DeviceMesh, DeviceMesh]:
    """Ranks as (replicate, shard, tp) for the decoder's blocks, and as (replicate, shard × tp) for all else."""
    blocks = init_device_mesh("cpu", (sharding.replicate, sharding.shard, sharding.tp), mesh_dim_names=("replicate", "shard", "tp"))
    return blocks, init_device_mesh("cpu", (sharding.replicate, sharding.shard * sharding.tp), mesh_dim_names=("replicate", "shard"))


def cut(model: DrivingModel, sharding: Sharding, mesh: tuple[DeviceMesh, DeviceMesh], *, policy: MixedPrecisionPolicy) -> nn.Module:
    """The training step of `model`, wrapped in place. Blocks: TP, then FSDP over their own mesh; all else: FSDP over TP's ranks too."""
    blocks, rest = mesh
    data = blocks["replicate", "shard"] if sharding.replicate > 1 else blocks["shard"]
    rest = rest if sharding.replicate > 1 else rest["shard"]
    layers = model.backbone.decoder.layers
    for index, layer in enumerate(layers):
        if sharding.tp > 1:
            columns = {f"{name}_proj": ColwiseParallel() for name in ("self_attn.q", "self_attn.k", "self_attn.v", "mlp.gate", "mlp.up")}
            parallelize_module(layer, blocks["tp"], {**columns, "self_attn.o_proj": RowwiseParallel(), "mlp.down_proj": RowwiseParallel()})
        layers[index] = _wrapped(layer, sharding)
        fully_shard(layers[index], mesh=data, mp_policy=policy, reshard_after_forward=sharding.reshard)
    for stack in (model.vision.blocks, model.vision.resampler):
        for index, block in enumerate(stack):
            stack[index] = _wrapped(block, sharding)
            fully_shard(stack[index], mesh=rest, mp_policy=policy, reshard_after_forward=sharding.reshard)
    step = TrainStep(model)
    fully_shard(step, mesh=rest, mp_policy=policy)
    return step


def _wrapped(block: nn.Module, sharding: Sharding) -> nn.Module:
    return checkpoint_wrapper(block) if sharding.checkpoint else block


def count_params(config: ModelConfig, sharding: Sharding, mesh: tuple[DeviceMesh, DeviceMesh]) -> tuple[int, int]:
    """Parameters of the whole member and those that rank 0 keeps, read off the wrapped module; on the meta device."""
    model = _on_meta(config)
    cut(model, sharding, mesh, policy=MixedPrecisionPolicy())
    values = list(model.parameters())
    whole = sum(value.numel() for value in values)
    return whole, sum(value.to_local().numel() if isinstance(value, DTensor) else value.numel() for value in values)


def fake_step(config: ModelConfig, sharding: Sharding, mesh: tuple[DeviceMesh, DeviceMesh]) -> StepMemory:
    """Forward, backward and update of one micro-batch in bf16 with fp32 masters, on fake tensors."""
    model = _on_meta(config)
    step = cut(model, sharding, mesh, policy=MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32))
    # on fake tensors transformers cannot see that a row holds one sequence, and would keep a mask that real ones do without
    with FakeTensorMode(allow_non_fake_inputs=True), mock.patch("transformers.masking_utils.find_packed_sequence_indices", return_value=None):
        params = list(step.to_empty(device="cpu").parameters())
        stepper = torch.optim.AdamW(params, lr=1e-4, fused=True)
        with MemoryTracker() as tracker:
            tracker.adopt(params)
            weights = tracker.live_bytes
            batch = _batch(config, sharding)
            loss = step(*batch)
            after_forward = tracker.live_bytes - weights
            loss.backward()
            del loss, batch
            grads = tracker.live_bytes - weights
            peak = tracker.peak_bytes
            stepper.step()
            optimizer = tracker.live_bytes - weights - grads
    return StepMemory(weights=weights, grads=grads, optimizer=optimizer, after_forward=after_forward, peak=peak + optimizer)


def _batch(config: ModelConfig, sharding: Sharding) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    samples, images = sharding.micro_batch, -(-sharding.micro_batch // sharding.tp)
    picture = (config.height_px, config.width_px, 3)
    inputs = {
        "ego": torch.zeros(samples, config.num_ego),
        "instruction_ids": torch.ones(samples, config.num_instruction, dtype=torch.long),
        "images_valid": torch.ones(samples, config.num_frames, dtype=torch.bool),
        "thought_ids": torch.ones(samples, config.num_thought, dtype=torch.long),
        "controls": torch.zeros(samples, NUM_STEPS, 2),
    }
    others = images * config.num_frames  # the older frames, and the next one
    return torch.zeros(images, *picture, dtype=torch.uint8), torch.zeros(others, *picture, dtype=torch.uint8), inputs


def _on_meta(config: ModelConfig) -> DrivingModel:
    with torch.device("meta"):
        return DrivingModel(config, pretrained=False)


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
        mesh = meshes(sharding)
        whole, local = count_params(config, sharding, mesh)
        built_s = time.perf_counter() - start
        members = [at_depth(config, depth) for depth in sorted(set(depths))]
        steps = [fake_step(member, sharding, mesh) for member in members]
        memory = extrapolated(config, (members[0], steps[0]), (members[-1], steps[-1])) if len(steps) > 1 else steps[0]
    finally:
        dist.destroy_process_group()
    return {
        "num_ranks": sharding.num_ranks,
        "params": whole,
        "params_rank_0": local,
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

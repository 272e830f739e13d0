"""Pipeline parallelism of the decoder's blocks: each stage holds some, micro-batches go through them in torch's 1F1B schedule.

A loss sees the whole batch, so its gradient is there only when all micro-batches have been through. They go through twice: first without a
graph, for the states that heads and losses read; then, inside the backward pass, one forward and one backward in turn (Narayanan et al. 2019,
1F1B), where the gradient of the states is known and a stage keeps no more micro-batches than there are stages. The price is one more forward
pass of the blocks. Eye and heads are the same on all stages and computed by all alike: a stage would otherwise wait for them.
"""

from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.fsdp._fully_shard._fsdp_common import TrainingState
from torch.distributed.pipelining import PipelineStage, Schedule1F1B

from motorworks.models.driving_model import DrivingModel
from motorworks.models.parallel_plan import stage_of


class Elsewhere(nn.Module):
    """In the place of a block that another stage holds."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.attention_type = getattr(block, "attention_type", "full_attention")  # some decoders choose a mask by it

    def forward(self, hidden: Float[Tensor, "b token d"], *_: Any, **__: Any) -> Float[Tensor, "b token d"]:
        """As it came."""
        return hidden


class Stage(nn.Module):
    """A decoder of which only some blocks are here; the first remembers what entered, whose gradient nobody asks it for."""

    def __init__(self, decoder: nn.Module, *, is_first: bool) -> None:
        super().__init__()
        self.decoder, self.is_first = decoder, is_first
        self.entered: list[Tensor] = []

    def forward(self, embeds: Float[Tensor, "b token d"]) -> Float[Tensor, "b token d"]:
        """The states behind the blocks of this stage."""
        if self.is_first:
            embeds = embeds.detach().requires_grad_(torch.is_grad_enabled())
            self.entered.append(embeds)
        for layer in self.decoder.layers:  # inside a backward pass FSDP takes a forward for a recomputation, and would leave the block whole
            if isinstance(layer, FSDPModule):
                layer._get_fsdp_state()._training_state = TrainingState.IDLE
        return self.decoder(inputs_embeds=embeds, use_cache=False).last_hidden_state.to(embeds.dtype)


class Pipe:
    """The stages of one decoder, as what its backbone calls: embeddings in, states out, both whole on every stage."""

    def __init__(self, decoder: nn.Module, group: Any, num_micro: int) -> None:
        self.group, self.num_micro = group, num_micro
        self.rank, self.num = dist.get_rank(group), dist.get_world_size(group)
        self.stage = Stage(decoder, is_first=self.rank == 0)
        self._schedules: dict[Any, Schedule1F1B] = {}

    def __call__(self, embeds: Float[Tensor, "b token d"]) -> Float[Tensor, "b token d"]:
        return _Through.apply(embeds, self)

    def outward(self, embeds: Float[Tensor, "b token d"]) -> Float[Tensor, "b token d"]:
        """Without a graph."""
        self.stage.entered.clear()
        given = (embeds,) if self.rank == 0 else ()
        states = self._schedule(embeds).eval(*given, target=embeds if self.rank == self.num - 1 else None)
        self.stage.entered.clear()
        return self._from(self.num - 1, states if states is not None else torch.empty_like(embeds))

    def back(self, embeds: Float[Tensor, "b token d"], grad: Float[Tensor, "b token d"]) -> Float[Tensor, "b token d"]:
        """Through again with a graph, and back; the gradient of the embeddings. Those of the blocks' weights are left where they belong."""
        given = (embeds,) if self.rank == 0 else ()
        self._schedule(embeds).step(*given, target=grad if self.rank == self.num - 1 else None, return_outputs=False)
        entered = [value.grad for value in self.stage.entered]
        self.stage.entered.clear()
        return self._from(0, torch.cat(entered) if entered else torch.empty_like(embeds))

    def _schedule(self, embeds: Tensor) -> Schedule1F1B:
        """One a shape: micro-batches of one schedule are alike."""
        key = embeds.shape, embeds.dtype
        if key not in self._schedules:
            if len(embeds) % self.num_micro:
                raise ValueError(f"{len(embeds)} samples are not {self.num_micro} equal micro-batches: FitConfig.accumulate must divide them")
            like = embeds.new_empty((len(embeds) // self.num_micro, *embeds.shape[1:]), requires_grad=True)
            stage = PipelineStage(self.stage, self.rank, self.num, embeds.device, input_args=like, output_args=like, group=self.group)
            self._schedules[key] = Schedule1F1B(stage, self.num_micro, loss_fn=_towards, scale_grads=False)
        return self._schedules[key]

    def _from(self, stage: int, value: Tensor) -> Tensor:
        value = value.contiguous()
        dist.broadcast(value, dist.get_global_rank(self.group, stage), group=self.group)
        return value


def cut_blocks(model: DrivingModel, group: Any, num_micro: int) -> None:
    """Leaves this rank's blocks of the decoder, in place, and puts the pipe in the backbone's place."""
    num, rank = dist.get_world_size(group), dist.get_rank(group)
    if num == 1:
        return
    decoder, depth = model.backbone.decoder, model.config.depth
    if depth < num:
        raise ValueError(f"ParallelPlan.pipe {num} is more stages than the {depth} blocks of this member")
    for number, layer in enumerate(decoder.layers):
        if stage_of(f"backbone.decoder.layers.{number}", depth, num) != rank:
            decoder.layers[number] = Elsewhere(layer)
    if rank + 1 < num:
        decoder.norm = nn.Identity()
    model.backbone.forward = Pipe(decoder, group, num_micro)


def _towards(states: Float[Tensor, "b token d"], grad: Float[Tensor, "b token d"]) -> Float[Tensor, ""]:
    """What has this gradient."""
    return (states * grad).sum()


class _Through(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, embeds: Tensor, pipe: Pipe) -> Tensor:
        kind = embeds.device.type
        ctx.pipe, ctx.cast = pipe, (kind, torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind))
        ctx.save_for_backward(embeds)
        return pipe.outward(embeds.detach())

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (embeds,) = ctx.saved_tensors
        kind, dtype, enabled = ctx.cast
        with torch.enable_grad(), torch.autocast(kind, dtype, enabled=enabled):
            return ctx.pipe.back(embeds.detach(), grad.contiguous()), None

"""The processes that train one model together: who this one is among them, and the few things they tell each other."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from jaxtyping import Float, Int64, Shaped
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor

from motorworks.train.clock import RunClock
from motorworks.train.fit_config import ParallelPlan

Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """`rank` counts all processes. Ranks with the same `data_rank` see the same samples: they hold other columns, blocks or tokens."""

    rank: int = 0
    num_ranks: int = 1
    data_rank: int = 0
    num_data: int = 1
    mesh: DeviceMesh | None = None  # of pipe, replicate, shard (over parts of a sequence too) and tensor; None: this process is alone
    data_group: Any = None  # one of each data_rank
    context_group: Any = None  # the parts of one sequence, in order
    talk_group: Any = None  # all, over gloo: for what lies on the CPU
    reshard: bool = True  # as ParallelPlan has it

    @staticmethod
    def join(plan: ParallelPlan | None, device: str) -> "Ranks":
        """Those of the running process group, cut as `plan` says; alone where there is no plan or no group."""
        if plan is None or not dist.is_initialized():
            if plan is not None:
                plan.filling(1)
            return Ranks()
        num = dist.get_world_size()
        plan = plan.filling(num)
        weights = {"pipe": plan.pipe, "replicate": plan.replicate, "shard": plan.shard * plan.context, "tensor": plan.tensor}
        samples = {"pipe": plan.pipe, "data": plan.replicate * plan.shard, "context": plan.context, "tensor": plan.tensor}
        mesh, same = (init_device_mesh(torch.device(device).type, tuple(one.values()), mesh_dim_names=tuple(one)) for one in (weights, samples))
        return Ranks(
            rank=dist.get_rank(),
            num_ranks=num,
            data_rank=same["data"].get_local_rank(),
            num_data=same["data"].size(),
            mesh=mesh,
            data_group=same["data"].get_group(),
            context_group=same["context"].get_group(),
            reshard=plan.reshard,
            talk_group=dist.new_group(backend="fake" if dist.get_backend() == "fake" else "gloo"),  # in a fake group nobody is there to be met
        )

    @property
    def num_stages(self) -> int:
        """Of the pipeline."""
        return 1 if self.mesh is None else self.mesh["pipe"].size()

    @property
    def pipe_group(self) -> Any:
        """The stages of one pipeline, in order."""
        assert self.mesh is not None
        return self.mesh["pipe"].get_group()

    def most(self, value: int) -> int:
        """The largest value that any rank says."""
        if self.num_ranks == 1:
            return value
        said = torch.tensor([value])
        dist.all_reduce(said, dist.ReduceOp.MAX, group=self.talk_group)
        return int(said)

    def from_first(self, value: Value) -> Value:
        """What the first rank says, on all of them."""
        if self.num_ranks == 1:
            return value
        said = [value]
        dist.broadcast_object_list(said, src=0, group=self.talk_group)
        return said[0]

    def sum_over_data(self, value: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        """The sum over data ranks, with its gradient."""
        return _Sum.apply(value, self.data_group) if self.num_data > 1 else value

    def check_replicas(self, named: Sequence[tuple[str, Tensor]]) -> None:
        """Raises, on all ranks, where copies of a tensor differ in any bit: memory or a processor has failed, or the copies took other steps."""
        if self.mesh is None or self.mesh["replicate"].size() == 1:
            return
        sums = torch.stack([_bit_sum(value) for _, value in named])
        group = self.mesh["replicate"].get_group()
        every = [torch.empty_like(sums) for _ in range(dist.get_world_size(group))]
        dist.all_gather(every, sums, group=group)
        wrong = [name for number, (name, _) in enumerate(named) if len({int(one[number]) for one in every}) > 1]
        if self.most(len(wrong)):
            where = ", ".join(wrong[:5]) or "parts of the weights that other ranks hold"
            raise ReplicasDiffer(f"rank {self.rank}: replicas differ in {where}; start again from the last snapshot, and suspect the machine")


class ReplicasDiffer(RuntimeError):
    """Copies of the same weights are not the same."""


def _bit_sum(value: Tensor) -> Int64[Tensor, ""]:
    """A sum that no single wrong bit leaves as it was."""
    flat = local(value.detach()).reshape(-1)
    return flat.view({1: torch.uint8, 2: torch.int16}.get(flat.element_size(), torch.int32)).sum(dtype=torch.int64)


def local(value: Tensor) -> Tensor:
    """This rank's part of a tensor, which shares its memory."""
    return value.to_local() if isinstance(value, DTensor) else value


class WholeBatch:
    """What losses must know of the samples of other data ranks, without a gradient: a few numbers travel, whatever the batch. Alone: nothing."""

    def __init__(self, ranks: Ranks, clock: RunClock | None = None) -> None:
        self.ranks, self.clock = ranks, clock

    def total(self, value: Shaped[Tensor, "*any"]) -> Shaped[Tensor, "*any"]:
        """The sum over ranks."""
        if self.ranks.num_data == 1:
            return value
        value = value.detach().clone()
        with self._talking():
            dist.all_reduce(value, group=self.ranks.data_group)
        return value

    def rows(self, value: Shaped[Tensor, "b *any"]) -> Shaped[Tensor, "whole *any"]:
        """Those of all ranks, which bring equally many."""
        if self.ranks.num_data == 1:
            return value
        every = [torch.empty_like(value) for _ in range(self.ranks.num_data)]
        with self._talking():
            dist.all_gather(every, value.detach().contiguous(), group=self.ranks.data_group)
        return torch.cat(every)

    def _talking(self) -> AbstractContextManager[None]:
        return nullcontext() if self.clock is None else self.clock.during("communication")


ALONE = WholeBatch(Ranks())


class _Sum(torch.autograd.Function):
    """Every rank uses the sum, so the gradient of a term is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, group: Any) -> Tensor:
        ctx.group = group
        value = value.clone()
        dist.all_reduce(value, group=group)
        return value

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        grad = grad.clone()
        dist.all_reduce(grad, group=ctx.group)
        return grad, None

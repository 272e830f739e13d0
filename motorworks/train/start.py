"""A model that is built on `meta`, cut, and only then filled, a tensor at a time: what a rank holds is never more than its part and one tensor.

The first rank's whole model is on its host's memory and is the truth, so the bits are those of a whole start, whatever they were made from; the
other ranks may have it on `meta`. Thin: 72B in fp32 are 290 GB there.
"""

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

from motorworks.models.config import ModelConfig
from motorworks.models.driving_model import DrivingModel
from motorworks.models.parallel_plan import stage_of
from motorworks.train.ranks import Ranks, local


def on_meta(config: ModelConfig) -> DrivingModel:
    """The member without values."""
    with torch.device("meta"):
        return DrivingModel(config, pretrained=False)


@torch.no_grad()
def fill(wrapped: nn.Module, cut: DrivingModel, whole: DrivingModel, ranks: Ranks, device: str) -> None:
    """Gives `cut`, inside `wrapped`, room on `device` and the values of the first rank's `whole`, buffers that are not saved included."""
    wrapped.to_empty(device=device)
    mine = {**dict(cut.named_parameters()), **dict(cut.named_buffers())}
    for name, value in (*whole.named_parameters(), *whole.named_buffers()):
        full = torch.empty(value.shape, dtype=value.dtype, device=device)
        if ranks.rank == 0:
            full.copy_(value)
        dist.broadcast(full, 0)
        if name in mine:
            local(mine[name]).copy_(_part(full, mine[name]))


@torch.no_grad()
def collect(cut: DrivingModel, whole: DrivingModel, ranks: Ranks) -> None:
    """Gives `whole` the values of `cut` again; where it is on `meta`, only helps."""
    mine = cut.state_dict()
    for name, value in whole.state_dict().items():
        full = mine.get(name, value)
        if isinstance(full, DTensor):
            full = full.full_tensor()
        if ranks.num_stages > 1 and (stage := stage_of(name, whole.config.depth, ranks.num_stages)) is not None:
            full = full if name in mine else torch.empty(value.shape, dtype=value.dtype, device=ranks.mesh.device_type)
            dist.broadcast(full, dist.get_global_rank(ranks.pipe_group, stage), group=ranks.pipe_group)
        if not value.is_meta:
            value.copy_(full)


def _part(full: Tensor, like: Tensor) -> Tensor:
    """What this rank holds of a tensor; parts are slices, also where FSDP cuts what a tensor cut has cut."""
    if not isinstance(like, DTensor):
        return full
    shape, offset = compute_local_shape_and_global_offset(full.shape, like.device_mesh, like.placements)
    return full[tuple(slice(start, start + num) for start, num in zip(offset, shape, strict=True))]

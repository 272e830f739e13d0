"""Context parallelism: the tokens of the decoder's sequence cut over ranks, keys and values gathered (as Llama 3, arXiv 2407.21783, 3.3.2).

What lies before and behind the decoder is computed by every rank of the group alike, so its gradient is whole on each; a block's gradient is of
its own tokens. FSDP takes the mean over these ranks too, so what enters the blocks from behind is multiplied by their number, and what leaves
them in front divided: then the mean is right for both. Thin: parts are contiguous, so the last rank would have most to do where masks are skipped.
"""

from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

from motorworks.models.attention import CUT
from motorworks.models.driving_model import DrivingModel


class Chain:
    """The ranks of one sequence. A sequence that does not divide is padded at its end, where causal attention does not look."""

    def __init__(self, group: Any) -> None:
        self.group, self.rank, self.num = group, dist.get_rank(group), dist.get_world_size(group)
        self._length = 0

    def first(self, num: int) -> int:
        """The position of our first token."""
        return self.rank * num

    def every(self, part: Float[Tensor, "b head mine d"]) -> Float[Tensor, "b head all d"]:
        """Keys or values of the whole sequence."""
        return _Every.apply(part, self.group)

    def enter(self, decoder: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Before the decoder: our tokens and their positions."""
        embeds = kwargs["inputs_embeds"]
        self._length = embeds.shape[1]
        mine = -(-self._length // self.num)
        padded = torch.nn.functional.pad(embeds, (0, 0, 0, mine * self.num - self._length))
        place = torch.arange(self.first(mine), self.first(mine) + mine, device=embeds.device)[None]
        return args, {**kwargs, "inputs_embeds": _Cut.apply(padded, self.group), "position_ids": place}

    def leave(self, decoder: Any, args: tuple[Any, ...], output: Any) -> Any:
        """Behind it: the states of all tokens."""
        output.last_hidden_state = _Joined.apply(output.last_hidden_state, self.group)[:, : self._length]
        return output


def cut_sequence(model: DrivingModel, group: Any) -> None:
    """Cuts the decoder's sequence over the ranks of `group`, in place; refuses what goes on from a remembered sequence."""
    if dist.get_world_size(group) == 1:
        return
    decoder, chain = model.backbone.decoder, Chain(group)
    if getattr(decoder.config, "sliding_window", None):
        raise ValueError("ParallelPlan.context needs a decoder that looks at the whole sequence: this one has a sliding window")
    decoder.config._attn_implementation = CUT
    for layer in decoder.layers:
        layer.self_attn.neighbours = chain
    decoder.register_forward_pre_hook(chain.enter, with_kwargs=True)
    decoder.register_forward_hook(chain.leave)


def _gathered(part: Tensor, group: Any, dim: int) -> Tensor:
    part = part.contiguous()
    every = [torch.empty_like(part) for _ in range(dist.get_world_size(group))]
    dist.all_gather(every, part, group=group)
    return torch.cat(every, dim=dim)


class _Every(torch.autograd.Function):
    """Every rank's queries look at all keys, so the gradient of ours is the sum of what all found: gather, and back reduce-scatter."""

    @staticmethod
    def forward(ctx: Any, part: Tensor, group: Any) -> Tensor:
        ctx.group = group
        return _gathered(part, group, dim=2)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        parts = [one.contiguous() for one in grad.chunk(dist.get_world_size(ctx.group), dim=2)]
        mine = torch.empty_like(parts[0])
        dist.reduce_scatter(mine, parts, group=ctx.group)
        return mine, None


class _Cut(torch.autograd.Function):
    """Our tokens; their gradients are on their ranks, and are gathered for what lies in front (and divided, see above)."""

    @staticmethod
    def forward(ctx: Any, whole: Tensor, group: Any) -> Tensor:
        ctx.group = group
        return whole.chunk(dist.get_world_size(group), dim=1)[dist.get_rank(group)].contiguous()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _gathered(grad, ctx.group, dim=1) / dist.get_world_size(ctx.group), None


class _Joined(torch.autograd.Function):
    """The states of all; every rank finds the same gradient of them, so its own part is a slice (and multiplied, see above)."""

    @staticmethod
    def forward(ctx: Any, part: Tensor, group: Any) -> Tensor:
        ctx.group = group
        return _gathered(part, group, dim=1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        num = dist.get_world_size(ctx.group)
        return grad.chunk(num, dim=1)[dist.get_rank(ctx.group)] * num, None

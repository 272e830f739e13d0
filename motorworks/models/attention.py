"""Attention behind one door, for the eye, the action expert and a decoder whose sequence is cut over ranks.

torch's SDPA, which on a GPU takes its flash kernels where there is no mask. A rule by position needs a mask there, so on CUDA FlexAttention
computes only what the rule leaves (He et al. 2024, arXiv 2412.05496); on a CPU it has no backward pass. Whole decoders call the same SDPA
through transformers. Sequences are not packed, so varlen kernels have nothing to do. Thin: Flex has not run on hardware here.
"""

from functools import cache
from typing import Any, Protocol

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AttentionInterface, AttentionMaskInterface

CUT = "motorworks-cut"  # the name of `cut_attention` among transformers' attentions


def attend(
    query: Float[Tensor, "b head q d"],
    key: Float[Tensor, "b kv_head k d"],
    value: Float[Tensor, "b kv_head k d"],
    *,
    first: int | None = None,
    scale: float | None = None,
) -> Float[Tensor, "b head q d"]:
    """Every query over every key; with `first`, causal: query number q stands at `first + q` of the sequence whose keys are all here."""
    grouped = query.shape[1] != key.shape[1]
    if first is None:
        return F.scaled_dot_product_attention(query, key, value, scale=scale, enable_gqa=grouped)
    if query.device.type == "cuda":
        flex, rule = _flex(first, query.shape[2], key.shape[2], query.device)
        return flex(query, key, value, block_mask=rule, scale=scale, enable_gqa=grouped)
    here, there = torch.arange(query.shape[2], device=query.device), torch.arange(key.shape[2], device=query.device)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=there <= first + here[:, None], scale=scale, enable_gqa=grouped)


@cache
def _flex(first: int, queries: int, keys: int, device: torch.device) -> tuple[Any, Any]:
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    rule = create_block_mask(lambda batch, head, q, k: k <= first + q, None, None, queries, keys, device=device)
    return torch.compile(flex_attention), rule


class Neighbours(Protocol):
    """Who holds the rest of a cut sequence."""

    def first(self, num: int) -> int:
        """The position of the first of our `num` tokens."""
        ...

    def every(self, part: Float[Tensor, "b head mine d"]) -> Float[Tensor, "b head all d"]:
        """The parts of all, in order, with their gradients."""
        ...


def cut_attention(
    module: nn.Module,
    query: Float[Tensor, "b head mine d"],
    key: Float[Tensor, "b kv_head mine d"],
    value: Float[Tensor, "b kv_head mine d"],
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **_: Any,
) -> tuple[Float[Tensor, "b mine head d"], None]:
    """What a decoder block calls whose tokens are a part of the sequence: keys and values of all, as in Llama 3 (arXiv 2407.21783, 3.3.2).
    `module.neighbours` holds the rest; the mask is made here, by position."""
    around: Neighbours = module.neighbours
    out = attend(query, around.every(key), around.every(value), first=around.first(query.shape[2]), scale=scaling)
    return out.transpose(1, 2).contiguous(), None


AttentionInterface.register(CUT, cut_attention)
AttentionMaskInterface.register(CUT, lambda *_, **__: None)

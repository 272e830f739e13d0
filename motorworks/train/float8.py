"""Linears whose products are of 8-bit floats: e4m3 forward, e5m2 for gradients (Micikevicius et al. 2022, arXiv 2209.05433).

One scale a tensor, found anew each time (dynamic per-tensor scaling, as torchao's default recipe). Weights stay what they are, and are rounded
when they are used. `torch._scaled_mm` multiplies on a GPU; on a CPU the rounded numbers are multiplied in fp32, which is what the tests compare.
Thin: it has not run on hardware here, and amax of a weight is found by every rank on what FSDP gathered.
"""

from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

MULTIPLE = 16  # of rows and columns that the hardware's product wants
FORWARD, BACKWARD = torch.float8_e4m3fn, torch.float8_e5m2


def check_float8(device: str, *, tensor: int = 1) -> None:
    """ValueError where the hardware has no product of 8-bit floats, or matrices are cut over `tensor` ranks."""
    if tensor > 1:
        raise ValueError(f"FitConfig.float8 multiplies whole matrices, and ParallelPlan.tensor {tensor} cuts them: leave one of them out")
    kind = torch.device(device).type
    if kind != "cuda" or torch.cuda.get_device_capability(device) < (8, 9):
        what = f"a GPU of compute capability {torch.cuda.get_device_capability(device)}" if kind == "cuda" else f"the device {device!r}"
        raise ValueError(f"FitConfig.float8 needs a GPU of compute capability 8.9 or more (Ada, Hopper), not {what}: leave it false")


def big_linears(blocks: Iterable[nn.Module]) -> list[nn.Linear]:
    """Those inside blocks whose sides the hardware takes."""
    linears = (module for block in blocks for module in block.modules() if isinstance(module, nn.Linear))
    return [one for one in linears if one.in_features % MULTIPLE == 0 and one.out_features % MULTIPLE == 0]


def in_float8(linear: nn.Linear, *, emulated: bool = False) -> Any:
    """What stands in for its forward."""
    return partial(_linear, linear, emulated=emulated)


def _linear(linear: nn.Linear, x: Float[Tensor, "*batch n"], *, emulated: bool) -> Float[Tensor, "*batch m"]:
    dtype = torch.get_autocast_dtype(x.device.type) if torch.is_autocast_enabled(x.device.type) else x.dtype
    rows = x.reshape(-1, x.shape[-1]).to(dtype)
    out = _Product.apply(rows, linear.weight.to(dtype), emulated)
    out = out if linear.bias is None else out + linear.bias.to(dtype)
    return out.unflatten(0, x.shape[:-1])


def rounded(x: Float[Tensor, "m n"], dtype: torch.dtype) -> tuple[Tensor, Float[Tensor, ""]]:
    """The 8-bit numbers, the largest of which is the largest there is, and what to multiply them by."""
    most = torch.finfo(dtype).max
    x = x.detach().float()
    scale = x.abs().amax().clamp(min=1e-12) / most
    return (x / scale).clamp(-most, most).to(dtype), scale


def product(a: Tensor, a_scale: Tensor, b: Tensor, b_scale: Tensor, *, dtype: torch.dtype, emulated: bool) -> Float[Tensor, "m k"]:
    """`a [m, n] @ b [n, k]` of 8-bit numbers."""
    if emulated:
        return ((a.float() @ b.float()) * (a_scale * b_scale)).to(dtype)
    b = b.t().contiguous().t()  # the hardware reads the second by columns
    return torch._scaled_mm(a.contiguous(), b, scale_a=a_scale, scale_b=b_scale, out_dtype=dtype)


class _Product(torch.autograd.Function):
    """Rows times the transposed weight; both products of the backward pass take the gradient in e5m2."""

    @staticmethod
    def forward(ctx: Any, x: Float[Tensor, "r n"], weight: Float[Tensor, "m n"], emulated: bool) -> Float[Tensor, "r m"]:
        ctx.num, ctx.emulated = len(x), emulated
        (x8, x_scale), (w8, w_scale) = rounded(_filled(x), FORWARD), rounded(weight, FORWARD)
        ctx.save_for_backward(x8, x_scale, w8, w_scale)
        return product(x8, x_scale, w8.t(), w_scale, dtype=x.dtype, emulated=emulated)[: ctx.num]

    @staticmethod
    def backward(ctx: Any, grad: Float[Tensor, "r m"]) -> tuple[Tensor, Tensor, None]:
        x8, x_scale, w8, w_scale = ctx.saved_tensors
        g8, g_scale = rounded(_filled(grad), BACKWARD)
        to_x = product(g8, g_scale, w8, w_scale, dtype=grad.dtype, emulated=ctx.emulated)[: ctx.num]
        return to_x, product(g8.t(), g_scale, x8, x_scale, dtype=grad.dtype, emulated=ctx.emulated), None


def _filled(x: Float[Tensor, "r n"]) -> Float[Tensor, "more n"]:
    """With rows of zeros up to a multiple."""
    return F.pad(x, (0, 0, 0, -len(x) % MULTIPLE))

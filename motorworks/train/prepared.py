"""How a model runs for the time of a fit: compiled, in 8-bit floats, without kept activations, with the attention that is fastest there."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint

from motorworks.models.config import ModelConfig
from motorworks.models.driving_model import DrivingModel
from motorworks.models.parallel_plan import blocks_of
from motorworks.train.fit_config import FitConfig
from motorworks.train.float8 import big_linears, in_float8

SHORT_TOKENS = 256  # up to here keeping the scores of attention costs less than the CPU's flash kernel, which computes them again


@contextmanager
def prepared(model: DrivingModel, config: FitConfig, *, device: str = "cpu", cut: bool = False) -> Iterator[None]:
    """Inside, `model` runs as the config asks, by blocks where it is `cut` over ranks; afterwards it is as it was."""
    blocks = blocks_of(model)
    with ExitStack() as stack:
        if plain_attention(model.config, config, device):
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        if config.float8:
            for linear in big_linears(blocks):
                _run_as(stack, linear, in_float8(linear))
        if config.recompute:
            for block in blocks:
                _run_as(stack, block, partial(checkpoint, block.forward, use_reentrant=False))
        if config.compile:
            stack.callback(torch.compiler.reset)  # eight versions of a function is all that a process may compile: the next fit has its own
            if cut:  # FSDP gathers one block after the other
                for block in blocks:
                    block.compile()
                    stack.callback(setattr, block, "_compiled_call_impl", None)
            else:
                _run_as(stack, model.vision, _of_any_number(torch.compile(model.vision.forward)))
                _run_as(stack, model.backbone, torch.compile(model.backbone.forward, dynamic=False))
        yield


def plain_attention(model: ModelConfig, config: FitConfig, device: str) -> bool:
    """Whether attention is two matrix products and a softmax instead of torch's fused kernel. On a CPU that kernel's backward pass is some
    six times slower in bf16 than in fp32 (docs/training.md); the plain one multiplies in fp32."""
    short = max(model.num_patches, model.num_full_tokens + 2 * model.num_knots) <= SHORT_TOKENS
    return torch.device(device).type == "cpu" and config.precision == "bf16" and short


def _of_any_number(see: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The eye sees another number of images in every step: one program for all of them, and one without gradients."""

    def forward(images: Tensor, cameras: Tensor | None = None) -> Tensor:
        for value in (images,) if cameras is None else (images, cameras):
            torch._dynamo.maybe_mark_dynamic(value, 0)
        return see(images, cameras)

    return forward


def _run_as(stack: ExitStack, module: nn.Module, forward: Callable[..., Tensor]) -> None:
    """Until the stack is left."""
    module.forward = forward  # type: ignore[method-assign]
    stack.callback(delattr, module, "forward")

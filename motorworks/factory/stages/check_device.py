"""Is the device there that a recipe was written for? The first step of such a recipe, so that it is refused at once, not in its third stage."""

from dataclasses import dataclass
from typing import Any

from motorworks.factory.artifact import Inputs
from motorworks.factory.errors import StageFailed
from motorworks.factory.step import Output


@dataclass(frozen=True, kw_only=True)
class CheckDeviceConfig:
    """`instead` is the command that runs the same chain without the device."""

    device: str
    instead: str
    threads: int = 2


def run(config: CheckDeviceConfig, inputs: Inputs, out: Output) -> None:
    """Leaves nothing but its record: the device, its memory, and the fastest matrix products it does now."""
    import torch

    from motorworks.train.peak import measure_gemm_flops

    facts: dict[str, Any] = {"device": config.device}
    if torch.device(config.device).type == "cuda":
        if lacking := lacking_for_cuda():
            raise StageFailed(f"this recipe is for a GPU, and {'; '.join(lacking)}. The same chain, small, on a CPU: {config.instead}")
        card = torch.cuda.get_device_properties(config.device)
        facts |= {"card": card.name, "memory_gb": card.total_memory / 1e9, "num_cards": torch.cuda.device_count(), "cuda": torch.version.cuda}
    for name, dtype in (("bf16", torch.bfloat16), ("fp32", torch.float32)):
        facts[f"peak_gemm_{name}_flops"] = measure_gemm_flops(threads=config.threads, device=config.device, dtype=dtype)
    out.record(**facts)


def lacking_for_cuda() -> list[str]:
    """What torch and numba lack to use a GPU here; nothing, where both can."""
    import torch
    from numba import cuda

    lacking = []
    if not torch.cuda.is_available():
        lacking.append(f"torch {torch.__version__} finds none" + ("" if torch.version.cuda else " (it was built without CUDA)"))
    if not cuda.is_available():
        lacking.append("numba finds none (the town needs pip install 'motorworks[cuda]')")
    return lacking

"""How a member may be cut over ranks, as data: which modules are gathered as one, and which matrices are cut by columns or by rows.

`train.parallel` acts on it, and `train.planner` counts by it, without torch; the modules themselves know nothing of it. Names are those of
`named_modules`, `*` stands for one part.
"""

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal

from motorworks.models.config import ModelConfig

if TYPE_CHECKING:
    from torch import nn

Cut = Literal["column", "row"]

BLOCKS = ("backbone.decoder.layers.*", "vision.blocks.*", "vision.resampler.*")

# A pair of matrices with what lies between them cut by heads or by hidden units: columns in, rows out, one sum over ranks (Shoeybi et al.
# 2019, arXiv 1909.08053). The eye's attention stays whole: its fused key_value has both halves in one matrix.
TENSOR_CUTS: dict[str, Cut] = {
    "backbone.decoder.layers.*.self_attn.q_proj": "column",
    "backbone.decoder.layers.*.self_attn.k_proj": "column",
    "backbone.decoder.layers.*.self_attn.v_proj": "column",
    "backbone.decoder.layers.*.self_attn.o_proj": "row",
    "backbone.decoder.layers.*.mlp.gate_proj": "column",
    "backbone.decoder.layers.*.mlp.up_proj": "column",
    "backbone.decoder.layers.*.mlp.down_proj": "row",
    "vision.blocks.*.mlp.0": "column",
    "vision.blocks.*.mlp.2": "row",
    "vision.resampler.*.mlp.0": "column",
    "vision.resampler.*.mlp.2": "row",
}


def blocks_of(model: "nn.Module") -> list["nn.Module"]:
    """The blocks, in the order they are called."""
    named = ((name, module) for name, module in model.named_modules() if any(_matches(name, pattern) for pattern in BLOCKS))
    return [module for _, module in named if next(module.parameters(), None) is not None]  # in a pipeline some are elsewhere


def tensor_cuts(model: "nn.Module") -> dict[str, Cut]:
    """The matrices that are cut, by their full names."""
    names = [name for name, _ in model.named_modules()]
    return {name: cut for pattern, cut in TENSOR_CUTS.items() for name in names if _matches(name, pattern)}


def stage_of(name: str, depth: int, num_stages: int) -> int | None:
    """The stage of a pipeline that holds a module or a weight of it; None: all do. Blocks go in order, the last norm with the last."""
    if name.startswith("backbone.decoder.norm"):
        return num_stages - 1
    if not name.startswith("backbone.decoder.layers."):
        return None
    return int(name.split(".")[3]) * num_stages // depth


def check_tensor_size(config: ModelConfig, size: int) -> None:
    """Raises where a matrix cannot be cut into `size` equal parts."""
    if odd := indivisible(config, size):
        raise ValueError(f"tensor {size} must divide {', '.join(odd)} of this member: choose a smaller ParallelPlan.tensor")


def indivisible(config: ModelConfig, size: int) -> list[str]:
    """Of what is cut, by name and number, all that has no `size` equal parts."""
    cut = {"heads": config.heads, "kv_heads": config.kv_heads, "mlp_dim": config.mlp_dim, "vision_dim": config.vision_dim}
    return [f"{name} {number}" for name, number in cut.items() if number % size]


def _matches(name: str, pattern: str) -> bool:
    return name.count(".") == pattern.count(".") and fnmatchcase(name, pattern)

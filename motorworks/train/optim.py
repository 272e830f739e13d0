"""The optimisers and their schedule: Muon for the matrices inside blocks, AdamW for the rest; a linear warm-up, then a cosine."""

import math

import torch
from torch import nn

from motorworks.models.driving_model import DrivingModel


def optimisers(model: DrivingModel, *, lr: float, weight_decay: float, muon: bool = True) -> list[torch.optim.Optimizer]:
    """Fused AdamW, of which only matrices decay, never norms, biases or positions; and Muon (Jordan et al. 2024,
    https://kellerjordan.github.io/posts/muon), scaled so that both take the same rate (Liu et al. 2025, arXiv 2502.16982).
    It brings the student as far in half the steps (docs/log.md).
    """
    matrices = {id(module.weight): module.weight for module in model.modules() if isinstance(module, nn.Linear) and module.weight.requires_grad}
    inside = (model.vision.blocks, model.vision.resampler, model.backbone)
    hidden = {id(weight) for part in inside for weight in part.parameters() if id(weight) in matrices} if muon else set()
    rest = [value for value in model.parameters() if value.requires_grad and id(value) not in hidden]
    groups = [
        {"params": [value for value in rest if id(value) in matrices], "weight_decay": weight_decay},
        {"params": [value for value in rest if id(value) not in matrices], "weight_decay": 0.0},
    ]
    found: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98), fused=True)]
    if hidden:
        inner = [matrices[key] for key in matrices if key in hidden]
        found.append(torch.optim.Muon(inner, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"))
    return found


def learning_rate(step: int, *, steps: int, lr: float, warmup_frac: float, final_frac: float) -> float:
    """The rate of a step: up to `lr` over the warm-up, then down a half cosine to `final_frac * lr`."""
    warmup = max(1, round(steps * warmup_frac))
    if step < warmup:
        return lr * (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return lr * (final_frac + (1 - final_frac) * (1 + math.cos(math.pi * done)) / 2)

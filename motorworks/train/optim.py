"""The optimiser and its schedule: AdamW, a linear warm-up, then a cosine."""

import math

import torch
from torch import nn


def adamw(model: nn.Module, *, lr: float, weight_decay: float) -> torch.optim.AdamW:
    """Fused AdamW; only matrices decay, never norms, biases or positions."""
    decayed = {id(module.weight) for module in model.modules() if isinstance(module, nn.Linear)}
    groups = [
        {"params": [value for value in model.parameters() if value.requires_grad and id(value) in decayed], "weight_decay": weight_decay},
        {"params": [value for value in model.parameters() if value.requires_grad and id(value) not in decayed], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98), fused=True)


def learning_rate(step: int, *, steps: int, lr: float, warmup_frac: float, final_frac: float) -> float:
    """The rate of a step: up to `lr` over the warm-up, then down a half cosine to `final_frac * lr`."""
    warmup = max(1, round(steps * warmup_frac))
    if step < warmup:
        return lr * (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return lr * (final_frac + (1 - final_frac) * (1 + math.cos(math.pi * done)) / 2)

"""The optimisers and their schedule: Muon for the matrices inside blocks, AdamW for the rest; a linear warm-up, then a cosine."""

import math
from collections import defaultdict

import torch
from jaxtyping import Float
from torch import Tensor, nn

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
        found.append(BatchedMuon(inner, lr=lr, weight_decay=weight_decay))
    return found


class BatchedMuon(torch.optim.Muon):
    """torch.optim.Muon, its rate matched to AdamW's, with the matrices of one shape taken together: a small model has many small ones, and
    their calls cost more than their arithmetic. In fp32 on a CPU, where bf16 may be emulated."""

    def __init__(self, params: list[nn.Parameter], *, lr: float, weight_decay: float) -> None:
        super().__init__(params, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of every matrix that has a gradient."""
        for group in self.param_groups:
            alike: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for value in group["params"]:
                if value.grad is not None:
                    alike[value.shape].append(value)
            for shape, values in alike.items():
                grads = [value.grad for value in values]
                for value in values:
                    if "momentum_buffer" not in self.state[value]:
                        self.state[value]["momentum_buffer"] = torch.zeros_like(value)
                momenta = [self.state[value]["momentum_buffer"] for value in values]
                torch._foreach_lerp_(momenta, grads, 1 - group["momentum"])
                moved = torch._foreach_lerp(grads, momenta, group["momentum"]) if group["nesterov"] else momenta
                turned = orthogonal(torch.stack(moved), steps=group["ns_steps"], coefficients=group["ns_coefficients"], eps=group["eps"])
                torch._foreach_mul_(values, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(values, turned.to(values[0].dtype).unbind(), alpha=-group["lr"] * 0.2 * math.sqrt(max(shape)))


def orthogonal(matrices: Float[Tensor, "k m n"], *, steps: int, coefficients: tuple[float, float, float], eps: float) -> Float[Tensor, "k m n"]:
    """The nearest matrices with singular values near 1, by quintic Newton-Schulz iterations (as torch.optim.Muon)."""
    a, b, c = coefficients
    x = matrices.float() if matrices.device.type == "cpu" else matrices.bfloat16()
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def learning_rate(step: int, *, steps: int, lr: float, warmup_frac: float, final_frac: float) -> float:
    """The rate of a step: up to `lr` over the warm-up, then down a half cosine to `final_frac * lr`."""
    warmup = max(1, round(steps * warmup_frac))
    if step < warmup:
        return lr * (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return lr * (final_frac + (1 - final_frac) * (1 + math.cos(math.pi * done)) / 2)

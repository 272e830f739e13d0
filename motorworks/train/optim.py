"""The optimisers and their schedule: Muon for the matrices inside blocks, AdamW for the rest; a linear warm-up, then a cosine."""

import math
from collections import defaultdict
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, Replicate

from motorworks.models.driving_model import DrivingModel
from motorworks.train.ranks import local


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
        {"params": alike, "weight_decay": decay}
        for inside, decay in ((True, weight_decay), (False, 0.0))
        for alike in _by_mesh([value for value in rest if (id(value) in matrices) == inside])
    ]
    found: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98), fused=True)]
    if hidden:
        inner = [matrices[key] for key in matrices if key in hidden]
        found.append(BatchedMuon(inner, lr=lr, weight_decay=weight_decay))
    return found


class BatchedMuon(torch.optim.Muon):
    """torch.optim.Muon, its rate matched to AdamW's, with the matrices of one shape taken together: a small model has many small ones, and
    their calls cost more than their arithmetic. In fp32 on a CPU, where bf16 may be emulated. A matrix that is cut over ranks is put together
    for the turn: thin, since every rank turns all of them instead of each its share."""

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
                grads = [local(value.grad) for value in values]
                for value in values:
                    if "momentum_buffer" not in self.state[value]:
                        self.state[value]["momentum_buffer"] = torch.zeros_like(value)
                momenta = [local(self.state[value]["momentum_buffer"]) for value in values]
                torch._foreach_lerp_(momenta, grads, 1 - group["momentum"])
                moved = torch._foreach_lerp(grads, momenta, group["momentum"]) if group["nesterov"] else momenta
                whole = torch.stack([_whole(part, value) for part, value in zip(moved, values, strict=True)])
                turned = orthogonal(whole, steps=group["ns_steps"], coefficients=group["ns_coefficients"], eps=group["eps"])
                parts = [_part(one, value) for one, value in zip(turned.to(values[0].dtype).unbind(), values, strict=True)]
                mine = [local(value) for value in values]
                torch._foreach_mul_(mine, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(mine, parts, alpha=-group["lr"] * 0.2 * math.sqrt(max(shape)))


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


def _by_mesh(values: list[Tensor]) -> list[list[Tensor]]:
    """Tensors that one call can take together: a mesh each, one list where nothing is cut."""
    found: dict[Any, list[Tensor]] = defaultdict(list)
    for value in values:
        found[value.device_mesh if isinstance(value, DTensor) else None].append(value)
    return list(found.values()) or [[]]


def _whole(part: Tensor, like: Tensor) -> Tensor:
    if not isinstance(like, DTensor):
        return part
    return DTensor.from_local(part, like.device_mesh, like.placements, run_check=False, shape=like.shape, stride=like.stride()).full_tensor()


def _part(whole: Tensor, like: Tensor) -> Tensor:
    if not isinstance(like, DTensor):
        return whole
    mesh = like.device_mesh
    return DTensor.from_local(whole, mesh, [Replicate()] * mesh.ndim, run_check=False).redistribute(mesh, like.placements).to_local()


def learning_rate(step: int, *, steps: int, lr: float, warmup_frac: float, final_frac: float) -> float:
    """The rate of a step: up to `lr` over the warm-up, then down a half cosine to `final_frac * lr`."""
    warmup = max(1, round(steps * warmup_frac))
    if step < warmup:
        return lr * (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return lr * (final_frac + (1 - final_frac) * (1 + math.cos(math.pi * done)) / 2)

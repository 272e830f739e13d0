"""One step of learning: forward, backward and, if the step is kept, the update. On one process or, cut, on many."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from motorworks.models.config import ModelConfig
from motorworks.models.driving_model import DrivingModel
from motorworks.train.batch import Batch
from motorworks.train.clock import RunClock
from motorworks.train.fit_config import FitConfig, LossWeights
from motorworks.train.head_losses import GateLoss, LatentLoss, head_losses
from motorworks.train.losses import LanguageLoss, Loss, RoadLoss, WorldLoss
from motorworks.train.optim import learning_rate, optimisers
from motorworks.train.parallel import clip_gradients, parallelise
from motorworks.train.ranks import Ranks, WholeBatch
from motorworks.train.start import fill


class Learner:
    """A model in training; it is cut in place where there are several ranks, and then, where it was built on `meta`, filled from `start`."""

    def __init__(
        self,
        model: DrivingModel,
        config: FitConfig,
        ranks: Ranks,
        device: str,
        extra: Sequence[tuple[float, Loss]] = (),
        *,
        start: DrivingModel | None = None,
    ) -> None:
        self.model, self.config, self.ranks, self.device = model.train(), config, ranks, device
        quiet = replace(config.losses, language=0.0, reasoned=0.0, latent=0.0, gate=0.0)
        self._thinking, self._quick = ([*weighted_losses(weights, model.config), *extra] for weights in (config.losses, quiet))
        self._seeing = parallelise(model, ranks, precision=config.precision, parts=config.accumulate)
        if start is not None:
            fill(self._seeing, model, start, ranks, device)
        self.steppers = optimisers(model, lr=config.lr, weight_decay=config.weight_decay, muon=config.muon)
        self._before: tuple[list[Tensor], list[Tensor]] = [], []

    def thinks(self, step: int) -> bool:
        """Whether the words of the thought are taught in this step."""
        return thinks(self.config.losses) and step % self.config.think_every == 0

    def gradients(self, batch: Batch, step: int, clock: RunClock) -> dict[str, float]:
        """Leaves clipped gradients; the row of the curve. The weights stand still."""
        if self.config.faults.skips:
            self._before = [value.clone() for value in self.model.buffers()], _random_states(self.device)
        thought = self.thinks(step)
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=self.config.precision == "bf16"):
            output, ahead, _ = self._seeing(batch, thought=thought)
        batch = replace(batch, next_latents=ahead[:, 0], later_latents=ahead[:, 1:])
        whole = WholeBatch(self.ranks, clock)
        total, parts = torch.zeros((), device=self.device), {}
        for weight, loss in self._thinking if thought else self._quick:
            value, named = loss(output, batch, whole)
            total, parts = total + weight * value, {**parts, **named}
        for stepper in self.steppers:
            stepper.zero_grad(set_to_none=True)
        # FSDP takes the mean over data ranks of gradients of what is each rank's share of one sum
        (total * self.ranks.num_data if self.ranks.num_data > 1 else total).backward()
        staged, group = (self.model.backbone.parameters(), self.ranks.pipe_group) if self.ranks.num_stages > 1 else ((), None)
        norm = clip_gradients(self.model.parameters(), self.config.grad_clip, staged=staged, pipe_group=group)
        loss, *said = whole.total(torch.stack([total.detach(), *(value.float() for value in parts.values())])).tolist()  # waits for the device
        return {"loss": loss, "grad_norm": float(norm), **dict(zip(parts, said, strict=True))}

    def update(self, step: int) -> float:
        """Takes the step; returns its rate."""
        config = self.config
        lr = learning_rate(step, steps=config.steps, lr=config.lr, warmup_frac=config.warmup_frac, final_frac=config.final_lr_frac)
        for stepper in self.steppers:
            for group in stepper.param_groups:
                group["lr"] = lr
            stepper.step()
        return lr

    def forget(self) -> None:
        """Leaves the step out: what the forward pass had moved, the running statistics of the eye and the random numbers, goes back."""
        buffers, (on_cpu, *on_gpu) = self._before
        for value, before in zip(self.model.buffers(), buffers, strict=True):
            value.copy_(before)
        torch.set_rng_state(on_cpu)
        for state in on_gpu:
            torch.cuda.set_rng_state(state)


def _random_states(device: str) -> list[Tensor]:
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state()] if torch.device(device).type == "cuda" else [])]


def thinks(weights: LossWeights) -> bool:
    """Whether any loss needs the thought."""
    return weights.language + weights.reasoned + weights.latent + weights.gate > 0


def weighted_losses(weights: LossWeights, model: ModelConfig) -> list[tuple[float, Loss]]:
    """Those that count, each with its weight."""
    every: list[tuple[float, Loss]] = [
        *((weights.action, loss) for loss in head_losses(model)),
        *((weights.reasoned, loss) for loss in head_losses(model, reasoned=True)),
        (weights.latent, LatentLoss(of=tuple(head_losses(model, reasoned=True)))),
        (weights.gate, GateLoss()),
        (weights.language, LanguageLoss()),
        (weights.world, WorldLoss()),
        (weights.road, RoadLoss()),
    ]
    return [(weight, loss) for weight, loss in every if weight > 0]

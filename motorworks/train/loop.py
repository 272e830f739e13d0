"""The training loop: samples and a config in, a trained model and its clock out. The same seed and threads give the same bits."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from motorworks.models.config import ModelConfig
from motorworks.models.driving_model import DrivingModel, train_flops_per_sample
from motorworks.train.batch import Batch, draw_order, gather, look
from motorworks.train.fit_config import FitConfig, LossWeights
from motorworks.train.head_losses import GateLoss, LatentLoss, head_losses
from motorworks.train.losses import LanguageLoss, Loss, RoadLoss, WorldLoss
from motorworks.train.optim import learning_rate, optimisers
from motorworks.train.samples import Samples


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """The curves and the clock. MFU is `tokens_per_s * flops_per_token` over a measured peak; a token is an image patch or a word."""

    curves: list[dict[str, float]]  # step, loss, lr, grad_norm and the parts of every loss; means since the row before
    num_samples: int
    samples_per_s: float
    tokens_per_s: float
    flops_per_token: float
    busy_s: float  # forward, backward, optimiser
    data_s: float  # waiting for a batch: the stall
    wall_s: float


def fit(
    model: DrivingModel,
    samples: Samples,
    config: FitConfig,
    *,
    device: str = "cpu",
    threads: int | None = None,
    extra_losses: Sequence[tuple[float, Loss]] = (),
    on_progress: Callable[[int, dict[str, float]], None] | None = None,
) -> FitResult:
    """Trains `model` in place and leaves it in eval mode on `device`; `on_progress(steps done, row)` at every recorded row."""
    if threads is not None:
        torch.set_num_threads(threads)
    model.to(device).train()
    quiet = replace(config.losses, language=0.0, reasoned=0.0, latent=0.0, gate=0.0)
    thinking, quick = ([*_losses(weights, model.config), *extra_losses] for weights in (config.losses, quiet))
    measure_controls(model, samples)
    steppers = optimisers(model, lr=config.lr, weight_decay=config.weight_decay, muon=config.muon)
    order = draw_order(samples.weight, config.batch_size, config.seed)
    generator = np.random.default_rng([config.seed, 1])
    num_later = model.config.foresight_horizons - 1 if config.losses.world > 0 else 0
    curves: list[dict[str, float]] = []
    since: list[dict[str, float]] = []
    busy_s = data_s = 0.0
    start = time.perf_counter()
    for step in range(config.steps):
        before = time.perf_counter()
        batch = gather(samples, next(order), config.jitter, generator, world=config.losses.world > 0, num_later=num_later)
        batch = _to(batch, device)
        ready = time.perf_counter()
        lr = learning_rate(step, steps=config.steps, lr=config.lr, warmup_frac=config.warmup_frac, final_frac=config.final_lr_frac)
        for group in (group for stepper in steppers for group in stepper.param_groups):
            group["lr"] = lr
        thinks = _thinks(config.losses) and step % config.think_every == 0
        row = _step(model, batch, thinking if thinks else quick, steppers, config, step, device, thought=thinks)
        since.append({"lr": lr, **row})
        busy_s, data_s = busy_s + time.perf_counter() - ready, data_s + ready - before
        if (step + 1) % config.record_every == 0 or step + 1 == config.steps:
            names = dict.fromkeys(name for row in since for name in row)
            curves.append({"step": step + 1, **{name: float(np.mean([row[name] for row in since if name in row])) for name in names}})
            since = []
            if on_progress is not None:
                on_progress(step + 1, curves[-1])
    model.eval()
    return _result(model, config, curves, busy_s=busy_s, data_s=data_s, wall_s=time.perf_counter() - start)


def measure_controls(model: DrivingModel, samples: Samples) -> None:
    """Before a model's first training: what its heads normalise controls by. Later runs keep it, for its words mean that."""
    fresh = [scale for scale in model.knot_scales() if not int(scale.measured)]
    if fresh and samples.controls_valid.any():
        controls, valid = torch.from_numpy(samples.controls), torch.from_numpy(samples.controls_valid)
        for scale in fresh:
            scale.measure(controls.to(scale.mean.device), valid.to(scale.mean.device))


def _losses(weights: LossWeights, model: ModelConfig) -> list[tuple[float, Loss]]:
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


def _thinks(weights: LossWeights) -> bool:
    return weights.language + weights.reasoned + weights.latent + weights.gate > 0


def _to(batch: Batch, device: str) -> Batch:
    return replace(batch, **{name: value.to(device, non_blocking=True) for name, value in vars(batch).items() if value is not None})


def _step(
    model: DrivingModel,
    batch: Batch,
    losses: Sequence[tuple[float, Loss]],
    steppers: Sequence[torch.optim.Optimizer],
    config: FitConfig,
    step: int,
    device: str,
    *,
    thought: bool,
) -> dict[str, float]:
    """One update; the row of the curve. Raises before the weights are touched if anything is not finite."""
    with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=config.precision == "bf16"):
        inputs, ahead = look(model, batch, thought=thought)
        output = model(inputs)
    batch = replace(batch, next_latents=ahead[:, 0], later_latents=ahead[:, 1:])
    total, parts = torch.zeros((), device=device), {}
    for weight, loss in losses:
        value, named = loss(output, batch)
        total, parts = total + weight * value, {**parts, **named}
    for stepper in steppers:
        stepper.zero_grad(set_to_none=True)
    total.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip)
    row = {"loss": float(total.detach()), "grad_norm": float(norm), **{name: float(value) for name, value in parts.items()}}  # waits for the device
    wrong = [f"{name}={value}" for name, value in row.items() if not math.isfinite(value)]
    if wrong:
        raise FloatingPointError(f"training step {step}: {', '.join(wrong)}; look for NaN in the samples, or lower FitConfig.lr ({config.lr})")
    for stepper in steppers:
        stepper.step()
    return row


def _result(model: DrivingModel, config: FitConfig, curves: list[dict[str, float]], *, busy_s: float, data_s: float, wall_s: float) -> FitResult:
    world, member = config.losses.world > 0, model.config
    thinks_frac = len(range(0, config.steps, config.think_every)) / config.steps if _thinks(config.losses) else 0.0
    images = (member.num_frames + world) * member.grid[0] * member.grid[1]
    tokens = images + thinks_frac * member.num_full_tokens + (1 - thinks_frac) * member.num_plan_tokens
    flops = thinks_frac * train_flops_per_sample(member, thought=True, world=world)
    flops += (1 - thinks_frac) * train_flops_per_sample(member, thought=False, world=world)
    num_samples = config.steps * config.batch_size
    return FitResult(
        curves=curves,
        num_samples=num_samples,
        samples_per_s=num_samples / wall_s,
        tokens_per_s=num_samples * tokens / wall_s,
        flops_per_token=flops / tokens,
        busy_s=busy_s,
        data_s=data_s,
        wall_s=wall_s,
    )

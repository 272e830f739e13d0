"""One run of a scaling grid: a member from nothing on the first samples, judged on recordings that it never saw."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Int64

from motorworks.bodies.body import CAR
from motorworks.datatypes.trajectory import NUM_STEPS, Trajectory
from motorworks.geometry.array import Array
from motorworks.metrics.aggregate import bootstrap
from motorworks.models.driving_model import DrivingModel
from motorworks.models.scaled import scaled
from motorworks.tokens.ego import EgoCodec
from motorworks.tokens.image import HEIGHT_PX, WIDTH_PX
from motorworks.tokens.text import DEFAULT_INSTRUCTION
from motorworks.train.evaluate import action_loss
from motorworks.train.fit_config import FitConfig, LossWeights
from motorworks.train.loop import FitResult, fit
from motorworks.train.planner.shapes import train_flops
from motorworks.train.samples import Samples, samples_from_arrays

ONLY_ACTION = LossWeights(action=1.0, reasoned=0.0, language=0.0, world=0.0)  # what is trained is what is judged


@dataclass(frozen=True, kw_only=True)
class ScalingRun:
    """What came of it; the interval of the loss is over held-out recordings."""

    model: DrivingModel
    fitted: FitResult
    facts: dict[str, float]


def train_run(
    width: int,
    train: Samples,
    held_out: Samples,
    held_out_ends: Int64[Array, " recording"],
    *,
    passes: int,
    seed: int,
    lr: float | None = None,
    batch_size: int | None = None,
    device: str = "cpu",
    precision: str = "fp32",
    threads: int = 1,
) -> ScalingRun:
    """`passes` over the samples with the member's own batch and rate (or these); held-out samples of recording i end at `held_out_ends[i]`.
    Judged on the same device, in fp32 whatever the precision of training."""
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    member = scaled(width)
    model, lr, batch_size = DrivingModel(member.config), lr or member.lr, batch_size or member.batch_size
    steps = max(1, round(passes * len(train) / batch_size))
    config = FitConfig(steps=steps, batch_size=batch_size, lr=lr, losses=ONLY_ACTION, seed=seed, precision=precision)
    fitted = fit(model, train, config, device=device, threads=threads)
    means = action_loss(model, held_out, held_out_ends, threads=threads)
    loss, low, high = bootstrap(means, weights=np.diff(held_out_ends, prepend=0).astype(np.float64))
    size = size_of(width)
    facts = size | {"steps": steps, "lr": lr, "batch_size": batch_size, "passes": passes}
    facts |= {"flops": size["flops_per_sample"] * fitted.num_samples, "train_loss": fitted.curves[-1]["loss"]}
    return ScalingRun(model=model.cpu(), fitted=fitted, facts=facts | {"loss": loss, "loss_low": low, "loss_high": high})


def size_of(width: int) -> dict[str, float]:
    """Parameters that the fast plan runs through (no run here trains the heads of words, of the road and of what comes next), and the causal
    FLOP of a training sample. Nothing is allocated."""
    with torch.device("meta"):
        model = DrivingModel(scaled(width).config)
    idle = {id(value) for part in (model.world, model.road, model.speak) for value in part.parameters()}
    params = sum(value.numel() for value in model.parameters() if id(value) not in idle)
    return {"params": params, "flops_per_sample": train_flops(model.config, thought=False, world=False)}


def samples_per_s(width: int, *, num_steps: int, threads: int, batch_size: int | None = None, device: str = "cpu", precision: str = "fp32") -> float:
    """How fast a member trains here, on noise, one warm step aside."""
    torch.set_num_threads(threads)
    member = scaled(width)
    batch_size = batch_size or member.batch_size
    model, nothing = DrivingModel(member.config), noise(2 * batch_size)
    config = FitConfig(steps=1, batch_size=batch_size, lr=member.lr, losses=ONLY_ACTION, precision=precision)
    fit(model, nothing, config, device=device, threads=threads)
    return fit(model, nothing, replace(config, steps=num_steps), device=device, threads=threads).samples_per_s


def noise(num: int) -> Samples:
    """Samples of nothing, always the same."""
    generator = np.random.default_rng(0)
    return samples_from_arrays(
        images=generator.integers(0, 256, (num, HEIGHT_PX, WIDTH_PX, 3), np.uint8),
        frame_index=np.stack([np.arange(num), np.arange(num)], axis=1),
        ego=EgoCodec().missing(num, CAR.name),
        instructions=(DEFAULT_INSTRUCTION,) * num,
        trajectory=Trajectory(accel_mps2=generator.normal(size=(num, NUM_STEPS)), curvature_per_m=generator.normal(size=(num, NUM_STEPS)) / 100),
        speed_mps=np.full(num, 8.0),
        body=CAR,
    )

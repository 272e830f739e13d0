"""How fast a member trains once it is warm: what a run of days would do, without the seconds in which it starts and compiles."""

from dataclasses import dataclass, replace

import torch

from motorworks.models.driving_model import DrivingModel
from motorworks.train.fit_config import FitConfig
from motorworks.train.loop import fit
from motorworks.train.samples import Samples
from motorworks.train.stopwatch import Stopwatch


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Of warm steps. A token is an image patch or a word, FLOP are the causal model's, forward and backward."""

    samples_per_s: float
    tokens_per_s: float
    flops_per_s: float  # over a measured peak: MFU


def warm_pace(model: DrivingModel, samples: Samples, config: FitConfig, *, watch: Stopwatch, device: str = "cpu", threads: int = 1) -> Pace:
    """What `watch` says of `config`; trains `model` in place."""
    done = fit(model, samples, replace(config, record_every=1), device=device, threads=threads, on_progress=watch)
    rate, tokens = config.batch_size / watch.step_s, done.tokens_per_s / done.samples_per_s
    return Pace(samples_per_s=rate, tokens_per_s=rate * tokens, flops_per_s=rate * tokens * done.flops_per_token)


def dtype_of(config: FitConfig) -> torch.dtype:
    """What its matrix products are made in."""
    return torch.bfloat16 if config.precision == "bf16" else torch.float32

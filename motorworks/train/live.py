"""The figures of a run while it runs, in the words of a progress line: as at the end, of what was done so far."""

from collections.abc import Mapping

from motorworks.models.config import ModelConfig
from motorworks.train.clock import BUCKETS, utilisation
from motorworks.train.fit_config import FitConfig
from motorworks.train.learner import thinks
from motorworks.train.planner.shapes import train_flops


def live_words(row: Mapping[str, float], member: ModelConfig, config: FitConfig, *, peak_flops: float, allocated_frac: float) -> str:
    """'loss 0.512 · allocated 50, busy 97, goodput 96, MFU 41, effective 39 %', of what `fit` tells `on_progress`."""
    seconds = {bucket: row[f"{bucket}_s"] for bucket in BUCKETS}
    flops = flops_of_steps(member, config, round(row["step"]))
    found = utilisation(seconds, model_flops=flops, peak_flops=peak_flops, allocated_frac=allocated_frac)
    named = zip(("allocated", "busy", "goodput", "MFU", "effective"), vars(found).values(), strict=True)
    return f"loss {row['loss']:.3f} · {', '.join(f'{name} {100 * value:.0f}' for name, value in named)} %"


def flops_of_steps(member: ModelConfig, config: FitConfig, steps: int) -> float:
    """Of the model in the first so many steps, some of which think."""
    world = config.losses.world > 0
    thoughts = len(range(0, steps, config.think_every)) if thinks(config.losses) else 0
    quick, full = (train_flops(member, thought=thought, world=world) for thought in (False, True))
    return config.batch_size * (thoughts * full + (steps - thoughts) * quick)

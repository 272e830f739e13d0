"""The share of wall time whose steps survive into a checkpoint, for a job that fails at random and starts again.

Young 1974 and Daly 2006 (10.1016/j.future.2004.11.016): with failures at a constant rate 1/M at any time, restarts included, a stretch of work T
and its checkpoint C take M exp((D + R)/M) (exp((T + C)/M) - 1) of wall time on average. To first order that is Motorworks' short form
[T/(T + C)] / [1 + (D + R + (T + C)/2)/M]; a test holds both against a Monte Carlo run, bench/chaos.py against processes that are really killed.
Thin: a checkpoint counts as kept at once, though an asynchronous one is on disk only some time later; failures do not come in bursts.
"""

import math
from dataclasses import dataclass

S_PER_DAY = 86_400.0


@dataclass(frozen=True, kw_only=True)
class Failures:
    """Seconds: mean time between failures of the job, from failure to knowing it, from knowing to the next step, stall of a checkpoint."""

    mtbf_s: float
    detect_s: float
    restart_s: float
    checkpoint_s: float

    def __post_init__(self) -> None:
        if self.mtbf_s <= 0 or min(self.detect_s, self.restart_s, self.checkpoint_s) < 0:
            raise ValueError(f"mtbf_s must be positive, the others not negative: {self}")


def mtbf_s(*, num_gpus: int, gpus_per_node: int, failures_per_1000_node_days: float) -> float:
    """M = 1 / (nodes × rate); optimistic for small jobs (Meta measured 7.9 h at 1,024 GPUs where it says 28.8)."""
    return S_PER_DAY * 1000 / (failures_per_1000_node_days * num_gpus / gpus_per_node)


def best_interval_s(failures: Failures) -> float:
    """Work between checkpoints: sqrt(2 C (M + D + R)), Young's formula with the time to come back."""
    return math.sqrt(2 * failures.checkpoint_s * (failures.mtbf_s + failures.detect_s + failures.restart_s))


def goodput(failures: Failures, interval_s: float) -> float:
    """Share of wall time in steps that survive, with a checkpoint after each `interval_s` of work."""
    if interval_s <= 0:
        raise ValueError(f"interval_s {interval_s} must be positive")
    mean, away = failures.mtbf_s, failures.detect_s + failures.restart_s
    try:
        return interval_s / (mean * math.exp(away / mean) * math.expm1((interval_s + failures.checkpoint_s) / mean))
    except OverflowError:
        return 0.0

"""Every second of a run under one name, and the five figures that are made of them. "Utilisation" is never one number."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

BUCKETS = (
    "init",  # until the first step: weights to the device, cutting, optimisers
    "data_wait",  # for a batch, and its way to the device
    "compute",  # forward, backward, optimiser, of steps that survive; what FSDP and tensor parallel talk inside is not told apart
    "communication",  # rows of other ranks, agreement, checksums
    "checkpoint_stall",  # until a snapshot is copied; writing it goes on beside the next steps
    "restart",  # from the last sign of life of the process before to this one's start
    "recompute",  # steps that were lost: after the last snapshot before a death or a rollback, and batches left out
    "evaluation",  # what the caller does at a recorded row
)


class RunClock:
    """Counts to one bucket at a time, so that they add up to the wall time. A resumed run goes on with what the one before had counted."""

    def __init__(self, bucket: str = "init") -> None:
        self.seconds = dict.fromkeys(BUCKETS, 0.0)
        self._bucket, self._since_s = bucket, time.perf_counter()

    def enter(self, bucket: str) -> str:
        """Counts to this bucket from now on; returns the one before."""
        now_s, before = time.perf_counter(), self._bucket
        self.seconds[before] += now_s - self._since_s
        self._bucket, self._since_s = bucket, now_s
        return before

    @contextmanager
    def during(self, bucket: str) -> Iterator[None]:
        """Counts to this bucket inside the block."""
        before = self.enter(bucket)
        try:
            yield
        finally:
            self.enter(before)

    def read(self) -> dict[str, float]:
        """Seconds by bucket up to now."""
        self.enter(self._bucket)
        return dict(self.seconds)

    def lose(self, kept: Mapping[str, float]) -> None:
        """Steps since `kept` was read did not survive: their time was for nothing."""
        self.enter(self._bucket)
        for bucket in ("compute", "communication"):
            self.seconds["recompute"] += self.seconds[bucket] - kept[bucket]
            self.seconds[bucket] = kept[bucket]

    def resume(self, alive: Mapping[str, float], kept: Mapping[str, float], restart_s: float) -> None:
        """Goes on with a dead process's time: `alive` when it was last seen, `kept` at the snapshot that survives."""
        own = self.read()
        self.seconds = {bucket: alive[bucket] for bucket in BUCKETS}
        self.lose(kept)
        for bucket, value in own.items():
            self.seconds[bucket] += value
        self.seconds["restart"] += max(0.0, restart_s)


def as_row(seconds: Mapping[str, float]) -> dict[str, float]:
    """Seconds by bucket as columns of a row: `compute_s` and so on."""
    return {f"{bucket}_s": value for bucket, value in seconds.items()}


@dataclass(frozen=True, kw_only=True)
class Utilisation:
    """Five figures, each with its own name."""

    allocated_frac: float  # of the machine's devices (CPU: of its cores), those that the run holds
    busy_frac: float  # computing, also what was lost later, over wall
    goodput_frac: float  # computing and communicating in steps that survive, over wall
    mfu_frac: float  # FLOP of the model in those steps over what the peak would have done in their time
    effective_mfu_frac: float  # goodput x MFU


def utilisation(seconds: Mapping[str, float], *, model_flops: float, peak_flops: float, allocated_frac: float) -> Utilisation:
    """Of one run, or of several whose buckets were added up. `peak_flops` is a second's, of all devices together."""
    wall_s, steps_s = sum(seconds.values()), seconds["compute"] + seconds["communication"]
    goodput, mfu = steps_s / wall_s, model_flops / (steps_s * peak_flops)
    return Utilisation(
        allocated_frac=allocated_frac,
        busy_frac=(seconds["compute"] + seconds["recompute"]) / wall_s,
        goodput_frac=goodput,
        mfu_frac=mfu,
        effective_mfu_frac=goodput * mfu,
    )

"""One member in training on clips of the town, against the fastest matrix product this machine does in the same run."""

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.figure import Figure

if TYPE_CHECKING:
    from motorworks.train.loop import FitResult
    from motorworks.train.samples import Samples

MEMBER = "nano"
THREADS = min(2, os.cpu_count() or 1)
NUM_DRIVES = 2  # recorded for it: what is trained on does not change the time
STEPS, WARM_STEPS = 8, 2
REPEATS = 3
SNAPSHOT_STEPS = 4


def measure() -> list[Figure]:
    """Fine-tuning with every loss on, as the recipe `tiny` does it; the median of several fits."""
    import torch

    from motorworks.models.config import family
    from motorworks.models.driving_model import DrivingModel
    from motorworks.train.fit_config import FitConfig, LossWeights
    from motorworks.train.loop import fit
    from motorworks.train.peak import measure_gemm_flops
    from motorworks.train.snapshot import SnapshotConfig

    torch.manual_seed(0)
    model, samples = DrivingModel(family(MEMBER)), town_samples()
    config = FitConfig(steps=STEPS, losses=LossWeights(action=1.0, reasoned=0.3, language=0.3, world=0.1))
    fit(model, samples, replace(config, steps=WARM_STEPS), threads=THREADS)
    fits, peak = [], 0.0
    for _ in range(REPEATS):
        # the limit is the best there was at any time of the run: a slow moment must not flatter us
        peak = max(peak, measure_gemm_flops(threads=THREADS))
        fits.append(fit(model, samples, config, threads=THREADS))
    peak = max(peak, measure_gemm_flops(threads=THREADS))
    with tempfile.TemporaryDirectory() as folder:
        kept = fit(model, samples, config, threads=THREADS, snapshots=SnapshotConfig(folder=Path(folder), every_steps=SNAPSHOT_STEPS))
    return [*_figures(sorted(fits, key=lambda done: done.tokens_per_s)[REPEATS // 2], peak, config.batch_size), _snapshot_figure(kept)]


def _snapshot_figure(done: "FitResult") -> Figure:
    stall_s, step_s = done.seconds["checkpoint_stall"] / (STEPS // SNAPSHOT_STEPS), done.seconds["compute"] / STEPS
    against = f"{1e3 * step_s:.0f} ms, a step of {MEMBER}; a snapshot every {SNAPSHOT_STEPS} steps, the last one waited for until it is on disk"
    return Figure(name="train.snapshot_stall_ms", value=1e3 * stall_s, unit="ms", against=against, ratio=stall_s / step_s)


def _figures(done: "FitResult", peak: float, batch_size: int) -> list[Figure]:
    limit = peak / done.flops_per_token
    mfu, busy, stall = done.tokens_per_s / limit, done.busy_s / done.wall_s, done.data_s / done.wall_s
    goodput = (done.seconds["compute"] + done.seconds["communication"]) / done.wall_s
    gemm = f"{peak / 1e9:.0f} GFLOP/s, the fastest fp32 product of 1024x1024 in this run, {THREADS} threads"
    wall = f"{done.wall_s:.2f} s, the wall time of {STEPS} steps of {batch_size} samples"
    return [
        Figure(
            name="train.tokens_per_s",
            value=done.tokens_per_s,
            unit="1/s",
            against=f"{limit:,.0f}/s, if all were matrix products; {MEMBER}, fp32, every loss on; a token is an image patch or a word",
            ratio=mfu,
        ),
        Figure(name="train.mfu_frac", value=mfu, unit="frac", against=gemm, ratio=mfu),
        Figure(name="train.busy_frac", value=busy, unit="frac", against=f"{wall}; forward, backward, optimiser", ratio=busy),
        Figure(name="train.stall_frac", value=stall, unit="frac", against=f"{wall}; waiting for a batch", ratio=stall),
        Figure(name="train.goodput_frac", value=goodput, unit="frac", against=f"{wall}; steps that survive", ratio=goodput),
    ]


def town_samples() -> "Samples":
    """The expert's drives, seen through the camera and explained."""
    from motorworks.policy.expert import Expert
    from motorworks.sim.rollout import clip_from_rollout, roll_out
    from motorworks.sim.seeds import TRAIN_SEEDS, town_scenarios
    from motorworks.sim.town import Town
    from motorworks.train.samples import concat, samples_from_clip

    scenarios = town_scenarios(TRAIN_SEEDS.start, NUM_DRIVES)
    drives = roll_out(Town(NUM_DRIVES), Expert(), scenarios, keep_frames=True)
    samples = concat([samples_from_clip(clip_from_rollout(drive)) for drive in drives])
    if not np.any(samples.has_thought):
        raise RuntimeError("no sample has a thought, so the language loss would be timed on padding")
    return samples

"""A member of several million parameters: how near to a matrix product it trains, beside Hugging Face's Trainer, and fed by decoding video.

Compiled, one thread; Trainer has the same model, batches, losses, optimiser and precision, as it comes and with its own `torch_compile`. Accelerate,
which Trainer needs, is no dependency of ours: without it there is no such row.
"""

import importlib.util
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.figure import Figure
from bench.step_time import StepTimes
from bench.train import town_samples

if TYPE_CHECKING:
    from motorworks.models.config import ModelConfig
    from motorworks.train.fit_config import FitConfig
    from motorworks.train.samples import Samples

WIDTH = 256
WARM_STEPS, STEPS, LOOKED_AT = 4, 10, 3  # compiled by the warm ones; timed; timed again with a profiler beside them
STREAM_STEPS = (8, 56)
PRECISIONS = ("fp32", "bf16")


def measure() -> list[Figure]:
    """MFU, the peer and the parts of a step in fp32 and bf16, then busy and stall from a stream of clips."""
    import torch

    from motorworks.models.scaled import scaled
    from motorworks.train.fit_config import FitConfig, LossWeights

    torch.set_num_threads(1)
    config, samples = scaled(WIDTH).config, town_samples()
    losses = LossWeights(action=1.0, reasoned=0.3, language=0.3, world=0.1)
    steps = WARM_STEPS + STEPS + LOOKED_AT
    run = FitConfig(steps=steps, batch_size=32, losses=losses, muon=False, compile=True, record_every=1)
    figures = [figure for precision in PRECISIONS for figure in beside_trainer(config, samples, replace(run, precision=precision))]
    return [*figures, *_from_video(config, replace(run, precision="bf16", compile=False))]


class Pace:
    """Samples a second after the warm steps, which compile, and where the time of a step goes."""

    def __init__(self, batch_size: int) -> None:
        self.batch_size, self.times_s = batch_size, [0.0]
        self.parts = StepTimes(WARM_STEPS + STEPS, WARM_STEPS + STEPS + LOOKED_AT)

    def __call__(self, step: int, *_: object) -> None:
        self.times_s.append(time.perf_counter())
        self.parts(step)

    @property
    def step_s(self) -> float:
        return (self.times_s[WARM_STEPS + STEPS] - self.times_s[WARM_STEPS]) / STEPS

    @property
    def samples_per_s(self) -> float:
        return self.batch_size / self.step_s


def beside_trainer(shape: "ModelConfig", samples: "Samples", run: "FitConfig") -> list[Figure]:
    """One precision."""
    import torch

    from motorworks.models.driving_model import DrivingModel, num_params
    from motorworks.train.loop import fit
    from motorworks.train.peak import measure_gemm_flops

    dtype = torch.bfloat16 if run.precision == "bf16" else torch.float32
    torch.manual_seed(0)
    ours = Pace(run.batch_size)
    peak = measure_gemm_flops(threads=1, dtype=dtype)
    done = fit(DrivingModel(shape), samples, run, threads=1, on_progress=ours)
    peak = max(peak, measure_gemm_flops(threads=1, dtype=dtype))
    floor_ms = 1e3 * run.batch_size * done.flops_per_token * done.tokens_per_s / done.samples_per_s / peak
    mfu = floor_ms / (1e3 * ours.step_s)
    gemm = f"{peak / 1e9:.0f} GFLOP/s, the fastest {run.precision} product of this run; {num_params(shape) / 1e6:.1f}M parameters, AdamW, compiled"
    figures = [Figure(name=f"train.mfu_{run.precision}_frac", value=mfu, unit="frac", against=gemm, ratio=mfu)]
    if importlib.util.find_spec("accelerate") is None:
        print("family: no Trainer beside it, for accelerate is not installed")
        return [*figures, *_parts(run, ours, floor_ms, None)]
    from bench.trainer_peer import train_by_trainer

    peers = {}
    for compiled in (False, True) if run.precision == "bf16" else (False,):  # compiling it takes minutes
        peers[compiled] = Pace(run.batch_size)
        train_by_trainer(DrivingModel(shape).train(), samples, replace(run, compile=compiled), peers[compiled])
        torch.compiler.reset()
    return [*figures, *_ratios(run, ours, peers), *_parts(run, ours, floor_ms, peers[False])]


def _ratios(run: "FitConfig", ours: Pace, peers: Mapping[bool, Pace]) -> Iterator[Figure]:
    of = "" if run.precision == "bf16" else f"_{run.precision}"
    for compiled, peer in peers.items():
        name, how = ("hf_trainer_compiled", "with its torch_compile") if compiled else ("hf_trainer", "as it comes")
        against = (
            f"{peer.samples_per_s:.1f}/s of transformers' Trainer {how}, the same model, batch of {run.batch_size}, losses, AdamW and {run.precision}"
        )
        ratio = ours.samples_per_s / peer.samples_per_s
        yield Figure(name=f"train.vs_{name}{of}_ratio", value=ours.samples_per_s, unit="samples/s", against=against, ratio=ratio)


def _parts(run: "FitConfig", ours: Pace, floor_ms: float, peer: Pace | None) -> Iterator[Figure]:
    """Of a step, beside Trainer's; without it beside the floor: all FLOP at the rate of the fastest product."""
    theirs = {} if peer is None else peer.parts.ms()
    for kind, spent_ms in ours.parts.ms().items():
        other_ms = theirs.get(kind, floor_ms)
        whose = f"of Trainer's {1e3 * peer.step_s:.0f}" if peer is not None else "if all FLOP were such products"
        against = f"{other_ms:.0f} ms {whose}; ours takes {1e3 * ours.step_s:.0f}, and {floor_ms:.0f} if all were the fastest product"
        yield Figure(name=f"train.step_{run.precision}_{kind}_ms", value=spent_ms, unit="ms", against=against, ratio=spent_ms / other_ms)


def _from_video(shape: "ModelConfig", run: "FitConfig") -> list[Figure]:
    from bench.clips import town_clips
    from motorworks.clips.manifest import Manifest, write_manifest
    from motorworks.clips.store import ClipStore, write_clips
    from motorworks.clips.stream import ClipStream, ClipViews
    from motorworks.models.driving_model import DrivingModel
    from motorworks.train.loop import fit
    from motorworks.train.stream_source import WINDOW_STEPS, FromClips, sample_windows

    _, clips = town_clips()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_clips(root, clips)
        write_manifest(root / "clips.manifest", list(ClipStore(root).index.values()))
        views = ClipViews(Manifest(root / "clips.manifest"), root)
        source = FromClips(ClipStream(views=views, make=sample_windows, span=WINDOW_STEPS, windows_per_clip=8, clips_per_block=8), num_workers=1)
        _, few, many = (fit(DrivingModel(shape), source, replace(run, steps=steps), threads=1) for steps in (STREAM_STEPS[0], *STREAM_STEPS))
    wall_s, steps = many.wall_s - few.wall_s, STREAM_STEPS[1] - STREAM_STEPS[0]  # what the start of a worker takes is in both; a first one is slower
    wall = f"{wall_s:.1f} s, {steps} steps of {run.batch_size}, windows decoded from H.264 by one worker process beside; its start apart"
    parts = {"busy": (many.busy_s - few.busy_s) / wall_s, "stall": (many.data_s - few.data_s) / wall_s}
    return [Figure(name=f"train.stream_{name}_frac", value=part, unit="frac", against=wall, ratio=part) for name, part in parts.items()]

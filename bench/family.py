"""A member of several million parameters: how near to a matrix product it trains, beside Hugging Face's Trainer, and fed by decoding video.

Compiled, one thread; Trainer has the same model, batches, losses, optimiser and precision, as it comes and with its own `torch_compile`. Accelerate,
which Trainer needs, is no dependency of ours: without it there is no such row.
"""

import importlib.util
import json
import math
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.figure import Figure
from bench.step_time import StepTimes
from bench.train import town_samples
from motorworks.train.stopwatch import Stopwatch

if TYPE_CHECKING:
    from motorworks.models.config import ModelConfig
    from motorworks.train.fit_config import FitConfig
    from motorworks.train.samples import Samples

WIDTH = 256
WARM_STEPS, STEPS, LOOKED_AT = 4, 10, 3  # compiled by the warm ones; timed; timed again with a profiler beside them
STREAM_STEPS = (8, 56)  # from the clock as it was seen alive in the first to the end
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
    return [
        *figures,
        _memory(config, samples, replace(run, steps=2, compile=False)),
        *_from_video(config, replace(run, precision="bf16", compile=False)),
    ]


class Watched(Stopwatch):
    """After the steps that are timed, some more, and where their time goes."""

    def __init__(self) -> None:
        super().__init__(WARM_STEPS, WARM_STEPS + STEPS)
        self.parts = StepTimes(self.steps, self.steps + LOOKED_AT)

    def __call__(self, step: int, *_: object) -> None:
        super().__call__(step)
        self.parts(step)


def beside_trainer(shape: "ModelConfig", samples: "Samples", run: "FitConfig") -> list[Figure]:
    """One precision."""
    import torch

    from motorworks.models.driving_model import DrivingModel, num_params
    from motorworks.train.pace import dtype_of, warm_pace
    from motorworks.train.peak import measure_gemm_flops

    torch.manual_seed(0)
    ours = Watched()
    peak = measure_gemm_flops(threads=1, dtype=dtype_of(run))
    pace = warm_pace(DrivingModel(shape), samples, run, watch=ours)
    peak = max(peak, measure_gemm_flops(threads=1, dtype=dtype_of(run)))
    mfu = pace.flops_per_s / peak
    floor_ms = 1e3 * mfu * ours.step_s
    gemm = f"{peak / 1e9:.0f} GFLOP/s, the fastest {run.precision} product of this run; {num_params(shape) / 1e6:.1f}M parameters, AdamW, compiled"
    figures = [Figure(name=f"train.mfu_{run.precision}_frac", value=mfu, unit="frac", against=gemm, ratio=mfu)]
    if importlib.util.find_spec("accelerate") is None:
        print("family: no Trainer beside it, for accelerate is not installed")
        return [*figures, *_parts(run, ours, floor_ms, None)]
    from motorworks.train.trainer_peer import train_by_trainer

    peers = {}
    for compiled in (False, True) if run.precision == "bf16" else (False,):  # compiling it takes minutes
        peers[compiled] = Watched()
        train_by_trainer(DrivingModel(shape).train(), samples, replace(run, compile=compiled), peers[compiled])
        torch.compiler.reset()
    return [*figures, *_ratios(run, ours, peers), *_parts(run, ours, floor_ms, peers[False])]


def _ratios(run: "FitConfig", ours: Watched, peers: Mapping[bool, Watched]) -> Iterator[Figure]:
    of = "" if run.precision == "bf16" else f"_{run.precision}"
    for compiled, peer in peers.items():
        name, how = ("hf_trainer_compiled", "with its torch_compile") if compiled else ("hf_trainer", "as it comes")
        theirs = f"{run.batch_size / peer.step_s:.1f}/s of transformers' Trainer {how}"
        against = f"{theirs}, the same model, batch of {run.batch_size}, losses, AdamW and {run.precision}"
        rate, ratio = run.batch_size / ours.step_s, peer.step_s / ours.step_s
        yield Figure(name=f"train.vs_{name}{of}_ratio", value=rate, unit="samples/s", against=against, ratio=ratio)


def _parts(run: "FitConfig", ours: Watched, floor_ms: float, peer: Watched | None) -> Iterator[Figure]:
    """Of a step, beside Trainer's; without it beside the floor: all FLOP at the rate of the fastest product."""
    theirs = {} if peer is None else peer.parts.ms()
    for kind, spent_ms in ours.parts.ms().items():
        other_ms = theirs.get(kind, floor_ms)
        whose = f"of Trainer's {1e3 * peer.step_s:.0f}" if peer is not None else "if all FLOP were such products"
        against = f"{other_ms:.0f} ms {whose}; ours takes {1e3 * ours.step_s:.0f}, and {floor_ms:.0f} if all were the fastest product"
        yield Figure(name=f"train.step_{run.precision}_{kind}_ms", value=spent_ms, unit="ms", against=against, ratio=spent_ms / other_ms)


def _memory(shape: "ModelConfig", samples: "Samples", run: "FitConfig") -> Figure:
    """All tensors alive at the worst moment of real steps, counted as they come and go."""
    from motorworks.models.driving_model import DrivingModel
    from motorworks.train.loop import fit
    from motorworks.train.planner.memory import whole_step
    from motorworks.train.planner.tracker import MemoryTracker

    model = DrivingModel(shape)
    with MemoryTracker() as tracker:
        tracker.adopt([*model.parameters(), *model.buffers()])
        fit(model, samples, run, threads=1)
    planned_mb, peak_mb = whole_step(shape, run.batch_size, muon=run.muon).total / 1e6, tracker.peak_bytes / 1e6
    against = f"{planned_mb:.0f} MB that the planner says; AdamW, {run.precision}, {run.batch_size} samples, not compiled"
    return Figure(name="train.step_memory_mb", value=peak_mb, unit="MB", against=against, ratio=peak_mb / planned_mb)


def _from_video(shape: "ModelConfig", run: "FitConfig") -> list[Figure]:
    """By the run's own clock, from what it said of itself after some steps: the start of a worker takes longer than all waiting after it."""
    from bench.clips import town_clips
    from motorworks.clips.manifest import Manifest, write_manifest
    from motorworks.clips.store import ClipStore, write_clips
    from motorworks.clips.stream import ClipStream, ClipViews
    from motorworks.models.driving_model import DrivingModel
    from motorworks.train.loop import fit
    from motorworks.train.snapshot import ALIVE, SnapshotConfig
    from motorworks.train.stream_source import FromClips, sample_windows, window_steps

    _, clips = town_clips()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_clips(root, clips)
        write_manifest(root / "clips.manifest", list(ClipStore(root).index.values()))
        views = ClipViews(Manifest(root / "clips.manifest"), root)
        source = FromClips(ClipStream(views=views, make=sample_windows, span=window_steps(), windows_per_clip=8, clips_per_block=8), num_workers=1)
        alive = root / "run" / ALIVE
        early: dict[str, float] = {}

        def note(step: int, row: Mapping[str, float]) -> None:
            if step == STREAM_STEPS[0]:
                early.update(json.loads(alive.read_text())["seconds"])

        stream = replace(run, steps=STREAM_STEPS[1])
        snapshots = SnapshotConfig(folder=alive.parent, every_s=math.inf)
        done = fit(DrivingModel(shape), source, stream, threads=1, on_progress=note, snapshots=snapshots)
    seconds = {name: done.seconds[name] - early[name] for name in early}
    wall_s = sum(seconds.values())
    wall = f"{wall_s:.1f} s, {run.batch_size} samples a step, windows decoded from H.264 by one worker process beside; its start apart"
    parts = {"busy": seconds["compute"] / wall_s, "stall": seconds["data_wait"] / wall_s}
    return [Figure(name=f"train.stream_{name}_frac", value=part, unit="frac", against=wall, ratio=part) for name, part in parts.items()]

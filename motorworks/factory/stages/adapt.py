"""Fit the student to the car: ONNX, int8, parity against the checkpoint, latency and size against the vehicle's budget."""

import json
import shutil
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from motorworks.factory.artifact import Inputs
from motorworks.factory.step import Output


@dataclass(frozen=True, kw_only=True)
class BudgetConfig:
    """What one vehicle computer allows; a bundle that misses a line is not released."""

    plan_p99_ms: float = 100.0
    size_mb: float = 50.0
    memory_mb: float = 1000.0
    max_fp32_error: float = 1e-4
    max_pose_error_1s_m: float = 0.1


@dataclass(frozen=True, kw_only=True)
class AdaptConfig:
    """`num_parity` training images are asked of checkpoint and graphs alike; latency is of `num_plans` paced plans."""

    budget: BudgetConfig = field(default_factory=BudgetConfig)
    num_parity: int = 128
    num_plans: int = 500
    threads: int = 2


def run(config: AdaptConfig, inputs: Inputs, out: Output) -> None:
    """Leaves int8/ and shadow/ graphs, budget.json and parity.json; says in the record whether the budget is kept."""
    from motorworks.bodies.body import CAR
    from motorworks.export.budget import VehicleBudget, budget_rows, check_budget
    from motorworks.export.latency import measure_latency
    from motorworks.export.onnx import export_graphs
    from motorworks.export.parity import compare
    from motorworks.export.quantise import quantise_graphs
    from motorworks.models.driving_model import num_params
    from motorworks.models.infer import TorchInfer
    from motorworks.train.checkpoint import load

    model, shape = load(inputs.one("student").path / "model.safetensors")
    fp32 = export_graphs(model, out.path / "fp32")
    int8 = quantise_graphs(fp32, out.path / "int8")
    export_graphs(load(inputs.one("shadow").path / "model.safetensors")[0], out.path / "shadow")
    asked, torch_infer = _questions(config, inputs, shape), TorchInfer(model, threads=config.threads)
    parity_fp32 = compare(torch_infer, _infer(fp32, shape, config), asked, CAR)
    parity_int8 = compare(torch_infer, _infer(int8.graphs, shape, config), asked, CAR)
    with tempfile.TemporaryDirectory() as scratch:
        bundle, root, vehicle = _trial_bundle(Path(scratch), int8.graphs, shape)
        latency = measure_latency(bundle, root, vehicle, num_plans=config.num_plans, threads=config.threads, think_every=1)
    budget = VehicleBudget(**asdict(config.budget))
    misses = check_budget(budget, latency, parity_fp32, parity_int8)
    rows = [asdict(row) for row in budget_rows(budget, latency, parity_fp32, parity_int8)]
    out.volatile("budget.json").write_text(json.dumps(rows, indent=1))
    out.volatile("latency.json").write_text(json.dumps(asdict(latency), indent=1))
    (out.path / "parity.json").write_text(json.dumps({"fp32": asdict(parity_fp32), "int8": asdict(parity_int8)}, indent=1))
    shutil.rmtree(out.path / "fp32")
    out.record(
        misses=misses,
        budget=rows,
        parity_fp32=asdict(parity_fp32),
        parity_int8=asdict(parity_int8),
        size_ratio=int8.size_ratio,
        params=num_params(shape),
        plan_p50_ms=latency.plan_p50_ms,
        plan_p99_ms=latency.plan_p99_ms,
    )
    out.thin(
        f"Latency is of {config.num_plans} plans every {latency.pace_s} s on this machine, thinking included; no vehicle computer has been measured."
    )


def _questions(config: AdaptConfig, inputs: Inputs, shape: Any) -> Any:
    """Real inputs of training, evenly drawn: noise would say little about int8."""
    import numpy as np

    from motorworks.export.parity import ParityInputs
    from motorworks.train.sample_files import load_samples

    samples = load_samples(inputs.one("samples").path / "samples.npz")
    samples = samples.seen_as(num_frames=shape.num_frames, num_views=shape.num_views)
    whole = samples.select((samples.frame_index >= 0).all(axis=(1, 2)) & samples.ego_valid)
    chosen = whole.select(np.linspace(0, len(whole) - 1, config.num_parity).astype(np.int64))
    return ParityInputs(
        images=chosen.frames[chosen.frame_index[:, :, 0]],
        latents_valid=np.ones((len(chosen), shape.num_frames), bool),
        ego=chosen.ego,
        instruction_ids=chosen.instruction_ids,
        speed_mps=chosen.speed_mps,
        thought_ids=chosen.thought_ids,
    )


def _infer(graphs: Any, shape: Any, config: AdaptConfig) -> Any:
    from motorworks.drive.runtime import OrtInfer

    return OrtInfer.from_graphs(graphs, num_frames=shape.num_frames, frame_gap_steps=shape.frame_gap_steps, threads=config.threads)


def _trial_bundle(scratch: Path, graphs: Any, shape: Any) -> Any:
    """Signed with keys that are thrown away: latency is measured on what a vehicle loads, verification included."""
    from motorworks.bodies.body import CAR
    from motorworks.drive.bundle import VehicleIdentity
    from motorworks.export.bundle import ModelCard, ReleaseConfig, build_bundle
    from motorworks.export.keys import ensure_keys
    from motorworks.models.driving_model import num_params

    keys = ensure_keys(scratch / "keys")
    card = ModelCard(
        model="trial", precision="int8", num_params=num_params(shape), num_frames=shape.num_frames, frame_gap_steps=shape.frame_gap_steps
    )
    build_bundle(scratch / "bundle", graphs, card, ReleaseConfig(release=1, body=CAR.name), keys)
    return scratch / "bundle", keys.trusted_root, VehicleIdentity(body=CAR.name)

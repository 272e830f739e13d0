"""One plan in the vehicle runtime, camera frame to trajectory, against the same model in torch eager.

The student's shape with random weights: no kernel here is faster or slower for what the weights are.
"""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.figure import Figure

if TYPE_CHECKING:
    from motorworks.drive.latency import Latency
    from motorworks.models.driving_model import DrivingModel

MEMBER = "pico"
THREADS = min(2, os.cpu_count() or 1)  # of the vehicle
BUDGET_P99_MS = 100.0  # the period of a plan at 10 Hz
PACE_S = 0.01
ROUNDS = 2
NUM_PLANS, NUM_SIDE_PLANS = 500, 200  # a p99 needs the larger number, a median does not
THINK_EVERY = 1  # both write a word of the chain of thought with every plan


def measure() -> list[Figure]:
    """Vehicle and torch take turns, so that a busy minute hits both; torch is given the better of one thread and all of them."""
    import torch

    from motorworks.models.config import family
    from motorworks.models.driving_model import DrivingModel

    torch.manual_seed(0)
    model = DrivingModel(family(MEMBER)).eval()
    int8, fp32 = [], []
    eager_ms: dict[int, list[float]] = {threads: [] for threads in {1, THREADS}}
    with tempfile.TemporaryDirectory() as scratch:
        graphs = _graphs(model, Path(scratch))
        bundles = {precision: _bundle(Path(scratch) / f"{precision}_release", found, precision, model) for precision, found in graphs.items()}
        for _ in range(ROUNDS):
            for threads, took_ms in eager_ms.items():
                took_ms.append(_eager_p50_ms(model, threads))
            int8.append(_latency(*bundles["int8"], NUM_PLANS))
            fp32.append(_latency(*bundles["fp32"], NUM_SIDE_PLANS))
    best_threads, torch_ms = min(((threads, float(np.median(took_ms))) for threads, took_ms in eager_ms.items()), key=lambda item: item[1])
    torch_text = f"{torch_ms:.2f} ms, torch {torch.__version__} eager fp32, p50, set to {best_threads} of {THREADS} threads, its better"
    return _figures(int8, fp32, torch_ms, torch_text)


def _figures(int8: "list[Latency]", fp32: "list[Latency]", torch_ms: float, torch_text: str) -> list[Figure]:
    p50_ms, fp32_ms = (float(np.median([latency.plan_p50_ms for latency in rounds])) for rounds in (int8, fp32))
    p99_ms = max(latency.plan_p99_ms for latency in int8)
    size_mb = int8[0].size_mb
    plans = f"{MEMBER}, thinking included, {THREADS} threads, {NUM_PLANS} plans every {PACE_S} s"
    return [
        Figure(name="drive.plan_p50_ms", value=p50_ms, unit="ms", against=torch_text, ratio=p50_ms / torch_ms),
        Figure(
            name="drive.plan_p99_ms",
            value=p99_ms,
            unit="ms",
            against=f"{BUDGET_P99_MS:.0f} ms, the budget at 10 Hz; worst of {ROUNDS} rounds; {plans}",
            ratio=p99_ms / BUDGET_P99_MS,
        ),
        Figure(
            name="drive.plan_vs_torch_ratio",
            value=torch_ms / p50_ms,
            unit="times faster",
            against=f"{torch_text}; ours: int8 bundle",
            ratio=torch_ms / p50_ms,
        ),
        Figure(
            name="drive.plan_fp32_vs_torch_ratio",
            value=torch_ms / fp32_ms,
            unit="times faster",
            against=f"{torch_text}; ours: fp32 bundle, so the runtime without int8",
            ratio=torch_ms / fp32_ms,
        ),
        Figure(
            name="drive.bundle_mb",
            value=size_mb,
            unit="MB",
            against=f"{fp32[0].size_mb:.2f} MB, the same bundle in fp32, signatures included",
            ratio=size_mb / fp32[0].size_mb,
        ),
    ]


def _graphs(model: "DrivingModel", scratch: Path) -> dict[str, Mapping[str, Path]]:
    from motorworks.export.onnx import export_graphs
    from motorworks.export.quantise import quantise_graphs

    fp32 = export_graphs(model, scratch / "fp32")
    return {"fp32": fp32, "int8": quantise_graphs(fp32, scratch / "int8").graphs}


def _bundle(out: Path, graphs: Mapping[str, Path], precision: str, model: "DrivingModel") -> tuple[Path, Path]:
    """The signed folder that a vehicle opens, and the root it trusts."""
    from motorworks.export.bundle import ModelCard, ReleaseConfig, build_bundle
    from motorworks.export.keys import ensure_keys
    from motorworks.models.driving_model import num_params

    keys, shape = ensure_keys(out.parent / "keys"), model.config
    card = ModelCard(
        model=f"bench-{MEMBER}",
        precision=precision,
        num_params=num_params(shape),
        num_frames=shape.num_frames,
        frame_gap_steps=shape.frame_gap_steps,
        notes=("random weights, for timing only",),
    )
    build_bundle(out, graphs, card, ReleaseConfig(release=1), keys)
    return out, keys.trusted_root


def _latency(bundle: Path, trusted_root: Path, num_plans: int) -> "Latency":
    from motorworks.drive.bundle import VehicleIdentity
    from motorworks.export.latency import measure_latency

    vehicle = VehicleIdentity(body="car")
    return measure_latency(bundle, trusted_root, vehicle, num_plans=num_plans, pace_s=PACE_S, threads=THREADS, think_every=THINK_EVERY)


def _eager_p50_ms(model: "DrivingModel", threads: int) -> float:
    """The same policy around the checkpoint, the same observations at the same pace."""
    from motorworks.drive.latency import time_plans
    from motorworks.models.infer import TorchInfer
    from motorworks.policy.model import ModelPolicy

    policy = ModelPolicy(TorchInfer(model, threads=threads), name="eager", think_every=THINK_EVERY)
    return float(np.median(time_plans(policy, num_plans=NUM_SIDE_PLANS, pace_s=PACE_S))) * 1000

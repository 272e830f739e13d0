"""Checkpoint against graphs against the signed bundle in the vehicle runtime, on a tiny random model; exported once."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from motorworks.bodies.body import CAR
from motorworks.datatypes.observation import Observation
from motorworks.drive.bundle import Bundle, VehicleIdentity, open_bundle
from motorworks.drive.runtime import OrtInfer, bundle_policy
from motorworks.drive.vehicle import Vehicle, VehiclePolicy
from motorworks.export.budget import VehicleBudget, budget_rows, check_budget
from motorworks.export.bundle import ModelCard, ReleaseConfig, build_bundle
from motorworks.export.keys import Keys, ensure_keys
from motorworks.export.latency import measure_latency
from motorworks.export.onnx import export_graphs
from motorworks.export.parity import Parity, compare, random_inputs
from motorworks.export.quantise import Quantised, quantise_graphs
from motorworks.models.config import family
from motorworks.models.driving_model import DrivingModel
from motorworks.models.infer import TorchInfer
from motorworks.policy.model import ModelPolicy


@dataclass(frozen=True, kw_only=True)
class Exported:
    model: DrivingModel
    fp32: dict[str, Path]
    int8: Quantised
    keys: Keys
    bundle: Bundle


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Exported:
    folder = tmp_path_factory.mktemp("export")
    torch.manual_seed(0)
    model = DrivingModel(dataclasses.replace(family("pico"), depth=1, vision_depth=1))
    fp32 = export_graphs(model, folder / "fp32")
    int8 = quantise_graphs(fp32, folder / "int8")
    keys = ensure_keys(folder / "keys")
    card = ModelCard(
        model="tiny", precision="int8", num_params=sum(p.numel() for p in model.parameters()), metrics={"x": 1.0}, lineage={"sft": "abc"}
    )
    build_bundle(folder / "bundle", int8.graphs, card, ReleaseConfig(release=1), keys)
    bundle = open_bundle(folder / "bundle", keys.trusted_root, VehicleIdentity(body="car"), None)
    return Exported(model=model, fp32=fp32, int8=int8, keys=keys, bundle=bundle)


def observe(rng: np.random.Generator, num: int, *, first: bool) -> Observation:
    return Observation(
        frames=rng.integers(0, 256, (num, 144, 256, 3), dtype=np.uint8),
        speed_mps=rng.uniform(0, 10, num),
        yaw_rate_radps=rng.normal(0, 0.1, num),
        past_poses_rig=rng.normal(size=(num, 16, 3)),
        instructions=("turn left ahead",) * num,
        first=np.full(num, first),
    )


def test_fp32_graphs_answer_as_the_checkpoint_does(exported):
    parity = compare(TorchInfer(exported.model), OrtInfer.from_graphs(exported.fp32), random_inputs(21), CAR)
    assert parity.max_output_error <= 1e-4 and parity.pose_error_3s_m < 1e-3 and parity.same_proposal_frac == 1.0


def test_int8_graphs_are_smaller_really_int8_and_near(exported):
    parity = compare(TorchInfer(exported.model), OrtInfer.from_graphs(exported.int8.graphs), random_inputs(21), CAR)
    assert 1e-4 < parity.max_output_error < 0.5 and parity.pose_error_1s_m < 0.1
    assert exported.int8.size_ratio < 0.6
    for file in exported.int8.graphs.values():
        kinds = {node.op_type for node in onnx.load(file).graph.node}
        assert "MatMulInteger" in kinds or "DynamicQuantizeMatMul" in kinds, f"{file.name} has {sorted(kinds)}"


def test_each_graph_is_one_file_and_holds_no_world_head(exported):
    for file in exported.fp32.values():
        assert sorted(file.parent.iterdir()) == sorted(exported.fp32.values()), "no external weights, no temporary left"
        assert not [tensor.name for tensor in onnx.load(file).graph.initializer if "world" in tensor.name]


def test_the_bundle_drives_as_the_checkpoint_would_memory_and_thoughts_included(exported):
    vehicle = ModelPolicy(OrtInfer.from_graphs(exported.fp32), name="onnx", think_every=1)
    factory = ModelPolicy(TorchInfer(exported.model), name="torch", think_every=1)
    rng = np.random.default_rng(1)
    for step in range(20):
        observation = observe(rng, 3, first=step in (0, 11))
        ours, theirs = vehicle.act(observation), factory.act(observation)
        np.testing.assert_allclose(ours.proposals.accel_mps2, theirs.proposals.accel_mps2, atol=1e-4)
        np.testing.assert_allclose(ours.proposals.curvature_per_m, theirs.proposals.curvature_per_m, atol=1e-4)
        assert ours.thoughts == theirs.thoughts


def test_an_int8_batch_answers_as_its_items_do_alone(exported):
    infer, inputs = OrtInfer(exported.bundle), random_inputs(5)
    latents = infer.see(inputs.images[:, 0])
    alone = np.concatenate([infer.see(inputs.images[index : index + 1, 0]) for index in range(5)])
    assert np.array_equal(latents, alone)
    both = np.stack([latents, latents], axis=1)
    controls, logits = infer.plan(both, inputs.latents_valid, inputs.ego, inputs.instruction_ids)
    for index in range(5):
        one = slice(index, index + 1)
        single = infer.plan(both[one], inputs.latents_valid[one], inputs.ego[one], inputs.instruction_ids[one])
        assert np.array_equal(controls[one], single[0]) and np.array_equal(logits[one], single[1])


def test_a_vehicle_on_the_bundle_plans_and_the_world_head_stays_behind(exported):
    policy = VehiclePolicy(Vehicle(bundle_policy(exported.bundle, threads=1)))
    plan = policy.act(observe(np.random.default_rng(2), 1, first=True))
    assert np.isfinite(plan.trajectory.accel_mps2).all() and policy.logs[0].latency_s > 0 and policy.name == "tiny@1"
    infer = OrtInfer(exported.bundle)
    with pytest.raises(NotImplementedError, match="no world head"):
        infer.foresee(*[np.zeros(1)] * 4)
    without = OrtInfer.from_graphs({name: exported.fp32[name] for name in ("vision", "plan")})
    with pytest.raises(ValueError, match="no think graph"):
        without.think(*[np.zeros(1)] * 5)


def test_latency_is_measured_in_a_process_of_its_own_and_gated(exported):
    latency = measure_latency(exported.bundle.path, exported.keys.trusted_root, VehicleIdentity(body="car"), num_plans=30, pace_s=0.0, threads=1)
    assert latency.num_plans == 30 and 0 < latency.plan_p50_ms <= latency.plan_p99_ms <= latency.plan_max_ms
    assert 20 < latency.peak_rss_mb < 400, "torch is not in that process"
    good = Parity(
        num=1,
        max_output_error=1e-6,
        accel_error_mps2=0,
        curvature_error_per_m=0,
        pose_error_1s_m=0.01,
        pose_error_3s_m=0,
        max_pose_error_1s_m=0,
        same_proposal_frac=1,
    )
    enough = dataclasses.replace(latency, num_plans=500, plan_p99_ms=20.0)
    assert check_budget(VehicleBudget(), enough, good, good) == [] and all(row.ok for row in budget_rows(VehicleBudget(), enough, good, good))
    for change, name in (
        ({"plan_p99_ms": 101.0}, "plan_p99_ms"),
        ({"size_mb": 51.0}, "size_mb"),
        ({"peak_rss_mb": 2000.0}, "memory_mb"),
        ({"num_plans": 499}, "num_plans"),
    ):
        misses = check_budget(VehicleBudget(), dataclasses.replace(enough, **change), good, good)
        assert len(misses) == 1 and name in misses[0]
    bad = dataclasses.replace(good, max_output_error=float("nan"), pose_error_1s_m=0.2)
    assert len(check_budget(VehicleBudget(), enough, bad, good)) == 1 and len(check_budget(VehicleBudget(), enough, good, bad)) == 1


def test_a_failed_latency_run_says_why(exported, tmp_path):
    with pytest.raises(RuntimeError, match="no such folder"):
        measure_latency(tmp_path / "nothing", exported.keys.trusted_root, VehicleIdentity(body="car"), num_plans=1)


def test_a_model_that_answers_nan_is_seen_by_parity(exported):
    class Broken(OrtInfer):
        def see(self, images, cameras=None):
            return super().see(images) * np.nan

    broken = Broken.from_graphs(exported.fp32)
    assert compare(TorchInfer(exported.model), broken, random_inputs(3), CAR).max_output_error == float("inf")

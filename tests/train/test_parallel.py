"""Many processes are one: two real ranks over gloo in one spawned job, and what one process can check alone."""

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from steering_samples import steering_samples
from torch import nn
from torch.distributed._local_tensor import LocalTensor, LocalTensorMode
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor

from motorworks.models.attention import attend
from motorworks.models.config import FAMILY, family
from motorworks.models.driving_model import DrivingModel
from motorworks.models.parallel_plan import TENSOR_CUTS, blocks_of, check_tensor_size, stage_of
from motorworks.train.batch import NO_JITTER, gather
from motorworks.train.fit_config import FitConfig, LossWeights, ParallelPlan
from motorworks.train.float8 import FORWARD, in_float8, rounded
from motorworks.train.loop import fit
from motorworks.train.parallel import cut_matrices, parallelise, prepared
from motorworks.train.ranks import Ranks
from motorworks.train.snapshot import SnapshotConfig
from motorworks.train.start import on_meta

HERE = Path(__file__).parent


@pytest.mark.slow
def test_two_ranks_are_as_one_and_one_goes_on_where_they_stopped(tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    root = str(HERE.parents[1])
    surroundings = {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    command = [sys.executable, "-W", "error", str(HERE / "two_ranks.py"), str(tmp_path)]
    ranks = [
        subprocess.Popen(command, env={**surroundings, "RANK": str(rank)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for rank in range(2)
    ]
    try:
        said = [rank.communicate(timeout=280)[0] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert all(rank.returncode == 0 and text.endswith(f"rank {number} ok\n") for number, (rank, text) in enumerate(zip(ranks, said, strict=True))), (
        said
    )
    import two_ranks

    config = replace(two_ranks.CONFIG, steps=6)
    samples, folder = steering_samples(), SnapshotConfig(folder=tmp_path / "tensor", keep=1)
    whole, rest = fit(two_ranks.model(), samples, config), fit(two_ranks.model(), samples, config, snapshots=folder)
    assert rest.seconds["restart"] > 0
    assert max(abs(a["loss"] - b["loss"]) for a, b in zip(whole.curves, rest.curves, strict=True)) < 1e-4


@pytest.mark.parametrize("num", [2, 4])
def test_columns_and_rows_of_many_simulated_ranks_add_up_to_one(num: int):
    """Real numbers of every rank in one process (torch's LocalTensorMode over a fake group)."""
    torch.manual_seed(0)
    model = DrivingModel(replace(family("pico"), dim=64, heads=8, kv_heads=4, mlp_dim=96, vision_dim=64, vision_heads=4)).double()
    embeds, images = torch.randn(2, 6, 64).double(), torch.randint(0, 256, (3, 64, 128, 3), dtype=torch.uint8)

    def both() -> torch.Tensor:
        out = model.backbone(embeds).square().sum() + model.see(images).sin().sum()
        out.backward()
        return out.detach()

    whole = both()
    grads = {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}
    model.zero_grad()
    dist.init_process_group("fake", rank=0, world_size=num)
    try:
        with LocalTensorMode(num):
            cut_matrices(model, init_device_mesh("cpu", (num,)))
            cut = both()
            again = {name: value.grad.full_tensor() if isinstance(value, DTensor) else value.grad for name, value in model.named_parameters()}
        assert isinstance(model.backbone.decoder.layers[0].mlp.down_proj.weight, DTensor)
        assert all(torch.allclose(cut._local_tensors[rank], whole, rtol=1e-5) for rank in range(num))
        for name, grad in grads.items():
            for rank in range(num):
                own = again[name]._local_tensors[rank] if isinstance(again[name], LocalTensor) else again[name]
                torch.testing.assert_close(own, grad, rtol=1e-5, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}")
    finally:
        dist.destroy_process_group()


def test_micro_batches_teach_what_the_whole_batch_does():
    import two_ranks

    samples, config = steering_samples(), replace(two_ranks.ADAM, losses=LossWeights(road=0.5, world=0.2), think_every=1)
    (whole, losses), (parts, same) = (two_ranks.gradients_and_losses(None, samples, replace(config, accumulate=num)) for num in (1, 4))
    assert losses == pytest.approx(same, abs=1e-6) and whole.keys() == parts.keys()
    assert max(float((whole[name] - parts[name]).abs().max()) for name in whole) < 1e-6
    with pytest.raises(ValueError, match="3 micro-batches"):
        fit(two_ranks.model(), samples, replace(config, accumulate=3))


def test_a_micro_batch_keeps_nothing_of_the_others(small_model):
    batch = gather(steering_samples(), np.arange(32), NO_JITTER, np.random.default_rng(0))
    kept: dict[int, int] = {}
    for parts in (1, 8):
        alive, most = [0], [0]

        class Held:
            def __init__(self, value, alive=alive, most=most):
                self.value, self.alive = value, alive
                alive[0] += value.numel()
                most[0] = max(most[0], alive[0])

            def __del__(self):
                self.alive[0] -= self.value.numel()

        with torch.autograd.graph.saved_tensors_hooks(Held, lambda held: held.value):
            output, *_ = parallelise(small_model.train(), Ranks(), parts=parts)(batch, thought=True)
        kept[parts] = most[0]
        output.state.sum().backward()
    assert kept[8] < 0.2 * kept[1]


@pytest.mark.parametrize("num", [2, 4])
def test_parts_of_a_sequence_attend_as_the_whole(num: int):
    torch.manual_seed(0)
    query, key, value = torch.randn(2, 4, 12, 8), torch.randn(2, 2, 12, 8), torch.randn(2, 2, 12, 8)
    whole = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
    parts = [attend(part, key, value, first=number * 12 // num) for number, part in enumerate(query.chunk(num, dim=2))]
    torch.testing.assert_close(torch.cat(parts, dim=2), whole, rtol=1e-5, atol=1e-6)


def test_products_in_8_bits_are_those_of_the_rounded_numbers():
    torch.manual_seed(0)
    linear, x = nn.Linear(32, 48), torch.randn(3, 7, 32, requires_grad=True)
    exact = linear(x)
    exact.sin().sum().backward()
    want, x.grad = [x.grad.clone(), linear.weight.grad.clone()], None
    linear.zero_grad()
    rough = in_float8(linear, emulated=True)(x)
    (x8, x_scale), (w8, w_scale) = rounded(x.flatten(0, 1), FORWARD), rounded(linear.weight, FORWARD)
    assert float(x8.float().abs().max()) == torch.finfo(FORWARD).max
    torch.testing.assert_close(rough.flatten(0, 1), (x8.float() * x_scale) @ (w8.float() * w_scale).t() + linear.bias)
    rough.sin().sum().backward()
    for value, near in ((rough, exact), (x.grad, want[0]), (linear.weight.grad, want[1])):
        assert 0.005 < float((value - near).norm().detach() / near.norm().detach()) < 0.1  # e4m3 has three bits behind the first, e5m2 two


def test_8_bits_are_refused_where_there_is_no_hardware_before_anything_else(small_model):
    with pytest.raises(ValueError, match=r"capability 8\.9"):
        fit(small_model, steering_samples(), FitConfig(steps=1, batch_size=8, precision="bf16", float8=True))
    with pytest.raises(ValueError, match="precision"):
        FitConfig(steps=1, float8=True)
    with prepared([small_model.vision.blocks[0]], recompute=False, compiled=False, float8=True):
        assert "forward" in vars(small_model.vision.blocks[0].mlp[0])
    assert "forward" not in vars(small_model.vision.blocks[0].mlp[0])


def test_every_kind_of_head_is_built_on_meta():
    config = replace(family("pico"), action_head="flow", extra_heads=("tokens", "proposals"), latent_thoughts=2, thought_gate=True)
    bare, whole = on_meta(config), DrivingModel(config)
    assert bare.state_dict().keys() == whole.state_dict().keys()
    assert all(value.is_meta for value in bare.parameters())


@pytest.mark.parametrize("name", FAMILY)
def test_the_plan_names_matrices_of_every_member(name: str):
    with torch.device("meta"):
        model = DrivingModel(family(name), pretrained=False)
    assert len(blocks_of(model)) == model.config.depth + model.config.vision_depth + model.config.resampler_depth
    for pattern in TENSOR_CUTS:
        first = model.get_submodule(pattern.replace("*", "0"))
        assert isinstance(first, nn.Linear), pattern
    check_tensor_size(model.config, 1)
    depth = model.config.depth
    stages = [stage_of(f"backbone.decoder.layers.{number}", depth, 2) for number in range(depth)]
    assert stages == sorted(stages) and stages.count(0) == depth // 2 + depth % 2
    assert stage_of("backbone.decoder.norm.weight", depth, 2) == 1 and stage_of("vision.blocks.0", depth, 2) is None


def test_a_cut_that_does_not_divide_is_refused_by_name():
    with pytest.raises(ValueError, match="tensor 3 must divide heads 4"):
        check_tensor_size(family("nano"), 3)
    with pytest.raises(ValueError, match="does not fill 6 ranks"):
        ParallelPlan(tensor=4).filling(6)
    assert ParallelPlan(replicate=2, tensor=2).filling(12).shard == 3 and ParallelPlan(pipe=2, tensor=2).filling(8).shard == 2
    with pytest.raises(ValueError, match="not both"):
        ParallelPlan(pipe=2, context=2)


def test_recomputing_changes_no_bit_and_leaves_no_trace(small_model):
    block, x = small_model.vision.blocks[0], torch.randn(2, 5, small_model.config.vision_dim)
    kept: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda value: kept.append(value.numel()) or value, lambda value: value):
        plain = gradient(block, x)
        all_kept, kept[:] = sum(kept), []
        with prepared([block], recompute=True, compiled=False):
            again = gradient(block, x)
        assert sum(kept) < 0.2 * all_kept
    assert torch.equal(plain, again) and "forward" not in vars(block)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:DeprecationWarning")  # raised inside torch's compiler
def test_a_compiled_block_computes_the_same_and_is_plain_again_afterwards(small_model):
    block, x = small_model.vision.blocks[0], torch.randn(2, 5, small_model.config.vision_dim)
    plain = gradient(block, x)
    with prepared([block], recompute=True, compiled=True):
        torch.testing.assert_close(gradient(block, x), plain, rtol=1e-5, atol=1e-5)
    assert block._compiled_call_impl is None and torch.equal(gradient(block, x), plain)


def gradient(block: nn.Module, x: torch.Tensor) -> torch.Tensor:
    block.zero_grad()
    block(x).square().sum().backward()
    return block.mlp[0].weight.grad.clone()

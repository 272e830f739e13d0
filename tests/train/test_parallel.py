"""Many processes are one: two real ranks over gloo in one spawned job, and what one process can check alone."""

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from steering_samples import steering_samples
from torch import nn
from torch.distributed._local_tensor import LocalTensor, LocalTensorMode
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor

from motorworks.models.config import FAMILY, family
from motorworks.models.driving_model import DrivingModel
from motorworks.models.parallel_plan import TENSOR_CUTS, blocks_of, check_tensor_size
from motorworks.train.fit_config import ParallelPlan
from motorworks.train.loop import fit
from motorworks.train.parallel import cut_matrices
from motorworks.train.snapshot import SnapshotConfig

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


@pytest.mark.parametrize("name", FAMILY)
def test_the_plan_names_matrices_of_every_member(name: str):
    with torch.device("meta"):
        model = DrivingModel(family(name), pretrained=False)
    assert len(blocks_of(model)) == model.config.depth + model.config.vision_depth + model.config.resampler_depth
    for pattern in TENSOR_CUTS:
        first = model.get_submodule(pattern.replace("*", "0"))
        assert isinstance(first, nn.Linear), pattern
    check_tensor_size(model.config, 1)


def test_a_cut_that_does_not_divide_is_refused_by_name():
    with pytest.raises(ValueError, match="tensor 3 must divide heads 4"):
        check_tensor_size(family("nano"), 3)
    with pytest.raises(ValueError, match="does not fill 6 ranks"):
        ParallelPlan(tensor=4).filling(6)
    assert ParallelPlan(replicate=2, tensor=2).filling(12).shard == 3

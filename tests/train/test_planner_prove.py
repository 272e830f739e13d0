"""What the proof builds is what the trainer builds, and what the planner's formulas say of it."""

from collections import Counter
from dataclasses import replace
from typing import ClassVar

import pytest
import torch.distributed as dist
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from torch.testing._internal.distributed.fake_pg import FakeStore

from motorworks.models.config import family
from motorworks.models.parallel_plan import blocks_of, check_tensor_size, tensor_cuts
from motorworks.train.fit_config import ParallelPlan
from motorworks.train.parallel import NormOverRanks, Seeing, parallelise
from motorworks.train.planner import prove, shapes, step_time
from motorworks.train.planner.assumptions import Assumptions
from motorworks.train.planner.gpus import GPUS
from motorworks.train.planner.search import shardings
from motorworks.train.planner.sharding import Sharding
from motorworks.train.planner.tracker import MemoryTracker
from motorworks.train.ranks import Ranks, local
from motorworks.train.start import on_meta

SMALL = replace(family("small"), depth=3, vision_depth=2, resampler_depth=2)


@pytest.fixture
def fake_ranks():
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=16)
    yield
    dist.destroy_process_group()


def _parts(seeing: Seeing) -> dict[str, tuple[object, ...]]:
    """Of every weight what rank 0 holds, over which ranks and how it is cut."""
    return {name: (tuple(local(value).shape), value.device_mesh, value.placements) for name, value in seeing.named_parameters()}


def test_the_proof_cuts_with_the_hands_of_the_engine(fake_ranks):
    ranks = Ranks.join(ParallelPlan(replicate=2, shard=4, tensor=2), "cpu")
    sharding = Sharding(replicate=2, shard=4, tp=2)
    engine, proof = parallelise(on_meta(SMALL), ranks, precision="bf16"), prove.cut(SMALL, sharding, prove.join(sharding))
    assert _parts(proof) == _parts(engine)
    for one in (engine, proof):
        assert isinstance(one, Seeing) and isinstance(one.model.vision.norm_out, NormOverRanks)
        assert {module for module in one.modules() if isinstance(module, FSDPModule)} == {one, *blocks_of(one.model)}
    cut = {f"model.{name}" for name in tensor_cuts(proof.model)}
    of_tensor = {name for name, value in proof.named_parameters() if "tensor" in value.device_mesh.mesh_dim_names}
    assert {name.rpartition(".")[0] for name in of_tensor} == cut
    assert any(name.startswith("model.vision.") for name in of_tensor) and not any("attention" in name for name in of_tensor if "vision" in name)


@pytest.mark.parametrize("sharding", [Sharding(shard=16), Sharding(replicate=2, shard=4, tp=2), Sharding(shard=4, tp=4)], ids=str)
def test_every_weight_is_cut_as_the_formulas_say(fake_ranks, sharding):
    seeing = prove.cut(SMALL, sharding, prove.join(sharding))
    said = Counter({})
    for weight in shapes.weights(SMALL):
        said[weight.shape, weight.local_shape(shard=sharding.shard, tp=sharding.tp), weight.block] += weight.count
    inside = {id(value) for block in blocks_of(seeing.model) for value in block.parameters()}
    assert said == Counter((tuple(value.shape), tuple(local(value).shape), id(value) in inside) for value in seeing.parameters())


def test_an_eye_that_cannot_be_cut_is_not_planned_cut():
    usual, odd = family("7b"), replace(family("7b"), vision_dim=1028, vision_heads=4)
    tried, left = ({one.tp for one in shardings(config, GPUS["h100"], 8, Assumptions())} for config in (usual, odd))
    assert tried == {1, 2, 4, 8} and left == {1, 2, 4}
    for size in left:
        check_tensor_size(odd, size)
    with pytest.raises(ValueError, match="tensor 8 must divide vision_dim 1028"):
        check_tensor_size(odd, 8)


class _Travels(MemoryTracker):
    """Counts bytes on their way too, by the kind of the collective."""

    moved: ClassVar[Counter[str]] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name
        if not any(issubclass(one, DTensor) for one in types) and name in ("_c10d_functional::all_reduce", "c10d::_allgather_base_"):
            self.moved[name] += args[0].nbytes
        return super().__torch_dispatch__(func, types, args, kwargs)


@pytest.mark.parametrize(
    "sharding",
    [Sharding(shard=4, tp=4, micro_batch=8), Sharding(replicate=2, shard=4, tp=2, micro_batch=8, checkpoint=False, reshard=False)],
    ids=str,
)
def test_what_travels_is_what_the_step_time_counts(fake_ranks, monkeypatch, sharding):
    monkeypatch.setattr(prove, "MemoryTracker", _Travels)
    monkeypatch.setattr(_Travels, "moved", Counter())
    prove.fake_step(SMALL, sharding, prove.join(sharding))
    assert _Travels.moved["_c10d_functional::all_reduce"] == step_time.summed_bytes(SMALL, sharding)
    parts = step_time.gathered_parts(SMALL, sharding)
    # FSDP fetches ahead in the order of all calls, and takes the eye's last block in its first look for one that is still to come backward
    in_vain = parts[1][1] / parts[1][0]
    gathered = step_time.BF16 * (in_vain + sum(params * times for _, params, times in parts))
    assert _Travels.moved["c10d::_allgather_base_"] == pytest.approx(gathered, rel=0.01)  # some are padded

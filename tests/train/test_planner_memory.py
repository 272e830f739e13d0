"""What the planner says of memory beside what tensors take: on a real step, and on fake ones cut over many ranks."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch.distributed.tensor import Shard, distribute_tensor, init_device_mesh
from torch.testing._internal.distributed.fake_pg import FakeStore

from motorworks.bodies.body import CAR
from motorworks.datatypes.thought import Thought
from motorworks.datatypes.trajectory import Trajectory
from motorworks.models.config import ModelConfig, family
from motorworks.models.driving_model import DrivingModel
from motorworks.tokens.ego import EgoCodec
from motorworks.train.fit_config import FitConfig, LossWeights
from motorworks.train.loop import fit
from motorworks.train.planner import memory, prove, shapes
from motorworks.train.planner.sharding import Sharding
from motorworks.train.planner.tracker import MemoryTracker
from motorworks.train.samples import Samples, samples_from_arrays

WORLD = 64


@pytest.fixture
def fake_ranks():
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=WORLD)
    yield
    dist.destroy_process_group()


def _samples(num: int) -> Samples:
    here = np.arange(num)
    return samples_from_arrays(
        images=np.random.default_rng(0).integers(0, 255, (num + 5, 64, 128, 3), dtype=np.uint8),
        frame_index=np.stack([here, here + 4], axis=1),
        next_frame_index=here + 5,
        ego=EgoCodec().encode(np.full(num, 8.0), np.zeros(num), None),
        instructions=("follow the road",) * num,
        trajectory=Trajectory(accel_mps2=np.full((num, 64), 0.5), curvature_per_m=np.zeros((num, 64))),
        speed_mps=np.full(num, 8.0),
        body=CAR,
        thoughts=(Thought(decision="keep going", cause="the road is clear"),) * num,
    )


def _five_million() -> ModelConfig:
    return replace(family("nano"), dim=256, depth=4, heads=4, kv_heads=2, mlp_dim=704, vision_dim=160, vision_depth=4, vision_heads=5)


# few samples: states weigh most; many: activations
@pytest.mark.parametrize(("batch_size", "muon"), [(4, False), (24, False), (24, True)])
def test_a_real_step_takes_what_the_planner_says(batch_size, muon):
    config = _five_million()
    assert 4.5e6 < shapes.num_params(config) < 6e6
    torch.manual_seed(0)
    model = DrivingModel(config)
    run = FitConfig(steps=2, batch_size=batch_size, muon=muon, losses=LossWeights(action=1.0, reasoned=0.3, language=0.3, world=0.1))
    with MemoryTracker() as tracker:
        tracker.adopt([*model.parameters(), *model.buffers()])
        fit(model, _samples(32), run, threads=1)
        peak = tracker.peak_bytes
        kept = tracker.live_bytes
    said = memory.whole_step(config, batch_size, muon=muon)
    assert said.total == pytest.approx(peak, rel=0.05)
    assert said.weights + said.grads == pytest.approx(kept, rel=0.02)  # the optimiser is gone when `fit` returns
    assert said.activations > said.weights if batch_size == 24 else said.activations < said.weights + said.grads + said.optimizer


def test_the_tracker_charges_a_rank_its_shard_and_counts_what_dies(fake_ranks):
    mesh = init_device_mesh("cpu", (WORLD,))
    with MemoryTracker() as tracker:
        whole = torch.zeros(WORLD * 10, 100)
        assert tracker.live_bytes == whole.nbytes
        mine = distribute_tensor(whole, mesh, [Shard(0)], src_data_rank=None)
        del whole
        before = tracker.live_bytes
        twice = mine * 2
        assert tracker.live_bytes - before == 10 * 100 * 4
        view = twice.to_local()[:1]
        del twice
        assert tracker.live_bytes - before == 10 * 100 * 4
        del view
        assert tracker.live_bytes == before
        gathered = torch.zeros(1000)
        gathered.untyped_storage().resize_(0)  # as FSDP2 frees
        assert tracker.live_bytes == before


@pytest.mark.parametrize(
    ("depth", "sharding"),
    [
        (3, Sharding(shard=64, micro_batch=32)),
        (3, Sharding(replicate=4, shard=8, tp=2, micro_batch=64)),  # the most is held while the eye looks at the other images
        (16, Sharding(replicate=4, shard=8, tp=2, micro_batch=64)),  # and here in the decoder's backward pass
        (3, Sharding(shard=16, tp=4, micro_batch=64, reshard=False)),
        (16, Sharding(shard=16, tp=4, micro_batch=64, reshard=False)),
        (3, Sharding(shard=64, micro_batch=32, checkpoint=False)),
        (3, Sharding(shard=16, tp=4, micro_batch=32, checkpoint=False, reshard=False)),
    ],
    ids=str,
)
def test_a_fake_step_over_many_ranks_takes_what_the_planner_says(fake_ranks, depth, sharding):
    config = replace(family("small"), depth=depth, vision_depth=1, resampler_depth=1)
    ranks = prove.join(sharding)
    whole, mine = prove.count_params(config, sharding, ranks)
    assert (whole, mine) == (shapes.num_params(config), shapes.params_per_rank(config, shard=sharding.shard, tp=sharding.tp))
    fake, said = prove.fake_step(config, sharding, ranks), memory.sharded_step(config, sharding)
    assert (said.weights, said.optimizer) == (pytest.approx(fake.weights, rel=0.01), pytest.approx(fake.optimizer, rel=0.01))
    assert memory.waiting(config, sharding) == pytest.approx(fake.after_forward, rel=0.02)
    assert said.total == pytest.approx(fake.peak, rel=0.08)


def test_memory_is_a_straight_line_in_depth(fake_ranks):
    config, sharding = replace(family("small"), depth=4, vision_depth=4, resampler_depth=1), Sharding(replicate=4, shard=8, tp=2, micro_batch=64)
    ranks = prove.join(sharding)
    members = [prove.at_depth(config, depth) for depth in (2, 3, 4)]
    steps = [prove.fake_step(member, sharding, ranks) for member in members]
    longer = prove.extrapolated(config, (members[0], steps[0]), (members[1], steps[1]))
    assert longer.peak == pytest.approx(steps[2].peak, rel=0.005) and longer.after_forward == pytest.approx(steps[2].after_forward, rel=0.005)

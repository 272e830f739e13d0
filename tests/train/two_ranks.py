"""What two real processes over gloo do, each case held against one process. Run by test_parallel.py; every rank ends with "ok"."""

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
import torch.distributed as dist
from steering_samples import steering_samples
from torch.distributed.tensor import DTensor

from motorworks.models.config import family
from motorworks.models.driving_model import DrivingModel
from motorworks.models.parallel_plan import stage_of
from motorworks.train.batch import NO_JITTER, Batch, DrawOrder, gather
from motorworks.train.clock import RunClock
from motorworks.train.faults import FaultWatch, Preempted
from motorworks.train.fit_config import FaultPolicy, FitConfig, LossWeights, ParallelPlan
from motorworks.train.learner import Learner
from motorworks.train.loop import FitResult, fit
from motorworks.train.ranks import Ranks, ReplicasDiffer, local
from motorworks.train.samples import Samples
from motorworks.train.snapshot import SnapshotConfig
from motorworks.train.start import on_meta

CONFIG = FitConfig(steps=3, batch_size=8, record_every=1, losses=LossWeights(road=0.5), think_every=2)
PLANS = {
    "shard": ParallelPlan(),
    "kept": ParallelPlan(reshard=False),
    "replicate": ParallelPlan(replicate=2),
    "tensor": ParallelPlan(tensor=2),
    "pipe": ParallelPlan(pipe=2),
    "context": ParallelPlan(context=2),
}
ADAM = replace(CONFIG, muon=False, lr=1e-4)  # it divides by the gradient: where that is all rounding, so is the step


def model() -> DrivingModel:
    torch.manual_seed(0)
    return DrivingModel(family("pico"))


def brought() -> DrivingModel:
    """The first rank's has values."""
    return model() if dist.get_rank() == 0 else on_meta(family("pico"))


def gradients_and_losses(plan: ParallelPlan | None, samples: Samples, config: FitConfig) -> tuple[dict[str, torch.Tensor], list[float]]:
    """After three steps."""
    ranks = Ranks.join(plan, "cpu")
    learner = Learner(model(), config, ranks, "cpu")
    order, generator = DrawOrder(samples.weight, config.batch_size, 0), np.random.default_rng(0)
    share, losses = config.batch_size // ranks.num_data, []
    for step in range(config.steps):
        mine = slice(ranks.data_rank * share, (ranks.data_rank + 1) * share)
        batch: Batch = gather(samples, next(order), config.jitter, generator, mine=mine)
        losses.append(learner.gradients(batch, step, RunClock())["loss"])
        if step + 1 < config.steps:
            learner.update(step)
    grads = {name: value.grad for name, value in learner.model.named_parameters() if value.grad is not None}
    return {name: value.full_tensor() if isinstance(value, DTensor) else value for name, value in grads.items()}, losses


def equal_to_one(samples: Samples) -> None:
    for name, config in (("muon", CONFIG), ("adamw", ADAM)):
        alone, losses = gradients_and_losses(None, samples, config)
        for kind, plan in PLANS.items():
            grads, cut = gradients_and_losses(plan, samples, replace(config, accumulate=1 if config.muon else 2))
            mine = {key for key in alone if stage_of(key, 2, plan.pipe) in (None, dist.get_rank() if plan.pipe > 1 else 0)}
            assert grads.keys() == mine, (kind, grads.keys() ^ mine)
            apart = {key: float((grads[key] - alone[key]).abs().max()) for key in mine}
            worst = max(apart, key=lambda key: apart[key])
            print(kind, name, "losses apart", max(abs(a - b) for a, b in zip(losses, cut, strict=True)), "gradients apart", worst, apart[worst])
            assert max(abs(a - b) for a, b in zip(losses, cut, strict=True)) < 1e-5, (kind, name, losses, cut)
            assert apart[worst] < 1e-5, (kind, name, worst, apart[worst])


def one_rank_blind(samples: Samples) -> None:
    """The second rank's rows have no picture at all."""
    config = replace(CONFIG, jitter=NO_JITTER, steps=2)
    rows = next(DrawOrder(samples.weight, 8, 0))
    seen = samples.frame_index.copy()
    seen[rows[4:]] = -1
    ahead = samples.next_frame_index.copy()
    ahead[rows[4:]] = -1
    blind = replace(samples, frame_index=seen, next_frame_index=ahead)
    one, two = fit(model(), blind, config).curves, fit(model(), blind, config, plan=ParallelPlan()).curves
    assert all(abs(a["loss"] - b["loss"]) < 1e-5 for a, b in zip(one, two, strict=True)), (one, two)


def bf16_and_options(samples: Samples) -> None:
    config = replace(CONFIG, precision="bf16", recompute=True)
    one = fit(model(), samples, config).curves
    for plan in (ParallelPlan(), PLANS["pipe"]):
        two = fit(model(), samples, config, plan=plan).curves
        assert all(abs(a["loss"] - b["loss"]) < 2e-2 for a, b in zip(one, two, strict=True)), (plan, one, two)
    for kind in ("pipe", "context"):
        try:
            Learner(on_meta(replace(family("pico"), action_head="tokens")), config, Ranks.join(PLANS[kind], "cpu"), "cpu")
        except ValueError as error:
            assert "head of tokens" in str(error), error
        else:
            raise AssertionError(f"{kind} took a head that goes on from a memory")


def goes_on_with_another_world(samples: Samples, folder: Path) -> None:
    """From a snapshot of one cut another goes on with the same samples; and one process, in the test itself."""
    config = replace(CONFIG, steps=6)
    alone = model()
    whole = fit(alone, samples, config).curves

    for start in ("shard", "tensor", "pipe"):  # the end of these runs is forgotten: their last snapshot is of step 4
        fit(brought(), samples, config, plan=PLANS[start], snapshots=SnapshotConfig(folder=folder / start, every_steps=4, keep=1))
    for start, plan in (("shard", "tensor"), ("tensor", "pipe"), ("shard", "replicate"), ("pipe", "context")):
        cut = brought()
        result: FitResult = fit(cut, samples, config, plan=PLANS[plan], snapshots=SnapshotConfig(folder=folder / start, keep=1))
        assert [row["step"] for row in result.curves] == [1, 2, 3, 4, 5, 6]
        assert result.seconds["restart"] > 0  # it did go on, and not begin
        apart = max(abs(a["loss"] - b["loss"]) for a, b in zip(whole, result.curves, strict=True))
        assert apart < 1e-4, (start, plan, apart)
        if dist.get_rank() == 0:
            ends = {name: float((value - cut.state_dict()[name]).abs().max()) for name, value in alone.state_dict().items()}
            assert max(ends.values()) < 1e-3, (start, plan, ends)


def replicas_are_compared(samples: Samples) -> None:
    config = replace(CONFIG, faults=FaultPolicy(check_every=1))
    fit(model(), samples, config, plan=PLANS["replicate"])
    ranks = Ranks.join(PLANS["replicate"], "cpu")
    learner = Learner(model(), config, ranks, "cpu")
    named = list(learner.model.state_dict().items())
    ranks.check_replicas(named)
    if dist.get_rank() == 1:
        local(dict(named)["action.mlp.0.bias"]).view(torch.int32)[3] ^= 1  # one bit
    try:
        ranks.check_replicas(named)
    except ReplicasDiffer as error:
        assert "action.mlp.0.bias" in str(error) and "road" not in str(error), error
    else:
        raise AssertionError("a flipped bit was not seen")


def faults_are_met_together(samples: Samples, folder: Path) -> None:
    """What one rank alone sees, all act on; each case with copies, where both ranks would go on without a word."""
    second, plan, keeps = dist.get_rank() == 1, PLANS["replicate"], SnapshotConfig(folder=folder / "faults", every_steps=1)
    config = replace(CONFIG, faults=FaultPolicy(skips=2, check_every=1))
    suspicious = mock.patch.object(FaultWatch, "wrong", side_effect=[[], ["it looks odd"] if second else [], *[[]] * 9])
    with suspicious:
        assert fit(model(), samples, config, plan=plan).num_skipped == 1

    def after(step: int, act: Callable[[Learner], None]) -> Any:
        whole = Learner.update

        def update(learner: Learner, at: int) -> float:
            if at == step and second:
                act(learner)
            return whole(learner, at)

        return mock.patch.object(Learner, "update", update)

    def flip(learner: Learner) -> None:
        local(dict(learner.model.state_dict())["vision.position_ND"]).view(torch.int32)[3, 3] ^= 1

    with after(1, flip):
        ends_with(ReplicasDiffer, "vision.position_ND", lambda: fit(model(), samples, config, plan=plan))
    with after(1, lambda learner: os.kill(os.getpid(), signal.SIGTERM)):
        ends_with(Preempted, "after step 2 of 3", lambda: fit(model(), samples, config, plan=plan, snapshots=keeps))
    full = mock.patch("motorworks.train.snapshot._crc32", side_effect=OSError(28, "No space left on device"))
    fresh = replace(keeps, folder=folder / "full")
    with full:
        ends_with(OSError, "another rank says why" if second else "No space left", lambda: fit(model(), samples, config, plan=plan, snapshots=fresh))


def ends_with(kind: type[Exception], words: str, run: Callable[[], object]) -> None:
    try:
        run()
    except kind as error:
        assert words in str(error), error
    else:
        raise AssertionError(f"no {kind.__name__}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    dist.init_process_group("gloo")
    data = steering_samples()
    equal_to_one(data)
    one_rank_blind(data)
    bf16_and_options(data)
    replicas_are_compared(data)
    faults_are_met_together(data, folder)
    goes_on_with_another_world(data, folder)
    print(f"rank {os.environ['RANK']} ok")
    dist.destroy_process_group()

"""The training loop: samples and a config in, a trained model and its clock out. The same seed and threads give the same bits."""

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from motorworks.models.driving_model import DrivingModel
from motorworks.train.clock import RunClock, as_row
from motorworks.train.course import Course
from motorworks.train.faults import FaultWatch, Preempted, told_to_stop
from motorworks.train.feed import Ahead, InMemory, Source
from motorworks.train.fit_config import FitConfig, ParallelPlan
from motorworks.train.float8 import check_float8
from motorworks.train.learner import Learner, thinks
from motorworks.train.live import flops_of_steps
from motorworks.train.losses import Loss
from motorworks.train.prepared import prepared
from motorworks.train.ranks import Ranks
from motorworks.train.samples import Samples
from motorworks.train.snapshot import Snapshot, SnapshotConfig, Snapshots
from motorworks.train.start import collect, on_meta

GO_ON, SNAPSHOT, STOP = 0, 1, 2
OnProgress = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """The curves and the clock. MFU is `tokens_per_s * flops_per_token` over a measured peak; a token is an image patch or a word."""

    curves: list[dict[str, float]]  # step, loss, lr, grad_norm and the parts of every loss; means since the row before
    num_samples: int  # of steps that were kept
    samples_per_s: float
    tokens_per_s: float
    flops_per_token: float
    busy_s: float  # forward, backward, optimiser
    data_s: float  # waiting for a batch: the stall
    wall_s: float  # of all processes that had a part in the run, and the time between them
    seconds: dict[str, float]  # by train.clock.BUCKETS, which add up to wall_s
    num_skipped: int = 0  # batches left out
    num_rollbacks: int = 0


def fit(
    model: DrivingModel,
    samples: Samples | Source,
    config: FitConfig,
    *,
    device: str = "cpu",
    threads: int | None = None,
    extra_losses: Sequence[tuple[float, Loss]] = (),
    on_progress: OnProgress | None = None,
    plan: ParallelPlan | None = None,
    snapshots: SnapshotConfig | None = None,
    ahead: int = 1,
) -> FitResult:
    """Trains `model` in place and leaves it in eval mode on `device`; `on_progress(steps done, row)` at every recorded row.

    With a `plan`, all ranks of the process group call this alike, and each ends with the whole model, where it was; those but the first may
    bring theirs on `meta`, and keep it so. With `snapshots`, a run that died goes on from its last one, and SIGTERM ends it with Preempted after
    another. `ahead` batches are prepared in a thread beside the step.
    """
    clock = RunClock()
    if threads is not None:
        torch.set_num_threads(threads)
    ranks = Ranks.join(plan, device)
    share, num_micro = config.batch_size // ranks.num_data, max(config.accumulate, ranks.num_stages)
    if config.batch_size % ranks.num_data or share % num_micro:
        raise ValueError(f"batch_size {config.batch_size} must be a multiple of {ranks.num_data} ranks that share it x {num_micro} micro-batches")
    if config.float8:
        check_float8(device, tensor=plan.tensor if plan is not None else 1)
    if ranks.mesh is None:
        model.to(device)
        measure_controls(model, samples)
        learner = Learner(model, config, ranks, device, extra_losses)
    else:  # the whole one is filled again at the end
        if ranks.rank == 0:
            measure_controls(model, samples)
        learner = Learner(on_meta(model.config), config, ranks, device, extra_losses, start=model)
        torch.manual_seed(ranks.from_first(int(torch.randint(2**31, ()))) + ranks.data_rank)  # those that see the same samples draw alike
    source = samples
    if isinstance(samples, Samples):
        source = InMemory(samples.seen_as(num_frames=model.config.num_frames, num_views=model.config.num_views))
    kept = None if snapshots is None else Snapshots(snapshots, ranks, run=_digest(model, config, source), say=_say)
    run = _Run(learner, config, ranks, kept, clock, on_progress if ranks.rank == 0 else None)
    run.resume()
    mine = slice(ranks.data_rank * share, (ranks.data_rank + 1) * share)
    num_later = model.config.foresight_horizons - 1 if config.losses.world > 0 else 0
    batches = source.batches(config, mine=mine, cursor=run.course.cursor, num_later=num_later)
    pin = torch.device(device).type == "cuda"
    with prepared(learner.model, config, device=device, cut=ranks.mesh is not None), Ahead(batches, num=ahead, pin=pin) as feed:
        run.train(feed)
    if learner.model is not model:
        collect(learner.model, model, ranks)
    model.eval()
    return _result(model, config, run.course, clock.read())


def measure_controls(model: DrivingModel, samples: Samples | Source) -> None:
    """Before a model's first training: what its heads normalise controls by. Later runs keep it, for its words mean that."""
    fresh = [scale for scale in model.knot_scales() if not int(scale.measured)]
    if fresh and not isinstance(samples, Samples):
        raise ValueError("the heads have not measured controls yet, and a stream cannot be measured: train on samples in memory first")
    if fresh and isinstance(samples, Samples) and samples.controls_valid.any():
        controls, valid = torch.from_numpy(samples.controls), torch.from_numpy(samples.controls_valid)
        for scale in fresh:
            scale.measure(controls.to(scale.mean.device), valid.to(scale.mean.device))


class _Run:
    """One run of `fit`: what happens between one step and the next."""

    def __init__(
        self, learner: Learner, config: FitConfig, ranks: Ranks, kept: Snapshots | None, clock: RunClock, on_progress: OnProgress | None
    ) -> None:
        self.learner, self.config, self.ranks, self.kept, self.clock, self.on_progress = learner, config, ranks, kept, clock, on_progress
        self.course, self.watch = Course(), FaultWatch(config.faults)
        self._went_back_to: int | None = None  # the step of the snapshot that was last gone back to

    def resume(self) -> None:
        """Goes on from the last snapshot, if there is one."""
        snapshot = self.kept.newest() if self.kept is not None else None
        if self.kept is None or snapshot is None:
            return
        self._restore(snapshot)
        self.course.load_state_dict(snapshot.progress["course"])
        alive, restart_s = self.kept.last_seen(snapshot)
        self.clock.resume(alive, snapshot.progress["clock"], restart_s - sum(self.clock.read().values()))

    def train(self, feed: Ahead) -> None:
        """Until the last step."""
        with told_to_stop(listen=self.kept is not None) as stop:
            while self.course.step < self.config.steps:
                self._step(feed)
                self._look_after(stop.is_set())
        if self.kept is not None:
            with self.clock.during("checkpoint_stall"):
                self.kept.finish()

    def _step(self, feed: Ahead) -> None:
        step, thought = self.course.step, self.learner.thinks(self.course.step)
        self.clock.enter("data_wait")
        drawn = next(feed)
        batch = drawn.batch.to(self.learner.device)
        before = self.clock.read()
        self.clock.enter("compute")
        row = self.learner.gradients(batch, step, self.clock)
        wrong = self.watch.wrong(row, thought=thought)
        if wrong and not self.config.faults.skips:
            raise FloatingPointError(self._words(step, wrong))
        if self.config.faults.skips and self._anywhere(wrong):
            self.learner.forget()
            self.clock.lose(before)
            self.course.left_out(drawn.cursor)
            wrong = wrong or ["seen on another rank"]
            if self.ranks.rank == 0:
                _say(f"training step {step}: a batch is left out: {', '.join(wrong)}")
            if self.course.num_bad_in_row >= self.config.faults.skips:
                self._go_back(step, wrong)
            return
        lr = self.learner.update(step)
        self.watch.keep(row, thought=thought)
        record = (step + 1) % self.config.record_every == 0 or step + 1 == self.config.steps
        self.course.took({"lr": lr, **row}, drawn.cursor, record=record)
        if record and self.on_progress is not None:
            with self.clock.during("evaluation"):
                self.on_progress(step + 1, self.course.curves[-1] | as_row(self.clock.read()))

    def _anywhere(self, wrong: list[str]) -> bool:
        """Whether any rank has found something: those that see the same samples may differ by a rounding, and all must leave a batch out or none."""
        with self.clock.during("communication"):
            return self.ranks.most(int(bool(wrong))) > 0

    def _look_after(self, told_to_stop: bool) -> None:
        """Replicas compared, a snapshot where it is due, and the end where the system asks for it."""
        step = self.course.step
        if step % self.config.faults.check_every == 0:
            with self.clock.during("communication"):
                self.ranks.check_replicas(list(self.learner.model.state_dict().items()))
        if self.kept is None:
            return
        with self.clock.during("communication"):
            due = self.ranks.rank == 0 and self.kept.due(step)
            what = self.ranks.most(STOP if told_to_stop else SNAPSHOT if due else GO_ON)
        if what == STOP or (what == SNAPSHOT and not self.course.num_bad_in_row):
            with self.clock.during("checkpoint_stall"):
                self.kept.take(self.learner, step, self._progress())
                if what == STOP:
                    self.kept.finish()
        self.kept.live(self.clock.read())
        if what == STOP:
            raise Preempted(f"stopped by SIGTERM after step {step} of {self.config.steps}; the same command goes on from its snapshot")

    def _progress(self) -> dict[str, Any]:
        return {"course": self.course.state_dict(), "watch": self.watch.state_dict(), "clock": self.clock.read()}

    def _restore(self, snapshot: Snapshot) -> None:
        assert self.kept is not None
        self.kept.restore(self.learner, snapshot)
        self.watch.load_state_dict(snapshot.progress["watch"])

    def _go_back(self, step: int, wrong: list[str]) -> None:
        """To the last snapshot, and on with the batches behind the bad ones; to the one before if that was tried: its weights may be at fault."""
        if self.kept is None or self.course.num_rollbacks >= self.config.faults.rollbacks:
            why = "there is no snapshot to go back to" if self.kept is None else f"it has gone back {self.course.num_rollbacks} times"
            raise FloatingPointError(f"{self._words(step, wrong)}; {self.course.num_bad_in_row} bad batches in a row, and {why}")
        with self.clock.during("checkpoint_stall"):
            self.kept.finish()
            snapshot = self.kept.newest()
            if snapshot is not None and snapshot.progress["step"] == self._went_back_to:
                snapshot = self.kept.newest(before=self._went_back_to) or snapshot
            if snapshot is None:
                raise FloatingPointError(f"{self._words(step, wrong)}; {self.course.num_bad_in_row} bad batches in a row before the first snapshot")
            self.kept.drop_after(snapshot)
            self._restore(snapshot)
        self._went_back_to = snapshot.progress["step"]
        assert self.course.cursor is not None
        self.course.went_back(snapshot.progress["course"], self.course.cursor)
        self.clock.lose(snapshot.progress["clock"])
        if self.ranks.rank == 0:
            _say(f"training step {step}: back to step {self.course.step}, and past the batches that were bad")

    def _words(self, step: int, wrong: list[str]) -> str:
        return f"training step {step}: {', '.join(wrong)}; look for NaN in the samples, or lower FitConfig.lr ({self.config.lr})"


def _say(line: str) -> None:
    print(f"motorworks: {line}", file=sys.stderr, flush=True)


def _digest(model: DrivingModel, config: FitConfig, source: Source) -> str:
    """What a run is, as far as its snapshots must be of the same one."""
    plain = {"model": asdict(model.config), "fit": asdict(config), "source": source.identity()}
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()


def _result(model: DrivingModel, config: FitConfig, course: Course, seconds: dict[str, float]) -> FitResult:
    world, member = config.losses.world > 0, model.config
    thinks_frac = len(range(0, config.steps, config.think_every)) / config.steps if thinks(config.losses) else 0.0
    images = (member.num_frames * member.num_views + world) * member.num_patches
    tokens = images + thinks_frac * member.num_full_tokens + (1 - thinks_frac) * member.num_plan_tokens
    num_samples, wall_s = config.steps * config.batch_size, sum(seconds.values())
    return FitResult(
        curves=course.curves,
        num_samples=num_samples,
        samples_per_s=num_samples / wall_s,
        tokens_per_s=num_samples * tokens / wall_s,
        flops_per_token=flops_of_steps(member, config, config.steps) / (num_samples * tokens),
        busy_s=seconds["compute"],
        data_s=seconds["data_wait"],
        wall_s=wall_s,
        seconds=seconds,
        num_skipped=course.num_skipped,
        num_rollbacks=course.num_rollbacks,
    )

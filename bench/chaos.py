"""The planner's goodput beside a training run that is really killed: `python -m bench.chaos`, about five minutes.

Worker processes are in `train.loop.fit` together (gloo) with its snapshots, and are killed with SIGKILL at exponential times; whoever watches them
notices at its next look and starts all of them again, which go on from the last snapshot. What survived is what the loop's own clock says in the last
snapshot of all: the end is a failure too. The rate is scaled: seconds between failures stand for hours, and the time to come back is scaled with it,
because the parent has loaded torch before it forks: 0.9 s for 24 s are 6 minutes for the 2.8 hours between two of the 466 interruptions of Llama
3's 54 days (arXiv 2407.21783, 3.3.4). The gaps are the quantiles of the exponential in random order, so that the mean rate is the
planned one in a short run too. Before, the same processes run undisturbed, which says how long a step and a snapshot take, and from that the
planner says how often to take one.
"""

import argparse
import json
import math
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean

import numpy as np

from bench.figure import Figure
from motorworks.train.planner.goodput import Failures, best_interval_s, goodput

LOG, ERRORS, SNAPSHOTS, SECONDS = "log", "errors", "snapshots", "seconds.json"
MEMBER, BATCH_SIZE, RECORD_EVERY = "pico", 32, 5
CALM_SNAPSHOTS, CALM_STEPS, FOR_EVER = 8, 160, 1_000_000  # of the undisturbed run; steps of the other


@dataclass(frozen=True, kw_only=True)
class Chaos:
    """One run: how many failures how far apart, how often somebody looks, and how often a checkpoint (None: as the planner says)."""

    num_failures: int = 12
    mtbf_s: float = 24.0
    steps_per_checkpoint: int | None = None
    look_every_s: float = 0.2
    num_ranks: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.num_failures, self.steps_per_checkpoint or 1, self.num_ranks) < 1 or min(self.mtbf_s, self.look_every_s) <= 0:
            raise ValueError(f"all counts and times of a chaos run must be positive: {self}")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What happened, and what the planner says for the times that were seen. `work_frac` are the steps that survive, counted at the time that an
    undisturbed one takes: what writing snapshots more often takes from the steps beside it is seen there only."""

    goodput: float
    work_frac: float
    predicted: float
    mtbf_s: float
    detect_s: float
    restart_s: float
    checkpoint_s: float
    step_s: float
    interval_s: float
    wall_s: float
    num_failures: int
    num_lives: int  # of the job; fewer than failures where one struck while it was down


def run_chaos(chaos: Chaos, folder: Path) -> Outcome:
    """Trains undisturbed, then trains, kills, restarts."""
    import torch._dynamo  # noqa: F401 - with all that `fit` needs: before the fork, so that a restart does not wait for it

    from motorworks.train import loop, scaling_run  # noqa: F401

    calm, killed = folder / "calm", folder / "killed"
    context, generator = multiprocessing.get_context("fork"), np.random.default_rng([chaos.seed, 1])
    for worker in _start_all(context, replace(chaos, steps_per_checkpoint=CALM_STEPS // CALM_SNAPSHOTS), calm, 0, steps=CALM_STEPS):
        worker.join()
    undisturbed = json.loads(_read(calm, SECONDS))
    chaos = as_planned(chaos, undisturbed)
    died: list[float] = []
    noticed: list[float] = []
    start = time.monotonic()
    workers = _start_all(context, chaos, killed, 0)
    for at in start + exponential_gaps(chaos).cumsum():
        while time.monotonic() < at:
            time.sleep(min(chaos.look_every_s, max(0.0, at - time.monotonic())))
            if any(not worker.is_alive() for worker in workers):
                noticed.append(time.monotonic())
                _end_all(workers)
                workers = _start_all(context, chaos, killed, len(noticed))
        if all(worker.is_alive() for worker in workers):
            died.append(time.monotonic())
        victim = workers[int(generator.integers(len(workers)))]
        if victim.pid is not None and victim.is_alive():
            os.kill(victim.pid, signal.SIGKILL)
            victim.join()
    _end_all(workers)
    wall_s = time.monotonic() - start
    rows = [line.split() for line in _read(killed, LOG).splitlines()]
    survived = json.loads(max((killed / SNAPSHOTS).glob("step-*/progress.json")).read_text())
    records = [(int(life), float(end)) for life, end in rows]
    return outcome(chaos, undisturbed, survived["clock"], records, num_steps=survived["step"], wall_s=wall_s, died=died, noticed=noticed)


def as_planned(chaos: Chaos, calm: Mapping[str, float]) -> Chaos:
    """With as many steps between checkpoints as the planner advises for what an undisturbed run's clock says, where none are given; up to the
    next recorded one, so that the first record of a life is as many steps after its snapshot."""
    if chaos.steps_per_checkpoint is not None:
        return chaos
    step_s, checkpoint_s = _calm_times(calm)
    interval_s = best_interval_s(Failures(mtbf_s=chaos.mtbf_s, detect_s=chaos.look_every_s, restart_s=0.0, checkpoint_s=checkpoint_s))
    return replace(chaos, steps_per_checkpoint=RECORD_EVERY * math.ceil(interval_s / step_s / RECORD_EVERY))


def _calm_times(calm: Mapping[str, float]) -> tuple[float, float]:
    return (calm["compute"] + calm["communication"]) / CALM_STEPS, calm["checkpoint_stall"] / CALM_SNAPSHOTS


def exponential_gaps(chaos: Chaos) -> np.ndarray:
    """Seconds between failures, with mean `mtbf_s` up to the width of a quantile."""
    quantiles = (np.arange(chaos.num_failures) + 0.5) / chaos.num_failures
    gaps = -np.log1p(-quantiles)
    return np.random.default_rng(chaos.seed).permutation(gaps / gaps.mean()) * chaos.mtbf_s


def outcome(
    chaos: Chaos,
    calm: Mapping[str, float],
    survived: Mapping[str, float],
    records: Sequence[tuple[int, float]],
    *,
    num_steps: int,
    wall_s: float,
    died: Sequence[float],
    noticed: Sequence[float],
) -> Outcome:
    """Of the clocks of the undisturbed run and of the last snapshot, by train.clock.BUCKETS; records: life, and when RECORD_EVERY steps more
    were done; when a worker died and when that was noticed."""
    step_s, checkpoint_s = _calm_times(calm)
    first: dict[int, float] = {}
    for life, end in records:
        first.setdefault(life, end - RECORD_EVERY * step_s)
    detect_s = fmean(min(seen - at for seen in noticed if seen >= at) for at in died if any(seen >= at for seen in noticed))
    restart_s = fmean(first[life] - noticed[life - 1] for life in first if life)
    failures = Failures(mtbf_s=chaos.mtbf_s, detect_s=detect_s, restart_s=restart_s, checkpoint_s=checkpoint_s)
    assert chaos.steps_per_checkpoint is not None
    interval_s = chaos.steps_per_checkpoint * step_s
    return Outcome(
        goodput=(survived["compute"] + survived["communication"]) / wall_s,
        work_frac=num_steps * step_s / wall_s,
        predicted=goodput(failures, interval_s),
        step_s=step_s,
        interval_s=interval_s,
        wall_s=wall_s,
        num_failures=chaos.num_failures,
        num_lives=len(noticed) + 1,
        **asdict(failures),
    )


def _start_all(context, chaos: Chaos, folder: Path, life: int, steps: int = FOR_EVER) -> list:
    folder.mkdir(exist_ok=True)
    workers = [context.Process(target=_train, args=(rank, chaos, folder, life, steps), daemon=True) for rank in range(chaos.num_ranks)]
    for worker in workers:
        worker.start()
    return workers


def _end_all(workers: list) -> None:
    for worker in workers:
        worker.kill()
        worker.join()


def _train(rank: int, chaos: Chaos, folder: Path, life: int, steps: int) -> None:
    """One rank, from the last snapshot on."""
    import torch
    import torch.distributed as dist

    from motorworks.models.config import family
    from motorworks.models.driving_model import DrivingModel
    from motorworks.train.fit_config import FitConfig, ParallelPlan
    from motorworks.train.loop import fit
    from motorworks.train.scaling_run import ONLY_ACTION, noise
    from motorworks.train.snapshot import SnapshotConfig

    os.dup2(os.open(folder / ERRORS, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)  # what gloo says when a neighbour was killed
    log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    dist.init_process_group("gloo", store=dist.FileStore(str(folder / f"meet{life}"), chaos.num_ranks), rank=rank, world_size=chaos.num_ranks)
    torch.manual_seed(0)
    result = fit(
        DrivingModel(family(MEMBER)),
        noise(2 * BATCH_SIZE),
        FitConfig(steps=steps, batch_size=BATCH_SIZE, record_every=RECORD_EVERY, losses=ONLY_ACTION, lr=1e-4),
        threads=1,
        plan=ParallelPlan(),
        snapshots=SnapshotConfig(folder=folder / SNAPSHOTS, every_s=math.inf, every_steps=chaos.steps_per_checkpoint),
        on_progress=lambda step, row: os.write(log, f"{life} {time.monotonic()}\n".encode()),  # one write: a line is whole or absent
    )
    if rank == 0:
        (folder / SECONDS).write_text(json.dumps(result.seconds))


def _read(folder: Path, name: str) -> str:
    if not (folder / name).exists():
        raise RuntimeError(f"no step was made; the workers said: {(folder / ERRORS).read_text()[-500:]}")
    return (folder / name).read_text()


def measure() -> list[Figure]:
    """Goodput of one run against what the planner says for it."""
    with tempfile.TemporaryDirectory() as folder:
        done = run_chaos(Chaos(), Path(folder))
    against = (
        f"{done.predicted:.3f}, predicted for a failure every {done.mtbf_s:.3g} s, {done.detect_s + done.restart_s:.2g} s to come back, "
        f"a snapshot every {done.interval_s:.2g} s; at the pace of undisturbed steps {done.work_frac:.3f}"
    )
    return [Figure(name="chaos.goodput_frac", value=done.goodput, unit="of wall time", against=against, ratio=done.goodput / done.predicted)]


def main() -> None:
    """One run with its numbers."""
    parser = argparse.ArgumentParser(prog="python -m bench.chaos", description=__doc__)
    parser.add_argument("--failures", type=int, default=Chaos.num_failures)
    parser.add_argument("--mtbf-s", type=float, default=Chaos.mtbf_s)
    parser.add_argument("--seed", type=int, default=Chaos.seed)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        done = run_chaos(Chaos(num_failures=given.failures, mtbf_s=given.mtbf_s, seed=given.seed), Path(folder))
    print(json.dumps({**asdict(done), "points_apart": 100 * (done.goodput - done.predicted)}, indent=1))


if __name__ == "__main__":
    main()

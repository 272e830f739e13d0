"""The planner's goodput beside a job that is really killed: `python -m bench.chaos`, about four minutes.

Worker processes train a small model together (gloo), leave a checkpoint every few steps, and are killed with SIGKILL at exponential times; whoever
watches them notices at its next look and starts all of them again from the last checkpoint. The rate is scaled: seconds between failures stand for
hours, and the time to come back is scaled with it, because the parent has loaded torch before it forks. The gaps are the quantiles of the exponential
in random order, so that the mean rate is the planned one in a short run too. The training script is this file's own, as small as it can be.
"""

import argparse
import json
import multiprocessing
import os
import signal
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

import numpy as np

from bench.figure import Figure
from motorworks.train.planner.goodput import Failures, goodput

LOG, ERRORS, CHECKPOINT = "log", "errors", "checkpoint.pt"
WIDTH, ROWS = 256, 512


@dataclass(frozen=True, kw_only=True)
class Chaos:
    """One run: how many failures how far apart, how often a checkpoint, how often somebody looks."""

    num_failures: int = 24
    mtbf_s: float = 8.0
    steps_per_checkpoint: int = 15
    look_every_s: float = 0.2
    num_ranks: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.num_failures, self.steps_per_checkpoint, self.num_ranks) < 1 or min(self.mtbf_s, self.look_every_s) <= 0:
            raise ValueError(f"all counts and times of a chaos run must be positive: {self}")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What happened, and what the planner says for the times that were seen."""

    goodput: float
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
    """Trains, kills, restarts; the end is a failure too, so work after the last checkpoint is lost."""
    import torch._dynamo  # noqa: F401 - with all that optimisers import: before the fork, so that a restart does not wait for it

    kills = exponential_gaps(chaos).cumsum()
    context, generator = multiprocessing.get_context("fork"), np.random.default_rng([chaos.seed, 1])
    start = time.monotonic()
    died: list[float] = []
    noticed: list[float] = []
    lives = 0
    workers = _start_all(context, chaos, folder, lives)
    for at in start + kills:
        while time.monotonic() < at:
            time.sleep(min(chaos.look_every_s, max(0.0, at - time.monotonic())))
            if any(not worker.is_alive() for worker in workers):
                noticed.append(time.monotonic())
                _end_all(workers)
                lives += 1
                workers = _start_all(context, chaos, folder, lives)
        if all(worker.is_alive() for worker in workers):
            died.append(time.monotonic())
        victim = workers[int(generator.integers(len(workers)))]
        if victim.pid is not None and victim.is_alive():
            os.kill(victim.pid, signal.SIGKILL)
            victim.join()
    _end_all(workers)
    return outcome(chaos, _read(folder), wall_s=time.monotonic() - start, died=died, noticed=noticed)


def exponential_gaps(chaos: Chaos) -> np.ndarray:
    """Seconds between failures, with mean `mtbf_s` up to the width of a quantile."""
    quantiles = (np.arange(chaos.num_failures) + 0.5) / chaos.num_failures
    gaps = -np.log1p(-quantiles)
    return np.random.default_rng(chaos.seed).permutation(gaps / gaps.mean()) * chaos.mtbf_s


def outcome(chaos: Chaos, rows: list[tuple[str, int, int, float, float]], *, wall_s: float, died: list[float], noticed: list[float]) -> Outcome:
    """Steps that a checkpoint of the same life came after count; the rest of the wall time is lost. Rows: kind, life, step, end, seconds."""
    last: dict[int, int] = {}
    for kind, life, step, _, _ in rows:
        if kind == "checkpoint":
            last[life] = step
    steps = [row for row in rows if row[0] == "step"]
    useful = sum(seconds for _, life, step, _, seconds in steps if step <= last.get(life, -1))
    first: dict[int, float] = {}
    for _, life, _, end, seconds in steps:
        first.setdefault(life, end - seconds)
    checkpoint_s, step_s = fmean(row[4] for row in rows if row[0] == "checkpoint"), fmean(row[4] for row in steps)
    detect_s = fmean(min(seen - at for seen in noticed if seen >= at) for at in died if any(seen >= at for seen in noticed))
    restart_s = fmean(first[life] - noticed[life - 1] for life in first if life)
    failures = Failures(mtbf_s=chaos.mtbf_s, detect_s=detect_s, restart_s=restart_s, checkpoint_s=checkpoint_s)
    interval_s = chaos.steps_per_checkpoint * step_s
    return Outcome(
        goodput=useful / wall_s,
        predicted=goodput(failures, interval_s),
        step_s=step_s,
        interval_s=interval_s,
        wall_s=wall_s,
        num_failures=chaos.num_failures,
        num_lives=len(noticed) + 1,
        **asdict(failures),
    )


def _start_all(context, chaos: Chaos, folder: Path, life: int) -> list:
    workers = [context.Process(target=_train, args=(rank, chaos, folder, life), daemon=True) for rank in range(chaos.num_ranks)]
    for worker in workers:
        worker.start()
    return workers


def _end_all(workers: list) -> None:
    for worker in workers:
        worker.kill()
        worker.join()


def _train(rank: int, chaos: Chaos, folder: Path, life: int) -> None:
    """One rank: a step is a forward and backward pass and a sum over ranks; rank 0 writes the checkpoint while all wait."""
    import torch
    import torch.distributed as dist

    os.dup2(os.open(folder / ERRORS, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)  # what gloo says when a neighbour was killed
    torch.set_num_threads(1)
    dist.init_process_group("gloo", store=dist.FileStore(str(folder / f"meet{life}"), chaos.num_ranks), rank=rank, world_size=chaos.num_ranks)
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(WIDTH, 4 * WIDTH), torch.nn.GELU(), torch.nn.Linear(4 * WIDTH, WIDTH))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    step, path = 0, folder / CHECKPOINT
    if path.exists():
        state = torch.load(path, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step = state["step"] + 1
    log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    while True:
        began = time.monotonic()
        inputs = torch.randn(ROWS, WIDTH, generator=torch.Generator().manual_seed(step * chaos.num_ranks + rank))
        optimizer.zero_grad()
        (model(inputs) - inputs.roll(1, dims=1)).square().mean().backward()
        for value in model.parameters():
            dist.all_reduce(value.grad)
            value.grad /= chaos.num_ranks
        optimizer.step()
        _say(log, rank, "step", life, step, began)
        if (step + 1) % chaos.steps_per_checkpoint == 0:
            began = time.monotonic()
            if rank == 0:
                draft = folder / f"{CHECKPOINT}.tmp"
                with draft.open("wb") as file:
                    torch.save({"step": step, "model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
                    file.flush()
                    os.fsync(file.fileno())
                draft.replace(path)
            dist.barrier()
            _say(log, rank, "checkpoint", life, step, began)
        step += 1


def _say(log: int, rank: int, kind: str, life: int, step: int, began: float) -> None:
    if rank == 0:
        end = time.monotonic()
        os.write(log, f"{kind} {life} {step} {end} {end - began}\n".encode())  # one write: a line is whole or absent


def _read(folder: Path) -> list[tuple[str, int, int, float, float]]:
    if not (folder / LOG).exists():
        raise RuntimeError(f"no step was made; the workers said: {(folder / ERRORS).read_text()[-500:]}")
    rows = [line.split() for line in (folder / LOG).read_text().splitlines()]
    return [(kind, int(life), int(step), float(end), float(seconds)) for kind, life, step, end, seconds in rows]


def measure() -> list[Figure]:
    """Goodput of one run against what the planner says for it."""
    with tempfile.TemporaryDirectory() as folder:
        done = run_chaos(Chaos(), Path(folder))
    against = f"{done.predicted:.3f}, predicted for a failure every {done.mtbf_s:.3g} s, {done.detect_s + done.restart_s:.2g} s to come back"
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

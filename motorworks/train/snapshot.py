"""Snapshots: all that a run needs to go on, on disk whole or not at all, written beside the next steps.

Tensors by torch.distributed.checkpoint, each rank its own part, to be read by any other number of ranks; the rest is `progress.json`, written
last. They are for the run that wrote them, not for handing on: DCP's own index is a pickle. A model that leaves the house is a safetensors
file (train.checkpoint).
"""

import json
import shutil
import time
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import Tensor
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.staging import DefaultStager, StagingOptions

from motorworks.train.learner import Learner
from motorworks.train.ranks import Ranks, local

PROGRESS, ALIVE = "progress.json", "alive.json"
ALIVE_EVERY_S = 1.0


@dataclass(frozen=True, kw_only=True)
class SnapshotConfig:
    """Where snapshots lie and when they are taken. They change no bit of the run, so they are no part of its FitConfig."""

    folder: Path  # of one run; ranks on several machines must all see it
    every_s: float = 60.0  # by the first rank's clock; see docs/training.md for how long is best
    every_steps: int | None = None  # also after so many steps
    keep: int = 2

    def __post_init__(self) -> None:
        if self.every_s <= 0 or self.keep < 1 or (self.every_steps is not None and self.every_steps < 1):
            raise ValueError(f"every_s must be positive, keep and every_steps at least 1: {self}")


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A whole one, found on disk."""

    path: Path
    progress: dict[str, Any]


class Snapshots:
    """Those of one run. `run` is the digest of what the run is; those of another are refused."""

    def __init__(self, config: SnapshotConfig, ranks: Ranks, *, run: str, say: Callable[[str], None]) -> None:
        self.config, self.ranks, self.run, self.say = config, ranks, run, say
        self._group = dist.new_group(backend="gloo") if ranks.num_ranks > 1 else None  # written in a thread, so apart from the loop's talk
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="snapshot")
        self._staged: dict[str, Tensor] = {}  # in main memory: what is being written, and the room for the next
        self._writing: tuple[Path, Future[None]] | None = None
        self._last_s = self._alive_s = time.monotonic()
        if ranks.rank == 0:
            config.folder.mkdir(parents=True, exist_ok=True)
            for draft in config.folder.glob(".*.part"):
                shutil.rmtree(draft, ignore_errors=True)

    def due(self, step: int) -> bool:
        """Whether it is time for another, on the first rank's clock."""
        steps = self.config.every_steps
        return time.monotonic() - self._last_s >= self.config.every_s or (steps is not None and step % steps == 0)

    def take(self, learner: Learner, step: int, progress: dict[str, Any]) -> None:
        """Returns when everything is copied. It gets its name as soon as all ranks' parts are on disk, so that a death costs no more than what came
        after it; if it could not be written, the next `take` or `finish` says so."""
        self.finish()
        draft = self.config.folder / f".step-{step:09d}.part"
        if self.ranks.rank == 0:
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir()
        self.ranks.from_first(None)
        self._staged = _staged(_tensors(learner), self._staged)
        progress = {"run": self.run, "step": step, "num_ranks": self.ranks.num_ranks, **progress}
        self._writing = draft, self._writer.submit(self._write, draft, progress)
        self._last_s = time.monotonic()

    def _write(self, draft: Path, progress: dict[str, Any]) -> None:
        """In a thread; the first rank comes back from `save` when every rank has written."""
        dcp.save(self._staged, checkpoint_id=draft, process_group=self._group, no_dist=self._group is None)
        if self.ranks.rank == 0:
            self._name(draft, progress)

    def finish(self) -> None:
        """Waits until the one that is being written has its name, on all ranks; OSError on all of them where one could not write."""
        if self._writing is None:
            return
        draft, written = self._writing
        self._writing = None
        error = written.exception()
        if self.ranks.most(int(error is not None)):
            shutil.rmtree(draft, ignore_errors=True)
            why = error or "another rank says why"
            raise OSError(f"snapshot {draft} could not be written ({why}); the one before is whole: free space and run again") from error

    def _name(self, draft: Path, progress: dict[str, Any]) -> None:
        files = {path.name: [path.stat().st_size, _crc32(path)] for path in sorted(draft.iterdir())}
        written = draft / PROGRESS
        written.write_text(json.dumps({**progress, "files": files, "taken_us": time.time_ns() // 1000}))
        target = self.config.folder / draft.name.removeprefix(".").removesuffix(".part")
        shutil.rmtree(target, ignore_errors=True)  # torn, or from before a rollback
        draft.rename(target)
        for old in self._names()[self.config.keep :]:
            shutil.rmtree(old, ignore_errors=True)

    def newest(self, *, before: int | None = None) -> Snapshot | None:
        """The last whole one, of a step before `before`; torn ones are passed over, and said so."""
        return self.ranks.from_first(self._newest(before) if self.ranks.rank == 0 else None)

    def drop_after(self, snapshot: Snapshot) -> None:
        """Those of later steps: the run takes another way from here, and must not go on from them after a death."""
        if self.ranks.rank == 0:
            for path in self._names():
                if path.name > snapshot.path.name:
                    shutil.rmtree(path, ignore_errors=True)

    def _newest(self, before: int | None) -> Snapshot | None:
        for path in self._names():
            if before is not None and path.name >= f"step-{before:09d}":
                continue
            try:
                progress = json.loads((path / PROGRESS).read_text())
                torn = [name for name, (size, crc) in progress["files"].items() if (path / name).stat().st_size != size or _crc32(path / name) != crc]
                if torn:
                    raise ValueError(f"{', '.join(torn)} is not what was written")
            except (OSError, ValueError, KeyError) as error:
                self.say(f"snapshot {path.name} is passed over: {error}")
                continue
            if progress["run"] != self.run:
                raise ValueError(f"{path} is of another run (config, model or samples differ): give SnapshotConfig.folder a new folder, or delete it")
            return Snapshot(path=path, progress=progress)
        return None

    def _names(self) -> list[Path]:
        return sorted(self.config.folder.glob("step-*"), reverse=True)

    def restore(self, learner: Learner, snapshot: Snapshot) -> None:
        """Weights, optimisers and random states as they were. Ranks that were not there then draw from seeds of their own."""
        reader = dcp.FileSystemReader(snapshot.path)
        known = {name: meta for name, meta in reader.read_metadata().state_dict_metadata.items() if isinstance(meta, TensorStorageMetadata)}
        for stepper in learner.steppers:
            stepper.state.clear()
        wanted = _tensors(learner)
        lost = [name for name in wanted if name not in known and not name.startswith("random.")]
        if lost:
            raise ValueError(f"{snapshot.path} lacks {', '.join(lost[:3])}: it was written by other code; delete it to start afresh")
        wanted = {name: value for name, value in wanted.items() if name in known}
        states = _states(learner, known)
        dcp.load({**wanted, **{name: value for name, (*_, value) in states.items()}}, storage_reader=reader, no_dist=self._group is None)
        for stepper, value, key, tensor in states.values():
            stepper.state[value][key] = tensor
        own = wanted.get(f"random.{self.ranks.data_rank}")
        torch.set_rng_state(own) if own is not None else torch.manual_seed(learner.config.seed + snapshot.progress["step"] + self.ranks.data_rank)
        if _on_gpu(learner) and (on_gpu := wanted.get(f"random.cuda.{self.ranks.data_rank}")) is not None:
            torch.cuda.set_rng_state(on_gpu)

    def live(self, seconds: dict[str, float]) -> None:
        """A sign of life with the clock, at most once a second: what is lost in a death is known from it."""
        now_s = time.monotonic()
        if self.ranks.rank == 0 and now_s - self._alive_s >= ALIVE_EVERY_S:
            self._alive_s = now_s
            draft = self.config.folder / f".{ALIVE}.draft"
            draft.write_text(json.dumps({"at_us": time.time_ns() // 1000, "seconds": seconds}))
            draft.replace(self.config.folder / ALIVE)

    def last_seen(self, snapshot: Snapshot) -> tuple[dict[str, float], float]:
        """The clock of the process before when it was last seen, and the seconds since; of the snapshot where that is later."""
        seconds, at_us = snapshot.progress["clock"], snapshot.progress["taken_us"]
        try:
            alive = json.loads((self.config.folder / ALIVE).read_text())
            if alive["at_us"] > at_us:
                seconds, at_us = alive["seconds"], alive["at_us"]
        except (OSError, ValueError, KeyError):
            pass
        return seconds, (time.time_ns() // 1000 - at_us) / 1e6


def _tensors(learner: Learner) -> dict[str, Tensor]:
    """All that is kept, by names that are the same for any number of ranks."""
    found = {f"model.{name}": value for name, value in learner.model.state_dict().items()}
    names = {id(value): name for name, value in learner.model.named_parameters()}
    for number, stepper in enumerate(learner.steppers):
        for value, state in stepper.state.items():
            found |= {f"stepper.{number}.{names[id(value)]}.{key}": part for key, part in state.items()}
    found[f"random.{learner.ranks.data_rank}"] = torch.get_rng_state()
    if _on_gpu(learner):
        found[f"random.cuda.{learner.ranks.data_rank}"] = torch.cuda.get_rng_state()
    return found


@torch.no_grad()
def _staged(tensors: dict[str, Tensor], room: dict[str, Tensor]) -> dict[str, Tensor]:
    """A copy in main memory, into `room` where the same names lie there already: DCP's stager deep-copies one tensor after another in Python,
    which takes some hundred times as long as one copy of all of them."""
    if tensors.keys() != room.keys():
        return DefaultStager(StagingOptions(*4 * [False])).stage(tensors)
    torch._foreach_copy_([local(room[name]) for name in tensors], [local(value) for value in tensors.values()])
    return room


def _states(learner: Learner, known: dict[str, TensorStorageMetadata]) -> dict[str, tuple[torch.optim.Optimizer, Tensor, str, Tensor]]:
    """Room for the optimisers' states that were written: a parameter without a gradient so far has none."""
    names = {id(value): name for name, value in learner.model.named_parameters()}
    found = {}
    for number, stepper in enumerate(learner.steppers):
        for value in (value for group in stepper.param_groups for value in group["params"]):
            start = f"stepper.{number}.{names[id(value)]}."
            for name in (name for name in known if name.startswith(start)):
                size, dtype = known[name].size, known[name].properties.dtype  # a count of steps lies where fused AdamW wants it: beside its weight
                room = torch.zeros_like(value, requires_grad=False) if size == value.shape else torch.zeros(size, dtype=dtype, device=value.device)
                found[name] = stepper, value, name.removeprefix(start), room
    return found


def _on_gpu(learner: Learner) -> bool:
    return torch.device(learner.device).type == "cuda"


def _crc32(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 22):
            crc = zlib.crc32(chunk, crc)
    return crc

"""The shape of a stage: a step of a recipe, and the place where its `run` leaves its results.

A stage module holds a frozen config and `run(config, inputs, out) -> None`; a recipe is a function that returns steps.
A `Path` in a config is a user's input: it is fingerprinted by what lies there.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from motorworks.engine.engine import Engine, Failure, Limits, Outcome
from motorworks.factory.artifact import Inputs
from motorworks.factory.content import flush_tree, link_tree
from motorworks.factory.errors import BadUsage, CannotFingerprint
from motorworks.factory.fingerprint import digest, plain
from motorworks.factory.progress import Progress
from motorworks.factory.store import check_name

Run = Callable[[Any, Inputs, "Output"], None]
ShardCompute = Callable[[str, Path], None]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One stage in a recipe: what it is called, what it runs with which config, and the steps it reads, by role."""

    name: str  # recipe/turn/stage, as "tiny/turn1/sft"
    run: Run
    config: Any
    inputs: Mapping[str, "Step | tuple[Step, ...]"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name(self.name)
        if "<" in self.run.__qualname__:
            raise BadUsage(f"step {self.name}: run must be a function of a module, not {self.run.__qualname__}")

    @property
    def stage(self) -> str:
        """`module:function`."""
        return f"{self.run.__module__}:{self.run.__qualname__}"

    def steps_read(self) -> tuple["Step", ...]:
        """All steps this one reads."""
        return tuple(step for value in self.inputs.values() for step in (value if isinstance(value, tuple) else (value,)))


@dataclass(frozen=True, kw_only=True)
class RecipeOptions:
    """What the command line gives a recipe."""

    clips: tuple[Path, ...] = ()
    turn: int = 1
    version: str | None = None  # None is dev
    licence_allow: tuple[str, ...] = ()  # none: every licence
    blur: bool = False  # faces and plates of what is ingested
    detector: Path | None = None  # weights that find more of them
    num_samples: int | None = None  # of a recipe that is told how much to train on; None: what the recipe itself says
    seed: int = 0  # of a recipe that is run with several
    width: int | None = None  # of a member; None: the recipe's own
    views: int = 1  # cameras of a member
    frames: int = 2  # of each, 0.4 s apart

    def __post_init__(self) -> None:
        if min(self.views, self.frames) < 1:
            raise BadUsage(f"views is {self.views} and frames {self.frames}: at least one camera and one picture of it")
        if self.turn < 1:
            raise BadUsage(f"turn is {self.turn}: turns count from 1")


Recipe = Callable[[RecipeOptions], "Step | tuple[Step, ...]"]


class Output:
    """Where a stage writes: a work folder that becomes the artifact, and the facts that become its record."""

    def __init__(self, *, path: Path, shards: Path, resume: Path, step: Step, code: str, engine: Engine, progress: Progress):
        self.path = path  # the artifact's folder while it is made
        self.resume = resume  # for what a killed run goes on from; of this very config, inputs and code, and gone once the artifact is there
        self.engine = engine  # where work runs; decided by the machine, not by the recipe
        self.metrics: dict[str, Any] = {}
        self.thin_notes: list[str] = []
        self.volatile_patterns: list[str] = []
        self.counts: dict[str, dict[str, int]] = {}
        self.root = shards.parent  # the artifacts folder, for the little that outlives a run: signing keys
        self._shards, self._step, self._code, self._progress = shards, step, code, progress

    def record(self, **values: Any) -> None:
        """Put plain values (numbers, text, lists, dicts) into the record's metrics; NaN and other objects raise."""
        for name, value in values.items():
            try:
                self.metrics[name] = json.loads(json.dumps(value, allow_nan=False, default=_as_python))
            except (TypeError, ValueError) as error:
                raise CannotFingerprint(f"{self._step.name}: metric {name!r} cannot be written down ({error})") from error

    def thin(self, note: str) -> None:
        """Say in the record, and so in the report, what is thin about this result."""
        self.thin_notes.append(note)

    def volatile(self, pattern: str) -> Path:
        """Leave a file (or all that match, as 'logs/*') out of the digest: timings and other facts that differ between equal runs."""
        self.volatile_patterns.append(pattern)
        return self.path / pattern

    def progress(self, done: int, total: int | None = None, unit: str = "", note: str = "") -> None:
        """Say how far the stage is."""
        self._progress.advance(done, total, unit, note)

    def say(self, line: str) -> None:
        """Print one line for the person who watches."""
        self._progress.say(f"{self._step.name}: {line}")

    def link(self, source: Path, relative: str) -> Path:
        """Bring a shard, or a file of an input, into this artifact without a copy; it is the same file, so never write to it."""
        target = self.path / relative
        link_tree(source, target)
        return target

    @contextlib.contextmanager
    def replacing(self, relative: str) -> Iterator[Path]:
        """A temporary file that takes its name only when the block ends well."""
        target = self.path / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.part")
        yield temporary
        temporary.replace(target)

    def items(self, kind: str, keys: Sequence[str], compute: ShardCompute, *, depends_on: Any = None) -> list[Path]:
        """A folder per item, made by `compute(key, folder)` only where no earlier run made it; in the order of `keys`.

        A key must be the digest of all that `compute` reads for this item (its clip, the model's artifact digest);
        `depends_on` is the part of the config that `compute` uses, by default the whole config less its paths.
        Finished items survive a kill. With an engine of several processes, `compute` must be picklable.
        """
        base = self._shard_folder(kind, depends_on)
        for outcome in self._missing_items(kind, keys, compute, base, None):
            outcome.result()
        return [base / key for key in keys]

    def try_items(self, kind: str, keys: Sequence[str], compute: ShardCompute, *, depends_on: Any = None, limits: Limits) -> list[Path | Failure]:
        """As `items`, but outside this process and within limits; an item that fails costs only itself. Failures are not kept as shards."""
        base = self._shard_folder(kind, depends_on)
        failures = {outcome.item: outcome.failure for outcome in self._missing_items(kind, keys, compute, base, limits) if outcome.failure}
        return [failures.get(key) or base / key for key in keys]

    def _shard_folder(self, kind: str, depends_on: Any) -> Path:
        fields = plain(self._step.config if depends_on is None else depends_on, where=f"{self._step.name}.config", content=lambda path: "item")
        base = self._shards / self._step.run.__module__.rpartition(".")[2] / kind / digest({"config": fields, "code": self._code})[:32]
        base.mkdir(parents=True, exist_ok=True)
        return base

    def _missing_items(self, kind: str, keys: Sequence[str], compute: ShardCompute, base: Path, limits: Limits | None) -> Iterator[Outcome[str, str]]:
        wanted = list(dict.fromkeys(keys))
        missing = [key for key in wanted if not (base / check_name(key)).is_dir()]
        done = len(wanted) - len(missing)
        self.progress(done, len(wanted), kind, "reused" if done else "")
        self.counts[kind] = {"reused": done, "computed": len(missing)}
        for outcome in self.engine.try_map(partial(_make_shard, compute, base, self.path.parent / "shards"), missing, limits=limits):
            done += 1
            self.progress(done, len(wanted), kind)
            yield outcome


def _make_shard(compute: ShardCompute, base: Path, work: Path, key: str) -> str:
    folder = work / f"{key}-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)  # of an attempt that did not end
    folder.mkdir(parents=True)
    compute(key, folder)
    flush_tree(folder)
    try:
        folder.rename(base / key)
    except OSError:
        if not (base / key).is_dir():  # another run made the same item first: equal by construction
            raise
    return key


def _as_python(value: Any) -> Any:
    """numpy scalars and arrays as numbers and lists."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__qualname__} is not a plain value")

"""Walks a recipe's steps in the order of their inputs, and makes only what is not already there."""

import shutil
import socket
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motorworks.engine.engine import Engine
from motorworks.engine.local import LocalEngine
from motorworks.factory.artifact import DEV, Artifact, Inputs
from motorworks.factory.code import code_revision
from motorworks.factory.content import StatCache, must_exist, path_content
from motorworks.factory.errors import BadUsage, FactoryError, KeptVersionChanged, StageFailed, exit_code_of
from motorworks.factory.fingerprint import changes, digest, plain
from motorworks.factory.launch import num_ranks, rank
from motorworks.factory.machine import Clock, describe_machine
from motorworks.factory.progress import Progress, Silent, duration
from motorworks.factory.step import Output, Step
from motorworks.factory.store import SHARDS, Store, now_utc


@dataclass(frozen=True, kw_only=True)
class Planned:
    """What a run would do with one step, and why."""

    step: Step
    version: str
    state: str  # cached, run, or waits (an input has to be made first, so it may still turn out to be cached)
    why: str = ""


class Runner:
    """Makes steps in one artifacts folder, under one version."""

    def __init__(self, root: Path, *, version: str | None = None, engine: Engine | None = None, progress: Progress | None = None):
        self.store = Store(root)
        self.version = version or DEV
        self.engine = engine or LocalEngine()
        self.progress = progress or Silent()
        self._cache = StatCache(self.store.root / ".content.json")
        self._made: dict[str, Artifact] = {}
        self.outcomes: dict[str, str] = {}  # by step: reused, or built in how long

    def make(self, *goals: Step) -> dict[str, Artifact]:
        """Every step that the goals need, by name, in the order they were made or found."""
        steps = order(*goals)
        for step in steps:  # before anything is made, not when the step's turn comes
            plain(step.config, where=f"{step.name}.config", content=must_exist)
        self.store.sweep()
        for place, step in enumerate(steps, start=1):
            self.progress.started(step.name, place, len(steps))
            try:
                artifact, outcome = self._make_one(step)
            except BaseException as error:
                self.progress.ended(step.name, f"stopped ({type(error).__name__})")
                raise
            finally:
                self._cache.save()
            self._made[step.name] = artifact
            self.outcomes[step.name] = outcome
            self.progress.ended(step.name, outcome)
        return {step.name: self._made[step.name] for step in steps}

    def make_only(self, step: Step, *, asked: dict[str, Any] | None = None) -> Artifact | None:
        """One step whose inputs are already there. Of several processes that make it together only the first returns the artifact.
        `asked` is what a launcher on another machine takes the step for."""
        fields = self.check_ready(step, num=num_ranks())
        if asked is not None and asked != fields:
            here = "; ".join(changes(asked, fields)[:3])
            raise BadUsage(f"{step.name} is another step on {socket.gethostname()} than where it was asked for; code or environment differ: {here}")
        if rank() > 0:
            self._assist(step)
            return None
        self.progress.started(step.name, 1, 1)
        artifact, outcome = self._make_one(step)
        self._cache.save()
        self.outcomes[step.name] = outcome
        self.progress.ended(step.name, outcome)
        return artifact

    def check_ready(self, step: Step, *, num: int) -> dict[str, Any]:
        """All that the step is made from; raises unless `num` processes may make it and what it reads is there."""
        if num > 1 and not getattr(sys.modules[step.run.__module__], "RANKS_SHARE", False):
            raise BadUsage(f"{step.name} is work for one process, not {num}: run `motorworks stage {step.name}` without torchrun or --ray-workers")
        for needed in order(*step.steps_read()):
            planned = self.plan(needed)[-1]
            if planned.state != "cached":
                raise BadUsage(
                    f"{step.name} reads {needed.name}@{self.version}, which is not up to date ({planned.why}): "
                    f"run `motorworks stage {needed.name}` first"
                )
            self._made[needed.name] = self._current(needed)
        return self._fields(step, self._inputs(step, self._made))

    def made_elsewhere(self, step: Step) -> Artifact | None:
        """After `check_ready`: what other processes have made of the step by now."""
        artifact = self._matching(step.name, digest(self._fields(step, self._inputs(step, self._made))))
        if artifact is not None:
            self.outcomes[step.name] = f"built in {duration(artifact.record['timings']['wall_s'])} elsewhere"
        return artifact

    def plan(self, *goals: Step) -> list[Planned]:
        """What `make` would do, without doing it."""
        planned: dict[str, Planned] = {}
        found: dict[str, Artifact] = {}
        for step in order(*goals):
            waiting = [needed.name for needed in step.steps_read() if needed.name not in found]
            if waiting:
                planned[step.name] = Planned(step=step, version=self.version, state="waits", why=f"after {', '.join(waiting)}")
                continue
            fields = self._fields(step, self._inputs(step, found))
            artifact = self._matching(step.name, digest(fields))
            if artifact is not None:
                found[step.name] = artifact
            state = "run" if artifact is None else "cached"
            planned[step.name] = Planned(
                step=step, version=self.version, state=state, why=self._why(step.name, fields) if artifact is None else str(artifact)
            )
        self._cache.save()
        return list(planned.values())

    def _current(self, step: Step) -> Artifact:
        fields = self._fields(step, self._inputs(step, self._made))
        artifact = self._matching(step.name, digest(fields))
        assert artifact is not None, f"{step.name} was planned as cached"
        return artifact

    def _make_one(self, step: Step) -> tuple[Artifact, str]:
        inputs = self._inputs(step, self._made)
        fields = self._fields(step, inputs)
        fingerprint = digest(fields)
        here = self.store.find(step.name, self.version)
        if here is not None and here.fingerprint == fingerprint:
            return here, "reused"
        if here is not None and self.version != DEV:
            lines = "\n".join(f"  {line}" for line in changes(here.record["fingerprint_fields"], fields))
            raise KeptVersionChanged(f"{here} is kept, and it would change:\n{lines}\nuse another --version, or undo the change")
        with self.store.lock(step.name, self.version) as work:
            twin = self._matching(step.name, fingerprint)
            if twin is not None:
                if twin.version == self.version:
                    return twin, "reused"
                return self.store.keep(twin, self.version, work), f"reused {twin}"
            return self._build(step, inputs, fields, work)

    def _assist(self, step: Step) -> None:
        """Takes part in a step that the first process makes, and keeps nothing."""
        inputs = self._inputs(step, self._made)
        fields = self._fields(step, inputs)
        if self._matching(step.name, digest(fields)) is not None:
            return  # the first process has found it too
        with tempfile.TemporaryDirectory() as folder:
            step.run(step.config, inputs, self._output(step, fields, Path(folder)))

    def _output(self, step: Step, fields: dict[str, Any], folder: Path) -> Output:
        shards, resume = self.store.root / SHARDS, self.store.resume(step.name, self.version, digest(fields))
        return Output(path=folder, shards=shards, resume=resume, step=step, code=fields["code"], engine=self.engine, progress=self.progress)

    def _build(self, step: Step, inputs: Inputs, fields: dict[str, Any], work: Path) -> tuple[Artifact, str]:
        folder = work / "artifact"
        folder.mkdir()
        out = self._output(step, fields, folder)
        clock = Clock.start()
        try:
            step.run(step.config, inputs, out)
            timings = clock.timings()
            artifact = self.store.finish(folder, step.name, self.version, self._record(step, fields, out, timings))
            shutil.rmtree(out.resume, ignore_errors=True)
        except FactoryError:
            raise
        except Exception as error:
            raise _failed(step, error) from error
        return artifact, f"built in {duration(timings['wall_s'])}, {timings['peak_rss_mb']:.0f} MB"

    def _record(self, step: Step, fields: dict[str, Any], out: Output, timings: dict[str, float]) -> dict[str, Any]:
        return {
            "name": step.name,
            "version": self.version,
            "stage": step.stage,
            "created": now_utc(),
            "fingerprint": digest(fields),
            "fingerprint_fields": fields,
            "inputs": {role: [f"{read.name}@{self.version}" for read in _as_tuple(value)] for role, value in step.inputs.items()},
            "machine": {**describe_machine(), "num_workers": self.engine.num_workers},
            "timings": timings,
            "items": out.counts,
            "metrics": out.metrics,
            "thin": out.thin_notes,
            "volatile": out.volatile_patterns,
        }

    def _fields(self, step: Step, inputs: Inputs) -> dict[str, Any]:
        return {
            "stage": step.stage,
            "config": plain(step.config, where=f"{step.name}.config", content=lambda path: path_content(path, self._cache)),
            "inputs": {role: [artifact.digest for artifact in inputs.many(role)] for role in sorted(inputs)},
            "code": code_revision(step.run.__module__),
        }

    def _inputs(self, step: Step, made: dict[str, Artifact]) -> Inputs:
        return Inputs(
            {role: tuple(made[read.name] for read in value) if isinstance(value, tuple) else made[value.name] for role, value in step.inputs.items()}
        )

    def _matching(self, name: str, fingerprint: str) -> Artifact | None:
        """The artifact under our version, or under any other, that was made from exactly this."""
        same = [artifact for artifact in self.store.versions(name) if artifact.fingerprint == fingerprint]
        return next((artifact for artifact in same if artifact.version == self.version), same[0] if same else None)

    def _why(self, name: str, fields: dict[str, Any]) -> str:
        here = self.store.find(name, self.version)
        return "; ".join(changes(here.record["fingerprint_fields"], fields)) if here is not None else "not made yet"


def order(*goals: Step) -> list[Step]:
    """The goals and all they need, each once, every step after those it reads."""
    ordered: dict[str, Step] = {}
    open_names: list[str] = []

    def visit(step: Step) -> None:
        if step.name in open_names:
            raise BadUsage(f"steps read each other in a circle: {' → '.join([*open_names, step.name])}")
        known = ordered.get(step.name)
        if known is not None:
            if known is not step and known != step:
                raise BadUsage(f"two different steps are called {step.name}: give one of them another name")
            return
        open_names.append(step.name)
        for needed in step.steps_read():
            visit(needed)
        open_names.pop()
        ordered[step.name] = step

    for goal in goals:
        visit(goal)
    return list(ordered.values())


def _as_tuple(value: "Step | tuple[Step, ...]") -> tuple[Step, ...]:
    return value if isinstance(value, tuple) else (value,)


def _failed(step: Step, error: Exception) -> StageFailed:
    """One line that names the stage, the path if the system named one, and the cause; an error's own exit code is kept."""
    path = getattr(error, "filename", None)
    where = f" at {path}" if path and str(path) not in str(error) else ""
    failed = StageFailed(f"{step.name} failed{where}: {type(error).__name__}: {error}")
    failed.exit_code = exit_code_of(error)
    return failed

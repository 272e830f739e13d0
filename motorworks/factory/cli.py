"""The command line: a few verbs, one clear line for an error, documented exit codes."""

import contextlib
import json
import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from motorworks.factory import commands
from motorworks.factory.errors import BadUsage, FactoryError, exit_code_of

if TYPE_CHECKING:
    from motorworks.engine.engine import Engine
    from motorworks.factory.artifact import Artifact

INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    command = commands.parse(sys.argv[1:] if arguments is None else arguments)
    verbs: dict[type, Callable[[Any], None]] = {
        commands.Run: run,
        commands.Scaling: scaling,
        commands.Ingest: ingest,
        commands.Search: about_clips,
        commands.Export: about_clips,
        commands.Review: about_clips,
        commands.Stage: stage,
        commands.List: list_artifacts,
        commands.Show: show,
        commands.Publish: publish,
        commands.Report: report,
        commands.DriveOptions: drive,
        commands.Plan: plan,
    }
    try:
        verbs[type(command)](command)
    except KeyboardInterrupt:
        print("motorworks: stopped; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if command.debug:
            raise
        expected = isinstance(error, FactoryError) or hasattr(error, "exit_code") or exit_code_of(error) != FactoryError.exit_code
        print(f"motorworks: {error if expected else f'{type(error).__name__}: {error} (--debug shows where)'}", file=sys.stderr)
        return exit_code_of(error)
    return 0


def run(command: commands.Run, **more: Any) -> None:
    """Make a whole chain; `more` are options of the recipe that `run` has no flag for."""
    from motorworks.factory.show import planned_lines

    runner, goals, progress = _chain(command, command.name, **more)
    try:
        if command.dry_run:
            planned = runner.plan(*goals)
            rows = [{"name": one.step.name, "version": one.version, "stage": one.step.stage, "state": one.state, "why": one.why} for one in planned]
            _print(rows if command.json else planned_lines(planned), command.json)
            return
        recipe, turn = recipe_and_turn(goals[-1].name)
        try:
            made = runner.make(*goals)
        except FactoryError:
            # what was made is worth reading, most of all when the rest was refused
            with contextlib.suppress(FileNotFoundError):
                progress.say(f"report of what was made: {_write_report(command, recipe, turn)}")
            raise
    finally:
        _close(runner, progress)
    path = _write_report(command, recipe, turn)
    rows = [
        {"name": one.name, "version": one.version, "path": str(one.path), "digest": one.digest, "outcome": runner.outcomes[one.name]}
        for one in made.values()
    ]
    _print({"artifacts": rows, "report": path} if command.json else f"report: {path}", command.json)


def scaling(command: commands.Scaling) -> None:
    """A scaling grid as large as the budget allows."""
    from motorworks.factory.recipe import step_named
    from motorworks.factory.scaling_budget import samples_for

    fields = {name: getattr(command, name) for name in (*commands.Work.__dataclass_fields__, "clips", "dry_run")}
    chain = commands.Run(**fields, name="scaling")
    runner, goals, progress = _chain(chain, "scaling", seed=command.seed)
    try:
        made = runner.make(step_named(goals, "scaling/speed"))
        num = samples_for(command, made["scaling/speed"], step_named(goals, "scaling/turn1/grid").config)
        progress.say(f"the largest run sees up to {num} samples, the grid shares of that")
    finally:
        _close(runner, progress)
    run(chain, num_samples=num, seed=command.seed)


def ingest(command: commands.Ingest) -> None:
    """Clips from recordings, and the page about them."""
    if not command.paths:
        raise BadUsage("ingest what? motorworks ingest PATH [PATH ...]")
    if command.dry_run:
        _look(command)
        return
    fields = {name: getattr(command, name) for name in commands.Work.__dataclass_fields__}
    run(commands.Run(**fields, name="clips", clips=command.paths))


def _look(command: commands.Ingest) -> None:
    from motorworks.factory.look import look
    from motorworks.factory.report.look_page import look_sections
    from motorworks.factory.report.page import write_page

    with _engine(command) as engine:
        seen = look(command.paths, engine)
    page = write_page(
        command.artifacts / "look.html",
        look_sections(seen),
        title="A look at",
        beside=", ".join(path.name or str(path) for path in command.paths),
        when="nothing was kept",
        foot="Made by a dry run: motorworks ingest without --dry-run reads everything.",
    )
    _print({**seen.as_json(), "page": str(page)} if command.json else f"{seen.lines()}\nframes to look at: {page}", command.json)


def about_clips(command: commands.Search | commands.Export | commands.Review) -> None:
    """What is asked about clips that were ingested."""
    _beyond_the_car("clip_commands", type(command).__name__.lower())(command)


def stage(command: commands.Stage) -> None:
    """Make one step of a chain; its name says the recipe and the turn."""
    artifact, outcome = make_stage(command)
    if artifact is None:  # another process of several keeps it
        return
    row = {"name": artifact.name, "version": artifact.version, "path": str(artifact.path), "digest": artifact.digest, "outcome": outcome}
    _print(row if command.json else str(artifact.path), command.json)


def make_stage(command: commands.Stage, asked: dict[str, Any] | None = None) -> "tuple[Artifact | None, str]":
    """The step's artifact, and whether it was built or reused. `asked` as in `Runner.make_only`."""
    from dataclasses import replace

    from motorworks.factory.recipe import step_named

    recipe, turn = recipe_and_turn(command.name)
    runner, goals, progress = _chain(replace(command, turn=turn), recipe)
    try:
        step = step_named(goals, command.name)
        artifact = _beyond_the_car("ray_launch", "make_by_ray")(command, runner, step) if command.ray_workers else runner.make_only(step, asked=asked)
    finally:
        _close(runner, progress)
    return artifact, runner.outcomes.get(command.name, "")


def list_artifacts(command: commands.List) -> None:
    """All artifacts, a line each."""
    from motorworks.factory.show import artifact_lines
    from motorworks.factory.store import Store

    found = Store(command.artifacts).artifacts()
    rows = [
        {"name": one.name, "version": one.version, "path": str(one.path), "digest": one.digest, "created": one.record["created"]} for one in found
    ]
    _print(rows if command.json else artifact_lines(found, command.artifacts), command.json)


def show(command: commands.Show) -> None:
    """One record."""
    from motorworks.factory.show import find_artifact, record_lines
    from motorworks.factory.store import Store

    artifact = find_artifact(Store(command.artifacts), command.name)
    _print({**artifact.record, "path": str(artifact.path)} if command.json else record_lines(artifact), command.json)


def publish(command: commands.Publish) -> None:
    """Weights as the Hub has them."""
    _beyond_the_car("publish", "publish")(command)


def report(command: commands.Report) -> None:
    """The report of a turn."""
    from motorworks.factory.recipe import nearest
    from motorworks.factory.store import Store

    found = sorted(Store(command.artifacts).artifacts(), key=lambda one: str(one.record["created"]))
    turns = [recipe_and_turn(one.name) for one in found]
    if not turns:
        raise BadUsage(f"{command.artifacts} holds no artifact: `motorworks run tiny` makes some")
    names = sorted({name for name, _ in turns})
    name = command.name or turns[-1][0]
    if name not in names:
        raise BadUsage(f"nothing was made by a recipe called {name!r}{nearest(name, names)}")
    known = sorted({turn for one, turn in turns if one == name})
    if command.turn is not None and command.turn not in known:
        raise BadUsage(f"recipe {name} has no turn {command.turn} yet: there is {', '.join(map(str, known))}")
    path = _write_report(command, name, command.turn or known[-1])
    _print({"report": path} if command.json else path, command.json)


def drive(command: commands.DriveOptions) -> None:
    """Drive a bundle; this process never imports torch."""
    from motorworks.factory.drive_command import drive as drive_bundle

    drive_bundle(command)


def plan(command: commands.Plan) -> None:
    """What a training run would take."""
    from motorworks.factory.plan_command import plan as plan_training

    plan_training(command)


def recipe_and_turn(name: str) -> tuple[str, int]:
    """('tiny', 2) of 'tiny/turn2/sft'; 1 where the name has no turn."""
    recipe, _, rest = name.partition("/")
    part = rest.partition("/")[0]
    return recipe, int(part.removeprefix("turn")) if part.startswith("turn") and part[4:].isdecimal() else 1


def _beyond_the_car(module: str, verb: str) -> Callable[..., Any]:
    """A verb that may load a training stack: by name, as stages are, so that nothing the car starts can reach it."""
    return getattr(import_module(f"motorworks.factory.{module}"), verb)


def _chain(command: commands.Chain, name: str, **more: Any) -> tuple[Any, Any, Any]:
    from motorworks.factory.machine import keep_freed_memory
    from motorworks.factory.progress import progress_for
    from motorworks.factory.recipe import find_recipe, load_recipe, recipe_names, steps_of
    from motorworks.factory.run import Runner
    from motorworks.factory.step import RecipeOptions

    if not name and not command.recipe:
        raise BadUsage(f"which recipe? There is {', '.join(recipe_names())}, or --recipe module:function")
    recipe = load_recipe(command.recipe) if command.recipe else find_recipe(name)
    given = {name: getattr(command, name) for name in RecipeOptions.__dataclass_fields__ if hasattr(command, name)}
    goals = steps_of(recipe, RecipeOptions(**given, **more))
    keep_freed_memory()
    progress = progress_for()
    return Runner(command.artifacts, version=command.version, engine=_engine(command), progress=progress), goals, progress


def _close(runner: Any, progress: Any) -> None:
    progress.close()
    runner.engine.close()


def _engine(command: commands.Work) -> "Engine":
    from motorworks.engine.cluster import RayEngine
    from motorworks.engine.local import LocalEngine
    from motorworks.engine.process import ProcessEngine

    if command.workers < 1:
        raise BadUsage(f"--workers {command.workers}: at least 1")
    chosen = command.engine or ("local" if command.workers == 1 else "processes")
    if chosen == "ray":
        return RayEngine(num_workers=command.workers if command.workers > 1 else None)
    if chosen == "local" and command.workers > 1:
        raise BadUsage(f"--engine local has one worker, not {command.workers}: --engine processes")
    return LocalEngine() if chosen == "local" else ProcessEngine(command.workers)


def _write_report(command: commands.Shared, recipe: str, turn: int) -> str:
    from motorworks.factory.artifact import DEV
    from motorworks.factory.report.write import write_report

    version = command.version if isinstance(command, commands.Work) else None
    return str(write_report(command.artifacts, recipe, turn, version or DEV))


def _print(value: Any, as_json: bool) -> None:
    print(json.dumps(value, indent=1) if as_json else value)


if __name__ == "__main__":
    sys.exit(main())

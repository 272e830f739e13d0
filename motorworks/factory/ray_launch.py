"""`motorworks stage NAME --ray-workers N`: one step made by workers of Ray Train together, as torchrun's processes make it."""

import os
import socket
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from motorworks.engine.ray_train import Crew, run_crew
from motorworks.factory.artifact import Artifact
from motorworks.factory.cli import make_stage
from motorworks.factory.commands import Stage
from motorworks.factory.errors import BadInput, BadUsage, StageFailed, exit_code_of
from motorworks.factory.run import Runner
from motorworks.factory.step import Step
from motorworks.train.faults import Preempted, tell_to_stop


def make_by_ray(command: Stage, runner: Runner, step: Step) -> Artifact | None:
    """As `runner.make_only`. The step's own device says whether each worker holds a GPU."""
    on_gpu = str(getattr(step.config, "device", "cpu")).startswith("cuda")
    try:
        crew = Crew(num=command.ray_workers, cpus=command.ray_cpus, on_gpu=on_gpu, restarts=command.ray_restarts)
    except ValueError as error:
        raise BadUsage(f"--ray-workers, --ray-cpus or --ray-restarts: {error}") from error
    asked = runner.check_ready(step, num=crew.num)
    if runner.plan(step)[-1].state == "cached":
        return runner.make_only(step)
    alone = replace(command, ray_workers=0, engine=None, workers=1)
    told = run_crew(crew, partial(take_part, alone, asked, str(Path.cwd())), tell_to_stop, say=runner.progress.say)
    artifact = runner.made_elsewhere(step)
    if artifact is None and told:
        raise Preempted(f"{step.name} was stopped by SIGTERM; the same command goes on from its snapshot")
    if artifact is None:
        raise StageFailed(f"{step.name}: Ray's workers ended well, and {runner.store.root} has nothing of it: is it a folder that all nodes see?")
    return artifact


def take_part(command: Stage, asked: dict[str, Any], folder: str) -> None:
    """In a worker. Only the driver's SIGTERM makes a fit end early here, so that is no failure, which Ray would answer by starting again."""
    if not Path(folder).is_dir():
        raise BadInput(f"{folder}, where the command was given, is not there on node {socket.gethostname()}: all nodes must see it")
    os.chdir(folder)  # Ray Train has gone to a folder of its own
    try:
        make_stage(command, asked)
    except Exception as error:
        if exit_code_of(error) != Preempted.exit_code:
            raise

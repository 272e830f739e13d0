"""Who is judged: the probes, those who see everything, every stage's model, and what is about to be signed."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from motorworks.factory.artifact import Artifact, Inputs

if TYPE_CHECKING:
    from motorworks.policy.policy import Policy

RELEASED, LAST = "released_int8", "previous_release"
NOT_OURS = ("stand_still", "constant_velocity", "expert", "teacher")


def contestants(inputs: Inputs, *, threads: int) -> "dict[str, tuple[str, Callable[[], Policy]]]":
    """By name: what each is made from, and how to make it. Probes, teachers, then every stage's model in order."""
    from motorworks.policy.expert import Expert
    from motorworks.policy.probes import ConstantVelocity, StandStill

    teacher, adapted = inputs.one("teacher"), inputs.one("adapted")
    found: dict[str, tuple[str, Callable[[], Policy]]] = {
        "stand_still": ("code", StandStill),
        "constant_velocity": ("code", ConstantVelocity),
        "expert": ("code", Expert),
        "teacher": (teacher.digest, partial(_teacher_policy, teacher)),
    }
    for role in (LAST, "pretrain", "sft", "rl", "distil"):
        for artifact in inputs.many(role):
            make = (
                partial(int8_policy, artifact.path / "int8", role, threads) if role == LAST else partial(_torch_policy, artifact.path, role, threads)
            )
            found[role] = (artifact.digest, make)
    return found | {RELEASED: (adapted.digest, partial(int8_policy, adapted.path / "int8", RELEASED, threads))}


def _teacher_policy(teacher: Artifact) -> "Policy":
    from motorworks.factory.stages.rl import load_teacher
    from motorworks.policy.teacher import Teacher

    return Teacher(load_teacher(teacher).act)


def _torch_policy(folder: Path, name: str, threads: int) -> "Policy":
    from motorworks.models.infer import TorchInfer
    from motorworks.policy.model import ModelPolicy
    from motorworks.train.checkpoint import load

    return ModelPolicy(TorchInfer(load(folder / "model.safetensors")[0], threads=threads), name=name)


def int8_policy(folder: Path, name: str, threads: int) -> "Policy":
    """The vehicle's own runtime on the graphs that will be signed, thinking as in the vehicle."""
    from motorworks.drive.runtime import OrtInfer
    from motorworks.policy.model import ModelPolicy

    graphs = {graph: folder / f"{graph}.onnx" for graph in ("vision", "plan", "think")}
    return ModelPolicy(OrtInfer.from_graphs(graphs, threads=threads), name=name, think_every=1)

"""Who is judged: the probes, those who see everything, every stage's model, and what is about to be signed."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from motorworks.factory.artifact import Artifact, Inputs
from motorworks.factory.stages.reward import BEFORE_POLISH

if TYPE_CHECKING:
    from motorworks.policy.policy import Policy

RELEASED, LAST = "released_int8", "previous_release"
MODELS = (  # by the stage that made it: what it is called, and its file
    ("pretrain", "pretrain", "model.safetensors"),
    ("sft", "sft", "model.safetensors"),
    ("rl", "rl_before_polish", BEFORE_POLISH),
    ("rl", "rl", "model.safetensors"),
    ("distil", "distil_before_polish", BEFORE_POLISH),
    ("distil", "distil", "model.safetensors"),
)
NOT_OURS = ("stand_still", "constant_velocity", "expert", "teacher")


def contestants(inputs: Inputs, *, threads: int, device: str = "cpu") -> "dict[str, tuple[str, Callable[[], Policy]]]":
    """By name: what each is made from, and how to make it. Probes, teachers, then every stage's model in order."""
    teacher, adapted = inputs.one("teacher"), inputs.one("adapted")
    found: dict[str, tuple[str, Callable[[], Policy]]] = {name: ("code", make) for name, make in yardsticks().items()}
    found["teacher"] = teacher.digest, partial(_teacher_policy, teacher)
    for last in inputs.many(LAST):
        found[LAST] = (last.digest, partial(int8_policy, last.path / "int8", LAST, threads))
    for role, name, file in MODELS:
        artifact = inputs.one(role)
        found[name] = (artifact.digest, partial(torch_policy, artifact.path / file, name, threads, device=device))
    return found | {RELEASED: (adapted.digest, partial(int8_policy, adapted.path / "int8", RELEASED, threads))}


def yardsticks() -> "dict[str, Callable[[], Policy]]":
    """Those that no table is without: the probes, and the expert that sees everything."""
    from motorworks.policy.expert import Expert
    from motorworks.policy.probes import ConstantVelocity, StandStill

    return {"stand_still": StandStill, "constant_velocity": ConstantVelocity, "expert": Expert}


def _teacher_policy(teacher: Artifact) -> "Policy":
    from motorworks.factory.stages.rl import load_teacher
    from motorworks.policy.teacher import Teacher

    return Teacher(load_teacher(teacher).act)


def torch_policy(file: Path, name: str, threads: int, thinking: str = "off", adaptive: bool = False, device: str = "cpu") -> "Policy":
    """A checkpoint at the wheel; `thinking` as in models.reasoning."""
    from motorworks.models.infer import TorchInfer
    from motorworks.policy.model import ModelPolicy
    from motorworks.train.checkpoint import load

    return ModelPolicy(TorchInfer(load(file)[0].to(device), threads=threads, thinking=thinking, adaptive=adaptive), name=name)


def num_views(policy: "Policy") -> int:
    """Cameras that it looks through."""
    from motorworks.policy.model import ModelPolicy

    return policy.infer.num_views if isinstance(policy, ModelPolicy) else 1


def int8_policy(folder: Path, name: str, threads: int) -> "Policy":
    """The vehicle's own runtime on the graphs that will be signed, thinking as in the vehicle."""
    from motorworks.drive.runtime import OrtInfer
    from motorworks.policy.model import ModelPolicy

    graphs = {graph: folder / f"{graph}.onnx" for graph in ("vision", "plan", "think")}
    return ModelPolicy(OrtInfer.from_graphs(graphs, threads=threads), name=name, think_every=1)

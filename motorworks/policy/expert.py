"""The expert: a privileged driver that keeps the rules, the gaps and its nerve, and says why. The planning is in `pdm`."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from motorworks.datatypes.observation import Observation
from motorworks.datatypes.scene import Scene
from motorworks.datatypes.thought import Thought
from motorworks.datatypes.trajectory import NUM_STEPS, Plan, Trajectory
from motorworks.geometry.array import Array
from motorworks.policy.pdm import FRACS, NUM_CHOICE, OFFSET, TARGET, empty_offsets, plan_all
from motorworks.policy.reasons import THOUGHTS, word_all
from motorworks.policy.surroundings import SceneArrays, empty_scratch, scene_arrays


@dataclass(frozen=True, kw_only=True)
class Drive(Trajectory):
    """The expert's trajectory, and the choice behind it: what a teacher can learn to choose."""

    target_speed_mps: Float[Array, " batch"]
    lateral_offset_m: Float[Array, " batch"]


def _plan(scene: Scene) -> tuple[SceneArrays, Drive, Array]:
    arrays = scene_arrays(scene)
    batch = len(arrays.limit)
    choice, accel, curvature = np.zeros((batch, NUM_CHOICE)), np.empty((batch, NUM_STEPS)), np.empty((batch, NUM_STEPS))
    scratch = empty_scratch(arrays.agents.shape[1], arrays.curvature.shape[1])
    plan_all(arrays, FRACS, empty_offsets(), np.zeros(3), scratch, choice, accel, curvature)
    drive = Drive(
        accel_mps2=accel.astype(np.float32),
        curvature_per_m=curvature.astype(np.float32),
        target_speed_mps=choice[:, TARGET],
        lateral_offset_m=choice[:, OFFSET],
    )
    return arrays, drive, choice


def drive(scene: Scene) -> Drive:
    """The expert's plan for each scene."""
    return _plan(scene)[1]


class Expert:
    """Drives by the scene. Its thoughts are read from its own plan and the same scene, so they agree with what it does."""

    name = "expert"
    privileged = True
    uses_camera = False

    def act(self, observation: Observation) -> Plan:
        """One plan per batch item."""
        if observation.scene is None:
            raise ValueError("expert: observation.scene is missing; only a world gives it, and only to privileged policies")
        arrays, trajectory, choice = _plan(observation.scene)
        return Plan(trajectory=trajectory, thoughts=_explain(arrays, trajectory, choice, observation.instructions))


def explain(scene: Scene, instructions: tuple[str, ...] | None = None) -> tuple[Thought, ...]:
    """The decision the expert takes in each scene, and its cause; the route's `instructions` tell of lane changes."""
    arrays, trajectory, choice = _plan(scene)
    return _explain(arrays, trajectory, choice, instructions)


def _explain(arrays: SceneArrays, trajectory: Trajectory, choice: Array, instructions: tuple[str, ...] | None) -> tuple[Thought, ...]:
    words = np.zeros(len(choice), np.int64)
    changes = np.zeros(len(choice), np.int64)
    for i, text in enumerate(instructions or ()):
        if text.startswith("change") and text.endswith("now"):
            changes[i] = 1 if "left" in text else -1
    word_all(arrays, choice, trajectory.accel_mps2.astype(np.float64), changes, words)
    return tuple(THOUGHTS[index] for index in words)

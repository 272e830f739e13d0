"""The privileged teacher: a learned choice of speed and lateral offset, driven by the same path follower as the expert."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Float32

from motorworks.datatypes.observation import Observation
from motorworks.datatypes.scene import Scene
from motorworks.datatypes.trajectory import Plan, Trajectory
from motorworks.geometry.array import Array
from motorworks.policy.expert import Drive, explain
from motorworks.policy.lane_plan import SPEED_GAIN_PER_S, plan_along_path, speed_profile
from motorworks.policy.manoeuvres import LEFTMOST_M, RIGHTMOST_M
from motorworks.tokens.scene import SceneCodec


def actions_to_trajectory(scene: Scene, actions: Float[Array, "batch 2"]) -> Trajectory:
    """Action 0 in [-1, 1] is the target speed from standing to the limit; action 1 the lateral offset: -1 is 1.4 m right, 0 none, 1 3.6 m left.

    Bends are slowed for by the path follower; everybody else on the road is the teacher's to learn.
    """
    target_mps = scene.speed_limit_mps * np.clip((actions[:, 0] + 1) / 2, 0.0, 1.0)
    side = np.clip(np.asarray(actions[:, 1], np.float64), -1.0, 1.0)
    offset_m = side * np.where(side > 0.0, LEFTMOST_M, -RIGHTMOST_M)
    return plan_along_path(scene, target_mps, offset_m, speed_profile_mps=speed_profile(scene))


def trajectory_to_actions(scene: Scene, drive: Drive) -> Float32[Array, "batch 2"]:
    """The actions whose first control is that of the expert's drive: how its driving becomes a target."""
    target_mps = scene.speed_mps + np.asarray(drive.accel_mps2)[:, 0] / SPEED_GAIN_PER_S
    speed = np.clip(2 * target_mps / np.maximum(scene.speed_limit_mps, 0.1) - 1, -1.0, 1.0)
    offset_m = np.asarray(drive.lateral_offset_m)
    side = np.clip(offset_m / np.where(offset_m > 0.0, LEFTMOST_M, -RIGHTMOST_M), -1.0, 1.0)
    return np.stack([speed, side], axis=-1).astype(np.float32)


class Teacher:
    """Holds the wheel with `infer`: scene vector to action mean, numpy in and out."""

    name = "teacher"
    privileged = True
    uses_camera = False

    def __init__(self, infer: Callable[[Float32[Array, "batch feature"]], Float32[Array, "batch 2"]]) -> None:
        self._infer = infer
        self._codec = SceneCodec()

    def act(self, observation: Observation) -> Plan:
        """One plan and one thought per batch item, both from the scene."""
        if observation.scene is None:
            raise ValueError("the teacher is privileged: observation.scene is None; give it the scene")
        actions = self._infer(self._codec.encode(observation.scene))
        thoughts = explain(observation.scene, observation.instructions)
        return Plan(trajectory=actions_to_trajectory(observation.scene, actions), thoughts=thoughts)

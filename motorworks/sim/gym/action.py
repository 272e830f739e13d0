"""A policy's two numbers in [-1, 1] as acceleration and curvature within the body's limits."""

from dataclasses import dataclass

import numpy as np
from gymnasium.spaces import Box
from jaxtyping import Float

from motorworks.bodies.body import CAR, Body
from motorworks.datatypes.trajectory import Trajectory
from motorworks.geometry.array import Array

NAMES = ("acceleration", "curvature")
_ROUNDING = 1e-5  # a float32 one may come out a little above 1


@dataclass(frozen=True, kw_only=True)
class ActionScale:
    """Acceleration: 1 is the strongest push, -1 the hardest braking, 0 rolls on; linear on each side.

    Curvature: a times |a| times the body's lock, left positive. Squared, because roads need a twentieth of the lock nearly always.
    """

    body: Body = CAR

    @property
    def space(self) -> Box:
        """Of one environment."""
        return Box(-1.0, 1.0, (2,), np.float32)

    def trajectory(self, actions: Float[Array, "batch 2"]) -> Trajectory:
        """One control for each environment, [batch, 1]."""
        push, steer = actions[:, 0], actions[:, 1]
        accel = push * np.where(push >= 0, self.body.max_accel_mps2, self.body.max_decel_mps2)
        return Trajectory(accel_mps2=accel[:, None], curvature_per_m=(steer * np.abs(steer) * self.body.max_curvature_per_m)[:, None])

    def actions(self, trajectory: Trajectory) -> Float[Array, "batch 2"]:
        """The inverse, for the first control; what the body cannot do is clipped. So a policy of ours can drive through Gymnasium."""
        accel, curvature = (np.asarray(values, np.float64)[:, 0] for values in (trajectory.accel_mps2, trajectory.curvature_per_m))
        push = accel / np.where(accel >= 0, self.body.max_accel_mps2, self.body.max_decel_mps2)
        bend = curvature / self.body.max_curvature_per_m
        return np.clip(np.stack([push, np.sign(bend) * np.sqrt(np.abs(bend))], axis=-1), -1.0, 1.0).astype(np.float32)


def checked(actions: object, num_envs: int, *, live: Array) -> Float[Array, "batch 2"]:
    """Actions as float64, those of environments that are not `live` as zero. ValueError names the environment, the field and the fix."""
    given = np.asarray(actions, np.float64)
    if given.shape != (num_envs, 2):
        raise ValueError(f"actions have shape {given.shape}; this environment needs ({num_envs}, 2): {NAMES}")
    with np.errstate(invalid="ignore"):
        wrong = live[:, None] & ~(np.abs(given) <= 1 + _ROUNDING)
    if wrong.any():
        env, field = (int(i) for i in np.argwhere(wrong)[0])
        value = given[env, field]
        if not np.isfinite(value):
            raise ValueError(f"action of environment {env}: {NAMES[field]} is {value}; the policy must answer finite numbers")
        raise ValueError(
            f"action of environment {env}: {NAMES[field]} {value:g} lies outside [-1, 1]; "
            "put gymnasium.wrappers.ClipAction (vector: gymnasium.wrappers.vector.ClipAction) around it where the policy has no bounds"
        )
    return np.where(live[:, None], np.clip(given, -1.0, 1.0), 0.0)

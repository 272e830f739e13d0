"""Controls in and out: (acceleration, curvature) x 64 as numbers near one, scaled to the body."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float

from motorworks.datatypes.trajectory import Trajectory
from motorworks.geometry.array import Array

ACCEL_SCALE_MPS2 = 3.0


class Limits(Protocol):
    """What a body must say about itself to be encoded for; `bodies.Body` does."""

    @property
    def max_speed_mps(self) -> float: ...
    @property
    def max_accel_mps2(self) -> float: ...
    @property
    def max_decel_mps2(self) -> float: ...
    @property
    def max_curvature_per_m(self) -> float: ...
    @property
    def can_reverse(self) -> bool: ...


@dataclass(frozen=True, kw_only=True)
class ActionCodec:
    """Trajectory to normalised controls [..., time, 2] and back; both ways clip to what the body can do."""

    body: Limits

    @property
    def curvature_scale_per_m(self) -> float:
        """The curvature that encodes as one: half the body's lock."""
        return self.body.max_curvature_per_m / 2

    @property
    def distance_scale_m(self) -> float:
        """A distance that matters to this body: what it covers in 2/3 s at top speed (10 m for the car)."""
        return self.body.max_speed_mps * 2 / 3

    @property
    def low(self) -> Float[Array, " two"]:
        """Smallest normalised (acceleration, curvature)."""
        return np.array([-self.body.max_decel_mps2 / ACCEL_SCALE_MPS2, -2.0], np.float32)

    @property
    def high(self) -> Float[Array, " two"]:
        """Largest normalised (acceleration, curvature)."""
        # in reverse a stronger "acceleration" is braking, so a body that reverses keeps the symmetric limit
        accel = self.body.max_decel_mps2 if self.body.can_reverse else self.body.max_accel_mps2
        return np.array([accel / ACCEL_SCALE_MPS2, 2.0], np.float32)

    def normalise(self, trajectory: Trajectory) -> Float[Array, "*batch time 2"]:
        """Controls near one, within `low` and `high`."""
        stacked = np.stack([trajectory.accel_mps2 / ACCEL_SCALE_MPS2, trajectory.curvature_per_m / self.curvature_scale_per_m], axis=-1)
        return np.clip(stacked.astype(np.float32), self.low, self.high)

    def denormalise(self, controls: Float[Array, "*batch time 2"]) -> Trajectory:
        """The trajectory, within the body's limits."""
        clipped = np.clip(np.asarray(controls, np.float32), self.low, self.high)
        return Trajectory(accel_mps2=clipped[..., 0] * ACCEL_SCALE_MPS2, curvature_per_m=clipped[..., 1] * self.curvature_scale_per_m)

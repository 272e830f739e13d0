"""A trajectory: the controls of the next 6.4 s; a plan: what a policy answers."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from motorworks.datatypes.thought import Thought
from motorworks.geometry.array import Array

DT_S = 0.1
NUM_STEPS = 64  # 6.4 s at 10 Hz: Alpamayo's unicycle action space


@dataclass(frozen=True, kw_only=True)
class Trajectory:
    """Acceleration and curvature at 10 Hz, step i held over [i, i+1) * 0.1 s; `bodies.integrate` turns it into poses."""

    accel_mps2: Float[Array, "*batch time"]
    curvature_per_m: Float[Array, "*batch time"]

    def __post_init__(self) -> None:
        if self.accel_mps2.shape != self.curvature_per_m.shape:
            raise ValueError(f"accel_mps2 {self.accel_mps2.shape} and curvature_per_m {self.curvature_per_m.shape} differ in shape")

    def __getitem__(self, index: Any) -> "Trajectory":
        """Indexes the batch axes (never the time axis alone)."""
        return Trajectory(accel_mps2=self.accel_mps2[index], curvature_per_m=self.curvature_per_m[index])

    def later(self, num_steps: int) -> "Trajectory":
        """As it stands `num_steps` later; the last control is held at the end."""
        num = self.accel_mps2.shape[-1]
        steps = np.minimum(np.arange(num) + num_steps, num - 1)
        return self[..., steps]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A policy's answer for a batch: the trajectory to drive, and what it weighed and thought, where it has that."""

    trajectory: Trajectory  # [batch time]
    proposals: Trajectory | None = None  # [batch proposal time]
    scores: Float[Array, "batch proposal"] | None = None  # probabilities
    thoughts: tuple[Thought | None, ...] | None = None  # one per batch item

    @property
    def intended(self) -> Trajectory:
        """What should have been driven: the only proposal where there is just one (policy.noise drives off it on purpose), else the trajectory."""
        return self.proposals[:, 0] if self.proposals is not None and self.proposals.accel_mps2.shape[1] == 1 else self.trajectory

"""When there is no plan to trust: which plans may be driven, how an old one is continued, and how the body is brought to a stop.

A minimal risk manoeuvre in the sense of ISO 21448's vocabulary, no claim to that standard: it brakes with limited jerk and holds the last
curvature. It sees nothing: on a bend that changes it leaves the lane, and it does not look for what follows behind.
"""

from dataclasses import dataclass

import numpy as np

from motorworks.bodies.body import Body
from motorworks.datatypes.trajectory import DT_S, NUM_STEPS, Trajectory

SLACK = 1.05  # the body clips what is just over its limits; beyond that the planner is broken


@dataclass(frozen=True, kw_only=True)
class FallbackConfig:
    """How hard the stop is."""

    decel_mps2: float = 2.5
    jerk_mps3: float = 4.0

    def __post_init__(self) -> None:
        if self.decel_mps2 <= 0 or self.jerk_mps3 <= 0:
            raise ValueError(f"decel_mps2 and jerk_mps3 must be positive: {self}")


def fault_of(trajectory: Trajectory, body: Body, num_steps: int) -> str | None:
    """Why this plan may not be driven, judged over the `num_steps` that could ever be executed; None if it may."""
    accel, curvature = np.asarray(trajectory.accel_mps2), np.asarray(trajectory.curvature_per_m)
    if accel.shape != (NUM_STEPS,):
        return f"plan has shape {accel.shape}, not ({NUM_STEPS},)"
    if not (np.isfinite(accel).all() and np.isfinite(curvature).all()):
        return "plan is not finite"
    accel, curvature = accel[:num_steps], curvature[:num_steps]
    highest = body.max_decel_mps2 if body.can_reverse else body.max_accel_mps2
    if accel.max() > highest * SLACK or accel.min() < -body.max_decel_mps2 * SLACK:
        return f"plan asks for {accel.min():.1f} to {accel.max():.1f} m/s2, outside the limits of body {body.name}"
    if np.abs(curvature).max() > body.max_curvature_per_m * SLACK:
        return f"plan asks for a curvature of {np.abs(curvature).max():.3f} per m, outside the limits of body {body.name}"
    return None


def stop_trajectory(speed_mps: float, accel_mps2: float, curvature_per_m: float, config: FallbackConfig) -> Trajectory:
    """Brakes from the acceleration of now, jerk-limited, to standstill (from reverse too), and stays."""
    accel = np.zeros(NUM_STEPS, np.float32)
    speed = speed_mps if np.isfinite(speed_mps) else 0.0
    sign = 1.0 if speed >= 0 else -1.0
    along = sign * (accel_mps2 if np.isfinite(accel_mps2) else 0.0)  # along the motion: negative brakes
    speed = abs(speed)
    along = min(along, 0.0)  # what was still speeding up ends at once
    for step in range(NUM_STEPS):
        along = max(along - config.jerk_mps3 * DT_S, -config.decel_mps2)
        along = max(along, -speed / DT_S)  # ends exactly at standstill, never rolls back
        speed = max(speed + along * DT_S, 0.0)
        accel[step] = sign * along
    held = curvature_per_m if np.isfinite(curvature_per_m) else 0.0
    return Trajectory(accel_mps2=accel, curvature_per_m=np.full(NUM_STEPS, held, np.float32))

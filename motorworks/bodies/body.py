"""Bodies: limits, and how a body answers controls. The same code in simulation and in the vehicle."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from motorworks.datatypes.trajectory import DT_S, Trajectory
from motorworks.geometry.array import Array


@dataclass(frozen=True, kw_only=True)
class Body:
    """A wheeled body, kinematic bicycle about the rear axle."""

    name: str
    wheelbase_m: float
    length_m: float
    width_m: float
    rear_overhang_m: float  # rear axle to rear bumper
    max_speed_mps: float
    max_accel_mps2: float
    max_decel_mps2: float  # positive
    max_curvature_per_m: float
    max_curvature_rate_per_ms: float  # per metre and second: how fast the wheels turn
    can_reverse: bool = False

    @property
    def centre_ahead_m(self) -> float:
        """Box centre ahead of the rear axle."""
        return self.length_m / 2 - self.rear_overhang_m


# The car: a mid-size saloon (Bosch-handbook-like round numbers). The donkey: a 1:10 chassis; its maker's tub states neither
# speed nor steering geometry, so wheelbase and lock are those of a common 1:10 kit and its speed is *commanded*, not measured.
CAR = Body(
    name="car",
    wheelbase_m=2.8,
    length_m=4.6,
    width_m=1.85,
    rear_overhang_m=0.9,
    max_speed_mps=15.0,
    max_accel_mps2=2.5,
    max_decel_mps2=6.0,
    max_curvature_per_m=0.2,
    max_curvature_rate_per_ms=0.25,
)
DONKEY = Body(
    name="donkey",
    wheelbase_m=0.26,
    length_m=0.4,
    width_m=0.2,
    rear_overhang_m=0.07,
    max_speed_mps=2.0,
    max_accel_mps2=2.0,
    max_decel_mps2=4.0,
    max_curvature_per_m=1.8,
    max_curvature_rate_per_ms=12.0,
    can_reverse=True,
)
HIGHWAY_CAR = Body(
    name="highway_car",
    wheelbase_m=2.7,
    length_m=4.6,
    width_m=1.85,
    rear_overhang_m=0.9,
    max_speed_mps=45.0,
    max_accel_mps2=2.5,
    max_decel_mps2=6.0,
    max_curvature_per_m=0.2,
    max_curvature_rate_per_ms=0.25,
)
BODIES = {body.name: body for body in (CAR, DONKEY, HIGHWAY_CAR)}


def respond(
    body: Body,
    pose: Float[Array, "*batch 3"],
    speed_mps: Float[Array, "*batch"],
    curvature_per_m: Float[Array, "*batch"],
    accel_cmd_mps2: Float[Array, "*batch"],
    curvature_cmd_per_m: Float[Array, "*batch"],
    dt_s: float = DT_S,
) -> tuple[Float[Array, "*batch 3"], Float[Array, "*batch"], Float[Array, "*batch"], Float[Array, "*batch"]]:
    """One step of the limited kinematic bicycle (midpoint rule): pose, speed, curvature, acceleration after `dt_s`."""
    step = body.max_curvature_rate_per_ms * dt_s
    curvature = np.clip(
        np.clip(curvature_cmd_per_m, curvature_per_m - step, curvature_per_m + step), -body.max_curvature_per_m, body.max_curvature_per_m
    )
    accel = np.clip(accel_cmd_mps2, -body.max_decel_mps2, body.max_accel_mps2)
    lowest = -body.max_speed_mps if body.can_reverse else 0.0
    speed_next = np.clip(speed_mps + accel * dt_s, lowest, body.max_speed_mps)
    mean_speed = (speed_mps + speed_next) / 2
    yaw_mid = pose[..., 2] + mean_speed * curvature * dt_s / 2
    x = pose[..., 0] + mean_speed * np.cos(yaw_mid) * dt_s
    y = pose[..., 1] + mean_speed * np.sin(yaw_mid) * dt_s
    yaw = pose[..., 2] + mean_speed * curvature * dt_s
    return np.stack([x, y, yaw], axis=-1), speed_next, curvature, (speed_next - speed_mps) / dt_s


def integrate(
    trajectory: Trajectory, speed_mps: Float[Array, "*batch"], *, can_reverse: bool = False, dt_s: float = DT_S
) -> tuple[Float[Array, "*batch time 3"], Float[Array, "*batch time"]]:
    """Poses in the rig frame of now and speeds after each step, taken literally (no body limits but standing still at 0)."""
    accel, curvature = np.asarray(trajectory.accel_mps2, np.float64), np.asarray(trajectory.curvature_per_m, np.float64)
    start = np.broadcast_to(np.asarray(speed_mps, np.float64)[..., None], (*accel.shape[:-1], 1))
    if can_reverse:
        speeds = start + np.cumsum(accel, axis=-1) * dt_s
    else:
        # a speed clipped at 0 forgets how far below it would have gone: running max of the deficit (a reflected sum)
        free = start + np.cumsum(accel, axis=-1) * dt_s
        speeds = free - np.minimum(np.minimum.accumulate(free, axis=-1), 0.0)
    before = np.concatenate([start, speeds[..., :-1]], axis=-1)
    distance = (before + speeds) / 2 * dt_s
    turn = distance * curvature
    yaw = np.cumsum(turn, axis=-1)
    yaw_mid = yaw - turn / 2
    poses = np.stack([np.cumsum(distance * np.cos(yaw_mid), -1), np.cumsum(distance * np.sin(yaw_mid), -1), yaw], axis=-1)
    return poses, speeds

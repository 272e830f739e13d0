"""Bodies: limits, and how a body answers controls. The same code in simulation and in the vehicle."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from motorworks.datatypes.trajectory import DT_S, Trajectory
from motorworks.geometry.array import Array

DYNAMICS = ("kinematic", "dynamic")


@dataclass(frozen=True, kw_only=True)
class Body:
    """A wheeled body: a bicycle about the rear axle, kinematic (wheels roll where they point) or dynamic (tyres slip, see `dynamics.py`).

    What stands below `dynamics` is used by `dynamics.py` only; the kinematic `respond` knows neither delay nor grip.
    """

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
    dynamics: str = "kinematic"  # one of DYNAMICS
    mass_kg: float = 0.0
    yaw_inertia_kgm2: float = 0.0
    mass_ahead_m: float = 0.0  # centre of mass ahead of the rear axle
    front_stiffness_n_per_rad: float = 0.0  # cornering stiffness of the whole axle
    rear_stiffness_n_per_rad: float = 0.0
    steer_delay_s: float = 0.0  # pure delay, then a first-order lag
    steer_lag_s: float = 0.0
    drive_delay_s: float = 0.0
    drive_lag_s: float = 0.0

    def __post_init__(self) -> None:
        if self.dynamics not in DYNAMICS:
            raise ValueError(f"body {self.name}: dynamics {self.dynamics!r} is not one of {DYNAMICS}")
        late = (self.steer_delay_s, self.steer_lag_s, self.drive_delay_s, self.drive_lag_s)
        if not all(0.0 <= value < np.inf for value in late):
            raise ValueError(f"body {self.name}: delays and lags must be finite and not negative: {late}")
        if self.dynamics == "dynamic":
            needed = (self.mass_kg, self.yaw_inertia_kgm2, self.front_stiffness_n_per_rad, self.rear_stiffness_n_per_rad)
            if not all(0.0 < value < np.inf for value in needed) or not 0.0 < self.mass_ahead_m < self.wheelbase_m:
                raise ValueError(
                    f"body {self.name}: a dynamic body needs mass, inertia and stiffness above 0, and its mass between the axles: {self}"
                )

    @property
    def understeer_s2_per_m(self) -> float:
        """K of the steady circle: curvature = wheels' curvature * L / (L + K v^2); positive understeers (any text on the linear bicycle)."""
        front, rear, length = self.front_stiffness_n_per_rad, self.rear_stiffness_n_per_rad, self.wheelbase_m
        return self.mass_kg * (self.mass_ahead_m * rear - (length - self.mass_ahead_m) * front) / (length * front * rear)

    @property
    def centre_ahead_m(self) -> float:
        """Box centre ahead of the rear axle."""
        return self.length_m / 2 - self.rear_overhang_m


# The car: a mid-size saloon (Bosch-handbook-like round numbers). The donkey: a 1:10 chassis; its maker's tub states neither
# speed nor steering geometry, so wheelbase and lock are those of a common 1:10 kit and its speed is *commanded*, not measured.
# Masses and tyres: the mid-size car of Abe, Vehicle Handling Dynamics, ch. 3 (1500 kg, 2500 kg m2, mass 1.1 m behind the front and 1.6 m
# ahead of the rear axle, 55 and 60 kN/rad a tyre, so twice that an axle), its mass at the same share of our wheelbase. The donkey: assumed
# 1.7 kg spread evenly over its box, and the F1TENTH car's stiffness per load, 4.7 and 5.5 per rad (f1tenth_gym).
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
    mass_kg=1500.0,
    yaw_inertia_kgm2=2500.0,
    mass_ahead_m=1.66,
    front_stiffness_n_per_rad=110_000.0,
    rear_stiffness_n_per_rad=120_000.0,
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
    mass_kg=1.7,
    yaw_inertia_kgm2=0.028,
    mass_ahead_m=0.135,
    front_stiffness_n_per_rad=40.8,
    rear_stiffness_n_per_rad=44.0,
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
    mass_kg=1500.0,
    yaw_inertia_kgm2=2500.0,
    mass_ahead_m=1.6,
    front_stiffness_n_per_rad=110_000.0,
    rear_stiffness_n_per_rad=120_000.0,
)
BODIES = {body.name: body for body in (CAR, DONKEY, HIGHWAY_CAR)}
# The same car with tyres and late actuators; its name and limits are the car's, so clips and codecs are too. Assumed, in the order of what
# openpilot states for production cars (steering delay 0.1-0.2 s); the drive's lag is shorter than the 0.5 s of Rajamani's cruise control.
DYNAMIC_CAR = replace(CAR, dynamics="dynamic", steer_delay_s=0.1, steer_lag_s=0.1, drive_delay_s=0.1, drive_lag_s=0.2)


def check_commands(accel_mps2: Float[Array, " env"], curvature_per_m: Float[Array, " env"], live: Bool[Array, " env"] | None = None) -> None:
    """The door of a world: raises ValueError that names the live environments whose command is not finite.

    A finite command beyond the body's limits is not an error: the body does what it can.
    """
    if np.shape(accel_mps2) != np.shape(curvature_per_m) or np.ndim(accel_mps2) != 1:
        raise ValueError(
            f"commands need one acceleration and one curvature per environment, got {np.shape(accel_mps2)} and {np.shape(curvature_per_m)}"
        )
    bad = ~(np.isfinite(accel_mps2) & np.isfinite(curvature_per_m))
    if live is not None:
        bad &= live
    if bad.any():
        raise ValueError(f"the command of environments {np.flatnonzero(bad).tolist()} is not finite; the policy must answer numbers")


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

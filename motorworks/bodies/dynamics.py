"""How a body answers with tyres that slip, actuators that are late and a road that is slippery: one scalar kernel, and a batched door to it.

The dynamic bicycle: two axles with linear tyres that saturate at the grip of the road; sideways speed and yaw rate are free, and the drive
gives the acceleration along the body and makes up for what the turned front wheels drag. Slip is measured at the axles (Abe, Vehicle Handling
Dynamics, ch. 3), the front wheels point along the circle that the kinematic bicycle would drive, and each short step is implicit in the tyres'
damping, so that standing still is no special case: as speed goes to 0 the wheels cease to slip and the body is the kinematic one.
Thin: axle loads are constant (no pitch, no roll), drive and brakes leave each axle the same share of grip, tyre forces act square to the body.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from motorworks.bodies.body import Body, check_commands
from motorworks.datatypes.trajectory import DT_S
from motorworks.geometry.array import Array
from motorworks.geometry.kernel import kernel

GRAVITY_MPS2 = 9.81
GRIP_DRY, GRIP_WET, GRIP_SNOW = 1.0, 0.7, 0.35  # friction coefficients, typical of text-books
STRAIGHT_SHARE = 0.9  # of the grip at most for drive and brakes (what anti-lock leaves): 0.44 of it is always there to steer
MAX_DELAY_STEPS = 8
SUBSTEPS = 10
SLOWEST_SLIP_MPS = 0.5  # below this speed slip is taken as sideways speed over this


class BodyParams(NamedTuple):
    """A Body as plain numbers for kernels; `pack_body` makes it."""

    dynamic: bool
    wheelbase: float
    lowest_speed: float
    max_speed: float
    max_accel: float
    max_decel: float
    max_curvature: float
    curvature_step: float  # per control step
    mass: float
    inertia: float
    mass_ahead: float
    front: float  # stiffness, N/rad
    rear: float
    steer_delay: int  # control steps
    drive_delay: int
    steer_part: float  # of the way to its command that the steering goes in a step; 1 without lag
    drive_part: float


class BodyState(NamedTuple):
    """State of every environment's body, changed in place by `advance_body`. Pose and velocities are those of the rear axle's middle."""

    pose: Float[Array, "env 3"]  # x_m y_m yaw_rad
    speed: Float[Array, " env"]  # along the body, m/s
    lateral: Float[Array, " env"]  # to the left, m/s; 0 unless the rear tyres slip
    yaw_rate: Float[Array, " env"]
    curvature: Float[Array, " env"]  # where the front wheels point: tan(wheel angle) / wheelbase
    drive: Float[Array, " env"]  # acceleration asked of the drive after its lag
    accel: Float[Array, " env"]  # of the drive along the body, mean of the last step
    lateral_accel: Float[Array, " env"]  # felt at the centre of mass to the left, mean of the last step
    clock: Int[Array, " env"]
    accel_queue: Float[Array, "env 8"]  # commands on their way to the actuators
    curvature_queue: Float[Array, "env 8"]


def pack_body(body: Body, dt_s: float = DT_S) -> BodyParams:
    """The body's numbers; ValueError where a delay is no whole number of steps or too long."""
    delays = []
    for name, delay_s in (("steer_delay_s", body.steer_delay_s), ("drive_delay_s", body.drive_delay_s)):
        steps = round(delay_s / dt_s)
        if abs(steps * dt_s - delay_s) > 1e-9 or steps >= MAX_DELAY_STEPS:
            raise ValueError(f"body {body.name}: {name} {delay_s} must be a whole number of steps of {dt_s} s, fewer than {MAX_DELAY_STEPS}")
        delays.append(steps)
    parts = [1.0 if lag_s == 0.0 else -math.expm1(-dt_s / lag_s) for lag_s in (body.steer_lag_s, body.drive_lag_s)]
    return BodyParams(
        dynamic=body.dynamics == "dynamic",
        wheelbase=body.wheelbase_m,
        lowest_speed=-body.max_speed_mps if body.can_reverse else 0.0,
        max_speed=body.max_speed_mps,
        max_accel=body.max_accel_mps2,
        max_decel=body.max_decel_mps2,
        max_curvature=body.max_curvature_per_m,
        curvature_step=body.max_curvature_rate_per_ms * dt_s,
        mass=body.mass_kg,
        inertia=body.yaw_inertia_kgm2,
        mass_ahead=body.mass_ahead_m,
        front=body.front_stiffness_n_per_rad,
        rear=body.rear_stiffness_n_per_rad,
        steer_delay=delays[0],
        drive_delay=delays[1],
        steer_part=parts[0],
        drive_part=parts[1],
    )


def empty_state(num_envs: int) -> BodyState:
    """All bodies stand at the origin, wheels straight."""
    shapes = {"pose": (num_envs, 3), "accel_queue": (num_envs, MAX_DELAY_STEPS), "curvature_queue": (num_envs, MAX_DELAY_STEPS)}
    arrays = {name: np.zeros(shapes.get(name, (num_envs,)), np.int32 if name == "clock" else np.float64) for name in BodyState._fields}
    return BodyState(**arrays)


@kernel
def place_body(env: int, x: float, y: float, yaw: float, speed: float, curvature: float, state: BodyState) -> None:
    """Start one body: rolling at `speed` on the circle its wheels point along, with nothing under way to its actuators."""
    state.pose[env, 0], state.pose[env, 1], state.pose[env, 2] = x, y, yaw
    state.speed[env], state.lateral[env], state.yaw_rate[env] = speed, 0.0, speed * curvature
    state.curvature[env], state.drive[env], state.accel[env], state.lateral_accel[env] = curvature, 0.0, 0.0, speed * speed * curvature
    state.clock[env] = 0
    for k in range(MAX_DELAY_STEPS):
        state.accel_queue[env, k], state.curvature_queue[env, k] = 0.0, curvature


@kernel
def _late(now: float, command: float, part: float) -> float:
    """One step of a first-order lag; without lag exactly the command."""
    return command if part >= 1.0 else now + (command - now) * part


@kernel
def _actuate(env: int, body: BodyParams, accel_cmd: float, curvature_cmd: float, state: BodyState) -> None:
    """Commands within limits wait in line, then pull drive and wheels."""
    clock = state.clock[env]
    state.accel_queue[env, clock % MAX_DELAY_STEPS] = min(max(accel_cmd, -body.max_decel), body.max_accel)
    state.curvature_queue[env, clock % MAX_DELAY_STEPS] = min(max(curvature_cmd, -body.max_curvature), body.max_curvature)
    # a row starts with all places filled as at rest, so looking back beyond the start is well defined
    accel = state.accel_queue[env, (clock + MAX_DELAY_STEPS - body.drive_delay) % MAX_DELAY_STEPS]
    curvature = state.curvature_queue[env, (clock + MAX_DELAY_STEPS - body.steer_delay) % MAX_DELAY_STEPS]
    state.clock[env] = clock + 1
    state.drive[env] = _late(state.drive[env], accel, body.drive_part)
    now = state.curvature[env]
    wanted = min(max(_late(now, curvature, body.steer_part), now - body.curvature_step), now + body.curvature_step)
    state.curvature[env] = min(max(wanted, -body.max_curvature), body.max_curvature)


@kernel
def _roll(env: int, body: BodyParams, dt: float, state: BodyState) -> None:
    """The kinematic bicycle by the midpoint rule: `body.respond`, to rounding."""
    speed, curvature = state.speed[env], state.curvature[env]
    after = min(max(speed + state.drive[env] * dt, body.lowest_speed), body.max_speed)
    mean = (speed + after) / 2
    middle = state.pose[env, 2] + mean * curvature * dt / 2
    state.pose[env, 0] += mean * math.cos(middle) * dt
    state.pose[env, 1] += mean * math.sin(middle) * dt
    state.pose[env, 2] += mean * curvature * dt
    state.speed[env], state.accel[env] = after, (after - speed) / dt
    state.lateral[env], state.yaw_rate[env], state.lateral_accel[env] = 0.0, after * curvature, after * after * curvature


@kernel
def _held(stiffness: float, sideways: float, most: float) -> float:
    """Stiffness of a tyre at this slip once it is saturated: the slope of the chord, so that force never asks for more than the road gives."""
    force = abs(stiffness * sideways)
    return stiffness if force <= most else stiffness * most / force


@kernel
def _slide(env: int, body: BodyParams, grip: float, dt: float, state: BodyState) -> None:
    """The dynamic bicycle in short steps, implicit in the tyres."""
    h = dt / SUBSTEPS
    length, ahead, mass, inertia = body.wheelbase, body.mass_ahead, body.mass, body.inertia
    behind_front = length - ahead
    limit = grip * GRAVITY_MPS2
    accel = min(max(state.drive[env], -STRAIGHT_SHARE * limit), STRAIGHT_SHARE * limit)
    left = math.sqrt(max(1.0 - (accel / limit) ** 2, 0.0)) * mass * limit if limit > 0.0 else 0.0  # friction circle
    most_front, most_rear = left * ahead / length, left * behind_front / length
    x, y, yaw = state.pose[env, 0], state.pose[env, 1], state.pose[env, 2]
    speed, lateral, turn, felt, felt_ahead = state.speed[env], state.lateral[env], state.yaw_rate[env], 0.0, 0.0
    for _ in range(SUBSTEPS):
        after = min(max(speed + accel * h, body.lowest_speed), body.max_speed)
        v = (speed + after) / 2
        slow = max(abs(v), SLOWEST_SLIP_MPS)
        aim = v * length * state.curvature[env]  # sideways speed of the front axle that its wheels would roll with
        front = _held(body.front / slow, aim - lateral - length * turn, most_front)
        rear = _held(body.rear / slow, lateral, most_rear)
        middle = lateral + ahead * turn  # sideways speed of the centre of mass
        # [p q; s t] [lateral turn]' = right-hand side: momentum sideways and about the centre of mass at the end of the step
        p, q, first = 1.0 + h * (front + rear) / mass, ahead + h * v + h * front * length / mass, middle + h * front * aim / mass
        s, t = h * (behind_front * front - ahead * rear) / inertia, 1.0 + h * behind_front * front * length / inertia
        second = turn + h * behind_front * front * aim / inertia
        det = p * t - q * s
        side, spin = (first * t - q * second) / det, (p * second - s * first) / det
        force_front = min(max(front * (aim - side - length * spin), -most_front), most_front)
        force_rear = min(max(-rear * side, -most_rear), most_rear)
        spin = turn + h * (behind_front * force_front - ahead * force_rear) / inertia
        side = middle + h * ((force_front + force_rear) / mass - v * spin) - ahead * spin
        heading, drift = yaw + h * (turn + spin) / 4, (lateral + side) / 2
        x += h * (v * math.cos(heading) - drift * math.sin(heading))
        y += h * (v * math.sin(heading) + drift * math.cos(heading))
        yaw += h * (turn + spin) / 2
        felt += (force_front + force_rear) / (mass * SUBSTEPS)
        felt_ahead += (after - speed) / dt
        # a body that turns while it slides carries its way from side to front
        speed, lateral, turn = min(max(after + h * drift * (turn + spin) / 2, body.lowest_speed), body.max_speed), side, spin
    state.pose[env, 0], state.pose[env, 1], state.pose[env, 2] = x, y, yaw
    state.speed[env], state.lateral[env], state.yaw_rate[env] = speed, lateral, turn
    state.accel[env], state.lateral_accel[env] = felt_ahead, felt


@kernel
def advance_body(env: int, body: BodyParams, grip: float, accel_cmd: float, curvature_cmd: float, dt: float, state: BodyState) -> None:
    """One control step of one body, in place. Commands must be finite (`check_commands`); the kinematic body ignores `grip`."""
    _actuate(env, body, accel_cmd, curvature_cmd, state)
    if body.dynamic:
        _slide(env, body, grip, dt, state)
    else:
        _roll(env, body, dt, state)


@kernel
def _advance_all(body: BodyParams, grip: Array, accel_cmd: Array, curvature_cmd: Array, dt: float, state: BodyState) -> None:
    for env in range(len(grip)):
        advance_body(env, body, grip[env], accel_cmd[env], curvature_cmd[env], dt, state)


def respond_dynamic(
    body: Body,
    state: BodyState,
    accel_cmd_mps2: Float[Array, " env"],
    curvature_cmd_per_m: Float[Array, " env"],
    grip: Float[Array, " env"] | float = GRIP_DRY,
    dt_s: float = DT_S,
) -> BodyState:
    """The state after one step of every body; the given one stays as it is. Finite commands beyond the limits are clipped.

    ValueError: a command or grip that is not finite (named by environment), shapes that differ from the state's, grip not above 0.
    """
    accel, curvature = np.asarray(accel_cmd_mps2, np.float64), np.asarray(curvature_cmd_per_m, np.float64)
    check_commands(accel, curvature)
    num = len(state.speed)
    if len(accel) != num:
        raise ValueError(f"commands for {len(accel)} environments, the state has {num}")
    grips = np.array(np.broadcast_to(np.asarray(grip, np.float64), (num,)))
    if not (np.isfinite(grips) & (grips > 0.0)).all():
        raise ValueError(f"grip of environments {np.flatnonzero(~(np.isfinite(grips) & (grips > 0.0))).tolist()} must be finite and above 0")
    after = BodyState(*(np.array(part) for part in state))
    _advance_all(pack_body(body, dt_s), grips, accel, curvature, float(dt_s), after)
    return after

"""Following a path: from a scene, a target speed and a lateral offset to 6.4 s of acceleration and curvature. Scalar kernels."""

import numpy as np
from jaxtyping import Float

from motorworks.datatypes.scene import PATH_SPACING_M, Scene
from motorworks.datatypes.trajectory import DT_S, NUM_STEPS, Trajectory
from motorworks.geometry.array import Array
from motorworks.geometry.kernel import kernel

MAX_ACCEL_MPS2, MAX_DECEL_MPS2 = 2.0, 4.0
MAX_CURVATURE_PER_M, MAX_CURVATURE_RATE_PER_MS = 0.2, 0.25  # bodies.CAR
SPEED_GAIN_PER_S = 1.6
STANDSTILL_GAP_M, HEADWAY_S, FOLLOW_ACCEL_MPS2, FOLLOW_DECEL_MPS2 = 2.5, 1.3, 1.8, 2.0
SHIFT_ACCEL_MPS2 = 1.8  # sideways, where it moves to another offset
LATERAL_ACCEL_MPS2 = 2.0
BEND_DECEL_MPS2 = 1.3  # how gently it slows before a bend


@kernel
def value_at(row: Array, s: float) -> float:
    """A value given every PATH_SPACING_M, at distance s; held beyond the ends."""
    q = min(max(s / PATH_SPACING_M, 0.0), len(row) - 1.001)
    i = int(q)
    return row[i] + (q - i) * (row[i + 1] - row[i])


@kernel
def follow(speed: float, target: float, gap: float, lead_speed: float) -> float:
    """IDM acceleration behind a lead (Treiber et al. 2000)."""
    closing = speed * (speed - lead_speed) / (2.0 * np.sqrt(FOLLOW_ACCEL_MPS2 * FOLLOW_DECEL_MPS2))
    wanted = STANDSTILL_GAP_M + max(0.0, speed * HEADWAY_S + closing)
    return FOLLOW_ACCEL_MPS2 * (1.0 - (speed / max(target, 0.5)) ** 4 - (wanted / max(gap, 0.2)) ** 2)


@kernel
def steer(at: float, e: float, psi: float, v: float, offset: float) -> float:
    """Curvature that leads back to `offset` left of a path of curvature `at`; critically damped over a length that keeps wide shifts gentle."""
    error = e - offset
    # at a crawl it turns the wheels right round: so it gets out from close behind something
    reach = max(min(3.0, 1.8 + 0.5 * v), 0.6 * v, v * np.sqrt(abs(error) / SHIFT_ACCEL_MPS2))
    return at / max(1.0 - at * e, 0.4) * np.cos(psi) - error / reach**2 - 2.0 * np.sin(psi) / reach


@kernel
def turn_wheel(wanted: float, before: float, step: float) -> float:
    """The wanted curvature, within `step` of the one before and within the body's lock."""
    return min(max(min(max(wanted, before - step), before + step), -MAX_CURVATURE_PER_M), MAX_CURVATURE_PER_M)


@kernel
def brake_for_line(v: float, stop: float, a: float, dt: float) -> float:
    """Acceleration `a`, or less where a line `stop` metres ahead needs it: no more gas, then constant deceleration, once it is needed."""
    need = v * v / (2.0 * max(stop, 0.05))
    if need > 0.8:
        a = min(a, 0.0)
    if need > 1.5 or stop < 1.0:
        a = min(a, -need if v > 0.05 else 0.0)
    if stop < 0.4 and v < 0.5:
        a = min(a, -v / dt)
    return a


@kernel
def move(s: float, e: float, psi: float, v: float, a: float, kappa: float, at: float, dt: float) -> tuple[float, float, float, float]:
    """A bicycle's step in the path's own (along, left, heading error) coordinates; no projection is needed there."""
    mean = v + a * dt / 2
    along = mean * np.cos(psi) / max(1.0 - at * e, 0.4) * dt
    turned = mean * kappa * dt - at * along
    return s + along, e + mean * np.sin(psi + turned / 2) * dt, psi + turned, v + a * dt


@kernel
def speed_profile_of(curvature: Array, limit: float, out: Array) -> None:
    """Speeds along one path within the limit and the lateral acceleration; `reach_gently` makes them reachable."""
    for i in range(len(out)):
        out[i] = min(limit, np.sqrt(LATERAL_ACCEL_MPS2 / max(abs(curvature[i]), 1e-4)))


@kernel
def reach_gently(profile: Array, decel: float) -> None:
    """Lowers each speed to what `decel` can bring down to the next one."""
    for i in range(len(profile) - 2, -1, -1):
        profile[i] = min(profile[i], np.sqrt(profile[i + 1] ** 2 + 2.0 * decel * PATH_SPACING_M))


@kernel
def follow_path(
    curvature: Array,
    profile: Array,
    start: Array,
    target: float,
    offset: float,
    lead_gap: float,
    lead_speed: float,
    stop: float,
    hardest: float,
    accel_out: Array,
    curvature_out: Array,
    dt: float,
) -> None:
    """One trajectory from `start` = (e, psi, v); `hardest` is the strongest braking allowed, positive."""
    s, e, psi, v = 0.0, start[0], start[1], start[2]
    gap, kappa, step = lead_gap, 0.0, MAX_CURVATURE_RATE_PER_MS * dt
    for k in range(len(accel_out)):
        at = value_at(curvature, s + v * dt / 2)
        kappa = turn_wheel(steer(at, e, psi, v, offset), kappa, step if k > 0 else np.inf)
        goal = min(target, value_at(profile, s + v * dt))
        a = SPEED_GAIN_PER_S * (goal - v)
        if gap < 1e3:
            a = min(a, follow(v, max(goal, v), gap, lead_speed))
        if stop < 1e3:
            a = brake_for_line(v, stop, a, dt)
        a = min(max(a, -hardest), MAX_ACCEL_MPS2)
        if v + a * dt < 0.0:
            a = -v / dt
        accel_out[k], curvature_out[k] = a, kappa
        mean = v + a * dt / 2
        s, e, psi, v = move(s, e, psi, v, a, kappa, at, dt)
        gap += lead_speed * dt - mean * dt
        stop -= mean * dt


@kernel
def _plan(
    curvature: Array, profile: Array, start: Array, target: Array, offset: Array, gap: Array, lead: Array, stop: Array, accel: Array, curved: Array
) -> None:
    for b in range(len(start)):
        follow_path(
            curvature[b], profile[b], start[b], target[b], offset[b], gap[b], lead[b], stop[b], MAX_DECEL_MPS2, accel[b], curved[b], DT_S
        )  # fmt: skip


@kernel
def _profiles(curvature: Array, limit: Array, out: Array) -> None:
    for b in range(len(out)):
        speed_profile_of(curvature[b], limit[b], out[b])
        reach_gently(out[b], BEND_DECEL_MPS2)


def column(batch: int, value: Array) -> Float[Array, " batch"]:
    """Float64, one per batch item, as kernels take it."""
    return np.ascontiguousarray(np.broadcast_to(np.asarray(value, np.float64), (batch,)))


def speed_profile(scene: Scene) -> Float[Array, "batch point"]:
    """Speeds along the path within the limit and the lateral acceleration, reachable by gentle braking."""
    curvature = np.ascontiguousarray(scene.path_curvature_per_m, np.float64)
    out = np.empty_like(curvature)
    _profiles(curvature, column(len(out), scene.speed_limit_mps), out)
    return out


def plan_along_path(
    scene: Scene,
    target_speed_mps: Float[Array, " batch"],
    lateral_offset_m: Float[Array, " batch"],
    *,
    speed_profile_mps: Float[Array, "batch point"] | None = None,
    stop_gap_m: Float[Array, " batch"] | None = None,
    follows_lead: bool = False,
) -> Trajectory:
    """Follow the scene's path at a target speed, `lateral_offset_m` left of it; comfortable acceleration (-4..2 m/s2).

    Optional: speeds allowed along the path (scene spacing), a place to stop (inf: none), and keeping a gap to the lead.
    """
    batch = len(scene.speed_mps)
    far = np.full(batch, np.inf)
    curvature = np.ascontiguousarray(scene.path_curvature_per_m, np.float64)
    profile = np.full(curvature.shape, 1e9) if speed_profile_mps is None else np.ascontiguousarray(speed_profile_mps, np.float64)
    start = np.stack([np.asarray(of, np.float64) for of in (scene.lateral_offset_m, scene.heading_error_rad, scene.speed_mps)], axis=-1)
    accel, curved = np.empty((batch, NUM_STEPS)), np.empty((batch, NUM_STEPS))
    _plan(
        curvature,
        profile,
        start,
        column(batch, target_speed_mps),
        column(batch, lateral_offset_m),
        column(batch, scene.lead_gap_m) if follows_lead else far,
        column(batch, scene.lead_speed_mps),
        far if stop_gap_m is None else column(batch, stop_gap_m),
        accel,
        curved,
    )
    return Trajectory(accel_mps2=accel.astype(np.float32), curvature_per_m=curved.astype(np.float32))

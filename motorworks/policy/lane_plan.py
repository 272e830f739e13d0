"""Following a path: from a scene, a target speed and a lateral offset to 6.4 s of acceleration and curvature."""

import numpy as np
from jaxtyping import Float
from numba import njit

from motorworks.datatypes.scene import PATH_SPACING_M, Scene
from motorworks.datatypes.trajectory import DT_S, NUM_STEPS, Trajectory
from motorworks.geometry.array import Array

MAX_ACCEL_MPS2, MAX_DECEL_MPS2 = 2.0, 4.0
MAX_CURVATURE_PER_M, MAX_CURVATURE_STEP_PER_M = 0.2, 0.025  # bodies.CAR
SPEED_GAIN_PER_S = 1.6
STANDSTILL_GAP_M, HEADWAY_S, FOLLOW_ACCEL_MPS2, FOLLOW_DECEL_MPS2 = 2.5, 1.3, 1.8, 2.0


@njit(cache=True)
def _value_at(row: Array, s: float, spacing: float) -> float:
    q = min(max(s / spacing, 0.0), len(row) - 1.001)
    i = int(q)
    return row[i] + (q - i) * (row[i + 1] - row[i])


@njit(cache=True)
def _follow(speed: float, target: float, gap: float, lead_speed: float) -> float:
    """IDM acceleration behind a lead (Treiber et al. 2000)."""
    closing = speed * (speed - lead_speed) / (2.0 * np.sqrt(FOLLOW_ACCEL_MPS2 * FOLLOW_DECEL_MPS2))
    wanted = STANDSTILL_GAP_M + max(0.0, speed * HEADWAY_S + closing)
    return FOLLOW_ACCEL_MPS2 * (1.0 - (speed / max(target, 0.5)) ** 4 - (wanted / max(gap, 0.2)) ** 2)


@njit(cache=True)
def _plan(
    curvature: Array,
    lateral: Array,
    heading: Array,
    speed: Array,
    target: Array,
    offset: Array,
    profile: Array,
    lead_gap: Array,
    lead_speed: Array,
    stop_gap: Array,
    accel_out: Array,
    curvature_out: Array,
    dt: float,
    spacing: float,
) -> None:
    """Drive a bicycle in the path's own (along, left, heading error) coordinates; no projection is needed there."""
    for b in range(len(speed)):
        s, e, psi, v = 0.0, lateral[b], heading[b], speed[b]
        gap, stop = lead_gap[b], stop_gap[b]
        kappa = 0.0
        for k in range(accel_out.shape[1]):
            at = _value_at(curvature[b], s + v * dt / 2, spacing)
            reach = max(3.0, 0.6 * v)
            wanted = at / max(1.0 - at * e, 0.4) * np.cos(psi) - (e - offset[b]) / reach**2 - 2.0 * np.sin(psi) / reach
            if k > 0:
                wanted = min(max(wanted, kappa - MAX_CURVATURE_STEP_PER_M), kappa + MAX_CURVATURE_STEP_PER_M)
            kappa = min(max(wanted, -MAX_CURVATURE_PER_M), MAX_CURVATURE_PER_M)
            goal = min(target[b], _value_at(profile[b], s + v * dt, spacing))
            a = SPEED_GAIN_PER_S * (goal - v)
            if gap < 1e3:
                a = min(a, _follow(v, max(goal, v), gap, lead_speed[b]))
            if stop < 1e3:
                # constant deceleration to the line, once it is needed
                need = v * v / (2.0 * max(stop, 0.05))
                if need > 1.5 or stop < 1.0:
                    a = min(a, -need if v > 0.05 else 0.0)
                if stop < 0.4 and v < 0.5:
                    a = min(a, -v / dt)
            a = min(max(a, -MAX_DECEL_MPS2), MAX_ACCEL_MPS2)
            if v + a * dt < 0.0:
                a = -v / dt
            accel_out[b, k], curvature_out[b, k] = a, kappa
            mean = v + a * dt / 2
            along = mean * np.cos(psi) / max(1.0 - at * e, 0.4) * dt
            s += along
            e += mean * np.sin(psi + (mean * kappa * dt - at * along) / 2) * dt
            psi += mean * kappa * dt - at * along
            v += a * dt
            gap += lead_speed[b] * dt - mean * dt
            stop -= mean * dt


def _column(batch: int, value: Array) -> Float[Array, " batch"]:
    return np.ascontiguousarray(np.broadcast_to(np.asarray(value, np.float64), (batch,)))


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
    profile = np.full(scene.path_curvature_per_m.shape, np.inf) if speed_profile_mps is None else np.asarray(speed_profile_mps, np.float64)
    accel, curvature = np.empty((batch, NUM_STEPS)), np.empty((batch, NUM_STEPS))
    _plan(
        np.asarray(scene.path_curvature_per_m, np.float64),
        _column(batch, scene.lateral_offset_m),
        _column(batch, scene.heading_error_rad),
        _column(batch, scene.speed_mps),
        _column(batch, target_speed_mps),
        _column(batch, lateral_offset_m),
        profile,
        _column(batch, scene.lead_gap_m) if follows_lead else far,
        _column(batch, scene.lead_speed_mps),
        far if stop_gap_m is None else _column(batch, stop_gap_m),
        accel,
        curvature,
        DT_S,
        PATH_SPACING_M,
    )
    return Trajectory(accel_mps2=accel.astype(np.float32), curvature_per_m=curvature.astype(np.float32))

"""One proposal: simulated along the road, and what it costs. Scalar kernels."""

import numpy as np

from motorworks.datatypes.agent import CYCLIST, FIRST_OBJECT
from motorworks.geometry.array import Array
from motorworks.geometry.kernel import kernel
from motorworks.policy.lane_plan import (
    MAX_ACCEL_MPS2,
    MAX_CURVATURE_RATE_PER_MS,
    MAX_DECEL_MPS2,
    SPEED_GAIN_PER_S,
    brake_for_line,
    follow,
    move,
    steer,
    turn_wheel,
    value_at,
)
from motorworks.policy.surroundings import (
    CENTRE_M,
    COS,
    COUNTS,
    HALF_LENGTH_M,
    HALF_WIDTH_M,
    KIND,
    NUM_SIM,
    RADIUS,
    SIM_DT_S,
    SIN,
    SPEED,
    USE,
    Scratch,
    X,
    Y,
    place_on_road,
)

FULL_DECEL_MPS2 = 6.0  # bodies.CAR
CALM_DECEL_MPS2 = 3.5  # for bends and limits
HIT_COST, HIT_SOON_COST, HIT_SPEED_COST = 100.0, 60.0, 4.0
CLOSE_COST = 5.0  # inside a time gap of 0.5 s ahead, or nearer than CLOSE_M
CLOSE_S, CLOSE_M, CLOSE_PERSON_M = 0.5, 0.25, 0.55
HARD_BRAKE_COST, SIDEWAYS_COST = 1.5, 1.0
SIDEWAYS_MPS2 = 3.0


@kernel
def accelerate(v: float, s: float, t: float, dt: float, frac: float, cap: float, profile: Array, leads: Array, num: int, stop: float) -> float:
    """The IDM driver's acceleration; a negative `frac` is a fixed braking in m/s2 instead."""
    if frac < 0.0:
        return max(frac, -v / dt)
    goal = min(cap, frac * value_at(profile, s + v * dt))
    a = max(SPEED_GAIN_PER_S * (goal - v), -CALM_DECEL_MPS2)
    hardest = MAX_DECEL_MPS2
    for i in range(num):
        gap, lead = leads[i, 0] + leads[i, 1] * t - s, leads[i, 1]
        a = min(a, max(follow(v, max(goal, v), gap, lead), -MAX_DECEL_MPS2))
        closing = v - max(lead, 0.0)
        if closing > 0.0:
            need = closing * closing / (2.0 * max(gap - 0.5, 0.1))
            if need > 3.0:
                a, hardest = min(a, -1.1 * need), FULL_DECEL_MPS2
    if stop < 1e3:
        a = brake_for_line(v, stop - s, a, dt)
        hardest = FULL_DECEL_MPS2
    a = min(max(a, -hardest), MAX_ACCEL_MPS2)
    return max(a, -v / dt)


@kernel
def _box_gap(dx: float, dy: float, cb: float, sb: float, al: float, aw: float, bl: float, bw: float) -> float:
    """Largest gap along the separating axes of a box at the origin along x and another one turned by (cb, sb); half extents."""
    gap = max(abs(dx) - al - bl * abs(cb) - bw * abs(sb), abs(dy) - aw - bl * abs(sb) - bw * abs(cb))
    gap = max(gap, abs(cb * dx + sb * dy) - bl - al * abs(cb) - aw * abs(sb))
    return max(gap, abs(cb * dy - sb * dx) - bw - al * abs(sb) - aw * abs(cb))


@kernel
def _meet(x: float, y: float, c: float, s: float, v: float, t: int, agents: Array, scratch: Scratch) -> tuple[int, bool]:
    """Index of the agent that is hit at this time by our doing (else -1), and whether somebody is too close."""
    ahead = CLOSE_S * v / 2.0
    close, hit = False, -1
    for a in range(len(scratch.around)):
        row = scratch.around[a]
        if row[USE] != COUNTS or scratch.innocent[a]:
            continue
        other = scratch.future[a, t]
        wx, wy = other[X] - x, other[Y] - y
        reach = row[RADIUS] + 3.3 + 2.0 * ahead
        if wx * wx + wy * wy > reach * reach:
            continue
        dx, dy = c * wx + s * wy, c * wy - s * wx
        cb, sb = c * other[COS] + s * other[SIN], c * other[SIN] - s * other[COS]
        hl, hw = agents[a, 4] / 2.0, agents[a, 5] / 2.0
        person = CYCLIST <= row[KIND] < FIRST_OBJECT
        if _box_gap(dx, dy, cb, sb, HALF_LENGTH_M, HALF_WIDTH_M, hl, hw) < 0.1:
            if dx < -0.8 * HALF_LENGTH_M and row[SPEED] * cb > v:
                scratch.innocent[a] = True
            elif v > 0.2:
                hit = a
        elif v > 0.2 and dx > -1.0 and not close:
            margin = CLOSE_PERSON_M if person else CLOSE_M
            close = _box_gap(dx - ahead, dy, cb, sb, HALF_LENGTH_M + ahead, HALF_WIDTH_M + margin, hl, hw) < 0.0
    return hit, close


@kernel
def simulate(
    start: Array, kappa: float, curvature: Array, frac: float, offset: float, cap: float, num_leads: int, stop: float, agents: Array, scratch: Scratch
) -> tuple[float, float, int]:
    """Metres made good in the horizon, the cost of what happens on the way, and who is hit first (else -1)."""
    s, e, psi, v = 0.0, start[0], start[1], start[2]
    cost, close_seen, hardest, widest = 0.0, False, 0.0, 0.0
    step = MAX_CURVATURE_RATE_PER_MS * SIM_DT_S
    scratch.innocent[:] = False
    for t in range(NUM_SIM):
        at = value_at(curvature, s + v * SIM_DT_S / 2)
        kappa = turn_wheel(steer(at, e, psi, v, offset), kappa, step)
        a = accelerate(v, s, t * SIM_DT_S, SIM_DT_S, frac, cap, scratch.profile, scratch.leads, num_leads, stop)
        s, e, psi, v = move(s, e, psi, v, a, kappa, at, SIM_DT_S)
        hardest, widest = min(hardest, a), max(widest, abs(v * v * kappa))
        x, y, yaw = place_on_road(scratch.road, s, e)
        c, d = np.cos(yaw + psi), np.sin(yaw + psi)
        hit, close = _meet(x + CENTRE_M * c, y + CENTRE_M * d, c, d, v, t, agents, scratch)
        left = 1.0 - t / NUM_SIM
        if hit >= 0:
            return s, cost + HIT_COST + HIT_SOON_COST * left + HIT_SPEED_COST * v, hit
        if close and not close_seen:
            close_seen = True
            cost += CLOSE_COST * (0.3 + 0.7 * left)
    if hardest < -MAX_DECEL_MPS2 - 0.05:
        cost += HARD_BRAKE_COST
    if widest > SIDEWAYS_MPS2:
        cost += SIDEWAYS_COST * (widest - SIDEWAYS_MPS2)
    return s, cost, -1


@kernel
def write_proposal(
    start: Array,
    curvature: Array,
    frac: float,
    offset: float,
    cap: float,
    num: int,
    stop: float,
    scratch: Scratch,
    accel: Array,
    curved: Array,
    dt: float,
) -> None:
    """The whole trajectory of a proposal, at the trajectory's own step."""
    s, e, psi, v, kappa, step = 0.0, start[0], start[1], start[2], 0.0, MAX_CURVATURE_RATE_PER_MS * dt
    for k in range(len(accel)):
        at = value_at(curvature, s + v * dt / 2)
        kappa = turn_wheel(steer(at, e, psi, v, offset), kappa, step if k > 0 else np.inf)
        a = accelerate(v, s, k * dt, dt, frac, cap, scratch.profile, scratch.leads, num, stop)
        accel[k], curved[k] = a, kappa
        s, e, psi, v = move(s, e, psi, v, a, kappa, at, dt)

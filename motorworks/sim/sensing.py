"""What the ego's state means: its place on the route, who is ahead, who has the right of way, what it touches. Scalar kernels."""

from typing import NamedTuple

import numpy as np
from numba import njit

from motorworks.geometry.array import Array
from motorworks.sim.ground import HEADING_M_PER_PX, HEADING_SCALE, JUNCTION_CODE, OFF_CODE
from motorworks.sim.network import Lanes
from motorworks.sim.route import CONNECTOR, CURVATURE, ENTRY, EXIT, LANE, LANE_S, LIMIT, TURN, YAW, Agents
from motorworks.sim.traffic import EGO_ARRIVAL, EGO_HOLD, EGO_INSIDE, EGO_LANE, EGO_LANE_S, EGO_NEXT, EGO_SPEED, EGO_WAITED

CENTRE_M, HALF_LENGTH_M, HALF_WIDTH_M, FRONT_M = 1.4, 2.3, 0.925, 3.7  # bodies.CAR; town.py checks that they agree
LEAVES_ROUTE_M = 7.0  # further from the route than this counts as off the road
LOOK_AHEAD_M = 75


class Facts(NamedTuple):
    """What the kernel reports, `[env]` each but for the path and the nearest agents."""

    progress: Array
    lateral: Array
    heading_error: Array
    limit: Array
    junction_gap: Array
    junction_blocked: Array
    turn: Array
    lead_gap: Array
    lead_speed: Array
    in_junction: Array
    on_road: Array
    centre_off: Array
    wrong_way: Array
    collision: Array
    at_fault: Array
    min_gap: Array
    path: Array  # [env, point, 2]
    path_curvature: Array  # [env, point]
    nearest: Array  # [env, 8, 6]
    nearest_valid: Array  # [env, 8]


def empty_facts(num_envs: int, num_points: int, num_nearest: int) -> Facts:
    """Zeros, and nothing ahead."""

    def floats(*more: int) -> Array:
        return np.zeros((num_envs, *more))

    def bools(*more: int) -> Array:
        return np.zeros((num_envs, *more), np.bool_)

    return Facts(
        progress=floats(),
        lateral=floats(),
        heading_error=floats(),
        limit=floats(),
        junction_gap=floats() + np.inf,
        junction_blocked=bools(),
        turn=np.zeros(num_envs, np.int64),
        lead_gap=floats() + np.inf,
        lead_speed=floats(),
        in_junction=bools(),
        on_road=bools(),
        centre_off=bools(),
        wrong_way=bools(),
        collision=bools(),
        at_fault=bools(),
        min_gap=floats() + np.inf,
        path=floats(num_points, 2),
        path_curvature=floats(num_points),
        nearest=floats(num_nearest, 6),
        nearest_valid=bools(num_nearest),
    )


@njit(cache=True)
def box_gap(ax: float, ay: float, ayaw: float, al: float, aw: float, bx: float, by: float, byaw: float, bl: float, bw: float) -> float:
    """Largest gap along the four separating axes of two boxes (half extents): never more than their distance; negative when they overlap."""
    ca, sa, cb, sb = np.cos(ayaw), np.sin(ayaw), np.cos(byaw), np.sin(byaw)
    dx, dy = bx - ax, by - ay
    cr, sr = abs(ca * cb + sa * sb), abs(ca * sb - sa * cb)
    gap = abs(ca * dx + sa * dy) - al - (bl * cr + bw * sr)
    gap = max(gap, abs(-sa * dx + ca * dy) - aw - (bl * sr + bw * cr))
    gap = max(gap, abs(cb * dx + sb * dy) - bl - (al * cr + aw * sr))
    return max(gap, abs(-sb * dx + cb * dy) - bw - (al * sr + aw * cr))


@njit(cache=True)
def project(route: Array, num: int, x: float, y: float, low: int, high: int) -> tuple[float, float]:
    """Distance along the route and leftward offset of the nearest point between two indices."""
    best, at = 1e18, low
    for i in range(max(low, 0), min(high, num - 1) + 1):
        d = (route[i, 0] - x) ** 2 + (route[i, 1] - y) ** 2
        if d < best:
            best, at = d, i
    yaw = route[at, YAW]
    dx, dy = x - route[at, 0], y - route[at, 1]
    lon, lat = np.cos(yaw) * dx + np.sin(yaw) * dy, -np.sin(yaw) * dx + np.cos(yaw) * dy
    # along the tangent at the nearest metre, corrected for curvature: exact to millimetres at our radii
    kappa = route[at, CURVATURE]
    lon = lon / max(1.0 - kappa * lat, 0.3)
    lon = min(max(lon, -1.0), 1.0)
    return at + lon, lat - kappa * lon * lon / 2


@njit(cache=True)
def route_at(route: Array, num: int, s: float, column: int) -> float:
    """A continuous column of the route at distance s."""
    q = min(max(s, 0.0), num - 1.001)
    i = int(q)
    return route[i, column] + (q - i) * (route[i + 1, column] - route[i, column])


@njit(cache=True)
def _code_at(heading: Array, x: float, y: float) -> int:
    ix, iy = int(np.floor(x / HEADING_M_PER_PX)), int(np.floor(y / HEADING_M_PER_PX))
    if ix < 0 or iy < 0 or ix >= heading.shape[1] or iy >= heading.shape[0]:
        return OFF_CODE
    return heading[iy, ix]


@njit(cache=True)
def _sense_road(e: int, pose: Array, heading: Array, facts: Facts) -> None:
    """Drivable area and driving direction, from the heading map."""
    c, s = np.cos(pose[2]), np.sin(pose[2])
    cx, cy = pose[0] + CENTRE_M * c, pose[1] + CENTRE_M * s
    code = _code_at(heading, cx, cy)
    facts.centre_off[e] = code == OFF_CODE
    facts.wrong_way[e] = code > JUNCTION_CODE and np.cos(code / HEADING_SCALE - pose[2]) < 0.0
    on = code != OFF_CODE
    for lon in (-HALF_LENGTH_M, HALF_LENGTH_M):
        for lat in (-HALF_WIDTH_M, HALF_WIDTH_M):
            on = on and _code_at(heading, cx + c * lon - s * lat, cy + s * lon + c * lat) != OFF_CODE
    facts.on_road[e] = on


@njit(cache=True)
def _sense_lead(e: int, route: Array, num: int, front: float, agents: Agents, facts: Facts) -> None:
    """The first agent whose box axis lies on the route ahead."""
    facts.lead_gap[e], facts.lead_speed[e] = np.inf, 0.0
    start = max(int(front) - 3, 0)
    for a in range(len(agents.valid)):
        if not agents.valid[a]:
            continue
        x, y, yaw = agents.pose[a, 0], agents.pose[a, 1], agents.pose[a, 2]
        if (x - route[start, 0]) ** 2 + (y - route[start, 1]) ** 2 > LOOK_AHEAD_M**2:
            continue
        half = agents.length[a] / 2
        for k in range(3):
            lon = (k - 1) * half
            s, lat = project(route, num, x + lon * np.cos(yaw), y + lon * np.sin(yaw), start, start + LOOK_AHEAD_M)
            if abs(lat) < 0.8 + agents.width[a] / 2 and s > front - 1.0 and s - front < facts.lead_gap[e]:
                facts.lead_gap[e] = max(s - front, 0.0)
                facts.lead_speed[e] = agents.speed[a] * np.cos(yaw - route_at(route, num, s, YAW))


@njit(cache=True)
def _sense_contact(e: int, pose: Array, speed: float, agents: Agents, facts: Facts) -> None:
    """Gap to every agent's box; a collision is the ego's fault unless it was standing or was hit from behind."""
    c, s = np.cos(pose[2]), np.sin(pose[2])
    cx, cy = pose[0] + CENTRE_M * c, pose[1] + CENTRE_M * s
    facts.min_gap[e], facts.collision[e], facts.at_fault[e] = np.inf, False, False
    for a in range(len(agents.valid)):
        if not agents.valid[a]:
            continue
        x, y, yaw = agents.pose[a, 0], agents.pose[a, 1], agents.pose[a, 2]
        gap = box_gap(cx, cy, pose[2], HALF_LENGTH_M, HALF_WIDTH_M, x, y, yaw, agents.length[a] / 2, agents.width[a] / 2)
        facts.min_gap[e] = min(facts.min_gap[e], gap)
        if gap < 0.0:
            facts.collision[e] = True
            lon = c * (x - cx) + s * (y - cy)
            struck = lon < -HALF_LENGTH_M * 0.8 and agents.speed[a] * np.cos(yaw - pose[2]) > speed
            facts.at_fault[e] = facts.at_fault[e] or not (struck or speed < 0.3)


@njit(cache=True)
def _sense_nearest(e: int, pose: Array, agents: Agents, facts: Facts) -> None:
    """The eight nearest agents in the rig frame, nearest first."""
    c, s = np.cos(pose[2]), np.sin(pose[2])
    num = facts.nearest.shape[1]
    distance = np.full(num, np.inf)
    facts.nearest_valid[e, :] = False
    facts.nearest[e, :, :] = 0.0
    for a in range(len(agents.valid)):
        dx, dy = agents.pose[a, 0] - pose[0], agents.pose[a, 1] - pose[1]
        d = dx * dx + dy * dy
        if not agents.valid[a] or d >= distance[num - 1]:
            continue
        k = num - 1
        while k > 0 and distance[k - 1] > d:
            distance[k] = distance[k - 1]
            facts.nearest[e, k] = facts.nearest[e, k - 1]
            facts.nearest_valid[e, k] = facts.nearest_valid[e, k - 1]
            k -= 1
        distance[k] = d
        row = facts.nearest[e, k]
        row[0], row[1] = c * dx + s * dy, -s * dx + c * dy
        row[2] = (agents.pose[a, 2] - pose[2] + np.pi) % (2 * np.pi) - np.pi
        row[3], row[4], row[5] = agents.speed[a], agents.length[a], agents.width[a]
        facts.nearest_valid[e, k] = True


@njit(cache=True)
def _place_ego(e: int, pose: Array, speed: float, route: Array, num: int, clock: int, dt: float, ego: Array, facts: Facts, around: int) -> None:
    """Project the ego on its route and join the queue of its next junction."""
    at = int(facts.progress[e])
    facts.progress[e], facts.lateral[e] = project(route, num, pose[0], pose[1], at - around, at + 4 + around)
    s = facts.progress[e]
    error = pose[2] - route_at(route, num, s, YAW)
    facts.heading_error[e] = (error + np.pi) % (2 * np.pi) - np.pi
    i = min(max(int(s), 0), num - 2)
    facts.limit[e], front = route[i, LIMIT], s + FRONT_M
    # inside from the front bumper's crossing of the entry line until the rear axle has left
    facts.junction_gap[e] = max(route[i, ENTRY] - front, 0.0)
    facts.turn[e] = int(route[i, TURN])
    centre = min(max(int(s + CENTRE_M), 0), num - 2)
    facts.in_junction[e] = route[centre, ENTRY] <= s + CENTRE_M < route[centre, EXIT]
    near = abs(facts.lateral[e]) < 2.4
    ego[EGO_LANE] = route[centre, LANE] if near else -1.0
    ego[EGO_LANE_S] = route[centre, LANE_S] + (s + CENTRE_M - centre)
    ego[EGO_SPEED] = speed
    connector, gap = route[i, CONNECTOR], facts.junction_gap[e]
    if connector != ego[EGO_NEXT]:
        ego[EGO_NEXT], ego[EGO_HOLD], ego[EGO_ARRIVAL], ego[EGO_WAITED] = connector, -1.0, -1.0, 0.0
    ego[EGO_INSIDE] = 1.0 if connector >= 0 and gap <= 0.0 else 0.0
    if ego[EGO_INSIDE] > 0:
        ego[EGO_HOLD] = connector
    elif connector >= 0 and ego[EGO_HOLD] >= 0 and speed < 0.3:
        # who has the right of way and does not use it loses it after 4 s
        ego[EGO_WAITED] += dt
        if ego[EGO_WAITED] > 4.0:
            ego[EGO_HOLD], ego[EGO_ARRIVAL], ego[EGO_WAITED] = -1.0, float(clock), 0.0


@njit(cache=True)
def _queue_ego(e: int, clock: int, speed: float, ego: Array, facts: Facts) -> None:
    near = facts.junction_gap[e] < max(12.0, speed * speed / 4.0 + 8.0) and facts.lead_gap[e] > facts.junction_gap[e]
    if ego[EGO_NEXT] < 0 or not near:
        if ego[EGO_HOLD] < 0:
            ego[EGO_ARRIVAL] = -1.0
    elif ego[EGO_ARRIVAL] < 0:
        ego[EGO_ARRIVAL] = float(clock)


@njit(cache=True)
def _sense_right_of_way(e: int, conflict: Array, first_connector: int, agents: Agents, ego: Array, facts: Facts) -> None:
    facts.junction_blocked[e] = False
    if ego[EGO_NEXT] < 0 or facts.junction_gap[e] > 50.0 or ego[EGO_HOLD] >= 0:
        return
    facts.junction_blocked[e] = ego[EGO_ARRIVAL] >= 0
    for a in range(len(agents.valid)):
        if agents.valid[a] and agents.hold[a] >= 0 and conflict[int(ego[EGO_NEXT]) - first_connector, agents.hold[a] - first_connector]:
            facts.junction_blocked[e] = True


@njit(cache=True)
def _agents_of(g: Agents, e: int) -> Agents:
    return Agents(
        *(
            g.lane[e],
            g.s[e],
            g.speed[e],
            g.accel[e],
            g.next_lane[e],
            g.hold[e],
            g.arrival[e],
            g.rng[e],
            g.pose[e],
            g.valid[e],
            g.length[e],
            g.width[e],
            g.eagerness[e],
            g.headway[e],
            g.stop_period[e],
            g.stop_steps[e],
            g.shade[e],
        )
    )


@njit(cache=True, nogil=True)
def place_egos(
    start: int,
    stop: int,
    live: Array,
    moves: bool,
    clock: Array,
    dt: float,
    pose: Array,
    speed: Array,
    routes: Array,
    num_points: Array,
    everyone: Agents,
    egos: Array,
    ego_boxes: Array,
    facts: Facts,
) -> None:
    """Before traffic decides: where the live egos [start, stop) are on their routes, and in which queue."""
    for e in range(start, stop):
        if not live[e]:
            continue
        _place_ego(e, pose[e], speed[e], routes[e], num_points[e], clock[e], dt, egos[e], facts, 3 if moves else 0)
        _sense_lead(e, routes[e], num_points[e], facts.progress[e] + FRONT_M, _agents_of(everyone, e), facts)
        _queue_ego(e, clock[e], speed[e], egos[e], facts)
        c, s = np.cos(pose[e, 2]), np.sin(pose[e, 2])
        box = ego_boxes[e]
        box[0], box[1], box[2], box[3] = pose[e, 0] + CENTRE_M * c, pose[e, 1] + CENTRE_M * s, pose[e, 2], HALF_LENGTH_M


@njit(cache=True, nogil=True)
def sense(
    start: int,
    stop: int,
    live: Array,
    pose: Array,
    speed: Array,
    bank: Lanes,
    routes: Array,
    num_points: Array,
    headings: Array,
    everyone: Agents,
    egos: Array,
    facts: Facts,
) -> None:
    """After traffic moved: everything the live egos [start, stop) could know, and what they touch."""
    for e in range(start, stop):
        if not live[e]:
            continue
        agents, route, num = _agents_of(everyone, e), routes[e], num_points[e]
        _sense_lead(e, route, num, facts.progress[e] + FRONT_M, agents, facts)
        _sense_right_of_way(e, bank.conflict[e], bank.first_connector[e, 0], agents, egos[e], facts)
        _sense_road(e, pose[e], headings[e], facts)
        _sense_contact(e, pose[e], speed[e], agents, facts)
        _sense_nearest(e, pose[e], agents, facts)
        c, s = np.cos(pose[e, 2]), np.sin(pose[e, 2])
        for k in range(facts.path.shape[1]):
            at = facts.progress[e] + 2.0 * k
            dx, dy = route_at(route, num, at, 0) - pose[e, 0], route_at(route, num, at, 1) - pose[e, 1]
            facts.path[e, k, 0], facts.path[e, k, 1] = c * dx + s * dy, -s * dx + c * dy
            facts.path_curvature[e, k] = route_at(route, num, at, CURVATURE)

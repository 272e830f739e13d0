"""What a policy's body means on the road: its place on the route, who is ahead, what it must stop for, what it touches. Scalar kernels."""

import math

import numpy as np

from motorworks.datatypes.agent import EMERGENCY
from motorworks.datatypes.scene import NO_LIGHT, NO_STOP, RED, RED_LIGHT, STOP_SIGN, YELLOW
from motorworks.geometry.array import Array
from motorworks.geometry.kernel import floor, kernel
from motorworks.sim.agents import ABSENT, LANE, Agents
from motorworks.sim.bank import Bank
from motorworks.sim.facts import Facts
from motorworks.sim.ground import HEADING_M_PER_PX, HEADING_SCALE, JUNCTION_CODE, OFF_CODE
from motorworks.sim.lanes import ALL_STOP, LIGHT, STOP, Lanes
from motorworks.sim.route import CONNECTOR, CURVATURE, ENTRY, EXIT, LIMIT, TURN, WORD, WORD_AT, YAW
from motorworks.sim.route import LANE as LANE_ID
from motorworks.sim.rules import COMFORT_STOP_MPS2, Lists, dismiss, enlist, light_at, why_not
from motorworks.sim.traffic import draw

CENTRE_M, HALF_LENGTH_M, HALF_WIDTH_M, FRONT_M = 1.4, 2.3, 0.925, 3.7  # bodies.CAR; town.py checks that they agree
LEAVES_ROUTE_M = 7.0  # further from the route than this counts as off the road
LOOK_AHEAD_M, TOUCH_M = 75, 15.0
SIREN_M, SIREN_PATIENCE_S = 50.0, 5.0


@kernel
def box_gap(ax: float, ay: float, ayaw: float, al: float, aw: float, bx: float, by: float, byaw: float, bl: float, bw: float) -> float:
    """Largest gap along the four separating axes of two boxes (half extents): never more than their distance; negative when they overlap."""
    ca, sa, cb, sb = np.cos(ayaw), np.sin(ayaw), np.cos(byaw), np.sin(byaw)
    dx, dy = bx - ax, by - ay
    cr, sr = abs(ca * cb + sa * sb), abs(ca * sb - sa * cb)
    gap = abs(ca * dx + sa * dy) - al - (bl * cr + bw * sr)
    gap = max(gap, abs(-sa * dx + ca * dy) - aw - (bl * sr + bw * cr))
    gap = max(gap, abs(cb * dx + sb * dy) - bl - (al * cr + aw * sr))
    return max(gap, abs(-sb * dx + cb * dy) - bw - (al * sr + aw * cr))


@kernel
def project(route: Array, num: int, x: float, y: float, low: int, high: int) -> tuple[float, float]:
    """Distance along the route and leftward offset of the nearest point between two indices: every fourth point, then its neighbours."""
    low, high = max(low, 0), min(high, num - 1)
    best, at = 1e18, low
    for i in range(low, high + 1, 4):
        d = (route[i, 0] - x) ** 2 + (route[i, 1] - y) ** 2
        if d < best:
            best, at = d, i
    for i in range(max(at - 3, low), min(at + 3, high) + 1):
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


@kernel
def route_at(route: Array, num: int, s: float, column: int) -> float:
    """A continuous column of the route at distance s."""
    q = min(max(s, 0.0), num - 1.001)
    i = int(q)
    return route[i, column] + (q - i) * (route[i + 1, column] - route[i, column])


@kernel
def _code_at(heading: Array, x: float, y: float) -> int:
    ix, iy = floor(x / HEADING_M_PER_PX), floor(y / HEADING_M_PER_PX)
    if ix < 0 or iy < 0 or ix >= heading.shape[1] or iy >= heading.shape[0]:
        return OFF_CODE
    return heading[iy, ix]


@kernel
def _sense_road(b: int, pose: Array, heading: Array, facts: Facts) -> None:
    """Drivable area and driving direction, from the heading map."""
    c, s = np.cos(pose[2]), np.sin(pose[2])
    cx, cy = pose[0] + CENTRE_M * c, pose[1] + CENTRE_M * s
    code = _code_at(heading, cx, cy)
    facts.centre_off[b] = code == OFF_CODE
    facts.wrong_way[b] = code > JUNCTION_CODE and np.cos(code / HEADING_SCALE - pose[2]) < 0.0
    on = code != OFF_CODE
    for lon in (-HALF_LENGTH_M, HALF_LENGTH_M):
        for lat in (-HALF_WIDTH_M, HALF_WIDTH_M):
            on = on and _code_at(heading, cx + c * lon - s * lat, cy + s * lon + c * lat) != OFF_CODE
    facts.on_road[b] = on


@kernel
def _sense_lead(b: int, me: int, route: Array, num: int, front: float, agents: Agents, facts: Facts) -> None:
    """The first agent whose box axis lies on the route ahead."""
    facts.lead_gap[b], facts.lead_speed[b] = np.inf, 0.0
    start = max(int(front) - 3, 0)
    for a in range(len(agents.mode)):
        if agents.mode[a] == ABSENT or a == me:
            continue
        x, y, yaw = agents.pose[a, 0], agents.pose[a, 1], agents.pose[a, 2]
        far = (x - route[start, 0]) ** 2 + (y - route[start, 1]) ** 2
        if far > LOOK_AHEAD_M**2 or (np.cos(route[start, YAW]) * (x - route[start, 0]) + np.sin(route[start, YAW]) * (y - route[start, 1])) < -25.0:
            continue
        half = agents.length[a] / 2
        for k in range(3):
            lon = (k - 1) * half
            s, lat = project(route, num, x + lon * np.cos(yaw), y + lon * np.sin(yaw), start, start + LOOK_AHEAD_M)
            if abs(lat) < 0.8 + agents.width[a] / 2 and s > front - 1.0 and s - front < facts.lead_gap[b]:
                facts.lead_gap[b] = max(s - front, 0.0)
                facts.lead_speed[b] = agents.speed[a] * np.cos(yaw - route_at(route, num, s, YAW))


@kernel
def _at_fault(pose: Array, speed: float, lateral: float, on_road: bool, agents: Agents, a: int) -> bool:
    """NAVSIM's rule: hit with the front, or hit something that stands, or sideways while not wholly in one's lane; never while standing."""
    if speed < 0.05:
        return False
    if agents.speed[a] < 0.05:
        return True
    c, s = np.cos(pose[2]), np.sin(pose[2])
    x, y, yaw, half_l, half_w = agents.pose[a, 0], agents.pose[a, 1], agents.pose[a, 2], agents.length[a] / 2, agents.width[a] / 2
    # as deep as the front may have gone into someone within this step
    deep = 0.1 + 0.05 * speed
    nose, tail = FRONT_M - deep, CENTRE_M - HALF_LENGTH_M + 0.1
    if box_gap(pose[0] + nose * c, pose[1] + nose * s, pose[2], deep, HALF_WIDTH_M - 0.1, x, y, yaw, half_l, half_w) < 0.0:
        return True
    if box_gap(pose[0] + tail * c, pose[1] + tail * s, pose[2], 0.1, HALF_WIDTH_M - 0.1, x, y, yaw, half_l, half_w) < 0.0:
        return False
    return abs(lateral) > 1.75 - HALF_WIDTH_M or not on_road


@kernel
def _sense_contact(b: int, me: int, pose: Array, speed: float, agents: Agents, facts: Facts) -> None:
    """Gap to the boxes around, and the worst collision."""
    c, s = np.cos(pose[2]), np.sin(pose[2])
    cx, cy = pose[0] + CENTRE_M * c, pose[1] + CENTRE_M * s
    facts.min_gap[b], facts.collision[b], facts.at_fault[b], facts.collision_agent[b] = np.inf, False, False, -1
    for a in range(len(agents.mode)):
        if agents.mode[a] == ABSENT or a == me:
            continue
        x, y = agents.pose[a, 0], agents.pose[a, 1]
        if (x - cx) ** 2 + (y - cy) ** 2 > TOUCH_M**2:
            continue
        gap = box_gap(cx, cy, pose[2], HALF_LENGTH_M, HALF_WIDTH_M, x, y, agents.pose[a, 2], agents.length[a] / 2, agents.width[a] / 2)
        facts.min_gap[b] = min(facts.min_gap[b], gap)
        if gap < 0.0:
            fault = _at_fault(pose, speed, facts.lateral[b], facts.on_road[b], agents, a)
            if not facts.collision[b] or (fault and not facts.at_fault[b]):
                facts.collision_agent[b] = a
            facts.collision[b] = True
            facts.at_fault[b] = facts.at_fault[b] or fault


@kernel
def _yaw_rate(lanes: Lanes, agents: Agents, a: int) -> float:
    lane = agents.lane[a]
    if agents.mode[a] != LANE or lane < 0:
        return 0.0
    kappa = lanes.points[lanes.first[lane] + min(int(agents.s[a] / lanes.step[lane]), lanes.num_points[lane] - 1), 3]
    return -kappa * agents.speed[a] if agents.backward[a] else kappa * agents.speed[a]


@kernel
def _sense_nearest(b: int, me: int, pose: Array, lanes: Lanes, agents: Agents, facts: Facts) -> None:
    """The nearest agents in the rig frame, nearest first."""
    c, s = np.cos(pose[2]), np.sin(pose[2])
    nearest, valid = facts.nearest[b], facts.nearest_valid[b]
    num, found = len(valid), 0
    valid[:] = False
    nearest[:, :] = 0.0
    for a in range(len(agents.mode)):
        if agents.mode[a] == ABSENT or a == me:
            continue
        dx, dy = agents.pose[a, 0] - pose[0], agents.pose[a, 1] - pose[1]
        d = dx * dx + dy * dy
        k = found
        while k > 0 and nearest[k - 1, 0] ** 2 + nearest[k - 1, 1] ** 2 > d:
            k -= 1
        if k >= num:
            continue
        found = min(found + 1, num)
        for j in range(found - 1, k, -1):
            for column in range(nearest.shape[1]):
                nearest[j, column] = nearest[j - 1, column]
        row = nearest[k]
        row[0], row[1] = c * dx + s * dy, -s * dx + c * dy
        row[2] = (agents.pose[a, 2] - pose[2] + np.pi) % (2 * np.pi) - np.pi
        row[3], row[4], row[5], row[6] = agents.speed[a], agents.length[a], agents.width[a], agents.kind[a]
        row[7] = _yaw_rate(lanes, agents, a)
    valid[:found] = True


@kernel
def _sense_rules(
    b: int, me: int, route: Array, num: int, lanes: Lanes, signals: Array, agents: Agents, lists: Lists, clock: int, facts: Facts
) -> None:
    """Limit, rooms, turn, light, and whether and why the next line is a place to stop."""
    s = facts.progress[b]
    i = min(max(int(s), 0), num - 2)
    centre = min(max(int(s + CENTRE_M), 0), num - 2)
    lane, connector, gap, v = int(route[centre, LANE_ID]), int(route[i, CONNECTOR]), facts.junction_gap[b], agents.speed[me]
    facts.limit[b], facts.turn[b] = route[i, LIMIT], int(route[i, TURN])
    facts.left_room[b], facts.left_own[b], facts.right_room[b] = lanes.left_room[lane], lanes.left_own[lane], lanes.right_room[lane]
    facts.in_junction[b] = route[centre, ENTRY] <= s + CENTRE_M < route[centre, EXIT]
    facts.word[b], facts.word_gap[b] = int(route[i, WORD]), max(route[i, WORD_AT] - (s + FRONT_M), 0.0)
    facts.light[b], facts.stop_gap[b], facts.stop_cause[b] = NO_LIGHT, np.inf, NO_STOP
    if connector < 0 or gap > 80.0 or gap <= 0.0:
        return
    control = lanes.control[connector]
    if control == LIGHT:
        facts.light[b] = light_at(signals, lanes.signal[connector], clock)
    if agents.hold[me] == connector:
        return
    cause, state = NO_STOP, facts.light[b]
    if control == LIGHT and (state == RED or (state == YELLOW and v * v / (2.0 * gap) < COMFORT_STOP_MPS2)):
        cause = RED_LIGHT
    elif control in (STOP, ALL_STOP) and not agents.stopped[me]:
        cause = STOP_SIGN
    elif gap < max(12.0, v * v / 4.0 + 8.0):
        cause = why_not(lanes, agents, lists, signals, me, connector, gap, clock)
    if cause != NO_STOP:
        facts.stop_gap[b], facts.stop_cause[b] = gap, cause


@kernel
def _sense_siren(b: int, me: int, pose: Array, dt: float, agents: Agents, facts: Facts) -> None:
    facts.siren_gap[b] = np.inf
    c, s = np.cos(pose[2]), np.sin(pose[2])
    hinders = False
    for a in range(len(agents.mode)):
        if agents.mode[a] != LANE or agents.kind[a] != EMERGENCY or a == me:
            continue
        dx, dy = agents.pose[a, 0] - pose[0], agents.pose[a, 1] - pose[1]
        lon, lat = c * dx + s * dy, -s * dx + c * dy
        if -SIREN_M < lon < -1.0 and abs(lat) < 6.0 and np.cos(agents.pose[a, 2] - pose[2]) > 0.5:
            facts.siren_gap[b] = min(facts.siren_gap[b], -lon)
            hinders = hinders or (lon > -18.0 and lat < HALF_WIDTH_M + agents.width[a] / 2 and agents.speed[a] < 6.0)
    made_way = facts.lateral[b] < -0.8 and agents.speed[me] < 1.0
    facts.siren_s[b] = facts.siren_s[b] + dt if hinders and not made_way else 0.0
    facts.blocks_siren[b] = hinders and facts.siren_s[b] > SIREN_PATIENCE_S


@kernel
def _sense_path(b: int, pose: Array, route: Array, num: int, facts: Facts) -> None:
    c, s = np.cos(pose[2]), np.sin(pose[2])
    for k in range(facts.path.shape[1]):
        at = facts.progress[b] + 2.0 * k
        dx, dy = route_at(route, num, at, 0) - pose[0], route_at(route, num, at, 1) - pose[1]
        facts.path[b, k, 0], facts.path[b, k, 1] = c * dx + s * dy, -s * dx + c * dy
        facts.path_curvature[b, k] = route_at(route, num, at, CURVATURE)


@kernel
def _roll_noise(b: int, me: int, agents: Agents, facts: Facts) -> None:
    """Four standard normal numbers (Box and Muller) from the body's own stream."""
    for k in range(0, 4, 2):
        u, w = (draw(agents, me) + 1.0) / 2147483649.0, draw(agents, me) / 2147483648.0
        r = math.sqrt(-2.0 * np.log(u))
        facts.noise[b, k], facts.noise[b, k + 1] = r * np.cos(2 * np.pi * w), r * np.sin(2 * np.pi * w)


@kernel
def sense(
    e: int, clock: int, dt: float, num_egos: int, pose: Array, speed: Array, heading: Array, routes: Array, num_points: Array, bank: Bank,
    agents: Agents, lists: Lists, facts: Facts,
) -> None:  # fmt: skip
    """After traffic moved: everything the bodies of environment `e` could know, and what they touch."""
    lanes = bank.lanes
    enlist(agents, lists)
    for m in range(num_egos):
        b = e * num_egos + m
        if agents.mode[m] == ABSENT:
            continue
        route, num = routes[b], num_points[b]
        error = pose[b, 2] - route_at(route, num, facts.progress[b], YAW)
        facts.heading_error[b] = (error + np.pi) % (2 * np.pi) - np.pi
        _sense_rules(b, m, route, num, lanes, bank.signals, agents, lists, clock, facts)
        _sense_lead(b, m, route, num, facts.progress[b] + FRONT_M, agents, facts)
        _sense_road(b, pose[b], heading, facts)
        _sense_contact(b, m, pose[b], speed[b], agents, facts)
        _sense_nearest(b, m, pose[b], lanes, agents, facts)
        _sense_siren(b, m, pose[b], dt, agents, facts)
        _sense_path(b, pose[b], route, num, facts)
        _roll_noise(b, m, agents, facts)
    dismiss(agents, lists)

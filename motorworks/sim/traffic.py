"""How traffic moves: the intelligent driver model along lanes, and first come, first served at junctions.

Scalar kernels over the arrays of one environment: no objects but tuples of arrays, no allocation that depends on data, so a CUDA
thread could run them as well as a CPU loop. IDM: Treiber, Hennecke, Helbing 2000, https://arxiv.org/abs/cond-mat/0002177.

Numba's cache of a kernel sees changes in its own file only. So a kernel here, in sensing.py and in camera.py calls nothing from
another file; after changing a constant that another file uses, delete `__pycache__`.
"""

import numpy as np
from numba import njit

from motorworks.geometry.array import Array
from motorworks.sim.network import Lanes
from motorworks.sim.route import Agents

MAX_ACCEL_MPS2, COMFORT_DECEL_MPS2, HARD_DECEL_MPS2 = 1.6, 2.0, 8.0
STANDSTILL_GAP_M = 2.0
FAR_M = 1e3
# columns of the ego's row, which sensing.py writes and traffic answers; lanes are -1 where there is none
NUM_EGO = 8
EGO_LANE, EGO_LANE_S, EGO_NEXT, EGO_HOLD, EGO_ARRIVAL, EGO_SPEED, EGO_WAITED, EGO_INSIDE = range(NUM_EGO)


@njit(cache=True)
def lane_pose(lanes: Lanes, lane: int, s: float) -> tuple[float, float, float]:
    """x, y, yaw at distance s along a lane."""
    first, last = lanes.first[lane], lanes.num_points[lane] - 1
    q = min(max(s / lanes.step[lane], 0.0), float(last))
    i = min(int(q), last - 1)
    f = q - i
    a, b = lanes.points[first + i], lanes.points[first + i + 1]
    return a[0] + f * (b[0] - a[0]), a[1] + f * (b[1] - a[1]), a[2] + f * (b[2] - a[2])


@njit(cache=True)
def _slow_mps(lanes: Lanes, lane: int, s: float) -> float:
    i = min(max(int(s / lanes.step[lane]), 0), lanes.num_points[lane] - 1)
    return lanes.points[lanes.first[lane] + i, 4]


@njit(cache=True)
def idm_accel(speed: float, desired: float, gap: float, lead_speed: float, headway: float) -> float:
    """IDM acceleration towards a desired speed behind a lead."""
    free = 1.0 - (speed / max(desired, 0.5)) ** 4
    wanted = STANDSTILL_GAP_M + max(0.0, speed * headway + speed * (speed - lead_speed) / (2.0 * np.sqrt(MAX_ACCEL_MPS2 * COMFORT_DECEL_MPS2)))
    accel = MAX_ACCEL_MPS2 * (free - (wanted / max(gap, 0.1)) ** 2)
    return min(max(accel, -HARD_DECEL_MPS2), MAX_ACCEL_MPS2)


@njit(cache=True)
def in_conflict(lanes: Lanes, a: int, b: int) -> bool:
    """Whether two connectors cannot be driven at once."""
    first = lanes.first_connector[0]
    if a < first or b < first:
        return False
    return lanes.conflict[a - first, b - first]


@njit(cache=True)
def _draw(agents: Agents, a: int, num: int) -> int:
    """A random integer below num, from the agent's own xorshift stream."""
    x = agents.rng[a]
    x ^= x << np.uint64(13)
    x ^= x >> np.uint64(7)
    x ^= x << np.uint64(17)
    agents.rng[a] = x
    return int((x >> np.uint64(33)) % np.uint64(num))


@njit(cache=True)
def _has_room(lanes: Lanes, agents: Agents, connector: int, length: float, ego_lane: int, ego_s: float) -> bool:
    """Whether the lane after the connector can take one more vehicle without it standing in the junction."""
    target = lanes.next[connector, 0]
    for b in range(len(agents.lane)):
        if agents.valid[b] and agents.lane[b] == target and agents.s[b] - agents.length[b] / 2 < length + 4.0 and agents.speed[b] < 3.0:
            return False
    return not (ego_lane == target and ego_s < length + 6.5)


@njit(cache=True)
def _arrive(lanes: Lanes, agents: Agents, clock: int, ego_lane: int, ego_s: float) -> None:
    """Note when each first-in-line agent came to its junction; let go of junctions that were cleared."""
    num = len(agents.lane)
    for a in range(num):
        if not agents.valid[a]:
            continue
        lane = agents.lane[a]
        if lanes.source[lane] < 0:  # on a road
            if agents.hold[a] >= 0 and agents.hold[a] != agents.next_lane[a] and agents.s[a] > agents.length[a] / 2 + 0.5:
                agents.hold[a] = -1
            gap = lanes.length[lane] - agents.s[a] - agents.length[a] / 2
            near = lanes.junction[agents.next_lane[a]] >= 0 and gap < max(12.0, agents.speed[a] ** 2 / 4.0 + 5.0)
            for b in range(num):
                if b != a and agents.valid[b] and agents.lane[b] == lane and agents.s[b] > agents.s[a]:
                    near = False
            if ego_lane == lane and ego_s > agents.s[a]:
                near = False
            if not near:
                agents.arrival[a] = -1
            elif agents.arrival[a] < 0:
                agents.arrival[a] = clock


@njit(cache=True)
def _may_go(lanes: Lanes, agents: Agents, me: int, connector: int, arrival: int, ego: Array) -> bool:
    """First come, first served; `me` is an agent's index, or -1 for the ego."""
    for b in range(len(agents.lane)):
        if b == me or not agents.valid[b]:
            continue
        if agents.hold[b] >= 0 and in_conflict(lanes, connector, agents.hold[b]):
            return False
        waiting = agents.hold[b] < 0 and agents.arrival[b] >= 0
        earlier = agents.arrival[b] < arrival or (agents.arrival[b] == arrival and b < me)
        rival = waiting and earlier and in_conflict(lanes, connector, agents.next_lane[b])
        if rival and _has_room(lanes, agents, agents.next_lane[b], agents.length[b], int(ego[EGO_LANE]), ego[EGO_LANE_S]):
            return False
    if me >= 0:
        if ego[EGO_HOLD] >= 0 and in_conflict(lanes, connector, int(ego[EGO_HOLD])):
            return False
        waiting = ego[EGO_HOLD] < 0 and ego[EGO_ARRIVAL] >= 0
        if waiting and ego[EGO_ARRIVAL] <= arrival and in_conflict(lanes, connector, int(ego[EGO_NEXT])):
            return False
    return True


@njit(cache=True)
def grant(lanes: Lanes, agents: Agents, ego: Array, clock: int) -> None:
    """Hand out the right of way, to the ego as to anyone."""
    _arrive(lanes, agents, clock, int(ego[EGO_LANE]), ego[EGO_LANE_S])
    if (
        ego[EGO_NEXT] >= 0
        and ego[EGO_ARRIVAL] >= 0
        and ego[EGO_HOLD] < 0
        and _may_go(lanes, agents, -1, int(ego[EGO_NEXT]), int(ego[EGO_ARRIVAL]), ego)
    ):
        ego[EGO_HOLD] = ego[EGO_NEXT]
    for a in range(len(agents.lane)):
        if not agents.valid[a] or agents.arrival[a] < 0 or agents.hold[a] >= 0:
            continue
        connector = agents.next_lane[a]
        room = _has_room(lanes, agents, connector, agents.length[a], int(ego[EGO_LANE]), ego[EGO_LANE_S])
        if room and _may_go(lanes, agents, a, connector, agents.arrival[a], ego):
            agents.hold[a] = connector


@njit(cache=True)
def _ahead(lanes: Lanes, mine: int, following: int, s: float, other_lane: int, other_s: float) -> float:
    """Distance along my way to another's centre; FAR_M if it is not on it."""
    if other_lane == mine:
        return other_s - s if other_s > s else FAR_M
    left = lanes.length[mine] - s
    if other_lane == following:
        return left + other_s
    if lanes.source[mine] < 0:
        if other_lane == lanes.next[following, 0]:
            return left + lanes.length[following] + other_s
        # a vehicle that has just turned off my lane still stands in my way
        if lanes.source[other_lane] == mine and other_s < 9.0:
            return left + other_s
    elif lanes.source[other_lane] == lanes.source[mine] and s < other_s < 9.0:
        return other_s - s
    return FAR_M


@njit(cache=True)
def _ego_in_way(lanes: Lanes, agents: Agents, a: int, ego_box: Array) -> float:
    """Distance from the agent's centre, along its own lanes, at which the ego's box (x, y, yaw, half length) blocks it; FAR_M if it does not."""
    x, y = agents.pose[a, 0] - ego_box[0], agents.pose[a, 1] - ego_box[1]
    if x * x + y * y > 900.0:
        return FAR_M
    c, s_ = np.cos(ego_box[2]), np.sin(ego_box[2])
    lane, s = agents.lane[a], agents.s[a] + agents.length[a] / 2
    reach = 2.0
    while reach < 4.0 + 1.6 * agents.speed[a] + 2.0:
        at_lane, at = lane, s + reach - 1.0
        if at > lanes.length[lane]:
            at -= lanes.length[lane]
            at_lane = agents.next_lane[a]
            if at > lanes.length[at_lane]:
                at -= lanes.length[at_lane]
                at_lane = lanes.next[at_lane, 0]
        px, py, _ = lane_pose(lanes, at_lane, at)
        dx, dy = px - ego_box[0], py - ego_box[1]
        lon, lat = abs(c * dx + s_ * dy), abs(-s_ * dx + c * dy)
        if lon < ego_box[3] + 0.5 and lat < 0.925 + agents.width[a] / 2 - 0.1:
            return reach - 1.5 + agents.length[a] / 2
        reach += 1.5
    return FAR_M


@njit(cache=True)
def _choose_accel(lanes: Lanes, agents: Agents, a: int, ego: Array, ego_box: Array, clock: int) -> float:
    lane, s, speed, following = agents.lane[a], agents.s[a], agents.speed[a], agents.next_lane[a]
    desired = FAR_M
    for k in range(10):
        d = 4.0 * k
        at_lane, at = lane, s + d
        if at > lanes.length[at_lane]:
            at -= lanes.length[at_lane]
            at_lane = following
            if at > lanes.length[at_lane]:
                break
        desired = min(desired, np.sqrt((_slow_mps(lanes, at_lane, at) * agents.eagerness[a]) ** 2 + 2.0 * 1.3 * d))
    gap, lead_speed = FAR_M, speed
    for b in range(len(agents.lane)):
        if b != a and agents.valid[b]:
            room = _ahead(lanes, lane, following, s, agents.lane[b], agents.s[b]) - (agents.length[a] + agents.length[b]) / 2
            if room < gap:
                gap, lead_speed = room, agents.speed[b]
    if ego[EGO_LANE] >= 0:
        room = _ahead(lanes, lane, following, s, int(ego[EGO_LANE]), ego[EGO_LANE_S]) - agents.length[a] / 2 - ego_box[3]
        if room < gap:
            gap, lead_speed = room, ego[EGO_SPEED]
    accel = idm_accel(speed, desired, gap, lead_speed, agents.headway[a])
    blocking = _ego_in_way(lanes, agents, a, ego_box) - agents.length[a] / 2
    if blocking < 100.0:
        along = max(ego[EGO_SPEED] * np.cos(ego_box[2] - agents.pose[a, 2]), 0.0)
        accel = min(accel, idm_accel(speed, desired, blocking, along, 0.5))
    if lanes.source[lane] < 0 and lanes.junction[following] >= 0:
        line = lanes.length[lane] - s - agents.length[a] / 2
        # an ego that drives in without the right of way is let through by those who still can stop
        barged = ego[EGO_INSIDE] > 0 and in_conflict(lanes, following, int(ego[EGO_HOLD])) and line > speed * speed / 12.0
        if (agents.hold[a] != following or barged) and line > -1.0:
            accel = min(accel, idm_accel(speed, desired, line + 1.0, 0.0, 0.3))
    mid_road = lanes.source[lane] < 0 and 12.0 < s < lanes.length[lane] - 20.0
    if mid_road and agents.stop_period[a] > 0 and (clock + 37 * a) % agents.stop_period[a] < agents.stop_steps[a]:
        accel = min(accel, -1.8)
    return accel


@njit(cache=True)
def move_traffic(lanes: Lanes, agents: Agents, ego: Array, ego_box: Array, clock: int, dt: float) -> None:
    """All agents decide on the same state, then all move."""
    num = len(agents.lane)
    for a in range(num):
        if agents.valid[a]:
            agents.accel[a] = _choose_accel(lanes, agents, a, ego, ego_box, clock)
    for a in range(num):
        if not agents.valid[a]:
            continue
        speed = max(agents.speed[a] + agents.accel[a] * dt, 0.0)
        agents.s[a] += (agents.speed[a] + speed) / 2 * dt
        agents.speed[a] = speed
        while agents.s[a] > lanes.length[agents.lane[a]]:
            agents.s[a] -= lanes.length[agents.lane[a]]
            agents.lane[a] = agents.next_lane[a]
            lane = agents.lane[a]
            agents.next_lane[a] = lanes.next[lane, _draw(agents, a, lanes.num_next[lane])]
            if lanes.junction[lane] >= 0:
                agents.hold[a] = lane
                agents.arrival[a] = -1
        x, y, yaw = lane_pose(lanes, agents.lane[a], agents.s[a])
        agents.pose[a, 0], agents.pose[a, 1], agents.pose[a, 2] = x, y, yaw


@njit(cache=True, nogil=True)
def advance_traffic(
    start: int, stop: int, live: Array, moves: bool, clock: Array, dt: float, bank: Lanes, everyone: Agents, egos: Array, ego_boxes: Array
) -> None:
    """Right of way and, unless this is a reset, motion, in the live environments [start, stop)."""
    g = everyone
    for e in range(start, stop):
        if not live[e]:
            continue
        lanes = Lanes(
            *(
                bank.first[e],
                bank.num_points[e],
                bank.length[e],
                bank.step[e],
                bank.limit[e],
                bank.junction[e],
                bank.turn[e],
                bank.source[e],
                bank.next[e],
                bank.num_next[e],
                bank.points[e],
                bank.conflict[e],
                bank.first_connector[e],
            )
        )
        agents = Agents(
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
        grant(lanes, agents, egos[e], clock[e])
        if moves:
            move_traffic(lanes, agents, egos[e], ego_boxes[e], clock[e], dt)

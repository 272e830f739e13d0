"""Who and what is in an agent's way, and the way round it. Scalar kernels."""

import math

import numpy as np

from motorworks.datatypes.agent import EMERGENCY, FIRST_OBJECT, FIRST_WALKER
from motorworks.geometry.kernel import kernel
from motorworks.sim.agents import ABSENT, LANE, STATIC, Agents
from motorworks.sim.lanes import Lanes
from motorworks.sim.rules import Lists

MAX_ACCEL_MPS2, COMFORT_DECEL_MPS2, HARD_DECEL_MPS2 = 1.6, 2.0, 8.0
STANDSTILL_GAP_M = 2.0
FAR_M = 1e3
STAND_OFF_M = 6.0  # kept behind what stands in the lane, to get round it


@kernel
def idm_accel(speed: float, desired: float, gap: float, lead_speed: float, headway: float) -> float:
    """IDM acceleration towards a desired speed behind a lead."""
    free = 1.0 - (speed / max(desired, 0.5)) ** 4
    wanted = STANDSTILL_GAP_M + max(0.0, speed * headway + speed * (speed - lead_speed) / (2.0 * math.sqrt(MAX_ACCEL_MPS2 * COMFORT_DECEL_MPS2)))
    accel = MAX_ACCEL_MPS2 * (free - (wanted / max(gap, 0.1)) ** 2)
    return min(max(accel, -HARD_DECEL_MPS2), MAX_ACCEL_MPS2)


@kernel
def _beside(agents: Agents, a: int, b: int, shift: float) -> bool:
    """Whether two on parallel tracks (`shift` metres apart) would overlap sideways, now or where they are heading."""
    reach = (agents.width[a] + agents.width[b]) / 2 + 0.3
    now, then = agents.offset[a] - agents.offset[b] - shift, agents.goal[a] - agents.goal[b] - shift
    return min(abs(now), abs(then)) < reach or now * then < 0.0


@kernel
def along(agents: Agents, b: int) -> float:
    return -agents.speed[b] if agents.backward[b] else agents.speed[b]


@kernel
def find_lead(lanes: Lanes, agents: Agents, lists: Lists, a: int, reach: float) -> tuple[int, float]:
    """The next one on an agent's own way (its lane, its connector, the lane after), and the gap to it; -1 and FAR_M if none within reach."""
    lane, following = agents.lane[a], agents.next_lane[a]
    b = lists.after[a]
    while b >= 0 and not _beside(agents, a, b, 0.0):
        b = lists.after[b]
    best, gap = -1, FAR_M
    if b >= 0:
        best, gap = b, agents.s[b] - agents.s[a] - (agents.length[a] + agents.length[b]) / 2
    left = lanes.length[lane] - agents.s[a]
    if following >= 0 and left < reach and best < 0:
        b = lists.head[following]
        while b >= 0 and not _beside(agents, a, b, 0.0):
            b = lists.after[b]
        if b < 0 and left + lanes.length[following] < reach:
            left += lanes.length[following]
            b = lists.head[lanes.next[following, 0]]
            while b >= 0 and not _beside(agents, a, b, 0.0):
                b = lists.after[b]
        if b >= 0:
            best, gap = b, left + agents.s[b] - (agents.length[a] + agents.length[b]) / 2
    # one that has just turned off my lane still stands in my way
    start = lane if lanes.source[lane] < 0 else lanes.source[lane]
    left = lanes.length[lane] - agents.s[a] if start == lane else -agents.s[a]
    if left < 25.0 and best < 0:
        for k in range(lanes.num_next[start]):
            fork = lanes.next[start, k]
            if fork in (following, lane):
                continue
            b = lists.head[fork]
            if b >= 0 and agents.s[b] - agents.length[b] / 2 < 7.0 and left + agents.s[b] > 0.0:
                room = left + agents.s[b] - (agents.length[a] + agents.length[b]) / 2
                if room < gap:
                    best, gap = b, room
    return best, gap


@kernel
def _off_the_lists(lanes: Lanes, agents: Agents, b: int) -> bool:
    """Whether lane lists do not tell the whole truth about an agent, so that others must look at its box."""
    if agents.mode[b] == ABSENT:
        return False
    on_foot = agents.kind[b] >= FIRST_WALKER and agents.kind[b] < FIRST_OBJECT
    if on_foot:
        lane = agents.lane[b]
        return lane < 0 or lanes.source[lane] >= 0
    return agents.mode[b] != LANE or agents.lane[b] < 0 or agents.backward[b] or abs(agents.offset[b]) > 0.9


@kernel
def lane_pose(lanes: Lanes, lane: int, s: float) -> tuple[float, float, float]:
    """x, y, yaw at distance s along a lane."""
    first, last = lanes.first[lane], lanes.num_points[lane] - 1
    q = min(max(s / lanes.step[lane], 0.0), float(last))
    i = min(int(q), last - 1)
    f = q - i
    a, b = lanes.points[first + i], lanes.points[first + i + 1]
    return a[0] + f * (b[0] - a[0]), a[1] + f * (b[1] - a[1]), a[2] + f * (b[2] - a[2])


@kernel
def on_my_way(lanes: Lanes, agents: Agents, a: int, b: int, reach: float) -> tuple[float, float, float]:
    """Another's place along the way an agent will go, and left of that way's centreline, and its yaw against it: bends are followed, not guessed."""
    lane, following, s = agents.lane[a], agents.next_lane[a], agents.s[a]
    best, lon, lat, turn = 1e18, FAR_M, FAR_M, 0.0
    d = -6.0
    while d < reach:
        at_lane, at = lane, s + d
        if at > lanes.length[at_lane] and following >= 0:
            at -= lanes.length[at_lane]
            at_lane = following
            if at > lanes.length[at_lane]:
                at -= lanes.length[at_lane]
                at_lane = lanes.next[at_lane, 0]
        # before its start and beyond its end a lane goes straight on
        over = min(at, 0.0) + max(at - lanes.length[at_lane], 0.0)
        x, y, yaw = lane_pose(lanes, at_lane, at)
        dx, dy = agents.pose[b, 0] - x, agents.pose[b, 1] - y
        here = dx * dx + dy * dy
        if here < best:
            best = here
            c, sn = np.cos(yaw), np.sin(yaw)
            lon, lat, turn = d - over + c * dx + sn * dy, -sn * dx + c * dy, agents.pose[b, 2] - yaw
        d += 2.0
    return lon, lat, turn


@kernel
def blocked_accel(lanes: Lanes, agents: Agents, a: int, accel: float) -> float:
    """The least acceleration that any box in or stepping into the agent's corridor leaves it."""
    v = agents.speed[a]
    reach = 8.0 + 2.2 * v + agents.length[a]
    for b in range(len(agents.mode)):
        if b == a or not _off_the_lists(lanes, agents, b):
            continue
        dx, dy = agents.pose[b, 0] - agents.pose[a, 0], agents.pose[b, 1] - agents.pose[a, 1]
        if dx * dx + dy * dy > reach * reach:
            continue
        lon, lat, turn = on_my_way(lanes, agents, a, b, reach)
        lat -= agents.offset[a]
        cb, sb = np.cos(turn), np.sin(turn)
        half_lon = (abs(cb) * agents.length[b] + abs(sb) * agents.width[b]) / 2
        half_lat = (abs(sb) * agents.length[b] + abs(cb) * agents.width[b]) / 2
        gap = lon - half_lon - agents.length[a] / 2
        if lon < 0.0 or gap < -half_lon - 1.0:
            continue
        meets = lat + agents.speed[b] * sb * min(max(gap, 0.0) / max(v, 1.0), 3.0)
        clear = half_lat + agents.width[a] / 2 + 0.25
        if min(abs(lat), abs(meets)) < clear or lat * meets < 0.0:
            room = gap - (STAND_OFF_M if agents.mode[b] == STATIC and agents.goal[a] == 0.0 else 0.5)
            accel = min(accel, idm_accel(v, FAR_M, max(room, 0.1), max(agents.speed[b] * cb, 0.0), 0.4))
    return accel


@kernel
def _comes_towards(agents: Agents, a: int, c: float, s: float, reach: float) -> bool:
    """Whether anyone comes the other way on the left within reach."""
    for b in range(len(agents.mode)):
        if b == a or agents.mode[b] == ABSENT or agents.mode[b] == STATIC or agents.kind[b] >= FIRST_WALKER:
            continue
        dx, dy = agents.pose[b, 0] - agents.pose[a, 0], agents.pose[b, 1] - agents.pose[a, 1]
        lon, lat = c * dx + s * dy, -s * dx + c * dy
        against = c * np.cos(agents.pose[b, 2]) + s * np.sin(agents.pose[b, 2]) < 0.3
        if against and -4.0 < lon < reach + 6.0 * agents.speed[b] and -1.5 < lat < 7.0:
            return True
    return False


@kernel
def _juts_out(agents: Agents, a: int, b: int) -> bool:
    """Whether someone stands across the edge of a lane that is not the agent's own."""
    elsewhere = agents.lane[b] != agents.lane[a] and agents.lane[b] != agents.next_lane[a]
    return agents.speed[b] < 0.5 and agents.kind[b] < FIRST_WALKER and elsewhere and abs(agents.offset[b]) > 0.7


@kernel
def way_round(lanes: Lanes, agents: Agents, a: int, slower_mps: float) -> float:
    """The offset at which an agent passes what stands (or is slower than `slower_mps`) in its lane: within its own lanes, or through the
    oncoming lane while nobody comes; 0 where nothing is in the way or there is no way round."""
    lane = agents.lane[a]
    c, s = np.cos(agents.pose[a, 2]), np.sin(agents.pose[a, 2])
    half, left, right, found = agents.width[a] / 2, 0.0, 0.0, False
    for b in range(len(agents.mode)):
        if b == a or agents.mode[b] == ABSENT or not (agents.mode[b] == STATIC or agents.speed[b] < slower_mps or _juts_out(agents, a, b)):
            continue
        dx, dy = agents.pose[b, 0] - agents.pose[a, 0], agents.pose[b, 1] - agents.pose[a, 1]
        if dx * dx + dy * dy > 900.0:
            continue
        lon, lat, turn = on_my_way(lanes, agents, a, b, 26.0)
        if lon < -(agents.length[a] + agents.length[b]) / 2 - 1.0 or lon > 24.0:
            continue
        reach = (abs(np.sin(turn)) * agents.length[b] + abs(np.cos(turn)) * agents.width[b]) / 2
        if abs(lat) < reach + half + 0.3:
            found = True
            left, right = max(left, lat + reach + half + 0.35), min(right, lat - reach - half - 0.35)
    if not found:
        return 0.0
    if -right < left and right > -(lanes.right_room[lane] - half - 0.1):
        return right
    if left > lanes.left_room[lane] - half + (0.6 if agents.kind[a] == EMERGENCY else -0.1):
        return 0.0
    crosses = left > lanes.left_own[lane] - half + (0.8 if agents.kind[a] == EMERGENCY else 0.2)  # who hears a siren keeps right
    if crosses and agents.offset[a] < 0.5 * left and _comes_towards(agents, a, c, s, 28.0):
        return 0.0
    return left


@kernel
def side_is_free(agents: Agents, a: int, side: float) -> bool:
    """Whether nobody is so near beside an agent, on the left (`side` 1) or right (-1), that moving over would press them."""
    c, s = np.cos(agents.pose[a, 2]), np.sin(agents.pose[a, 2])
    for b in range(len(agents.mode)):
        if b == a or agents.mode[b] == ABSENT:
            continue
        dx, dy = agents.pose[b, 0] - agents.pose[a, 0], agents.pose[b, 1] - agents.pose[a, 1]
        lon, lat = c * dx + s * dy, side * (-s * dx + c * dy)
        near = (agents.length[a] + agents.length[b]) / 2
        apart = (agents.width[a] + agents.width[b]) / 2
        # who comes up from behind gets more room than who is ahead
        if -near - 1.0 - 0.7 * max(agents.speed[b] - agents.speed[a], 0.0) < lon < near + 0.3 and 0.3 < lat < apart + 0.9:
            return False
    return True

"""What could be done about who is in the way: follow, wait in the queue, pass left or right, pull over. Scalar kernels."""

import numpy as np

from motorworks.datatypes.agent import CYCLIST, EMERGENCY, FIRST_OBJECT, FIRST_WALKER
from motorworks.geometry.array import Array
from motorworks.geometry.kernel import kernel
from motorworks.policy.lane_plan import MAX_CURVATURE_RATE_PER_MS, steer, turn_wheel
from motorworks.policy.surroundings import (
    ALONG,
    FAR_AWAY,
    FRONT_M,
    HALF_ALONG,
    HALF_LEFT,
    HALF_WIDTH_M,
    KIND,
    LEFT,
    MAY_YIELD,
    SPEED,
    SPEED_ALONG,
    SPEED_LEFT,
    USE,
)

MAX_OFFSETS = 8
RIGHTMOST_M, LEFTMOST_M = -1.4, 3.6  # offsets from the route's centreline
EDGE_M = 0.15  # of pavement kept beside the body
KERB_M = 0.35  # ... when pulling over: the wheels stay off the kerb
BESIDE_M, BESIDE_PERSON_M = 0.55, 0.75  # kept to what is passed
PASS_WITHIN_M = 45.0
NUDGE_M = 0.6
QUEUE_GAP_M = 9.0
BEFORE_LINE_M, AFTER_LINE_M, INSIDE_M = 12.0, 25.0, 12.0  # who stands there waits at the junction and is no obstacle
ROOM_TO_PASS_M = 7.5  # left to an obstacle beyond the standstill gap: less would not do to steer around it
ROOM_BEHIND_M = 1.0  # left to a standing vehicle beyond the standstill gap, in case it stays
AFTER_PASS_M = 9.0
SIREN_M, LETS_PASS_M = 45.0, 0.95  # so far to the right lets an emergency vehicle by


@kernel
def foresee_shift(e: float, psi: float, v: float, kappa: float, offset: float, out: Array) -> None:
    """Where a shift from e to `offset` at this speed has got to, metre by metre: `steer` and the wheels' rate, on a straight."""
    step = MAX_CURVATURE_RATE_PER_MS / max(v, 1.5)
    for i in range(len(out)):
        out[i] = e
        kappa = turn_wheel(steer(0.0, e, psi, v, offset), kappa, step)
        e += np.sin(psi + kappa / 2.0)
        psi += kappa


@kernel
def in_queue(around: Array, a: int, line: float) -> bool:
    """A standing vehicle that waits: at the junction's line (`line` along the road), or behind one that does, or for one that moves."""
    front = around[a, ALONG] + around[a, HALF_ALONG]
    after = AFTER_LINE_M if line > FRONT_M + 0.1 else INSIDE_M
    for _ in range(6):
        nearest, gap = -1, QUEUE_GAP_M
        for b in range(len(around)):
            on_foot = FIRST_WALKER <= around[b, KIND] < FIRST_OBJECT
            if around[b, USE] == FAR_AWAY or on_foot or abs(around[b, LEFT] - around[a, LEFT]) > 1.5:
                continue
            between = around[b, ALONG] - around[b, HALF_ALONG] - front
            if -0.5 < between < gap:
                nearest, gap = b, between
        if nearest >= 0 and around[nearest, KIND] >= FIRST_OBJECT:
            return False  # it is held up by a thing, and will stay
        if -after < line - front < BEFORE_LINE_M:
            return True
        if nearest < 0:
            return False
        if around[nearest, SPEED] > 0.3:
            return around[nearest, SPEED_ALONG] > 0.0
        front = around[nearest, ALONG] + around[nearest, HALF_ALONG]
    return True


@kernel
def passable(around: Array, a: int, line: float) -> bool:
    """Things, cyclists, people who stand, and vehicles that stand without waiting for anything."""
    kind, v = around[a, KIND], around[a, SPEED]
    if kind >= FIRST_OBJECT:
        return True
    if kind >= FIRST_WALKER:
        return v < 0.2
    if kind == CYCLIST:
        return abs(around[a, SPEED_LEFT]) < 0.8 and -0.5 < around[a, SPEED_ALONG] < 5.5
    return v < 0.3 and not in_queue(around, a, line)


@kernel
def _crosses(around: Array, a: int, gap: float, v: float, at: float, left_room: float, right_room: float) -> int:
    """For who moves across: 1 in the way when we come, 0 not, -1 when not moving across."""
    row = around[a]
    sideways = abs(row[SPEED_LEFT])
    if sideways < 0.4 or sideways < 0.5 * abs(row[SPEED_ALONG]):
        return -1
    if row[USE] == MAY_YIELD:
        return 0
    apart = row[LEFT] - at
    towards = -row[SPEED_LEFT] if apart > 0 else row[SPEED_LEFT]
    half = HALF_WIDTH_M + row[HALF_LEFT] + 0.4
    comes_s = max(gap, 0.0) / max(v, 2.0)
    if towards > 0:
        enters_s, leaves_s = max(abs(apart) - half, 0.0) / sideways, (abs(apart) + half) / sideways
    else:
        enters_s, leaves_s = 0.0, max(half - abs(apart), 0.0) / sideways
    if row[KIND] >= FIRST_WALKER:
        if not -right_room - 0.3 < row[LEFT] < left_room + 0.3:
            return 0  # still on the pavement: a matter of care
        return 1 if enters_s < comes_s + 1.5 and leaves_s > comes_s - 1.0 and leaves_s > 0.0 else 0
    return 1 if enters_s < comes_s + 0.7 and leaves_s > comes_s - 0.5 and leaves_s > 0.0 else 0


@kernel
def find_leads(
    around: Array, shift: Array, v: float, offset: float, line: float, lead_gap: float, lead_speed: float, rooms: Array, leads: Array
) -> int:
    """Who an IDM driver that moves to `offset` along `shift` has to follow: rows of gap, speed, index (-1: only the scene's lead)."""
    num, known = 0, False
    for a in range(len(around)):
        row = around[a]
        if row[USE] == FAR_AWAY or row[ALONG] > 85.0:
            continue
        gap = row[ALONG] - row[HALF_ALONG] - FRONT_M
        known = known or gap - 2.0 < lead_gap < gap + 2.0 * row[HALF_ALONG] + 1.0
        if row[ALONG] < FRONT_M:
            continue
        until = gap * v / max(v - row[SPEED_ALONG], 1.0) if 0.0 < row[SPEED_ALONG] < v else gap
        at = shift[min(max(int(until), 0), len(shift) - 1)]
        crosses = _crosses(around, a, gap, v, at, rooms[0], rooms[2])
        if crosses == 0:
            continue
        if crosses < 0:
            wait_s = min(max(gap, 0.0) / max(v, 2.0), 1.0)
            half = HALF_WIDTH_M + row[HALF_LEFT] + (0.15 if row[SPEED] < 0.3 else 0.3)
            now, later = row[LEFT] - at, row[LEFT] + row[SPEED_LEFT] * wait_s - at
            if abs(now) > half and abs(later) > half and now * later > 0:
                continue
        room = ROOM_BEHIND_M if row[SPEED] < 0.3 and row[KIND] < CYCLIST else 0.0
        if row[SPEED] < 0.3 and passable(around, a, line):
            if abs(row[LEFT] - offset) > HALF_WIDTH_M + row[HALF_LEFT] + 0.15:
                continue  # will be passed; whether there is room to get out is for the simulation to say
            room = ROOM_TO_PASS_M
        leads[num, 0], leads[num, 1], leads[num, 2] = max(gap - room, 0.0), row[SPEED_ALONG], a
        num += 1
    if not known and lead_gap < 80.0 and abs(offset) < 1.0:
        leads[num, 0], leads[num, 1], leads[num, 2] = lead_gap, lead_speed, -1
        num += 1
    return num


@kernel
def _add(offsets: Array, num: int, offset: float, rooms: Array) -> int:
    """Appends an offset that the pavement has room for and that is not there yet."""
    low = max(RIGHTMOST_M, min(HALF_WIDTH_M + EDGE_M - rooms[2], 0.0))
    high = min(LEFTMOST_M, max(rooms[0] - HALF_WIDTH_M - EDGE_M, 0.0))
    if offset < low - 0.3 or offset > high + 0.3 or num >= MAX_OFFSETS:
        return num
    offset = min(max(offset, low), high)
    for i in range(num):
        if abs(offsets[i] - offset) < 0.12:
            return num
    offsets[num] = offset
    return num + 1


@kernel
def list_offsets(around: Array, start: Array, line: float, rooms: Array, offsets: Array) -> tuple[int, int, float]:
    """Fills `offsets`; how many, the nearest passable agent in the way (else -1), and where the last one in the way ends.

    `rooms` = left room, left room of our own direction, right room.
    """
    offsets[0] = 0.0
    num, blocker, ends, nearest = 1, -1, 0.0, 1e9
    most_left, most_right, first_left, first_right = -9.0, 9.0, -9.0, 9.0
    for a in range(len(around)):
        row = around[a]
        if row[USE] == FAR_AWAY or row[ALONG] + row[HALF_ALONG] < 0.0 or row[ALONG] > PASS_WITHIN_M or not passable(around, a, line):
            continue
        if abs(row[LEFT]) > HALF_WIDTH_M + row[HALF_LEFT] + 0.3:
            continue
        beside = BESIDE_PERSON_M if CYCLIST <= row[KIND] < FIRST_OBJECT else BESIDE_M
        aside = row[HALF_LEFT] + HALF_WIDTH_M + beside
        left, right = row[LEFT] + aside, row[LEFT] - aside
        most_left, most_right = max(most_left, left), min(most_right, right)
        ends = max(ends, row[ALONG] + row[HALF_ALONG])
        if row[ALONG] < nearest:
            nearest, blocker, first_left, first_right = row[ALONG], a, left, right
    if blocker >= 0:
        num = _add(offsets, num, first_left, rooms)
        num = _add(offsets, num, first_right, rooms)
        num = _add(offsets, num, most_left, rooms)
        num = _add(offsets, num, most_right, rooms)
    if abs(start[0]) > 0.25:
        num = _add(offsets, num, start[0], rooms)
    num = _add(offsets, num, NUDGE_M, rooms)
    num = _add(offsets, num, -NUDGE_M, rooms)
    return num, blocker, ends


@kernel
def pass_is_free(around: Array, start: Array, offset: float, blocker: int, ends: float, limit: float, own_left: float) -> bool:
    """Nobody comes towards us, stands, or comes up from behind where a move out to `offset` would put us."""
    e, v = start[0], start[2]
    if abs(offset) < 0.9 or (blocker >= 0 and e * offset > 0.8 and around[blocker, ALONG] - around[blocker, HALF_ALONG] < FRONT_M + 6.0):
        return True  # beside it already: finish, or give way as the simulation finds best
    ends = ends + AFTER_PASS_M if blocker >= 0 else 25.0
    oncoming = offset + HALF_WIDTH_M > own_left + 0.15
    takes_s = (ends + 4.0) / max(min(v + 2.0, limit), 3.5)
    for a in range(len(around)):
        row = around[a]
        if row[USE] == FAR_AWAY or abs(row[LEFT] - offset) > row[HALF_LEFT] + HALF_WIDTH_M + 0.4:
            continue
        if row[ALONG] < -1.0:
            faster = row[SPEED_ALONG] - v
            if faster > 0.3 and (-row[ALONG] - 4.0) / faster < 3.0:
                return False
        elif oncoming and row[SPEED_ALONG] < -0.5:
            if row[ALONG] - row[HALF_ALONG] + row[SPEED_ALONG] * takes_s < ends:
                return False
        elif row[SPEED_ALONG] < 0.5 and row[ALONG] < ends + 3.0 and row[KIND] <= CYCLIST:
            return False
    return True


@kernel
def pulls_over(around: Array, siren_gap: float, junction_gap: float, start: Array, rooms: Array) -> tuple[bool, float, float]:
    """For an emergency vehicle behind: whether to move over, to which offset, and how fast meanwhile. Not inside a junction.

    Where the road has no room to be passed in, it drives on along the right edge instead of standing in the way.
    """
    if not siren_gap < SIREN_M or junction_gap <= 0.0:
        return False, 0.0, 1e9
    room = rooms[2] - HALF_WIDTH_M
    if room < LETS_PASS_M + 0.15:
        return True, -max(room - 0.35, 0.0), 1e9
    offset = -min(max(room - KERB_M, LETS_PASS_M), -RIGHTMOST_M)
    if start[0] > offset + 0.15:
        return True, offset, 3.0
    for a in range(len(around)):
        stands = around[a, USE] != FAR_AWAY and around[a, KIND] == EMERGENCY and around[a, ALONG] < 0.0 and around[a, SPEED] < 1.0
        if stands:
            return True, offset, 4.0  # it does not get by here: lead it on
    return True, offset, 0.0

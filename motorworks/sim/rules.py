"""The rules of the road as kernels: lights, who waits for whom at junctions and crossings, and the lists of who drives on which lane.

A junction works by reservation: whoever is first at its line is *granted* its connector when light and signs allow it, no connector that
crosses it is in use, nobody with the right of way comes too soon, and there is room behind it. The policies' bodies are agents like
all others here, so the same rules say when they may go, and when they went without.
"""

from typing import NamedTuple

import numpy as np

from motorworks.datatypes.scene import CROSSING, GIVE_WAY, GREEN, NO_LIGHT, NO_STOP, OCCUPIED, RED, RED_LIGHT, STOP_SIGN, YELLOW
from motorworks.geometry.array import Array
from motorworks.geometry.kernel import kernel
from motorworks.sim.agents import ABSENT, STATIC, Agents
from motorworks.sim.bank import MAX_SIGNALS
from motorworks.sim.lanes import ALL_STOP, CROSSWALK, LIGHT, STOP, WALK, Lanes

COMFORT_STOP_MPS2 = 3.5  # on yellow, who would have to brake harder than this goes on
WALK_MPS = 1.35
BLIND_TO_RULES, BLIND_TO_OTHERS, KEEPS_LANE = 1, 2, 4  # bits of Agents.blind


class Lists(NamedTuple):
    """Who is on a lane, by lane id, lowest s first; one set for each thread, all -1 and 0 between environments."""

    head: Array  # [lane] the agent with the least s, -1
    tail: Array  # [lane] the agent with the most s, -1
    after: Array  # [agent] the next one on the same lane
    holders: Array  # [lane] how many have been granted it


def empty_lists(num_threads: int, num_lanes: int, num_agents: int) -> Lists:
    """Nobody anywhere."""
    return Lists(
        head=np.full((num_threads, num_lanes), -1, np.int32),
        tail=np.full((num_threads, num_lanes), -1, np.int32),
        after=np.full((num_threads, num_agents), -1, np.int32),
        holders=np.zeros((num_threads, num_lanes), np.int32),
    )


@kernel
def light_at(signals: Array, signal: int, clock: int) -> int:
    """State of a light: GREEN, YELLOW or RED; NO_LIGHT where there is none."""
    if signal < 0:
        return NO_LIGHT
    row = signals[signal // MAX_SIGNALS, signal % MAX_SIGNALS]
    phase = (clock - row[1]) % row[0]
    if phase < row[2]:
        return GREEN
    return YELLOW if phase < row[2] + row[3] else RED


@kernel
def enlist(agents: Agents, lists: Lists) -> None:
    """Sort everyone into their lanes, and count grants."""
    for a in range(len(agents.mode)):
        lane = agents.lane[a]
        if agents.mode[a] == ABSENT:
            continue
        if agents.hold[a] >= 0:
            lists.holders[agents.hold[a]] += 1
        if lane < 0:
            continue
        before, b = -1, lists.head[lane]
        while b >= 0 and agents.s[b] < agents.s[a]:
            before, b = b, lists.after[b]
        lists.after[a] = b
        if before < 0:
            lists.head[lane] = a
        else:
            lists.after[before] = a
        if b < 0:
            lists.tail[lane] = a


@kernel
def dismiss(agents: Agents, lists: Lists) -> None:
    """Empty the lists again: only what was touched."""
    for a in range(len(agents.mode)):
        if agents.lane[a] >= 0:
            lists.head[agents.lane[a]] = -1
            lists.tail[agents.lane[a]] = -1
        lists.after[a] = -1
        if agents.hold[a] >= 0:
            lists.holders[agents.hold[a]] = 0


@kernel
def has_room(lanes: Lanes, agents: Agents, lists: Lists, connector: int, length: float) -> bool:
    """Whether the lane after a connector can take one more without it standing in the junction."""
    b = lists.head[lanes.next[connector, 0]]
    while b >= 0:
        in_lane = abs(agents.offset[b]) < 1.0 + agents.width[b] / 2  # else it stands beside
        if in_lane and agents.s[b] - agents.length[b] / 2 < length + 3.0 and agents.speed[b] < 2.0:
            return False
        if agents.s[b] > length + 10.0:
            return True
        b = lists.after[b]
    return True


@kernel
def _someone_comes(lanes: Lanes, agents: Agents, lists: Lists, signals: Array, me: int, rival: int, clock: int) -> bool:
    """Whether anyone with the right to enter a rival connector reaches its line within the gap that `me` accepts."""
    if lanes.control[rival] == LIGHT and light_at(signals, lanes.signal[rival], clock) == RED:
        return False
    on_foot = lanes.kind[rival] == WALK
    if on_foot and lanes.signal[rival] >= 0 and light_at(signals, lanes.signal[rival], clock) != GREEN:
        return False
    source = lanes.source[rival]
    b = lists.head[source]
    while b >= 0:
        if b != me and agents.next_lane[b] == rival and agents.mode[b] != STATIC and not agents.backward[b]:
            gap = lanes.length[source] - agents.s[b] - agents.length[b] / 2
            if on_foot:
                if gap < 1.6:
                    return True
            elif lists.tail[source] == b and has_room(lanes, agents, lists, rival, agents.length[b]):
                wants = agents.speed[b] > 0.5 or lanes.control[rival] == LIGHT
                if wants and gap / max(agents.speed[b], 2.0) < agents.gap[me]:
                    return True
        b = lists.after[b]
    return False


@kernel
def _waits_longer(lanes: Lanes, agents: Agents, lists: Lists, me: int, rival: int) -> bool:
    """Whether the first in line for a rival connector has stood there longer: first come, first served."""
    b = lists.tail[lanes.source[rival]]
    if b < 0 or b == me or agents.next_lane[b] != rival or agents.arrival[b] < 0 or agents.hold[b] >= 0:
        return False
    earlier = agents.arrival[b] < agents.arrival[me] or (agents.arrival[b] == agents.arrival[me] and b < me)
    return earlier and has_room(lanes, agents, lists, rival, agents.length[b])


@kernel
def why_not(lanes: Lanes, agents: Agents, lists: Lists, signals: Array, me: int, connector: int, gap: float, clock: int) -> int:
    """Why an agent `gap` metres before its line may not enter a connector now, one of STOP_CAUSES; NO_STOP if it may."""
    control, lawful = lanes.control[connector], (agents.blind[me] & BLIND_TO_RULES) == 0
    speed = agents.speed[me]
    if lawful:
        state = light_at(signals, lanes.signal[connector], clock)
        if control == LIGHT and (state == RED or (state == YELLOW and speed * speed / (2.0 * max(gap, 0.1)) < COMFORT_STOP_MPS2)):
            return RED_LIGHT
        if control == CROSSWALK and state != NO_LIGHT:
            if state != GREEN:
                return RED_LIGHT
            row = signals[lanes.signal[connector] // MAX_SIGNALS, lanes.signal[connector] % MAX_SIGNALS]
            left_steps = row[2] - (clock - row[1]) % row[0] + row[3]
            if left_steps * 0.1 * WALK_MPS < 0.8 * lanes.length[connector]:
                return RED_LIGHT
        if control in (STOP, ALL_STOP) and not agents.stopped[me]:
            return STOP_SIGN
    for k in range(lanes.num_rivals[connector]):
        rival = lanes.rivals[connector, k]
        if lists.holders[rival] > 0:
            return CROSSING if lanes.kind[rival] == WALK else OCCUPIED
        if not lawful:
            continue
        if lanes.gives_way[connector, k] and _someone_comes(lanes, agents, lists, signals, me, rival, clock):
            return CROSSING if lanes.kind[rival] == WALK else GIVE_WAY
        if control == ALL_STOP and lanes.control[rival] == ALL_STOP and _waits_longer(lanes, agents, lists, me, rival):
            return GIVE_WAY
    if control != CROSSWALK and not has_room(lanes, agents, lists, connector, agents.length[me]):
        return OCCUPIED
    return NO_STOP


@kernel
def line_gap(lanes: Lanes, agents: Agents, a: int) -> float:
    """Metres from an agent's front to the end of its lane."""
    return lanes.length[agents.lane[a]] - agents.s[a] - agents.length[a] / 2


@kernel
def _approaches(lanes: Lanes, agents: Agents, lists: Lists, a: int) -> bool:
    """Whether an agent is near enough to its line, and first there, to ask for its connector."""
    lane, gap = agents.lane[a], line_gap(lanes, agents, a)
    if lanes.kind[lane] == WALK:
        return gap < 1.2
    return lists.tail[lane] == a and gap < max(12.0, agents.speed[a] ** 2 / 4.0 + 8.0)


@kernel
def _ask(lanes: Lanes, agents: Agents, lists: Lists, signals: Array, a: int, clock: int) -> None:
    """One agent before its line: give up a grant that the light has taken back, or ask for one."""
    connector, gap = agents.next_lane[a], line_gap(lanes, agents, a)
    if agents.speed[a] < 0.3 and gap < 3.0:
        agents.stopped[a] = True
    if agents.hold[a] == connector:
        state = light_at(signals, lanes.signal[connector], clock)
        lawful = (agents.blind[a] & BLIND_TO_RULES) == 0
        if lawful and lanes.control[connector] == LIGHT and state != GREEN and agents.speed[a] ** 2 / (2.0 * max(gap, 0.1)) < COMFORT_STOP_MPS2:
            lists.holders[connector] -= 1
            agents.hold[a] = -1
        return
    if agents.arrival[a] < 0:
        agents.arrival[a] = clock
    if (agents.blind[a] & BLIND_TO_OTHERS) or why_not(lanes, agents, lists, signals, a, connector, gap, clock) == NO_STOP:
        if agents.hold[a] >= 0:
            lists.holders[agents.hold[a]] -= 1
        agents.hold[a] = connector
        lists.holders[connector] += 1


@kernel
def grant(lanes: Lanes, agents: Agents, lists: Lists, signals: Array, clock: int) -> None:
    """Hand out the right of way for this step; take it back from those who have left their junction."""
    for a in range(len(agents.mode)):
        lane = agents.lane[a]
        if agents.mode[a] == ABSENT or agents.mode[a] == STATIC or lane < 0 or agents.backward[a]:
            continue
        if lanes.source[lane] < 0 and agents.hold[a] >= 0 and agents.hold[a] != agents.next_lane[a] and agents.s[a] > agents.length[a] / 2 + 0.5:
            lists.holders[agents.hold[a]] -= 1
            agents.hold[a] = -1
    for a in range(len(agents.mode)):
        lane = agents.lane[a]
        if agents.mode[a] == ABSENT or agents.mode[a] == STATIC or lane < 0 or agents.backward[a]:
            continue
        following = agents.next_lane[a]
        if following < 0 or lanes.junction[following] < 0 or lanes.source[following] != lane:
            continue
        if agents.hold[a] == following or _approaches(lanes, agents, lists, a):
            _ask(lanes, agents, lists, signals, a, clock)
        elif agents.hold[a] < 0:
            agents.arrival[a], agents.stopped[a] = -1, False

"""One step of everybody in an environment who is not a policy: decide on the same state, then all move."""

import numpy as np

from motorworks.datatypes.agent import EMERGENCY, FIRST_WALKER
from motorworks.geometry.array import Array
from motorworks.geometry.kernel import kernel
from motorworks.sim.acts import play
from motorworks.sim.agents import ABSENT, BRAKING, LANE, LEFT_BLINK, POLICY, RIGHT_BLINK, SHIFT, SIREN, Agents
from motorworks.sim.bank import Bank
from motorworks.sim.drivers import change_lane, drive_agent
from motorworks.sim.lanes import WALK, Lanes
from motorworks.sim.passing import HARD_DECEL_MPS2, lane_pose, side_is_free
from motorworks.sim.rules import Lists, dismiss, enlist, grant, line_gap

DT_S = 0.1
SIDEWAYS_MPS = 1.2  # how fast a driver moves across its lane at most
BLINK_BEFORE_M = 30.0


@kernel
def draw(agents: Agents, a: int) -> int:
    """A random number of 31 bits from the agent's own xorshift stream."""
    x = agents.rng[a]
    x ^= x << np.uint64(13)
    x ^= x >> np.uint64(7)
    x ^= x << np.uint64(17)
    agents.rng[a] = x
    return int(x >> np.uint64(33))


@kernel
def _next_lane(lanes: Lanes, agents: Agents, a: int) -> None:
    """Enter the lane ahead and choose the one after it."""
    agents.s[a] -= lanes.length[agents.lane[a]]
    lane = agents.next_lane[a]
    agents.lane[a] = lane
    agents.next_lane[a] = lanes.next[lane, draw(agents, a) % lanes.num_next[lane]]
    agents.arrival[a], agents.stopped[a] = -1, False


@kernel
def _steer(lanes: Lanes, agents: Agents, a: int, dt: float) -> float:
    """Move towards the wanted place in the lane; returns how the body is turned against the lane."""
    fastest = min(SIDEWAYS_MPS, 0.3 * agents.speed[a])
    sideways = min(max((agents.goal[a] - agents.offset[a]) / 0.8, -fastest), fastest)
    pressed = agents.act[a] != SHIFT and abs(sideways) > 0.05 and not side_is_free(agents, a, 1.0 if sideways > 0.0 else -1.0)
    if pressed:
        sideways = 0.0
    agents.offset[a] += sideways * dt
    return np.arctan2(sideways, max(agents.speed[a], 1.0))


@kernel
def _place(lanes: Lanes, agents: Agents, a: int, turned: float) -> None:
    x, y, yaw = lane_pose(lanes, agents.lane[a], agents.s[a])
    agents.pose[a, 0] = x - agents.offset[a] * np.sin(yaw)
    agents.pose[a, 1] = y + agents.offset[a] * np.cos(yaw)
    agents.pose[a, 2] = yaw + np.pi - turned if agents.backward[a] else yaw + turned


@kernel
def move(lanes: Lanes, agents: Agents, a: int, dt: float) -> None:
    """Carry out one agent's acceleration."""
    accel = max(agents.accel[a], -HARD_DECEL_MPS2)
    speed = max(agents.speed[a] + accel * dt, 0.0)
    driven = (agents.speed[a] + speed) / 2 * dt
    agents.speed[a] = speed
    if agents.lane[a] < 0:
        agents.pose[a, 0] += driven * np.cos(agents.pose[a, 2])
        agents.pose[a, 1] += driven * np.sin(agents.pose[a, 2])
        return
    if agents.backward[a]:
        agents.s[a] -= driven
        if agents.s[a] < 0.0:
            agents.mode[a], agents.lane[a] = ABSENT, -1
            return
    else:
        agents.s[a] += driven
        while agents.s[a] > lanes.length[agents.lane[a]]:
            _next_lane(lanes, agents, a)
    _place(lanes, agents, a, _steer(lanes, agents, a, dt))


@kernel
def light_lamps(lanes: Lanes, agents: Agents, a: int) -> None:
    """Brake lights, indicators, siren."""
    lamps = 0
    if agents.kind[a] < FIRST_WALKER:
        if agents.accel[a] < -0.8 or agents.speed[a] < 0.1:
            lamps |= BRAKING
        lane, following = agents.lane[a], agents.next_lane[a]
        if lane >= 0 and following >= 0:
            turn = lanes.turn[lane] if lanes.source[lane] >= 0 else (lanes.turn[following] if line_gap(lanes, agents, a) < BLINK_BEFORE_M else 0)
            if turn > 0 or agents.goal[a] - agents.offset[a] > 0.8:
                lamps |= LEFT_BLINK
            elif turn < 0 or agents.goal[a] - agents.offset[a] < -0.8:
                lamps |= RIGHT_BLINK
        if agents.kind[a] == EMERGENCY:
            lamps |= SIREN
    agents.lamps[a] = lamps


@kernel
def _nearest_policy(agents: Agents, a: int, num_egos: int, ego: Array) -> None:
    best = 1e18
    for m in range(num_egos):
        if agents.mode[m] == POLICY:
            d = (agents.pose[m, 0] - agents.pose[a, 0]) ** 2 + (agents.pose[m, 1] - agents.pose[a, 1]) ** 2
            if d < best:
                best = d
                ego[0], ego[1], ego[2], ego[3] = agents.pose[m, 0], agents.pose[m, 1], agents.pose[m, 2], agents.speed[m]


@kernel
def advance_traffic(moves: bool, clock: int, num_egos: int, bank: Bank, agents: Agents, lists: Lists, ego: Array) -> None:
    """Right of way and, unless this is a reset, motion in one environment; `ego` is scratch, [4]."""
    lanes, num = bank.lanes, len(agents.mode)
    if moves:
        for a in range(num_egos, num):
            if agents.act[a] > 0:
                _nearest_policy(agents, a, num_egos, ego)
                play(lanes, agents, a, ego, clock)
    enlist(agents, lists)
    grant(lanes, agents, lists, bank.signals, clock)
    if moves:
        for a in range(num):
            if agents.mode[a] == LANE:
                drive_agent(lanes, agents, lists, a)
    dismiss(agents, lists)
    if not moves:
        return
    for a in range(num):
        if agents.mode[a] == LANE:
            move(lanes, agents, a, DT_S)
            light_lamps(lanes, agents, a)


@kernel
def change_lanes(clock: int, lanes: Lanes, agents: Agents, lists: Lists) -> None:
    """Lane changes of one environment, one agent after the other so that no two take the same gap."""
    for a in range(len(agents.mode)):
        lane = agents.lane[a]
        due = agents.mode[a] == LANE and lane >= 0 and agents.kind[a] < FIRST_WALKER and (clock + 7 * a) % 10 == 0
        if due and lanes.kind[lane] != WALK and not agents.backward[a] and (lanes.left[lane] >= 0 or lanes.right[lane] >= 0):
            enlist(agents, lists)
            before = agents.lane[a]
            # the lists are emptied as they were filled: by the lane that the agent was on
            change_lane(lanes, agents, lists, a, clock, draw(agents, a))
            after, agents.lane[a] = agents.lane[a], before
            dismiss(agents, lists)
            agents.lane[a] = after

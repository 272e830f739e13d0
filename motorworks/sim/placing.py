"""Where the policies' bodies are among the agents: on which lane, before which line, and which line they have just crossed. Scalar kernels."""

import numpy as np

from motorworks.datatypes.scene import RED, STOP_SIGN
from motorworks.geometry.array import Array
from motorworks.geometry.kernel import kernel
from motorworks.sim.agents import ABSENT, Agents
from motorworks.sim.bank import Bank
from motorworks.sim.facts import Facts
from motorworks.sim.lanes import ALL_STOP, LIGHT, STOP, Lanes
from motorworks.sim.route import CONNECTOR, ENTRY, LANE_S
from motorworks.sim.route import LANE as LANE_ID
from motorworks.sim.rules import Lists, dismiss, enlist, light_at, why_not
from motorworks.sim.sensing import CENTRE_M, FRONT_M, project

ON_LANE_M = 2.2
GRANT_PATIENCE_S = 4.0


@kernel
def _place_ego(b: int, me: int, pose: Array, speed: float, accel: float, route: Array, num: int, lanes: Lanes, agents: Agents, facts: Facts) -> None:
    """Project the body on its route and enter it among the agents."""
    s, lateral = facts.progress[b], facts.lateral[b]
    c, sn = np.cos(pose[2]), np.sin(pose[2])
    agents.pose[me, 0], agents.pose[me, 1], agents.pose[me, 2] = pose[0] + CENTRE_M * c, pose[1] + CENTRE_M * sn, pose[2]
    agents.speed[me], agents.accel[me], agents.offset[me], agents.goal[me] = speed, accel, lateral, lateral
    centre = min(max(int(s + CENTRE_M), 0), num - 2)
    i = min(max(int(s), 0), num - 2)
    lane, connector = int(route[centre, LANE_ID]), int(route[i, CONNECTOR])
    agents.lane[me] = lane if abs(lateral) < ON_LANE_M else -1
    agents.s[me] = route[centre, LANE_S] + (s + CENTRE_M - centre)
    following = connector if connector >= 0 and lanes.source[connector] == lane else lanes.next[lane, 0]
    if following != agents.next_lane[me]:
        agents.next_lane[me], agents.arrival[me], agents.stopped[me] = following, -1, False
        facts.waited[b] = 0.0


@kernel
def place_egos(
    e: int, moves: bool, dt: float, num_egos: int, pose: Array, speed: Array, accel: Array, routes: Array, num_points: Array, lanes: Lanes,
    agents: Agents, facts: Facts,
) -> None:  # fmt: skip
    """Before traffic decides: where the bodies of environment `e` are on their routes, and which line they crossed."""
    for m in range(num_egos):
        b = e * num_egos + m
        if agents.mode[m] == ABSENT:
            continue
        route, num = routes[b], num_points[b]
        at, around = int(facts.progress[b]), 3 if moves else 0
        facts.progress[b], facts.lateral[b] = project(route, num, pose[b, 0], pose[b, 1], at - around, at + 4 + around)
        gap_before, connector_before = facts.junction_gap[b], int(route[min(max(at, 0), num - 2), CONNECTOR])
        _place_ego(b, m, pose[b], speed[b], accel[b], route, num, lanes, agents, facts)
        s = facts.progress[b]
        i = min(max(int(s), 0), num - 2)
        connector = int(route[i, CONNECTOR])
        facts.junction_gap[b] = max(route[i, ENTRY] - (s + FRONT_M), 0.0)
        inside = connector >= 0 and facts.junction_gap[b] <= 0.0
        facts.entering[b] = moves and inside and connector == connector_before and gap_before > 0.0
        if inside and not facts.entering[b] and agents.hold[m] != connector:
            agents.hold[m] = connector
        elif not inside and connector >= 0 and agents.hold[m] == connector and speed[b] < 0.3:
            # who has the right of way and does not use it loses it
            facts.waited[b] += dt
            if facts.waited[b] > GRANT_PATIENCE_S:
                agents.hold[m], facts.waited[b] = -1, 0.0
        elif not inside and agents.hold[m] >= 0 and agents.hold[m] != connector:
            agents.hold[m] = -1


@kernel
def judge_entries(e: int, clock: int, num_egos: int, bank: Bank, agents: Agents, lists: Lists, facts: Facts) -> None:
    """Who crossed a line in this step: at a red light, past a stop sign, before others' right of way? From then on it holds its connector."""
    lanes = bank.lanes
    for m in range(num_egos):
        b = e * num_egos + m
        facts.red_light[b] = facts.stop_sign[b] = facts.gave_no_way[b] = False
        if agents.mode[m] == ABSENT or not facts.entering[b]:
            continue
        connector = agents.next_lane[m]
        lane = agents.lane[m]
        if lane >= 0 and lanes.source[lane] >= 0:
            connector = lane
        if lanes.junction[connector] < 0:
            continue
        control = lanes.control[connector]
        facts.red_light[b] = control == LIGHT and light_at(bank.signals, lanes.signal[connector], clock) == RED
        if agents.hold[m] != connector:
            facts.stop_sign[b] = control in (STOP, ALL_STOP) and not agents.stopped[m]
            agents.stopped[m] = True  # that is settled; what about the others?
            enlist(agents, lists)
            cause = why_not(lanes, agents, lists, bank.signals, m, connector, 0.1, clock)
            dismiss(agents, lists)
            facts.gave_no_way[b] = cause > STOP_SIGN and not facts.red_light[b]
        agents.hold[m] = connector

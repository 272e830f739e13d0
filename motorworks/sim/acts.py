"""Staged acts: what a scenario's agent does when its cue comes. Scalar kernels."""

import numpy as np

from motorworks.geometry.array import Array
from motorworks.geometry.kernel import kernel
from motorworks.sim.agents import AT_STEP, EGO_WITHIN_M, EGO_WITHIN_S, LANE, NO_CUE, SHIFT, START, STATIC, Agents
from motorworks.sim.lanes import LANE_WIDTH_M, Lanes
from motorworks.sim.passing import lane_pose


@kernel
def switch_lane(lanes: Lanes, agents: Agents, a: int, target: int, draw: int) -> None:
    """Belong to the lane beside from now on, and move over to its centre."""
    lane = agents.lane[a]
    agents.offset[a] += -LANE_WIDTH_M if target == lanes.left[lane] else LANE_WIDTH_M
    agents.s[a] *= lanes.length[target] / lanes.length[lane]
    agents.goal[a], agents.lane[a] = 0.0, target
    agents.next_lane[a] = lanes.next[target, draw % lanes.num_next[target]]
    agents.arrival[a], agents.stopped[a] = -1, False


@kernel
def _turn_back(lanes: Lanes, agents: Agents, a: int) -> None:
    """Whoever drives a lane against its direction belongs to the one beside it that goes its way from now on, and moves over to its centre."""
    lane, other = agents.lane[a], lanes.opposite[agents.lane[a]]
    s = lanes.length[other] * (1.0 - agents.s[a] / lanes.length[lane])
    x, y, yaw = lane_pose(lanes, other, s)
    agents.offset[a] = np.cos(yaw) * (agents.pose[a, 1] - y) - np.sin(yaw) * (agents.pose[a, 0] - x)
    agents.goal[a], agents.lane[a], agents.s[a], agents.backward[a] = 0.0, other, s, False
    agents.next_lane[a] = lanes.next[other, 0]
    agents.arrival[a], agents.stopped[a] = -1, False


@kernel
def cued(agents: Agents, a: int, ego: Array, clock: int) -> bool:
    """Whether a staged act begins: `ego` is x, y, yaw, speed of the nearest policy's body."""
    cue, value = agents.cue[a], agents.cue_value[a]
    if cue == AT_STEP:
        return clock >= value
    lon = np.cos(ego[2]) * (agents.pose[a, 0] - ego[0]) + np.sin(ego[2]) * (agents.pose[a, 1] - ego[1])
    distance = np.hypot(agents.pose[a, 0] - ego[0], agents.pose[a, 1] - ego[1])
    if cue == EGO_WITHIN_M:
        return distance < value
    if cue == EGO_WITHIN_S:
        return lon > 0.0 and distance < value * max(ego[3], 1.0)
    return False


@kernel
def play(lanes: Lanes, agents: Agents, a: int, ego: Array, clock: int) -> None:
    """Start a staged act when its cue comes, and count it down."""
    if agents.act_steps[a] > 0 and agents.cue[a] == NO_CUE:
        agents.act_steps[a] -= 1
        if agents.act[a] == SHIFT and agents.act_steps[a] == 0:
            agents.goal[a] = 0.0
        return
    if agents.cue[a] == NO_CUE or not cued(agents, a, ego, clock):
        return
    agents.cue[a] = NO_CUE
    act, value = agents.act[a], agents.act_value[a]
    if act == START:
        if agents.mode[a] == STATIC:
            agents.mode[a] = LANE
        if agents.lane[a] >= 0:
            agents.next_lane[a] = agents.next_lane[a] if agents.next_lane[a] >= 0 else lanes.next[agents.lane[a], 0]
            agents.eagerness[a] = value
            agents.goal[a] = 0.0
        else:
            agents.speed[a] = value
    elif act == SHIFT:
        lane = agents.lane[a]
        beside = -1
        if lane >= 0 and not agents.backward[a] and abs(value) > LANE_WIDTH_M / 2:
            beside = lanes.left[lane] if value > 0 else lanes.right[lane]
        if lane >= 0 and agents.backward[a] and lanes.opposite[lane] >= 0:
            _turn_back(lanes, agents, a)
            agents.act_steps[a] = 0
        elif beside >= 0:
            switch_lane(lanes, agents, a, beside, 0)
            agents.act_steps[a] = 0
        else:
            agents.goal[a] = value

"""How agents choose speed and place: the intelligent driver model along lanes, lane changes, passing, making way; walkers; staged acts.

IDM: Treiber, Hennecke, Helbing 2000, https://arxiv.org/abs/cond-mat/0002177. Lane changes follow the idea of MOBIL (Kesting, Treiber,
Helbing 2007): change where one's own gain is worth it and the follower there need not brake hard.
"""

import math

from motorworks.datatypes.agent import CYCLIST, EMERGENCY, FIRST_WALKER
from motorworks.geometry.kernel import kernel
from motorworks.sim.acts import switch_lane
from motorworks.sim.agents import BRAKE, LANE, NO_CUE, SHIFT, STATIC, Agents
from motorworks.sim.lanes import WALK, Lanes
from motorworks.sim.passing import COMFORT_DECEL_MPS2, FAR_M, MAX_ACCEL_MPS2, STAND_OFF_M, along, blocked_accel, find_lead, idm_accel, way_round
from motorworks.sim.rules import BLIND_TO_OTHERS, KEEPS_LANE, WALK_MPS, Lists, line_gap

PASS_OFFSET_M, PASS_FASTER_MPS = 0.55, 4.0  # beside a cyclist in one's own lane
MAKE_WAY_OFFSET_M, SIREN_REACH_M = -1.3, 45.0
BEND_DECEL_MPS2 = 1.3
ROUND_MPS = 4.0  # past what stands in the lane


@kernel
def _desired_mps(lanes: Lanes, agents: Agents, a: int) -> float:
    """The limit and the bends ahead, within gentle braking."""
    lane, s, following = agents.lane[a], agents.s[a], agents.next_lane[a]
    desired = FAR_M
    for k in range(8):
        d = 5.0 * k
        if d > 8.0 + agents.speed[a] ** 2 / (2.0 * BEND_DECEL_MPS2):
            break
        at_lane, at = lane, s + d
        if at > lanes.length[at_lane]:
            at -= lanes.length[at_lane]
            at_lane = following
            if at_lane < 0 or at > lanes.length[at_lane]:
                break
        i = min(max(int(at / lanes.step[at_lane]), 0), lanes.num_points[at_lane] - 1)
        slow = lanes.points[lanes.first[at_lane] + i, 4] * agents.eagerness[a]
        desired = min(desired, math.sqrt(slow * slow + 2.0 * BEND_DECEL_MPS2 * d))
    return desired


@kernel
def _siren_behind(lanes: Lanes, agents: Agents, lists: Lists, a: int) -> bool:
    """Whether an emergency vehicle comes up behind on the same lane or from the lane before."""
    for b in range(len(agents.mode)):
        if agents.mode[b] == LANE and agents.kind[b] == EMERGENCY and agents.speed[b] > 1.0 and b != a:
            if agents.lane[b] == agents.lane[a]:
                ahead = agents.s[a] - agents.s[b]
                if 0.0 < ahead < SIREN_REACH_M:
                    return True
            elif agents.next_lane[b] == agents.lane[a] and lanes.length[agents.lane[b]] - agents.s[b] + agents.s[a] < SIREN_REACH_M:
                return True
    return False


@kernel
def _place_goal(lanes: Lanes, agents: Agents, a: int, lead: int, gap: float, siren: bool) -> None:
    """Where in its lane a driver wants to be."""
    if agents.act_steps[a] > 0 and agents.act[a] == SHIFT:
        return
    round_it = 0.0
    if lanes.source[agents.lane[a]] < 0:
        round_it = way_round(lanes, agents, a, 4.0 if agents.kind[a] == EMERGENCY else -1.0)
    agents.goal[a] = round_it
    if round_it != 0.0:
        return
    if agents.kind[a] == CYCLIST:
        agents.goal[a] = -1.15 if lanes.source[agents.lane[a]] < 0 and line_gap(lanes, agents, a) > 8.0 else -0.4
    elif agents.kind[a] == EMERGENCY:
        agents.goal[a] = 1.0 if lead >= 0 and gap < 30.0 else 0.2
    elif siren and lanes.source[agents.lane[a]] < 0:
        agents.goal[a] = MAKE_WAY_OFFSET_M
    elif (
        lead >= 0 and agents.kind[lead] == CYCLIST and gap < 25.0 and agents.width[a] < 2.1 and lanes.source[agents.lane[a]] < 0
    ) or _beside_cyclist(agents, a):
        agents.goal[a] = PASS_OFFSET_M


@kernel
def _beside_cyclist(agents: Agents, a: int) -> bool:
    """Whether a cyclist is right beside: stay out until it is passed."""
    for b in range(len(agents.mode)):
        rides = agents.mode[b] == LANE and agents.kind[b] == CYCLIST and agents.lane[b] == agents.lane[a] and b != a
        if rides and abs(agents.s[b] - agents.s[a]) < 7.0 and agents.offset[a] > 0.2:
            return True
    return False


@kernel
def choose_accel(lanes: Lanes, agents: Agents, lists: Lists, a: int) -> float:
    """A driver's acceleration for this step."""
    speed, lane, following = agents.speed[a], agents.lane[a], agents.next_lane[a]
    desired = _desired_mps(lanes, agents, a)
    lead, gap = find_lead(lanes, agents, lists, a, 12.0 + 4.0 * speed)
    siren = agents.kind[a] != EMERGENCY and _siren_behind(lanes, agents, lists, a)
    _place_goal(lanes, agents, a, lead, gap, siren)
    if siren:
        desired = min(desired, 2.5)
    if agents.offset[a] > 0.3 and agents.goal[a] == PASS_OFFSET_M:
        desired = min(desired, 5.0 + PASS_FASTER_MPS)
    if abs(agents.goal[a]) > 1.0 and agents.kind[a] != EMERGENCY:
        desired = min(desired, ROUND_MPS)
    accel = MAX_ACCEL_MPS2 * (1.0 - (speed / max(desired, 0.5)) ** 4)
    accel = max(accel, -COMFORT_DECEL_MPS2)
    if lead >= 0:
        # room to pull out again behind what stands
        behind = STAND_OFF_M if agents.mode[lead] == STATIC and agents.goal[a] == 0.0 else 0.0
        accel = min(accel, idm_accel(speed, desired, gap - behind, along(agents, lead), agents.headway[a]))
    if agents.blind[a] & BLIND_TO_OTHERS == 0:
        accel = blocked_accel(lanes, agents, a, accel)
    if following >= 0 and lanes.junction[following] >= 0 and agents.hold[a] != following and lanes.source[lane] < 0:
        line = line_gap(lanes, agents, a)
        if line > -1.0:
            accel = min(accel, idm_accel(speed, desired, line + 1.0, 0.0, 0.3))
    return accel


@kernel
def walker_speed(lanes: Lanes, agents: Agents, a: int) -> float:
    """People walk, and stand at the kerb until they may cross."""
    wish = WALK_MPS * agents.eagerness[a]
    following = agents.next_lane[a]
    if following >= 0 and lanes.junction[following] >= 0 and agents.hold[a] != following and line_gap(lanes, agents, a) < 0.4:
        return 0.0
    return wish


@kernel
def change_lane(lanes: Lanes, agents: Agents, lists: Lists, a: int, clock: int, draw: int) -> None:
    """Overtake by the left, or move back to the right, once a second at most, where the gaps allow it."""
    lane = agents.lane[a]
    if (clock + 7 * a) % 10 != 0 or agents.blind[a] & KEEPS_LANE or agents.hold[a] >= 0 or lanes.source[lane] >= 0 or abs(agents.offset[a]) > 0.3:
        return
    if agents.s[a] < 10.0 or line_gap(lanes, agents, a) < 30.0 or agents.speed[a] < 3.0:
        return
    lead, gap = find_lead(lanes, agents, lists, a, 50.0)
    held_up = lead >= 0 and gap < 6.0 + 2.0 * agents.speed[a] and agents.speed[lead] < 0.85 * _desired_mps(lanes, agents, a)
    target = lanes.left[lane] if held_up else (lanes.right[lane] if draw % 8 == 0 and lead < 0 else -1)
    if held_up and target < 0:
        target = lanes.right[lane]
    if target < 0:
        return
    s = agents.s[a] * lanes.length[target] / lanes.length[lane]
    b = lists.head[target]
    while b >= 0:
        room = abs(agents.s[b] - s) - (agents.length[a] + agents.length[b]) / 2
        closing = agents.speed[b] - agents.speed[a] if agents.s[b] < s else agents.speed[a] - agents.speed[b]
        if room < 3.0 + max(closing, 0.0) * 3.0 + 0.3 * agents.speed[a]:
            return
        b = lists.after[b]
    switch_lane(lanes, agents, a, target, draw)


@kernel
def drive_agent(lanes: Lanes, agents: Agents, lists: Lists, a: int) -> None:
    """Set the acceleration (walkers: the speed) of one agent that moves along lanes."""
    if agents.lane[a] < 0:
        agents.accel[a] = 0.0  # a straight mover keeps its speed
    elif agents.kind[a] >= FIRST_WALKER or lanes.kind[agents.lane[a]] == WALK:
        agents.accel[a] = (walker_speed(lanes, agents, a) - agents.speed[a]) / 0.3
    elif agents.backward[a]:
        agents.accel[a] = min(MAX_ACCEL_MPS2 * (1.0 - (agents.speed[a] / max(_desired_mps(lanes, agents, a), 0.5)) ** 4), 1.0)
    else:
        agents.accel[a] = choose_accel(lanes, agents, lists, a)
    if agents.act[a] == BRAKE and agents.cue[a] == NO_CUE and agents.act_steps[a] > 0:
        agents.accel[a] = min(agents.accel[a], -agents.act_value[a])

"""The privileged planner: proposals over lateral offsets and speeds, simulated, scored; the best one is driven.

After PDM (Dauner et al. 2023, https://arxiv.org/abs/2306.07962): an IDM driver's proposals are tried out against a forecast of everybody
else. Scalar kernels; a plan of one scene takes no memory of its own and knows nothing of the plan before.
"""

import numpy as np

from motorworks.datatypes.trajectory import DT_S
from motorworks.geometry.array import Array
from motorworks.geometry.kernel import kernel
from motorworks.policy.lane_plan import (
    BEND_DECEL_MPS2,
    MAX_ACCEL_MPS2,
    SPEED_GAIN_PER_S,
    STANDSTILL_GAP_M,
    reach_gently,
    speed_profile_of,
    value_at,
)
from motorworks.policy.manoeuvres import MAX_OFFSETS, find_leads, foresee_shift, list_offsets, pass_is_free, passable, pulls_over
from motorworks.policy.proposal import FULL_DECEL_MPS2, simulate, write_proposal
from motorworks.policy.surroundings import (
    ALONG,
    FAR_AWAY,
    FRONT_M,
    HALF_ALONG,
    HALF_LEFT,
    HALF_WIDTH_M,
    KIND,
    LEFT,
    NUM_SIM,
    SIM_DT_S,
    SPEED_ALONG,
    USE,
    SceneArrays,
    Scratch,
    lay_road,
    look_around,
    take_care,
)

# what a plan says of itself, columns of `choice`
TARGET, OFFSET, FRAC, STOP, LEAD, LEAD_GAP, LEAD_SPEED, BLOCKER, CARE, THREAT, SIREN, COST = range(12)
NUM_CHOICE = 12
FRACS = np.array([1.0, 0.7, 0.4, 0.15, -2.5, -FULL_DECEL_MPS2])  # of the speed profile; negative: braking, m/s2
NUM_SHIFTED = 4  # so many of them are tried with an offset as well; and the last
STOP_BEFORE_LINE_M, STOP_AT_LEAST_M = 1.0, 0.3
MAX_LINE_DECEL_MPS2 = 5.0  # harder than this it stops nearer to the line, and beyond the next it no longer stops for it
HARDEST_LINE_DECEL_MPS2 = 6.5
PROGRESS_COST, LANE_COST_PER_M, ONCOMING_COST, KEEP_COST_PER_M, NOT_FREE_COST, LINE_COST = 10.0, 0.5, 1.0, 0.25, 40.0, 60.0
GOOD_ENOUGH = 0.25  # less than any shift or slower drive could cost
LEAST_PROGRESS_M = 5.0


@kernel
def line_to_stop_at(stop_gap: float, v: float) -> float:
    """Metres to where the front bumper should come to rest; 1e9 where it need not, or no longer can."""
    if not stop_gap < 1e3:
        return 1e9
    for before, decel in ((STOP_BEFORE_LINE_M, MAX_LINE_DECEL_MPS2), (STOP_AT_LEAST_M, HARDEST_LINE_DECEL_MPS2)):
        room = max(stop_gap - before, 0.05)
        if v * v / (2.0 * room) < decel:
            return room
    return 1e9


@kernel
def _reference(v: float, stop: float, line: float, scratch: Scratch) -> float:
    """Metres that a driver alone with the bends, the line and who cannot be passed would make in the horizon."""
    s, u = 0.0, v
    for _ in range(NUM_SIM):
        u += min(max(SPEED_GAIN_PER_S * (value_at(scratch.profile, s + u * SIM_DT_S) - u), -3.5), MAX_ACCEL_MPS2) * SIM_DT_S
        s += u * SIM_DT_S
    s = min(s, stop)
    for a in range(len(scratch.around)):
        row = scratch.around[a]
        if row[USE] != FAR_AWAY and row[ALONG] > FRONT_M and abs(row[LEFT]) < HALF_WIDTH_M + row[HALF_LEFT] and not passable(scratch.around, a, line):
            gap = row[ALONG] - row[HALF_ALONG] - FRONT_M
            s = min(s, gap + max(row[SPEED_ALONG], 0.0) * NUM_SIM * SIM_DT_S - STANDSTILL_GAP_M - 0.8 * row[SPEED_ALONG])
    return max(s, LEAST_PROGRESS_M)


@kernel
def plan_one(
    b: int, scene: SceneArrays, fracs: Array, offsets: Array, rooms: Array, scratch: Scratch, choice: Array, accel: Array, curved: Array
) -> None:
    """The best proposal of scene b, driven for the whole length of `accel`."""
    start, curvature, agents, limit = scene.start[b], scene.curvature[b], scene.agents[b], scene.limit[b]
    v = start[2]
    rooms[0], rooms[1], rooms[2] = scene.left_room[b], scene.left_own[b], scene.right_room[b]
    lay_road(scene.path[b], scene.remaining[b], start[1], scratch.road)
    look_around(agents, scene.valid[b], curvature, scratch)
    speed_profile_of(curvature, limit, scratch.profile)
    choice[CARE] = take_care(scratch.around, start, rooms[0], rooms[2], scratch.profile)
    reach_gently(scratch.profile, BEND_DECEL_MPS2)
    line = scene.junction_gap[b] + FRONT_M
    stop = line_to_stop_at(scene.stop_gap[b], v)
    num_offsets, blocker, ends = list_offsets(scratch.around, start, line, rooms, offsets)
    over, over_offset, cap = pulls_over(scratch.around, scene.siren_gap[b], scene.junction_gap[b], start, rooms)
    if over:
        num_offsets = max(num_offsets, 2)
        offsets[1], offsets[0] = 0.0, over_offset
    free = _reference(v, stop, line, scratch)
    best, best_frac, best_offset, threat = 1e18, 0.0, 0.0, -1
    for i in range(num_offsets):
        offset = offsets[i]
        foresee_shift(start[0], start[1], v, scene.kappa[b] - curvature[0], offset, scratch.shift)
        num = find_leads(scratch.around, scratch.shift, v, offset, line, scene.lead_gap[b], scene.lead_speed[b], rooms, scratch.leads)
        wish = offset - over_offset if over else offset
        fixed = LANE_COST_PER_M * abs(wish) + KEEP_COST_PER_M * abs(offset - start[0])
        if offset + HALF_WIDTH_M > rooms[1] + 0.15:
            fixed += ONCOMING_COST
        if not pass_is_free(scratch.around, start, offset, blocker, ends, limit, rooms[1]):
            fixed += NOT_FREE_COST
        for j in range(len(fracs)):
            if i > 0 and NUM_SHIFTED <= j < len(fracs) - 1:
                continue
            if fixed >= best:
                break
            made, cost, hit = simulate(start, scene.kappa[b], curvature, fracs[j], offset, cap, num, stop, agents, scratch)
            if i == 0 and j == 0:
                threat = int(scratch.around[hit, KIND]) if hit >= 0 else -1
            cost += fixed + PROGRESS_COST * max(1.0 - made / free, 0.0)
            if fracs[j] < 1.0:
                cost += 0.2  # among equals the plain one
            if made > stop + STOP_BEFORE_LINE_M:
                cost += LINE_COST
            if cost < best:
                best, best_frac, best_offset = cost, fracs[j], offset
            if best < GOOD_ENOUGH:
                break
        if best < GOOD_ENOUGH:
            break
    foresee_shift(start[0], start[1], v, scene.kappa[b] - curvature[0], best_offset, scratch.shift)
    num = find_leads(scratch.around, scratch.shift, v, best_offset, line, scene.lead_gap[b], scene.lead_speed[b], rooms, scratch.leads)
    write_proposal(start, curvature, best_frac, best_offset, cap, num, stop, scratch, accel, curved, DT_S)
    _tell(best_frac, best_offset, best, cap, stop, num, blocker, threat, over, limit, scratch, choice)


@kernel
def _tell(
    frac: float, offset: float, cost: float, cap: float, stop: float, num: int, blocker: int, threat: int, over: bool, limit: float, scratch: Scratch,
    choice: Array,
) -> None:  # fmt: skip
    choice[TARGET] = 0.0 if frac < 0.0 else min(cap, frac * limit)
    choice[OFFSET], choice[FRAC], choice[STOP], choice[COST] = offset, frac, stop, cost
    choice[LEAD], choice[LEAD_GAP], choice[LEAD_SPEED] = -1.0, 1e9, 0.0
    for i in range(num):
        if scratch.leads[i, 0] < choice[LEAD_GAP]:
            choice[LEAD_GAP], choice[LEAD_SPEED] = scratch.leads[i, 0], scratch.leads[i, 1]
            a = int(scratch.leads[i, 2])
            choice[LEAD] = scratch.around[a, KIND] if a >= 0 else 0.0
    choice[BLOCKER] = scratch.around[blocker, KIND] if blocker >= 0 else -1.0
    choice[THREAT], choice[SIREN] = threat, 1.0 if over else 0.0


@kernel
def plan_all(scene: SceneArrays, fracs: Array, offsets: Array, rooms: Array, scratch: Scratch, choice: Array, accel: Array, curved: Array) -> None:
    """One plan per scene, one after the other: each depends on its own scene only."""
    for b in range(len(accel)):
        plan_one(b, scene, fracs, offsets, rooms, scratch, choice[b], accel[b], curved[b])


def empty_offsets() -> Array:
    """Room for the offsets of one plan."""
    return np.zeros(MAX_OFFSETS)

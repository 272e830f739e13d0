"""One step of one environment, whoever runs it: a thread of the CPU that has a share of the environments, or a thread of a GPU that has one."""

from typing import NamedTuple

from motorworks.datatypes.trajectory import DT_S
from motorworks.geometry.array import Array
from motorworks.geometry.kernel import kernel
from motorworks.sim.agents import Agents
from motorworks.sim.bank import MAX_LANES, Bank
from motorworks.sim.facts import Facts
from motorworks.sim.placing import judge_entries, place_egos
from motorworks.sim.rules import Lists
from motorworks.sim.sensing import sense
from motorworks.sim.traffic import advance_traffic, change_lanes


class TownArrays(NamedTuple):
    """All that a step reads and writes, but for its scratch."""

    slots: Array  # [env] of the bank
    clock: Array  # [env] in steps
    pose: Array  # [ego, 3] of the rig (rear axle), as the body left it; so are the next two
    speed: Array
    accel: Array
    routes: Array  # [ego, point, column], see route.COLUMNS
    num_points: Array  # [ego]
    bank: Bank
    agents: Agents
    facts: Facts


@kernel
def agents_of(g: Agents, e: int) -> Agents:
    """The agents of one environment, as views."""
    return Agents(
        g.mode[e], g.kind[e], g.pose[e], g.speed[e], g.accel[e], g.length[e], g.width[e], g.height[e], g.shade[e], g.lamps[e], g.lane[e], g.s[e],
        g.offset[e], g.goal[e], g.backward[e], g.next_lane[e], g.hold[e], g.arrival[e], g.stopped[e], g.rng[e], g.eagerness[e], g.headway[e],
        g.gap[e], g.blind[e], g.cue[e], g.cue_value[e], g.act[e], g.act_value[e], g.act_steps[e],
    )  # fmt: skip


@kernel
def advance_env(e: int, moves: bool, num_egos: int, town: TownArrays, lists: Lists, ego: Array) -> None:
    """Place the bodies, judge them, move the traffic, sense; `moves` is false for a reset. `lists` (all empty) and `ego` [4] are scratch."""
    bank, facts, clock, agents = town.bank, town.facts, town.clock[e], agents_of(town.agents, e)
    place_egos(e, moves, DT_S, num_egos, town.pose, town.speed, town.accel, town.routes, town.num_points, bank.lanes, agents, facts)
    if moves:
        judge_entries(e, clock, num_egos, bank, agents, lists, facts)
    advance_traffic(moves, clock, num_egos, bank, agents, lists, ego)
    if moves:
        change_lanes(clock, bank.lanes, agents, lists)
    heading = bank.heading[town.slots[e]]
    sense(e, clock, DT_S, num_egos, town.pose, town.speed, heading, town.routes, town.num_points, bank, agents, lists, facts)


@kernel
def advance_envs(part: int, start: int, stop: int, live: Array, moves: bool, num_egos: int, town: TownArrays, lists: Lists, egos: Array) -> None:
    """The live environments [start, stop), one after the other, with the scratch of thread `part`."""
    mine = Lists(lists.head[part], lists.tail[part], lists.after[part], lists.holders[part])
    for e in range(start, stop):
        if live[e]:
            advance_env(e, moves, num_egos, town, mine, egos[part])


@kernel
def advance_alone(e: int, moves: bool, num_egos: int, town: TownArrays, lists: Lists, egos: Array) -> None:
    """One environment of many that step at once. It needs the lists of its own map only, so its window on them starts where the bank's lane ids fit.

    `lists` hold one row of as many maps as the bank and the environments together, and for each environment a row of agents.
    """
    first = (town.bank.signals.shape[0] + e - town.slots[e]) * MAX_LANES
    mine = Lists(lists.head[0][first:], lists.tail[0][first:], lists.after[e], lists.holders[0][first:])
    advance_env(e, moves, num_egos, town, mine, egos[e])

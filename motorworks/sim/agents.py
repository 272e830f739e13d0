"""Everyone and everything on the road as arrays: `[agent]` for one scenario, `[env, agent]` in a world. Kernels move them in place."""

from typing import NamedTuple

import numpy as np

from motorworks.geometry.array import Array

MAX_AGENTS = 48  # slots; the first are the policies' own bodies
ABSENT, LANE, STATIC, POLICY = range(4)  # how an agent moves: not there, along lanes, not at all, or by a policy
BRAKING, LEFT_BLINK, RIGHT_BLINK, SIREN = 1, 2, 4, 8  # bits of `lamps`
NO_CUE, AT_STEP, EGO_WITHIN_M, EGO_WITHIN_S = range(4)  # when a staged act begins
NO_ACT, BRAKE, START, SHIFT = range(4)  # what it is


class Agents(NamedTuple):
    """Positions are of the box centre. `lane`, `next_lane`, `hold` are lane ids of the map bank, -1 for none."""

    mode: Array  # int8: ABSENT .. POLICY
    kind: Array  # int8: datatypes.agent
    pose: Array  # [..., 3] x, y, yaw
    speed: Array
    accel: Array
    length: Array
    width: Array
    height: Array
    shade: Array  # colour, 0..1
    lamps: Array  # uint8 bits
    lane: Array
    s: Array  # along the lane
    offset: Array  # left of the lane's centreline
    goal: Array  # the offset it is moving to
    backward: Array  # bool: drives its lane against the direction of traffic
    next_lane: Array
    hold: Array  # the connector this agent has the right to use
    arrival: Array  # step at which it came to its line; -1 before
    stopped: Array  # bool: it has stood at this line
    rng: Array  # uint64 state of its own stream
    eagerness: Array  # desired speed over the limit
    headway: Array  # s
    gap: Array  # s, what it accepts when it gives way
    blind: Array  # uint8 bits: 1 ignores lights and signs, 2 ignores whoever is in its way, 4 never changes lane
    cue: Array  # int8
    cue_value: Array
    act: Array  # int8
    act_value: Array
    act_steps: Array  # how long; counts down once the cue has come


def empty_agents(shape: tuple[int, ...]) -> Agents:
    """Nobody there."""

    def make(kind: type, fill: float = 0) -> Array:
        return np.full(shape, fill, kind)

    return Agents(
        mode=make(np.int8),
        kind=make(np.int8),
        pose=np.zeros((*shape, 3)),
        speed=make(np.float64),
        accel=make(np.float64),
        length=make(np.float64, 4.5),
        width=make(np.float64, 1.8),
        height=make(np.float64, 1.5),
        shade=make(np.float64),
        lamps=make(np.uint8),
        lane=make(np.int32, -1),
        s=make(np.float64),
        offset=make(np.float64),
        goal=make(np.float64),
        backward=make(np.bool_),
        next_lane=make(np.int32, -1),
        hold=make(np.int32, -1),
        arrival=make(np.int32, -1),
        stopped=make(np.bool_),
        rng=make(np.uint64, 1),
        eagerness=make(np.float64, 1.0),
        headway=make(np.float64, 1.5),
        gap=make(np.float64, 3.5),
        blind=make(np.uint8),
        cue=make(np.int8),
        cue_value=make(np.float64),
        act=make(np.int8),
        act_value=make(np.float64),
        act_steps=make(np.int32),
    )

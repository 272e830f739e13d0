"""Why the planner does what it does: its own choice and the scene, in words. The words follow from the plan, so they agree with it."""

import itertools

from motorworks.datatypes.agent import CHILD, CYCLIST, FIRST_OBJECT, FIRST_WALKER
from motorworks.datatypes.scene import CROSSING, GIVE_WAY, RED_LIGHT, STOP_SIGN, YELLOW
from motorworks.datatypes.thought import CAUSES, DECISIONS, Thought
from motorworks.datatypes.trajectory import DT_S
from motorworks.geometry.array import Array
from motorworks.geometry.kernel import kernel
from motorworks.policy.pdm import BLOCKER, CARE, LEAD, LEAD_GAP, LEAD_SPEED, OFFSET, SIREN, STOP, THREAT
from motorworks.policy.surroundings import SceneArrays

THOUGHTS = tuple(Thought(decision=decision, cause=cause) for decision, cause in itertools.product(DECISIONS, CAUSES))
NUM_CAUSES = len(CAUSES)
BEND_PER_M = 1.0 / 45.0  # tighter than this is worth a word
SPEED_CHANGE_MPS = 0.4  # within 1 s, to be called slowing down or speeding up
HARD_MPS2 = 4.2
SHIFT_M = 0.5  # to another offset, to be called passing
NOT_CHANGING, CHANGES_RIGHT, CHANGES_LEFT = 0, -1, 1  # what the route's instruction says of lanes


def _decision(word: str) -> int:
    return DECISIONS.index(word) * NUM_CAUSES


KEEP, FASTER, SLOWER, STOP_NOW, WAIT = (_decision(word) for word in ("keep going", "speed up", "slow down", "stop", "wait"))
TURN_LEFT, TURN_RIGHT = _decision("turn left"), _decision("turn right")
BEND_LEFT, BEND_RIGHT = _decision("follow the bend left"), _decision("follow the bend right")
PASS_LEFT, PASS_RIGHT = _decision("pass on the left"), _decision("pass on the right")
CHANGE_LEFT, CHANGE_RIGHT = _decision("change lane left"), _decision("change lane right")
PULL_OVER, BRAKE = _decision("pull over"), _decision("brake hard")
CLEAR, SLOW_LEAD, STANDING_LEAD, TAKEN = (CAUSES.index(word) for word in CAUSES[:4])
ROUTE_LEFT, ROUTE_RIGHT, ROAD_LEFT, ROAD_RIGHT = (CAUSES.index(word) for word in CAUSES[4:8])
HIGHER, BEND, JUNCTION = (CAUSES.index(word) for word in CAUSES[8:11])
RED, YELLOW_LIGHT, SIGN, OTHERS, PEOPLE, SOMEONE, CHILD_NEAR, CYCLE, BLOCKED, IN_WAY, SIREN_BEHIND, LANE, LOWER = range(12, NUM_CAUSES)


@kernel
def _cause_of_line(cause: int, light: int) -> int:
    if cause == RED_LIGHT:
        return YELLOW_LIGHT if light == YELLOW else RED
    if cause == STOP_SIGN:
        return SIGN
    if cause == GIVE_WAY:
        return OTHERS
    if cause == CROSSING:
        return PEOPLE
    return TAKEN


@kernel
def _cause_of_kind(kind: float) -> int:
    """Somebody in the way."""
    if kind >= FIRST_OBJECT:
        return BLOCKED
    if kind >= FIRST_WALKER:
        return PEOPLE
    if kind == CYCLIST:
        return CYCLE
    return IN_WAY


@kernel
def _hindrance(b: int, scene: SceneArrays, choice: Array) -> int:
    """The nearest of what holds us back: the line, somebody ahead, somebody near the road; -1 if nothing does."""
    v, limit = scene.start[b, 2], scene.limit[b]
    gap, lead, kind = choice[LEAD_GAP], choice[LEAD_SPEED], choice[LEAD]
    follows = gap < 5.0 + 2.5 * v and lead < max(0.9 * limit, v - 0.5)
    lines = choice[STOP] < 1e3 and choice[STOP] < 6.0 + v * v / 2.0
    if lines and not (follows and gap < choice[STOP]):
        return _cause_of_line(int(scene.stop_cause[b]), int(scene.light[b]))
    if follows:
        if kind >= CYCLIST:
            return _cause_of_kind(kind)
        if choice[BLOCKER] >= 0.0 and lead < 0.3:
            return BLOCKED
        return STANDING_LEAD if lead < 0.5 else SLOW_LEAD
    if choice[CARE] >= 0.0:
        return CHILD_NEAR if choice[CARE] == CHILD else SOMEONE
    return -1


@kernel
def _word(b: int, scene: SceneArrays, choice: Array, accel: Array, changes: int) -> int:
    """Index into THOUGHTS."""
    v, turn = scene.start[b, 2], int(scene.turn[b])
    speed_1s, speed_3s, u, least = v, v, v, 0.0
    for k in range(30):
        u = max(u + accel[k] * DT_S, 0.0)
        if k < 10:
            speed_1s, least = u, min(least, accel[k])
    speed_3s = u
    held = _hindrance(b, scene, choice)
    junction = scene.junction_gap[b]
    shift = choice[OFFSET] - scene.start[b, 0]
    if least < -HARD_MPS2 and v > 1.5 and speed_1s < v - 2.0:
        return BRAKE + (_cause_of_kind(choice[THREAT]) if choice[THREAT] >= 0.0 else held if held >= 0 else IN_WAY)
    if choice[SIREN] > 0.0:
        return PULL_OVER + SIREN_BEHIND
    if held >= 0 and v < 0.3 and speed_1s < 0.5:
        return WAIT + held
    if held >= 0 and speed_3s < 0.3 and v >= 0.3:
        return STOP_NOW + held
    if choice[BLOCKER] >= 0.0 and abs(shift) > SHIFT_M and abs(choice[OFFSET]) > SHIFT_M and speed_3s > 1.0:
        cause = CYCLE if choice[BLOCKER] == CYCLIST else BLOCKED
        return (PASS_LEFT if shift > 0.0 else PASS_RIGHT) + cause
    if changes != NOT_CHANGING and speed_3s > 1.0:
        return (CHANGE_LEFT if changes > 0 else CHANGE_RIGHT) + LANE
    if turn != 0 and junction < 1.0 and speed_1s > v - 1.0:
        return TURN_LEFT + ROUTE_LEFT if turn > 0 else TURN_RIGHT + ROUTE_RIGHT
    return _word_of_speed(b, scene, held, speed_1s, turn != 0 and junction < 40.0)


@kernel
def _word_of_speed(b: int, scene: SceneArrays, held: int, speed_1s: float, near_turn: bool) -> int:
    v, limit, curvature = scene.start[b, 2], scene.limit[b], scene.curvature[b]
    if speed_1s < v - SPEED_CHANGE_MPS:
        if held < 0:
            held = JUNCTION if near_turn else LOWER if v > limit + 0.5 else BEND
        return SLOWER + held
    if speed_1s > v + SPEED_CHANGE_MPS:
        return FASTER + (HIGHER if v > 0.75 * limit else CLEAR)
    bend = (curvature[0] + curvature[1] + curvature[2] + curvature[3]) / 4.0
    if abs(bend) > BEND_PER_M and v > 1.0:
        return BEND_LEFT + ROAD_LEFT if bend > 0.0 else BEND_RIGHT + ROAD_RIGHT
    if v < 1.0 and speed_1s < 1.0:
        return WAIT + (held if held >= 0 else JUNCTION if near_turn else CLEAR)
    return KEEP + (held if held >= 0 else CLEAR)


@kernel
def word_all(scene: SceneArrays, choice: Array, accel: Array, changes: Array, out: Array) -> None:
    """One index into THOUGHTS per scene."""
    for b in range(len(out)):
        out[b] = _word(b, scene, choice[b], accel[b], changes[b])

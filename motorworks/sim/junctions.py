"""Junctions of three and four arms: the ways through, who gives way to whom, lights, stop lines and signs."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float

from motorworks.geometry.array import Array
from motorworks.geometry.kernel import kernel
from motorworks.sim.codes import SIGN, SIGN_STOP, SIGN_YIELD, SIGNAL_HEAD, STOP_LINE, YIELD_LINE
from motorworks.sim.curves import Line, bezier, extend, length_of, shift
from motorworks.sim.lane_book import LaneBook, LaneRow
from motorworks.sim.lanes import ALL_STOP, FREE, LANE_WIDTH_M, LIGHT, STOP, WALK, YIELD
from motorworks.sim.roads import Arm, pose_on
from motorworks.sim.signals import Programme

CONFLICT_M = 2.6  # connectors whose centrelines come closer than this cannot be used at once
CROSS_M = 1.5  # ... and a crossing and a connector
MAX_CONNECTOR_CURVATURE_PER_M = 0.17
TURN_MPS = 9.0
SIGN_BEYOND_KERB_M = 0.55
STRAIGHT_RAD = 0.7  # a smaller change of direction is no turn


class TooTightError(Exception):
    """A way through cannot be steered."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """A connector and the arms it joins (indices into the node's arms)."""

    lane: int
    start: int
    end: int
    turn: int


@dataclass(frozen=True, kw_only=True)
class Furniture:
    """What stands and is painted at junctions, collected while a town is built."""

    stop_lines: list[Array] = field(default_factory=list)
    posts: list[Array] = field(default_factory=list)
    crosswalks: list[Array] = field(default_factory=list)
    outlines: list[Array] = field(default_factory=list)
    strokes: list[object] = field(default_factory=list)
    signals: list[tuple[int, int, int, int]] = field(default_factory=list)

    def stop_line(self, arm: Arm, kind: int) -> None:
        width = LANE_WIDTH_M * len(arm.arriving)
        pose = arm.at(0.0, width / 2)
        self.stop_lines.append(np.array([*pose, width, kind]))

    def sign(self, arm: Arm, kind: int, back_m: float = -0.3, value: float = 0.0) -> None:
        """Right of those who arrive, `back_m` before the stop line."""
        pose = arm.at(-back_m, 0.0)
        if arm.approach is not None and back_m > 0:
            pose = pose_on(arm.approach, length_of(arm.approach) - back_m)
        self.sign_at(pose, arm.in_half_m, kind, value)

    def sign_at(self, pose: Array, half_m: float, kind: int, value: float = 0.0) -> None:
        """Right of a road's centre line at a pose that looks as its driver does."""
        x, y, yaw = shift(pose, 0.0, half_m + SIGN_BEYOND_KERB_M)
        self.posts.append(np.array([x, y, yaw + np.pi, SIGN, kind, value]))

    def signal_heads(self, arm: Arm, ahead: Arm | None, row: int) -> None:
        """One right of the arm behind its zebra, one beyond the junction on the right."""
        for at, ahead_m, right_m in ((arm.at(0.0, 0.0), arm.lead_m, arm.in_half_m), *_far_side(arm, ahead)):
            self.signal_head((at[0], at[1], at[2]), ahead_m, right_m + SIGN_BEYOND_KERB_M, row)

    def signal_head(self, pose: tuple[float, float, float], ahead_m: float, right_m: float, row: int) -> None:
        """A head ahead and right of a driver at the pose, facing back."""
        x, y, yaw = shift(np.array(pose), ahead_m, right_m)
        self.posts.append(np.array([x, y, yaw + np.pi, SIGNAL_HEAD, row, row]))


def _far_side(arm: Arm, ahead: Arm | None) -> list[tuple[Array, float, float]]:
    """Where the second head stands: where the road ahead begins, turned to those who arrive."""
    if ahead is None:
        return []
    x, y, _ = ahead.at(ahead.lead_m, -ahead.out_half_m - SIGN_BEYOND_KERB_M)
    return [(np.array([x, y, arm.pose[2] + np.pi]), 0.0, -SIGN_BEYOND_KERB_M)]


def turn_of(delta_rad: float) -> int:
    """-1 right, 0 straight, 1 left."""
    delta = (delta_rad + np.pi) % (2 * np.pi) - np.pi
    return 0 if abs(delta) < STRAIGHT_RAD else (1 if delta > 0 else -1)


def _targets(index: int, num_from: int, num_to: int, turn: int, has_left: bool, has_right: bool) -> int | None:
    """Which lane of the road ahead lane `index` leads to (0 is beside the centre line): left from the left lane, right from the right one."""
    if turn == 1:
        return 0 if index == 0 else None
    if turn == -1:
        return num_to - 1 if index == num_from - 1 else None
    surplus = num_from - num_to  # lanes that end here; the outer one turns off instead
    if surplus <= 0:
        return index - surplus
    if has_left:
        return index - surplus if index >= surplus else None
    if has_right:
        return index if index < num_to else None
    return max(index - surplus, 0)


def fair_bezier(start: Array, end: Array) -> Line:
    """From pose to pose with the handles that make a circle of it where one fits."""
    turn = (end[2] - start[2] + np.pi) % (2 * np.pi) - np.pi
    return bezier(start, end, 1 / (3 * np.cos(turn / 4) ** 2))


def way_line(pose_in: Array, lead_in_m: float, pose_out: Array, lead_out_m: float) -> Line:
    """Straight through the zebra, round the turn, straight through the other zebra."""
    start, end = shift(pose_in, lead_in_m, 0.0), shift(pose_out, -lead_out_m, 0.0)
    return extend(fair_bezier(start, end), lead_in_m, lead_out_m)


def add_ways(book: LaneBook, node: int, arms: list[Arm], forbidden: Bool[Array, "arm arm"]) -> list[Way]:
    """A connector for every turn that is allowed. TooTightError if one cannot be steered."""
    ways = []
    for a, arm in enumerate(arms):
        exits = [(b, other, turn_of(other.pose[2] - arm.pose[2] - np.pi)) for b, other in enumerate(arms) if not forbidden[a, b]]
        turns = {turn for _, _, turn in exits}
        for index, lane in enumerate(arm.arriving):
            chosen = [
                (b, other, turn, target)
                for b, other, turn in exits
                if (target := _targets(index, len(arm.arriving), len(other.leaving), turn, 1 in turns, -1 in turns)) is not None
            ]
            if not chosen:  # a middle lane without a road straight on: two lanes turn the same way
                b, other, turn = max(exits, key=lambda item: (len(item[1].leaving), item[2]))
                from_right = len(other.leaving) - len(arm.arriving) + index
                chosen = [(b, other, turn, max(from_right, 0) if turn < 0 else min(index, len(other.leaving) - 1))]
            for b, other, turn, target in chosen:
                ways.append(Way(lane=_add_way(book, node, lane, arm, other, target, turn), start=a, end=b, turn=turn))
    return ways


def _add_way(book: LaneBook, node: int, lane: int, arm: Arm, other: Arm, target: int, turn: int) -> int:
    out = other.leaving[target]
    line = way_line(book.rows[lane].line[-1], arm.lead_m, book.rows[out].line[0], other.lead_m)
    if np.abs(line[:, 3]).max() > MAX_CONNECTOR_CURVATURE_PER_M:
        raise TooTightError(f"node {node}: a way of curvature {np.abs(line[:, 3]).max():.3f}")
    limit = min(arm.limit_mps, other.limit_mps, TURN_MPS if turn else 99.0)
    connector = book.add(LaneRow(line=line, limit_mps=limit, junction=node, turn=turn, source=lane))
    book.rows[connector].next.append(out)
    return connector


def thin(line: Line, num: int = 28) -> Float[Array, "num 2"]:
    """A few points of a line, to measure distances by."""
    return line[np.linspace(0, len(line) - 1, num).astype(int), :2]


@kernel
def _least_distances(a: Array, b: Array, out: Array) -> None:
    for i in range(len(a)):
        for j in range(len(b)):
            least = 1e18
            for k in range(a.shape[1]):
                for m in range(b.shape[1]):
                    dx, dy = a[i, k, 0] - b[j, m, 0], a[i, k, 1] - b[j, m, 1]
                    least = min(least, dx * dx + dy * dy)
            out[i, j] = np.sqrt(least)


def closeness(a: list[Line], b: list[Line]) -> Float[Array, "a b"]:
    """The least distance between each pair of lines, over some of their points."""
    out = np.empty((len(a), len(b)))
    _least_distances(np.stack([thin(line) for line in a]), np.stack([thin(line) for line in b]), out)
    return out


def set_rivals(book: LaneBook, ways: list[Way], minor: set[int], phase_of: dict[int, int] | None, first_come: bool) -> None:
    """Which ways exclude each other, and who gives way: the minor arm; then who turns left, then who turns right; then the later one.

    Under a light (`phase_of` arm) only ways that are green together need a rule; where all stop, nobody has one: first come, first served.
    """
    lines = [book.rows[way.lane].line for way in ways]
    near = closeness(lines, lines) < CONFLICT_M
    for i, a in enumerate(ways):
        for j in range(i):
            b = ways[j]
            if not near[i, j] or book.rows[a.lane].source == book.rows[b.lane].source:
                continue
            key_a, key_b = ((way.start in minor, (0, 2, 1)[way.turn], way.lane) for way in (a, b))
            apart = first_come or (phase_of is not None and phase_of[a.start] != phase_of[b.start])
            book.rivalry(a.lane, b.lane, not apart and key_a > key_b, not apart and key_b > key_a)


def set_walk_rivals(book: LaneBook, crossing: int, ways: list[int]) -> None:
    """Drivers give way to whoever walks."""
    line = book.rows[crossing].line
    near = closeness([line], [book.rows[way].line for way in ways])[0] < CROSS_M
    for way, crosses in zip(ways, near, strict=True):
        if crosses and book.rows[way].kind != WALK:
            book.rivalry(crossing, way, False, True)


def set_control(book: LaneBook, furniture: Furniture, arms: list[Arm], ways: list[Way], control: int, minor: set[int]) -> None:
    """The same control for all arms (ALL_STOP), or for the minor ones (STOP, YIELD): rows, lines, signs."""
    ruled = set(range(len(arms))) if control == ALL_STOP else minor
    for way in ways:
        book.rows[way.lane].control = control if way.start in ruled else FREE
    for index in sorted(ruled):
        furniture.stop_line(arms[index], YIELD_LINE if control == YIELD else STOP_LINE)
        furniture.sign(arms[index], SIGN_YIELD if control == YIELD else SIGN_STOP)
    set_rivals(book, ways, minor, None, control == ALL_STOP)


def set_lights(book: LaneBook, furniture: Furniture, arms: list[Arm], ways: list[Way], programme: Programme) -> None:
    """Rows under the programme's lights, stop lines and heads."""
    for way in ways:
        row = book.rows[way.lane]
        row.control, row.signal = LIGHT, programme.row_of_arm(way.start)
    for index, arm in enumerate(arms):
        ahead = [arms[way.end] for way in ways if way.start == index and way.turn == 0]
        furniture.stop_line(arm, STOP_LINE)
        furniture.signal_heads(arm, ahead[0] if ahead else None, programme.row_of_arm(index))
    set_rivals(book, ways, set(), programme.phase_of, False)


def draw_control(rng: np.random.Generator, arms: list[Arm]) -> tuple[int, set[int]]:
    """What rules a junction, and its minor arms. The major road is the straight one, the wider one where two cross."""
    wide = any(len(arm.arriving) > 1 for arm in arms)
    control = int(rng.choice([LIGHT, ALL_STOP, STOP, YIELD], p=[0.7, 0.06, 0.16, 0.08] if wide else [0.3, 0.25, 0.25, 0.2]))
    pairs = [(a, b) for a in range(len(arms)) for b in range(a) if turn_of(arms[b].pose[2] - arms[a].pose[2] - np.pi) == 0]
    if not pairs:
        return ALL_STOP if control in (STOP, YIELD) else control, set()
    major = max(pairs, key=lambda pair: (len(arms[pair[0]].arriving) + len(arms[pair[1]].arriving), pair))
    return control, set(range(len(arms))) - set(major)

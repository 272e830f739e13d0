"""A scenario's route through a town: a metre-by-metre table, with lane changes, junctions, roundabouts and the words for them."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from motorworks.datatypes.scenario import Scenario
from motorworks.geometry.array import Array
from motorworks.sim.lanes import DRIVE, LANE_WIDTH_M, Lanes, Network

MIN_LENGTH_M, MAX_LENGTH_M = 200.0, 300.0
TAIL_M = 95.0  # route known beyond its end, so the path ahead is always full
MAX_POINTS = int(MAX_LENGTH_M + TAIL_M) + 2
COLUMNS = (
    "x_m",
    "y_m",
    "yaw_rad",
    "curvature_per_m",
    "limit_mps",
    "lane",
    "lane_s_m",
    "entry_m",
    "exit_m",
    "turn",
    "connector",
    "slow_mps",
    "word",
    "word_at_m",
)
X, Y, YAW, CURVATURE, LIMIT, LANE, LANE_S, ENTRY, EXIT, TURN, CONNECTOR, SLOW, WORD, WORD_AT = range(len(COLUMNS))
WORDS = (  # of a manoeuvre; tokens.text knows each with "ahead" and with "now"
    "turn right",
    "go straight",
    "turn left",
    "take the first exit",
    "take the second exit",
    "take the third exit",
    "change to the left lane",
    "change to the right lane",
)
FIRST_EXIT, TO_LEFT, TO_RIGHT = 3, 6, 7
BLEND_M = 30.0  # of a lane change
CHANGE_LANE_FRAC = 0.4  # of the lanes that allow it
RING_PER_M = 0.04  # a lane without an opposite one that bends left more than this is part of a roundabout


class Route(NamedTuple):
    """Points every metre from the start; per point its lane, and the current or next junction and manoeuvre (inf and -1 if none)."""

    points: Array  # [point, len(COLUMNS)]; lane ids are the network's own
    length_m: float
    start_speed_mps: float
    chain: tuple[int, ...]  # lanes driven, in order


class Leg(NamedTuple):
    """A stretch of one lane. `shift_m`: the route comes from the lane beside, that far to the left of this one."""

    lane: int
    start_m: float
    end_m: float
    shift_m: float


def lane_points(lanes: Lanes, lane: int) -> Float[Array, "point 5"]:
    """x, y, yaw, curvature, comfortable speed along a lane."""
    return lanes.points[lanes.first[lane] : lanes.first[lane] + lanes.num_points[lane]]


def is_ring(lanes: Lanes, lane: int) -> bool:
    """Whether a lane between junctions lies on a roundabout."""
    plain = lanes.source[lane] < 0 and lanes.kind[lane] == DRIVE and lanes.opposite[lane] < 0
    return bool(plain and lane_points(lanes, lane)[:, 3].mean() > RING_PER_M)


def _walk(lanes: Lanes, rng: np.random.Generator, needed_m: float, start_lane: int | None) -> list[Leg]:
    """A random drive, lane by lane."""
    roads = np.flatnonzero((lanes.kind == DRIVE) & (lanes.source < 0) & (lanes.length > 35.0))
    lane = int(roads[rng.integers(len(roads))]) if start_lane is None else start_lane
    start = float(rng.uniform(8.0, max(lanes.length[lane] - 25.0, 9.0)))
    legs, total, shift = [], 0.0, 0.0
    while total < needed_m:
        beside = [int(other) for other in (lanes.left[lane], lanes.right[lane]) if other >= 0]
        length, end = float(lanes.length[lane]), float(lanes.length[lane])
        if beside and end - start > 2.2 * BLEND_M and shift == 0.0 and rng.random() < CHANGE_LANE_FRAC:
            end = start + float(rng.uniform(0.1, 0.9)) * (end - start - 2.0 * BLEND_M)
        legs.append(Leg(lane, start, end, shift))
        total += end - start
        if end < length:
            other = beside[int(rng.integers(len(beside)))]
            shift = LANE_WIDTH_M if other == lanes.right[lane] else -LANE_WIDTH_M
            lane, start = other, end * float(lanes.length[other]) / length
            continue
        shift = 0.0
        lane, start = int(lanes.next[lane, rng.integers(lanes.num_next[lane])]), 0.0
    return legs


def _centreline(lanes: Lanes, legs: list[Leg], grid: Array) -> tuple[Array, Array]:
    """x, y, yaw, curvature, limit, slow on the grid; and the distance at which each leg starts."""
    pieces, at, offset = [], [], 0.0
    starts = []
    for leg in legs:
        starts.append(offset)
        points, step = lane_points(lanes, leg.lane), lanes.step[leg.lane]
        s = np.append(np.arange(leg.start_m, leg.end_m - 0.3 * step, step), leg.end_m)
        nodes = np.arange(len(points)) * step
        x, y, yaw, kappa, slow = (np.interp(s, nodes, points[:, k]) for k in range(5))
        if leg.shift_m:
            q = np.clip((s - leg.start_m) / BLEND_M, 0.0, 1.0)
            off = leg.shift_m * (1.0 - q * q * q * (10.0 - 15.0 * q + 6.0 * q * q))
            x, y = x - off * np.sin(yaw), y + off * np.cos(yaw)
            bent = np.gradient(off, s)
            yaw, kappa = yaw + np.arctan(bent), kappa + np.gradient(bent, s)
        skip = 1 if pieces else 0
        pieces.append(np.column_stack([x, y, yaw, kappa, np.full(len(s), lanes.limit[leg.lane]), slow])[skip:])
        at.append((s - leg.start_m + offset)[skip:])
        offset += leg.end_m - leg.start_m
    joined, s = np.concatenate(pieces), np.concatenate(at)
    joined[:, 2] = np.unwrap(joined[:, 2])
    return np.stack([np.interp(grid, s, joined[:, k]) for k in range(6)], axis=-1), np.array(starts)


def _spans(lanes: Lanes, legs: list[Leg], starts: Array) -> tuple[list[tuple[float, float, int, int]], list[tuple[float, float, int]]]:
    """Junctions as (entry, exit, turn, connector), and manoeuvres as (entry, exit, word)."""
    junctions, words = [], []
    ring_from, exits = None, 0
    for leg, start in zip(legs, starts, strict=True):
        end, lane = start + leg.end_m - leg.start_m, leg.lane
        if leg.shift_m:
            words.append((start, start + BLEND_M, TO_LEFT if leg.shift_m < 0 else TO_RIGHT))
        if is_ring(lanes, lane):
            exits += 1
            if ring_from is None:
                ring_from = start
        elif lanes.source[lane] >= 0:
            following = int(lanes.next[lane, 0])
            if is_ring(lanes, following) and not is_ring(lanes, int(lanes.source[lane])):
                ring_from, exits = start, 0
            elif ring_from is not None and not is_ring(lanes, following):
                words.append((ring_from, end, FIRST_EXIT + min(max(exits, 1), 3) - 1))
                ring_from, exits = None, 0
            elif ring_from is None and lanes.junction[lane] >= 0 and lanes.num_next[lanes.source[lane]] + _choices(lanes, lane) > 2:
                words.append((start, end, int(lanes.turn[lane]) + 1))
        if lanes.junction[lane] >= 0:
            junctions.append((start, end, int(lanes.turn[lane]), lane))
    return junctions, words


def _choices(lanes: Lanes, connector: int) -> int:
    """Ways to go at a connector's junction from its road: of the lane itself and of those beside it."""
    source, count = int(lanes.source[connector]), 0
    for side in (lanes.left, lanes.right):
        lane = int(side[source])
        while lane >= 0:
            count += int(lanes.num_next[lane])
            lane = int(side[lane])
    return count + 1


def _table(lanes: Lanes, legs: list[Leg], total_m: float) -> Float[Array, "point column"]:
    grid = np.arange(int(total_m) + 1, dtype=float)
    centre, starts = _centreline(lanes, legs, grid)
    out = np.zeros((len(grid), len(COLUMNS)))
    out[:, [X, Y, YAW, CURVATURE, LIMIT, SLOW]] = centre
    index = np.clip(np.searchsorted(starts, grid, side="right") - 1, 0, len(legs) - 1)
    out[:, LANE] = np.array([leg.lane for leg in legs])[index]
    out[:, LANE_S] = grid - starts[index] + np.array([leg.start_m for leg in legs])[index]
    out[:, [ENTRY, EXIT, WORD_AT]], out[:, [CONNECTOR, WORD]] = np.inf, -1
    junctions, words = _spans(lanes, legs, starts)
    for entry, leave, turn, lane in reversed(junctions):
        out[grid < leave, ENTRY], out[grid < leave, EXIT] = entry, leave
        out[grid < leave, TURN], out[grid < leave, CONNECTOR] = turn, lane
    for entry, leave, word in sorted(words, reverse=True):
        out[grid < leave, WORD_AT], out[grid < leave, WORD] = entry, word
    return out


def plan_route(network: Network, scenario: Scenario, rng: np.random.Generator, *, start_lane: int | None = None) -> Route:
    """A route of 200 to 300 m with at least one junction in it where the town has any."""
    length = float(rng.uniform(MIN_LENGTH_M, MAX_LENGTH_M))
    points: Array = np.zeros((0, len(COLUMNS)))
    legs: list[Leg] = []
    for _ in range(50):
        legs = _walk(network.lanes, rng, length + TAIL_M + 1.0, start_lane)
        points = _table(network.lanes, legs, length + TAIL_M)
        if points[0, ENTRY] < length - 30.0 and points[0, ENTRY] > 12.0:
            break
    return Route(
        points=points,
        length_m=length,
        start_speed_mps=float(points[0, SLOW] * rng.uniform(0.5, 0.9)),
        chain=tuple(leg.lane for leg in legs),
    )

"""A town before any geometry: a jittered grid of nodes, the roads between them, and what each is to become."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from motorworks.geometry.array import Array

BEND, JUNCTION, ROUNDABOUT, RAMP = range(4)  # kinds of nodes: two arms, or three and four
MARGIN_M = 58.0
SPEEDS_MPS = (8.3, 11.1, 13.9)  # 30, 40, 50 km/h
SCHOOL_MPS = 8.3


@dataclass(frozen=True, kw_only=True)
class RoadPlan:
    """A road from node to node. Arms: 0 east, 1 north, 2 west, 3 south."""

    start: tuple[int, int]  # node, arm
    end: tuple[int, int]
    bends: tuple[tuple[int, int, int], ...]  # node, arm it comes in by, arm it goes out by
    num_lanes: tuple[int, int] = (1, 1)  # there, back
    parking: tuple[bool, bool] = (False, False)
    limit_mps: float = 11.1
    crossing: int = 0  # 0 none, 1 a zebra half-way, 2 one before a school


@dataclass(frozen=True, kw_only=True)
class TownPlan:
    """Nodes, their kinds and the roads."""

    nodes: Float[Array, "node 2"]
    kinds: tuple[int, ...]
    roads: tuple[RoadPlan, ...]


Edge = tuple[int, int, int, int]  # node a, arm a, node b, arm b


def _draw_edges(rng: np.random.Generator, columns: int, rows: int) -> tuple[list[Edge], Array]:
    """The grid's streets with some inner ones missing, and how many arms each node has: two at least, so nothing is a dead end."""
    edges = [(r * columns + c, 0, r * columns + c + 1, 2) for r in range(rows) for c in range(columns - 1)]
    edges += [(r * columns + c, 1, (r + 1) * columns + c, 3) for r in range(rows - 1) for c in range(columns)]
    degree = np.zeros(columns * rows, int)
    for a, _, b, _ in edges:
        degree[[a, b]] += 1
    dropped = set()
    for index in rng.permutation(len(edges))[: int(rng.integers(0, 4))]:
        a, _, b, _ = edges[index]
        # 4-arm to 3-arm or 3-arm to bend; the outer ring keeps the town connected
        if degree[a] >= 3 and degree[b] >= 3 and degree[a] + degree[b] >= 7:
            degree[[a, b]] -= 1
            dropped.add(int(index))
    return [edge for index, edge in enumerate(edges) if index not in dropped], degree


def _chains(edges: list[Edge], degree: Array) -> list[RoadPlan]:
    """Roads from junction to junction: streets that meet in a bend are one road."""
    at: dict[tuple[int, int], tuple[int, int]] = {}
    for a, arm_a, b, arm_b in edges:
        at[a, arm_a], at[b, arm_b] = (b, arm_b), (a, arm_a)
    roads, seen = [], set()
    for start in sorted(key for key in at if degree[key[0]] > 2):
        if start in seen:
            continue
        bends, end = [], at[start]
        while degree[end[0]] == 2:
            onward = next(key for key in at if key[0] == end[0] and key != end)
            bends.append((end[0], end[1], onward[1]))
            end = at[onward]
        seen |= {start, end}
        roads.append(RoadPlan(start=start, end=end, bends=tuple(bends)))
    return roads


def _widths(roads: list[RoadPlan], rng: np.random.Generator, columns: int, rows: int) -> list[RoadPlan]:
    """An avenue of two or three lanes each way along one line of the grid, and here and there a wider road."""
    along_row = bool(rng.random() < 0.5)
    lines = rows if along_row else columns
    wide = int(rng.choice([1, 2, 2, 2, 3]))
    line = int(rng.integers(1, lines - 1)) if wide == 3 else int(rng.integers(lines))
    out = []
    for road in roads:
        nodes = [road.start[0], *(bend[0] for bend in road.bends), road.end[0]]
        on_avenue = [node for node in nodes if (node // columns if along_row else node % columns) == line]
        num = wide if len(on_avenue) > 1 else 1
        lanes = (num, num)
        if num == 1 and rng.random() < 0.15:
            lanes = ((2, 2), (2, 1), (1, 2))[int(rng.integers(3))]
        parking = (bool(rng.random() < 0.22), bool(rng.random() < 0.22)) if max(lanes) < 3 else (False, False)
        limit = float(rng.choice(SPEEDS_MPS)) if max(lanes) == 1 else float(rng.choice(SPEEDS_MPS[1:]))
        out.append(replace(road, num_lanes=lanes, parking=parking, limit_mps=limit))
    return out


def _kinds(degree: Array, roads: list[RoadPlan], rng: np.random.Generator) -> list[int]:
    """Roundabouts where only single lanes meet, ramps where a road ends at another, junctions elsewhere."""
    kinds = [JUNCTION if d > 2 else BEND for d in degree]
    num_rounds, num_ramps = int(rng.integers(0, 3)), int(rng.integers(0, 3))
    for node in rng.permutation(len(degree)):
        arms, widths = {}, {}
        for road in roads:
            for end, lanes in ((road.start, road.num_lanes), (road.end, road.num_lanes[::-1])):
                if end[0] == node:
                    arms[end[1]], widths[end[1]] = road, lanes
        beside = {kinds[end[0]] for road in arms.values() for end in (road.start, road.end) if end[0] != node}
        if len(arms) < 3 or beside & {ROUNDABOUT, RAMP}:
            continue
        if num_rounds and all(max(road.num_lanes) == 1 for road in arms.values()):
            kinds[node], num_rounds = ROUNDABOUT, num_rounds - 1
        elif num_ramps and len(arms) == 3 and _runs_through(widths):
            kinds[node], num_ramps = RAMP, num_ramps - 1
    return kinds


def _runs_through(widths: dict[int, tuple[int, int]]) -> bool:
    """Whether the road through a node of three arms keeps its lanes; widths are (leaving, arriving) by arm."""
    a = next(arm for arm in widths if (arm + 2) % 4 in widths)
    return widths[a] == widths[(a + 2) % 4][::-1] and widths[a][0] == widths[a][1]


def draw_plan(rng: np.random.Generator) -> TownPlan:
    """A grid of 3 x 3 to 4 x 4 nodes."""
    columns, rows = ((3, 3), (4, 3), (3, 4), (4, 4))[int(rng.choice(4, p=[0.25, 0.3, 0.25, 0.2]))]
    xs = MARGIN_M + np.concatenate([[0.0], np.cumsum(rng.uniform(105, 135, columns - 1))])
    ys = MARGIN_M + np.concatenate([[0.0], np.cumsum(rng.uniform(105, 135, rows - 1))])
    nodes = np.array([[x, y] for y in ys for x in xs]) + rng.uniform(-8, 8, (columns * rows, 2))
    edges, degree = _draw_edges(rng, columns, rows)
    roads = _widths(_chains(edges, degree), rng, columns, rows)
    kinds = _kinds(degree, roads, rng)
    special = {node for node, kind in enumerate(kinds) if kind in (ROUNDABOUT, RAMP)}
    for index, road in enumerate(roads):
        crossing = int(rng.choice([0, 1, 2], p=[0.6, 0.22, 0.18]))
        bare = bool({road.start[0], road.end[0]} & special)  # kerbs run on without a step there
        roads[index] = replace(road, crossing=crossing, parking=(False, False) if bare else road.parking)
    return TownPlan(nodes=nodes, kinds=tuple(kinds), roads=tuple(roads))

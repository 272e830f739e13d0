"""A town's roads: a jittered grid of junctions, curved roads between them, lanes and junction connectors. Seed in, arrays out."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from motorworks.geometry.array import Array

LANE_WIDTH_M = 3.5
SPACING_M = 1.0  # of lane points, nearly: each lane divides its length evenly
LATERAL_ACCEL_MPS2 = 2.0  # comfortable, for the speeds that traffic takes bends at
MIN_ROAD_RADIUS_M = 24.0
MAX_CONNECTOR_CURVATURE_PER_M = 0.17
CONFLICT_M = 2.6  # connectors whose centrelines come closer than this cannot be driven at once
MAX_NEXT = 4


class Lanes(NamedTuple):
    """Lanes as flat arrays, the form that kernels read. Points of lane i are `first[i] : first[i] + num_points[i]`."""

    first: Array
    num_points: Array
    length: Array
    step: Array  # point spacing of the lane
    limit: Array
    junction: Array  # node id of a connector in a real junction (three or more arms), else -1
    turn: Array  # of a junction connector: -1 right, 0 straight, 1 left
    source: Array  # of a connector: the lane it leaves; else -1
    next: Array  # [lane, MAX_NEXT], -1 padded
    num_next: Array
    points: Array  # [point, 5]: x, y, yaw (unwrapped in a lane), curvature, comfortable speed
    conflict: Array  # [connector, connector] bool; connector index = lane - first_connector[0]
    first_connector: Array  # [1]


@dataclass(frozen=True, kw_only=True)
class Stroke:
    """A piece of road to paint: its centreline, and how wide."""

    line: Float[Array, "point 3"]  # x_m y_m yaw_rad, every ~1 m
    num_lanes: int  # per direction
    stop_at_start: bool
    stop_at_end: bool


@dataclass(frozen=True, kw_only=True)
class Network:
    """One town's lanes, and the strokes and junction outlines that paint it."""

    seed: int
    lanes: Lanes
    opposite: Float[Array, " lane"]  # the lane beside the centre line going the other way; -1 for connectors
    strokes: tuple[Stroke, ...]
    outlines: tuple[Float[Array, "vertex 2"], ...]  # of the real junctions
    size_m: tuple[float, float]  # everything lies in [0, size]


def _bezier(start: Array, end: Array, handle_frac: float) -> Float[Array, "point 4"]:
    """x, y, yaw, curvature along a cubic from pose to pose, evenly in arc length, about every metre."""
    chord = np.hypot(*(end[:2] - start[:2]))
    t = np.linspace(0.0, 1.0, int(chord * 4) + 16)[:, None]
    p0, p3 = start[:2], end[:2]
    p1 = p0 + handle_frac * chord * np.array([np.cos(start[2]), np.sin(start[2])])
    p2 = p3 - handle_frac * chord * np.array([np.cos(end[2]), np.sin(end[2])])
    xy = (1 - t) ** 3 * p0 + 3 * (1 - t) ** 2 * t * p1 + 3 * (1 - t) * t**2 * p2 + t**3 * p3
    d = 3 * (1 - t) ** 2 * (p1 - p0) + 6 * (1 - t) * t * (p2 - p1) + 3 * t**2 * (p3 - p2)
    yaw = np.unwrap(np.arctan2(d[:, 1], d[:, 0]))
    return _even(xy[:, 0], xy[:, 1], yaw)


def _even(x: Array, y: Array, yaw: Array) -> Float[Array, "point 4"]:
    """The same line, evenly spaced at about SPACING_M, with its curvature."""
    s = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    grid = np.linspace(0.0, s[-1], max(round(s[-1] / SPACING_M), 2) + 1)
    out = np.stack([np.interp(grid, s, x), np.interp(grid, s, y), np.interp(grid, s, yaw)], axis=-1)
    return np.column_stack([out, np.gradient(out[:, 2], grid)])


def _offset(line: Float[Array, "point 4"], right_m: float) -> Float[Array, "point 4"]:
    """The parallel line `right_m` to the right."""
    return _even(line[:, 0] + right_m * np.sin(line[:, 2]), line[:, 1] - right_m * np.cos(line[:, 2]), line[:, 2])


def _reverse(line: Float[Array, "point 4"]) -> Float[Array, "point 4"]:
    back = line[::-1]
    return np.column_stack([back[:, :2], back[:, 2] + np.pi, -back[:, 3]])


@dataclass(frozen=True, kw_only=True)
class _Graph:
    """Nodes and edges before any geometry: edges are (node a, arm a, node b, arm b), arms 0 east 1 north 2 west 3 south."""

    nodes: Float[Array, "node 2"]
    edges: tuple[tuple[int, int, int, int], ...]
    degree: tuple[int, ...]


def _draw_graph(rng: np.random.Generator) -> _Graph:
    """A 3 x 3 or 4 x 3 grid with some inner streets missing; every node keeps two arms, so nothing is a dead end."""
    columns, rows = (4, 3) if rng.random() < 0.35 else (3, 3)
    xs = 55.0 + np.concatenate([[0.0], np.cumsum(rng.uniform(95, 130, columns - 1))])
    ys = 55.0 + np.concatenate([[0.0], np.cumsum(rng.uniform(95, 130, rows - 1))])
    nodes = np.array([[x, y] for y in ys for x in xs]) + rng.uniform(-10, 10, (columns * rows, 2))
    edges = [(r * columns + c, 0, r * columns + c + 1, 2) for r in range(rows) for c in range(columns - 1)]
    edges += [(r * columns + c, 1, (r + 1) * columns + c, 3) for r in range(rows - 1) for c in range(columns)]
    degree = np.zeros(len(nodes), int)
    for a, _, b, _ in edges:
        degree[[a, b]] += 1
    for index in rng.permutation(len(edges))[: int(rng.integers(0, 4))]:
        a, _, b, _ = edges[index]
        # 4-arm to 3-arm or 3-arm to bend; the outer ring keeps the town connected
        if degree[a] >= 3 and degree[b] >= 3 and degree[a] + degree[b] >= 7:
            degree[[a, b]] -= 1
            edges[index] = (-1, -1, -1, -1)
    kept = tuple(edge for edge in edges if edge[0] >= 0)
    return _Graph(nodes=nodes, edges=kept, degree=tuple(int(d) for d in degree))


def _lanes_per_road(graph: _Graph, rng: np.random.Generator) -> list[int]:
    """Lanes per direction; roads that meet in a two-armed bend are one road and agree."""
    group = list(range(len(graph.edges)))
    for node, degree in enumerate(graph.degree):
        if degree == 2:
            pair = [i for i, (a, _, b, _) in enumerate(graph.edges) if node in (a, b)]
            old, new = group[pair[1]], group[pair[0]]
            group = [new if g == old else g for g in group]
    wide = rng.random(len(group)) < 0.25
    return [2 if wide[g] else 1 for g in group]


class _Builder:
    """Collects lanes while a network is built; `finish` packs them."""

    def __init__(self) -> None:
        self.lines: list[Array] = []
        self.limit: list[float] = []
        self.junction: list[int] = []
        self.turn: list[int] = []
        self.source: list[int] = []
        self.next: list[list[int]] = []

    def add(self, line: Array, limit: float, junction: int = -1, turn: int = 0, source: int = -1) -> int:
        self.lines.append(line)
        self.limit.append(limit)
        self.junction.append(junction)
        self.turn.append(turn)
        self.source.append(source)
        self.next.append([])
        return len(self.lines) - 1

    def finish(self, first_connector: int) -> Lanes:
        count = np.array([len(line) for line in self.lines])
        steps = np.array([np.hypot(*(line[1, :2] - line[0, :2])) for line in self.lines])
        points = np.concatenate(self.lines)
        limit = np.repeat(self.limit, count)
        slow = np.minimum(limit, np.sqrt(LATERAL_ACCEL_MPS2 / np.maximum(np.abs(points[:, 3]), 1e-4)))
        following = np.full((len(self.lines), MAX_NEXT), -1, np.int32)
        for lane, targets in enumerate(self.next):
            following[lane, : len(targets)] = targets
        return Lanes(
            first=np.concatenate([[0], np.cumsum(count)[:-1]]).astype(np.int32),
            num_points=count.astype(np.int32),
            length=steps * (count - 1),
            step=steps,
            limit=np.array(self.limit),
            junction=np.array(self.junction, np.int32),
            turn=np.array(self.turn, np.int32),
            source=np.array(self.source, np.int32),
            next=following,
            num_next=np.array([len(n) for n in self.next], np.int32),
            points=np.column_stack([points, slow]).astype(np.float64),
            conflict=self._conflicts(first_connector),
            first_connector=np.array([first_connector], np.int32),
        )

    def _conflicts(self, first: int) -> Bool[Array, "connector connector"]:
        num = len(self.lines) - first
        conflict = np.zeros((num, num), np.bool_)
        junction, source = np.array(self.junction[first:]), np.array(self.source[first:])
        for node in np.unique(junction[junction >= 0]):
            ids = np.flatnonzero(junction == node)
            thin = np.stack([self.lines[first + i][np.linspace(0, len(self.lines[first + i]) - 1, 16).astype(int), :2] for i in ids])
            apart = np.linalg.norm(thin[:, :, None, None] - thin[None, None], axis=-1)  # [a, point, b, point]
            near = apart.min(axis=(1, 3)) < CONFLICT_M
            conflict[np.ix_(ids, ids)] = near & (source[ids][:, None] != source[ids][None])
        return conflict


def _road_lines(graph: _Graph, lanes_per_road: list[int], rng: np.random.Generator, wildness: float) -> tuple[list[Array], Array]:
    """Centreline of each road from junction mouth to junction mouth, and each node's mouth distance."""
    mouth = np.empty(len(graph.nodes))
    for node, degree in enumerate(graph.degree):
        wide = max(n for n, (a, _, b, _) in zip(lanes_per_road, graph.edges, strict=True) if node in (a, b))
        mouth[node] = 24.0 if degree == 2 else 7.5 + 4.0 * wide
    spin = rng.uniform(-0.42, 0.42, len(graph.nodes)) * wildness
    sway = rng.uniform(-0.12, 0.12, (len(graph.nodes), 4)) * wildness
    lines = []
    for a, arm_a, b, arm_b in graph.edges:
        out_a = spin[a] + sway[a, arm_a] + arm_a * np.pi / 2
        out_b = spin[b] + sway[b, arm_b] + arm_b * np.pi / 2
        start = graph.nodes[a] + mouth[a] * np.array([np.cos(out_a), np.sin(out_a)])
        end = graph.nodes[b] + mouth[b] * np.array([np.cos(out_b), np.sin(out_b)])
        lines.append(_bezier(np.array([*start, out_a]), np.array([*end, out_b + np.pi]), 0.38))
    return lines, mouth


def _turn_of(delta_rad: float) -> int:
    delta = (delta_rad + np.pi) % (2 * np.pi) - np.pi
    return 0 if abs(delta) < 0.7 else (1 if delta > 0 else -1)


def _exits(index: int, num_from: int, num_to: int, turn: int) -> int | None:
    """Which lane of the road ahead a lane leads to (0 is beside the centre line), or None: left from the left lane, right from the right."""
    if turn == 1:
        return 0 if index == 0 else None
    if turn == -1:
        return num_to - 1 if index == num_from - 1 else None
    return max(num_to - num_from + index, 0)


def _try_network(seed: int, graph: _Graph, per_road: list[int], rng: np.random.Generator, wildness: float) -> Network | None:
    """One attempt at geometry; None when something is bent too tightly."""
    roads, _ = _road_lines(graph, per_road, rng, wildness)
    limits = rng.uniform(8.0, 13.0, len(roads))
    if max(np.abs(road[:, 3]).max() for road in roads) > 1 / MIN_ROAD_RADIUS_M:
        return None
    build = _Builder()
    ends: list[dict[int, tuple[list[int], list[int]]]] = [{} for _ in graph.nodes]  # per node: arm -> (lanes in, lanes out)
    opposite: list[int] = []
    for road, num, limit, (a, arm_a, b, arm_b) in zip(roads, per_road, limits, graph.edges, strict=True):
        there = [build.add(_offset(road, LANE_WIDTH_M * (i + 0.5)), limit) for i in range(num)]
        back = [build.add(_offset(_reverse(road), LANE_WIDTH_M * (i + 0.5)), limit) for i in range(num)]
        opposite += [back[0]] * num + [there[0]] * num
        ends[a][arm_a] = (back, there)
        ends[b][arm_b] = (there, back)
    first_connector = len(build.lines)
    strokes = [
        Stroke(line=road[:, :3], num_lanes=num, stop_at_start=graph.degree[a] > 2, stop_at_end=graph.degree[b] > 2)
        for road, num, (a, _, b, _) in zip(roads, per_road, graph.edges, strict=True)
    ]
    outlines = []
    for node, arms in enumerate(ends):
        if len(arms) == 2:
            strokes.append(_bend_stroke(build, arms))
        else:
            outlines.append(_outline(build, arms, graph.nodes[node]))
        if not _connect(build, arms, node if len(arms) > 2 else -1):
            return None
    size = graph.nodes.max(axis=0) + 55.0
    lanes = build.finish(first_connector)
    return Network(
        seed=seed,
        lanes=lanes,
        opposite=np.array(opposite + [-1] * (len(build.lines) - first_connector)),
        strokes=tuple(strokes),
        outlines=tuple(outlines),
        size_m=(float(size[0]), float(size[1])),
    )


def _connect(build: _Builder, arms: dict[int, tuple[list[int], list[int]]], junction: int) -> bool:
    """Add a node's connectors; False when one is too tight. The two arms of a bend are one road: lane i leads to lane i."""
    for arm, (arriving, _) in arms.items():
        for other, (_, leaving) in arms.items():
            if other == arm:
                continue
            for index, lane in enumerate(arriving):
                end, start = build.lines[lane][-1], build.lines[leaving[0]][0]
                turn = _turn_of(start[2] - end[2]) if junction >= 0 else 0
                target = _exits(index, len(arriving), len(leaving), turn) if junction >= 0 else index
                if target is None:
                    continue
                line = _bezier(end[:3], _near(build.lines[leaving[target]][0][:3], end[2]), 0.39)
                if np.abs(line[:, 3]).max() > MAX_CONNECTOR_CURVATURE_PER_M:
                    return False
                limit = min(build.limit[lane], build.limit[leaving[target]], 99.0 if junction < 0 else 9.0)
                connector = build.add(line, limit, junction, turn, lane)
                build.next[lane].append(connector)
                build.next[connector].append(leaving[target])
    return True


def _near(pose: Array, yaw: float) -> Array:
    """The pose with its yaw within pi of another."""
    return np.array([pose[0], pose[1], yaw + (pose[2] - yaw + np.pi) % (2 * np.pi) - np.pi])


def _mouth_pose(build: _Builder, lane: int, at_end: bool) -> Array:
    """Where the road's centre line meets the node, looking along the lane."""
    pose = build.lines[lane][-1 if at_end else 0]
    return np.array([pose[0] - LANE_WIDTH_M / 2 * np.sin(pose[2]), pose[1] + LANE_WIDTH_M / 2 * np.cos(pose[2]), pose[2]])


def _bend_stroke(build: _Builder, arms: dict[int, tuple[list[int], list[int]]]) -> Stroke:
    (arriving, _), (_, leaving) = arms.values()
    start = _mouth_pose(build, arriving[0], True)
    line = _bezier(start, _near(_mouth_pose(build, leaving[0], False), start[2]), 0.39)
    return Stroke(line=line[:, :3], num_lanes=len(arriving), stop_at_start=False, stop_at_end=False)


def _outline(build: _Builder, arms: dict[int, tuple[list[int], list[int]]], centre: Array) -> Float[Array, "vertex 2"]:
    """Both corners of each mouth, around the centre."""
    corners = []
    for arriving, leaving in arms.values():
        for pose in (build.lines[arriving[-1]][-1], build.lines[leaving[-1]][0]):
            corners.append(pose[:2] + (LANE_WIDTH_M / 2 + 0.5) * np.array([np.sin(pose[2]), -np.cos(pose[2])]))
    outline = np.array(corners)
    around = np.arctan2(outline[:, 1] - centre[1], outline[:, 0] - centre[0])
    return outline[np.argsort(around)]


@lru_cache(maxsize=96)
def build_network(seed: int) -> Network:
    """The roads of town `seed`."""
    rng = np.random.default_rng((seed, 0x70))
    graph = _draw_graph(rng)
    per_road = _lanes_per_road(graph, rng)
    wildness = 1.0
    for _ in range(40):
        network = _try_network(seed, graph, per_road, rng, wildness)
        if network is not None:
            return network
        wildness *= 0.85
    raise ValueError(f"town_seed {seed}: no drivable geometry found; use another seed")

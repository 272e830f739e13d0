"""A town's roads by seed: a plan of nodes and roads becomes lanes, junctions, lights and pavements."""

from dataclasses import replace
from functools import lru_cache

import numpy as np

from motorworks.sim.codes import SIGN_LIMIT
from motorworks.sim.crossings import MIN_PIECE_M, add_crossed_road
from motorworks.sim.curves import Line, length_of, reverse
from motorworks.sim.junctions import Furniture, TooTightError, add_ways, draw_control, set_control, set_lights, turn_of
from motorworks.sim.lane_book import LaneBook
from motorworks.sim.lanes import ALL_STOP, DRIVE, LIGHT, Network
from motorworks.sim.layout import Layout
from motorworks.sim.pavements import add_corners, add_crosswalks, corner_kerb
from motorworks.sim.ramps import add_ramp
from motorworks.sim.road_graph import JUNCTION, MARGIN_M, RAMP, ROUNDABOUT, RoadPlan, TownPlan, draw_plan
from motorworks.sim.roads import Arm, add_road, pose_on
from motorworks.sim.roundabout import add_roundabout
from motorworks.sim.signals import MAX_LIT_NODES, Programme, draw_programme

MAX_LANES, MAX_POINTS, MAX_SIGNALS, MAX_SIZE_M = 640, 26_000, 64, 640.0  # what any town fits in
ROUND_CROSSING_M = 15.0  # a roundabout's zebras lie this far before it
LIMIT_SIGN_M = 9.0  # after a junction
CONNECTED_FRAC = 0.97  # of the lanes that must be reachable from each other


def _programme(rng: np.random.Generator, arms: list[Arm], furniture: Furniture) -> Programme:
    opposite = {a: b for a in range(len(arms)) for b in range(len(arms)) if a != b and turn_of(arms[b].pose[2] - arms[a].pose[2] - np.pi) == 0}
    busy = any(len(arm.arriving) > 1 for arm in arms) and bool(rng.random() < 0.45)
    programme = draw_programme(rng, opposite, len(arms), busy, len(furniture.signals))
    furniture.signals.extend(programme.rows)
    return programme


def _add_junction(book: LaneBook, furniture: Furniture, node: int, arms: list[Arm], rng: np.random.Generator, may_light: bool) -> bool:
    """Connect a node's arms; whether it has lights."""
    ways = add_ways(book, node, arms, np.eye(len(arms), dtype=bool))
    control, minor = draw_control(rng, arms)
    programme = None
    if control == LIGHT and may_light:
        programme = _programme(rng, arms, furniture)
        set_lights(book, furniture, arms, ways, programme)
    else:
        set_control(book, furniture, arms, ways, ALL_STOP if control == LIGHT else control, minor)
    kerbs = [corner_kerb(arm, arms[(i + 1) % len(arms)]) for i, arm in enumerate(arms)]
    furniture.outlines.append(np.concatenate([kerb[:, :2] for kerb in kerbs]))
    add_crosswalks(book, furniture, arms, node, ways, add_corners(book, furniture, arms, kerbs), programme)
    return programme is not None


def _crossing_at(plan: TownPlan, road: RoadPlan, line: Line, rng: np.random.Generator) -> float | None:
    """Where along a road its zebra lies, if it has one: close to a roundabout, else somewhere in the middle."""
    length, drawn = length_of(line), rng.uniform(0.3, 0.7, 4)
    if road.crossing == 0:
        return None
    at = min(drawn, key=lambda f: abs(line[int(f * (len(line) - 1)), 3])) * length  # where the road is straightest
    if plan.kinds[road.start[0]] == ROUNDABOUT:
        at = ROUND_CROSSING_M
    elif plan.kinds[road.end[0]] == ROUNDABOUT:
        at = length - ROUND_CROSSING_M
    return at if min(at, length - at) > MIN_PIECE_M + 2.7 else None


def _add_roads(book: LaneBook, furniture: Furniture, plan: TownPlan, layout: Layout, rng: np.random.Generator, first_node: int) -> int:
    """Enter all roads; crossings take node ids from `first_node`. The next free id."""
    lines = [layout.centre_line(road) for road in plan.roads]
    for road, line in zip(plan.roads, lines, strict=True):
        start, end = layout.arms[road.start], layout.arms[road.end]
        start.approach, end.approach = reverse(line), line
        at = _crossing_at(plan, road, line, rng)
        if at is None:
            furniture.strokes.append(add_road(book, line, road.num_lanes, road.parking, road.limit_mps, start, end))
        else:
            add_crossed_road(book, furniture, road, line, at, first_node, start, end)
            first_node += 1
        for arm, away in ((start, line), (end, reverse(line))):
            pose = pose_on(away, LIMIT_SIGN_M)
            furniture.sign_at(pose, arm.out_half_m, SIGN_LIMIT, arm.limit_mps)
    return first_node


def _try_network(seed: int, plan: TownPlan, rng: np.random.Generator, wildness: float) -> Network:
    """One attempt at geometry. TooTightError when something is bent too sharply."""
    layout = Layout(plan, rng, wildness)
    book, furniture = LaneBook(), Furniture()
    node_id = _add_roads(book, furniture, plan, layout, rng, len(plan.nodes))
    lit = 0
    for node in sorted({key[0] for key in layout.arms}):
        arms = [layout.arms[key] for key in sorted(layout.arms) if key[0] == node]
        kind = plan.kinds[node]
        if kind == JUNCTION:
            lit += _add_junction(book, furniture, node, arms, rng, lit < MAX_LIT_NODES)
        elif kind == ROUNDABOUT:
            add_corners(book, furniture, arms, add_roundabout(book, furniture, node_id, plan.nodes[node], arms))
            node_id += len(arms)
        elif kind == RAMP:
            _, kerbs = add_ramp(book, furniture, node, arms)
            add_corners(book, furniture, arms, kerbs)
    if _connected_frac(book) < CONNECTED_FRAC:
        raise TooTightError("some lanes cannot be reached")
    size = plan.nodes.max(axis=0) + MARGIN_M
    return finish_network(f"town-{seed}", book, furniture, (float(size[0]), float(size[1])))


def _reach(neighbours: list[list[int]], start: int) -> set[int]:
    seen, todo = {start}, [start]
    while todo:
        for lane in neighbours[todo.pop()]:
            if lane not in seen:
                seen.add(lane)
                todo.append(lane)
    return seen


def _connected_frac(book: LaneBook) -> float:
    """The share of drivable lanes in the largest set, found from a few lanes, whose members all reach each other."""
    drive = [lane for lane, row in enumerate(book.rows) if row.kind == DRIVE]
    onward: list[list[int]] = [[] for _ in book.rows]
    backward: list[list[int]] = [[] for _ in book.rows]
    for lane in drive:
        row = book.rows[lane]
        for other in (*row.next, row.left, row.right):
            if other >= 0:
                onward[lane].append(other)
                backward[other].append(lane)
    return max(len(_reach(onward, lane) & _reach(backward, lane)) for lane in drive[:3]) / len(drive)


def finish_network(name: str, book: LaneBook, furniture: Furniture, size_m: tuple[float, float]) -> Network:
    """Pack what was collected."""
    return Network(
        name=name,
        lanes=book.pack(),
        signals=np.array(furniture.signals, np.int32).reshape(-1, 4),
        stop_lines=np.array(furniture.stop_lines).reshape(-1, 5),
        crosswalks=np.array(furniture.crosswalks).reshape(-1, 6),
        strokes=tuple(furniture.strokes),
        outlines=tuple(furniture.outlines),
        posts=np.array(furniture.posts).reshape(-1, 6),
        size_m=size_m,
        on_ring=np.array([row.on_ring for row in book.rows]),
    )


def _tame(plan: TownPlan) -> TownPlan:
    """The plan with ordinary junctions only."""
    return replace(plan, kinds=tuple(min(kind, JUNCTION) for kind in plan.kinds))


@lru_cache(maxsize=96)
def build_network(seed: int) -> Network:
    """The roads of town `seed`."""
    plan = draw_plan(np.random.default_rng((seed, 0x70)))
    wildness = 1.0
    for attempt in range(40):
        try:
            return _try_network(seed, plan if attempt < 20 else _tame(plan), np.random.default_rng((seed, 0x73, attempt)), wildness)
        except TooTightError:
            wildness *= 0.85
    raise ValueError(f"town_seed {seed}: no drivable geometry found; use another seed")

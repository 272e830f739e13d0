"""Where a plan's roads run: how far from a node each stops, and the centre lines from mouth to mouth."""

import itertools

import numpy as np
from jaxtyping import Float

from motorworks.geometry.array import Array
from motorworks.sim import ramps, roundabout
from motorworks.sim.curves import Line, bezier, join
from motorworks.sim.junctions import TooTightError
from motorworks.sim.road_graph import JUNCTION, RAMP, ROUNDABOUT, RoadPlan, TownPlan
from motorworks.sim.roads import LEAD_M, PLAIN_LEAD_M, Arm, half_width_m

MIN_ROAD_RADIUS_M = 24.0
MIN_ROAD_M = 22.0
CORNER_RADIUS_M = 6.5  # of the kerb
BEND_MOUTH_M = 30.0
ZEBRA_FRAC = 0.75  # of the arms of plain junctions

ArmKey = tuple[int, int]  # node, arm


class Layout:
    """A plan with its arms' directions drawn: `spin` turns a node, `sway` one arm. Roundabouts keep their arms straight, or the ring has no room."""

    def __init__(self, plan: TownPlan, rng: np.random.Generator, wildness: float) -> None:
        self.plan = plan
        num = len(plan.nodes)
        self._spin = rng.uniform(-0.42, 0.42, num) * wildness
        self._sway = rng.uniform(-0.12, 0.12, (num, 4)) * wildness
        self._sway[[kind == ROUNDABOUT for kind in plan.kinds]] = 0.0
        self.arms = self._make_arms(rng)

    def heading(self, node: int, direction: int) -> float:
        """Away from the node along an arm."""
        return float(self._spin[node] + self._sway[node, direction] + direction * np.pi / 2)

    def _out(self, node: int, angle: float, distance_m: float) -> Float[Array, " 2"]:
        return self.plan.nodes[node] + distance_m * np.array([np.cos(angle), np.sin(angle)])

    def _make_arms(self, rng: np.random.Generator) -> dict[ArmKey, Arm]:
        at_node: dict[int, list[tuple[int, RoadPlan, bool]]] = {}
        for road in self.plan.roads:
            at_node.setdefault(road.start[0], []).append((road.start[1], road, True))
            at_node.setdefault(road.end[0], []).append((road.end[1], road, False))
        arms = {}
        for node in sorted(at_node):
            here = sorted(at_node[node], key=lambda item: item[0])
            angles = [self.heading(node, direction) for direction, _, _ in here]
            halves = []
            for _, road, starts in here:
                there, back = (half_width_m(num, parks) for num, parks in zip(road.num_lanes, road.parking, strict=True))
                halves.append((back, there) if starts else (there, back))
            kind = self.plan.kinds[node]
            zebras = [bool(drawn < ZEBRA_FRAC) and kind == JUNCTION for drawn in rng.random(len(here))]
            leads = [LEAD_M if zebra else PLAIN_LEAD_M for zebra in zebras]
            mouths = [m + lead for m, lead in zip(_mouths(kind, halves, angles), leads, strict=True)]
            for (direction, road, _), angle, half, zebra, lead, mouth in zip(here, angles, halves, zebras, leads, mouths, strict=True):
                pose = np.array([*self._out(node, angle, mouth), angle])
                arms[node, direction] = Arm(pose=pose, lead_m=lead, zebra=zebra, limit_mps=road.limit_mps, in_half_m=half[0], out_half_m=half[1])
        return arms

    def centre_line(self, road: RoadPlan) -> Line:
        """From stop line to stop line, round the bends between. TooTightError where a bend is too sharp or the road too short."""
        poses = [self.arms[road.start].pose]
        for node, direction_in, direction_out in road.bends:
            into, out = self.heading(node, direction_in), self.heading(node, direction_out)
            poses.append(np.array([*self._out(node, into, BEND_MOUTH_M), into + np.pi]))
            poses.append(np.array([*self._out(node, out, BEND_MOUTH_M), out]))
        end = self.arms[road.end].pose
        poses.append(np.array([end[0], end[1], end[2] + np.pi]))
        line = join(*(bezier(a, b) for a, b in itertools.pairwise(poses)))
        if np.abs(line[:, 3]).max() > 1 / MIN_ROAD_RADIUS_M or len(line) < MIN_ROAD_M:
            raise TooTightError(f"road from {road.start} to {road.end}")
        return line


def _mouths(kind: int, halves: list[tuple[float, float]], angles: list[float]) -> list[float]:
    """How far from the node each road's full section ends, so that every kerb has room to turn.

    Arms counter-clockwise; halves are the widths (arriving, leaving) from the centre line to the kerb.
    """
    count = len(angles)
    gaps = [(angles[(i + 1) % count] - angles[i]) % (2 * np.pi) for i in range(count)]
    if kind == ROUNDABOUT:
        return [roundabout.MOUTH_M] * count
    if kind == RAMP:  # the through arms have the widest gap between them
        wide = int(np.argmax(gaps))
        return [ramps.THROUGH_MOUTH_M if i in (wide, (wide + 1) % count) else ramps.STEM_MOUTH_M for i in range(count)]
    inner = [6.0] * count
    for i, between in enumerate(gaps):
        j = (i + 1) % count
        if between > 0.8 * np.pi:
            continue
        fillet = CORNER_RADIUS_M / np.tan(between / 2)
        reach_i = (halves[i][0] * np.cos(between) + halves[j][1]) / np.sin(between) + fillet
        reach_j = (halves[j][1] * np.cos(between) + halves[i][0]) / np.sin(between) + fillet
        inner[i], inner[j] = max(inner[i], reach_i), max(inner[j], reach_j)
    return inner

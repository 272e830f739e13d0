"""A single-lane roundabout: a ring driven counter-clockwise, with a small junction of its own at every arm."""

import numpy as np
from jaxtyping import Float

from motorworks.geometry.array import Array
from motorworks.sim.codes import SIGN_ROUNDABOUT, SIGN_YIELD, YIELD_LINE
from motorworks.sim.curves import Line, arc, extend, join, offset, shift
from motorworks.sim.junctions import Furniture, Way, fair_bezier, set_rivals
from motorworks.sim.lane_book import SHOULDER_M, LaneBook, LaneRow
from motorworks.sim.lanes import LANE_WIDTH_M, YIELD
from motorworks.sim.roads import Arm, Island

RING_RADIUS_M = 14.0  # of the lane's centreline
ARM_RAD = 0.49  # from an arm's axis to where its exit leaves the ring, and its entry joins it
MOUTH_M = 20.4  # from the ring's centre: entries then bend with a radius of 9 m
RING_MPS = 8.0


def _ring_pose(centre: Array, angle: float) -> Float[Array, " 3"]:
    return np.array([centre[0] + RING_RADIUS_M * np.cos(angle), centre[1] + RING_RADIUS_M * np.sin(angle), angle + np.pi / 2])


def _ring_lane(book: LaneBook, line: Line, junction: int = -1, source: int = -1) -> int:
    return book.add(LaneRow(line=line, limit_mps=RING_MPS, junction=junction, source=source, on_ring=True))


def add_roundabout(book: LaneBook, furniture: Furniture, first_node: int, centre: Array, arms: list[Arm]) -> list[Line]:
    """Ring, entries and exits of arms given counter-clockwise; node ids from `first_node`. The kerbs from arm to arm."""
    count = len(arms)
    angles = [arm.pose[2] for arm in arms]
    gaps = [(angles[(i + 1) % count] - angles[i]) % (2 * np.pi) for i in range(count)]
    pieces = [arc(centre, RING_RADIUS_M, a + ARM_RAD, a + gap - ARM_RAD) for a, gap in zip(angles, gaps, strict=True)]
    ring = [_ring_lane(book, piece) for piece in pieces]  # piece i leads from arm i to arm i + 1
    entries, exits = [], []
    for i, arm in enumerate(arms):
        node, before = first_node + i, ring[i - 1]
        past = _ring_lane(book, arc(centre, RING_RADIUS_M, angles[i] - ARM_RAD, angles[i] + ARM_RAD), node, before)
        book.rows[past].next.append(ring[i])
        lane, out = arm.arriving[0], arm.leaving[0]
        enter = fair_bezier(shift(book.rows[lane].line[-1], arm.lead_m, 0.0), _ring_pose(centre, angles[i] + ARM_RAD))
        leave = fair_bezier(_ring_pose(centre, angles[i] - ARM_RAD), shift(book.rows[out].line[0], -arm.lead_m, 0.0))
        entry = book.add(LaneRow(line=extend(enter, arm.lead_m, 0.0), limit_mps=RING_MPS, junction=node, turn=-1, source=lane, control=YIELD))
        exit_ = book.add(LaneRow(line=extend(leave, 0.0, arm.lead_m), limit_mps=RING_MPS, junction=node, turn=-1, source=before))
        book.rows[entry].next.append(ring[i])
        book.rows[exit_].next.append(out)
        set_rivals(book, [Way(lane=past, start=1, end=1, turn=0), Way(lane=entry, start=0, end=1, turn=-1)], {0}, None, False)
        entries.append(enter)
        exits.append(leave)
        furniture.stop_line(arm, YIELD_LINE)
        furniture.sign(arm, SIGN_YIELD)
        furniture.sign(arm, SIGN_ROUNDABOUT, 16.0)
        tip = [arm.at(arm.lead_m, 0.0)[:2], *(_ring_pose(centre, angles[i] + side * 0.8 * ARM_RAD)[:2] for side in (1, -1))]
        furniture.strokes.append(Island(outline=np.array(tip)))
    inner = np.linspace(0.0, 2 * np.pi, 48, endpoint=False)
    radius = RING_RADIUS_M - LANE_WIDTH_M / 2 - SHOULDER_M
    furniture.strokes.append(Island(outline=centre + radius * np.column_stack([np.cos(inner), np.sin(inner)])))
    edge = LANE_WIDTH_M / 2 + SHOULDER_M
    return [offset(join(entries[i], pieces[i], exits[(i + 1) % count]), edge) for i in range(count)]

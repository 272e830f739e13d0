"""Exits and merges: a road that ends at a through road, right-out and right-in only, on long curves round an island."""

import numpy as np

from motorworks.geometry.array import Array
from motorworks.sim.codes import SIGN_YIELD, YIELD_LINE
from motorworks.sim.curves import Line, offset, shift
from motorworks.sim.junctions import Furniture, Way, add_ways, fair_bezier, set_rivals, turn_of
from motorworks.sim.lane_book import SHOULDER_M, LaneBook
from motorworks.sim.lanes import FREE, LANE_WIDTH_M, YIELD
from motorworks.sim.pavements import corner_kerb
from motorworks.sim.roads import MIDDLE_MARKS, Arm, Island, Stroke

THROUGH_MOUTH_M, STEM_MOUTH_M = 33.0, 24.0


def stem_of(arms: list[Arm]) -> int:
    """The arm with no arm opposite."""
    for index, arm in enumerate(arms):
        if all(turn_of(other.pose[2] - arm.pose[2] - np.pi) != 0 for other in arms if other is not arm):
            return index
    raise ValueError("a ramp needs an arm with no arm opposite")


def _ramp_kerb(book: LaneBook, a: Arm, b: Arm) -> Line:
    """The right edge of the way that turns right from arm to arm."""
    start, end = book.rows[a.arriving[-1]].line[-1], book.rows[b.leaving[-1]].line[0]
    return offset(fair_bezier(shift(start, a.lead_m, 0.0), shift(end, -b.lead_m, 0.0)), LANE_WIDTH_M / 2 + SHOULDER_M)


def _through_stroke(a: Arm, b: Arm) -> Stroke:
    """The through road's middle, which nobody may cross."""
    line = fair_bezier(a.at(0.0, 0.0), b.pose)
    return Stroke(line=line, num_lanes=(len(a.arriving), len(a.leaving)), parking=(False, False), lead_m=(0.0, 0.0), marks=MIDDLE_MARKS)


def add_ramp(book: LaneBook, furniture: Furniture, node: int, arms: list[Arm]) -> tuple[list[Way], list[Line]]:
    """The ways of a ramp node, and its kerbs from arm to arm."""
    stem = stem_of(arms)
    forbidden = np.eye(len(arms), dtype=bool)
    for a, arm in enumerate(arms):
        for b, other in enumerate(arms):
            forbidden[a, b] |= turn_of(other.pose[2] - arm.pose[2] - np.pi) > 0
    ways = add_ways(book, node, arms, forbidden)
    for way in ways:
        book.rows[way.lane].control = YIELD if way.start == stem else FREE
    set_rivals(book, ways, {stem}, None, False)
    furniture.stop_line(arms[stem], YIELD_LINE)
    furniture.sign(arms[stem], SIGN_YIELD)
    kerbs: list[Array] = []
    for index, arm in enumerate(arms):
        following = (index + 1) % len(arms)
        beside = stem in (index, following)
        kerbs.append(_ramp_kerb(book, arm, arms[following]) if beside else corner_kerb(arm, arms[following]))
    through = [arm for index, arm in enumerate(arms) if index != stem]
    furniture.strokes.append(Island(outline=np.concatenate([kerb[:, :2] for kerb in kerbs])))
    furniture.strokes.append(_through_stroke(*through))
    return ways, kerbs

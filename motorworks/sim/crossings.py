"""Zebras between junctions: a road is cut in two, and the short piece under the zebra is a junction of drivers and people."""

from dataclasses import replace

from motorworks.sim.codes import SIGN_CROSSING, SIGN_SCHOOL, YIELD_LINE
from motorworks.sim.curves import Line, cut, extend, length_of, offset, reverse
from motorworks.sim.junctions import Furniture
from motorworks.sim.lane_book import LaneBook, LaneRow
from motorworks.sim.lanes import LANE_WIDTH_M
from motorworks.sim.pavements import add_crosswalk
from motorworks.sim.road_graph import SCHOOL_MPS, RoadPlan
from motorworks.sim.roads import NO_MARKS, STOP_TO_ZEBRA_M, ZEBRA_M, Arm, Stroke, add_road, half_width_m, pose_on

HALF_M = STOP_TO_ZEBRA_M + ZEBRA_M / 2  # from the stop line to the zebra's middle
MIN_PIECE_M = 12.0
SCHOOL_SIGN_M = 26.0  # before the zebra


def add_crossed_road(book: LaneBook, furniture: Furniture, road: RoadPlan, line: Line, at_m: float, node: int, start: Arm, end: Arm) -> None:
    """The road's two pieces, the zebra between them at `at_m` along the line, and its signs."""
    limit = min(road.limit_mps, SCHOOL_MPS) if road.crossing == 2 else road.limit_mps
    start.limit_mps = end.limit_mps = limit
    there, back = (half_width_m(num, parks) for num, parks in zip(road.num_lanes, road.parking, strict=True))
    common = {"lead_m": HALF_M, "zebra": True, "limit_mps": limit}
    before, middle = cut(line, 0.0, at_m - HALF_M), cut(line, at_m - HALF_M, at_m + HALF_M)
    after = cut(line, at_m + HALF_M, length_of(line))
    a = Arm(pose=pose_on(line, at_m - HALF_M, backward=True), in_half_m=there, out_half_m=back, **common)
    b = Arm(pose=pose_on(line, at_m + HALF_M), in_half_m=back, out_half_m=there, **common)
    strokes = [
        add_road(book, before, road.num_lanes, road.parking, limit, start, a, extend(cut(line, 0.0, at_m), start.walk_at_m, 0.0)),
        add_road(book, after, road.num_lanes, road.parking, limit, b, end, extend(cut(line, at_m, length_of(line)), 0.0, end.walk_at_m)),
    ]
    furniture.strokes.extend([replace(strokes[0], lead_m=(start.lead_m, 0.0)), replace(strokes[1], lead_m=(0.0, end.lead_m))])
    furniture.strokes.append(Stroke(line=middle, num_lanes=road.num_lanes, parking=road.parking, lead_m=(0.0, 0.0), marks=NO_MARKS))
    ways = _add_ways(book, node, middle, a, b)
    for walk_in, walk_out in ((a.walk_in, b.walk_out), (b.walk_in, a.walk_out)):
        book.rows[walk_in[0]].next.append(walk_out[1])
        book.rows[walk_out[0]].next.append(walk_in[1])
    # on the arriving side of arm a lie a's incoming walks and b's outgoing ones
    add_crosswalk(
        book, furniture, pose_on(line, at_m), (there, back), node, ways, [a.walk_in[0], b.walk_out[0]], [a.walk_out[0], b.walk_in[0]],
        [a.walk_in[1], b.walk_out[1]], [a.walk_out[1], b.walk_in[1]], -1,
    )  # fmt: skip
    for arm, piece, backward in ((a, before, False), (b, after, True)):
        furniture.stop_line(arm, YIELD_LINE)
        furniture.sign(arm, SIGN_CROSSING)
        if road.crossing == 2 and length_of(piece) > SCHOOL_SIGN_M + 4.0:
            s = length_of(piece) - SCHOOL_SIGN_M if not backward else SCHOOL_SIGN_M
            furniture.sign_at(pose_on(piece, s, backward=backward), arm.in_half_m, SIGN_SCHOOL)


def _add_ways(book: LaneBook, node: int, middle: Line, a: Arm, b: Arm) -> list[int]:
    """Lane i leads to lane i, both ways."""
    ways = []
    for arriving, leaving, sign in ((a.arriving, b.leaving, 1.0), (b.arriving, a.leaving, -1.0)):
        for i, (lane, out) in enumerate(zip(arriving, leaving, strict=True)):
            own = LANE_WIDTH_M * (i + 0.5)
            line = offset(middle if sign > 0 else reverse(middle), own)
            source = book.rows[lane]
            way = book.add(
                LaneRow(
                    line=line, limit_mps=source.limit_mps, junction=node, source=lane, left_room_m=source.left_room_m,
                    left_own_m=source.left_own_m, right_room_m=source.right_room_m,
                )
            )  # fmt: skip
            book.rows[way].next.append(out)
            ways.append(way)
    return ways

"""Where people walk at a node: round its corners, from the pavement to the kerb, and over the road."""

import numpy as np

from motorworks.geometry.array import Array
from motorworks.sim.curves import Line, extend, offset, shift, straight
from motorworks.sim.junctions import Furniture, Way, fair_bezier, set_walk_rivals
from motorworks.sim.lane_book import LaneBook, LaneRow
from motorworks.sim.lanes import CROSSWALK, WALK
from motorworks.sim.roads import WALK_BEYOND_KERB_M, WALK_MPS, ZEBRA_M, Arm, Kerb, add_walk
from motorworks.sim.signals import Programme

LANDING_M = 1.5  # from the pavement's middle to the kerb


def corner_kerb(a: Arm, b: Arm) -> Line:
    """From the arriving side of an arm to the leaving side of the next one to the right, each where its road ends."""
    start = a.at(a.lead_m, a.in_half_m)
    return fair_bezier(start, np.array([*b.at(b.lead_m, -b.out_half_m)[:2], b.pose[2]]))


def add_corners(book: LaneBook, furniture: Furniture, arms: list[Arm], kerbs: list[Line]) -> list[tuple[int, int]]:
    """Walks round the corners: kerb i leads from arm i to arm i + 1. Lanes there and back."""
    corners = []
    for index, kerb in enumerate(kerbs):
        a, b = arms[index], arms[(index + 1) % len(arms)]
        furniture.strokes.append(Kerb(line=kerb))
        path = offset(extend(kerb, a.lead_m - a.walk_at_m, b.lead_m - b.walk_at_m), WALK_BEYOND_KERB_M)
        there, back = add_walk(book, path)
        book.rows[a.walk_in[0]].next.append(there)
        book.rows[there].next.append(b.walk_out[1])
        book.rows[b.walk_out[0]].next.append(back)
        book.rows[back].next.append(a.walk_in[1])
        corners.append((there, back))
    return corners


def add_crosswalk(
    book: LaneBook, furniture: Furniture, middle: Array, halves_m: tuple[float, float], node: int, ways: list[int], in_ends: list[int],
    out_ends: list[int], in_starts: list[int], out_starts: list[int], signal: int,
) -> None:  # fmt: skip
    """Both directions over a road, whose centre line at the zebra is `middle`, as arriving drivers look. `in_ends`: walks that end on their side.

    `in_starts`: walks that begin there; `out`: on the other side. `halves_m`: from the centre line to the kerb on their side, and on the other.
    """
    left, right = -halves_m[1], halves_m[0]
    for ends, starts, kerb, far, sign in ((in_ends, out_starts, right, left, 1.0), (out_ends, in_starts, left, right, -1.0)):
        pavement = shift(middle, 0.0, kerb + sign * WALK_BEYOND_KERB_M)[:2]
        edge = shift(middle, 0.0, kerb + sign * (WALK_BEYOND_KERB_M - LANDING_M))[:2]
        beyond = shift(middle, 0.0, far - sign * WALK_BEYOND_KERB_M)[:2]
        landing = book.add(LaneRow(line=straight(pavement, edge), limit_mps=WALK_MPS, kind=WALK, **_ROOMS))
        for lane in ends:
            book.rows[lane].next.append(landing)
        crossing = book.add(
            LaneRow(
                line=straight(edge, beyond), limit_mps=WALK_MPS, kind=WALK, junction=node, source=landing, control=CROSSWALK, signal=signal, **_ROOMS
            )
        )
        book.rows[crossing].next.extend(starts)
        set_walk_rivals(book, crossing, ways)
    furniture.crosswalks.append(np.array([*shift(middle, 0.0, left)[:2], *shift(middle, 0.0, right)[:2], ZEBRA_M, 0.0]))


_ROOMS = {"left_own_m": 1.0, "left_room_m": 1.0, "right_room_m": 1.0}


def add_crosswalks(
    book: LaneBook, furniture: Furniture, arms: list[Arm], node: int, ways: list[Way], corners: list[tuple[int, int]], programme: Programme | None
) -> None:
    """A zebra over every arm that has one. Under lights people walk while the arm is red and nobody drives straight into it."""
    walk_rows: dict[int, int] = {}
    for index, arm in enumerate(arms):
        if not arm.zebra:
            continue
        signal = -1
        if programme is not None:
            straight_in = {programme.phase_of[way.start] for way in ways if way.end == index and way.turn == 0}
            phases = set(programme.phase_of.values()) - straight_in - {programme.phase_of[index]}
            if not phases:
                continue
            phase = max(phases, key=lambda p: (programme.rows[p][2], p))
            if phase not in walk_rows:
                walk_rows[phase] = len(furniture.signals)
                furniture.signals.append(programme.walk_row(phase))
            signal = walk_rows[phase]
        there, back = corners[index]  # leaves the arriving side; comes to it
        to_here, from_here = corners[index - 1]  # comes to the leaving side; leaves it
        lanes = [way.lane for way in ways if index in (way.start, way.end)]
        add_crosswalk(
            book, furniture, arm.at(arm.walk_at_m, 0.0), (arm.in_half_m, arm.out_half_m), node, lanes, [arm.walk_in[0], back],
            [arm.walk_out[0], to_here], [arm.walk_in[1], there], [arm.walk_out[1], from_here], signal,
        )  # fmt: skip

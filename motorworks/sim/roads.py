"""Roads as geometry: centrelines, cross-sections, lanes and pavements, and the arms by which they meet a node."""

import itertools
from dataclasses import dataclass

import msgspec
import numpy as np
from jaxtyping import Float

from motorworks.geometry.array import Array
from motorworks.sim.curves import Line, extend, offset, reverse, shift
from motorworks.sim.lane_book import SHOULDER_M, LaneBook, LaneRow
from motorworks.sim.lanes import LANE_WIDTH_M, WALK

PARKING_M = 2.3
WALK_BEYOND_KERB_M = 1.8
WALK_MPS = 1.4
ZEBRA_M = 3.0  # along the road
STOP_TO_ZEBRA_M = 1.2
LEAD_M = 4.7  # from the stop line through the zebra to the junction's own area
PLAIN_LEAD_M = 0.6  # where there is no zebra
NO_MARKS, MIDDLE_MARKS, ALL_MARKS = range(3)


def half_width_m(num_lanes: int, parking: bool) -> float:
    """From a road's centre line to its kerb."""
    return num_lanes * LANE_WIDTH_M + parking * PARKING_M + SHOULDER_M


@dataclass(frozen=True, kw_only=True)
class Stroke:
    """A piece of road to paint, with its markings."""

    line: Float[Array, "point 4"]  # centre line from stop line to stop line
    num_lanes: tuple[int, int]  # right of the line, left of it
    parking: tuple[bool, bool]
    lead_m: tuple[float, float]  # bare asphalt beyond the ends
    marks: int = ALL_MARKS
    lane_m: float = LANE_WIDTH_M

    @property
    def halves_m(self) -> tuple[float, float]:
        """From the line to the kerb on its right, and on its left."""
        right, left = (num * self.lane_m + parks * PARKING_M + SHOULDER_M for num, parks in zip(self.num_lanes, self.parking, strict=True))
        return right, left


@dataclass(frozen=True, kw_only=True)
class Kerb:
    """A kerb with a pavement on its right, to paint."""

    line: Line


@dataclass(frozen=True, kw_only=True)
class Island:
    """What is not for driving inside a junction: painted before the ways through it, which cut its shape."""

    outline: Float[Array, "vertex 2"]


def pose_on(line: Line, at_m: float, *, backward: bool = False) -> Float[Array, " 3"]:
    """The pose at a distance along a line, or the one that looks back."""
    s = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(line[:, 0]), np.diff(line[:, 1])))])
    pose = np.array([np.interp(at_m, s, line[:, k]) for k in range(3)])
    pose[2] += np.pi * backward
    return pose


class Arm(msgspec.Struct, kw_only=True):
    """One road's end at a node. `pose` stands on the centre line at the stop line and looks away from the node."""

    pose: Float[Array, " 3"]
    lead_m: float
    zebra: bool
    limit_mps: float
    in_half_m: float  # centre line to the kerb right of those who arrive
    out_half_m: float
    arriving: list[int] = msgspec.field(default_factory=list)  # lanes, left to right
    leaving: list[int] = msgspec.field(default_factory=list)
    walk_in: tuple[int, int] = (-1, -1)  # on the arriving side: the pavement lane that ends here, the one that begins here
    walk_out: tuple[int, int] = (-1, -1)
    approach: Line | None = None  # the centre line that comes here, for signs before the stop line

    def at(self, inward_m: float, right_m: float) -> Float[Array, " 3"]:
        """A pose as those who arrive look, `inward_m` beyond the stop line and `right_m` right of the centre line."""
        back = np.array([self.pose[0], self.pose[1], self.pose[2] + np.pi])
        return shift(back, inward_m, right_m)

    @property
    def walk_at_m(self) -> float:
        """How far beyond the stop line the pavements end: on the zebra's middle."""
        return STOP_TO_ZEBRA_M + ZEBRA_M / 2 if self.zebra else 0.0


def add_road(
    book: LaneBook, centre: Line, num_lanes: tuple[int, int], parking: tuple[bool, bool], limit_mps: float, start: Arm, end: Arm,
    walked: Line | None = None,
) -> Stroke:  # fmt: skip
    """Enter a road's lanes and pavements, and hand them to its two arms. `walked`: the centre line as far as the pavements go, if it bends there."""
    walks = []
    if walked is None:
        walked = extend(centre, start.walk_at_m, end.walk_at_m)
    for side, line, beside, near, far in ((0, centre, walked, start, end), (1, reverse(centre), reverse(walked), end, start)):
        num, half, other = num_lanes[side], half_width_m(num_lanes[side], parking[side]), half_width_m(num_lanes[1 - side], parking[1 - side])
        ids = []
        for i in range(num):
            own = LANE_WIDTH_M * (i + 0.5)
            row = LaneRow(line=offset(line, own), limit_mps=limit_mps, left_own_m=own, left_room_m=own + other, right_room_m=half - own)
            ids.append(book.add(row))
        for a, b in itertools.pairwise(ids):
            book.rows[a].right, book.rows[b].left = b, a
        near.leaving, far.arriving = ids, ids
        walks.append(add_walk(book, offset(beside, half + WALK_BEYOND_KERB_M)))
    there, back = start.leaving, end.leaving
    for lanes, facing in ((there, back), (back, there)):
        for lane in lanes:
            book.rows[lane].opposite = facing[0]
    # a pavement's first lane goes with the traffic beside it
    end.walk_in, start.walk_out = walks[0], walks[0][::-1]
    start.walk_in, end.walk_out = walks[1], walks[1][::-1]
    return Stroke(line=centre, num_lanes=num_lanes, parking=parking, lead_m=(start.lead_m, end.lead_m))


def add_walk(book: LaneBook, path: Line) -> tuple[int, int]:
    """A piece of pavement, both ways: the lane along the line, and the one back."""
    ids = []
    for line in (path, reverse(path)):
        row = LaneRow(line=line, limit_mps=WALK_MPS, kind=WALK, left_own_m=1.0, left_room_m=1.0, right_room_m=1.0)
        ids.append(book.add(row))
    book.rows[ids[0]].opposite, book.rows[ids[1]].opposite = ids[1], ids[0]
    return ids[0], ids[1]

"""Where on a route something can be staged."""

import numpy as np
from jaxtyping import Float

from motorworks.datatypes.agent import CAR
from motorworks.geometry.array import Array
from motorworks.sim.lanes import Lanes
from motorworks.sim.route import CONNECTOR, ENTRY, LANE, LANE_S, WORD, YAW, Route, X, Y
from motorworks.sim.staging import Stage


def lane_and_s(route: Route, at_m: float) -> tuple[int, float]:
    """The lane at a distance along the route, and the place on it."""
    row = route.points[int(at_m)]
    return int(row[LANE]), float(row[LANE_S])


def beside_route(route: Route, at_m: float, left_m: float) -> Float[Array, " 3"]:
    """World pose at a distance along the route, `left_m` to its left, facing along it."""
    row = route.points[int(at_m)]
    return np.array([row[X] - left_m * np.sin(row[YAW]), row[Y] + left_m * np.cos(row[YAW]), row[YAW]])


def right_edge_m(stage: Stage, at_m: float) -> float:
    """From the route's centreline to the right end of the pavement, at a distance along the route."""
    lane, _ = lane_and_s(stage.route, at_m)
    return float(stage.town.network.lanes.right_room[lane])


def find_stretch(
    stage: Stage, low_m: float, high_m: float, length_m: float, *, beside: bool = False, oncoming: bool = False, straight: bool = True
) -> float:
    """Start of the first `length_m` of one lane between two distances along the route; `beside`: another lane of our direction lies beside it,
    `oncoming`: the lane on its left is an oncoming one."""
    lanes = stage.town.network.lanes

    def first(route: Route) -> float | None:
        for at in np.arange(low_m, high_m, 4.0):
            lane, _ = lane_and_s(route, float(at))
            alone = lanes.left[lane] < 0 and lanes.opposite[lane] >= 0
            if (alone or not oncoming) and _fits(lanes, route, float(at), length_m, beside, straight):
                return float(at)
        return None

    if first(stage.route) is None:
        kind = "multi-lane " if beside else "two-way " if oncoming else ""
        what = f"{length_m:.0f} m of {kind}road between {low_m:.0f} and {high_m:.0f} m"
        stage.find_route(lambda route: first(route) is not None, what)
    found = first(stage.route)
    assert found is not None
    return found


def _fits(lanes: Lanes, route: Route, at_m: float, length_m: float, beside: bool, straight: bool) -> bool:
    rows = route.points[int(at_m) : int(at_m + length_m) + 1]
    lane = int(rows[0, LANE])
    if lanes.source[lane] >= 0 or (rows[:, LANE] != lane).any() or (straight and np.ptp(rows[:, YAW]) > 0.35):
        return False
    if rows[0, LANE_S] < (14.0 if at_m > 15.0 else 1.0) or lanes.length[lane] - rows[-1, LANE_S] < 6.0:  # junctions are another test
        return False
    if (rows[:, WORD] >= 6).any():  # a lane change ahead would mix two tests
        return False
    return not beside or lanes.left[lane] >= 0 or lanes.right[lane] >= 0


def place_oncoming(stage: Stage, at_m: float, num: int, gap_m: float) -> None:
    """A row of oncoming vehicles that begins beside a place on the route; as many as the road has room for."""
    lanes = stage.town.network.lanes
    lane, s = lane_and_s(stage.route, at_m)
    other = int(lanes.opposite[lane])
    if other < 0:
        return
    at = lanes.length[other] * (1.0 - s / lanes.length[lane])
    for _ in range(num):
        if not 4.0 < at < lanes.length[other] - 6.0:
            return
        slot = stage.crowd.add(CAR, other, float(at))
        stage.agents.speed[slot] = 0.7 * lanes.limit[other]
        at -= gap_m


def find_junction(
    stage: Stage, what: str, *, controls: tuple[int, ...] = (), turns: tuple[int, ...] = (), low_m: float = 30.0, high_m: float = 150.0
) -> tuple[float, int]:
    """Distance to the line, and the connector, of the first junction on a route that has one of the controls and turns."""
    lanes = stage.town.network.lanes

    def first(route: Route) -> tuple[float, int] | None:
        entry, connector = float(route.points[0, ENTRY]), int(route.points[0, CONNECTOR])
        fits = connector >= 0 and low_m < entry < high_m
        fits = fits and (not controls or int(lanes.control[connector]) in controls) and (not turns or int(lanes.turn[connector]) in turns)
        return (entry, connector) if fits else None

    if first(stage.route) is None:
        stage.find_route(lambda route: first(route) is not None, what)
    found = first(stage.route)
    assert found is not None
    return found

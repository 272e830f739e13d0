"""SUMO's sidewalks, walking areas and crossings as a town's walks."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from motorworks.geometry.array import Array
from motorworks.sim.curves import smooth_line, straight
from motorworks.sim.junctions import Furniture, set_walk_rivals
from motorworks.sim.lane_book import LaneBook, LaneRow
from motorworks.sim.lanes import CROSSWALK, WALK
from motorworks.sim.roads import WALK_MPS, add_walk
from motorworks.sim.sumo_net import CROSSING, ROAD, WALKINGAREA, Net
from motorworks.sim.sumo_signals import SignalTable

LANDING_M = 0.8
_ROOMS = {"left_own_m": 1.0, "left_room_m": 1.0, "right_room_m": 1.0}


@dataclass(frozen=True, kw_only=True)
class _Port:
    """Where walks meet a walking area: a lane that ends there, a lane that begins there."""

    ends: int
    begins: int
    at: Array


def _crossing(
    net: Net, book: LaneBook, furniture: Furniture, ways: list[int], shape: Array, width_m: float, node: int, signal: int
) -> tuple[_Port, _Port]:  # fmt: skip
    """Both directions over a road; the ports at the two ends of the shape."""
    a, b = shape[0], shape[-1]
    along = (b - a) / max(np.hypot(*(b - a)), 1e-6)
    outer = (a - LANDING_M * along, b + LANDING_M * along)
    lanes = []
    for kerb, start, end in ((a, outer[0], outer[1]), (b, outer[1], outer[0])):
        landing = book.add(LaneRow(line=straight(start, kerb), limit_mps=WALK_MPS, kind=WALK, **_ROOMS))
        row = LaneRow(
            line=straight(kerb, end), limit_mps=WALK_MPS, kind=WALK, junction=node, source=landing, control=CROSSWALK, signal=signal, **_ROOMS
        )
        crossing = book.add(row)
        set_walk_rivals(book, crossing, ways)
        lanes.append((landing, crossing))
    furniture.crosswalks.append(np.array([*a, *b, min(width_m, 3.5), 0.0]))
    return _Port(ends=lanes[1][1], begins=lanes[0][0], at=outer[0]), _Port(ends=lanes[0][1], begins=lanes[1][0], at=outer[1])


def add_walks(
    net: Net, book: LaneBook, furniture: Furniture, signals: SignalTable, local: Callable[[Array], Array], node: Callable[[str], int], ways: list[int]
) -> None:  # fmt: skip
    """Sidewalks both ways, crossings, and links between all that meet in a walking area. Who comes to an end turns round."""
    ports: dict[str, list[_Port]] = {}
    areas = {edge.lanes[0].name for edge in net.edges.values() if edge.function == WALKINGAREA and edge.lanes}
    walked = {lane.name: lane for edge in net.edges.values() if edge.function == ROAD for lane in edge.lanes if lane.walks}
    ends: dict[str, tuple[_Port, _Port]] = {}  # at the shape's start, at its end
    for name, lane in walked.items():
        shape = local(lane.shape)
        there, back = add_walk(book, smooth_line(shape))
        ends[name] = (_Port(ends=back, begins=there, at=shape[0]), _Port(ends=there, begins=back, at=shape[-1]))
    lights = {c.end: (c.light, c.link) for c in net.connections if c.start in areas and c.light}
    for edge in net.edges.values():
        if edge.function == CROSSING and edge.lanes:
            lane, junction = edge.lanes[0], edge.name[1:].rsplit("_", 1)[0]
            signal = signals.row(*lights.get(lane.name, ("", -1)))
            ends[lane.name] = _crossing(net, book, furniture, ways, local(lane.shape), lane.width_m, node(junction), signal)
    for c in net.connections:
        if c.start in areas and c.end in ends:
            ports.setdefault(c.start, []).append(ends[c.end][0])
        elif c.end in areas and c.start in ends:
            ports.setdefault(c.end, []).append(ends[c.start][1])
    for name in sorted(ports):
        _link(book, ports[name])
    for start, end in ends.values():
        for port in (start, end):
            if not book.rows[port.ends].next:
                book.rows[port.ends].next.append(port.begins)


def _link(book: LaneBook, ports: list[_Port]) -> None:
    """A walk from every port of an area to every other."""
    unique = list({port.ends: port for port in ports}.values())
    for a in unique:
        for b in unique:
            if a is b or len(book.rows[a.ends].next) >= 5:
                continue
            line = straight(a.at, b.at) if np.hypot(*(a.at - b.at)) > 0.05 else None
            if line is None:
                book.rows[a.ends].next.append(b.begins)
                continue
            link = book.add(LaneRow(line=line, limit_mps=WALK_MPS, kind=WALK, **_ROOMS))
            book.rows[a.ends].next.append(link)
            book.rows[link].next.append(b.begins)

"""Road networks of others: a SUMO .net.xml, or an OpenDRIVE .xodr by way of SUMO's netconvert, becomes a Network; `furnish` paints it.

Lanes stop short of the junctions, so that turns have a radius that a car can steer. What leads nowhere, or back by a U-turn only, is left out.
"""

import importlib
import os
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from motorworks.geometry.array import Array
from motorworks.sim.codes import SIGN_STOP, SIGN_YIELD, STOP_LINE, YIELD_LINE
from motorworks.sim.curves import Line, cut, length_of, offset, smooth_line
from motorworks.sim.junctions import Furniture, fair_bezier
from motorworks.sim.lane_book import SHOULDER_M, LaneBook, LaneRow
from motorworks.sim.lanes import ALL_STOP, FREE, LIGHT, STOP, YIELD, Network
from motorworks.sim.network import MAX_SIZE_M, finish_network
from motorworks.sim.roads import Kerb, Stroke
from motorworks.sim.sumo_net import ROAD, Net, NetConnection, NetEdge, read_net
from motorworks.sim.sumo_signals import SignalTable
from motorworks.sim.sumo_walks import add_walks

BORDER_M = 30.0
SHORT_OF_JUNCTION_M, MOST_FRAC = 4.5, 0.25  # how far a lane stops before its end in the file, and after its start
MIN_LANE_M = 4.0
MAX_CURVATURE_PER_M = 0.2  # what the car can steer
TURNS = {"l": 1, "L": 1, "r": -1, "R": -1}
CONTROLS = {"m": YIELD, "=": YIELD, "s": STOP, "w": ALL_STOP}  # of a connection's state; others are free


def _onward(net: Net) -> list[NetConnection]:
    """Connections between car lanes of roads, each with the last of its internal lanes as `via`: the one that requests are about."""
    roads = {lane.name for edge in net.edges.values() if edge.function == ROAD for lane in edge.lanes if lane.drives}
    inner = {c.start: c.via for c in net.connections if c.start.startswith(":") and c.via}
    out = []
    for c in net.connections:
        if c.start in roads and c.end in roads and c.direction != "t":
            via = c.via
            while via in inner:
                via = inner[via]
            out.append(replace(c, via=via))
    return out


def _reach(neighbours: dict[str, set[str]], start: str) -> set[str]:
    seen, todo = {start}, [start]
    while todo:
        for name in neighbours.get(todo.pop(), ()):
            if name not in seen:
                seen.add(name)
                todo.append(name)
    return seen


def _driven(net: Net, connections: list[NetConnection]) -> set[str]:
    """Lanes of the largest part of the net where every lane can be reached from every other and leads on by itself."""
    alive = {lane for c in connections for lane in (c.start, c.end)}
    while True:
        leads = {c.start for c in connections if c.start in alive and c.end in alive}
        onward: dict[str, set[str]] = {}
        for c in connections:
            if {c.start, c.end} <= leads:
                onward.setdefault(c.start, set()).add(c.end)
        for edge in net.edges.values():
            for a, b in zip(edge.lanes, edge.lanes[1:], strict=False):
                if {a.name, b.name} <= leads:
                    onward.setdefault(a.name, set()).add(b.name)
                    onward.setdefault(b.name, set()).add(a.name)
        backward: dict[str, set[str]] = {}
        for a_name, following in onward.items():
            for b_name in following:
                backward.setdefault(b_name, set()).add(a_name)
        best: set[str] = set()
        left = set(leads)
        while left:
            part = _reach(onward, min(left)) & _reach(backward, min(left))
            best = max(best, part, key=len)
            left -= part
        if best == alive or not best:
            return best
        alive = best


def _add_roads(net: Net, book: LaneBook, furniture: Furniture, local: dict[str, Line], driven: set[str]) -> dict[str, int]:
    """Lanes, and what is painted of each road. Lane ids by name."""
    ids: dict[str, int] = {}
    for edge in sorted(net.edges.values(), key=lambda edge: edge.name):
        lanes = [lane for lane in edge.lanes[::-1] if lane.drives]  # left to right
        if edge.function != ROAD or not lanes:
            continue
        other = _facing(net, edge)
        facing_m = sum(lane.width_m for lane in other.lanes if lane.drives) if other else 0.0
        total, own = sum(lane.width_m for lane in lanes), 0.0
        before = -1
        for lane in lanes:
            line, middle = local[lane.name], own + lane.width_m / 2
            own += lane.width_m
            if lane.name not in driven:
                before = -1
                continue
            row = LaneRow(
                line=line, limit_mps=lane.limit_mps, left=before, left_own_m=middle, left_room_m=middle + facing_m + SHOULDER_M,
                right_room_m=total - middle + SHOULDER_M, on_ring=edge.name in net.ring_edges,
            )  # fmt: skip
            ids[lane.name] = book.add(row)
            if before >= 0:
                book.rows[before].right = ids[lane.name]
            before = ids[lane.name]
        width = total / len(lanes)
        left_edge = offset(local["*" + lanes[0].name], -lanes[0].width_m / 2)
        furniture.strokes.append(Stroke(line=left_edge, num_lanes=(len(lanes), 0), parking=(False, False), lead_m=(0.0, 0.0), lane_m=width))
        if any(lane.walks for lane in edge.lanes):
            furniture.strokes.append(Kerb(line=offset(left_edge, total + SHOULDER_M)))
    for edge in net.edges.values():
        other = _facing(net, edge)
        if other is not None:
            facing = [ids[lane.name] for lane in other.lanes[::-1] if lane.name in ids]
            for lane in edge.lanes:
                if lane.name in ids and facing:
                    book.rows[ids[lane.name]].opposite = facing[0]
    return ids


def _facing(net: Net, edge: NetEdge) -> NetEdge | None:
    """The road back beside a road: from its end to its start, and near it."""
    if edge.function != ROAD:
        return None
    for other in net.edges.values():
        if other.function == ROAD and other.start == edge.end and other.end == edge.start and other.name != edge.name:
            a, b = edge.lanes[-1], other.lanes[-1]
            if np.hypot(*(a.shape[0] - b.shape[-1])) < a.width_m + b.width_m and np.hypot(*(a.shape[-1] - b.shape[0])) < a.width_m + b.width_m:
                return other
    return None


def _between(a: Array, b: Array) -> Line:
    return fair_bezier(a[:3], b[:3])


def _add_connectors(
    net: Net, book: LaneBook, signals: SignalTable, connections: list[NetConnection], ids: dict[str, int], nodes: dict[str, int]
) -> dict[str, int]:
    """A connector for each connection, with its rivals; ids by internal lane."""
    by_via: dict[str, int] = {}
    for index, c in enumerate(connections):
        start, end = ids[c.start], ids[c.end]
        a, b = book.rows[start], book.rows[end]
        signal = signals.row(c.light, c.link)
        control = LIGHT if signal >= 0 else CONTROLS.get(c.state, FREE)
        row = LaneRow(
            line=_between(a.line[-1], b.line[0]), limit_mps=min(a.limit_mps, b.limit_mps), junction=nodes[net.edges[net.lanes[c.start].edge].end],
            turn=TURNS.get(c.direction, 0), source=start, control=control, signal=signal, on_ring=a.on_ring and b.on_ring,
        )  # fmt: skip
        connector = book.add(row)
        book.rows[connector].next.append(end)
        by_via[c.via or f"*{index}"] = connector
    for via, connector in by_via.items():
        if via not in net.requests:
            continue
        junction, _, response, foes = net.requests[via]
        for other, rival in by_via.items():
            if rival >= connector or net.requests.get(other, ("",))[0] != junction or book.rows[rival].source == book.rows[connector].source:
                continue
            _, index, other_response, other_foes = net.requests[other]
            own = net.requests[via][1]
            if not (_bit(foes, index) or _bit(other_foes, own)):
                continue
            yields, is_yielded = _bit(response, index), _bit(other_response, own)
            first_come = (yields and is_yielded) or book.rows[connector].control == ALL_STOP
            book.rivalry(connector, rival, yields and not first_come, is_yielded and not first_come)
    return by_via


def _bit(bits: str, index: int) -> bool:
    """Link 0 is written last."""
    return index < len(bits) and bits[-1 - index] == "1"


def _add_signs(net: Net, book: LaneBook, furniture: Furniture, ids: dict[str, int]) -> None:
    """Stop lines, signs and signal heads where a lane's connectors are ruled."""
    for name, lane in ids.items():
        ruled = [book.rows[way] for way in book.rows[lane].next if book.rows[way].control != FREE]
        if not ruled:
            continue
        width, pose, control = net.lanes[name].width_m, book.rows[lane].line[-1, :3], ruled[0].control
        furniture.stop_lines.append(np.array([*pose, width, YIELD_LINE if control == YIELD else STOP_LINE]))
        if book.rows[lane].right >= 0:
            continue
        if control == LIGHT:
            furniture.signal_head(tuple(pose), 0.3, width / 2 + SHOULDER_M + 0.55, ruled[0].signal)
        else:
            furniture.sign_at(pose, width / 2 + SHOULDER_M, SIGN_YIELD if control == YIELD else SIGN_STOP)


def _add_outlines(net: Net, furniture: Furniture, origin: Array) -> None:
    """Junction areas, with a kerb round each that the roads cut."""
    for outline in net.outlines.values():
        ring = outline - origin
        area = np.sum(ring[:, 0] * np.roll(ring[:, 1], -1) - np.roll(ring[:, 0], -1) * ring[:, 1])
        ring = ring if area > 0 else ring[::-1]  # counter-clockwise: outside is on the right
        furniture.outlines.append(ring)
        for a, b in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            if np.hypot(*(b - a)) > 0.3:
                furniture.strokes.append(Kerb(line=smooth_line(np.array([a, b]))))


def network_of(net: Net) -> Network:
    """The town's form of a net. ValueError where nothing of it can be driven, or it is too large."""
    shapes = np.concatenate([lane.shape for edge in net.edges.values() if edge.function == ROAD for lane in edge.lanes])
    origin, size = shapes.min(axis=0) - BORDER_M, np.ptp(shapes, axis=0) + 2 * BORDER_M
    if size.max() > MAX_SIZE_M:
        raise net.error(
            f"<net> spans {size[0]:.0f} x {size[1]:.0f} m with its border, {MAX_SIZE_M:.0f} m fit", "cut it: netconvert --keep-edges.in-boundary"
        )
    lines: dict[str, Line] = {}
    for lane in net.lanes.values():
        if lane.drives and not lane.edge.startswith(":"):
            whole = smooth_line(lane.shape - origin)
            length = length_of(whole)
            short = min(SHORT_OF_JUNCTION_M, MOST_FRAC * length)
            lines[lane.name], lines["*" + lane.name] = cut(whole, short, length - short), whole
    usable = [c for c in _onward(net) if min(length_of(lines[c.start]), length_of(lines[c.end])) > MIN_LANE_M / 2]
    usable = [c for c in usable if np.abs(_between(lines[c.start][-1], lines[c.end][0])[:, 3]).max() <= MAX_CURVATURE_PER_M]
    driven = _driven(net, usable)
    if not driven:
        raise net.error("<net> has no roads that lead round to their start", "keep a larger area, so that cars need not turn back at a dead end")
    book, furniture, signals = LaneBook(), Furniture(), SignalTable(net)
    names = sorted({edge.start for edge in net.edges.values()} | {edge.end for edge in net.edges.values()} | set(net.outlines))
    nodes = {name: index for index, name in enumerate(names)}
    ids = _add_roads(net, book, furniture, lines, driven)
    ways = _add_connectors(net, book, signals, [c for c in usable if {c.start, c.end} <= driven], ids, nodes)
    add_walks(net, book, furniture, signals, lambda shape: shape - origin, lambda name: nodes[name], list(ways.values()))
    _add_outlines(net, furniture, origin)
    _add_signs(net, book, furniture, ids)
    furniture.signals.extend(signals.rows)
    name = net.path.name.removesuffix(".xml").removesuffix(".net").removesuffix(".xodr")
    return finish_network(name, book, furniture, (float(size[0]), float(size[1])))


def sumo_tool(tool: str) -> Path:
    """A program of the eclipse-sumo package. ValueError where it is not installed."""
    try:
        home = Path(importlib.import_module("sumo").SUMO_HOME)
    except ImportError as error:
        raise ValueError(f"{tool} is not installed; install the [sumo] extra: pip install 'motorworks[sumo]'") from error
    return home / "bin" / tool


def _from_opendrive(path: Path) -> Net:
    """What netconvert makes of a .xodr."""
    tool = sumo_tool("netconvert")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / f"{path.stem}.net.xml"
        command = [str(tool), "--opendrive-files", str(path), "--output-file", str(out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "SUMO_HOME": str(tool.parents[1])})
        if done.returncode or not out.exists():
            said = next((line for line in done.stderr.splitlines() if line.startswith("Error")), "no message")
            raise ValueError(f"{path}: <OpenDRIVE> was refused by netconvert ({said}); mend the file")
        return read_net(out)


def import_network(path: Path | str) -> Network:
    """A file's roads as a Network named after the file. ValueError naming file, element and fix where it is broken."""
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: no such file; give a SUMO .net.xml or an OpenDRIVE .xodr")
    return network_of(_from_opendrive(path) if path.suffix == ".xodr" else read_net(path))

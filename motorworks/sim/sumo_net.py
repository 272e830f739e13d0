"""Reads a SUMO `.net.xml` into plain records. Format: https://sumo.dlr.de/docs/Networks/SUMO_Road_Networks.html."""

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float

from motorworks.geometry.array import Array

ROAD, INTERNAL, CROSSING, WALKINGAREA = "normal", "internal", "crossing", "walkingarea"


@dataclass(frozen=True, kw_only=True)
class NetLane:
    """A lane as written: index 0 is the rightmost of its edge."""

    name: str
    edge: str
    index: int
    limit_mps: float
    width_m: float
    drives: bool
    walks: bool
    shape: Float[Array, "point 2"]


@dataclass(frozen=True, kw_only=True)
class NetEdge:
    """An edge and its lanes, rightmost first."""

    name: str
    function: str
    start: str
    end: str
    lanes: tuple[NetLane, ...]


@dataclass(frozen=True, kw_only=True)
class NetConnection:
    """From lane to lane, through the internal lane `via`; `light` and `link` where a light rules it."""

    start: str
    end: str
    via: str
    direction: str
    state: str
    light: str
    link: int


@dataclass(frozen=True, kw_only=True)
class Net:
    """What a town needs of a net file."""

    path: Path
    edges: dict[str, NetEdge] = field(default_factory=dict)
    lanes: dict[str, NetLane] = field(default_factory=dict)
    connections: list[NetConnection] = field(default_factory=list)
    requests: dict[str, tuple[str, int, str, str]] = field(default_factory=dict)  # internal lane: junction, index, response, foes
    outlines: dict[str, Array] = field(default_factory=dict)
    programmes: dict[str, tuple[float, list[tuple[float, str]]]] = field(default_factory=dict)  # offset, (seconds, states)
    ring_edges: set[str] = field(default_factory=set)

    def error(self, element: str, fix: str) -> ValueError:
        """What is wrong where, and what to do."""
        return ValueError(f"{self.path}: {element}; {fix}")


def _points(net: Net, text: str, element: str, least: int) -> Array:
    try:
        points = np.array([[float(v) for v in pair.split(",")[:2]] for pair in text.split()]).reshape(-1, 2)
    except ValueError as error:
        raise net.error(f"{element} has the shape {text[:40]!r}", "write it as x,y pairs; regenerate the file with netconvert") from error
    if len(points) < least or not np.isfinite(points).all():
        raise net.error(f"{element} has the shape {text[:40]!r}", f"give it at least {least} finite points; regenerate the file with netconvert")
    return points


def _number(net: Net, element: ElementTree.Element, key: str, default: str | None = None) -> float:
    text = element.get(key, default)
    name = f"<{element.tag} id={element.get('id')!r}>"
    try:
        value = float(text if text is not None else "missing")
    except ValueError as error:
        raise net.error(f"{name} has {key}={text!r}", "write a number; regenerate the file with netconvert") from error
    if not np.isfinite(value):
        raise net.error(f"{name} has {key}={text!r}", "write a finite number")
    return value


def _allows(element: ElementTree.Element, kind: str) -> bool:
    if element.get("allow") is not None:
        return bool({kind, "all"} & set(element.get("allow", "").split()))
    return not {kind, "all"} & set(element.get("disallow", "").split())


def _read_edge(net: Net, element: ElementTree.Element) -> None:
    name, lanes = element.get("id", ""), []
    for lane in element.findall("lane"):
        drives = _allows(lane, "passenger")
        lanes.append(
            NetLane(
                name=lane.get("id", ""),
                edge=name,
                index=int(_number(net, lane, "index")),
                limit_mps=_number(net, lane, "speed"),
                width_m=_number(net, lane, "width", "3.2"),
                drives=drives,
                walks=not drives and _allows(lane, "pedestrian"),
                shape=_points(net, lane.get("shape", ""), f"<lane id={lane.get('id')!r}>", 1 if name.startswith(":") else 2),
            )
        )
    edge = NetEdge(
        name=name, function=element.get("function", ROAD), start=element.get("from", ""), end=element.get("to", ""),
        lanes=tuple(sorted(lanes, key=lambda lane: lane.index)),
    )  # fmt: skip
    net.edges[name] = edge
    net.lanes.update({lane.name: lane for lane in lanes})


def _read_connection(net: Net, element: ElementTree.Element) -> None:
    start, end = (f"{element.get(a)}_{element.get(b)}" for a, b in (("from", "fromLane"), ("to", "toLane")))
    via = element.get("via", "")
    for lane in (start, end, *([via] if via else [])):
        if lane not in net.lanes:
            raise net.error(
                f"<connection from={element.get('from')!r} to={element.get('to')!r}> names the lane {lane!r}, which is not in the file",
                "add the lane or drop the connection; regenerate the file with netconvert",
            )
    link = int(_number(net, element, "linkIndex", "-1"))
    net.connections.append(
        NetConnection(
            start=start, end=end, via=via, direction=element.get("dir", "s"), state=element.get("state", "M"), light=element.get("tl", ""), link=link
        )
    )


def _read_junction(net: Net, element: ElementTree.Element) -> None:
    name = element.get("id", "")
    if element.get("type") == "internal":
        return
    inside = element.get("intLanes", "").split()
    for request in element.findall("request"):
        index = int(_number(net, request, "index"))
        if index >= len(inside):
            raise net.error(f"<junction id={name!r}> has a request {index} but {len(inside)} intLanes", "regenerate the file with netconvert")
        net.requests[inside[index]] = (name, index, request.get("response", ""), request.get("foes", ""))
    if len(element.get("shape", "").split()) > 2:
        net.outlines[name] = _points(net, element.get("shape", ""), f"<junction id={name!r}>", 3)


def _read_programme(net: Net, element: ElementTree.Element) -> None:
    name = element.get("id", "")
    if name in net.programmes:  # alternatives to the first one
        return
    phases = [(_number(net, phase, "duration"), phase.get("state", "")) for phase in element.findall("phase")]
    if not phases or len({len(state) for _, state in phases}) > 1 or sum(duration for duration, _ in phases) < 1.0:
        raise net.error(
            f"<tlLogic id={name!r}> has {len(phases)} phases of unlike states or no duration", "give every phase a duration and one state a link"
        )
    net.programmes[name] = (_number(net, element, "offset", "0"), phases)


def read_net(path: Path) -> Net:
    """The records of a net file. ValueError naming file, element and fix where it is broken."""
    net = Net(path=path)
    try:
        root = ElementTree.parse(path).getroot()
    except FileNotFoundError as error:
        raise net.error("no such file", "check the path") from error
    except ElementTree.ParseError as error:
        raise net.error(f"not well-formed XML ({error})", "the file is cut off or not a net; regenerate it with netconvert") from error
    if root.tag != "net":
        raise net.error(f"its root is <{root.tag}>, not <net>", "convert it first: netconvert ... -o town.net.xml")
    if root.get("lefthand") in ("true", "1"):
        raise net.error("<net lefthand> drives on the left", "this town drives on the right; convert with --lefthand false")
    for element in root.findall("edge"):
        _read_edge(net, element)
    for element in root.findall("connection"):
        _read_connection(net, element)
    for element in root.findall("junction"):
        _read_junction(net, element)
    for element in root.findall("tlLogic"):
        _read_programme(net, element)
    for element in root.findall("roundabout"):
        net.ring_edges |= set(element.get("edges", "").split())
    if not any(lane.drives for edge in net.edges.values() if edge.function == ROAD for lane in edge.lanes):
        raise net.error("no <edge> with a lane for passenger cars", "keep some roads: netconvert --keep-edges.by-vclass passenger")
    return net

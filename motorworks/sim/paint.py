"""A town painted from above: what the camera samples, and where one may drive in which direction."""

import numpy as np
from jaxtyping import Int8, UInt8

from motorworks.geometry.array import Array
from motorworks.sim.arrows import lane_arrows
from motorworks.sim.codes import (
    ASPHALT,
    GRASS,
    HEADING_M_PER_PX,
    HEADING_SCALE,
    ISLAND,
    JUNCTION,
    JUNCTION_CODE,
    KERB,
    OFF_CODE,
    PAINT_M_PER_PX,
    PARKING,
    PAVEMENT,
    VERGE,
    WHITE,
    YELLOW,
    YIELD_LINE,
)
from motorworks.sim.curves import extend, length_of, straight
from motorworks.sim.lane_book import SHOULDER_M
from motorworks.sim.lanes import DRIVE, LANE_WIDTH_M, Network
from motorworks.sim.raster import fill_polygon, fill_ribbon
from motorworks.sim.roads import MIDDLE_MARKS, NO_MARKS, PARKING_M, Island, Kerb, Stroke

PAVEMENT_M, VERGE_M, KERB_M = 3.2, 4.2, 0.3  # from the kerb line outwards
NO_BAYS_M = 9.0  # before a stop line
END = 1e9


class Brush:
    """Fills one grid; lines are `[point, 3+]` x, y, yaw."""

    def __init__(self, size_m: tuple[float, float], m_per_px: float, background: int, kind: type) -> None:
        self.grid = np.full((int(size_m[1] / m_per_px), int(size_m[0] / m_per_px)), background, kind)
        self._m_per_px, self._quad = m_per_px, np.zeros((4, 2))

    def ribbon(
        self, line: Array, low_m: float, high_m: float, value: int, *, start_m: float = 0.0, end_m: float = END, period_m: float = 0.0,
        on_m: float = 0.0, yaw_scale: float = 0.0,
    ) -> None:  # fmt: skip
        """A band between two distances to the left of the line."""
        fill_ribbon(
            self.grid, self._quad, np.ascontiguousarray(line[:, :3]), float(low_m), float(high_m), float(start_m), float(end_m),
            float(period_m), float(on_m), int(value), float(yaw_scale), self._m_per_px,
        )  # fmt: skip

    def polygon(self, outline: Array, value: int) -> None:
        """An area."""
        fill_polygon(self.grid, np.ascontiguousarray(outline), np.zeros(len(outline)), int(value), self._m_per_px)


def _paint_beside(brush: Brush, network: Network) -> None:
    """Verges, then pavements, then kerbs; roads are painted over them."""
    bands = []
    for stroke in network.strokes:
        if isinstance(stroke, Stroke):
            line = extend(stroke.line, *stroke.lead_m)
            right, left = stroke.halves_m
            bands += [(line, -right, -1.0), (line, left, 1.0)]
        elif isinstance(stroke, Kerb):
            bands.append((stroke.line, 0.0, -1.0))
    for near_m, far_m, material in ((0.0, VERGE_M, VERGE), (0.0, PAVEMENT_M, PAVEMENT), (-0.3, KERB_M, KERB)):
        for line, kerb, sign in bands:
            edges = sorted((kerb + sign * near_m, kerb + sign * far_m))
            brush.ribbon(line, edges[0], edges[1], material)


def _paint_markings(brush: Brush, stroke: Stroke) -> None:
    line, length = stroke.line, length_of(stroke.line)
    if max(stroke.num_lanes) > 1 or stroke.marks == MIDDLE_MARKS:
        brush.ribbon(line, -0.46, -0.2, YELLOW)
        brush.ribbon(line, 0.2, 0.46, YELLOW)
    else:
        solid = min(12.0, length / 3)  # no overtaking right before the stop lines
        brush.ribbon(line, -0.14, 0.14, YELLOW, end_m=solid)
        brush.ribbon(line, -0.14, 0.14, YELLOW, start_m=solid, end_m=length - solid, period_m=6.0, on_m=3.4)
        brush.ribbon(line, -0.14, 0.14, YELLOW, start_m=length - solid)
    for side, sign in ((0, -1.0), (1, 1.0)):
        num, parks = stroke.num_lanes[side], stroke.parking[side]
        if num == 0:
            continue
        for i in range(1, num):
            at = sign * i * stroke.lane_m
            if stroke.marks == MIDDLE_MARKS:
                brush.ribbon(line, at - 0.13, at + 0.13, WHITE, period_m=9.0, on_m=3.0)
                continue
            arrive = (length - 18.0, length) if side == 0 else (0.0, 18.0)  # solid where lanes are chosen
            brush.ribbon(line, at - 0.13, at + 0.13, WHITE, period_m=9.0, on_m=3.0)
            brush.ribbon(line, at - 0.13, at + 0.13, WHITE, start_m=arrive[0], end_m=arrive[1])
        if stroke.marks == MIDDLE_MARKS:
            continue
        edge = sign * num * stroke.lane_m
        if not parks:
            brush.ribbon(line, edge - 0.14, edge + 0.14, WHITE)
            continue
        low, high = sorted((edge, edge + sign * PARKING_M))
        bays = {"start_m": NO_BAYS_M, "end_m": length - NO_BAYS_M}
        brush.ribbon(line, low, high, PARKING, **bays)
        brush.ribbon(line, edge - 0.12, edge + 0.12, WHITE, **bays)
        brush.ribbon(line, low, high, WHITE, period_m=6.0, on_m=0.24, **bays)


def _paint_lines(brush: Brush, network: Network) -> None:
    """Stop lines, give-way lines and zebras."""
    for x, y, yaw, width, kind in network.stop_lines:
        pose = np.array([x, y])
        along = np.array([np.cos(yaw), np.sin(yaw)])
        line = straight(pose - 0.7 * along, pose)
        if kind == YIELD_LINE:
            across = np.array([np.sin(yaw), -np.cos(yaw)]) * (width / 2 - 0.2)
            brush.ribbon(straight(pose - across - 0.35 * along, pose + across - 0.35 * along), -0.3, 0.3, WHITE, period_m=0.9, on_m=0.5)
        else:
            brush.ribbon(line, -width / 2 + 0.2, width / 2 - 0.2, WHITE, start_m=0.15)
    for ax, ay, bx, by, width, _ in network.crosswalks:
        line = straight(np.array([ax, ay]), np.array([bx, by]))
        brush.ribbon(line, -width / 2, width / 2, WHITE, start_m=0.45, end_m=length_of(line) - 0.3, period_m=1.0, on_m=0.5)


def lane_points(network: Network, lane: int) -> Array:
    """One lane's points."""
    lanes = network.lanes
    return lanes.points[lanes.first[lane] : lanes.first[lane] + lanes.num_points[lane]]


def paint_town(network: Network) -> UInt8[Array, "y x"]:
    """Material of every pixel."""
    brush = Brush(network.size_m, PAINT_M_PER_PX, GRASS, np.uint8)
    _paint_beside(brush, network)
    lanes, half = network.lanes, LANE_WIDTH_M / 2 + SHOULDER_M
    for stroke in network.strokes:
        if isinstance(stroke, Island):
            brush.polygon(stroke.outline, ISLAND)
    inside = np.flatnonzero(((lanes.junction >= 0) | network.on_ring) & (lanes.kind == DRIVE))
    for lane in inside:  # an island's kerb is what stays of the rim of the ways beside it
        brush.ribbon(lane_points(network, int(lane)), -half - KERB_M, half + KERB_M, KERB)
    for outline in network.outlines:
        brush.polygon(outline, JUNCTION)
    for lane in inside:
        brush.ribbon(lane_points(network, int(lane)), -half, half, JUNCTION)
    roads = [stroke for stroke in network.strokes if isinstance(stroke, Stroke)]
    for stroke in roads:
        right, left = stroke.halves_m
        brush.ribbon(extend(stroke.line, *stroke.lead_m), -right, left, ASPHALT)
    for stroke in roads:
        if stroke.marks != NO_MARKS:
            _paint_markings(brush, stroke)
    _paint_lines(brush, network)
    for arrow in lane_arrows(network):
        brush.polygon(arrow, WHITE)
    return brush.grid


def heading_town(network: Network) -> Int8[Array, "y x"]:
    """Direction of travel of every pixel."""
    brush = Brush(network.size_m, HEADING_M_PER_PX, OFF_CODE, np.int8)
    lanes = network.lanes
    half = LANE_WIDTH_M / 2
    for outline in network.outlines:
        brush.polygon(outline, JUNCTION_CODE)
    for lane in np.flatnonzero((lanes.junction >= 0) & (lanes.kind == DRIVE)):
        brush.ribbon(lane_points(network, int(lane)), -half - SHOULDER_M, half + SHOULDER_M, JUNCTION_CODE)
    for stroke in network.strokes:
        if isinstance(stroke, Stroke):  # parking lanes, and the bare ends
            right, left = stroke.halves_m
            brush.ribbon(extend(stroke.line, *stroke.lead_m), -right, left, JUNCTION_CODE)
    directed = np.flatnonzero((lanes.junction < 0) & (lanes.kind == DRIVE))
    for lane in directed:
        parks = lanes.right[lane] < 0 and lanes.right_room[lane] > half + SHOULDER_M + 0.1
        shoulder = SHOULDER_M if lanes.right[lane] < 0 and not parks else 0.0
        brush.ribbon(lane_points(network, int(lane)), -half - shoulder, half, 0, yaw_scale=HEADING_SCALE)
    return brush.grid

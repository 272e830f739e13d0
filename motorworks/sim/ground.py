"""A town painted from above: what the camera samples, where one may drive and in which direction, and what stands beside the road."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float, Int8, UInt8
from numba import njit

from motorworks.geometry.array import Array
from motorworks.sim.network import LANE_WIDTH_M, Network, build_network

PAINT_M_PER_PX = 0.2
HEADING_M_PER_PX = 0.5
SHOULDER_M = 0.5  # paved beyond the edge line, still drivable
GRASS, ASPHALT, WHITE, YELLOW, VERGE, JUNCTION = range(6)
OFF_CODE, JUNCTION_CODE = -128, -127  # other codes of the heading map: lane yaw * HEADING_SCALE
HEADING_SCALE = 120.0 / np.pi
TREE, BUILDING = 0, 1


@dataclass(frozen=True, kw_only=True)
class TownMap:
    """Everything about a town that never moves."""

    network: Network
    paint: UInt8[Array, "y x"]  # material per pixel, PAINT_M_PER_PX
    heading: Int8[Array, "y x"]  # driving direction code per pixel, HEADING_M_PER_PX
    palette: Float[Array, "material 3"]
    noise_gain: Float[Array, " material"]
    scenery: Float[Array, "object 8"]  # x_m y_m yaw_rad half_length_m half_width_m height_m kind shade
    skyline_px: Float[Array, " azimuth"]  # height of the far tree line above the horizon, by azimuth
    sky: Float[Array, "2 3"]  # colour at the horizon, colour overhead


@njit(cache=True)
def _paint_stroke(paint: Array, line: Array, num_lanes: int, stop_start: bool, stop_end: bool) -> None:
    """Verge, asphalt and markings of one road, segment by segment in its own (along, left) coordinates."""
    px = PAINT_M_PER_PX
    height, width = paint.shape
    half = num_lanes * LANE_WIDTH_M
    reach = half + SHOULDER_M + 1.0
    count = len(line)
    for i in range(count - 1):
        ax, ay, yaw = line[i, 0], line[i, 1], line[i, 2]
        step = np.hypot(line[i + 1, 0] - ax, line[i + 1, 1] - ay)
        c, s = np.cos(yaw), np.sin(yaw)
        x_lo, x_hi = int((ax - reach - 1) / px), int((ax + reach + 2) / px)
        y_lo, y_hi = int((ay - reach - 1) / px), int((ay + reach + 2) / px)
        for iy in range(max(y_lo, 0), min(y_hi, height)):
            for ix in range(max(x_lo, 0), min(x_hi, width)):
                dx, dy = (ix + 0.5) * px - ax, (iy + 0.5) * px - ay
                lon, lat = c * dx + s * dy, -s * dx + c * dy
                side = abs(lat)
                if lon < -0.25 or lon > step + 0.25 or side > reach:
                    continue
                along = i * step + lon
                left = (count - 1) * step - along
                if side > half + SHOULDER_M:
                    if paint[iy, ix] == GRASS:
                        paint[iy, ix] = VERGE
                    continue
                material = ASPHALT
                if half - 0.2 < side <= half + 0.02:
                    material = WHITE
                elif (num_lanes == 1 and side < 0.12 and along % 6.0 < 3.4) or (num_lanes > 1 and 0.06 < side < 0.3):
                    material = YELLOW
                elif num_lanes > 1 and abs(side - LANE_WIDTH_M) < 0.11 and along % 9.0 < 3.0:
                    material = WHITE
                if side < half - 0.3 and ((stop_end and 0.1 < left < 0.6 and lat < -0.2) or (stop_start and 0.1 < along < 0.6 and lat > 0.2)):
                    material = WHITE
                # the overlap of two segments must not wipe a marking out
                if material != ASPHALT or paint[iy, ix] in (GRASS, VERGE, JUNCTION):
                    paint[iy, ix] = material


@njit(cache=True)
def _fill_outline(grid: Array, outline: Array, value: int, m_per_px: float) -> None:
    """Even-odd fill of a polygon."""
    height, width = grid.shape
    x_lo, x_hi = max(int(outline[:, 0].min() / m_per_px), 0), min(int(outline[:, 0].max() / m_per_px) + 1, width)
    y_lo, y_hi = max(int(outline[:, 1].min() / m_per_px), 0), min(int(outline[:, 1].max() / m_per_px) + 1, height)
    num = len(outline)
    for iy in range(y_lo, y_hi):
        y = (iy + 0.5) * m_per_px
        for ix in range(x_lo, x_hi):
            x = (ix + 0.5) * m_per_px
            inside = False
            for k in range(num):
                ax, ay, bx, by = outline[k, 0], outline[k, 1], outline[(k + 1) % num, 0], outline[(k + 1) % num, 1]
                if (ay > y) != (by > y) and x < ax + (y - ay) / (by - ay) * (bx - ax):
                    inside = not inside
            if inside:
                grid[iy, ix] = value


@njit(cache=True)
def _fill_lane(grid: Array, points: Array, half_width: float, value: int, only: int, m_per_px: float, scale: float) -> None:
    """A lane's surface; `value` itself, or the lane's direction where `scale` is not 0. `only`: overwrite just this value (-999: any)."""
    height, width = grid.shape
    for i in range(len(points) - 1):
        ax, ay, yaw = points[i, 0], points[i, 1], points[i, 2]
        step = np.hypot(points[i + 1, 0] - ax, points[i + 1, 1] - ay)
        c, s = np.cos(yaw), np.sin(yaw)
        code = value
        if scale != 0.0:
            code = int(np.round(((yaw + np.pi) % (2 * np.pi) - np.pi) * scale))
        reach = half_width + 1.0
        for iy in range(max(int((ay - reach) / m_per_px), 0), min(int((ay + reach) / m_per_px) + 2, height)):
            for ix in range(max(int((ax - reach) / m_per_px), 0), min(int((ax + reach) / m_per_px) + 2, width)):
                dx, dy = (ix + 0.5) * m_per_px - ax, (iy + 0.5) * m_per_px - ay
                lon, lat = c * dx + s * dy, -s * dx + c * dy
                if -0.35 <= lon <= step + 0.35 and abs(lat) <= half_width and (only == -999 or grid[iy, ix] == only):
                    grid[iy, ix] = code


def _lane_points(network: Network, lane: int | np.integer[Any]) -> Float[Array, "point 5"]:
    lanes = network.lanes
    return lanes.points[lanes.first[lane] : lanes.first[lane] + lanes.num_points[lane]]


def _paint(network: Network) -> UInt8[Array, "y x"]:
    paint = np.full((int(network.size_m[1] / PAINT_M_PER_PX), int(network.size_m[0] / PAINT_M_PER_PX)), GRASS, np.uint8)
    for outline in network.outlines:
        _fill_outline(paint, outline, JUNCTION, PAINT_M_PER_PX)
    lanes = network.lanes
    for lane in np.flatnonzero(lanes.junction >= 0):
        _fill_lane(paint, _lane_points(network, lane), LANE_WIDTH_M / 2 + SHOULDER_M, JUNCTION, -999, PAINT_M_PER_PX, 0.0)
    for stroke in network.strokes:
        _paint_stroke(paint, np.ascontiguousarray(stroke.line), stroke.num_lanes, stroke.stop_at_start, stroke.stop_at_end)
    return paint


def _heading(network: Network) -> Int8[Array, "y x"]:
    m = HEADING_M_PER_PX
    heading = np.full((int(network.size_m[1] / m), int(network.size_m[0] / m)), OFF_CODE, np.int8)
    lanes = network.lanes
    directed = np.flatnonzero(lanes.junction < 0)
    for outline in network.outlines:
        _fill_outline(heading, outline, JUNCTION_CODE, m)
    for lane in np.flatnonzero(lanes.junction >= 0):
        _fill_lane(heading, _lane_points(network, lane), LANE_WIDTH_M / 2 + SHOULDER_M, JUNCTION_CODE, -999, m, 0.0)
    for lane in directed:
        _fill_lane(heading, _lane_points(network, lane), LANE_WIDTH_M / 2, 0, -999, m, HEADING_SCALE)
    for lane in directed:  # shoulders, wherever no lane is
        _fill_lane(heading, _lane_points(network, lane), LANE_WIDTH_M / 2 + SHOULDER_M, 0, OFF_CODE, m, HEADING_SCALE)
    return heading


def _clear_of_road(heading: Array, x: float, y: float, radius_m: float) -> bool:
    around = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    ix = ((x + np.append(0.0, radius_m * np.cos(around))) / HEADING_M_PER_PX).astype(int)
    iy = ((y + np.append(0.0, radius_m * np.sin(around))) / HEADING_M_PER_PX).astype(int)
    inside = (ix >= 0) & (iy >= 0) & (ix < heading.shape[1]) & (iy < heading.shape[0])
    return bool(inside.all() and (heading[iy, ix] == OFF_CODE).all())


def _scenery(network: Network, heading: Array, rng: np.random.Generator) -> Float[Array, "object 8"]:
    """Trees and houses beside the roads, never on them."""
    lanes = network.lanes
    roads = lanes.points[: lanes.first[lanes.first_connector[0]]]
    rows = []
    for _ in range(260):
        x, y, yaw = roads[rng.integers(len(roads)), :3]
        building = rng.random() < 0.22
        right = rng.uniform(8.0, 16.0) if building else rng.uniform(4.5, 20.0)
        x, y = x + right * np.sin(yaw), y - right * np.cos(yaw)
        half_l, half_w = (rng.uniform(3.5, 7.0), rng.uniform(3.0, 5.0)) if building else (rng.uniform(1.0, 2.2),) * 2
        if not _clear_of_road(heading, x, y, np.hypot(half_l, half_w) + 1.0 if building else 2.0):
            continue
        height = rng.uniform(3.5, 8.0) if building else rng.uniform(4.0, 8.0)
        rows.append((x, y, yaw, half_l, half_w, height, BUILDING if building else TREE, rng.random()))
    return np.array(rows)


@lru_cache(maxsize=96)
def build_town(seed: int) -> TownMap:
    """The whole town `seed`; a few tens of milliseconds, remembered."""
    network = build_network(seed)
    rng = np.random.default_rng((seed, 0x71))
    heading = _heading(network)
    light = rng.uniform(0.75, 1.1)
    tone = rng.uniform(-12, 12)
    asphalt = rng.uniform(78, 112)
    base = np.array(
        [
            [72 + rng.uniform(-15, 35), 110 + rng.uniform(-20, 15), 52 + rng.uniform(-15, 10)],  # grass
            [asphalt, asphalt, asphalt + 4],
            [222, 222, 218],
            [218, 178, 52],
            [140 + tone, 128 + tone, 104 + tone],
            [asphalt - 5, asphalt - 5, asphalt - 2],
        ]
    )
    haze = np.array([196.0, 208.0, 220.0]) + rng.uniform(-15, 15)
    overhead = np.array([92.0, 144.0, 208.0]) * rng.uniform(0.8, 1.1) if rng.random() < 0.6 else haze * 0.86
    azimuth = np.linspace(0, 2 * np.pi, 1024, endpoint=False)
    skyline = sum(rng.uniform(0, 1.6) / k**0.5 * np.sin(k * azimuth + rng.uniform(0, 6.28)) for k in (2, 3, 5, 9, 17, 31, 57, 90))
    return TownMap(
        network=network,
        paint=_paint(network),
        heading=heading,
        palette=base * light,
        noise_gain=np.array([26.0, 9.0, 10.0, 10.0, 20.0, 9.0]),
        scenery=_scenery(network, heading, rng),
        skyline_px=np.maximum(skyline + 4.0, 0.5),
        sky=np.stack([haze, overhead]) * np.minimum(light, 1.0),
    )

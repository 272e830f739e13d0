"""What is painted agrees with what is driven, and nothing stands in anyone's way."""

import numpy as np
import pytest

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
    SIGN,
    SIGN_STOP,
    SIGNAL_HEAD,
    VERGE,
    WHITE,
    YELLOW,
)
from motorworks.sim.ground import MAX_SCENERY, build_town
from motorworks.sim.lanes import DRIVE, STOP, WALK
from motorworks.sim.raster import fill_polygon, fill_ribbon

SEEDS = (*range(8), 10_000)
DRIVABLE = (ASPHALT, WHITE, YELLOW, JUNCTION, PARKING)


def _pixels(grid: np.ndarray, xy: np.ndarray, m_per_px: float) -> np.ndarray:
    return grid[(xy[:, 1] / m_per_px).astype(int), (xy[:, 0] / m_per_px).astype(int)]


def test_a_ribbon_fills_its_area_without_holes_and_a_polygon_agrees() -> None:
    line = np.column_stack([np.linspace(5.03, 25.07, 21), np.full(21, 10.04), np.zeros(21)])
    ribbon, polygon = np.zeros((100, 150), np.uint8), np.zeros((100, 150), np.uint8)
    fill_ribbon(ribbon, np.zeros((4, 2)), line, -2.0, 1.0, 0.0, 1e9, 0.0, 0.0, 1, 0.0, 0.2)
    corners = np.array([[5.03, 8.04], [25.07, 8.04], [25.07, 11.04], [5.03, 11.04]])
    fill_polygon(polygon, corners, np.zeros(4), 1, 0.2)
    assert np.array_equal(ribbon, polygon)
    assert ribbon.sum() * 0.04 == pytest.approx(3.0 * 20.04, rel=0.02)


@pytest.mark.parametrize("seed", SEEDS)
def test_lanes_lie_on_the_road_and_point_its_way(seed: int) -> None:
    town = build_town(seed)
    lanes = town.network.lanes
    of_point = np.repeat(np.arange(len(lanes.first)), lanes.num_points)
    driven, directed = lanes.kind[of_point] == DRIVE, (lanes.kind == DRIVE)[of_point] & (lanes.junction < 0)[of_point]
    codes = _pixels(town.heading, lanes.points[:, :2], HEADING_M_PER_PX)
    assert (codes[driven] != OFF_CODE).all()
    assert np.isin(_pixels(town.paint, lanes.points[driven, :2], PAINT_M_PER_PX), DRIVABLE).all()
    known = directed & (codes != JUNCTION_CODE)
    assert known[directed].mean() > 0.9  # the last half pixel before a junction may be the junction's
    off_rad = (codes[known] / HEADING_SCALE - lanes.points[known, 2] + np.pi) % (2 * np.pi) - np.pi
    assert np.abs(off_rad).max() < 0.1


@pytest.mark.parametrize("seed", SEEDS)
def test_walks_lie_on_pavements_and_zebras_on_roads(seed: int) -> None:
    town = build_town(seed)
    lanes = town.network.lanes
    of_point = np.repeat(np.arange(len(lanes.first)), lanes.num_points)
    pavement = (lanes.kind == WALK)[of_point] & (lanes.junction < 0)[of_point]
    assert np.isin(_pixels(town.paint, lanes.points[pavement, :2], PAINT_M_PER_PX), (PAVEMENT, KERB)).mean() > 0.99
    for ax, ay, bx, by, *_ in town.network.crosswalks:  # kerb to kerb: bars as wide as their gaps
        line = np.column_stack([np.linspace(ax, bx, 200), np.linspace(ay, by, 200)])
        assert 0.35 < (_pixels(town.paint, line, PAINT_M_PER_PX) == WHITE).mean() < 0.65


@pytest.mark.parametrize("seed", SEEDS)
def test_scenery_stands_off_the_road_and_signs_face_their_drivers(seed: int) -> None:
    town = build_town(seed)
    scenery, lanes = town.scenery, town.network.lanes
    assert 100 < len(scenery) <= MAX_SCENERY
    assert (_pixels(town.heading, scenery[:, :2], HEADING_M_PER_PX) == OFF_CODE).all()
    walks = lanes.points[np.repeat(lanes.kind == WALK, lanes.num_points), :2]
    apart = np.sqrt(((scenery[:, None, :2] - walks[None]) ** 2).sum(axis=-1)).min(axis=1)
    assert apart.min() > 0.5  # a person is half a metre wide
    heads = scenery[scenery[:, 6] == SIGNAL_HEAD]
    assert set(heads[:, 8].astype(int)) <= set(range(len(town.network.signals)))
    stops = scenery[(scenery[:, 6] == SIGN) & (scenery[:, 8] == SIGN_STOP)]
    held = sorted({int(lanes.source[way]) for way in np.flatnonzero(lanes.control == STOP)})
    for lane in held:  # a stop sign right of each, facing it
        end = lanes.points[lanes.first[lane] + lanes.num_points[lane] - 1]
        ahead = np.cos(end[2]) * (stops[:, 0] - end[0]) + np.sin(end[2]) * (stops[:, 1] - end[1])
        left = -np.sin(end[2]) * (stops[:, 0] - end[0]) + np.cos(end[2]) * (stops[:, 1] - end[1])
        facing = np.cos(stops[:, 2] - end[2]) < -0.99
        assert (facing & (np.abs(ahead) < 2.0) & (left < -2.0) & (left > -12.0)).any()


def test_same_seed_same_picture_and_materials_are_known() -> None:
    build_town.cache_clear()
    first = build_town(5)
    build_town.cache_clear()
    again = build_town(5)
    assert np.array_equal(first.paint, again.paint) and np.array_equal(first.heading, again.heading)
    assert np.array_equal(first.scenery, again.scenery)
    assert set(np.unique(first.paint)) <= {GRASS, ASPHALT, WHITE, YELLOW, VERGE, JUNCTION, PAVEMENT, KERB, PARKING, ISLAND}

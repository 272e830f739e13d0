"""The roads of any town can be driven, and every seed is its own town."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from motorworks.sim.ground import OFF_CODE, build_town
from motorworks.sim.network import MAX_CONNECTOR_CURVATURE_PER_M, MIN_ROAD_RADIUS_M, build_network

SEEDS = st.integers(0, 9_999) | st.integers(1_000_000, 1_000_500)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(seed=SEEDS)
def test_every_lane_leads_on_smoothly(seed: int) -> None:
    lanes = build_network(seed).lanes
    assert (lanes.num_next > 0).all()
    for lane in range(len(lanes.first)):
        end = lanes.points[lanes.first[lane] + lanes.num_points[lane] - 1]
        for following in lanes.next[lane, : lanes.num_next[lane]]:
            start = lanes.points[lanes.first[following]]
            assert np.hypot(*(end[:2] - start[:2])) < 0.05
            assert np.cos(end[2] - start[2]) > 0.999


@settings(max_examples=12, deadline=None, derandomize=True)
@given(seed=SEEDS)
def test_bends_stay_within_what_a_car_can_steer(seed: int) -> None:
    lanes = build_network(seed).lanes
    road_points = lanes.first[lanes.first_connector[0]]
    lane_radius_m = MIN_ROAD_RADIUS_M - 7.0  # the innermost of two lanes
    assert np.abs(lanes.points[:road_points, 3]).max() < 1 / lane_radius_m
    assert np.abs(lanes.points[:, 3]).max() <= MAX_CONNECTOR_CURVATURE_PER_M
    assert (lanes.conflict == lanes.conflict.T).all()
    assert lanes.conflict.any()


@settings(max_examples=6, deadline=None, derandomize=True)
@given(seed=SEEDS)
def test_lanes_lie_on_the_paved_area(seed: int) -> None:
    town = build_town(seed)
    points = town.network.lanes.points
    codes = town.heading[(points[:, 1] / 0.5).astype(int), (points[:, 0] / 0.5).astype(int)]
    assert (codes != OFF_CODE).all()
    on_scenery = town.heading[(town.scenery[:, 1] / 0.5).astype(int), (town.scenery[:, 0] / 0.5).astype(int)]
    assert (on_scenery == OFF_CODE).all()


def test_same_seed_same_town_other_seed_other_town() -> None:
    build_network.cache_clear()
    first = build_network(3).lanes.points.copy()
    build_network.cache_clear()
    assert np.array_equal(first, build_network(3).lanes.points)
    assert first.shape != build_network(4).lanes.points.shape or not np.allclose(first, build_network(4).lanes.points)

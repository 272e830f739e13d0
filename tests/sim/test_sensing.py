"""Boxes touch when they touch, and a place on the route is found again."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from motorworks.datatypes.scenario import Scenario
from motorworks.geometry.se2 import compose, transform_points
from motorworks.sim.network import build_network
from motorworks.sim.route import plan_route
from motorworks.sim.sensing import box_gap, project

POSE = st.tuples(st.floats(-8, 8), st.floats(-8, 8), st.floats(-3.1, 3.1)).map(np.array)
HALF = st.tuples(st.floats(1.5, 3.5), st.floats(0.7, 1.3))


def _grid(pose: np.ndarray, half: tuple[float, float]) -> np.ndarray:
    x, y = np.meshgrid(np.linspace(-half[0], half[0], 25), np.linspace(-half[1], half[1], 13))
    return transform_points(pose, np.column_stack([x.ravel(), y.ravel()]))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(a=POSE, b=POSE, half_a=HALF, half_b=HALF)
def test_box_gap_agrees_with_points(a: np.ndarray, b: np.ndarray, half_a: tuple[float, float], half_b: tuple[float, float]) -> None:
    gap = box_gap(*a, *half_a, *b, *half_b)
    nearest = np.linalg.norm(_grid(a, half_a)[:, None] - _grid(b, half_b)[None], axis=-1).min()
    assert gap <= nearest + 1e-9
    if gap > 0.3:
        assert nearest > 0.3
    assume(gap < -0.4)
    assert nearest < 0.3  # overlapping boxes share points, up to the grid's spacing


@settings(max_examples=40, deadline=None, derandomize=True)
@given(a=POSE, b=POSE, half_a=HALF, half_b=HALF, move=POSE)
def test_box_gap_is_symmetric_and_does_not_depend_on_the_frame(
    a: np.ndarray, b: np.ndarray, half_a: tuple[float, float], half_b: tuple[float, float], move: np.ndarray
) -> None:
    gap = box_gap(*a, *half_a, *b, *half_b)
    assert np.isclose(gap, box_gap(*b, *half_b, *a, *half_a), atol=1e-9)
    assert np.isclose(gap, box_gap(*compose(move, a), *half_a, *compose(move, b), *half_b), atol=1e-9)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 20), at=st.floats(5, 180), left=st.floats(-2.5, 2.5))
def test_projection_finds_the_place_it_was_given(seed: int, at: float, left: float) -> None:
    scenario = Scenario(town_seed=seed, route_seed=1)
    points = plan_route(build_network(seed), scenario, np.random.default_rng(seed)).points
    grid = np.arange(len(points))
    x, y, yaw = (np.interp(at, grid, points[:, k]) for k in range(3))
    s, lateral = project(points, len(points), x - left * np.sin(yaw), y + left * np.cos(yaw), int(at) - 6, int(at) + 8)
    assert abs(s - at) < 0.15
    assert abs(lateral - left) < 0.05

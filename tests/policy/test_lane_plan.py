"""The path follower reaches the speed and the offset it was asked for, within comfort."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from motorworks.bodies.body import integrate
from motorworks.datatypes.scene import Scene
from motorworks.policy.lane_plan import LATERAL_ACCEL_MPS2, plan_along_path, speed_profile

MakeScene = Callable[..., Scene]
fixture_is_stateless = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])


@fixture_is_stateless
@given(
    speed=st.floats(2.0, 11.0), target=st.floats(3.0, 11.0), offset=st.floats(-1.2, 3.6), lateral=st.floats(-1.0, 1.0), heading=st.floats(-0.15, 0.15)
)
def test_reaches_speed_and_offset_on_a_straight(
    scene_with: MakeScene, speed: float, target: float, offset: float, lateral: float, heading: float
) -> None:
    scene = scene_with(speed_mps=speed, lateral_offset_m=lateral, heading_error_rad=heading)
    plan = plan_along_path(scene, np.array([target]), np.array([offset]))
    poses, speeds = integrate(plan, np.array([speed]))
    # the path is the rig's x axis, shifted and turned
    left = lateral + np.cos(heading) * poses[0, :, 1] + np.sin(heading) * poses[0, :, 0]
    assert abs(speeds[0, -1] - target) < 0.3
    assert abs(left[-1] - offset) < 0.3
    assert plan.accel_mps2.max() <= 2.0 + 1e-6 and plan.accel_mps2.min() >= -4.0 - 1e-6


@pytest.mark.parametrize("speed", [3.0, 6.0, 9.0, 12.0, 15.0])
def test_a_wide_shift_is_gentle(scene_with: MakeScene, speed: float) -> None:
    plan = plan_along_path(scene_with(speed_mps=speed), np.array([speed]), np.array([3.5]))
    assert np.abs(speed**2 * plan.curvature_per_m).max() < 2.5


@fixture_is_stateless
@given(curvature=st.floats(-0.05, 0.05), speed=st.floats(3.0, 6.0))
def test_stays_on_an_arc(scene_with: MakeScene, curvature: float, speed: float) -> None:
    plan = plan_along_path(scene_with(curvature_per_m=curvature, speed_mps=speed), np.array([speed]), np.zeros(1))
    poses, _ = integrate(plan, np.array([speed]))
    radial = poses[0, :, 1] if abs(curvature) < 1e-4 else np.hypot(poses[0, :, 0], poses[0, :, 1] - 1 / curvature) - abs(1 / curvature)
    assert np.abs(radial).max() < 0.15


def test_mirrored_scene_gives_the_mirrored_plan(scene_with: MakeScene) -> None:
    left = scene_with(curvature_per_m=0.03, lateral_offset_m=0.4, heading_error_rad=0.1, speed_mps=6.0)
    right = scene_with(curvature_per_m=-0.03, lateral_offset_m=-0.4, heading_error_rad=-0.1, speed_mps=6.0)
    plans = [plan_along_path(scene, np.array([7.0]), np.array([offset])) for scene, offset in ((left, 0.3), (right, -0.3))]
    assert np.allclose(plans[0].curvature_per_m, -plans[1].curvature_per_m, atol=1e-6)
    assert np.allclose(plans[0].accel_mps2, plans[1].accel_mps2, atol=1e-6)


def test_stops_before_a_line_and_behind_a_lead(scene_with: MakeScene) -> None:
    scene = scene_with(speed_mps=9.0)
    poses, speeds = integrate(plan_along_path(scene, np.array([10.0]), np.zeros(1), stop_gap_m=np.array([25.0])), scene.speed_mps)
    assert speeds[0, -1] < 0.1 and 22.0 < poses[0, -1, 0] <= 25.2
    lead = scene_with(speed_mps=9.0, lead_gap_m=30.0)
    poses, speeds = integrate(plan_along_path(lead, np.array([10.0]), np.zeros(1), follows_lead=True), lead.speed_mps)
    assert poses[0, -1, 0] < 29.0 and speeds[0, -1] < 1.0
    ignored = plan_along_path(lead, np.array([10.0]), np.zeros(1))
    assert ignored.accel_mps2.min() >= 0.0


def test_speeds_along_the_path_keep_the_limit_the_bend_and_gentle_braking(scene_with: MakeScene) -> None:
    bend = speed_profile(scene_with(curvature_per_m=0.08))
    assert np.allclose(bend, np.sqrt(LATERAL_ACCEL_MPS2 / 0.08)) and np.allclose(speed_profile(scene_with()), 10.0)

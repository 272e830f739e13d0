"""The path follower reaches the speed and the offset it was asked for, within comfort."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from motorworks.bodies.body import integrate
from motorworks.datatypes.scene import NUM_PATH_POINTS, Scene
from motorworks.policy.lane_plan import plan_along_path


def scene_on_arc(speed_mps: float, curvature_per_m: float = 0.0, lateral_m: float = 0.0, heading_rad: float = 0.0) -> Scene:
    s = 2.0 * np.arange(NUM_PATH_POINTS)
    points = np.stack([s, curvature_per_m * s**2 / 2 - lateral_m], axis=-1)
    one = np.ones(1)
    return Scene(
        path_rig_m=points[None],
        path_curvature_per_m=np.full((1, NUM_PATH_POINTS), curvature_per_m),
        lateral_offset_m=one * lateral_m,
        heading_error_rad=one * heading_rad,
        speed_mps=one * speed_mps,
        speed_limit_mps=one * 10.0,
        remaining_m=one * 200.0,
        junction_gap_m=one * np.inf,
        junction_blocked=np.zeros(1, np.bool_),
        turn=np.zeros(1, np.int64),
        lead_gap_m=one * np.inf,
        lead_speed_mps=one * 0.0,
        agents_rig=np.zeros((1, 8, 6)),
        agents_valid=np.zeros((1, 8), np.bool_),
    )


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    speed=st.floats(2.0, 11.0), target=st.floats(3.0, 11.0), offset=st.floats(-1.0, 1.0), lateral=st.floats(-1.0, 1.0), heading=st.floats(-0.15, 0.15)
)
def test_reaches_speed_and_offset_on_a_straight(speed: float, target: float, offset: float, lateral: float, heading: float) -> None:
    plan = plan_along_path(scene_on_arc(speed, 0.0, lateral, heading), np.array([target]), np.array([offset]))
    poses, speeds = integrate(plan, np.array([speed]))
    # the path is the rig's x axis, shifted and turned
    left = lateral + np.cos(heading) * poses[0, :, 1] + np.sin(heading) * poses[0, :, 0]
    assert abs(speeds[0, -1] - target) < 0.3
    assert abs(left[-1] - offset) < 0.25
    assert plan.accel_mps2.max() <= 2.0 + 1e-6 and plan.accel_mps2.min() >= -4.0 - 1e-6


@settings(max_examples=20, deadline=None, derandomize=True)
@given(curvature=st.floats(-0.05, 0.05), speed=st.floats(3.0, 6.0))
def test_stays_on_an_arc(curvature: float, speed: float) -> None:
    plan = plan_along_path(scene_on_arc(speed, curvature), np.array([speed]), np.zeros(1))
    poses, _ = integrate(plan, np.array([speed]))
    radial = poses[0, :, 1] if abs(curvature) < 1e-3 else np.hypot(poses[0, :, 0], poses[0, :, 1] - 1 / curvature) - abs(1 / curvature)
    assert np.abs(radial).max() < 0.1 + 40 * abs(curvature) * (abs(curvature) < 1e-3)


def test_mirrored_scene_gives_the_mirrored_plan() -> None:
    left = plan_along_path(scene_on_arc(6.0, 0.03, 0.4, 0.1), np.array([7.0]), np.array([0.3]))
    right = plan_along_path(scene_on_arc(6.0, -0.03, -0.4, -0.1), np.array([7.0]), np.array([-0.3]))
    assert np.allclose(left.curvature_per_m, -right.curvature_per_m, atol=1e-6)
    assert np.allclose(left.accel_mps2, right.accel_mps2, atol=1e-6)


def test_stops_before_a_line_and_behind_a_lead() -> None:
    scene = scene_on_arc(9.0)
    poses, speeds = integrate(plan_along_path(scene, np.array([10.0]), np.zeros(1), stop_gap_m=np.array([25.0])), scene.speed_mps)
    assert speeds[0, -1] < 0.1 and 22.0 < poses[0, -1, 0] <= 25.2
    lead = replace(scene, lead_gap_m=np.array([30.0]), lead_speed_mps=np.array([0.0]))
    poses, speeds = integrate(plan_along_path(lead, np.array([10.0]), np.zeros(1), follows_lead=True), lead.speed_mps)
    assert poses[0, -1, 0] < 29.0 and speeds[0, -1] < 1.0
    ignored = plan_along_path(lead, np.array([10.0]), np.zeros(1))
    assert ignored.accel_mps2.min() >= 0.0

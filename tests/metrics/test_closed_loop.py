"""Closed-loop metrics: cases worked out by hand, and what must not change them."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorworks.bodies.body import CAR
from motorworks.datatypes.rollout import Rollout
from motorworks.datatypes.scenario import Scenario
from motorworks.datatypes.thought import Thought
from motorworks.datatypes.trajectory import Trajectory
from motorworks.geometry.se2 import compose, wrap_angle
from motorworks.metrics.agreement import agrees
from motorworks.metrics.closed_loop import score_rollout, score_time_to_collision
from motorworks.metrics.comfort import comfortable, felt, smooth
from motorworks.metrics.epdms import driving_direction, keeps_lane, plans_agree
from motorworks.metrics.overlap import boxes_touch


def straight(num: int = 101, speed_mps: float = 10.0, agents: np.ndarray | None = None, **changes: object) -> Rollout:
    """A drive along x at constant speed; ten seconds and 100 m by default."""
    metres = np.arange(num) * 0.1 * speed_mps
    agents = np.zeros((num, 0, 6)) if agents is None else agents
    fields: dict = {
        "scenario": Scenario(town_seed=1_000_000, route_seed=0),
        "policy": "test",
        "outcome": "completed",
        "collision_at_fault": False,
        "route_length_m": float(metres[-1]),
        "ego_world": np.stack([metres, np.zeros(num), np.zeros(num)], axis=-1),
        "speed_mps": np.full(num, speed_mps),
        "accel_mps2": np.zeros(num),
        "curvature_per_m": np.zeros(num),
        "progress_m": metres,
        "lateral_offset_m": np.zeros(num),
        "on_road": np.ones(num, bool),
        "wrong_way": np.zeros(num, bool),
        "in_junction": np.zeros(num, bool),
        "speed_limit_mps": np.full(num, 12.0),
        "agents_world": agents,
        "agents_valid": np.ones(agents.shape[:2], bool),
    }
    return Rollout(**{**fields, **changes})


def scored(rollout: Rollout) -> dict[str, float]:
    return {score.metric: score.value for score in score_rollout(rollout) if score.valid}


def standing_at(x_m: float, y_m: float = 0.0, num: int = 101) -> np.ndarray:
    return np.tile([x_m, y_m, 0.0, 0.0, 4.6, 1.85], (num, 1, 1)).astype(np.float64)


def test_a_perfect_drive_gets_every_point() -> None:
    scores = scored(straight())
    full = {
        "route_completion_frac": 1,
        "driving_score": 100,
        "epdms_style": 1,
        "success_frac": 1,
        "alpasim_scene_score": 1,
        "comfort_frac": 1,
        "speed_limit_score": 1,
    }
    assert {name: scores[name] for name in full} == pytest.approx(full)
    assert scores["mean_speed_mps"] == pytest.approx(10) and scores["collisions_per_km"] == 0


def test_carla_penalises_a_collision_once_and_outside_metres_in_proportion() -> None:
    half = {"route_length_m": 200.0}
    assert scored(straight(outcome="collision", collision_at_fault=True, **half))["driving_score"] == pytest.approx(100 * 0.5 * 0.6)
    wrong = np.arange(100) < 25  # a quarter of the metres
    scores = scored(straight(100, outcome="timeout", wrong_way=wrong, route_length_m=198.0))
    assert (
        scores["driving_score"] == pytest.approx(100 * 0.5 * 0.75) and scores["wrong_way_frac"] == pytest.approx(0.25) and scores["success_frac"] == 0
    )


def test_collisions_per_km_is_per_driven_kilometre() -> None:
    score = next(score for score in score_rollout(straight(outcome="collision")) if score.metric == "collisions_per_km")
    assert score.value * score.weight == pytest.approx(1.0) and score.weight == pytest.approx(0.101)
    standing = next(
        score for score in score_rollout(straight(speed_mps=0.0, outcome="timeout", route_length_m=50.0)) if score.metric == "collisions_per_km"
    )
    assert not standing.valid


def test_epdms_gates_are_zero_only_for_own_fault() -> None:
    assert scored(straight(outcome="collision", collision_at_fault=True))["epdms_style"] == 0
    assert scored(straight(outcome="collision", collision_at_fault=False))["epdms_style"] == pytest.approx(1.0)
    assert scored(straight(outcome="off_road"))["epdms_style"] == 0


def test_epdms_weights_progress_by_five_fourteenths_without_plans() -> None:
    scores = scored(straight(outcome="timeout", route_length_m=200.0))
    assert scores["epdms_style"] == pytest.approx((5 * 0.5 + 5 + 2 + 2) / 14) and "epdms_ec" not in scores


@pytest.mark.parametrize(("steps", "expected"), [(1, 1.0), (2, 0.5), (5, 0.5), (6, 0.0), (30, 0.0)])
def test_driving_direction_by_metres_in_any_second(steps: int, expected: float) -> None:
    assert driving_direction(straight(wrong_way=np.arange(101) < steps)) == expected  # 1 m a step


def test_lane_keeping_allows_two_seconds_and_pauses_in_junctions() -> None:
    beside = np.zeros(101)
    beside[10:30] = 0.6
    assert keeps_lane(straight(lateral_offset_m=beside)).all()
    beside[30] = -0.6
    assert keeps_lane(straight(lateral_offset_m=beside)).tolist().count(False) == 1
    inside = np.zeros(101, bool)
    inside[12:31] = True
    assert keeps_lane(straight(lateral_offset_m=beside, in_junction=inside)).all()


def test_time_to_collision_by_hand() -> None:
    # bumpers meet when ego's front (3.7 m ahead of the axle) reaches the other's back (2.3 m before its centre)
    still = dataclasses.replace(straight(1, agents=standing_at(45.99, num=1)), ego_world=np.zeros((1, 3)))
    assert score_time_to_collision(still).value == pytest.approx(4.0)  # after 39.99 m at 10 m/s, seen at the next tenth
    beside = straight(1, agents=standing_at(45.99, 3.5, num=1))
    assert score_time_to_collision(beside).value == 5.0


def test_an_agent_coming_from_behind_is_not_egos_time_to_collision() -> None:
    agents = standing_at(-15.0, num=1)
    agents[:, :, 3] = 20.0
    assert score_time_to_collision(straight(1, agents=agents)).value == 5.0


def test_close_following_costs_time_gap_points() -> None:
    agents = standing_at(0.0)
    agents[:, 0, 0] = np.arange(101) * 1.0 + 3.7 + 2.3 + 2.0  # 2 m in front, standing still by its own account
    assert scored(straight(agents=agents))["epdms_ttc"] == 0
    agents[:, 0, 3] = 10.0  # the same gap at the same speed never closes
    assert scored(straight(agents=agents))["epdms_ttc"] == 1


def test_smoothing_is_exact_on_parabolas() -> None:
    time_s = np.arange(60) * 0.1
    signal = 0.3 * time_s**2 - 2.0 * time_s + 1.0
    assert smooth(signal) == pytest.approx(signal) and smooth(signal, derivative=1) == pytest.approx(0.6 * time_s - 2.0)


def test_a_hard_brake_is_uncomfortable_and_a_gentle_one_is_not() -> None:
    speed = np.full(40, 10.0)
    for accel, ok in ((-2.0, True), (-5.0, False)):
        assert bool(comfortable(felt(speed, np.full(40, accel), np.zeros(40))).all()) is ok


def test_plans_that_continue_agree_and_flickering_ones_do_not() -> None:
    accel = np.tile(np.sin(np.arange(200) / 20.0), (30, 1))
    shifted = np.stack([row[step : step + 64] for step, row in enumerate(accel)])
    steady = straight(30, plans=Trajectory(accel_mps2=shifted, curvature_per_m=np.zeros((30, 64))))
    steady = dataclasses.replace(steady, speed_mps=10.0 + np.concatenate([[0.0], np.cumsum(shifted[:-1, 0]) * 0.1]))
    flicker = straight(
        30, plans=Trajectory(accel_mps2=np.where(np.arange(30)[:, None] % 2 == 0, 1.0, -1.0) * np.ones((30, 64)), curvature_per_m=np.zeros((30, 64)))
    )
    assert plans_agree(steady).all() and not plans_agree(flicker).any()
    assert scored(flicker)["epdms_ec"] == 0 and scored(steady)["epdms_ec"] == 1


@settings(deadline=None, max_examples=25)
@given(x=st.floats(-500, 500), y=st.floats(-500, 500), yaw=st.floats(-3.1, 3.1), seed=st.integers(0, 1000))
def test_scores_do_not_know_where_the_world_is(x: float, y: float, yaw: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    num = 60
    agents = np.concatenate(
        [
            rng.uniform(-30, 90, (num, 4, 1)),
            rng.uniform(-12, 12, (num, 4, 1)),
            rng.uniform(-3, 3, (num, 4, 1)),
            rng.uniform(0, 10, (num, 4, 1)),
            np.full((num, 4, 1), 4.6),
            np.full((num, 4, 1), 1.85),
        ],
        axis=-1,
    )
    here = straight(
        num, agents=agents, curvature_per_m=rng.normal(0, 0.02, num), accel_mps2=rng.normal(0, 1, num), lateral_offset_m=rng.normal(0, 0.5, num)
    )
    move = np.array([x, y, yaw])
    moved = agents.copy()
    moved[..., :3] = compose(move, agents[..., :3])
    there = dataclasses.replace(here, ego_world=compose(move, here.ego_world), agents_world=moved)
    a, b = scored(here), scored(there)
    assert a.keys() == b.keys() and all(b[name] == pytest.approx(a[name], abs=1e-6) for name in a)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000))
def test_boxes_touch_as_polygons_do(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = (np.array([*rng.uniform(-3, 3, 2), rng.uniform(-3, 3), rng.uniform(0.5, 5), rng.uniform(0.5, 3)]) for _ in range(2))
    # points filling one box, asked whether they lie in the other: one-sided, but exact up to the grid
    grid = np.stack(np.meshgrid(np.linspace(-0.5, 0.5, 41), np.linspace(-0.5, 0.5, 41)), axis=-1).reshape(-1, 2) * b[3:]
    points = compose(np.broadcast_to(b[:3], (len(grid), 3)), np.concatenate([grid, np.zeros((len(grid), 1))], axis=-1))[:, :2] - a[:2]
    along, across = points @ [np.cos(a[2]), np.sin(a[2])], points @ [-np.sin(a[2]), np.cos(a[2])]
    inside = ((np.abs(along) <= a[3] / 2) & (np.abs(across) <= a[4] / 2)).any()
    shrunk = ((np.abs(along) <= a[3] / 2 + 0.15) & (np.abs(across) <= a[4] / 2 + 0.15)).any()
    assert bool(boxes_touch(a, b)) == bool(boxes_touch(b, a))
    assert not inside or boxes_touch(a, b)
    assert shrunk or not boxes_touch(a, b)


@pytest.mark.parametrize(
    ("decision", "accel", "curvature", "speed", "expected"),
    [
        ("speed up", 1.0, 0.0, 5.0, True),
        ("speed up", -1.0, 0.0, 5.0, False),
        ("slow down", -1.0, 0.0, 8.0, True),
        ("slow down", 1.0, 0.0, 8.0, False),
        ("stop", -3.0, 0.0, 6.0, True),
        ("stop", 0.0, 0.0, 6.0, False),
        ("wait", 0.0, 0.0, 0.0, True),
        ("wait", 2.0, 0.0, 0.0, False),
        ("keep going", 0.0, 0.0, 8.0, True),
        ("keep going", -3.0, 0.0, 8.0, False),
        ("turn left", 0.0, 0.05, 6.0, True),
        ("turn left", 0.0, -0.05, 6.0, False),
        ("turn right", 0.0, -0.05, 6.0, True),
        ("follow the bend right", 0.0, 0.01, 8.0, False),
        ("follow the bend left", 0.0, 0.01, 8.0, True),
    ],
)
def test_words_agree_with_motion(decision: str, accel: float, curvature: float, speed: float, expected: bool) -> None:
    plan = Trajectory(accel_mps2=np.full(64, accel), curvature_per_m=np.full(64, curvature))
    assert agrees(Thought(decision=decision, cause="the driver chose so"), plan, speed, CAR) is expected


def test_wrapped_yaw_is_one_angle() -> None:
    turned = dataclasses.replace(straight(), ego_world=np.stack([-np.arange(101.0), np.zeros(101), wrap_angle(np.full(101, np.pi))], axis=-1))
    assert scored(turned) == pytest.approx(scored(straight()))

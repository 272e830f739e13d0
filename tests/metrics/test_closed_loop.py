"""Closed-loop metrics: cases worked out by hand, and what must not change them."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorworks.bodies.body import CAR
from motorworks.datatypes.rollout import Rollout
from motorworks.datatypes.thought import Thought
from motorworks.datatypes.trajectory import Trajectory
from motorworks.geometry.se2 import compose, wrap_angle
from motorworks.metrics.agreement import agrees
from motorworks.metrics.closed_loop import score_rollout, values_of_steps
from motorworks.metrics.comfort import comfortable, felt, smooth
from motorworks.metrics.epdms import driving_direction, keeps_lane, plans_agree
from motorworks.metrics.failures import explain_failures

Straight = Callable[..., Rollout]
Tracks = Callable[..., np.ndarray]
Scored = Callable[[Rollout], dict[str, float]]


def test_epdms_gates_are_zero_only_for_own_fault(straight: Straight, scored: Scored) -> None:
    assert scored(straight(outcome="collision", collision_at_fault=True))["epdms_style"] == 0
    assert scored(straight(outcome="collision", collision_at_fault=False))["epdms_style"] == pytest.approx(1.0)
    assert scored(straight(outcome="off_road"))["epdms_style"] == 0


def test_epdms_weights_progress_by_five_fourteenths_without_plans(straight: Straight, scored: Scored) -> None:
    scores = scored(straight(outcome="timeout", route_length_m=200.0))
    assert scores["epdms_style"] == pytest.approx((5 * 0.5 + 5 + 2 + 2) / 14) and "epdms_ec" not in scores


@pytest.mark.parametrize(("steps", "expected"), [(1, 1.0), (2, 0.5), (5, 0.5), (6, 0.0), (30, 0.0)])
def test_driving_direction_by_metres_in_any_second(steps: int, expected: float, straight: Straight) -> None:
    assert driving_direction(straight(wrong_way=np.arange(101) < steps)) == expected  # 1 m a step


def test_lane_keeping_allows_two_seconds_and_pauses_in_junctions(straight: Straight) -> None:
    beside = np.zeros(101)
    beside[10:30] = 0.6
    assert keeps_lane(straight(lateral_offset_m=beside)).all()
    beside[30] = -0.6
    assert keeps_lane(straight(lateral_offset_m=beside)).tolist().count(False) == 1
    inside = np.zeros(101, bool)
    inside[12:31] = True
    assert keeps_lane(straight(lateral_offset_m=beside, in_junction=inside)).all()


def test_close_following_costs_time_gap_points(straight: Straight, tracks: Tracks, scored: Scored) -> None:
    agents = tracks([0.0, 0.0, 0.0, 0.0])
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


def test_plans_that_continue_agree_and_flickering_ones_do_not(straight: Straight, scored: Scored) -> None:
    accel = np.tile(np.sin(np.arange(200) / 20.0), (30, 1))
    shifted = np.stack([row[step : step + 64] for step, row in enumerate(accel)])
    steady = straight(30, plans=Trajectory(accel_mps2=shifted, curvature_per_m=np.zeros((30, 64))))
    steady = dataclasses.replace(steady, speed_mps=10.0 + np.concatenate([[0.0], np.cumsum(shifted[:-1, 0]) * 0.1]))
    flicker = straight(
        30, plans=Trajectory(accel_mps2=np.where(np.arange(30)[:, None] % 2 == 0, 1.0, -1.0) * np.ones((30, 64)), curvature_per_m=np.zeros((30, 64)))
    )
    assert plans_agree(steady).all() and not plans_agree(flicker).any()
    assert scored(flicker)["epdms_ec"] == 0 and scored(steady)["epdms_ec"] == 1


def busy(straight: Straight, seed: int, num: int = 60) -> Rollout:
    """A drive in which anything may have happened, with agents of all kinds all around."""
    rng = np.random.default_rng(seed)
    spread = ((-30, 90), (-12, 12), (-3, 3), (0, 10), (0.5, 8), (0.4, 2.5))
    agents = np.stack([rng.uniform(low, high, (num, 8)) for low, high in spread], axis=-1)
    flags = {name: rng.random(num) < 0.05 for name in ("wrong_way", "red_light", "stop_sign", "gave_no_way", "blocks_siren", "in_junction")}
    agents[-1, 0] = [*rng.uniform((57, -3), (66, 3)), rng.uniform(-3, 3), rng.uniform(0, 10), 4.6, 1.85]
    return straight(
        num,
        agents=agents,
        kinds=rng.integers(0, 11, 8).tolist(),
        agents_valid=np.concatenate([np.ones((num, 1), bool), rng.random((num, 7)) < 0.9], axis=1),
        outcome=str(rng.choice(["completed", "collision", "collision", "off_road", "timeout"])),
        collision_agent=0,
        route_length_m=float(rng.uniform(60, 200)),
        on_road=rng.random(num) > 0.02 * rng.integers(0, 2),
        curvature_per_m=rng.normal(0, 0.02, num),
        accel_mps2=rng.normal(0, 1, num),
        lateral_offset_m=rng.normal(0, 0.5, num),
        **flags,
    )


def moved(rollout: Rollout, move: np.ndarray) -> Rollout:
    agents = np.concatenate([compose(move, rollout.agents_world[..., :3]), rollout.agents_world[..., 3:]], axis=-1)
    return dataclasses.replace(rollout, ego_world=compose(move, rollout.ego_world), agents_world=agents)


@settings(deadline=None, max_examples=40)
@given(x=st.floats(-500, 500), y=st.floats(-500, 500), yaw=st.floats(-3.1, 3.1), seed=st.integers(0, 1000))
def test_scores_do_not_know_where_the_world_is(x: float, y: float, yaw: float, seed: int, straight: Straight, scored: Scored) -> None:
    here = busy(straight, seed)
    there = moved(here, np.array([x, y, yaw]))
    a, b = scored(here), scored(there)
    assert a.keys() == b.keys() and all(b[name] == pytest.approx(a[name], abs=1e-6) for name in a)
    for one, other in zip(values_of_steps(here), values_of_steps(there), strict=True):
        assert np.array_equal(one.valid, other.valid) and other.values[one.valid] == pytest.approx(one.values[one.valid], abs=1e-6)
    assert [failure.text for failure in explain_failures(here)] == [failure.text for failure in explain_failures(there)]


WORSE = {
    "red_light": lambda drive: {"red_light": spread_out(drive.red_light)},
    "stop_sign": lambda drive: {"stop_sign": spread_out(drive.stop_sign)},
    "gave_no_way": lambda drive: {"gave_no_way": spread_out(drive.gave_no_way)},
    "blocks_siren": lambda drive: {"blocks_siren": spread_out(drive.blocks_siren)},
    "wrong_way": lambda drive: {"wrong_way": drive.wrong_way | (np.arange(len(drive.wrong_way)) % 3 == 0)},
    "off_road": lambda drive: {"on_road": drive.on_road & (np.arange(len(drive.on_road)) % 3 != 0)},
    "limit": lambda drive: {"speed_limit_mps": drive.speed_limit_mps - 3.0},
    "offset": lambda drive: {"lateral_offset_m": drive.lateral_offset_m + np.sign(drive.lateral_offset_m) * 0.6},
    "route": lambda drive: {"route_length_m": drive.route_length_m * 1.5},
    "progress": lambda drive: {"progress_m": drive.progress_m * 0.7},
    "ending": lambda drive: {"outcome": "off_road"} if drive.outcome in ("completed", "timeout") else {},
}
GOOD = ("driving_score", "success_frac", "alpasim_scene_score", "epdms_style", "nuplan_style", "route_completion_frac", "speed_limit_score")


def spread_out(flags: np.ndarray) -> np.ndarray:
    """One event more, away from the others if there is room."""
    free = np.flatnonzero(~(flags | np.roll(flags, 1) | np.roll(flags, -1)))
    more = flags.copy()
    more[free[:1]] = True
    return more


@pytest.mark.parametrize("name", WORSE)
@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10_000))
def test_a_worse_drive_never_scores_more(name: str, seed: int, straight: Straight, scored: Scored) -> None:
    drive = busy(straight, seed)
    before, after = scored(drive), scored(dataclasses.replace(drive, **WORSE[name](drive)))
    assert all(after[metric] <= before[metric] + 1e-9 for metric in GOOD), {metric: (before[metric], after[metric]) for metric in GOOD}
    rates = [metric for metric in before if metric.endswith(("_per_km", "_per_100km"))]
    assert all(after[metric] >= before[metric] - 1e-9 for metric in rates) or name == "ending"


@pytest.mark.parametrize("field", ["ego_world", "speed_mps", "accel_mps2", "curvature_per_m", "progress_m", "lateral_offset_m", "speed_limit_mps"])
@pytest.mark.parametrize("judge", [score_rollout, values_of_steps, explain_failures])
def test_a_broken_number_is_named_with_its_step(field: str, judge: Callable[[Rollout], object], straight: Straight) -> None:
    values = np.array(getattr(straight(), field))
    values[7] = np.nan
    with pytest.raises(ValueError, match=rf"rollout town-1000000-0-10 of test: {field} is not finite at step 7"):
        judge(dataclasses.replace(straight(), **{field: values}))


def test_a_broken_agent_is_named_unless_it_is_not_there(straight: Straight, tracks: Tracks, scored: Scored) -> None:
    agents = tracks([60.0, 5.0, 0.0, 2.0], [70.0, -5.0, 0.0, 2.0])
    clean = scored(straight(agents=agents[:, :1]))
    agents[3, 1, 2] = np.inf
    with pytest.raises(ValueError, match="agents_world is not finite at step 3, agent 1"):
        score_rollout(straight(agents=agents))
    valid = np.ones((101, 2), bool)
    valid[:, 1] = False
    assert scored(straight(agents=agents, agents_valid=valid)) == clean
    with pytest.raises(ValueError, match="agents_kind names 1 agents, agents_world has 2"):
        score_rollout(straight(agents=agents, agents_valid=valid, kinds=[0]))


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


def test_wrapped_yaw_is_one_angle(straight: Straight, scored: Scored) -> None:
    turned = dataclasses.replace(straight(), ego_world=np.stack([-np.arange(101.0), np.zeros(101), wrap_angle(np.full(101, np.pi))], axis=-1))
    assert scored(turned) == pytest.approx(scored(straight()))

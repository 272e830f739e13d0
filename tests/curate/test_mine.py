"""Failures found once, where they are; scenarios near them; clips around them."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorworks.curate.mine import MineConfig, cut_clip, find_failures, near_misses, new_scenarios
from motorworks.datatypes.clip import Clip
from motorworks.datatypes.failure import KINDS, Failure
from motorworks.datatypes.rollout import Rollout
from motorworks.datatypes.scenario import Scenario

MakeRollout = Callable[..., Rollout]


def test_a_clean_drive_has_none(make_rollout: MakeRollout) -> None:
    oncoming = [[80.0, 3.5, np.pi, 10.0], [20.0, 0.0, 0.0, 10.0]]  # the next lane, and a lead car at the same speed
    assert find_failures(make_rollout(oncoming)) == [] and find_failures(make_rollout()) == []


@pytest.mark.parametrize("outcome", ["collision", "off_road", "timeout"])
def test_outcomes(make_rollout: MakeRollout, outcome: str) -> None:
    failures = find_failures(make_rollout(outcome=outcome))
    assert [(failure.kind, failure.step) for failure in failures] == [(outcome, 59)]
    expected = 10.0 if outcome == "collision" else 1 - 59 / 100
    assert failures[0].severity == pytest.approx(expected) and failures[0].name == f"{outcome}-town-3-5-10-0059"


def test_closing_on_a_standing_car_is_a_near_miss_by_time(make_rollout: MakeRollout) -> None:
    # rear bumper of the other at 57.7 - 2.3 m; our front is 3.7 m ahead of the axle: 51.7 m to go, 1 s left at step 42
    near = near_misses(make_rollout([[57.7, 0.0, 0.0, 0.0]], num=50))
    assert np.flatnonzero(near)[0] in (42, 43) and np.all(np.diff(near[42:50]) >= 0)
    failures = find_failures(make_rollout([[57.7, 0.0, 0.0, 0.0]], num=50))
    assert [failure.kind for failure in failures] == ["near_miss"] and failures[0].step == 49


def test_passing_too_close_is_a_near_miss_by_gap(make_rollout: MakeRollout) -> None:
    beside = [[30.0, 2.4, 0.0, 0.0]]  # 0.55 m between the sides
    near = near_misses(make_rollout(beside))
    assert 0 < near.max() < 1 and 24 <= near.argmax() <= 33
    assert near_misses(make_rollout(beside), MineConfig(near_gap_m=0.5)).max() == 0
    assert near_misses(make_rollout(beside, speed=0.5)).max() == 0  # creeping
    hidden = make_rollout(beside)
    hidden.agents_valid[:] = False
    assert near_misses(hidden).max() == 0


def test_the_moments_before_a_crash_are_that_crash(make_rollout: MakeRollout) -> None:
    failures = find_failures(make_rollout([[57.7, 0.0, 0.0, 0.0]], num=52, outcome="collision"))
    assert [failure.kind for failure in failures] == ["collision"]


def test_the_log_of_the_vehicle_is_mined(make_rollout: MakeRollout) -> None:
    surprise, disagreement, fallback = np.zeros(60), np.full(60, np.nan), np.zeros(60, bool)
    surprise[[10, 12, 40]], disagreement[30], fallback[[5, 6, 7]] = [0.8, 0.9, 0.6], 2.0, True
    failures = find_failures(make_rollout(), surprise=surprise, disagreement=disagreement, fallback=fallback)
    assert [(failure.kind, failure.step) for failure in failures] == [("fallback", 5), ("surprise", 12), ("disagreement", 30), ("surprise", 40)]
    with pytest.raises(ValueError, match="surprise has 61"):
        find_failures(make_rollout(), surprise=np.zeros(61))


@given(st.integers(0, 10_000), st.floats(0.0, 1.0), st.floats(0.1, 5.0))
@settings(deadline=None, max_examples=40)
def test_one_event_of_a_kind_in_the_quiet_time_and_none_lost(seed: int, limit: float, quiet_s: float) -> None:
    values = np.random.default_rng(seed).random(60)
    zeros = np.zeros(60)
    rollout = Rollout(
        scenario=Scenario(town_seed=0, route_seed=0),
        policy="p",
        outcome="completed",
        collision_at_fault=False,
        route_length_m=1.0,
        ego_world=np.zeros((60, 3)),
        speed_mps=zeros,
        accel_mps2=zeros,
        curvature_per_m=zeros,
        progress_m=zeros,
        lateral_offset_m=zeros,
        on_road=zeros == 0,
        wrong_way=zeros > 0,
        in_junction=zeros > 0,
        speed_limit_mps=zeros,
        agents_world=np.zeros((60, 0, 6)),
        agents_valid=np.zeros((60, 0), bool),
        agents_kind=np.zeros(0, np.uint8),
        red_light=zeros > 0,
        stop_sign=zeros > 0,
        gave_no_way=zeros > 0,
        blocks_siren=zeros > 0,
    )
    steps = [failure.step for failure in find_failures(rollout, surprise=values, limits=MineConfig(min_surprise=limit, quiet_s=quiet_s))]
    quiet = round(quiet_s / 0.1)
    assert all(later - earlier >= quiet for earlier, later in itertools.pairwise(steps))
    for step in np.flatnonzero(values > limit):  # each is an event or near a worse one
        assert any(abs(step - other) < max(quiet, 1) and values[other] >= values[step] for other in steps)


failures_of = st.builds(
    Failure,
    kind=st.sampled_from(KINDS),
    severity=st.floats(0, 9),
    step=st.integers(0, 99),
    scenario=st.builds(Scenario, town_seed=st.integers(10_000, 10_005), route_seed=st.integers(0, 5), num_agents=st.integers(0, 12)),
)


@given(st.lists(failures_of, min_size=1, max_size=8), st.integers(0, 40), st.randoms())
@settings(deadline=None, max_examples=60)
def test_new_scenarios_are_different_near_and_the_same_each_time(failures: list[Failure], num: int, random: object) -> None:
    scenarios = new_scenarios(failures, num)
    assert len(scenarios) == len(set(scenarios)) == num
    own = {failure.scenario for failure in failures}
    assert {scenario.town_seed for scenario in scenarios} <= {scenario.town_seed for scenario in own}
    assert set(scenarios[: len(own)]) <= own and (num < len(own) or own <= set(scenarios))
    assert scenarios == new_scenarios(failures, num)
    assert scenarios[: num // 2] == new_scenarios(failures, num // 2)


def test_the_worst_of_each_kind_comes_first_and_held_out_is_refused() -> None:
    def failure(kind: str, severity: float, route: int) -> Failure:
        return Failure(kind=kind, severity=severity, step=0, scenario=Scenario(town_seed=1, route_seed=route))

    failures = [failure("timeout", 0.1, 0), failure("timeout", 0.9, 1), failure("collision", 3.0, 2), failure("collision", 9.0, 3)]
    assert [scenario.route_seed for scenario in new_scenarios(failures, 4)] == [3, 1, 2, 0]
    assert new_scenarios([], 5) == []
    with pytest.raises(ValueError, match="held-out"):
        new_scenarios(failures, 4, is_held_out=lambda scenario: scenario.route_seed == 3)


def test_cut_around_a_moment(drive: Callable[..., Clip]) -> None:
    clip = drive(np.zeros(100), np.zeros(100), frames=False)
    part = cut_clip(clip, 50, 2.0, 1.0)
    assert part.timestamp_us[[0, -1]].tolist() == [3_000_000, 6_000_000] and part.tags == ("mined",) and part.recording_id == clip.recording_id
    assert len(cut_clip(clip, 0, 2.0, 1.0).timestamp_us) == 11 and len(cut_clip(clip, 99, 0.0, 5.0).timestamp_us) == 2
    assert cut_clip(part, 5, 1.0, 1.0).tags == ("mined",)
    with pytest.raises(ValueError, match="no step 100"):
        cut_clip(clip, 100, 1.0, 1.0)

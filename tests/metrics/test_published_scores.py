"""CARLA, Bench2Drive, nuPlan, AlpaSim and NAVSIM's gates: each factor worked out by hand."""

from collections.abc import Callable

import numpy as np
import pytest

from motorworks.datatypes.agent import BARRIER, CAR, CHILD, CONE, CYCLIST, DEBRIS, EMERGENCY, PEDESTRIAN, TRUCK
from motorworks.datatypes.rollout import Rollout
from motorworks.datatypes.scenario import Scenario
from motorworks.metrics.carla import carla_events
from motorworks.metrics.thresholds import CARLA_PENALTIES

Straight = Callable[..., Rollout]
Tracks = Callable[..., np.ndarray]
Scored = Callable[[Rollout], dict[str, float]]
AHEAD = [105.5, 0.0, 0.0, 2.0]  # half a metre into the front of an ego that ends at x = 100, and moving


def at(*steps: int, num: int = 101) -> np.ndarray:
    flags = np.zeros(num, bool)
    flags[list(steps)] = True
    return flags


def test_a_perfect_drive_gets_every_point(straight: Straight, scored: Scored) -> None:
    scores = scored(straight())
    full = {"route_completion_frac": 1, "driving_score": 100, "success_frac": 1, "alpasim_scene_score": 1, "epdms_style": 1, "nuplan_style": 1}
    full |= {"comfort_frac": 1, "speed_limit_score": 1, "driven_km": 0.101}
    assert {name: scores[name] for name in full} == pytest.approx(full)
    assert scores["mean_speed_mps"] == pytest.approx(10) and scores["collisions_per_km"] == 0


@pytest.mark.parametrize(
    ("kind", "factor"),
    [(CAR, 0.6), (TRUCK, 0.6), (EMERGENCY, 0.6), (CYCLIST, 0.6), (PEDESTRIAN, 0.5), (CHILD, 0.5), (CONE, 0.65), (BARRIER, 0.65), (DEBRIS, 0.65)],
)
def test_carla_penalises_a_hit_by_whom(kind: int, factor: float, straight: Straight, tracks: Tracks, scored: Scored) -> None:
    drive = straight(agents=tracks(AHEAD), kinds=[kind], outcome="collision", collision_agent=0, route_length_m=200.0)
    scores = scored(drive)
    assert scores["driving_score"] == pytest.approx(100 * 0.5 * factor) and scores["success_frac"] == 0
    assert sum(carla_events(drive).values()) == 1


@pytest.mark.parametrize(("field", "factor"), [("red_light", 0.7), ("stop_sign", 0.8), ("blocks_siren", 0.7), ("gave_no_way", 1.0)])
def test_carla_penalises_each_event_and_not_each_step(field: str, factor: float, straight: Straight, scored: Scored) -> None:
    assert scored(straight(**{field: at(10)}))["driving_score"] == pytest.approx(100 * factor)
    twice = scored(straight(**{field: at(10, 11, 12, 50)}))
    assert twice["driving_score"] == pytest.approx(100 * factor**2) and twice["success_frac"] == (1.0 if factor == 1.0 else 0.0)


def test_carla_charges_a_staged_scenario_for_its_time_and_plain_traffic_only_for_the_route(straight: Straight, scored: Scored) -> None:
    late = {"outcome": "timeout", "route_length_m": 200.0}
    assert scored(straight(**late))["driving_score"] == pytest.approx(50.0)
    staged = Scenario(town_seed=1_000_000, route_seed=0, kind="cut-in")
    assert scored(straight(**late, scenario=staged))["driving_score"] == pytest.approx(50.0 * 0.7)


def test_carla_takes_the_share_of_metres_outside_the_lanes(straight: Straight, scored: Scored) -> None:
    wrong, off = at(*range(25), num=100), ~at(*range(20, 40), num=100)  # together 40 of 100 metres
    scores = scored(straight(100, wrong_way=wrong))
    assert scores["driving_score"] == pytest.approx(75.0) and scores["wrong_way_frac"] == pytest.approx(0.25) and scores["success_frac"] == 0
    assert scored(straight(100, wrong_way=wrong, on_road=off))["driving_score"] == pytest.approx(60.0)


def test_carla_multiplies_everything(straight: Straight, tracks: Tracks, scored: Scored) -> None:
    flags = {"red_light": at(10), "stop_sign": at(20, 40), "blocks_siren": at(30, 31)}
    drive = straight(agents=tracks(AHEAD), kinds=[PEDESTRIAN], outcome="collision", collision_agent=0, route_length_m=200.0, **flags)
    assert scored(drive)["driving_score"] == pytest.approx(100 * 0.5 * 0.5 * 0.7 * 0.8**2 * 0.7)
    assert set(carla_events(drive)) == set(CARLA_PENALTIES)


@pytest.mark.parametrize(("kind", "nc"), [(CAR, 0.0), (PEDESTRIAN, 0.0), (CONE, 0.5)])
def test_the_gate_for_hits_is_zero_for_agents_and_half_for_things(kind: int, nc: float, straight: Straight, tracks: Tracks, scored: Scored) -> None:
    scores = scored(straight(agents=tracks(AHEAD), kinds=[kind], outcome="collision", collision_agent=0, route_length_m=100.0))
    # TTC: the last of the three 4 s pieces fails; progress is whole, so only it and the gate are missing
    assert scores["epdms_nc"] == nc and scores["epdms_style"] == pytest.approx(nc * (5 + 5 * 2 / 3 + 2 + 2) / 14)
    assert scores["nuplan_style"] == pytest.approx(nc * (5 * 0 + 5 + 5 + 4 + 2) / 21)  # one 15 s piece, and it fails
    assert scores["alpasim_scene_score"] == 0 and scores["at_fault_collision_frac"] == 1


def test_a_hit_that_was_not_egos_fault_closes_no_gate(straight: Straight, tracks: Tracks, scored: Scored) -> None:
    scores = scored(straight(agents=tracks([96.9, 0.0, 0.0, 14.0]), outcome="collision", collision_agent=0, collision_at_fault=True))
    assert (scores["epdms_nc"], scores["alpasim_scene_score"], scores["at_fault_collision_frac"], scores["collision_frac"]) == (1, 1, 0, 1)


def test_a_red_light_closes_epdms_and_a_wheel_off_the_road_both(straight: Straight, scored: Scored) -> None:
    red = scored(straight(red_light=at(50)))
    assert red["epdms_tlc"] == 0 and red["epdms_style"] == 0 and red["nuplan_style"] == 1
    wheel = scored(straight(on_road=~at(50)))
    assert wheel["epdms_dac"] == 0 and wheel["epdms_style"] == 0 and wheel["nuplan_style"] == 0 and wheel["alpasim_scene_score"] == 0
    assert scored(straight(outcome="off_road"))["nuplan_style"] == 0


@pytest.mark.parametrize(("steps", "direction"), [(1, 1.0), (3, 0.5), (7, 0.0)])
def test_nuplan_counts_driving_direction_twice_as_published(steps: int, direction: float, straight: Straight, scored: Scored) -> None:
    scores = scored(straight(wrong_way=at(*range(20, 20 + steps))))
    assert scores["epdms_ddc"] == direction
    assert scores["nuplan_style"] == pytest.approx(direction * (5 + 5 + 5 * direction + 4 + 2) / 21)


@pytest.mark.parametrize(("route_m", "gate"), [(200.0, 1.0), (499.0, 1.0), (501.0, 0.0)])
def test_nuplan_asks_for_a_fifth_of_the_route(route_m: float, gate: float, straight: Straight, scored: Scored) -> None:
    progress = 100.0 / route_m
    assert scored(straight(outcome="timeout", route_length_m=route_m))["nuplan_style"] == pytest.approx(gate * (5 + 5 * progress + 5 + 4 + 2) / 21)


def test_nuplan_weighs_overspeed_and_comfort(straight: Straight, scored: Scored) -> None:
    fast = scored(straight(speed_limit_mps=np.full(101, 10.0 - 1.115)))
    assert fast["nuplan_speed"] == pytest.approx(0.5) and fast["nuplan_style"] == pytest.approx((5 + 5 + 5 + 2 + 2) / 21)
    rough = scored(straight(accel_mps2=np.full(101, -4.5)))
    assert rough["nuplan_comfort"] == 0 and rough["nuplan_style"] == pytest.approx(19 / 21)


def test_nuplan_asks_for_nearly_a_second_before_a_meeting(straight: Straight, tracks: Tracks, scored: Scored) -> None:
    for seconds, expected in ((0.9, 0.0), (1.0, 1.0)):  # standing so far ahead of the front bumper at the end
        assert scored(straight(agents=tracks([103.7 + 2.3 + 10.0 * seconds, 0.0, 0.0, 0.0])))["nuplan_ttc"] == expected


def test_a_reference_driver_sets_the_measure_of_progress(straight: Straight) -> None:
    from motorworks.metrics.closed_loop import score_rollout

    late = straight(outcome="timeout", route_length_m=200.0)
    scores = {score.metric: score.value for score in score_rollout(late, reference_progress_m=125.0)}
    assert scores["epdms_ep"] == scores["nuplan_progress"] == pytest.approx(0.8)
    assert {score.metric: score.value for score in score_rollout(late, reference_progress_m=5.0)}["epdms_ep"] == 1.0


def test_rates_count_events_over_the_distance(straight: Straight, tracks: Tracks) -> None:
    from motorworks.metrics.rules import score_rules

    flags = {"red_light": at(10, 60), "stop_sign": at(20), "gave_no_way": at(30, 31), "blocks_siren": at(*range(40, 60))}
    drive = straight(agents=tracks(AHEAD), outcome="collision", collision_agent=0, **flags)
    counts = {score.metric: score.value * score.weight for score in score_rules(drive) if score.is_rate}
    expected = {"collisions_per_km": 1, "at_fault_collisions_per_100km": 1, "red_lights_per_km": 2, "stop_signs_per_km": 1}
    assert counts == pytest.approx(expected | {"gave_no_way_per_km": 1, "blocks_siren_per_km": 1})
    weights = {score.metric: score.weight for score in score_rules(drive)}
    assert weights["collisions_per_km"] == pytest.approx(0.101) and weights["at_fault_collisions_per_100km"] == pytest.approx(0.00101)
    standing = score_rules(straight(speed_mps=0.0, outcome="timeout", route_length_m=50.0))
    assert all(score.valid != score.is_rate for score in standing)

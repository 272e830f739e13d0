"""Failures say what, whose fault, what led to it, when and about whom: one staged drive per cause."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from motorworks.datatypes.agent import CAR, CHILD, CONE, EMERGENCY, PEDESTRIAN, VAN
from motorworks.datatypes.failure import CAUSES, Failure
from motorworks.datatypes.rollout import Rollout
from motorworks.datatypes.scenario import Scenario
from motorworks.datatypes.thought import Thought
from motorworks.metrics.failures import explain_failures, failure_counts

Straight = Callable[..., Rollout]
Tracks = Callable[..., np.ndarray]
NUM = 101
STOPS = np.r_[np.full(100, 10.0), 0.0]


def at(*steps: int) -> np.ndarray:
    flags = np.zeros(NUM, bool)
    flags[list(steps)] = True
    return flags


def crash(straight: Straight, agents: np.ndarray, **changes: object) -> Failure:
    """The collision with slot 0 that ended a drive."""
    found = explain_failures(straight(agents=agents, outcome="collision", collision_agent=0, **changes))
    assert found[-1].kind == "collision" and found[-1].step == NUM - 1
    return found[-1]


def with_speeds(agents: np.ndarray, speeds: np.ndarray) -> np.ndarray:
    """Slot 0 goes straight on at these speeds and ends where it did."""
    agents = agents.copy()
    left_m = np.concatenate([np.cumsum((speeds[:-1] * 0.1)[::-1])[::-1], [0.0]])
    agents[:, 0, 0] = agents[-1, 0, 0] - left_m
    agents[:, 0, 3] = speeds
    return agents


def test_a_clean_arrival_has_no_failure(straight: Straight, tracks: Tracks) -> None:
    assert explain_failures(straight(agents=tracks([60.0, 5.0, 0.0, 2.0]))) == []


@pytest.mark.parametrize(
    ("agent", "kind", "changes", "fault", "cause"),
    [
        ([105.5, 0.0, 0.0, 2.0], CAR, {}, "ego", "ego did not slow for the one ahead"),
        ([96.9, 0.0, 0.0, 14.0], CAR, {}, "other", "hit from behind"),
        ([105.5, 0.0, 0.0, 0.0], VAN, {}, "ego", "something stood in the way"),
        ([103.8, 0.0, 0.0, 0.0, 0.4, 0.4], CONE, {}, "ego", "something stood in the way"),
        ([105.5, 0.0, np.pi, 8.0], CAR, {}, "ego", "oncoming in ego's lane"),
        ([105.5, 0.0, np.pi, 8.0], CAR, {"wrong_way": at(*range(80, 101))}, "ego", "ego drove against traffic"),
        ([104.5, 2.0, -np.pi / 2, 6.0], CAR, {}, "ego", "crossing traffic"),
        ([104.5, 2.0, -np.pi / 2, 6.0], CAR, {"red_light": at(80)}, "ego", "ego ran a red light"),
        ([104.5, 2.0, -np.pi / 2, 6.0], CAR, {"stop_sign": at(80)}, "ego", "ego ran a stop sign"),
        ([104.5, 2.0, -np.pi / 2, 6.0], CAR, {"gave_no_way": at(80)}, "ego", "ego gave no way"),
        ([104.5, 2.0, -np.pi / 2, 6.0], CAR, {"red_light": at(5)}, "ego", "crossing traffic"),  # long ago: another story
        ([103.5, 0.5, -np.pi / 2, 1.5, 0.5, 0.5], PEDESTRIAN, {}, "ego", "someone crossed on foot"),
        ([100.8, 1.8, 0.0, 9.0], CAR, {}, "other", "hit from the side"),
        ([100.8, 1.8, 0.0, 9.0], CAR, {"lateral_offset_m": np.linspace(-4.0, 1.0, NUM)}, "ego", "ego left its lane"),
        ([104.5, 0.2, np.pi, 8.0], CAR, {"speed_mps": STOPS}, "other", "oncoming in ego's lane"),
        ([97.0, 0.2, 0.0, 8.0], CAR, {"speed_mps": STOPS}, "other", "hit from behind"),
        ([101.0, 2.8, -np.pi / 2, 8.0], CAR, {"speed_mps": STOPS}, "other", "hit from the side"),
        ([105.5, 0.0, 0.0, -1.0], CAR, {"speed_mps": STOPS}, "other", "not known"),  # backed into ego
    ],
)
def test_what_led_to_a_collision(agent: list[float], kind: int, changes: dict, fault: str, cause: str, straight: Straight, tracks: Tracks) -> None:
    failure = crash(straight, tracks(agent), kinds=[kind], **changes)
    assert (failure.fault, failure.cause, failure.agent) == (fault, cause, 0)


def test_a_leader_that_brakes_and_one_that_cuts_in(straight: Straight, tracks: Tracks) -> None:
    ahead = tracks([105.5, 0.0, 0.0, 2.0])
    braking = np.clip(10.0 - 0.4 * np.arange(-80, 21), 2.0, 10.0)
    assert crash(straight, with_speeds(ahead, braking)).cause == "the one ahead braked"
    cutting = tracks([105.5, 0.5, 0.0, 8.0])
    cutting[:, 0, 1] = np.interp(np.arange(NUM), [70, 95], [3.5, 0.5])
    assert crash(straight, cutting).cause == "cut-in"


def test_a_child_from_behind_a_van_was_hidden_and_one_in_the_open_was_not(straight: Straight, tracks: Tracks) -> None:
    child = [103.5, -0.5, np.pi / 2, 1.5, 0.4, 0.4]
    hidden = crash(straight, tracks(child, [99.0, -3.0, 0.0, 0.0, 5.0, 2.0]), kinds=[CHILD, VAN])
    assert hidden.cause == "someone stepped out from behind another" and hidden.what == "hit a vulnerable road user"
    assert crash(straight, tracks(child, [60.0, -12.0, 0.0, 0.0, 5.0, 2.0]), kinds=[CHILD, VAN]).cause == "someone crossed on foot"


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"curvature_per_m": np.full(NUM, 0.05)}, "too fast in a bend"),
        ({"lateral_offset_m": np.linspace(0, 3, NUM)}, "over the left edge"),
        ({"lateral_offset_m": np.linspace(0, -3, NUM)}, "over the right edge"),
        ({"in_junction": at(*range(85, 101))}, "astray in a junction"),
        ({"agents": [90.0, 0.0, 0.0, 0.0]}, "swerved around someone"),
    ],
)
def test_what_led_off_the_road(changes: dict, cause: str, straight: Straight, tracks: Tracks) -> None:
    if "agents" in changes:
        changes = {"agents": tracks(changes["agents"])}
    (failure,) = explain_failures(straight(outcome="off_road", on_road=~at(99, 100), route_length_m=200.0, **changes))
    assert (failure.kind, failure.step, failure.fault, failure.cause) == ("off_road", 100, "ego", cause)
    assert failure.severity == pytest.approx(0.5) and (failure.agent == 0) == (cause == "swerved around someone")


def test_a_wheel_off_the_road_on_the_way_is_told_beside_the_ending(straight: Straight) -> None:
    drive = straight(outcome="off_road", on_road=~at(20, 21, 25, 99, 100), route_length_m=200.0)
    assert [(failure.kind, failure.step, failure.severity > 0) for failure in explain_failures(drive)] == [
        ("off_road", 20, False),
        ("off_road", 100, True),
    ]


def test_out_of_time_for_four_reasons(straight: Straight, tracks: Tracks) -> None:
    def ending(agents: np.ndarray | None = None, **changes: object) -> tuple[str, str, int]:
        (failure,) = explain_failures(straight(NUM, agents=agents, outcome="timeout", route_length_m=50.0, **changes))
        return failure.fault, failure.cause, failure.agent

    waiting = (Thought(decision="wait", cause="the light is red"),) * NUM
    assert ending(speed_mps=0.0) == ("ego", "stood without a reason", -1)
    assert ending(tracks([12.0, 0.0, 0.0, 0.0]), speed_mps=0.0) == ("nobody", "stuck behind something that stood", 0)
    assert ending(tracks([-12.0, 0.0, 0.0, 0.0]), speed_mps=0.0) == ("ego", "stood without a reason", -1)
    assert ending(speed_mps=0.0, thoughts=waiting) == ("nobody", "waited at a light", -1)
    assert ending(speed_mps=1.0) == ("ego", "too slow", -1)


def test_broken_rules_are_failures_of_their_own(straight: Straight, tracks: Tracks) -> None:
    agents = tracks([60.0, -20.0, -np.pi / 2, 5.0], [60.0, 0.0, 0.0, 10.0])
    flags = {"gave_no_way": at(50), "red_light": at(10, 70), "stop_sign": at(30), "blocks_siren": at(*range(85, 100))}
    accel = np.where(np.arange(NUM) < 8, -3.0, 0.0)
    drive = straight(agents=agents, kinds=[CAR, EMERGENCY], accel_mps2=accel, wrong_way=at(*range(88, 95)), **flags)
    told = [(failure.kind, failure.step, failure.cause) for failure in explain_failures(drive)]
    assert told == [
        ("red_light", 10, "braked too late"),
        ("stop_sign", 30, "did not brake"),
        ("gave_no_way", 50, "did not brake"),
        ("red_light", 70, "did not brake"),
        ("blocked_siren", 85, "made no room"),
        ("wrong_way", 88, "kept too far left"),
    ]
    by_kind = {failure.kind: failure for failure in explain_failures(drive)}
    assert by_kind["gave_no_way"].agent == 0 and by_kind["blocked_siren"].agent_kind == "emergency"
    assert by_kind["blocked_siren"].severity == pytest.approx(1.5) and by_kind["wrong_way"].severity == pytest.approx(7.0)
    around = straight(agents=tracks([95.0, -1.0, 0.0, 0.0]), kinds=[VAN], wrong_way=at(*range(88, 95)))
    assert [(failure.cause, failure.agent_kind) for failure in explain_failures(around)] == [("passed something that stood", "van")]


def test_one_line_for_people_and_a_table(straight: Straight, tracks: Tracks) -> None:
    scenario = Scenario(town_seed=1_000_000, route_seed=3, kind="jaywalker")
    found = crash(straight, tracks([103.5, 0.5, -np.pi / 2, 1.5, 0.5, 0.5]), kinds=[PEDESTRIAN], scenario=scenario)
    assert found.text == (
        "town-1000000-3-10-jaywalker-0.50 at 10.0 s: hit a vulnerable road user (pedestrian, slot 0); fault: ego; someone crossed on foot; "
        "at 10.0 m/s, contact: front"
    )
    other = dataclasses.replace(found, fault="other", cause="hit from behind")
    assert failure_counts([found, other, found]) == [
        {"what": "hit a vulnerable road user", "fault": "ego", "cause": "someone crossed on foot", "num": 2},
        {"what": "hit a vulnerable road user", "fault": "other", "cause": "hit from behind", "num": 1},
    ]
    with pytest.raises(ValueError, match="failure cause 'bad luck' is not one of"):
        dataclasses.replace(found, cause="bad luck")


def test_every_cause_is_one_that_a_rule_can_give() -> None:
    from pathlib import Path

    import motorworks.metrics.causes as rules
    import motorworks.metrics.failures as kinds

    text = Path(rules.__file__).read_text() + Path(kinds.__file__).read_text()
    assert [cause for cause in CAUSES if f'"{cause}"' not in text] == []

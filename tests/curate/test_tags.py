"""Each tag on a drive that is one and on drives that are not; the logic of "not known"; conditions and the sentence."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorworks.curate.describe import CONDITIONS, conditions, count_cells, describe
from motorworks.curate.detect import Detection
from motorworks.curate.evidence import look_at
from motorworks.curate.predicates import Predicate, Truth, by_tag, by_thought
from motorworks.curate.tags import DARK, HARD_BRAKE, LEFT_TURN, PERSON_NEAR, RIGHT_TURN, STOPPED, TAGS, tag, tag_spans
from motorworks.datatypes.clip import Clip
from motorworks.datatypes.thought import Thought

Drive = Callable[..., Clip]


def bends(*parts: tuple[float, float]) -> np.ndarray:
    """Curvature per step of (seconds, curvature) one after another."""
    return np.concatenate([np.full(round(seconds * 10), curvature) for seconds, curvature in parts])


def lane_change(side: int, mps: float) -> np.ndarray:
    """3.5 m sideways in 4 s: one sine of curvature, whose double integral is that."""
    num = 40
    size = 3.5 * 2 * np.pi / (mps * num * 0.1) ** 2
    return np.concatenate([np.zeros(30), side * size * np.sin(2 * np.pi * np.arange(num) / num), np.zeros(30)])


DRIVES = {
    "left turn": (bends((3, 0), (3.2, 0.1), (3, 0)), 5.0),
    "right turn": (bends((3, 0), (3.2, -0.1), (3, 0)), 5.0),
    "u-turn": (bends((3, 0), (6.3, 0.1), (3, 0)), 5.0),
    "roundabout-like": (bends((3, 0), (1.2, -0.12), (1, 0), (4, 0.07), (1, 0), (1.2, -0.12), (3, 0)), 6.0),
    "lane change left": (lane_change(1, 15.0), 15.0),
    "lane change right": (lane_change(-1, 15.0), 15.0),
    "curvy": (np.concatenate([np.full(20, side * 0.012) for side in (1, -1) * 5]), 14.0),
    "nothing": (bends((9, 0)), 15.0),
    "a wide bend": (bends((3, 0), (9, 0.004), (3, 0)), 15.0),
    "a quarter circle of a road": (bends((3, 0), (6.3, 0.03), (3, 0)), 8.0),
}
MANOEUVRES = {"left turn", "right turn", "u-turn", "roundabout-like", "lane change left", "lane change right", "curvy"}


@pytest.mark.parametrize("name", DRIVES)
def test_each_path_has_its_own_tag_and_no_other(drive: Drive, name: str) -> None:
    curvature, speed = DRIVES[name]
    clip = drive(np.zeros(len(curvature)), curvature, speed, frames=False)
    found = {span.tag for span in tag_spans(look_at(clip))} & MANOEUVRES
    assert found == (MANOEUVRES & {name} or ({"curvy"} if name == "a quarter circle of a road" else set()))
    turned = replace(clip, motion=replace(clip.motion, poses_world=clip.motion.poses_world[:, [1, 0, 2]] * [-1, 1, 1] + [9, 9, np.pi / 2]))
    assert {span.tag for span in tag_spans(look_at(turned))} & MANOEUVRES == found  # in whichever direction it goes


def test_a_brake_before_a_turn_is_found_where_it_is(drive: Drive) -> None:
    accel = np.concatenate([np.zeros(20), np.full(15, -4.0), np.zeros(65)])
    evidence = look_at(drive(accel, bends((4.5, 0), (3.2, 0.1), (2.3, 0)), 11.0, frames=False))
    brake, turn = HARD_BRAKE.mask(evidence), LEFT_TURN.mask(evidence)
    assert 19 <= np.flatnonzero(brake)[0] <= 22 and 33 <= np.flatnonzero(brake)[-1] <= 36
    assert 42 <= np.flatnonzero(turn)[0] <= 46
    assert (HARD_BRAKE.before(LEFT_TURN, 3.0).mask(evidence) == brake).all()
    assert not HARD_BRAKE.before(LEFT_TURN, 0.5).mask(evidence).any() and not HARD_BRAKE.before(RIGHT_TURN, 3.0).mask(evidence).any()
    assert not HARD_BRAKE.lasting(2.0).mask(evidence).any()


def test_stop_and_go_is_a_queue_and_not_one_light(drive: Drive) -> None:
    go = np.concatenate([np.full(15, 1.0), np.full(15, -1.0), np.zeros(20)])
    queue, light = (drive(np.tile(go, times), np.zeros(50 * times), 0.0, frames=False) for times in (4, 1))
    assert "stop and go" in tag(queue).tags and "stop and go" not in tag(light).tags and "stopped" in tag(light).tags


def test_a_small_body_is_judged_at_the_scale_of_a_car(drive: Drive) -> None:
    curvature, speed = DRIVES["left turn"]
    donkey = drive(np.zeros(len(curvature)), curvature * 7.5, speed / 7.5, frames=False, body="donkey")
    assert "left turn" in tag(donkey).tags


def test_light_is_told_from_pictures_and_people_from_detections(drive: Drive) -> None:
    dark = drive(np.zeros(20), np.zeros(20), 5.0)
    dark = replace(dark, frames=dark.frames // 8)
    person = Detection(kind="person", left_frac=0.4, top_frac=0.3, right_frac=0.5, bottom_frac=0.9, score=0.8)
    evidence = look_at(dark, [[person] if step >= 10 else [] for step in range(20)])
    assert DARK.mask(evidence).all() and (~DARK | PERSON_NEAR).mask(evidence).sum() == 10
    assert (conditions(evidence)["light"] == CONDITIONS["light"].index("night")).all()
    assert not PERSON_NEAR.mask(look_at(dark)).any() and not (~PERSON_NEAR).mask(look_at(dark)).any()


@given(st.lists(st.lists(st.sampled_from([True, False, None]), min_size=12, max_size=12), min_size=2, max_size=2), st.integers(0, 11))
@settings(deadline=None, max_examples=60)
def test_what_is_known_stays_so_when_more_is_known(rows: list[list[bool | None]], at: int) -> None:
    """Kleene's logic is monotone: learning one unknown step never turns a yes into a no, or back."""
    clip = Clip(
        recording_id="r",
        source="s",
        body="car",
        licence="",
        timestamp_us=np.arange(12) * 100_000,
        frames=np.zeros((12, 4, 4, 3), np.uint8),
        motion=None,
    )

    def predicates(first: list[bool | None]) -> list[Predicate]:
        def given_as(row: list[bool | None]) -> Predicate:
            truth = Truth(yes=np.array([v is True for v in row]), no=np.array([v is False for v in row]))
            return Predicate(name="given", judge=lambda _: truth)

        a, b = given_as(first), given_as(rows[1])
        return [a & b, a | b, ~a, a.lasting(0.3), a.before(b, 0.4), b.before(a, 0.4), ~(a & ~b).lasting(0.2)]

    evidence = look_at(clip)
    learnt = [(rows[0][at] if rows[0][at] is not None else True) if step == at else value for step, value in enumerate(rows[0])]
    for less, more in zip(predicates(rows[0]), predicates(learnt), strict=True):
        before, after = less.judge(evidence), more.judge(evidence)
        assert not (before.yes & before.no).any()
        assert (after.yes | ~before.yes).all() and (after.no | ~before.no).all()


def test_without_motion_nothing_is_known_to_be_moving(drive: Drive) -> None:
    blind = replace(drive(np.zeros(20), np.zeros(20), 0.0), motion=None)
    evidence = look_at(blind)
    assert not STOPPED.mask(evidence).any() and not (~STOPPED).mask(evidence).any()
    assert {span.tag for span in tag_spans(evidence)} <= {"dark", "bright", "low contrast"}
    assert describe(evidence).startswith("a car is seen")


def test_the_sentence_and_the_table_of_what_is_covered(drive: Drive) -> None:
    curvature, speed = DRIVES["left turn"]
    red = Thought(decision="slow down", cause="the light is red")
    num = len(curvature)
    clip = replace(
        drive(np.zeros(num), curvature, speed, frames=False),
        thoughts=(red,) * 10 + (None,) * (num - 10),
        instructions=("turn left ahead",) * num,
        tags=("traffic light",),
    )
    evidence = look_at(clip)
    assert describe(evidence) == "a car turns left; because the light is red; told to turn left ahead; traffic light"
    assert by_thought("red", cause="the light is red").before(LEFT_TURN, 4.0).mask(evidence)[:10].all()
    assert by_tag("traffic light").mask(evidence).all() and not (~by_tag("snow")).mask(evidence).any()
    cells = count_cells([evidence, evidence])
    assert sum(steps for (name, *_), steps in cells.items() if name == "any") == 2 * num
    turning = cells["left turn", "unknown", "town", "junction"]
    assert 2 * 28 <= turning <= 2 * 40 and cells["traffic light", "unknown", "town", "junction"] == turning


def test_tags_are_named_once_and_stay_beside_those_of_the_scene(drive: Drive) -> None:
    curvature, speed = DRIVES["left turn"]
    clip = replace(drive(np.zeros(len(curvature)), curvature, speed, frames=False), tags=("left turn", "snow"))
    assert tag(clip).tags[:2] == ("left turn", "snow") and tag(clip).tags.count("left turn") == 1
    assert all(name == predicate.name for name, predicate in TAGS.items())


def test_a_straight_real_road_has_no_manoeuvre(shared_data: Path) -> None:
    from motorworks.clips.reader import read

    (clip,) = read([shared_data / "comma2k19_example1"]).clips
    assert not {span.tag for span in tag_spans(look_at(clip))} & MANOEUVRES  # a minute straight on, at 8 to 20 m/s

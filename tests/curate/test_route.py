"""Hints read off the path: of the nearest manoeuvre, from 40 m before it; words of a driver or a town stay."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from motorworks.curate.route import AHEAD_M, NOW_M, instruct
from motorworks.datatypes.clip import Clip
from motorworks.tokens.text import INSTRUCTIONS

Drive = Callable[..., Clip]


def _left_then_right(drive: Drive, **more: object) -> Clip:
    """At 5 m/s: 80 m straight, a left turn, 30 m, a right turn, 20 m."""
    curvature = np.repeat([0.0, 0.1, 0.0, -0.1, 0.0], [160, 32, 60, 32, 40])
    return drive(np.zeros(len(curvature)), curvature, 5.0, **more)


def test_each_step_is_told_the_nearest_manoeuvre_from_40_m_before_it(drive: Drive) -> None:
    clip = instruct(_left_then_right(drive))
    words, metres = np.array(clip.instructions), np.arange(324) * 0.5
    assert clip.instruction_kind == "derived" and set(words) <= set(INSTRUCTIONS)
    first = {word: metres[int(np.argmax(words == word))] for word in dict.fromkeys(words.tolist())}
    assert list(first) == ["follow the road", "turn left ahead", "turn left now", "turn right ahead", "turn right now"]
    assert first["turn left ahead"] == pytest.approx(80 - AHEAD_M, abs=2.5) and first["turn left now"] == pytest.approx(80 - NOW_M, abs=2.5)
    left_done = 80 + 16
    assert first["turn right ahead"] == pytest.approx(left_done, abs=2.5), "the left turn is told until it is done"
    assert words[-1] == "follow the road"


def test_what_nobody_can_tell_is_to_follow_the_road(drive: Drive) -> None:
    straight = instruct(drive(np.zeros(100), np.zeros(100), 10.0))
    assert set(straight.instructions) == {"follow the road"} and straight.instruction_kind == "derived"
    pictures = replace(straight, motion=None, instructions=None, instruction_kind=None)
    assert instruct(pictures) is pictures


def test_words_that_were_given_stay_and_foreign_ones_are_replaced(drive: Drive) -> None:
    clip = _left_then_right(drive)
    given = replace(clip, instructions=("go straight ahead",) * 324, instruction_kind="given")
    assert instruct(given) is given
    foreign = instruct(replace(clip, instructions=("pick up the cube",) * 324, instruction_kind="given"))
    assert foreign.instruction_kind == "derived" and "turn left now" in foreign.instructions
    assert instruct(replace(foreign, motion=None, instructions=("pick up the cube",) * 324)).instructions is None


def test_a_small_cars_track_offers_no_choice(drive: Drive) -> None:
    assert instruct(_left_then_right(drive, body="donkey")).instructions is None


def test_hints_are_of_the_drive_not_of_the_future_beyond_the_clip(drive: Drive) -> None:
    clip = _left_then_right(drive)
    before = replace(
        clip,
        timestamp_us=clip.timestamp_us[:150],
        frames=None,
        motion=replace(
            clip.motion, **{name: getattr(clip.motion, name)[:150] for name in ("poses_world", "speed_mps", "accel_mps2", "curvature_per_m")}
        ),
    )
    assert set(instruct(before).instructions) == {"follow the road"}

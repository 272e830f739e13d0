"""Words from the past only, kept where a scene gave them, struck out where the motion contradicts them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorworks.clips.cut import cut
from motorworks.curate.label import agreement, agrees, label, label_from_motion
from motorworks.datatypes.clip import Clip, Motion
from motorworks.datatypes.thought import Thought

Drive = Callable[..., Clip]


@pytest.mark.parametrize(
    ("accel", "curvature", "speed", "words"),
    [
        (0.0, 0.0, 8.0, "keep going because the driver chose so"),
        (1.2, 0.0, 3.0, "speed up because the driver chose so"),
        (-1.2, 0.0, 12.0, "slow down because the driver chose so"),
        (0.0, 0.02, 8.0, "follow the bend left because the road bends left"),
        (0.0, -0.02, 8.0, "follow the bend right because the road bends right"),
        (0.0, 0.12, 5.0, "turn left because the driver chose so"),
        (0.0, -0.12, 5.0, "turn right because the driver chose so"),
        (0.0, 0.0, 0.0, "wait because the driver chose so"),
        (0.0, 0.0, -1.0, "reverse because the driver chose so"),
    ],
)
def test_each_manoeuvre_has_its_word(drive: Drive, accel: float, curvature: float, speed: float, words: str) -> None:
    clip = drive(np.full(60, accel), np.full(60, curvature), speed, frames=False, can_reverse=speed < 0)
    thoughts = label_from_motion(clip)
    assert thoughts[0] is None and str(thoughts[20]) == words  # half a second must have been seen
    if speed >= 0:  # a car does not reverse
        assert agrees(thoughts[20], clip, 20)


def test_coming_to_rest_is_a_stop(drive: Drive) -> None:
    clip = drive(np.full(60, -2.0), np.zeros(60), 4.0, frames=False)
    said = [str(thought and thought.decision) for thought in label_from_motion(clip)]
    assert said[10] == "slow down" and "stop" in said[18:25] and said[-1] == "wait"


@given(st.integers(0, 1000), st.integers(5, 55))
@settings(deadline=None, max_examples=40)
def test_the_future_never_words_a_thought(seed: int, step: int) -> None:
    rng = np.random.default_rng(seed)

    def motion(num: int) -> Motion:
        return Motion(
            kind="measured",
            poses_world=rng.normal(size=(num, 3)),
            speed_mps=rng.normal(3, 3, num),
            accel_mps2=rng.normal(size=num),
            curvature_per_m=rng.normal(size=num),
        )

    past, other = motion(60), motion(60)
    names = ("poses_world", "speed_mps")
    mixed = replace(
        past,
        **{name: np.concatenate([getattr(past, name)[: step + 1], getattr(other, name)[step + 1 :]]) for name in names},
        accel_mps2=other.accel_mps2,
        curvature_per_m=other.curvature_per_m,
    )
    clips = [
        Clip(recording_id="r", source="s", body="donkey", licence="", timestamp_us=np.arange(60) * 100_000, frames=None, motion=of)
        for of in (past, mixed)
    ]
    assert label_from_motion(clips[0])[: step + 1] == label_from_motion(clips[1])[: step + 1]


def test_thoughts_of_a_scene_stay(drive: Drive) -> None:
    own = Thought(decision="turn left", cause="the route turns left")
    clip = replace(drive(np.zeros(60), np.zeros(60), frames=False), thoughts=(own, None) * 30)
    thoughts = label(clip).thoughts
    assert all(thought == own for thought in thoughts[::2]) and thoughts[21] == Thought(decision="keep going", cause="the driver chose so")


def test_contradicted_words_are_struck_out(drive: Drive) -> None:
    """Right up to the turn the past says left; what follows is right."""
    curvature = np.concatenate([np.full(60, 0.1), np.full(80, -0.1)])
    clip = drive(np.zeros(140), curvature, frames=False)
    said, checked = label_from_motion(clip), label(clip).thoughts
    assert said[60].decision == "turn left" and checked[60] is None and checked[20].decision == "turn left" and checked[90].decision == "turn right"
    good, valid = agreement(label(clip))
    assert good[valid].all() and valid.sum() > 80 and not valid[-30:].any()


def test_a_small_body_uses_the_same_words(drive: Drive) -> None:
    """The drive of a 1:10 chassis is a car's at another scale: the same decisions at every step."""
    rng = np.random.default_rng(1)
    accel, curvature = rng.normal(0, 1.0, 100), np.repeat(rng.normal(0, 0.05, 10), 10)
    car = drive(accel, curvature, 6.0, frames=False)
    scale = 15.0 / 2.0
    donkey = replace(drive(accel / scale, curvature * scale, 6.0 / scale, frames=False), body="donkey")
    assert label_from_motion(car) == label_from_motion(donkey)


def test_without_motion_nothing_is_said() -> None:
    clip = Clip(
        recording_id="r",
        source="video",
        body="car",
        licence="",
        timestamp_us=np.arange(5) * 100_000,
        frames=np.zeros((5, 2, 2, 3), np.uint8),
        motion=None,
    )
    assert label(clip).thoughts is None and not agrees(Thought(decision="stop", cause="a junction is near"), clip, 0)


def test_most_words_on_real_drives_hold(shared_data: Path) -> None:
    from motorworks.clips.reader import read

    clips = read([shared_data / "donkeycar_tubs", shared_data / "comma2k19_example1"]).clips
    said = [agreement(replace(clip, thoughts=label_from_motion(clip))) for clip in clips]
    share = sum(good.sum() for good, _ in said) / sum(valid.sum() for _, valid in said)
    assert share > 0.85
    for clip in clips[:3]:
        good, valid = agreement(label(clip))
        assert good[valid].all()
    assert any(thought and thought.decision == "reverse" for clip in clips for thought in label(cut(clip, 0, len(clip.timestamp_us))).thoughts or ())

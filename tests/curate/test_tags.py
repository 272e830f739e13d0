"""Tags say what the motion does, whatever the size of the body."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from motorworks.curate.coverage import CoverageRow, cover
from motorworks.curate.tags import SCENARIOS, Predicate, Signals, describe, signals_of, standing, tag, turning, with_tags
from motorworks.datatypes.clip import Clip

Drive = Callable[..., Clip]


def _lane_change(num: int) -> np.ndarray:
    curvature = np.zeros(num)
    curvature[20:40], curvature[40:60] = 0.007, -0.007
    return curvature


DRIVES = {
    "turn left": (np.zeros(80), np.where(np.arange(80) > 30, 0.08, 0.0), 6.0),
    "turn right": (np.zeros(80), np.where(np.arange(80) > 30, -0.08, 0.0), 6.0),
    "bend left": (np.zeros(80), np.full(80, 0.008), 8.0),
    "hard brake": (np.where((np.arange(80) > 20) & (np.arange(80) < 35), -5.0, 0.0), np.zeros(80), 12.0),
    "reverse": (np.zeros(80), np.zeros(80), -1.0),
    "cruise": (np.zeros(80), np.zeros(80), 12.0),
    "u-turn": (np.zeros(120), np.full(120, 0.1), 4.0),
    "lane change left": (np.zeros(90), _lane_change(90), 12.0),
    "pull away": (np.where(np.arange(80) > 40, 1.5, 0.0), np.zeros(80), 0.0),
}


@pytest.mark.parametrize("name", DRIVES)
def test_a_drive_has_its_tag_and_not_its_opposite(drive: Drive, name: str) -> None:
    accel, curvature, speed = DRIVES[name]
    found = tag(drive(accel, curvature, speed=speed, can_reverse=True)).scenarios
    assert name in found
    opposite = name.replace("left", "RIGHT").replace("right", "left").replace("RIGHT", "right")
    assert opposite == name or opposite not in found


def test_a_small_body_is_tagged_at_its_own_scale(drive: Drive) -> None:
    clip = drive(np.zeros(80), np.where(np.arange(80) > 30, 0.6, 0.0), speed=0.8, frames=False)
    assert "turn left" in tag(replace(clip, body="donkey")).scenarios


def test_predicates_join(drive: Drive) -> None:
    clip = drive(np.zeros(80), np.where(np.arange(80) > 50, 0.08, 0.0), speed=6.0)
    signals = signals_of(clip)
    turns = turning(signals)
    assert (turns & ~standing(signals)).any() and not (turning & standing)(signals).any()
    soon = (~turning).before(turning, within_s=2.0)(signals)
    assert soon.sum() == 20 and turns[np.flatnonzero(soon)[-1] + 1]
    assert (turning | ~turning)(signals).all() and not turning.lasting(60.0)(signals).any()
    nothing = Signals(num_steps=5, speed_mps=None, accel_mps2=None, yaw_rad=None, position_m=None, light=None, contrast=None)
    assert not any(predicate(nothing).any() for predicate in SCENARIOS.values()) and isinstance(~turning, Predicate)


def test_a_description_and_tags_travel_with_the_clip(drive: Drive) -> None:
    clip = drive(np.zeros(80), np.where(np.arange(80) > 30, 0.08, 0.0), speed=6.0)
    dark = replace(clip, frames=np.full((80, 24, 32, 3), 20, np.uint8), instructions=("turn left ahead",) * 80)
    tagged = tag(dark)
    assert tagged.light == "dark" and "turn left" in with_tags(dark, tagged).tags
    assert describe(dark, tagged).startswith("car: turn left") and "dark" in describe(dark, tagged)


def test_a_hole_in_the_coverage_is_named_first() -> None:
    rows = [CoverageRow(seconds_s=8.0, scenarios=("turn left",) if number % 2 else ("stop",), conditions={"light": "day"}) for number in range(40)]
    rows += [CoverageRow(seconds_s=8.0, scenarios=("stop",), conditions={"light": "dark"}) for _ in range(30)]
    table = cover(rows, scenarios=["stop", "turn left", "u-turn"])
    assert table.num_clips.tolist() == [[20, 30], [20, 0], [0, 0]] and table.seconds_s[0, 0] == 160
    assert table.missing()[0] == "no turn left with light dark: 0 of 30 clips"
    assert "no u-turn with light day: 0 of 40 clips" in table.missing()

"""What is kept and what is dropped is the whole clip, each step once, with a reason."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorworks.curate.filters import REASONS, FilterConfig, filter_clips, judge
from motorworks.datatypes.clip import Clip, Motion

Drive = Callable[..., Clip]


def _clip(speed: np.ndarray, frames: np.ndarray) -> Clip:
    zeros = np.zeros(len(speed))
    motion = Motion(kind="measured", poses_world=np.zeros((len(speed), 3)), speed_mps=speed, accel_mps2=zeros, curvature_per_m=zeros)
    return Clip(recording_id="r", source="town", body="car", licence="", timestamp_us=np.arange(len(speed)) * 100_000, frames=frames, motion=motion)


@given(st.lists(st.tuples(st.sampled_from(["drive", "park", "freeze", "dark"]), st.integers(1, 120)), min_size=1, max_size=6))
@settings(deadline=None, max_examples=40)
def test_kept_and_dropped_are_the_clip(parts: list[tuple[str, int]]) -> None:
    rng = np.random.default_rng(0)
    speed = np.concatenate([np.full(num, 0.0 if kind == "park" else 5.0) for kind, num in parts] + [np.full(2, 5.0)])
    frames = np.concatenate(
        [
            np.broadcast_to({"dark": np.uint8(3), "freeze": np.uint8(99)}[kind], (num, 16, 16, 3))
            if kind in ("dark", "freeze")
            else rng.integers(60, 255, (num, 16, 16, 3), np.uint8)
            for kind, num in parts
        ]
        + [rng.integers(60, 255, (2, 16, 16, 3), np.uint8)]
    )
    clip = _clip(speed, frames)
    keep, drop = judge(clip)
    covered = np.zeros(len(speed), int)
    for start, stop in [*keep, *((start, stop) for start, stop, _ in drop)]:
        covered[start:stop] += 1
    assert (covered == 1).all() and {reason for *_, reason in drop} <= set(REASONS)
    for start, stop in keep:
        assert stop - start >= 31 and np.median(frames[start:stop].mean(axis=(1, 2, 3))) > 16
        # a part that is kept would be kept again, whole
        assert judge(filter_clips([clip]).clips[keep.index((start, stop))])[0] == [(0, stop - start)]


def test_a_parked_clip_goes_and_a_red_light_stays() -> None:
    rng = np.random.default_rng(0)
    moving = np.full(50, 5.0)
    for standing, expected in ((np.zeros(70), [(0, 170)]), (np.zeros(120), [(0, 70), (150, 220)])):
        speed = np.concatenate([moving, standing, moving])
        keep, drop = judge(_clip(speed, rng.integers(60, 255, (len(speed), 16, 16, 3), np.uint8)))
        assert keep == expected and {why for *_, why in drop} <= {"parked"}
    keep, drop = judge(_clip(np.zeros(50), rng.integers(60, 255, (50, 16, 16, 3), np.uint8)))
    assert keep == [] and drop == [(0, 50, "parked")]


def test_frozen_and_dark_spans_are_cut_out_and_short_rests_named(drive: Drive) -> None:
    clip = drive(np.zeros(150), np.zeros(150))
    frames = clip.frames.copy()
    frames[40:70], frames[100:110] = frames[40], 2
    result = filter_clips([replace(clip, frames=frames)])
    assert [len(part.timestamp_us) for part in result.clips] == [41, 40] and result.origin == [0, 0]
    assert [(entry.start, entry.stop, entry.reason) for entry in result.dropped] == [(41, 70, "frozen"), (70, 100, "short"), (100, 110, "dark")]


def test_standing_still_is_not_a_frozen_camera(drive: Drive) -> None:
    clip = drive(np.zeros(60), np.zeros(60), speed=5.0)
    speed = clip.motion.speed_mps.copy()
    speed[20:40] = 0
    frames = clip.frames.copy()
    frames[20:40] = frames[20]
    still = replace(clip, frames=frames, motion=replace(clip.motion, speed_mps=speed))
    assert judge(still)[0] == [(0, 60)]
    assert judge(replace(still, motion=None))[1]  # without motion a still picture is all there is to go by


def test_no_frames_and_no_clips() -> None:
    assert filter_clips([]).clips == []
    with pytest.raises(ValueError, match="parked_margin_s"):
        FilterConfig(parked_s=1.0)

"""Weights: mean one, within bounds, towards the target."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorworks.curate.balance import BINS, BalanceConfig, balance, bin_motion, count_bins
from motorworks.datatypes.clip import Clip, Motion

Drive = Callable[..., Clip]


@pytest.mark.parametrize(
    ("accel", "curvature", "speed", "name"),
    [
        (0.0, 0.0, 5.0, "straight"),
        (0.0, 0.1, 5.0, "left"),
        (0.0, -0.1, 5.0, "right"),
        (0.0, 0.0, 0.0, "stop"),
        (0.0, 0.1, -1.0, "reverse"),
    ],
)
def test_bins(drive: Drive, accel: float, curvature: float, speed: float, name: str) -> None:
    clip = drive(np.full(60, accel), np.full(60, curvature), speed, can_reverse=True, frames=False)
    assert set(bin_motion(clip.motion)[:30]) == {BINS.index(name)}


def test_turns_are_seen_across_the_wrap(drive: Drive) -> None:
    clip = drive(np.zeros(80), np.full(80, 0.1), frames=False)
    poses = clip.motion.poses_world.copy()
    poses[:, 2] = (poses[:, 2] + 3.0 + np.pi) % (2 * np.pi) - np.pi
    wrapped = Motion(
        kind="measured",
        poses_world=poses,
        speed_mps=clip.motion.speed_mps,
        accel_mps2=clip.motion.accel_mps2,
        curvature_per_m=clip.motion.curvature_per_m,
    )
    np.testing.assert_array_equal(bin_motion(wrapped), bin_motion(clip.motion))


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.1, -0.1]), st.sampled_from([5.0, 0.0, -1.0]), st.integers(10, 300)), min_size=1, max_size=8),
    st.floats(1, 30),
)
@settings(deadline=None, max_examples=60)
def test_weights_are_bounded_with_mean_one(parts: list[tuple[float, float, int]], max_ratio: float) -> None:
    clips = []
    for curvature, speed, num in parts:
        yaw = np.arange(num) * 0.1 * speed * curvature
        motion = Motion(
            kind="measured",
            poses_world=np.stack([yaw * 0, yaw * 0, yaw], -1),
            speed_mps=np.full(num, speed),
            accel_mps2=np.zeros(num),
            curvature_per_m=np.full(num, curvature),
        )
        clips.append(Clip(recording_id="r", source="s", body="car", licence="", timestamp_us=np.arange(num) * 100_000, frames=None, motion=motion))
    config = BalanceConfig(max_ratio=max_ratio)
    weights = balance(clips, config)
    everything = np.concatenate(weights)
    assert [len(weight) for weight in weights] == [len(clip.timestamp_us) for clip in clips]
    assert abs(everything.mean() - 1) < 1e-4 and everything.max() / everything.min() <= max_ratio * (1 + 1e-5)


def test_the_rare_comes_nearer_to_its_share(drive: Drive) -> None:
    clips = [drive(np.zeros(900), np.zeros(900), frames=False), drive(np.zeros(100), np.full(100, 0.05), frames=False)]
    before, after = count_bins(clips), count_bins(clips, balance(clips))
    assert before["left"] < 0.11 and abs(after["left"] - 1 / 3) < 0.01 and abs(sum(after.values()) - 1) < 1e-6
    bounded = count_bins(clips, balance(clips, BalanceConfig(max_ratio=2.0)))
    assert before["left"] < bounded["left"] < after["left"]


def test_unknown_motion_weighs_one() -> None:
    clip = Clip(
        recording_id="r",
        source="video",
        body="car",
        licence="",
        timestamp_us=np.arange(5) * 100_000,
        frames=np.zeros((5, 2, 2, 3), np.uint8),
        motion=None,
    )
    assert balance([clip])[0].tolist() == [1.0] * 5 and balance([]) == [] and count_bins([clip])["unknown"] == 1.0
    with pytest.raises(ValueError, match="share"):
        BalanceConfig(share=(("straight", 1.0),))

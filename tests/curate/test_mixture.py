"""Quotas are reached where the clips and the bound allow, hard and surprising steps weigh more, and what cannot be is told."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorworks.curate.mixture import MixtureConfig, _rake, mix
from motorworks.datatypes.clip import Clip

Drive = Callable[..., Clip]


@pytest.fixture
def clips(drive: Drive) -> list[Clip]:
    """Mostly straight on; one left turn, one hard brake."""
    straight = [drive(np.zeros(200), np.zeros(200), 8.0, seed=seed, frames=False) for seed in range(4)]
    turn = drive(np.zeros(92), np.repeat([0.0, 0.1, 0.0], [30, 32, 30]), 5.0, seed=5, frames=False)
    brake = drive(np.repeat([0.0, -5.0, 0.0], [40, 20, 40]), np.zeros(100), 20.0, seed=6, frames=False)
    return [*straight, turn, brake]


def _ones(clips: list[Clip]) -> list[np.ndarray]:
    return [np.ones(len(clip.timestamp_us)) for clip in clips]


def test_quotas_are_reached_and_the_rest_keeps_its_proportions(clips: list[Clip]) -> None:
    config = MixtureConfig(quotas=(("left turn", 0.2), ("hard brake", 0.1)))
    mixed = mix(clips, _ones(clips), config)
    assert mixed.after["left turn"] >= 0.199 and mixed.after["hard brake"] >= 0.099 and not mixed.unmet
    assert mixed.before["left turn"] < 0.05
    assert np.concatenate(mixed.weights).mean() == pytest.approx(1.0, rel=1e-5)
    straight = np.concatenate(mixed.weights[:4])
    assert straight.std() < 1e-6, "steps that no quota names are drawn as before among themselves"
    nothing = mix(clips, _ones(clips), MixtureConfig(quotas=(("u-turn", 0.3),)))
    assert nothing.unmet == ("u-turn",) and np.ptp(np.concatenate(nothing.weights)) == 0


def test_a_quota_beyond_the_bound_is_told_and_the_bound_holds(clips: list[Clip]) -> None:
    mixed = mix(clips, _ones(clips), MixtureConfig(quotas=(("left turn", 0.6),), max_ratio=4.0))
    weights = np.concatenate(mixed.weights)
    assert weights.max() / weights.min() <= 4.001 and mixed.unmet == ("left turn",) and mixed.after["left turn"] > mixed.before["left turn"]


def test_hard_and_surprising_steps_weigh_more_and_unknown_ones_as_the_average(clips: list[Clip]) -> None:
    hard = mix(clips, _ones(clips), MixtureConfig(accel_gain=1.0))
    brake = hard.weights[-1]
    assert brake[45] / brake[5] == pytest.approx(2.0, rel=1e-3)
    unknown = [np.full(len(clip.timestamp_us), np.nan) for clip in clips]
    surprise = [np.linspace(0, 1, 200), *unknown[1:]]
    mixed = mix(clips, _ones(clips), MixtureConfig(surprise_gain=1.0), surprise)
    first = mixed.weights[0]
    assert first[-1] / first[0] == pytest.approx(2.0, rel=1e-3) and mixed.weights[1][0] == pytest.approx(first.mean(), rel=1e-3)
    still = mix([replace(clips[0], motion=None, frames=np.zeros((200, 4, 4, 3), np.uint8))], _ones(clips[:1]), MixtureConfig(accel_gain=1.0))
    assert np.ptp(still.weights[0]) == 0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.floats(0.05, 0.3), min_size=1, max_size=3))
def test_raking_reaches_what_is_possible(seed: int, quotas: list[float]) -> None:
    rng = np.random.default_rng(seed)
    masks = {str(number): rng.random(400) < 0.1 for number in range(len(quotas))}
    wanted = {str(number): share for number, share in enumerate(quotas)}
    weight = _rake(np.ones(400), masks, wanted, 1e6)
    for name, share in wanted.items():
        assert weight[masks[name]].sum() / weight.sum() >= 0.995 * share
    bounded = _rake(np.ones(400), masks, wanted, 3.0)
    assert bounded.max() / bounded.min() <= 3.0 + 1e-9


def test_a_config_that_means_nothing_is_refused() -> None:
    for wrong, words in (
        ({"quotas": (("zebra", 0.1),)}, "'zebra', which is no tag"),
        ({"quotas": (("slow", 0.1), ("slow", 0.2))}, "each tag once"),
        ({"accel_gain": -1.0}, "not be negative"),
    ):
        with pytest.raises(ValueError, match=words):
            MixtureConfig(**wrong)

"""Steady: the mean of plans that reach as far as they reach, and the end of patience."""

import numpy as np
import pytest

from motorworks.datatypes.trajectory import Trajectory
from motorworks.policy.steady import AS_PLANNED, Steady, SteadyConfig


def proposals(batch: int = 1, *, go: float = 1.0, stand: float = 0.0, curvature: float = 0.0) -> Trajectory:
    """One that stands and one that drives off."""
    accel = np.repeat(np.array([stand, go])[None, :, None], 64, axis=2).repeat(batch, axis=0)
    return Trajectory(accel_mps2=accel, curvature_per_m=np.full_like(accel, curvature))


def choose(steady: Steady, plans: Trajectory, *, speed: float = 5.0, first: bool = False) -> Trajectory:
    """Of a model that likes the first best."""
    batch = len(plans.accel_mps2)
    return steady.choose(plans, np.tile([1.0, 0.0], (batch, 1)), np.full(batch, speed), np.full(batch, first))


def test_as_planned_drives_the_best_proposal_bit_for_bit():
    steady, generator = Steady(AS_PLANNED, stride_steps=1), np.random.default_rng(0)
    for _ in range(5):
        accel, curvature = generator.normal(size=(2, 3, 6, 64)).astype(np.float32)
        plans = Trajectory(accel_mps2=accel, curvature_per_m=curvature)
        scores = generator.normal(size=(3, 6))
        driven = steady.choose(plans, scores, np.zeros(3), np.zeros(3, bool))
        best = scores.argmax(axis=1)
        assert np.array_equal(driven.accel_mps2, plans.accel_mps2[np.arange(3), best]) and driven.accel_mps2.dtype == np.float32


@pytest.mark.parametrize("stride", [1, 4])
def test_plans_of_one_intention_average_to_it_wherever_it_is_seen_from(stride):
    intended = np.sin(np.arange(200) / 9)
    steady = Steady(SteadyConfig(num_plans=3), stride_steps=stride)
    for look in range(6):
        ahead = intended[None, None, look * stride : look * stride + 64].repeat(2, axis=1)
        driven = choose(steady, Trajectory(accel_mps2=ahead, curvature_per_m=-ahead))
        known = 64 - 2 * stride  # further ahead the oldest says nothing
        assert np.allclose(driven.accel_mps2[0, :known], ahead[0, 0, :known]) and np.allclose(driven.curvature_per_m[0, :known], -ahead[0, 0, :known])


def test_noise_from_look_to_look_is_averaged_and_an_episodes_start_forgets():
    steady, noise = Steady(SteadyConfig(num_plans=4), stride_steps=1), np.random.default_rng(1).normal(size=20)
    driven = [choose(steady, proposals(curvature=value)).curvature_per_m[0, 0] for value in noise]
    assert np.allclose(driven, [noise[max(0, look - 3) : look + 1].mean() for look in range(20)])
    assert choose(steady, proposals(curvature=3.0), first=True).curvature_per_m[0, 0] == 3.0


def test_who_has_stood_too_long_drives_off_where_a_proposal_does():
    steady = Steady(SteadyConfig(patience_s=1.95), stride_steps=1)
    accel = [float(choose(steady, proposals(), speed=0.0, first=step == 0).accel_mps2[0, 0]) for step in range(24)]
    assert accel[:20] == [0.0] * 20 and accel[20:] == [1.0] * 4  # at once, not as a mean with plans to stand
    assert choose(steady, proposals(), speed=1.0).accel_mps2[0, 0] < 1.0  # it moves: its own choice again
    for _ in range(30):
        nowhere = choose(steady, proposals(go=0.1), speed=0.0)
    assert nowhere.accel_mps2[0, 0] == 0.0


def test_patience_is_each_drives_own():
    steady = Steady(SteadyConfig(patience_s=1.0), stride_steps=4)
    for step in range(6):
        driven = steady.choose(proposals(2), np.tile([1.0, 0.0], (2, 1)), np.array([0.0, 4.0]), np.array([step == 0] * 2))
    assert driven.accel_mps2[:, 0].tolist() == [1.0, 0.0]


@pytest.mark.parametrize("wrong", [{"num_plans": 0}, {"patience_s": 0.0}])
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ValueError, match="num_plans must be at least 1 and patience_s positive"):
        SteadyConfig(**wrong)

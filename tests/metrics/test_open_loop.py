"""Open-loop errors: zero for the truth, known for simple departures, blind to where the world is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorworks.bodies.body import CAR, integrate
from motorworks.datatypes.clip import Motion
from motorworks.datatypes.trajectory import Trajectory
from motorworks.geometry.se2 import compose
from motorworks.metrics.open_loop import (
    compare_open_loop,
    future_of,
    join_futures,
    open_loop_errors,
    predict_constant_curvature,
    predict_constant_velocity,
)


def drive(num: int = 200, seed: int = 0, move: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Motion:
    rng = np.random.default_rng(seed)
    accel, curvature = 0.4 * np.sin(np.arange(num) / 15), np.convolve(rng.normal(0, 0.02, num), np.ones(10) / 10, "same")
    poses, speeds = integrate(Trajectory(accel_mps2=accel, curvature_per_m=curvature), np.asarray(8.0))
    poses = compose(np.array(move), np.concatenate([np.zeros((1, 3)), poses[:-1]]))
    return Motion(kind="measured", poses_world=poses, speed_mps=np.concatenate([[8.0], speeds[:-1]]), accel_mps2=accel, curvature_per_m=curvature)


def test_the_truth_has_no_error() -> None:
    future = future_of(drive(), np.arange(5, 100, 7))
    for errors in open_loop_errors(Trajectory(accel_mps2=future.accel_mps2, curvature_per_m=future.curvature_per_m), future, CAR):
        assert errors.valid.all() and errors.values == pytest.approx(0.0, abs=1e-9), errors.metric


def test_braking_less_by_one_is_away_by_half_t_squared() -> None:
    future = future_of(drive(), np.array([20]))
    plan = Trajectory(accel_mps2=future.accel_mps2 + 1.0, curvature_per_m=future.curvature_per_m * 0.0)
    straight = future_of(
        Motion(
            kind="measured",
            poses_world=np.stack([np.arange(200) * 0.8, np.zeros(200), np.zeros(200)], -1),
            speed_mps=np.full(200, 8.0),
            accel_mps2=np.zeros(200),
            curvature_per_m=np.zeros(200),
        ),
        np.array([20]),
    )
    plan = Trajectory(accel_mps2=np.ones((1, 64)), curvature_per_m=np.zeros((1, 64)))
    values = {errors.metric: errors.values[0] for errors in open_loop_errors(plan, straight, CAR)}
    times = np.arange(1, 31) * 0.1
    assert values["ade_3s_m"] == pytest.approx((times**2 / 2).mean()) and values["accel_error_mps2"] == pytest.approx(1.0)
    assert values["action_error_frac"] == pytest.approx(0.5 / CAR.max_accel_mps2)


def test_moments_near_the_end_are_invalid_one_by_one() -> None:
    future = future_of(drive(100), np.array([50, 85, 95]))
    valid = {errors.metric: errors.valid.tolist() for errors in open_loop_errors(predict_constant_velocity(future), future, CAR)}
    assert (
        valid["ade_3s_m"] == [True, False, False] and valid["ade_1s_m"] == [True, True, False] and valid["action_error_frac"] == [True, True, False]
    )


def test_constant_curvature_is_exact_on_a_circle() -> None:
    circle, speeds = integrate(Trajectory(accel_mps2=np.zeros(200), curvature_per_m=np.full(200, 0.05)), np.asarray(8.0))
    future = future_of(
        Motion(kind="measured", poses_world=circle, speed_mps=speeds, accel_mps2=np.zeros(200), curvature_per_m=np.full(200, 0.05)),
        np.arange(10, 60, 10),
    )
    worst = max(errors.values.max() for errors in open_loop_errors(predict_constant_curvature(future), future, CAR))
    assert worst < 1e-6 < open_loop_errors(predict_constant_velocity(future), future, CAR)[2].values.min()


@settings(deadline=None, max_examples=20)
@given(x=st.floats(-1e3, 1e3), y=st.floats(-1e3, 1e3), yaw=st.floats(-3.1, 3.1))
def test_errors_do_not_know_where_the_world_is(x: float, y: float, yaw: float) -> None:
    moments = np.array([30, 60])
    here, there = future_of(drive(), moments), future_of(drive(move=(x, y, yaw)), moments)
    for a, b in zip(
        open_loop_errors(predict_constant_curvature(here), here, CAR), open_loop_errors(predict_constant_curvature(there), there, CAR), strict=True
    ):
        assert b.values == pytest.approx(a.values, abs=1e-6)


def test_the_truth_beats_constant_velocity_and_constant_velocity_does_not_beat_itself() -> None:
    futures = [future_of(drive(seed=seed), np.arange(5, 130, 5)) for seed in range(6)]
    future = join_futures(futures)
    groups = [f"clip{seed}" for seed in range(6) for _ in range(25)]
    truth = Trajectory(accel_mps2=future.accel_mps2, curvature_per_m=future.curvature_per_m)
    base = predict_constant_velocity(future)
    rows = compare_open_loop({"truth": truth, "same": base}, {"constant_velocity": base}, future, CAR, groups=groups)
    assert {row.beats for row in rows if row.model == "truth"} == {True} and {row.beats for row in rows if row.model == "same"} == {False}
    assert all(row.num == 150 and row.diff_mean == pytest.approx(row.mean - row.baseline_mean) for row in rows)

"""The dynamic body against the text-book: steady circles, grip, delays; and against the kinematic one."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorworks.bodies.body import CAR, DONKEY, DYNAMIC_CAR, Body, check_commands, respond
from motorworks.bodies.dynamics import (
    GRAVITY_MPS2,
    GRIP_SNOW,
    MAX_DELAY_STEPS,
    BodyState,
    advance_body,
    empty_state,
    pack_body,
    place_body,
    respond_dynamic,
)

# the tyres alone, without late actuators
PROMPT = replace(CAR, dynamics="dynamic")


def _rolling(speeds_mps: list[float], curvature_per_m: float = 0.0) -> BodyState:
    state = empty_state(len(speeds_mps))
    for env, speed in enumerate(speeds_mps):
        place_body(env, 0.0, 0.0, 0.0, speed, curvature_per_m, state)
    return state


def _drive(body: Body, state: BodyState, accel: np.ndarray, curvature: np.ndarray, grip: float = 1.0) -> list[BodyState]:
    """States after each step of commands [step, env]."""
    states = []
    for a, k in zip(accel, curvature, strict=True):
        state = respond_dynamic(body, state, a, k, grip)
        states.append(state)
    return states


def test_a_steady_circle_has_the_radius_of_the_understeer_formula() -> None:
    speeds, wheels = [2.0, 5.0, 8.0, 12.0, 15.0], 0.01
    state = _drive(PROMPT, _rolling(speeds, wheels), np.zeros((150, 5)), np.full((150, 5), wheels))[-1]
    v = state.speed  # a little lower than at the start: slip drags
    assert (v <= speeds).all() and (v > 0.9 * np.array(speeds)).all()
    expected = wheels * CAR.wheelbase_m / (CAR.wheelbase_m + CAR.understeer_s2_per_m * v**2)
    np.testing.assert_allclose(state.yaw_rate / v, expected, rtol=1e-3)
    np.testing.assert_allclose(state.lateral_accel, v * state.yaw_rate, rtol=5e-3)
    assert expected[-1] < 0.85 * expected[0], "the car understeers"


def test_it_becomes_the_kinematic_body_as_speed_goes_to_zero() -> None:
    gaps = []
    for speed in (8.0, 4.0, 2.0, 1.0, 0.5):
        steps = round(10.0 / speed / 0.1)  # 10 m each
        curvature = 0.1 * np.sin(np.arange(steps) / steps * 6.0)[:, None]
        state = _drive(PROMPT, _rolling([speed]), np.zeros((steps, 1)), curvature)[-1]
        pose, v, kappa = np.zeros((1, 3)), np.array([speed]), np.zeros(1)
        for wanted in curvature:
            pose, v, kappa, _ = respond(CAR, pose, v, kappa, np.zeros(1), wanted)
        gaps.append(float(np.abs(state.pose - pose).max()))
    assert all(slower < faster for faster, slower in pairwise(gaps)), gaps
    assert gaps[-1] < 0.005, gaps


def test_the_kinematic_kernel_is_respond() -> None:
    rng = np.random.default_rng(3)
    for body in (CAR, DONKEY):
        state = empty_state(16)
        pose, v, kappa = np.zeros((16, 3)), np.zeros(16), np.zeros(16)
        for _ in range(60):
            accel, wanted = rng.uniform(-8, 8, 16), rng.uniform(-0.4, 0.4, 16)
            state = respond_dynamic(body, state, accel, wanted, GRIP_SNOW)
            pose, v, kappa, felt = respond(body, pose, v, kappa, accel, wanted)
        for ours, theirs in ((state.pose, pose), (state.speed, v), (state.curvature, kappa), (state.accel, felt)):
            np.testing.assert_allclose(ours, theirs, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), grip=st.sampled_from([1.0, 0.7, GRIP_SNOW, 0.05]), speed=st.floats(0.0, 15.0), hold=st.integers(1, 20))
def test_grip_speed_and_slip_stay_within_bounds_and_a_stop_never_reverses(seed: int, grip: float, speed: float, hold: int) -> None:
    rng = np.random.default_rng(seed)
    commands = np.repeat(rng.uniform((-9.0, -0.5), (5.0, 0.5), (80 // hold + 1, 8, 2)), hold, axis=0)[:80]
    for body in (DYNAMIC_CAR, PROMPT):
        for state in _drive(body, _rolling([speed] * 8), commands[..., 0], commands[..., 1], grip):
            assert all(np.isfinite(part).all() for part in state)
            assert (np.hypot(state.accel, state.lateral_accel) <= grip * GRAVITY_MPS2 * (1 + 1e-9)).all()
            assert (state.speed >= 0.0).all() and (state.speed <= body.max_speed_mps).all()
            assert (np.hypot(state.speed, state.lateral) <= 1.25 * body.max_speed_mps).all(), "what slides was once forward speed"
            assert (np.abs(state.yaw_rate) < 4.0).all()


def test_brakes_hold_on_snow_and_take_longer() -> None:
    brake = np.full((120, 1), -6.0)
    dry = _drive(PROMPT, _rolling([15.0]), brake, np.zeros_like(brake))
    snow = _drive(PROMPT, _rolling([15.0]), brake, np.zeros_like(brake), GRIP_SNOW)
    assert dry[-1].speed[0] == snow[-1].speed[0] == 0.0
    assert dry[-1].pose[0, 0] == pytest.approx(15.0**2 / 12.0, abs=0.1)
    assert snow[-1].pose[0, 0] == pytest.approx(15.0**2 / (2 * 0.9 * GRIP_SNOW * GRAVITY_MPS2), abs=0.1)
    np.testing.assert_array_equal(snow[-1].pose[0, 1:], 0.0)


@pytest.mark.parametrize("steps", [0, 1, 3, MAX_DELAY_STEPS - 1])
def test_a_delay_of_n_steps_is_exactly_n_steps(steps: int) -> None:
    rng = np.random.default_rng(steps)
    accel, curvature = rng.uniform(-3, 3, (30, 4)), rng.uniform(-0.1, 0.1, (30, 4))
    late = replace(PROMPT, steer_delay_s=steps * 0.1, drive_delay_s=steps * 0.1, steer_lag_s=0.2, drive_lag_s=0.3)
    prompt = replace(late, steer_delay_s=0.0, drive_delay_s=0.0)
    delayed = _drive(late, _rolling([9.0] * 4), accel, curvature)
    wait = np.zeros((steps, 4))
    shifted = _drive(prompt, _rolling([9.0] * 4), np.concatenate([wait, accel])[:30], np.concatenate([wait, curvature])[:30])
    for a, b in zip(delayed, shifted, strict=True):
        for name in ("pose", "speed", "lateral", "yaw_rate", "curvature", "drive"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_a_lag_goes_63_percent_of_the_way_in_its_time() -> None:
    slow = replace(PROMPT, steer_lag_s=0.5, drive_lag_s=0.5)
    state = _drive(slow, _rolling([5.0]), np.ones((5, 1)), np.full((5, 1), 0.05))[-1]
    assert state.drive[0] == pytest.approx(1 - np.exp(-1))
    assert state.curvature[0] == pytest.approx(0.05 * (1 - np.exp(-1)))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), grip=st.sampled_from([1.0, GRIP_SNOW]))
def test_mirrored_commands_mirror_the_drive_bit_for_bit(seed: int, grip: float) -> None:
    rng = np.random.default_rng(seed)
    accel, curvature = rng.uniform(-4, 3, (50, 4)), rng.uniform(-0.25, 0.25, (50, 4))
    left = _drive(DYNAMIC_CAR, _rolling([10.0] * 4), accel, curvature, grip)[-1]
    right = _drive(DYNAMIC_CAR, _rolling([10.0] * 4), accel, -curvature, grip)[-1]
    np.testing.assert_array_equal(left.pose * (1, -1, -1), right.pose)
    np.testing.assert_array_equal((left.lateral, left.yaw_rate, left.speed), (-right.lateral, -right.yaw_rate, right.speed))


def test_a_batch_is_its_rows_and_the_given_state_stays() -> None:
    rng = np.random.default_rng(1)
    accel, curvature, grip = rng.uniform(-4, 3, 5), rng.uniform(-0.2, 0.2, 5), rng.uniform(0.2, 1.0, 5)
    state, kept = _rolling([3.0, 6.0, 9.0, 12.0, 15.0]), _rolling([3.0, 6.0, 9.0, 12.0, 15.0])
    after = respond_dynamic(DYNAMIC_CAR, state, accel, curvature, grip)
    params = pack_body(DYNAMIC_CAR)
    for env in range(5):
        advance_body(env, params, grip[env], accel[env], curvature[env], 0.1, kept)
    for batch, rows, before, fresh in zip(after, kept, state, _rolling([3.0, 6.0, 9.0, 12.0, 15.0]), strict=True):
        np.testing.assert_array_equal(batch, rows)
        np.testing.assert_array_equal(before, fresh)


def test_bad_input_is_named_at_the_door() -> None:
    state = empty_state(3)
    with pytest.raises(ValueError, match=r"environments \[1\] is not finite"):
        respond_dynamic(DYNAMIC_CAR, state, np.array([0.0, np.nan, 0.0]), np.zeros(3))
    with pytest.raises(ValueError, match=r"environments \[0, 2\] is not finite"):
        check_commands(np.zeros(3), np.array([np.inf, 0.0, np.nan]))
    check_commands(np.array([0.0, np.nan]), np.zeros(2), live=np.array([True, False]))
    with pytest.raises(ValueError, match="one acceleration and one curvature"):
        respond_dynamic(DYNAMIC_CAR, state, np.zeros((3, 64)), np.zeros((3, 64)))
    with pytest.raises(ValueError, match="commands for 2 environments, the state has 3"):
        respond_dynamic(DYNAMIC_CAR, state, np.zeros(2), np.zeros(2))
    with pytest.raises(ValueError, match=r"grip of environments \[2\]"):
        respond_dynamic(DYNAMIC_CAR, state, np.zeros(3), np.zeros(3), np.array([1.0, 0.5, 0.0]))
    with pytest.raises(ValueError, match="whole number of steps"):
        pack_body(replace(CAR, steer_delay_s=0.15))
    with pytest.raises(ValueError, match="fewer than"):
        pack_body(replace(CAR, drive_delay_s=2.0))
    with pytest.raises(ValueError, match="needs mass"):
        replace(CAR, dynamics="dynamic", mass_kg=0.0)
    with pytest.raises(ValueError, match="not one of"):
        replace(CAR, dynamics="magic")


def test_a_command_beyond_the_limits_is_what_the_body_can_do() -> None:
    wild = respond_dynamic(DYNAMIC_CAR, _rolling([8.0]), np.array([99.0]), np.array([-7.0]))
    most = respond_dynamic(DYNAMIC_CAR, _rolling([8.0]), np.array([CAR.max_accel_mps2]), np.array([-CAR.max_curvature_per_m]))
    for a, b in zip(wild, most, strict=True):
        np.testing.assert_array_equal(a, b)

"""The wheel under late, broken and missing plans; in simulated time but for the last test."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from motorworks.bodies.body import CAR, DONKEY, integrate, respond
from motorworks.datatypes.trajectory import DT_S, NUM_STEPS, Plan, Trajectory
from motorworks.drive.clock import SimClock
from motorworks.drive.fallback import FallbackConfig, fault_of, stop_trajectory
from motorworks.drive.loop import run_loop
from motorworks.drive.vehicle import Vehicle, VehicleConfig, VehiclePolicy


def drive(scripted, observe, num, *, latencies_s=(), faults=None, config=None):
    """Drives `num` ticks; returns what was executed and logged, the car answering the controls."""
    clock = SimClock()
    vehicle = Vehicle(scripted(clock, list(latencies_s), faults), clock=clock, config=config)
    pose, speed, curvature, logs = np.zeros(3), np.float64(8.0), np.float64(0.0), []
    for step in range(num):
        trajectory, log = vehicle.drive_step(observe(float(speed), first=step == 0))
        pose, speed, curvature, _ = respond(CAR, pose, speed, curvature, trajectory.accel_mps2[0], trajectory.curvature_per_m[0])
        logs.append(log)
    return logs, float(speed)


def asked(plan, step):
    """What step `step` of the scripted plan number `plan` asks for."""
    return pytest.approx(plan / 100 + step / 10_000)


def test_plans_on_time_are_driven_as_they_are(scripted, observe):
    logs, _ = drive(scripted, observe, 5)
    assert [log.health for log in logs] == ["ok"] * 5
    assert [log.accel_mps2[0] for log in logs] == [asked(i, 0) for i in range(5)]
    assert all(log.latency_s == pytest.approx(0.01) and log.plan_age_steps == 0 for log in logs)


def test_a_late_plan_hands_over_to_the_previous_one_moved_on(scripted, observe):
    # plan 2 takes 0.25 s: it is there by the deadline of tick 4 (0.2 + 0.25 <= 0.4 + 0.1), and planning is free again at tick 5
    logs, _ = drive(scripted, observe, 7, latencies_s=[0.01, 0.01, 0.25])
    assert [log.health for log in logs] == ["ok", "ok", "late", "late", "late", "ok", "ok"]
    expected = [(0, 0), (1, 0), (1, 1), (1, 2), (2, 2), (3, 0), (4, 0)]
    assert [log.accel_mps2[0] for log in logs] == [asked(*pair) for pair in expected]
    assert [log.latency_s is None for log in logs] == [False, False, False, True, True, False, False], "no second plan while one is being made"


def test_a_plan_just_within_the_deadline_is_on_time_and_just_beyond_is_late(scripted, observe):
    assert [log.health for log in drive(scripted, observe, 3, latencies_s=[0.01, 0.0999, 0.01])[0]] == ["ok", "ok", "ok"]
    assert [log.health for log in drive(scripted, observe, 3, latencies_s=[0.01, 0.1001, 0.01])[0]] == ["ok", "late", "late"]


def test_nothing_but_silence_for_a_second_ends_in_a_stop(scripted, observe):
    logs, speed = drive(scripted, observe, 80, latencies_s=[0.01, 60.0])
    assert [log.health for log in logs[1:11]] == ["late"] * 10
    assert {log.health for log in logs[11:]} == {"fallback"} and "steps old" in logs[11].reason
    assert speed == 0.0
    assert all(log.curvature_per_m[0] == pytest.approx(0.02) for log in logs[11:]), "the last curvature is held"


@pytest.mark.parametrize(("fault", "words"), [("nan", "not finite"), ("limits", "outside the limits"), ("raise", "scripted")])
def test_a_plan_nobody_may_drive_stops_the_car_at_once(scripted, observe, fault, words):
    logs, speed = drive(scripted, observe, 80, faults={index: fault for index in range(3, 200)})
    assert [log.health for log in logs[:3]] == ["ok"] * 3
    assert {log.health for log in logs[3:]} == {"fallback"} and words in logs[3].reason
    assert speed == 0.0 and all(np.isfinite(log.accel_mps2).all() for log in logs)
    braking = np.diff([log.accel_mps2[0] for log in logs[3:]])
    assert braking.min() >= -4.0 * DT_S - 1e-6, "the brake comes on smoothly"


def test_one_bad_plan_is_recovered_from_after_three_good_ones(scripted, observe):
    logs, _ = drive(scripted, observe, 10, faults={3: "nan"})
    assert [log.health for log in logs] == ["ok"] * 3 + ["fallback"] * 3 + ["ok"] * 4
    assert "recovering" in logs[5].reason


def test_no_plan_at_all_brakes_from_the_first_tick(scripted, observe):
    logs, speed = drive(scripted, observe, 60, faults={index: "raise" for index in range(100)})
    assert logs[0].health == "fallback" and speed == 0.0


def test_a_speed_sensor_without_a_number_is_a_fallback(scripted, observe):
    clock = SimClock()
    vehicle = Vehicle(scripted(clock), clock=clock)
    vehicle.drive_step(observe(8.0, first=True))
    trajectory, log = vehicle.drive_step(observe(float("nan")))
    assert log.health == "fallback" and "speed" in log.reason and log.speed_mps is None and np.isfinite(trajectory.accel_mps2).all()


def test_a_drive_under_the_simulated_clock_repeats_bit_for_bit(scripted, observe):
    latencies_s = list(np.random.default_rng(4).exponential(0.06, 200))
    assert drive(scripted, observe, 100, latencies_s=latencies_s) == drive(scripted, observe, 100, latencies_s=latencies_s)


@given(st.floats(-2, 15), st.floats(-6, 2.5), st.floats(-0.2, 0.2))
@hypothesis_settings(deadline=None, max_examples=60)
def test_the_stop_ends_at_standstill_within_the_body_and_never_speeds_up(speed, accel, curvature):
    config = FallbackConfig()
    body = DONKEY if speed < 0 else CAR
    stop = stop_trajectory(speed, accel, curvature, config)
    _, speeds = integrate(stop, np.array(speed), can_reverse=True)
    assert np.all(np.abs(speeds) <= abs(speed) + 1e-5) and np.all(speeds * np.sign(speed) >= -1e-5)
    assert abs(speeds[-1]) < 1e-4 if abs(speed) < 13 else abs(speeds[-1]) < abs(speed) / 4
    assert fault_of(stop, body, NUM_STEPS) is None or accel < -config.decel_mps2


@given(st.integers(0, 80), st.integers(0, 80))
@hypothesis_settings(deadline=None, max_examples=30)
def test_shifting_twice_is_shifting_once(first, second):
    plan = Trajectory(accel_mps2=np.arange(64.0), curvature_per_m=-np.arange(64.0))
    once, twice = plan.later(first + second), plan.later(first).later(second)
    assert np.array_equal(once.accel_mps2, twice.accel_mps2) and np.array_equal(once.curvature_per_m, twice.curvature_per_m)


def test_a_vehicle_is_a_policy_of_batch_one_that_forgets_at_the_first_observation(scripted, observe):
    clock = SimClock()
    policy = VehiclePolicy(Vehicle(scripted(clock, faults={1: "nan"}), clock=clock))
    policy.act(observe(first=True))
    policy.act(observe())
    assert [log.health for log in policy.logs] == ["ok", "fallback"]
    plan = policy.act(observe(first=True))
    assert [(log.drive, log.step, log.health) for log in policy.logs] == [(1, 0, "ok")] and plan.trajectory.accel_mps2.shape == (1, NUM_STEPS)


@pytest.mark.parametrize("wrong", [{"deadline_s": 0.2}, {"deadline_s": 0.0}, {"max_plan_age_s": 0.0}, {"num_good_to_recover": 0}])
def test_a_config_that_cannot_hold_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        VehicleConfig(**wrong)


class SleepyPolicy:
    """Sleeps through its third plan."""

    name, privileged, uses_camera, num = "sleepy", False, False, 0

    def act(self, observation):
        self.num += 1
        if self.num == 3:
            time.sleep(0.24)
        return Plan(trajectory=Trajectory(accel_mps2=np.full((1, 64), self.num / 100), curvature_per_m=np.zeros((1, 64))))


def test_the_real_time_loop_commands_every_tick_while_a_plan_is_late(observe):
    commands = []
    logs = run_loop(SleepyPolicy(), observe, lambda command: commands.append((time.perf_counter(), command)), num_steps=8)
    healths = [log.health for log in logs]
    assert len(commands) == 8 and healths[:2] == ["ok", "ok"] and healths[2:4] == ["late", "late"] and healths[-1] == "ok"
    gaps_s = np.diff([at for at, _ in commands])
    assert gaps_s.max() < 0.24, "the wheel was never silent for as long as the late plan took"

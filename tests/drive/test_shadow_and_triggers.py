"""Shadow mode never costs the drive its time; triggers keep the seconds around what fired them."""

import msgspec
import numpy as np
import pytest

from motorworks.bodies.body import CAR
from motorworks.datatypes.trajectory import NUM_STEPS, Plan, Trajectory
from motorworks.drive.clock import SimClock
from motorworks.drive.shadow import Shadow, plan_distance
from motorworks.drive.triggers import EventRecorder, TriggerLimits, clip_from_event, standard_triggers
from motorworks.drive.vehicle import Vehicle


class Steady:
    """The same plan at the same cost, every time."""

    privileged, uses_camera = False, False

    def __init__(self, clock, name, accel_mps2=0.0, cost_s=0.01, fails=False):
        self.clock, self.name, self.accel_mps2, self.cost_s, self.fails, self.num = clock, name, accel_mps2, cost_s, fails, 0

    def act(self, observation):
        self.num += 1
        self.clock.advance(self.cost_s)
        if self.fails:
            raise RuntimeError("shadow is broken")
        return Plan(trajectory=Trajectory(accel_mps2=np.full((1, NUM_STEPS), self.accel_mps2), curvature_per_m=np.zeros((1, NUM_STEPS))))


def drive(observe, *, num=60, shadow_cost_s=0.01, fails=False, shadow_accel_mps2=2.0):
    clock = SimClock()
    active, second = Steady(clock, "active"), Steady(clock, "shadow", shadow_accel_mps2, shadow_cost_s, fails)
    vehicle = Vehicle(active, clock=clock, shadow=Shadow(second, body=CAR), events=EventRecorder(before_s=1.0, after_s=0.5, quiet_s=2.0))
    logs = [vehicle.drive_step(observe(8.0, first=step == 0))[1] for step in range(num)]
    return logs, vehicle, second


def test_disagreement_is_the_distance_two_seconds_ahead(observe):
    logs, vehicle, _ = drive(observe)
    assert logs[0].shadow_distance_m == pytest.approx(0.5 * 2.0 * 2.0**2)
    assert logs[0].triggers == ("disagreement",)
    names = [(event.trigger, event.step) for event in vehicle.events.flush()]
    assert names == [("disagreement", 0), ("disagreement", 21), ("disagreement", 42)], "one event per quiet time, not one a step"


def test_a_costly_shadow_runs_seldom_and_the_active_plan_stays_on_time_between(observe):
    logs, _, second = drive(observe, shadow_cost_s=0.15)
    asked = [log.step for log in logs if log.shadow_latency_s is not None]
    assert asked[0] == 0 and 3 <= second.num <= 4
    assert sum(log.health == "late" for log in logs) <= second.num, "each try may delay one plan, never more"


def test_a_broken_shadow_never_touches_the_drive(observe):
    logs, _, _ = drive(observe, fails=True)
    assert {log.health for log in logs} == {"ok"} and all(log.shadow_distance_m is None for log in logs)


def test_plan_distance_is_a_metric_and_nan_is_none():
    one = Trajectory(accel_mps2=np.zeros(64), curvature_per_m=np.zeros(64))
    bent = Trajectory(accel_mps2=np.zeros(64), curvature_per_m=np.full(64, 0.05))
    assert plan_distance(one, one, 8.0, CAR) == 0.0
    assert plan_distance(one, bent, 8.0, CAR) == pytest.approx(plan_distance(bent, one, 8.0, CAR)) and plan_distance(one, bent, 8.0, CAR) > 1
    assert plan_distance(one, Trajectory(accel_mps2=np.full(64, np.nan), curvature_per_m=np.zeros(64)), 8.0, CAR) is None


def test_an_event_holds_the_seconds_around_it_and_becomes_a_clip(observe):
    _, vehicle, _ = drive(observe)
    event = vehicle.events.flush()[1]
    assert [log.step for log in event.logs] == list(range(11, 27)) and event.frames.shape == (16, 4, 8, 3)
    clip = clip_from_event(event, recording_id="drive-1", body=CAR, licence="own", motion_kind="simulated")
    assert clip.source == "drive" and clip.tags == ("trigger:disagreement",)
    assert clip.motion.poses_world[-1] == pytest.approx([8.0 * 1.5, 0, 0])


def test_every_standard_trigger_fires_on_its_own_sign_only(observe):
    log = drive(observe, num=1, shadow_accel_mps2=0.0)[0][0]
    cases = {
        "disagreement": {"shadow_distance_m": 2.5},
        "fallback": {"health": "fallback"},
        "late": {"health": "late", "plan_age_steps": 2},
        "hard_brake": {"accel_mps2": (-4.5,) * 64},
        "control": {"step": 9},
    }
    triggers = standard_triggers(TriggerLimits(control_every_steps=10))
    assert [trigger.name for trigger in triggers if trigger.fires(log) is not None] == []
    for name, change in cases.items():
        assert [trigger.name for trigger in triggers if trigger.fires(msgspec.structs.replace(log, **change)) is not None] == [name]


def test_a_recorder_that_is_full_counts_what_it_drops(observe):
    log = drive(observe, num=1)[0][0]
    recorder = EventRecorder(after_s=0.0, quiet_s=0.0, max_events=2)
    for step in range(5):
        recorder.push(msgspec.structs.replace(log, step=step, triggers=()), None)
    assert len(recorder.flush()) == 2 and recorder.num_dropped == 3

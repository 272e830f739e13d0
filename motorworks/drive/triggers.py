"""Triggers: named reasons to keep what was just seen, with the seconds before and after, out of a ring buffer."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from jaxtyping import UInt8

from motorworks.bodies.body import Body
from motorworks.datatypes.clip import Clip, Motion
from motorworks.datatypes.trajectory import DT_S
from motorworks.drive.log import StepLog
from motorworks.geometry.array import Array


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """A name, and a severity for a step that fires it (None: it does not)."""

    name: str
    fires: Callable[[StepLog], float | None]


@dataclass(frozen=True, kw_only=True)
class TriggerLimits:
    """When the standard triggers fire."""

    disagreement_m: float = 2.0
    hard_brake_mps2: float = 4.0
    control_every_steps: int = 0  # a sample for no reason, to measure what the triggers miss; 0: none


def standard_triggers(limits: TriggerLimits | None = None) -> tuple[Trigger, ...]:
    """disagreement, fallback, late, hard_brake, and control where asked for."""
    limits = limits or TriggerLimits()

    def disagreement(log: StepLog) -> float | None:
        return log.shadow_distance_m if log.shadow_distance_m is not None and log.shadow_distance_m > limits.disagreement_m else None

    def hard_brake(log: StepLog) -> float | None:
        brake = -log.accel_mps2[0] * (-1 if (log.speed_mps or 0) < 0 else 1)
        return brake if brake > limits.hard_brake_mps2 and abs(log.speed_mps or 0) > 0.1 else None

    triggers = (
        Trigger(name="disagreement", fires=disagreement),
        Trigger(name="fallback", fires=lambda log: 1.0 if log.health == "fallback" else None),
        Trigger(name="late", fires=lambda log: float(log.plan_age_steps or 0) if log.health == "late" else None),
        Trigger(name="hard_brake", fires=hard_brake),
    )
    every = limits.control_every_steps
    return (*triggers, Trigger(name="control", fires=lambda log: 0.0 if log.step % every == every - 1 else None)) if every else triggers


@dataclass(frozen=True, kw_only=True)
class Event:
    """What was kept: the steps around the one that fired, and their camera frames where there was a camera."""

    trigger: str
    step: int
    severity: float
    logs: tuple[StepLog, ...]
    frames: UInt8[Array, "time height width 3"] | None


class EventRecorder:
    """A ring of the last seconds; a fired trigger becomes an Event once the seconds after it are in. One per trigger and `quiet_s`."""

    def __init__(
        self, triggers: Sequence[Trigger] | None = None, *, before_s: float = 4.0, after_s: float = 2.0, quiet_s: float = 4.0, max_events: int = 100
    ) -> None:
        if before_s < 0 or after_s < 0 or quiet_s < 0 or max_events < 1:
            raise ValueError(f"before_s {before_s}, after_s {after_s}, quiet_s {quiet_s} must not be negative, max_events {max_events} at least 1")
        self.events: list[Event] = []
        self.num_dropped = 0  # beyond max_events: counted, not kept
        self._triggers = tuple(standard_triggers() if triggers is None else triggers)
        self._before, self._after, self._quiet, self._max = round(before_s / DT_S), round(after_s / DT_S), round(quiet_s / DT_S), max_events
        self._ring: deque[tuple[StepLog, Array | None]] = deque(maxlen=self._before + self._after + 1)
        self._last: dict[str, int] = {}
        self._open: list[tuple[str, int, float]] = []

    def push(self, log: StepLog, frame: UInt8[Array, "height width 3"] | None) -> StepLog:
        """Takes one step; returns its log with the names of the triggers that fired."""
        if self._ring and (log.drive != self._ring[-1][0].drive or log.step <= self._ring[-1][0].step):  # a new drive
            self.flush()
            self._ring.clear()
            self._last.clear()
        fired = {trigger.name: severity for trigger in self._triggers if (severity := trigger.fires(log)) is not None}
        if fired:
            log = msgspec.structs.replace(log, triggers=(*log.triggers, *fired))
        self._ring.append((log, frame))
        for name, severity in fired.items():
            if log.step - self._last.get(name, -self._quiet - 1) > self._quiet:
                self._last[name] = log.step
                self._open.append((name, log.step, severity))
        for opened in [item for item in self._open if log.step >= item[1] + self._after]:
            self._open.remove(opened)
            self._keep(*opened)
        return log

    def flush(self) -> list[Event]:
        """Ends the drive: what still waited for its seconds after is kept shorter. Returns all events so far."""
        for opened in self._open:
            self._keep(*opened)
        self._open.clear()
        return self.events

    def _keep(self, name: str, step: int, severity: float) -> None:
        if len(self.events) >= self._max:
            self.num_dropped += 1
            return
        kept = [(log, frame) for log, frame in self._ring if step - self._before <= log.step <= step + self._after]
        frames = [frame for _, frame in kept]
        stacked = None if any(frame is None for frame in frames) else np.stack([frame for frame in frames if frame is not None])
        self.events.append(Event(trigger=name, step=step, severity=severity, logs=tuple(log for log, _ in kept), frames=stacked))


def clip_from_event(event: Event, *, recording_id: str, body: Body, licence: str, motion_kind: str = "measured") -> Clip:
    """The event as a clip: motion from measured speed and yaw rate, poses by dead reckoning (they drift; no GNSS here)."""
    if any(log.speed_mps is None or log.yaw_rate_radps is None for log in event.logs):
        raise ValueError(f"event {event.trigger} at step {event.step}: speed or yaw rate is missing in some steps, so it makes no clip")
    speed = np.array([log.speed_mps for log in event.logs])
    yaw_rate = np.array([log.yaw_rate_radps for log in event.logs])
    yaw = np.concatenate([[0.0], np.cumsum((yaw_rate[:-1] + yaw_rate[1:]) / 2 * DT_S)])
    ahead, heading = (speed[:-1] + speed[1:]) / 2 * DT_S, (yaw[:-1] + yaw[1:]) / 2
    path = np.stack([ahead * np.cos(heading), ahead * np.sin(heading)], axis=-1).cumsum(axis=0)
    poses = np.concatenate([np.concatenate([np.zeros((1, 2)), path]), ((yaw + np.pi) % (2 * np.pi) - np.pi)[:, None]], axis=1)
    moving = np.abs(speed) > 0.3 * body.wheelbase_m
    curvature = np.where(moving, yaw_rate / np.where(moving, speed, 1.0), [log.curvature_per_m[0] for log in event.logs])
    curvature = np.clip(curvature, -body.max_curvature_per_m, body.max_curvature_per_m)
    motion = Motion(
        kind=motion_kind,
        poses_world=poses,
        speed_mps=speed,
        accel_mps2=np.gradient(speed, DT_S),
        curvature_per_m=curvature,
    )
    return Clip(
        recording_id=recording_id,
        source="drive",
        body=body.name,
        licence=licence,
        timestamp_us=np.array([round(log.step * DT_S * 1e6) for log in event.logs], np.int64),
        frames=event.frames,
        motion=motion,
        instructions=tuple(log.instruction for log in event.logs),
        tags=(f"trigger:{event.trigger}",),
    )

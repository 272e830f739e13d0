"""The vehicle: a plan every 0.1 s by a deadline; the last plan, moved on, when one is late; a stop when there is none to trust.

A network cannot be pre-empted, so a late plan is waited for but not driven in its own tick: the previous one, shifted by the steps that have
passed, is. The late plan serves the next tick, shifted likewise. While it is still being computed no other is started.
`drive_step` accounts for this on the schedule step * 0.1 s with latencies from the injected clock: right in simulation, where the world
waits, and repeatable under SimClock. `drive.loop` runs the same rules against a world that does not wait.
Thin: a plan within the deadline counts as instant, and a skipped tick's camera frame never reaches the policy's memory.
"""

from dataclasses import dataclass, field

import numpy as np

from motorworks.bodies.body import CAR, Body
from motorworks.datatypes.observation import Observation
from motorworks.datatypes.thought import Thought
from motorworks.datatypes.trajectory import DT_S, Plan, Trajectory
from motorworks.drive.clock import Clock, RealClock
from motorworks.drive.fallback import FallbackConfig, fault_of, stop_trajectory
from motorworks.drive.log import LogWriter, StepLog
from motorworks.drive.shadow import Shadow, ShadowResult
from motorworks.drive.triggers import EventRecorder
from motorworks.policy.policy import Policy

OK, LATE, FALLBACK = "ok", "late", "fallback"


@dataclass(frozen=True, kw_only=True)
class VehicleConfig:
    """Deadline, how long an old plan may be driven, and what ends a fallback."""

    deadline_s: float = DT_S
    max_plan_age_s: float = 1.0
    num_good_to_recover: int = 3  # on-time, drivable plans in a row
    fallback: FallbackConfig = field(default_factory=FallbackConfig)

    def __post_init__(self) -> None:
        if not 0 < self.deadline_s <= DT_S:
            raise ValueError(f"deadline_s {self.deadline_s} must lie in (0, {DT_S}]: a plan is due within its own tick")
        if self.max_plan_age_s < DT_S or self.num_good_to_recover < 1:
            raise ValueError(f"max_plan_age_s must be at least {DT_S} and num_good_to_recover at least 1: {self}")

    @property
    def max_plan_age_steps(self) -> int:
        return round(self.max_plan_age_s / DT_S)


@dataclass(frozen=True, kw_only=True)
class MadePlan:
    """A plan that may be driven, and the tick it was made for."""

    step: int
    trajectory: Trajectory  # one, unbatched
    thought: Thought | None


@dataclass(frozen=True, kw_only=True)
class Command:
    """What is driven in one tick, and why."""

    trajectory: Trajectory
    health: str
    reason: str
    plan_age_steps: int | None
    thought: Thought | None


class Wheel:
    """Decides what is driven from the plans it was offered: the newest, moved on; or the stop. Knows no clock and no policy."""

    def __init__(self, body: Body, config: VehicleConfig) -> None:
        self._body, self._config = body, config
        self._plan: MadePlan | None = None
        self._fault: str | None = None
        self._num_good = config.num_good_to_recover  # starts trusted: the first good plan may be driven
        self._accel_mps2 = self._curvature_per_m = 0.0

    def offer(self, step: int, plan: Plan | None, fault: str, *, late: bool) -> None:
        """The answer of the policy to tick `step`: a plan, or why there is none."""
        if plan is not None and not fault:
            fault = fault_of(plan.trajectory[0], self._body, self._config.max_plan_age_steps) or ""
        if fault or plan is None:
            self._fault, self._num_good, self._plan = fault or "no plan", 0, None
            return
        self._fault = None
        self._num_good = 0 if late and self._num_good < self._config.num_good_to_recover else self._num_good + 1
        self._plan = MadePlan(step=step, trajectory=plan.trajectory[0], thought=plan.thoughts[0] if plan.thoughts else None)

    def command(self, step: int, speed_mps: float) -> Command:
        """What to drive in tick `step`."""
        age = None if self._plan is None else step - self._plan.step
        reason = self._fault or ""
        if not np.isfinite(speed_mps):
            reason = "measured speed is not finite"
        elif self._plan is None:
            reason = reason or "no plan has arrived yet"
        elif age is not None and age > self._config.max_plan_age_steps:
            reason, self._num_good = f"the last good plan is {age} steps old", 0
        elif self._num_good < self._config.num_good_to_recover:
            reason = f"recovering: {self._num_good} of {self._config.num_good_to_recover} good plans in a row"
        if reason or self._plan is None or age is None:
            trajectory = stop_trajectory(speed_mps, self._accel_mps2, self._curvature_per_m, self._config.fallback)
            command = Command(trajectory=trajectory, health=FALLBACK, reason=reason, plan_age_steps=None, thought=None)
        else:
            health, why = (OK, "") if age == 0 else (LATE, f"no plan by the deadline, driving the one of {age} steps ago")
            command = Command(trajectory=self._plan.trajectory.later(age), health=health, reason=why, plan_age_steps=age, thought=self._plan.thought)
        self._accel_mps2, self._curvature_per_m = float(command.trajectory.accel_mps2[0]), float(command.trajectory.curvature_per_m[0])
        return command


class Vehicle:
    """One body, one policy, one deadline. Optionally a shadow beside it, an event recorder and a log."""

    def __init__(
        self,
        policy: Policy,
        *,
        body: Body = CAR,
        clock: Clock | None = None,
        config: VehicleConfig | None = None,
        shadow: Shadow | None = None,
        events: EventRecorder | None = None,
        log: LogWriter | None = None,
    ) -> None:
        self.policy, self.body, self.clock = policy, body, clock or RealClock()
        self.config, self.shadow, self.events, self.log = config or VehicleConfig(), shadow, events, log
        self._drive = -1
        self.restart()

    def restart(self) -> None:
        """Forgets the drive so far."""
        self._drive += 1
        self._step, self._busy_until_s = 0, 0.0
        self._wheel = Wheel(self.body, self.config)
        self._pending: tuple[int, Plan | None, str, float] | None = None  # step, plan, fault, when it arrives

    def drive_step(self, observation: Observation) -> tuple[Trajectory, StepLog]:
        """One tick: plan if free, choose what to drive, watch, log. Batch of one; the trajectory is unbatched."""
        if len(observation.speed_mps) != 1:
            raise ValueError(f"a vehicle has one body, the observation holds {len(observation.speed_mps)}")
        if observation.first[0] and self._step:
            self.restart()
        step, start_s = self._step, self._step * DT_S
        latency_s: float | None = None
        if start_s >= self._busy_until_s - 1e-9:
            plan, fault, latency_s = self._ask(observation)
            self._pending = (step, plan, fault, start_s + latency_s)
            self._busy_until_s = start_s + latency_s
        if self._pending is not None and self._pending[3] <= start_s + self.config.deadline_s + 1e-9:
            made, plan, fault, _ = self._pending
            self._wheel.offer(made, plan, fault, late=made < step)
            self._pending = None
        command = self._wheel.command(step, float(observation.speed_mps[0]))
        shadow = self._watch(observation, command.trajectory, start_s)
        log = self._record(observation, command, latency_s, shadow)
        self._step += 1
        return command.trajectory, log

    def _ask(self, observation: Observation) -> tuple[Plan | None, str, float]:
        start_s = self.clock.now_s()
        try:
            plan, fault = self.policy.act(observation), ""
        except Exception as error:  # a car that stops with the reason in its log is better than one without a process
            plan, fault = None, f"policy failed: {type(error).__name__}: {error}"
        return plan, fault, self.clock.now_s() - start_s

    def _watch(self, observation: Observation, trajectory: Trajectory, start_s: float) -> ShadowResult | None:
        """The shadow runs in what is left of the tick, after the wheel has its command; overrunning delays the next plan, and is logged."""
        if self.shadow is None:
            return None
        started_s = max(start_s, self._busy_until_s)
        result = self.shadow.watch(observation, trajectory, start_s + DT_S - started_s, self.clock)
        if result is not None:
            self._busy_until_s = started_s + result.latency_s
        return result

    def _record(self, observation: Observation, command: Command, latency_s: float | None, shadow: ShadowResult | None) -> StepLog:
        log = StepLog(
            drive=self._drive,
            step=self._step,
            time_us=int(self.clock.now_s() * 1e6),
            health=command.health,
            reason=command.reason,
            latency_s=latency_s,
            plan_age_steps=command.plan_age_steps,
            speed_mps=_number(observation.speed_mps[0]),
            yaw_rate_radps=_number(observation.yaw_rate_radps[0]),
            instruction=observation.instructions[0],
            accel_mps2=tuple(map(float, command.trajectory.accel_mps2)),
            curvature_per_m=tuple(map(float, command.trajectory.curvature_per_m)),
            thought=str(command.thought or ""),
            shadow_distance_m=shadow.distance_m if shadow else None,
            shadow_latency_s=shadow.latency_s if shadow else None,
        )
        if self.events is not None:
            log = self.events.push(log, None if observation.frames is None else observation.frames[0])
        if self.log is not None:
            self.log.write(log)
        return log


class VehiclePolicy:
    """A Vehicle as a Policy of batch one, so that any world can be driven by it; keeps the logs of the drive."""

    privileged = False
    uses_camera = True

    def __init__(self, vehicle: Vehicle, *, name: str | None = None) -> None:
        self.vehicle, self.name = vehicle, name or vehicle.policy.name
        self.uses_camera, self.privileged = vehicle.policy.uses_camera, vehicle.policy.privileged
        self.logs: list[StepLog] = []

    def act(self, observation: Observation) -> Plan:
        """What the vehicle executes, fallback included."""
        if observation.first[0]:
            self.logs = []
        trajectory, log = self.vehicle.drive_step(observation)
        self.logs.append(log)
        batched = Trajectory(accel_mps2=trajectory.accel_mps2[None], curvature_per_m=trajectory.curvature_per_m[None])
        decision, because, cause = log.thought.partition(" because ")
        return Plan(trajectory=batched, thoughts=(Thought(decision=decision, cause=cause) if because else None,))


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None

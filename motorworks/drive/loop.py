"""The real-time loop: the world does not wait. Planning runs in its own thread, so a late plan never delays the wheel.

Thin: threads of one process under an ordinary scheduler, no real-time priority, no watchdog outside the process; the shadow is not run here.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

import numpy as np

from motorworks.bodies.body import CAR, Body
from motorworks.datatypes.observation import Observation
from motorworks.datatypes.trajectory import DT_S, Plan
from motorworks.drive.clock import Clock, RealClock
from motorworks.drive.log import LogWriter, StepLog
from motorworks.drive.vehicle import Command, VehicleConfig, Wheel
from motorworks.policy.policy import Policy


def run_loop(
    policy: Policy,
    sense: Callable[[], Observation],
    actuate: Callable[[Command], None],
    *,
    num_steps: int,
    body: Body = CAR,
    config: VehicleConfig | None = None,
    log: LogWriter | None = None,
    clock: Clock | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> list[StepLog]:
    """Senses every 0.1 s and gives a command no later than the deadline of each tick, whatever the policy does."""
    config, clock = config or VehicleConfig(), clock or RealClock()
    wheel, logs = Wheel(body, config), []
    future: Future[tuple[Plan | None, str, float]] | None = None
    made, start_s = 0, clock.now_s()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="plan") as planner:
        for step in range(num_steps):
            due_s = start_s + step * DT_S
            sleep(max(due_s - clock.now_s(), 0.0))
            observation = sense()
            latency_s = None
            if future is not None and future.done():
                future = _take(future, wheel, made, late=True)[0]
            if future is None:
                future, made = planner.submit(_ask, policy, observation, clock), step
            wait([future], timeout=max(due_s + config.deadline_s - clock.now_s(), 0.0))
            if future.done():
                future, latency_s = _take(future, wheel, made, late=made < step)
            command = wheel.command(step, float(observation.speed_mps[0]))
            actuate(command)
            logs.append(_log(step, clock, observation, command, latency_s))
            if log is not None:
                log.write(logs[-1])
    return logs


def _ask(policy: Policy, observation: Observation, clock: Clock) -> tuple[Plan | None, str, float]:
    start_s = clock.now_s()
    try:
        plan, fault = policy.act(observation), ""
    except Exception as error:  # the wheel must learn of it and stop the body, not die with the planner
        plan, fault = None, f"policy failed: {type(error).__name__}: {error}"
    return plan, fault, clock.now_s() - start_s


def _take(future: Future[tuple[Plan | None, str, float]], wheel: Wheel, made: int, *, late: bool) -> tuple[None, float]:
    plan, fault, latency_s = future.result()
    wheel.offer(made, plan, fault, late=late)
    return None, latency_s


def _log(step: int, clock: Clock, observation: Observation, command: Command, latency_s: float | None) -> StepLog:
    speed, yaw_rate = float(observation.speed_mps[0]), float(observation.yaw_rate_radps[0])
    return StepLog(
        step=step,
        time_us=int(clock.now_s() * 1e6),
        health=command.health,
        reason=command.reason,
        latency_s=latency_s,
        plan_age_steps=command.plan_age_steps,
        speed_mps=speed if np.isfinite(speed) else None,
        yaw_rate_radps=yaw_rate if np.isfinite(yaw_rate) else None,
        instruction=observation.instructions[0],
        accel_mps2=tuple(map(float, command.trajectory.accel_mps2)),
        curvature_per_m=tuple(map(float, command.trajectory.curvature_per_m)),
        thought=str(command.thought or ""),
    )

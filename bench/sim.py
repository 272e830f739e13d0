"""The town on one core: steps without and with the camera, and how well the expert drives in it."""

import time

import numpy as np

from bench.figure import Figure
from motorworks.datatypes.scenario import Scenario
from motorworks.datatypes.trajectory import DT_S
from motorworks.metrics.aggregate import score_rows
from motorworks.metrics.closed_loop import score_route
from motorworks.policy.expert import Expert
from motorworks.policy.policy import Policy
from motorworks.policy.probes import ConstantVelocity, StandStill
from motorworks.sim.camera import HEIGHT_PX, WIDTH_PX
from motorworks.sim.rollout import roll_out
from motorworks.sim.seeds import FLEET_SEEDS, TRAIN_SEEDS, town_scenarios
from motorworks.sim.town import Town

NUM_ENVS, NUM_TOWNS, NUM_AGENTS = 32, 16, 10
STATE_STEPS, CAMERA_STEPS = 150, 40  # of every environment
REPEATS = 5
NUM_SCORED = 32  # scenarios, one town each, of the fleet: held-out towns are for `evaluate`


def measure() -> list[Figure]:
    """Everything single-threaded; the best of several repeats of the same drives."""
    return [*measure_speed(), *measure_expert()]


def measure_speed() -> list[Figure]:
    """Environment steps a second, and how many of them come with a picture when the camera is on."""
    scenarios = town_scenarios(TRAIN_SEEDS.start, NUM_ENVS, num_towns=NUM_TOWNS, num_agents=NUM_AGENTS)
    blind, seeing = Town(NUM_ENVS, renders=False), Town(NUM_ENVS, renders=True)
    state = camera = copied = 0.0
    for town in (blind, seeing):
        _steps_per_s(town, scenarios, 5)  # compiles the kernels, builds the towns
    for _ in range(REPEATS):  # taken in turns, so that a busy minute hits all three
        state = max(state, _steps_per_s(blind, scenarios, STATE_STEPS))
        camera = max(camera, _steps_per_s(seeing, scenarios, CAMERA_STEPS))
        copied = max(copied, _copied_frames_per_s())
    with_others = f"{NUM_ENVS} environments, {NUM_AGENTS} vehicles each"
    return [
        Figure(
            name="sim.camera_fps_per_core",
            value=camera,
            unit="1/s",
            against=f"{copied:,.0f}/s frames of {WIDTH_PX}x{HEIGHT_PX}x3 copied in memory; ours: traffic, sensing and picture, {with_others}",
            ratio=camera / copied,
        ),
        Figure(
            name="sim.state_steps_per_core",
            value=state,
            unit="1/s",
            against=f"{1 / DT_S:.0f}/s, one vehicle in real time; camera off, {with_others}",
            ratio=state * DT_S,
        ),
    ]


def _steps_per_s(town: Town, scenarios: list[Scenario], num_steps: int) -> float:
    """Only `step` is on the clock, not the driver; only environments still driving are counted."""
    driver, observation = Expert(), town.reset(scenarios)
    live, done, took_s = np.ones(town.num_envs, np.bool_), 0, 0.0
    for _ in range(num_steps):
        plan = driver.act(observation)
        start = time.perf_counter()
        step = town.step(plan.trajectory)
        took_s += time.perf_counter() - start
        done += int(live.sum())
        observation, live = step.observation, ~(step.terminated | step.truncated)
    return done / took_s


def _copied_frames_per_s(num: int = 512) -> float:
    """What writing a frame costs at the least. The frames together are larger than a core's caches."""
    source = np.ones((num, HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    target = np.zeros_like(source)
    target[:] = 2  # the pages must exist
    start = time.perf_counter()
    for frame, into in zip(source, target, strict=True):
        np.copyto(into, frame)
    return num / (time.perf_counter() - start)


def measure_expert() -> list[Figure]:
    """The expert's driving score, and those of two drivers that do not look."""
    drivers: list[tuple[str, Policy]] = [("expert", Expert()), ("constant_velocity", ConstantVelocity()), ("stand_still", StandStill())]
    figures = []
    for name, driver in drivers:
        scenarios = town_scenarios(FLEET_SEEDS.start, NUM_SCORED, num_agents=NUM_AGENTS)
        scores = [score_route(rollout) for rollout in roll_out(Town(NUM_SCORED, renders=False), driver, scenarios)]
        row = next(row for row in score_rows(scores, policy=name, world="town") if row.metric == "driving_score")
        interval = f"95 % interval {row.low:.1f} to {row.high:.1f} over {row.num} drives"
        figures.append(
            Figure(
                name=f"sim.{name}_driving_score", value=row.mean, unit="of 100", against=f"100, the most there is; {interval}", ratio=row.mean / 100
            )
        )
    return figures

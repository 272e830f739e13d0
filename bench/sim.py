"""The town on one core beside other simulators in the same run: speed, growth, what a world weighs, and how well it is driven."""

import importlib.metadata
import json
import os
import subprocess
import sys
import time

import numpy as np

from bench.figure import Figure
from bench.peers import PEERS, PeerSpeed, measure_peer
from motorworks.datatypes.rig import FRONT
from motorworks.datatypes.scenario import Scenario
from motorworks.datatypes.trajectory import DT_S
from motorworks.metrics.aggregate import score_rows
from motorworks.metrics.closed_loop import score_route
from motorworks.policy.expert import Expert
from motorworks.policy.policy import Policy
from motorworks.policy.probes import ConstantVelocity, StandStill
from motorworks.sim.rollout import roll_out
from motorworks.sim.seeds import FLEET_SEEDS, TRAIN_SEEDS, town_scenarios
from motorworks.sim.town import Town

NUM_ENVS, NUM_TOWNS, NUM_AGENTS = 32, 8, 32
STATE_STEPS, CAMERA_STEPS = 100, 20  # of every environment
REPEATS = 4
GROWTH_AGENTS, GROWTH_WORLDS = (4, 8, 16, 32), (1, 8, 32, 256)
NUM_WEIGHED, BAR_MB = 64, 2.0
WIDTH_PX, HEIGHT_PX = FRONT.cameras[0].width_px, FRONT.cameras[0].height_px
NUM_SCORED, NUM_SCORED_AGENTS = 32, 10  # scenarios, one town each, of the fleet: held-out towns are for `evaluate`
PACKAGES = {"metadrive": ("MetaDrive", "metadrive-simulator"), "highway_env": ("highway-env", "highway-env"), "sumo": ("SUMO", "eclipse-sumo")}


def measure() -> list[Figure]:
    """Everything on one thread; the best of several repeats of the same drives."""
    return [*measure_speed(), *measure_growth(), *measure_memory(), *measure_expert()]


def measure_speed() -> list[Figure]:
    """Environment steps a second with the camera and without; the peers take their turns between the repeats."""
    scenarios = _scenarios(NUM_ENVS, NUM_AGENTS)
    blind, seeing = Town(NUM_ENVS, renders=False), Town(NUM_ENVS, renders=True)
    state = camera = copied = 0.0
    for town in (blind, seeing):
        steps_per_s(town, scenarios, 5)  # compiles the kernels, builds the towns
    peers: list[PeerSpeed] = []
    names = iter(PEERS)
    for _ in range(REPEATS):  # taken in turns, so that a busy minute hits all
        state = max(state, steps_per_s(blind, scenarios, STATE_STEPS))
        camera = max(camera, steps_per_s(seeing, scenarios, CAMERA_STEPS))
        copied = max(copied, _copied_frames_per_s())
        found = measure_peer(name, NUM_AGENTS) if (name := next(names, None)) else None
        peers += [found] if found else []
    others = float(blind.snapshot().agents_valid.sum(axis=1).mean())
    with_others = f"{NUM_ENVS} environments, {others:.0f} others each"
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
        *(_beside(peer, state, with_others) for peer in peers),
    ]


def _beside(peer: PeerSpeed, state: float, with_others: str) -> Figure:
    title, package = PACKAGES[peer.name]
    version = importlib.metadata.version(package)
    return Figure(
        name=f"sim.state_vs_{peer.name}_ratio",
        value=state / peer.steps_per_s,
        unit="times faster",
        against=f"{peer.steps_per_s:,.0f} steps/s of {title} {version}, no pictures, {peer.num_vehicles:.0f} vehicles, one thread; "
        f"ours: {state:,.0f}/s, {with_others}",
        ratio=state / peer.steps_per_s,
    )


def measure_growth() -> list[Figure]:
    """Time per environment step from few others to many, and from one world to many, each over what it would be at no loss."""
    by_agents = {num: _best_state(NUM_ENVS, num) for num in GROWTH_AGENTS}
    by_worlds = {num: _best_state(num, NUM_AGENTS) for num in GROWTH_WORLDS}
    few, many, one, most = GROWTH_AGENTS[0], GROWTH_AGENTS[-1], GROWTH_WORLDS[0], GROWTH_WORLDS[-1]
    slower, faster = by_agents[few] / by_agents[many], by_worlds[most] / by_worlds[one]
    return [
        Figure(
            name="sim.growth_agents_ratio",
            value=slower,
            unit="times slower",
            against=f"{many / few:.0f}, in proportion to {few} to {many} others; steps/s {_list(by_agents)}",
            ratio=slower / (many / few),
        ),
        Figure(
            name="sim.growth_worlds_ratio",
            value=faster,
            unit="times faster",
            against=f"1, as one world alone; environment steps/s from {one} to {most} worlds: {_list(by_worlds)}",
            ratio=faster,
        ),
    ]


def _list(speeds: dict[int, float]) -> str:
    return ", ".join(f"{num}: {speed:,.0f}" for num, speed in speeds.items())


def _best_state(num_envs: int, num_agents: int, repeats: int = 2) -> float:
    town, scenarios = Town(num_envs, renders=False), _scenarios(num_envs, num_agents)
    steps_per_s(town, scenarios, 3)
    return max(steps_per_s(town, scenarios, max(8, min(STATE_STEPS, 1600 // num_envs))) for _ in range(repeats))


def _scenarios(num_envs: int, num_agents: int) -> list[Scenario]:
    return town_scenarios(TRAIN_SEEDS.start, num_envs, num_towns=min(num_envs, NUM_TOWNS), num_agents=num_agents)


def steps_per_s(town: Town, scenarios: list[Scenario], num_steps: int) -> float:
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


def measure_memory() -> list[Figure]:
    """Resident memory that a world adds to a batch in the same town, camera on, measured in a process of its own."""
    run = subprocess.run([sys.executable, "-m", "bench.sim"], capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True)
    world_mb = float(json.loads(run.stdout.strip().splitlines()[-1]))
    against = f"{BAR_MB:.0f} MB, the bar; from 1 world to {NUM_WEIGHED + 1} of one town with {NUM_AGENTS} others each, camera on"
    return [Figure(name="sim.memory_per_world_mb", value=world_mb, unit="MB", against=against, ratio=world_mb / BAR_MB)]


def weigh_world() -> float:
    """Megabytes by which the process grows for each of `NUM_WEIGHED` worlds more, all in one town, after each has driven."""
    scenarios = [Scenario(town_seed=TRAIN_SEEDS.start, route_seed=i, num_agents=NUM_AGENTS) for i in range(NUM_WEIGHED + 1)]
    one = Town(1, renders=True)
    steps_per_s(one, scenarios[:1], 5)  # compiled, town built, one world there
    before = _resident_mb()
    many = Town(NUM_WEIGHED + 1, renders=True)
    steps_per_s(many, scenarios, 5)
    return (_resident_mb() - before) / NUM_WEIGHED


def _resident_mb() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def measure_expert() -> list[Figure]:
    """The expert's driving score, and those of two drivers that do not look."""
    drivers: list[tuple[str, Policy]] = [("expert", Expert()), ("constant_velocity", ConstantVelocity()), ("stand_still", StandStill())]
    figures = []
    for name, driver in drivers:
        scenarios = town_scenarios(FLEET_SEEDS.start, NUM_SCORED, num_agents=NUM_SCORED_AGENTS)
        scores = [score_route(rollout) for rollout in roll_out(Town(NUM_SCORED, renders=False), driver, scenarios)]
        row = next(row for row in score_rows(scores, policy=name, world="town") if row.metric == "driving_score")
        interval = f"95 % interval {row.low:.1f} to {row.high:.1f} over {row.num} drives"
        figures.append(
            Figure(
                name=f"sim.{name}_driving_score", value=row.mean, unit="of 100", against=f"100, the most there is; {interval}", ratio=row.mean / 100
            )
        )
    return figures


if __name__ == "__main__":
    print(json.dumps(weigh_world()))

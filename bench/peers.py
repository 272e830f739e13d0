"""Other simulators on one thread, each with about as many vehicles as ours: steps a second of what is installed, in this process or its own.

Each peer is driven as its own documentation does it, without pictures, at 10 decisions a second; a step is one such decision of one world.
"""

import contextlib
import importlib.util
import io
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ALL_S = 3.0  # of timed steps a repeat may take
ENDS_AFTER_STEPS = 100


@dataclass(frozen=True, kw_only=True)
class PeerSpeed:
    """The best of the repeats, and how many vehicles were on the road on average while it ran."""

    name: str
    steps_per_s: float
    num_vehicles: float


def _timed(step: Callable[[], bool], reset: Callable[[], None], vehicles: Callable[[], int], seconds: float) -> tuple[float, float]:
    """Steps a second, and mean vehicles; `step` says whether the episode is over. Resets and counting are not on the clock."""
    reset()
    took_s, num, seen = 0.0, 0, []
    while took_s < seconds:
        start = time.perf_counter()
        over = step()
        took_s += time.perf_counter() - start
        num += 1
        if num % 10 == 1:
            seen.append(vehicles())
        if over or num % ENDS_AFTER_STEPS == 0:
            reset()
    return num / took_s, float(np.mean(seen))


def metadrive(num_vehicles: int, seconds: float) -> tuple[float, float]:
    """State mode: no renderer, no lidar rays, no observation; traffic that all moves from the start (`respawn`)."""
    from motorworks.sim.others.metadrive_car import without_assets

    quiet: dict[str, Any] = {"use_render": False, "image_observation": False, "log_level": logging.CRITICAL}
    sensors = {"lidar": {"num_lasers": 0, "num_others": 0}, "side_detector": {"num_lasers": 0}, "lane_line_detector": {"num_lasers": 0}}
    env = without_assets()(
        {
            **quiet,
            "num_scenarios": 20,
            "map": 4,
            "traffic_mode": "respawn",
            "traffic_density": 0.016 * num_vehicles,
            "vehicle_config": sensors,
            "crash_vehicle_done": False,
            "out_of_road_done": False,
            "on_continuous_line_done": False,
        }
    )
    seeds = iter(range(10_000))

    def step() -> bool:
        _, _, terminated, truncated, _ = env.step([0.0, 0.1])
        return bool(terminated or truncated)

    try:
        return _timed(step, lambda: env.reset(seed=next(seeds) % 20), lambda: 1 + len(env.engine.traffic_manager.traffic_vehicles), seconds)
    finally:
        env.close()


def highway(num_vehicles: int, seconds: float) -> tuple[float, float]:
    """`highway-v0`, kinematic observation, one simulation step a decision."""
    import gymnasium
    import highway_env  # noqa: F401, registers its environments

    config = {"action": {"type": "ContinuousAction"}, "vehicles_count": num_vehicles - 1, "simulation_frequency": 10, "policy_frequency": 10}
    env: Any = gymnasium.make("highway-v0", config=config, disable_env_checker=True).unwrapped
    seeds, still = iter(range(10_000)), np.zeros(2)

    def step() -> bool:
        _, _, terminated, _, _ = env.step(still)
        return bool(terminated)

    return _timed(step, lambda: env.reset(seed=next(seeds)), lambda: len(env.road.vehicles), seconds)


def sumo(num_vehicles: int, seconds: float) -> tuple[float, float]:
    """A netgenerate grid with lights, two lanes each way; libsumo in this process, or traci to one of its own where libsumo is missing."""
    home = Path(importlib.util.find_spec("sumo").submodule_search_locations[0])  # type: ignore[union-attr, index]
    os.environ.setdefault("SUMO_HOME", str(home))
    if importlib.util.find_spec("libsumo") is not None:
        import libsumo as api
    else:
        sys.path.append(str(home / "tools"))
        import traci as api
    with tempfile.TemporaryDirectory() as scratch:
        net, trips = Path(scratch) / "grid.net.xml", Path(scratch) / "trips.xml"
        grid = ["--grid", "--grid.number", "4", "--grid.length", "120", "-L", "2", "--default-junction-type", "traffic_light", "--seed", "1"]
        subprocess.run([str(home / "bin" / "netgenerate"), *grid, "-o", str(net)], check=True, capture_output=True)
        trips.write_text(_endless_trips(num_vehicles))
        options = ["-n", str(net), "-r", str(trips), "--step-length", "0.1", "--no-step-log", "--no-warnings", "--seed", "1"]
        api.start([str(home / "bin" / "sumo"), *options])
        try:
            for _ in range(600):  # until all are on the road
                api.simulationStep()

            def step() -> bool:
                api.simulationStep()
                return False

            return _timed(step, lambda: None, api.vehicle.getIDCount, seconds)
        finally:
            api.close()


def _endless_trips(num_vehicles: int) -> str:
    """Vehicles that go round a block of the grid again and again (netgenerate names its nodes A0, A1, …)."""
    blocks = [(a, b) for a in "ABC" for b in range(3)]
    rows = []
    for i in range(num_vehicles):
        a, b = blocks[i % len(blocks)]
        c = chr(ord(a) + 1)
        ring = [f"{a}{b}{c}{b}", f"{c}{b}{c}{b + 1}", f"{c}{b + 1}{a}{b + 1}", f"{a}{b + 1}{a}{b}"]
        turn = i // len(blocks) % 4
        edges = " ".join(ring[turn:] + ring[:turn])
        rows.append(f'<vehicle id="v{i}" depart="{i // len(blocks)}" departLane="best"><route edges="{edges}" repeat="1000"/></vehicle>')
    return "<routes>" + "".join(rows) + "</routes>"


PEERS: dict[str, tuple[Callable[[int, float], tuple[float, float]], str]] = {
    "metadrive": (metadrive, "metadrive"),
    "highway_env": (highway, "highway_env"),
    "sumo": (sumo, "sumo"),
}


def measure_peer(name: str, num_vehicles: int, *, repeats: int = 3) -> PeerSpeed | None:
    """In a process of its own, so that nobody's memory or threads disturb anybody; None where it is not installed or does not run."""
    if importlib.util.find_spec(PEERS[name][1]) is None:
        return None
    one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYGAME_HIDE_SUPPORT_PROMPT": "1"}
    command = [sys.executable, "-W", "ignore", "-m", "bench.peers", name, str(num_vehicles), str(repeats)]
    run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **one}, timeout=120, check=False)
    if run.returncode:
        print(f"sim: {name} did not run and has no figure: {run.stderr.strip().splitlines()[-1:]}", flush=True)
        return None
    return PeerSpeed(name=name, **json.loads(run.stdout.strip().splitlines()[-1]))


def main() -> None:
    """One line of JSON for the parent; what a peer itself prints is swallowed."""
    name, num_vehicles, repeats = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with contextlib.redirect_stdout(io.StringIO()):
        found = [PEERS[name][0](num_vehicles, ALL_S / repeats) for _ in range(repeats)]
    steps_per_s, num = max(found)
    print(json.dumps({"steps_per_s": steps_per_s, "num_vehicles": num}))


if __name__ == "__main__":
    main()

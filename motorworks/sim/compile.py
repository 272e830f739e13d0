"""Compile the town's kernels ahead of time: `python -m motorworks.sim.compile`, a part of installing. Later processes read them from a cache.

Camera and traffic know nothing of each other, so two processes share the work.
"""

import multiprocessing
import time

from motorworks.datatypes.scenario import Scenario
from motorworks.policy.expert import Expert
from motorworks.sim.town import Town

_SCENARIO = Scenario(town_seed=0, route_seed=0, num_agents=2)


def compile_traffic() -> None:
    """All that a step without a picture and the expert's plan call."""
    town, expert = Town(1, renders=False), Expert()
    observation = town.reset([_SCENARIO])
    town.step(expert.act(observation).trajectory)


def compile_camera() -> None:
    """All that a picture calls."""
    Town(1).draw_once(_SCENARIO)


def main() -> None:
    """Both at once; says how long it took."""
    start = time.perf_counter()
    processes = [multiprocessing.get_context("spawn").Process(target=target) for target in (compile_traffic, compile_camera)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        if process.exitcode:
            raise SystemExit(f"compiling the town's kernels failed with exit code {process.exitcode}; the error stands above")
    print(f"the town's kernels are compiled ({time.perf_counter() - start:.0f} s)")


if __name__ == "__main__":
    main()

"""The town on a GPU beside the same town on one core, in the same run. No figures where there is no GPU."""

from numba import cuda

from bench.figure import Figure
from bench.sim import NUM_AGENTS, NUM_TOWNS, steps_per_s
from motorworks.sim.seeds import TRAIN_SEEDS, town_scenarios
from motorworks.sim.town import Town
from motorworks.sim.town_cuda import CudaTown
from motorworks.sim.world import WorldStep

NUM_ENVS, NUM_STEPS = 1024, 30


class _Finished(CudaTown):
    """A step is over when its pictures are there."""

    def step(self, trajectories: object) -> WorldStep:
        step = super().step(trajectories)  # type: ignore[arg-type]
        cuda.synchronize()
        return step


def measure() -> list[Figure]:
    """Environment steps a second with the camera and without; pictures stay on the GPU, everything else of an observation comes back."""
    if not cuda.is_available():
        print("sim_cuda: no figures, for numba finds no GPU", flush=True)
        return []
    name = cuda.get_current_device().name
    card = name.decode() if isinstance(name, bytes) else name
    scenarios = town_scenarios(TRAIN_SEEDS.start, NUM_ENVS, num_towns=NUM_TOWNS, num_agents=NUM_AGENTS)
    figures = []
    for what, renders in (("state_steps", False), ("camera_fps", True)):
        gpu, cpu = _Finished(NUM_ENVS, renders, copies_frames=False), Town(NUM_ENVS, renders)
        for town in (gpu, cpu):
            steps_per_s(town, scenarios, 2)  # compiles the kernels, builds the towns
        here, there = (max(steps_per_s(town, scenarios, NUM_STEPS) for _ in range(2)) for town in (cpu, gpu))
        against = f"{here:,.0f}/s of the same on one core; {card}, {NUM_ENVS} environments, {NUM_AGENTS} others each"
        figures.append(Figure(name=f"sim_cuda.{what}", value=there, unit="1/s", against=against, ratio=there / here))
    return figures

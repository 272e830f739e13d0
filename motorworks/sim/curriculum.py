"""Which scenarios an endless collection drives: fresh ones of the training towns and, in a share, mined ones."""

from collections.abc import Iterator, Sequence

import numpy as np

from motorworks.datatypes.scenario import Scenario
from motorworks.sim.seeds import is_held_out


def draw_scenarios(
    town_seeds: Sequence[int], *, seed: int, num_agents: tuple[int, int] = (6, 14), mined: Sequence[Scenario] = (), mined_frac: float = 0.3
) -> Iterator[Scenario]:
    """Never ends; the same arguments give the same sequence. A held-out scenario raises: only `evaluate` may open those."""
    for scenario in (*(Scenario(town_seed=town, route_seed=0) for town in town_seeds), *mined):
        if is_held_out(scenario):
            raise ValueError(f"scenario {scenario.name} is held out: training and mining may not open it")
    rng = np.random.default_rng(seed)
    while True:
        if mined and rng.random() < mined_frac:
            yield mined[int(rng.integers(len(mined)))]
        else:
            low, high = num_agents
            town, route, agents = int(town_seeds[int(rng.integers(len(town_seeds)))]), int(rng.integers(1_000_000)), int(rng.integers(low, high + 1))
            yield Scenario(town_seed=town, route_seed=route, num_agents=agents)

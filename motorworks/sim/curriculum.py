"""Which scenarios an endless collection drives: fresh ones of the training towns, some of them staged and, in a share, mined ones."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count

import numpy as np

from motorworks.datatypes.scenario import TRAFFIC, Scenario
from motorworks.sim.agents import MAX_AGENTS, empty_agents
from motorworks.sim.ground import build_town
from motorworks.sim.scenarios import SCENARIOS
from motorworks.sim.seeds import is_held_out
from motorworks.sim.staging import ImpossibleScenario, stage

LONG_TAIL = tuple(kind for kind in SCENARIOS if kind != TRAFFIC)
MAX_TRIES = 200


def draw_scenarios(
    town_seeds: Sequence[int],
    *,
    seed: int,
    num_agents: tuple[int, int] = (6, 14),
    mined: Sequence[Scenario] = (),
    mined_frac: float = 0.3,
    staged_frac: float = 0.0,
) -> Iterator[Scenario]:
    """Never ends; the same arguments give the same sequence. `staged_frac` of the fresh ones are of the long tail, of any kind and difficulty.

    A held-out scenario raises: only `evaluate` may open those.
    """
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
            fresh = Scenario(town_seed=town, route_seed=route, num_agents=agents)
            if staged_frac and rng.random() < staged_frac:
                kind, difficulty = LONG_TAIL[int(rng.integers(len(LONG_TAIL)))], round(float(rng.random()), 2)
                wanted = replace(fresh, kind=kind, difficulty_frac=difficulty)
                fresh = wanted if is_possible(wanted) else fresh
            yield fresh


def is_possible(scenario: Scenario) -> bool:
    """Whether the scenario's town can stage it."""
    try:
        stage(build_town(scenario.town_seed), scenario, empty_agents((MAX_AGENTS,)), 1)
    except ImpossibleScenario:
        return False
    return True


def tail_scenarios(
    first_town_seed: int, num: int, *, kinds: Sequence[str] = LONG_TAIL, num_agents: int = 10, difficulty_frac: float = 0.5
) -> list[Scenario]:
    """`num` staged scenarios, the kinds in turn, each in the next town that has a place for it."""
    found: list[Scenario] = []
    for number in range(num):
        kind = kinds[number % len(kinds)]
        for town in count(first_town_seed + number):
            scenario = Scenario(town_seed=town, route_seed=number, num_agents=num_agents, kind=kind, difficulty_frac=difficulty_frac)
            if is_possible(scenario):
                found.append(scenario)
                break
            if town > first_town_seed + number + MAX_TRIES:
                raise ValueError(f"no town from {first_town_seed + number} on can stage {kind!r}; look at its generator")
    return found

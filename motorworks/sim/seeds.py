"""Which towns exist for what: training, the fleet's own drives, and held out for evaluation."""

from motorworks.datatypes.scenario import Scenario

TRAIN_SEEDS = range(0, 10_000)
FLEET_SEEDS = range(10_000, 20_000)
FIRST_HELD_OUT_SEED = 1_000_000


def is_held_out(scenario: Scenario) -> bool:
    """Whether only `evaluate` may open this scenario's town, and `motorworks drive` for a look that no stage reads."""
    return scenario.town_seed >= FIRST_HELD_OUT_SEED


def town_scenarios(first_town_seed: int, num: int, *, num_towns: int | None = None, num_agents: int = 10) -> list[Scenario]:
    """`num` scenarios over `num_towns` towns (default: one town each), counted up from the first seed."""
    towns = num if num_towns is None else num_towns
    return [Scenario(town_seed=first_town_seed + i % towns, route_seed=i // towns, num_agents=num_agents) for i in range(num)]

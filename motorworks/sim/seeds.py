"""Which towns exist for what: training, the fleet's own drives, and held out for evaluation."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from motorworks.datatypes.scenario import TRAFFIC, Scenario

TRAIN_SEEDS = range(0, 10_000)
FLEET_SEEDS = range(10_000, 20_000)
FIRST_HELD_OUT_SEED = 1_000_000
_opened_for: ContextVar[str | None] = ContextVar("held_out_opened_for", default=None)


class HeldOut(PermissionError):
    """Something other than an evaluation opened a held-out town."""


def is_held_out(scenario: Scenario) -> bool:
    """Whether only `evaluate` may open this scenario's town, and `motorworks drive` for a look that no stage reads."""
    return scenario.town_seed >= FIRST_HELD_OUT_SEED


@contextmanager
def held_out_open(purpose: str) -> Iterator[None]:
    """Within it held-out towns can be reset. Who may call it is a list that a test keeps (tests/house)."""
    token = _opened_for.set(purpose)
    try:
        yield
    finally:
        _opened_for.reset(token)


def check_open(scenario: Scenario) -> None:
    """Raise HeldOut where a held-out scenario is touched outside of `held_out_open`."""
    if is_held_out(scenario) and _opened_for.get() is None:
        raise HeldOut(f"scenario {scenario.name} is held out (town seeds from {FIRST_HELD_OUT_SEED} up): only evaluation may open it")


def town_scenarios(
    first_town_seed: int, num: int, *, num_towns: int | None = None, num_agents: int = 10, kind: str = TRAFFIC, difficulty_frac: float = 0.5
) -> list[Scenario]:
    """`num` scenarios over `num_towns` towns (default: one town each), counted up from the first seed."""
    towns = num if num_towns is None else num_towns
    return [
        Scenario(town_seed=first_town_seed + i % towns, route_seed=i // towns, num_agents=num_agents, kind=kind, difficulty_frac=difficulty_frac)
        for i in range(num)
    ]

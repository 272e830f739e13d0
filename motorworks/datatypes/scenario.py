"""A scenario: a named, reproducible start of an episode. Same scenario, same policy: same rollout."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, order=True)
class Scenario:
    """Which world, which town, which route, how busy."""

    world: str = "town"
    town_seed: int
    route_seed: int
    num_agents: int = 10

    def __post_init__(self) -> None:
        if self.town_seed < 0 or self.route_seed < 0 or self.num_agents < 0:
            raise ValueError(f"seeds and num_agents must not be negative: {self}")

    @property
    def name(self) -> str:
        return f"{self.world}-{self.town_seed}-{self.route_seed}-{self.num_agents}"

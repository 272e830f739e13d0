"""A scenario: a named, reproducible start of an episode. Same scenario, same policy: same rollout."""

import hashlib
import re
from dataclasses import dataclass

TRAFFIC = "traffic"  # the kind with nothing staged
MAX_MOVING = 32  # agents that a scenario may ask for
_NAME = re.compile(
    r"(?P<world>[a-z]+)-(?P<town>\d+)-(?P<route>\d+)-(?P<agents>\d+)(-(?P<kind>[a-z_]+)-(?P<difficulty>\d\.\d\d)(?P<drawn>-[0-9a-f]{6})?)?"
)


@dataclass(frozen=True, kw_only=True, order=True)
class Scenario:
    """Which world, which town, which route, how busy, and what is staged there (`sim/scenarios`): nothing by default."""

    world: str = "town"
    town_seed: int
    route_seed: int
    num_agents: int = 10
    kind: str = TRAFFIC
    difficulty_frac: float = 0.5  # 0 easy, 1 hard; ignored by plain traffic
    params: tuple[tuple[str, float], ...] = ()  # what the generator would have drawn, given instead

    def __post_init__(self) -> None:
        if self.town_seed < 0 or self.route_seed < 0 or self.num_agents < 0:
            raise ValueError(f"seeds and num_agents must not be negative: {self}")
        if self.num_agents > MAX_MOVING:
            raise ValueError(f"num_agents {self.num_agents} is more than {MAX_MOVING}; ask for fewer: {self}")
        if not 0.0 <= self.difficulty_frac <= 1.0:
            raise ValueError(f"difficulty_frac {self.difficulty_frac} must lie in [0, 1]: {self}")
        object.__setattr__(self, "params", tuple(sorted((str(name), float(value)) for name, value in self.params)))

    @property
    def name(self) -> str:
        plain = f"{self.world}-{self.town_seed}-{self.route_seed}-{self.num_agents}"
        if self.kind == TRAFFIC:
            return plain
        drawn = f"-{hashlib.sha256(repr(self.params).encode()).hexdigest()[:6]}" if self.params else ""
        return f"{plain}-{self.kind}-{self.difficulty_frac:.2f}{drawn}"

    @classmethod
    def named(cls, name: str) -> "Scenario":
        """The scenario of a name. ValueError for what is no name, and for one that does not tell all: `params` were given."""
        told = _NAME.fullmatch(name)
        if told is None:
            raise ValueError(f"{name!r} is not a scenario's name, as town-12-0-10 or town-12-0-10-cut_in-0.50")
        if told["drawn"]:
            raise ValueError(f"{name!r} was staged with given parameters, which its name does not tell; look it up where it was recorded")
        return cls(
            world=told["world"],
            town_seed=int(told["town"]),
            route_seed=int(told["route"]),
            num_agents=int(told["agents"]),
            kind=told["kind"] or TRAFFIC,
            difficulty_frac=float(told["difficulty"] or 0.5),
        )

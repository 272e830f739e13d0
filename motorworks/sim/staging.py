"""Setting up one environment: a route, ordinary traffic, light and weather, and what the scenario's generator adds."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from motorworks.datatypes.scenario import TRAFFIC, Scenario
from motorworks.sim.agents import Agents
from motorworks.sim.crowd import Crowd
from motorworks.sim.ground import TownMap
from motorworks.sim.look import Look, draw_look
from motorworks.sim.route import YAW, Route, plan_route
from motorworks.sim.seeds import check_open

FIND_TRIES = 300


class Stage:
    """What a generator works on: it may replace the route before anyone is placed, then add agents, weather, faults and tags."""

    def __init__(self, town: TownMap, scenario: Scenario, rng: np.random.Generator, agents: Agents, first_slot: int) -> None:
        self.town, self.scenario, self.rng, self.agents, self.first_slot = town, scenario, rng, agents, first_slot
        self.look: dict[str, float] = {}  # conditions forced on draw_look
        self.tags: set[str] = set()
        self.late_hints = False  # the route hint comes only when the manoeuvre begins
        self.parks = True  # cars are parked along the route
        self.grip = 1.0  # friction coefficient of the road
        self.time_s = 0.0  # allowed beyond the ordinary
        self.num_agents = scenario.num_agents
        self.known = dict(scenario.params)
        self.set_route(plan_route(town.network, scenario, rng))

    def set_route(self, route: Route) -> None:
        """Drive this one; nobody is placed yet."""
        self.route, self.crowd = route, Crowd(self.town.network, route, self.agents, self.rng, self.first_slot)

    def value(self, name: str, easy: float, hard: float, *, least: float | None = None, most: float | None = None) -> float:
        """A parameter between easy and hard by difficulty, a little jittered; or as the scenario says, within [least, most]."""
        jitter = float(self.rng.uniform(-0.1, 0.1))  # drawn either way, so that a given value moves nothing else
        low, high = min(easy, hard) if least is None else least, max(easy, hard) if most is None else most
        if name in self.known:
            value = self.known.pop(name)
            if not low <= value <= high:
                raise ValueError(f"scenario {self.scenario.name}: {name} {value} must lie in [{low}, {high}]")
            return value
        share = float(np.clip(self.scenario.difficulty_frac + jitter, 0.0, 1.0))
        return float(np.clip(easy + share * (hard - easy), low, high))

    def find_route(self, wanted: Callable[[Route], bool], what: str) -> None:
        """Search for a route with a property."""
        for _ in range(FIND_TRIES):
            route = plan_route(self.town.network, self.scenario, self.rng)
            if wanted(route):
                self.set_route(route)
                return
        raise ImpossibleScenario(f"scenario {self.scenario.name}: {self.town.name} has no route with {what}; choose another town_seed")


class ImpossibleScenario(ValueError):
    """The town cannot stage this scenario."""


@dataclass(frozen=True, kw_only=True)
class Staged:
    """One environment as it starts; its agents were written in place."""

    route: Route
    look: Look
    tags: tuple[str, ...]
    late_hints: bool
    grip: float
    time_s: float


def stage(town: TownMap, scenario: Scenario, agents: Agents, first_slot: int) -> Staged:
    """Fill an environment's empty agents and say how it looks. Same scenario, same bits.

    Raises ValueError for an unknown kind or parameter, ImpossibleScenario where the town has no place for it, HeldOut for a town that only an
    evaluation may open.
    """
    from motorworks.sim.scenarios import SCENARIOS

    check_open(scenario)
    if scenario.kind not in SCENARIOS:
        raise ValueError(f"scenario kind {scenario.kind!r} is not one of {tuple(SCENARIOS)}")
    rng = np.random.default_rng((scenario.town_seed, scenario.route_seed, 0x72))
    here = Stage(town=town, scenario=scenario, rng=rng, agents=agents, first_slot=first_slot)
    SCENARIOS[scenario.kind](here)
    if here.known:
        raise ValueError(f"scenario {scenario.name}: {scenario.kind} has no parameter {sorted(here.known)}; see docs/odd.md")
    here.crowd.populate(min(here.num_agents, here.crowd.num_free), parks=here.parks)
    look = draw_look(np.random.default_rng((scenario.town_seed, scenario.route_seed, 0x10)), **here.look)
    if here.look.get("low_sun"):
        ahead = here.route.points[int(here.route.length_m / 3), YAW]
        look = look._replace(sun_azimuth_rad=np.float64((ahead + np.pi) % (2 * np.pi) - np.pi))
    tags = (*_seen_on(here), *sorted(here.tags), *(() if scenario.kind == TRAFFIC else (scenario.kind,)))
    return Staged(route=here.route, look=look, tags=tags, late_hints=here.late_hints, grip=here.grip, time_s=here.time_s)


def _seen_on(here: Stage) -> tuple[str, ...]:
    """Operational design domain of the route itself: what kinds of road and junction it meets."""
    from motorworks.sim.lanes import ALL_STOP, FREE, LIGHT, STOP, YIELD
    from motorworks.sim.route import CONNECTOR, FIRST_EXIT, TO_LEFT, WORD

    lanes, route = here.town.network.lanes, here.route
    driven = route.points[: int(route.length_m)]
    names = {LIGHT: "traffic light", ALL_STOP: "all-way stop", STOP: "stop sign", YIELD: "give way", FREE: "priority road"}
    found = {names[int(lanes.control[int(c)])] for c in np.unique(driven[:, CONNECTOR]) if c >= 0 and int(lanes.control[int(c)]) in names}
    words = set(np.unique(driven[:, WORD]).astype(int))
    if any(FIRST_EXIT <= word < TO_LEFT for word in words):
        found.add("roundabout")
    if any(word >= TO_LEFT for word in words):
        found.add("lane change")
    if 0 in words:
        found.add("right turn")
    if 2 in words:
        found.add("left turn")
    return tuple(sorted(found))

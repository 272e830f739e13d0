"""A batch of episodes in a world: scenarios drawn or given, actions in, rewards and facts out. What both environments share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from jaxtyping import Bool, Float, Int

from motorworks.datatypes.observation import Observation
from motorworks.datatypes.scenario import TRAFFIC, Scenario
from motorworks.geometry.array import Array
from motorworks.metrics.reward import Reward
from motorworks.sim.driving_env import facts_of
from motorworks.sim.gym.action import ActionScale, checked
from motorworks.sim.gym.view import Seen, make_view
from motorworks.sim.seeds import TRAIN_SEEDS, check_open
from motorworks.sim.world import World, WorldStep

FAULTS = ("at_fault", "off_road", "wrong_way", "red_light", "stop_sign", "gave_no_way", "blocks_siren")  # each costs
FACTS = ("collision", *FAULTS, "completed", "progress_m", "speed_mps", "lateral_offset_m")  # of the step, into `info`


@dataclass(frozen=True, kw_only=True)
class Draw:
    """Which scenarios an episode may be, each drawn evenly. Held-out towns are refused: only `evaluate` opens those."""

    towns: Sequence[int] = TRAIN_SEEDS
    num_agents: tuple[int, int] = (6, 14)  # least and most
    kinds: Sequence[str] = (TRAFFIC,)

    def __post_init__(self) -> None:
        low, high = self.num_agents
        if not (len(self.towns) and len(self.kinds) and 0 <= low <= high):
            raise ValueError(f"scenarios need at least one town, one kind, and 0 <= least <= most agents: {self}")
        check_open(Scenario(town_seed=max(self.towns), route_seed=0))

    def __call__(self, rng: np.random.Generator) -> Scenario:
        """The next one."""
        return Scenario(
            town_seed=int(self.towns[int(rng.integers(len(self.towns)))]),
            route_seed=int(rng.integers(1_000_000)),
            num_agents=int(rng.integers(self.num_agents[0], self.num_agents[1] + 1)),
            kind=str(self.kinds[int(rng.integers(len(self.kinds)))]),
            difficulty_frac=float(rng.random()),
        )


class Episodes:
    """Steps all environments of `world` at once; who restarts when is the caller's to say."""

    def __init__(self, world: World, *, view: str, draw: Draw, reward: Reward | None, render_mode: str | None) -> None:
        self.world, self.draw, self.scale = world, draw, ActionScale()
        self._view, self._reward = make_view(view), reward or Reward()
        # one picture a step is the price of rgb_array even where the policy sees none
        world.renders = self._view.renders or render_mode == "rgb_array"
        self.observation: Observation = world.reset([draw(np.random.default_rng(0))])  # nobody drives it: it tells the shapes
        self._driven_m, self._length_m = np.zeros(world.num_envs), np.ones(world.num_envs)

    @property
    def space(self) -> spaces.Space[Any]:
        """What one environment sees."""
        return self._view.space(self.observation)

    def see(self) -> Seen:
        """What all environments see now."""
        return self._view(self.observation)

    def start(self, scenarios: Sequence[Scenario], ids: Int[Array, " n"]) -> None:
        """Restarts these. HeldOut where one of them is held out and nobody opened it."""
        for scenario in scenarios:
            check_open(scenario)
        self.observation = self.world.reset(scenarios, np.asarray(ids))
        self._driven_m[ids], self._length_m[ids] = 0.0, np.maximum(self._scene_value("remaining_m")[ids], 1e-6)

    def advance(
        self, actions: object, live: Bool[Array, " batch"]
    ) -> tuple[Float[Array, " batch"], Bool[Array, " batch"], Bool[Array, " batch"], dict[str, Array]]:
        """Reward, terminated, truncated and the step's facts; environments that are not `live` get no action."""
        trajectory = self.scale.trajectory(checked(actions, self.world.num_envs, live=live))
        limit_mps = self._scene_value("speed_limit_mps")
        step = self.world.step(trajectory)
        self.observation = step.observation
        self._driven_m += step.progress_m
        reward, _ = self._reward(facts_of(step, limit_mps))
        return reward, step.terminated, step.truncated, self._facts(step)

    def _facts(self, step: WorldStep) -> dict[str, Array]:
        facts = {name: np.asarray(getattr(step, name)) for name in FACTS}
        completion = np.where(step.completed, 1.0, np.clip(self._driven_m / self._length_m, 0.0, 1.0))
        cost = np.any([facts[name] for name in FAULTS], axis=0).astype(np.float64)
        return facts | {"route_completion_frac": completion, "cost": cost}

    def _scene_value(self, name: str) -> Float[Array, " batch"]:
        """Either from the scene or, where the world shows none, from the truth."""
        if self.observation.scene is not None:
            return np.asarray(getattr(self.observation.scene, name))
        truth = self.world.snapshot()
        return truth.speed_limit_mps if name == "speed_limit_mps" else truth.route_length_m - truth.progress_m

"""One town as a `gymnasium.Env`."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np

from motorworks.datatypes.scenario import TRAFFIC, Scenario
from motorworks.geometry.array import Array
from motorworks.metrics.reward import Reward
from motorworks.sim.gym.episodes import Draw, Episodes
from motorworks.sim.gym.view import Seen
from motorworks.sim.seeds import TRAIN_SEEDS
from motorworks.sim.world import World

ONE = np.zeros(1, np.int64)
RENDER_MODES = ("rgb_array",)


def town(num_envs: int) -> World:
    """The default world; the town compiles when it first steps, so it is imported late."""
    from motorworks.sim.town import Town

    return Town(num_envs, renders=False)


def check_render_mode(render_mode: str | None) -> None:
    """None, or one that there is."""
    if render_mode is not None and render_mode not in RENDER_MODES:
        raise ValueError(f"render_mode {render_mode!r} is not one of {RENDER_MODES} or None")


class TownEnv(gymnasium.Env):
    """Actions are (acceleration, curvature) in [-1, 1] (`gym.action.ActionScale`); 10 steps a second; reward as `metrics.reward.Reward`.

    `view` is "scene" (privileged vector) or "camera" (dict of image and vector). `reset(options={"scenario": Scenario(...)})` chooses the
    episode; else it is drawn from `towns`, `num_agents` and `kinds` by the environment's own seeded generator.
    """

    metadata = {"render_modes": list(RENDER_MODES), "render_fps": 10}  # noqa: RUF012, Gymnasium's own shape

    def __init__(
        self,
        view: str = "scene",
        render_mode: str | None = None,
        *,
        towns: Sequence[int] = TRAIN_SEEDS,
        num_agents: tuple[int, int] = (6, 14),
        kinds: Sequence[str] = (TRAFFIC,),
        reward: Reward | None = None,
        world: World | None = None,
    ) -> None:
        check_render_mode(render_mode)
        self.render_mode = render_mode
        draw = Draw(towns=towns, num_agents=num_agents, kinds=kinds)
        self._episodes = Episodes(world or town(1), view=view, draw=draw, reward=reward, render_mode=render_mode)
        self.observation_space, self.action_space = self._episodes.space, self._episodes.scale.space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Observation, and the scenario's name in `info`."""
        super().reset(seed=seed)
        given = (options or {}).get("scenario")
        if given is not None and not isinstance(given, Scenario):
            raise ValueError(f"options['scenario'] is {given!r}; give a motorworks.datatypes.scenario.Scenario")
        scenario = given or self._episodes.draw(self.np_random)
        self._episodes.start([scenario], ONE)
        return _first(self._episodes.see()), {"scenario": scenario.name}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One step of 0.1 s."""
        reward, terminated, truncated, facts = self._episodes.advance(np.asarray(action)[None], np.ones(1, np.bool_))
        info = {name: values[0].item() for name, values in facts.items()}
        return _first(self._episodes.see()), float(reward[0]), bool(terminated[0]), bool(truncated[0]), info

    def render(self) -> Array | None:
        """The forward camera's last picture."""
        frames = self._episodes.observation.frames
        return frames[0].copy() if self.render_mode == "rgb_array" and frames is not None else None


def _first(seen: Seen) -> Array | dict[str, Array]:
    return {name: values[0] for name, values in seen.items()} if isinstance(seen, dict) else seen[0]

"""Many towns as one `gymnasium.vector.VectorEnv`: a single batched world, no Python per environment in a step but for restarts."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from jaxtyping import Bool, Int

from motorworks.datatypes.scenario import TRAFFIC, Scenario
from motorworks.geometry.array import Array
from motorworks.metrics.reward import Reward
from motorworks.sim.gym.episodes import Draw, Episodes
from motorworks.sim.gym.town_env import RENDER_MODES, check_render_mode, town
from motorworks.sim.gym.view import Seen
from motorworks.sim.seeds import TRAIN_SEEDS
from motorworks.sim.world import World


class TownVectorEnv(VectorEnv):
    """As `TownEnv`, batched. Environment i seeded with s drives what a single environment seeded with s + i drives.

    `autoreset_mode` NEXT_STEP (Gymnasium's default): the step after an episode's end starts the next one, ignores the action and rewards 0.
    SAME_STEP: the next one starts at once; the last observation lies in `info["final_obs"]`, its facts in `info["final_info"]`.
    DISABLED: ended environments stand still until `reset(options={"reset_mask": mask})`.
    """

    def __init__(
        self,
        num_envs: int = 1,
        view: str = "scene",
        render_mode: str | None = None,
        *,
        towns: Sequence[int] = TRAIN_SEEDS,
        num_agents: tuple[int, int] = (6, 14),
        kinds: Sequence[str] = (TRAFFIC,),
        reward: Reward | None = None,
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        world: World | None = None,
    ) -> None:
        check_render_mode(render_mode)
        self.num_envs, self.render_mode, self._max_steps = num_envs, render_mode, max_episode_steps
        self._mode = AutoresetMode(autoreset_mode)
        self.metadata = {"render_modes": list(RENDER_MODES), "render_fps": 10, "autoreset_mode": self._mode}
        draw = Draw(towns=towns, num_agents=num_agents, kinds=kinds)
        self._episodes = Episodes(world or town(num_envs), view=view, draw=draw, reward=reward, render_mode=render_mode)
        self.single_observation_space, self.single_action_space = self._episodes.space, self._episodes.scale.space
        self.observation_space, self.action_space = (batch_space(s, num_envs) for s in (self.single_observation_space, self.single_action_space))
        self._rngs: list[np.random.Generator] = []
        self._ended, self._steps = np.ones(num_envs, np.bool_), np.zeros(num_envs, np.int64)

    def reset(self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """All, or those of `options["reset_mask"]`; `options["scenarios"]` gives one scenario for each of them."""
        options = dict(options or {})
        mask = np.asarray(options.get("reset_mask", np.ones(self.num_envs, np.bool_)))
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_ or not mask.any():
            raise ValueError(f"options['reset_mask'] must be {self.num_envs} booleans, at least one of them true; it is {mask!r}")
        self._seed(seed)
        ids, given = np.flatnonzero(mask), options.get("scenarios")
        if given is not None and not (len(given) == len(ids) and all(isinstance(one, Scenario) for one in given)):
            raise ValueError(f"options['scenarios'] must be {len(ids)} motorworks.datatypes.scenario.Scenario, one for each that restarts")
        names = self._start(ids, given)
        return self._episodes.see(), {"scenario": names, "_scenario": mask.copy()}

    def _seed(self, seed: int | Sequence[int | None] | None) -> None:
        seeds = [seed + i for i in range(self.num_envs)] if isinstance(seed, int) else list(seed) if seed is not None else [None] * self.num_envs
        if len(seeds) != self.num_envs:
            raise ValueError(f"{len(seeds)} seeds for {self.num_envs} environments; give one for each, or one for all")
        old: list[np.random.Generator | None] = list(self._rngs) or [None] * self.num_envs
        self._rngs = [rng if rng is not None and one is None else seeding.np_random(one)[0] for one, rng in zip(seeds, old, strict=True)]

    def _start(self, ids: Int[Array, " n"], given: Sequence[Scenario] | None = None) -> Array:
        scenarios = given if given is not None else [self._episodes.draw(self._rngs[i]) for i in ids]
        self._episodes.start(scenarios, ids)
        self._ended[ids], self._steps[ids] = False, 0
        names = np.full(self.num_envs, None, object)
        names[ids] = [scenario.name for scenario in scenarios]
        return names

    def step(self, actions: Any) -> tuple[Any, Array, Bool[Array, " batch"], Bool[Array, " batch"], dict[str, Any]]:
        """One step of 0.1 s of all."""
        if not self._rngs:
            raise ValueError("step before the first reset; call reset(seed=...) once")
        restarting = self._ended.copy()
        if self._mode is AutoresetMode.DISABLED and restarting.any():
            raise ValueError(f"environments {np.flatnonzero(restarting).tolist()} have ended; reset(options={{'reset_mask': mask}}) them first")
        reward, terminated, truncated, facts = self._episodes.advance(actions, ~restarting)
        self._steps += ~restarting
        if self._max_steps is not None:
            truncated = truncated | ((self._steps >= self._max_steps) & ~terminated)
        reward = np.where(restarting, 0.0, reward)
        terminated, truncated = terminated & ~restarting, truncated & ~restarting
        self._ended = terminated | truncated
        info = _vector_info(facts, ~restarting)
        if restarting.any():
            info |= {"scenario": self._start(np.flatnonzero(restarting)), "_scenario": restarting}
        if self._mode is AutoresetMode.SAME_STEP and self._ended.any():
            info = self._restart_now(facts)
        return self._episodes.see(), reward, terminated, truncated, info

    def _restart_now(self, facts: dict[str, Array]) -> dict[str, Any]:
        """The last observation and facts go into `final_…`; the rest of `info` speaks of those that drive on."""
        done, last = self._ended.copy(), self._episodes.see()
        final = np.full(self.num_envs, None, object)
        for i in np.flatnonzero(done):
            final[i] = _row(last, int(i))
        info = _vector_info(facts, ~done)
        info |= {"final_obs": final, "_final_obs": done, "final_info": _vector_info(facts, done), "_final_info": done.copy()}
        return info | {"scenario": self._start(np.flatnonzero(done)), "_scenario": done.copy()}

    def render(self) -> tuple[Array, ...] | None:
        """The forward cameras' last pictures."""
        frames = self._episodes.observation.frames
        return tuple(frames.copy()) if self.render_mode == "rgb_array" and frames is not None else None


def _vector_info(facts: dict[str, Array], valid: Bool[Array, " batch"]) -> dict[str, Any]:
    """Gymnasium's form: each value beside a mask of whose it is; elsewhere zero."""
    return {name: np.where(valid, values, np.zeros_like(values)) for name, values in facts.items()} | {f"_{name}": valid.copy() for name in facts}


def _row(seen: Seen, i: int) -> Array | dict[str, Array]:
    return {name: values[i].copy() for name, values in seen.items()} if isinstance(seen, dict) else seen[i].copy()

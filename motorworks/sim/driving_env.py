"""A world as a vector environment on scene features: episodes restart themselves with the next scenario."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32

from motorworks.datatypes.scenario import Scenario
from motorworks.datatypes.scene import Scene
from motorworks.datatypes.trajectory import Trajectory
from motorworks.geometry.array import Array
from motorworks.metrics.reward import Reward, StepFacts
from motorworks.policy.policy import Policy
from motorworks.sim.world import World, WorldStep


@dataclass(frozen=True, kw_only=True)
class FeatureStep:
    """What `train.ppo.EnvStep` asks for; the rooms meet by shape, not by import."""

    features: Float32[Array, "batch feature"]
    final_features: Float32[Array, "batch feature"]
    reward: Float[Array, " batch"]
    terminated: Bool[Array, " batch"]
    truncated: Bool[Array, " batch"]


class DrivingEnv:
    """Turns actions into trajectories with `drive`, scenes into features with `encode`, and world steps into rewards."""

    def __init__(
        self,
        world: World,
        scenarios: Iterator[Scenario],
        *,
        encode: Callable[[Scene], Float32[Array, "batch feature"]],
        drive: Callable[[Scene, Float[Array, "batch action"]], Trajectory],
        reward: Reward,
    ) -> None:
        self.world, self.scenarios, self._encode, self._drive, self._reward = world, scenarios, encode, drive, reward
        self._ended: list[dict[str, float]] = []

    @property
    def num_envs(self) -> int:
        """Episodes in the batch."""
        return self.world.num_envs

    def reset(self) -> Float32[Array, "batch feature"]:
        """Starts every episode anew."""
        self.world.renders = False
        self._return, self._driven_m = np.zeros(self.num_envs), np.zeros(self.num_envs)
        self._see(self.world.reset([next(self.scenarios) for _ in range(self.num_envs)]).scene)
        self._length_m = self._scene.remaining_m.copy()
        return self._features

    def _see(self, scene: Scene | None) -> None:
        if scene is None:
            raise ValueError(f"world {self.world.name} gives no scene: this environment needs a privileged view")
        self._scene, self._features = scene, self._encode(scene)

    def step(self, actions: Float[Array, "batch action"]) -> FeatureStep:
        """One step of all; ended episodes are counted and replaced."""
        limit_mps = self._scene.speed_limit_mps
        step = self.world.step(self._drive(self._scene, actions))
        reward, _ = self._reward(facts_of(step, limit_mps))
        self._return += reward
        self._driven_m += step.progress_m
        self._see(step.observation.scene)
        final = self._features
        done = np.flatnonzero(step.terminated | step.truncated)
        if len(done):
            self._count(step, done)
            self._see(self.world.reset([next(self.scenarios) for _ in done], done).scene)
            self._return[done] = self._driven_m[done] = 0.0
            self._length_m[done] = self._scene.remaining_m[done]
        return FeatureStep(features=self._features, final_features=final, reward=reward, terminated=step.terminated, truncated=step.truncated)

    def _count(self, step: WorldStep, done: Array) -> None:
        for i in done:
            self._ended.append(
                {
                    "return": float(self._return[i]),
                    "route_completion_frac": float(np.clip(self._driven_m[i] / self._length_m[i], 0.0, 1.0)),
                    "at_fault_frac": float(step.at_fault[i]),
                    "off_road_frac": float(step.off_road[i]),
                    "completed_frac": float(step.completed[i]),
                }
            )

    def statistics(self) -> Mapping[str, float]:
        """Means over the episodes that ended since the last call; empty if none did."""
        rows, self._ended = self._ended, []
        return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]} | {"num_episodes": len(rows)} if rows else {}


def watch(world: World, policy: Policy, scenarios: Iterator[Scenario], *, num_steps: int) -> list[Scene]:
    """The scenes a privileged policy gets itself into: all of `num_steps` steps of all environments."""
    world.renders = False
    observation = world.reset([next(scenarios) for _ in range(world.num_envs)])
    seen = []
    for _ in range(num_steps):
        if observation.scene is None:
            raise ValueError(f"world {world.name} gives no scene: watching needs a privileged view")
        seen.append(observation.scene)
        step = world.step(policy.act(observation).trajectory)
        done = np.flatnonzero(step.terminated | step.truncated)
        observation = world.reset([next(scenarios) for _ in done], done) if len(done) else step.observation
    return seen


def facts_of(step: WorldStep, speed_limit_mps: Float[Array, " batch"]) -> StepFacts:
    """The reward's view of a step."""
    return StepFacts(
        progress_m=step.progress_m,
        collision=step.collision,
        at_fault=step.at_fault,
        off_road=step.off_road,
        completed=step.completed,
        wrong_way=step.wrong_way,
        red_light=step.red_light,
        stop_sign=step.stop_sign,
        gave_no_way=step.gave_no_way,
        blocks_siren=step.blocks_siren,
        lateral_offset_m=step.lateral_offset_m,
        speed_mps=step.speed_mps,
        accel_mps2=step.accel_mps2,
        curvature_per_m=step.curvature_per_m,
        speed_limit_mps=speed_limit_mps,
        min_gap_m=step.min_gap_m,
    )

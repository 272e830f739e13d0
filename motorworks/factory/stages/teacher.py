"""The privileged teacher: warm-started on the expert, then trained by PPO in the town on scene vectors, without a camera."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from motorworks.factory.artifact import Inputs
from motorworks.factory.step import Output

if TYPE_CHECKING:
    from collections.abc import Iterator

    from motorworks.datatypes.scenario import Scenario
    from motorworks.models.actor_critic import ActorCritic
    from motorworks.sim.town import Town


@dataclass(frozen=True, kw_only=True)
class TeacherConfig:
    """`num_envs` towns in step. Warm start in `num_rounds`: the expert drives first, then the teacher drives and the expert says better."""

    num_iterations: int
    num_envs: int = 64
    horizon: int = 128
    num_rounds: int = 5
    num_round_steps: int = 256
    num_clone_steps: int = 1000
    num_towns: int = 64
    staged_frac: float = 0.2  # of the episodes
    width: int = 128
    lr: float = 3e-4
    threads: int = 2
    seed: int = 2


def run(config: TeacherConfig, inputs: Inputs, out: Output) -> None:
    """Leaves teacher.safetensors and curves.json."""
    import torch
    from safetensors.torch import save_file

    from motorworks.metrics.reward import Reward
    from motorworks.policy.teacher import actions_to_trajectory
    from motorworks.sim.curriculum import draw_scenarios
    from motorworks.sim.driving_env import DrivingEnv
    from motorworks.sim.seeds import TRAIN_SEEDS
    from motorworks.sim.town import Town
    from motorworks.tokens.scene import SceneCodec
    from motorworks.train.ppo import PPOConfig, ppo

    torch.manual_seed(config.seed)
    torch.set_num_threads(config.threads)
    world, towns = Town(config.num_envs, renders=False, threads=config.threads), TRAIN_SEEDS[: config.num_towns]
    model, cloned = _warm_start(config, world, draw_scenarios(towns, seed=config.seed, staged_frac=config.staged_frac))
    drives = draw_scenarios(towns, seed=config.seed + 1, staged_frac=config.staged_frac)
    env = DrivingEnv(world, drives, encode=SceneCodec().encode, drive=actions_to_trajectory, reward=Reward())
    settings = PPOConfig(num_iterations=config.num_iterations, horizon=config.horizon, lr=config.lr, seed=config.seed)
    speed = 0.0

    def progress(done: int, row: dict[str, float]) -> None:
        nonlocal speed
        speed = row.pop("steps_per_s")
        note = f"reward {row['reward']:.3f} completion {row.get('route_completion_frac', 0):.2f}"  # of the episodes that ended
        out.progress(done, config.num_iterations, "iterations", note)

    curve = ppo(model, env, settings, progress)
    save_file(model.state_dict(), out.path / "teacher.safetensors", metadata={"config": json.dumps(vars(model.config))})
    rows = [{"step": row["step"], "return": row.get("return"), "completion_frac": row.get("route_completion_frac"), "parts": row} for row in curve]
    (out.path / "curves.json").write_text(json.dumps(rows))
    out.record(
        env_steps_per_s=speed,
        num_env_steps=config.num_iterations * config.horizon * config.num_envs,
        clone_loss=cloned,
        first=curve[0],
        last=curve[-1],
    )


def _warm_start(config: TeacherConfig, world: "Town", scenarios: "Iterator[Scenario]") -> "tuple[ActorCritic, list[float]]":
    """The expert cloned on the teacher's own drives (DAgger, arXiv 1011.0686), so that PPO begins from driving; and the loss of every round."""
    import numpy as np

    from motorworks.models.actor_critic import ActorCritic, ActorCriticConfig
    from motorworks.policy.expert import Expert, drive
    from motorworks.policy.teacher import Teacher, trajectory_to_actions
    from motorworks.sim.driving_env import watch
    from motorworks.tokens.scene import SceneCodec
    from motorworks.train.ppo import clone_behaviour

    codec, features, targets, losses = SceneCodec(), [], [], []
    model = None
    for number in range(config.num_rounds):
        driver = Expert() if model is None else Teacher(model.act)
        for scene in watch(world, driver, scenarios, num_steps=config.num_round_steps):
            features.append(codec.encode(scene))
            targets.append(trajectory_to_actions(scene, drive(scene)))
        model = model or ActorCritic(ActorCriticConfig(num_features=features[0].shape[1], width=config.width))
        curve = clone_behaviour(model, np.concatenate(features), np.concatenate(targets), num_steps=config.num_clone_steps, seed=config.seed + number)
        losses.append(curve[-1]["loss"])
    return model, losses

"""PPO with a value head on any vector environment: the privileged teacher's training.

Clipped surrogate and GAE as Schulman et al. 2017 (arXiv:1707.06347) and 2015 (arXiv:1506.02438); a time limit bootstraps from the
value of the last state, a termination does not (Pardo et al. 2018, arXiv:1712.00378).
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor

from motorworks.geometry.array import Array
from motorworks.models.actor_critic import ActorCritic


@dataclass(frozen=True, kw_only=True)
class EnvStep:
    """After an automatic reset: `features` begin the next episode, `final_features` end the last one (equal where nothing ended)."""

    features: Float32[Array, "batch feature"]
    final_features: Float32[Array, "batch feature"]
    reward: Float[Array, " batch"]
    terminated: Bool[Array, " batch"]
    truncated: Bool[Array, " batch"]


class VectorEnv(Protocol):
    """A batch of episodes that restart themselves (Gymnasium's vector semantics, same-step autoreset)."""

    num_envs: int

    def reset(self) -> Float32[Array, "batch feature"]:
        """Starts every episode anew."""
        ...

    def step(self, actions: Float[Array, "batch action"]) -> EnvStep:
        """One step of all."""
        ...

    def statistics(self) -> Mapping[str, float]:
        """Means over the episodes that ended since the last call."""
        ...


@dataclass(frozen=True, kw_only=True)
class PPOConfig:
    """Sizes and rates; `num_iterations` of `horizon` steps in every environment."""

    num_iterations: int
    horizon: int = 64
    num_epochs: int = 4
    minibatch: int = 1024
    lr: float = 3e-4
    value_lr: float = 1e-3
    gamma: float = 0.99
    gae_lambda: float = 0.95
    clip: float = 0.2
    entropy_weight: float = 1e-3
    value_weight: float = 0.5
    max_grad_norm: float = 0.5
    num_value_iterations: int = 8  # critic alone first: a warm-started actor must not follow a blank critic
    seed: int = 0

    def __post_init__(self) -> None:
        if self.num_iterations < 1 or self.horizon < 2 or not 0 < self.clip < 1 or not 0 < self.gamma <= 1:
            raise ValueError(f"num_iterations >= 1, horizon >= 2, 0 < clip < 1, 0 < gamma <= 1 are needed: {self}")


@dataclass(frozen=True, kw_only=True)
class _Batch:
    features: Float[Tensor, "sample feature"]
    actions: Float[Tensor, "sample action"]
    log_prob: Float[Tensor, " sample"]
    advantage: Float[Tensor, " sample"]
    returns: Float[Tensor, " sample"]


def clone_behaviour(
    model: ActorCritic,
    features: Float32[Array, "sample feature"],
    actions: Float32[Array, "sample action"],
    *,
    num_steps: int,
    seed: int,
    lr: float = 1e-3,
) -> list[dict[str, float]]:
    """Warm start: least squares of the actor's mean on given actions. Returns the curve of the loss."""
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.from_numpy(features), torch.from_numpy(actions)
    optimizer = torch.optim.Adam(model.actor.parameters(), lr)
    curve = []
    for step in range(num_steps):
        rows = torch.randint(len(x), (512,), generator=generator)
        loss = (model.mean(x[rows]) - y[rows]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 50 == 0 or step == num_steps - 1:
            curve.append({"step": step, "loss": loss.item()})
    return curve


def gae(
    reward: Float[Array, "time batch"],
    value: Float[Array, "time batch"],
    final_value: Float[Array, "time batch"],
    terminated: Bool[Array, "time batch"],
    done: Bool[Array, "time batch"],
    *,
    gamma: float,
    lam: float,
) -> Float[Array, "time batch"]:
    """Generalised advantages; `final_value` is the value of the state each step arrived in, before any restart."""
    delta = reward + gamma * final_value * ~terminated - value
    advantage = np.zeros_like(delta)
    running = np.zeros(reward.shape[1])
    for t in range(len(reward) - 1, -1, -1):
        running = delta[t] + gamma * lam * ~done[t] * running
        advantage[t] = running
    return advantage


def ppo(
    model: ActorCritic, env: VectorEnv, config: PPOConfig, on_progress: Callable[[int, dict[str, float]], None] = lambda i, row: None
) -> list[dict[str, float]]:
    """Trains `model` in place; one row of curve per iteration with the mean step reward, losses and the env's statistics."""
    torch.manual_seed(config.seed)
    actor = [*model.actor.parameters(), model.log_std]
    optimizer = torch.optim.Adam([{"params": actor, "lr": config.lr}, {"params": model.critic.parameters(), "lr": config.value_lr}], eps=1e-5)
    features, curve, started = env.reset(), [], time.perf_counter()
    for iteration in range(config.num_iterations):
        features, batch, mean_reward = _collect(model, env, features, config)
        optimizer.param_groups[0]["lr"] = config.lr * (1 - 0.9 * iteration / config.num_iterations)
        losses = _update(model, optimizer, batch, config, only_value=iteration < config.num_value_iterations)
        row = {"step": float((iteration + 1) * config.horizon * env.num_envs), "reward": mean_reward, **losses, **env.statistics()}
        if not all(np.isfinite(losses[name]) for name in losses):
            raise FloatingPointError(f"ppo iteration {iteration}: a loss is not finite: {losses}; lower lr or check the reward")
        curve.append(row)
        on_progress(iteration + 1, row | {"steps_per_s": row["step"] / (time.perf_counter() - started)})
    return curve


@torch.no_grad()
def _collect(model: ActorCritic, env: VectorEnv, features: Array, config: PPOConfig) -> tuple[Array, _Batch, float]:
    rows: dict[str, list[Array]] = {name: [] for name in ("features", "actions", "log_prob", "value", "final_value", "reward", "terminated", "done")}
    for _ in range(config.horizon):
        x = torch.from_numpy(features)
        distribution = model.distribution(x)
        actions = distribution.sample()
        step = env.step(actions.numpy().astype(np.float64))
        values = model.value(torch.cat([x, torch.from_numpy(step.final_features)])).numpy()
        found = (features, actions.numpy(), distribution.log_prob(actions).sum(-1).numpy(), values[: len(x)], values[len(x) :])
        for name, value in zip(rows, (*found, step.reward, step.terminated, step.terminated | step.truncated), strict=True):
            rows[name].append(value)
        features = step.features
    stacked = {name: np.stack(value) for name, value in rows.items()}
    advantage = gae(
        stacked["reward"], stacked["value"], stacked["final_value"], stacked["terminated"], stacked["done"], gamma=config.gamma, lam=config.gae_lambda
    )
    flat = {name: torch.from_numpy(value.reshape(-1, *value.shape[2:]).astype(np.float32)) for name, value in stacked.items()}
    batch = _Batch(
        features=flat["features"],
        actions=flat["actions"],
        log_prob=flat["log_prob"],
        advantage=torch.from_numpy(advantage.reshape(-1).astype(np.float32)),
        returns=torch.from_numpy((advantage + stacked["value"]).reshape(-1).astype(np.float32)),
    )
    return features, batch, float(stacked["reward"].mean())


def _update(model: ActorCritic, optimizer: torch.optim.Optimizer, batch: _Batch, config: PPOConfig, *, only_value: bool) -> dict[str, float]:
    advantage = (batch.advantage - batch.advantage.mean()) / (batch.advantage.std() + 1e-8)
    sums: dict[str, list[float]] = {"policy_loss": [], "value_loss": [], "kl": []}
    for _ in range(config.num_epochs):
        for rows in torch.randperm(len(advantage)).split(config.minibatch):
            distribution = model.distribution(batch.features[rows])
            log_ratio = distribution.log_prob(batch.actions[rows]).sum(-1) - batch.log_prob[rows]
            ratio = log_ratio.exp()
            gain = torch.minimum(ratio * advantage[rows], ratio.clamp(1 - config.clip, 1 + config.clip) * advantage[rows])
            policy_loss = -gain.mean() - config.entropy_weight * distribution.entropy().sum(-1).mean()
            value_loss = (model.value(batch.features[rows]) - batch.returns[rows]).square().mean()
            loss = config.value_weight * value_loss if only_value else policy_loss + config.value_weight * value_loss
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
            optimizer.step()
            for name, value in (("policy_loss", policy_loss), ("value_loss", value_loss), ("kl", (ratio - 1 - log_ratio).mean())):
                sums[name].append(value.item())
    return {name: float(np.mean(values)) for name, values in sums.items()}

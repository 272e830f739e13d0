"""PPO on a toy whose best answer is known, and its advantages against a direct sum."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from motorworks.models.actor_critic import ActorCritic, ActorCriticConfig
from motorworks.train.ppo import EnvStep, PPOConfig, clone_behaviour, gae, ppo


class Reach:
    """Reward is minus the distance of the action from half the feature; episodes of 5 steps are cut off, never terminated."""

    num_envs = 16

    def __init__(self) -> None:
        self.rng, self.clock = np.random.default_rng(0), 0

    def reset(self):
        self.features = self.rng.uniform(-1, 1, (self.num_envs, 1)).astype(np.float32)
        return self.features

    def step(self, actions):
        reward = -np.abs(actions[:, 0] - self.features[:, 0] / 2)
        self.clock += 1
        ended = np.full(self.num_envs, self.clock % 5 == 0)
        final = self.features
        return EnvStep(features=self.reset(), final_features=final, reward=reward, terminated=np.zeros_like(ended), truncated=ended)

    def statistics(self):
        return {}


def test_ppo_learns_the_known_answer():
    torch.manual_seed(0)
    model = ActorCritic(ActorCriticConfig(num_features=1, num_actions=1, width=16, first_std=0.3))
    curve = ppo(model, Reach(), PPOConfig(num_iterations=30, horizon=16, minibatch=64, lr=3e-3, num_value_iterations=1))
    x = torch.linspace(-1, 1, 9)[:, None]
    error = (model.mean(x)[:, 0] - x[:, 0] / 2).abs().mean().item()
    assert curve[-1]["reward"] > curve[0]["reward"]
    assert error < 0.1  # 0.28 before


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_gae_with_lambda_one_is_discounted_return_minus_value(seed):
    rng = np.random.default_rng(seed)
    reward, value, final = rng.normal(size=(3, 6, 2))
    terminated = rng.random((6, 2)) < 0.2
    done = terminated | (rng.random((6, 2)) < 0.2)
    advantage = gae(reward, value, final, terminated, done, gamma=0.9, lam=1.0)
    # by hand: the return runs until done; a cut-off adds the value of where it stopped; otherwise later values telescope away
    for b in range(2):
        for t in range(6):
            total, factor = 0.0, 1.0
            for s in range(t, 6):
                total += factor * reward[s, b]
                factor *= 0.9
                if done[s, b] or s == 5:
                    total += 0.0 if terminated[s, b] else factor * final[s, b]
                    break
                total += factor * (final[s, b] - value[s + 1, b])  # arrival and departure value differ in this random table
            assert advantage[t, b] == pytest.approx(total - value[t, b])


def test_a_broken_reward_stops_the_run_with_a_clear_error():
    class Broken(Reach):
        def step(self, actions):
            step = super().step(actions)
            return EnvStep(**{**vars(step), "reward": np.full(self.num_envs, np.nan)})

    model = ActorCritic(ActorCriticConfig(num_features=1, num_actions=1, width=8))
    with pytest.raises(FloatingPointError, match="iteration 0"):
        ppo(model, Broken(), PPOConfig(num_iterations=1, horizon=4, minibatch=32))


def test_clone_behaviour_fits_what_it_is_shown():
    torch.manual_seed(0)
    model = ActorCritic(ActorCriticConfig(num_features=3, num_actions=2, width=32))
    x = np.random.default_rng(0).normal(size=(600, 3)).astype(np.float32)
    curve = clone_behaviour(model, x, np.stack([x[:, 0] / 2, -x[:, 1] / 2], -1), num_steps=300, seed=0)
    assert curve[-1]["loss"] < 0.1 * curve[0]["loss"]

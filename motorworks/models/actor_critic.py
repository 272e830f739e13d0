"""The privileged teacher's networks: a Gaussian actor and a critic on the scene vector."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from motorworks.geometry.array import Array


@dataclass(frozen=True, kw_only=True)
class ActorCriticConfig:
    """Two small MLPs that share nothing, so the value's gradient never moves the policy."""

    num_features: int
    num_actions: int = 2
    width: int = 128
    first_std: float = 0.1

    def __post_init__(self) -> None:
        if min(self.num_features, self.num_actions, self.width) < 1 or self.first_std <= 0:
            raise ValueError(f"all sizes and first_std must be positive: {self}")


class ActorCritic(nn.Module):
    """Scene vector to the mean of a Gaussian over actions in about [-1, 1], and to the value."""

    def __init__(self, config: ActorCriticConfig) -> None:
        super().__init__()
        self.config = config
        self.actor = _mlp(config.num_features, config.width, config.num_actions, last_gain=0.01)
        self.critic = _mlp(config.num_features, config.width, 1, last_gain=1.0)
        self.log_std = nn.Parameter(torch.full((config.num_actions,), config.first_std).log())

    def mean(self, features: Float[Tensor, "batch feature"]) -> Float[Tensor, "batch action"]:
        """The action to drive with."""
        return self.actor(features)

    @torch.inference_mode()
    def act(self, features: Float32[Array, "batch feature"]) -> Float32[Array, "batch action"]:
        """The mean, numpy in and out: what `policy.teacher.Teacher` drives with."""
        return self.actor(torch.from_numpy(features)).numpy()

    def value(self, features: Float[Tensor, "batch feature"]) -> Float[Tensor, " batch"]:
        """Expected discounted return."""
        return self.critic(features)[:, 0]

    def distribution(self, features: Float[Tensor, "batch feature"]) -> torch.distributions.Normal:
        """The actions to explore with."""
        return torch.distributions.Normal(self.actor(features), self.log_std.clamp(-3.0, 0.0).exp())


def _mlp(num_in: int, width: int, num_out: int, *, last_gain: float) -> nn.Sequential:
    layers = [nn.Linear(num_in, width), nn.Linear(width, width), nn.Linear(width, num_out)]
    for layer, gain in zip(layers, (2**0.5, 2**0.5, last_gain), strict=True):
        nn.init.orthogonal_(layer.weight, gain)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(layers[0], nn.Tanh(), layers[1], nn.Tanh(), layers[2])

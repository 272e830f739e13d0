"""Heads: states in, proposals of controls or the next latents out.

Legend: B batch, D width, K proposals, T time, L latents, C latent channels.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from motorworks.datatypes.trajectory import DT_S, NUM_STEPS
from motorworks.geometry.array import Array
from motorworks.models.config import ModelConfig


def knot_matrix(times_s: tuple[float, ...]) -> Float[Array, "knot time"]:
    """Linear interpolation from knots to the 64 steps as a matrix: `controls = knots @ matrix`; columns sum to one."""
    steps_s = np.arange(NUM_STEPS) * DT_S
    return np.stack([np.interp(steps_s, times_s, row) for row in np.eye(len(times_s))]).astype(np.float32)


class ActionHead(nn.Module):
    """K proposals of normalised controls at knots, interpolated to 64 steps, and one logit each."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.num_proposals, self.num_knots = config.num_proposals, config.num_knots
        num_controls = config.num_proposals * 2 * config.num_knots
        last = nn.Linear(2 * config.dim, num_controls + config.num_proposals)
        self.mlp = nn.Sequential(nn.Linear(config.dim, 2 * config.dim), nn.GELU(approximate="tanh"), last)
        self.register_buffer("knots", torch.from_numpy(knot_matrix(config.knot_times_s)), persistent=False)
        with torch.no_grad():  # proposals start apart, so that winner-takes-all has something to choose from
            apart = torch.randn(config.num_proposals, 2, 1) * 0.2
            last.weight[:num_controls] *= 0.1
            last.bias[:num_controls] = apart.expand(-1, -1, config.num_knots).flatten()
            last.bias[num_controls:] = 0

    def forward(self, state_BD: Float[Tensor, "b d"]) -> tuple[Float[Tensor, "b k 64 2"], Float[Tensor, "b k"]]:
        out = self.mlp(state_BD)
        at_knots = out[:, : -self.num_proposals].reshape(-1, self.num_proposals, 2, self.num_knots)
        return (at_knots @ self.knots).transpose(2, 3), out[:, -self.num_proposals :]


class WorldHead(nn.Module):
    """The next latents, as a change of today's, given the decoder's state and the controls about to be driven."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        channel = config.vision_dim
        self.steps = config.foresight_steps
        self.state = nn.Linear(config.dim, channel)
        self.controls = nn.Linear(2 * config.foresight_steps, channel)
        self.slot_LC = nn.Parameter(torch.zeros(config.latents_per_frame, channel))
        self.mlp = nn.Sequential(nn.Linear(2 * channel, 2 * channel), nn.GELU(approximate="tanh"), nn.Linear(2 * channel, channel))
        nn.init.zeros_(self.mlp[-1].weight)  # starts as "nothing changes"
        nn.init.zeros_(self.mlp[-1].bias)

    def forward(
        self, latents_BLC: Float[Tensor, "b l c"], state_BD: Float[Tensor, "b d"], controls_BT2: Float[Tensor, "b time 2"]
    ) -> Float[Tensor, "b l c"]:
        context = self.state(state_BD) + self.controls(controls_BT2[:, : self.steps].flatten(1))
        context_BLC = context[:, None] + self.slot_LC
        # no gradient into today's latents from here: "latents that never change" would be the easiest world to foresee.
        # The eye learns from this loss through the decoder's state only.
        latents_BLC = latents_BLC.detach()
        return latents_BLC + self.mlp(torch.cat([latents_BLC, context_BLC], dim=-1))

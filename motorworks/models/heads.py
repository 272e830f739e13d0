"""Heads: states in, proposals of controls or the next latents out.

Legend: B batch, D width, K proposals, T time, L latents, C latent channels.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from motorworks.models.action_head import Answer, Plan, Seen, knot_matrix
from motorworks.models.config import ModelConfig
from motorworks.models.flow_head import FlowHead
from motorworks.models.token_head import TokenHead


class ProposalHead(nn.Module):
    """K proposals of normalised controls at knots, interpolated to 64 steps, and one logit each. With K = 1 it is plain L1 regression."""

    needs_memory = False

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.num_proposals, self.num_knots = config.num_proposals, config.num_knots
        num_controls = config.num_proposals * 2 * config.num_knots
        last = nn.Linear(2 * config.dim, num_controls + config.num_proposals)
        self.mlp = nn.Sequential(nn.Linear(config.dim, 2 * config.dim), nn.GELU(approximate="tanh"), last)
        self.register_buffer("knots", torch.tensor(knot_matrix(config.knot_times_s)), persistent=False)
        with torch.no_grad():  # proposals start apart, so that winner-takes-all has something to choose from
            apart = torch.randn(config.num_proposals, 2, 1) * 0.2
            last.weight[:num_controls] *= 0.1
            last.bias[:num_controls] = apart.expand(-1, -1, config.num_knots).flatten()
            last.bias[num_controls:] = 0

    def plan(self, seen: Seen) -> Plan:
        """The proposals and their logits."""
        out = self.mlp(seen.state)
        at_knots = out[:, : -self.num_proposals].reshape(-1, self.num_proposals, 2, self.num_knots)
        return (at_knots @ self.knots.to(at_knots.dtype)).transpose(2, 3), out[:, -self.num_proposals :]

    def teach(self, seen: Seen, controls: Float[Tensor, "b 64 2"], valid: Bool[Tensor, "b 64"]) -> Answer:
        """The same: it needs no hint."""
        proposals, logits = self.plan(seen)
        return Answer(controls=proposals, logits=logits)


def make_action_head(name: str, config: ModelConfig) -> nn.Module:
    """A head of config.ACTION_HEADS; it keeps the contract of ActionHead."""
    kinds: dict[str, type[nn.Module]] = {"proposals": ProposalHead, "tokens": TokenHead, "flow": FlowHead}
    return kinds[name](config)


class WorldHead(nn.Module):
    """The next latents, as a change of today's, given the decoder's state and the controls about to be driven."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        channel = config.vision_dim
        self.steps, self.horizons = config.foresight_steps, config.foresight_horizons
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

    def look_ahead(
        self, latents_BLC: Float[Tensor, "b l c"], state_BD: Float[Tensor, "b d"], controls_BT2: Float[Tensor, "b time 2"]
    ) -> Float[Tensor, "b horizon l c"]:
        """Latents 1, 2, … times `foresight_steps` ahead, each foreseen from the one before. No gradient runs back through the chain, so a
        later step learns to go on from what is really foreseen ("pushforward", Brandstetter et al. 2022, arXiv 2202.03376)."""
        found = []
        for horizon in range(self.horizons):
            latents_BLC = self(latents_BLC, state_BD, controls_BT2[:, horizon * self.steps :])
            found.append(latents_BLC)
        return torch.stack(found, dim=1)

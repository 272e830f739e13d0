"""A flow-matching action expert beside the backbone: noise becomes a plan along straight lines (Liu et al. 2022, arXiv 2209.03003).

It looks at the backbone's states through cross-attention; a stop-gradient keeps what it does not know yet out of the backbone
("knowledge insulation", Driess et al. 2025, arXiv 2505.23705), so something else must teach the backbone to look: tokens beside it.
Legend: B batch, D the backbone's width, W the expert's, K proposals, N knots, M draws.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from motorworks.models.action_head import Answer, KnotScale, Plan, Seen
from motorworks.models.config import ModelConfig
from motorworks.models.vision import Block

NUM_DRAWS = 4  # of noise and time for every sample of a training step: the expert is small beside what it looks at
JUDGED = 4  # one in so many samples of a training step is decoded for the scorer: K plans in Euler steps cost more than the draws


class FlowHead(nn.Module):
    """K plans from K noises that are drawn once (the same seen gives the same plans), and a scorer that learns which comes nearest."""

    needs_memory = False
    noise: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width, knots = config.flow_dim, config.num_knots
        self.num_steps, self.insulated = config.flow_steps, config.flow_insulated
        self.scale = KnotScale(config)
        self.see = nn.Sequential(nn.LayerNorm(config.dim), nn.Linear(config.dim, width))
        self.enter = nn.Linear(2, width)
        self.place_NW = nn.Parameter(torch.randn(knots, width) * 0.2)
        self.time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.among = nn.ModuleList(Block(width, 4, 2) for _ in range(config.flow_depth))
        self.across = nn.ModuleList(Block(width, 4, 2, cross=True) for _ in range(config.flow_depth))
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2))
        self.score = nn.Sequential(nn.Linear(config.dim + 2 * knots, 2 * width), nn.GELU(approximate="tanh"), nn.Linear(2 * width, 1))
        noise = torch.randn((config.num_proposals, knots, 2), generator=torch.Generator().manual_seed(0))
        noise[0] = 0.0  # the likeliest noise first
        self.register_buffer("noise", noise, persistent=False)

    def velocity(
        self, knots_BMN2: Float[Tensor, "b m knot 2"], time_BM: Float[Tensor, "b m"], context_BTW: Float[Tensor, "b token w"]
    ) -> Float[Tensor, "b m knot 2"]:
        """Where noisy knots should move; time 0 is noise, 1 a plan."""
        width, draws = self.place_NW.shape[1], knots_BMN2.shape[1]
        turns = time_BM.flatten()[:, None] * torch.exp(torch.linspace(math.log(1.0), math.log(100.0), width // 2, device=time_BM.device))
        when = self.time(torch.cat([turns.sin(), turns.cos()], dim=-1))
        x = self.enter(knots_BMN2.flatten(0, 1)) + self.place_NW + when[:, None]
        for among, across in zip(self.among, self.across, strict=True):
            x = among(x).unflatten(0, (-1, draws))
            x = across(x.flatten(1, 2), context_BTW).unflatten(1, (draws, -1)).flatten(0, 1)  # what is seen is projected once for all draws
        return self.leave(x).unflatten(0, (-1, draws))

    def teach(self, seen: Seen, controls: Float[Tensor, "b 64 2"], valid: Bool[Tensor, "b 64"]) -> Answer:
        """Errors of the velocity at random times; and of the first samples (a batch has no order) the plans as they are now, with the
        scorer's logits. Draws from torch's generator."""
        context, state = self._look(seen)
        goal, _ = self.scale.encode(controls, valid)
        goal = goal[:, None].expand(-1, NUM_DRAWS, -1, -1)
        noise = torch.randn(goal.shape, device=goal.device)
        num = goal.shape[0] * NUM_DRAWS
        time = (torch.randperm(num, device=goal.device) + torch.rand(num, device=goal.device)).view(-1, NUM_DRAWS) / num  # evenly over 0..1
        between = noise + time[..., None, None] * (goal - noise)
        error = (self.velocity(between, time, context).float() - (goal - noise)).square().mean(dim=(1, 3))
        some = -(-len(context) // JUDGED)
        with torch.no_grad():
            knots = self._flow(context[:some])
        judged = torch.arange(len(context), device=context.device) < some
        return Answer(velocity_error=error, controls=self.scale.decode(knots), logits=self._score(state[:some], knots), judged=judged)

    def plan(self, seen: Seen) -> Plan:
        """K plans, and the scorer's logits."""
        context, state = self._look(seen)
        knots = self._flow(context)
        return self.scale.decode(knots), self._score(state, knots)

    def _look(self, seen: Seen) -> tuple[Float[Tensor, "b token w"], Float[Tensor, "b d"]]:
        states = seen.states.detach() if self.insulated else seen.states
        return self.see(states), states[:, -1].detach()  # the scorer never teaches the backbone

    def _flow(self, context: Float[Tensor, "b token w"]) -> Float[Tensor, "b k knot 2"]:
        """Euler steps from noise."""
        knots = self.noise.expand(len(context), -1, -1, -1)
        for step in range(self.num_steps):
            time = torch.full(knots.shape[:2], step / self.num_steps, device=context.device)
            knots = knots + self.velocity(knots, time, context).float() / self.num_steps
        return knots

    def _score(self, state: Float[Tensor, "b d"], knots: Float[Tensor, "b k knot 2"]) -> Float[Tensor, "b k"]:
        return self.score(torch.cat([state[:, None].expand(-1, knots.shape[1], -1), knots.flatten(2)], dim=-1))[..., 0]

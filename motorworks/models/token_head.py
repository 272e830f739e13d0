"""Controls as words: the backbone itself says them one after the other, knot by knot, acceleration before curvature.

A control becomes a bin: normalised per knot, companded by mu-law (ITU-T G.711's curve, because most driving is nearly straight), cut evenly.
Legend: B batch, D width, K proposals, N knots, S = 2 N tokens of a plan.
"""

import math

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from motorworks.models.action_head import Answer, KnotScale, Plan, Seen
from motorworks.models.backbone import Memory
from motorworks.models.config import ModelConfig

REACH = 6.0  # spreads from the mean that the outermost bins lie at
MU = 30.0


class TokenHead(nn.Module):
    """Trained by teacher forcing from ACT on; K plans are decoded with cached keys and values, the first greedily, the others
    sampled with noise that is drawn once: the same seen gives the same plans. The logit of a plan is its log-probability."""

    needs_memory = True
    gumbel: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.num_tokens, self.num_bins, self.num_proposals = 2 * config.num_knots, config.token_bins, config.num_proposals
        self.scale = KnotScale(config)
        self.word = nn.Embedding(config.token_bins, config.dim)
        nn.init.normal_(self.word.weight, std=0.2)
        self.place_SD = nn.Parameter(torch.randn(self.num_tokens, config.dim) * 0.2)
        self.speak = nn.Linear(config.dim, config.token_bins)
        self.usual_SV = nn.Parameter(torch.zeros(self.num_tokens, config.token_bins))  # what is usual at each place
        uniform = torch.rand((config.num_proposals, self.num_tokens, config.token_bins), generator=torch.Generator().manual_seed(0))
        gumbel = -(-uniform.clamp(1e-9, 1 - 1e-7).log()).log()
        gumbel[0] = 0.0
        self.register_buffer("gumbel", gumbel, persistent=False)

    def encode(self, controls: Float[Tensor, "b 64 2"], valid: Bool[Tensor, "b 64"]) -> tuple[Int64[Tensor, "b token"], Bool[Tensor, "b token"]]:
        """Token ids, and which of them were driven."""
        knots, known = self.scale.encode(controls, valid)
        level = _compand(knots.flatten(1) / REACH)
        ids = ((level + 1) / 2 * self.num_bins).floor().clamp(0, self.num_bins - 1).long()
        return ids, known.repeat_interleave(2, dim=1)

    def decode(self, ids: Int64[Tensor, "*batch token"]) -> Float[Tensor, "*batch 64 2"]:
        """Controls at the 64 steps, each knot in the middle of its bin."""
        level = (ids.float() + 0.5) / self.num_bins * 2 - 1
        return self.scale.decode((_expand(level) * REACH).unflatten(-1, (-1, 2)))

    def teach(self, seen: Seen, controls: Float[Tensor, "b 64 2"], valid: Bool[Tensor, "b 64"]) -> Answer:
        """The logits of every token, given the true ones before it."""
        ids, known = self.encode(controls, valid)
        states, _ = seen.backbone.go_on(self._embed(ids[:, :-1], 0), seen.memory)
        states = torch.cat([seen.states[:, -1:], states], dim=1)
        return Answer(token_logits=self.speak(states) + self.usual_SV, tokens=ids, token_valid=known)

    def plan(self, seen: Seen) -> Plan:
        """K plans and their log-probabilities."""
        ids, score = self.sample(seen)
        return self.decode(ids), score

    def sample(self, seen: Seen) -> tuple[Int64[Tensor, "b k token"], Float[Tensor, "b k"]]:
        """Token ids of K plans and their log-probabilities, decoded token by token."""
        num = self.num_proposals
        memory: Memory = tuple((key.repeat_interleave(num, 0), value.repeat_interleave(num, 0)) for key, value in seen.memory)
        state = seen.state.repeat_interleave(num, 0)
        ids, score = [], torch.zeros(len(state), device=state.device)
        for place in range(self.num_tokens):
            chance = (self.speak(state) + self.usual_SV[place]).float().log_softmax(-1)
            noise = self.gumbel[:, place].repeat(len(seen.state), 1)  # the highest of logits plus Gumbel noise is a sample (Gumbel 1954)
            ids.append((chance + noise).argmax(-1))
            score = score + chance.gather(1, ids[-1][:, None])[:, 0]
            if place + 1 < self.num_tokens:
                states, memory = seen.backbone.go_on(self._embed(ids[-1][:, None], place), memory)
                state = states[:, 0]
        return torch.stack(ids, dim=1).unflatten(0, (-1, num)), score.unflatten(0, (-1, num))

    def _embed(self, ids: Int64[Tensor, "b some"], first: int) -> Float[Tensor, "b some d"]:
        return self.word(ids) + self.place_SD[first : first + ids.shape[1]]


def _compand(x: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    return x.sign() * torch.log1p(MU * x.abs().clamp(max=1)) / math.log1p(MU)


def _expand(level: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    return level.sign() * torch.expm1(level.abs() * math.log1p(MU)) / MU

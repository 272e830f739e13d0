"""What every action head shares: what it may look at, what it answers, and controls at knots.

Legend: B batch, D width, K proposals, T time, N knots.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from motorworks.datatypes.trajectory import DT_S, NUM_STEPS
from motorworks.geometry.array import Array
from motorworks.models.backbone import Backbone, Memory
from motorworks.models.config import ModelConfig

Plan = tuple[Float[Tensor, "b k 64 2"], Float[Tensor, "b k"]]  # normalised controls of every proposal, and their logits


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a head may look at: the backbone's states up to and with an ACT; the memory of them, for a head that goes on from there."""

    states: Float[Tensor, "b token d"]
    backbone: Backbone
    memory: Memory = ()

    @property
    def state(self) -> Float[Tensor, "b d"]:
        """At ACT."""
        return self.states[:, -1]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a head said when it was shown what was driven; None where its kind says no such thing."""

    controls: Float[Tensor, "some k 64 2"] | None = None  # of all samples, or of those that are `judged`
    logits: Float[Tensor, "some k"] | None = None
    token_logits: Float[Tensor, "b token bin"] | None = None  # of each next token, the true ones before it given
    tokens: Int64[Tensor, "b token"] | None = None
    token_valid: Bool[Tensor, "b token"] | None = None
    velocity_error: Float[Tensor, "b knot"] | None = None  # squared, mean over draws and channels
    judged: Bool[Tensor, " b"] | None = None  # which samples have controls and logits; None: all


class ActionHead(Protocol):
    """States in, K proposals of normalised controls and their logits out. The same seen gives the same plan."""

    needs_memory: bool

    def plan(self, seen: Seen) -> Plan:
        """What it would drive."""
        ...

    def teach(self, seen: Seen, controls: Float[Tensor, "b 64 2"], valid: Bool[Tensor, "b 64"]) -> Answer:
        """What a loss needs, given what was driven."""
        ...


def knot_matrix(times_s: tuple[float, ...]) -> Float[Array, "knot time"]:
    """Linear interpolation from knots to the 64 steps as a matrix: `controls = knots @ matrix`; columns sum to one."""
    steps_s = np.arange(NUM_STEPS) * DT_S
    return np.stack([np.interp(steps_s, times_s, row) for row in np.eye(len(times_s))]).astype(np.float32)


class KnotScale(nn.Module):
    """Controls at knots in units of their spread over the training samples, per knot and channel; kept with the weights.

    Until `measure` was called they stand as they are (mean 0, spread 1).
    """

    mean: Tensor
    spread: Tensor
    measured: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(config.num_knots, 2))
        self.register_buffer("spread", torch.ones(config.num_knots, 2))
        self.register_buffer("measured", torch.zeros((), dtype=torch.int64))  # how many samples
        self.register_buffer("steps", torch.tensor([min(round(time / DT_S), NUM_STEPS - 1) for time in config.knot_times_s]), persistent=False)
        matrix = knot_matrix(config.knot_times_s)
        self.register_buffer("knots", torch.tensor(matrix), persistent=False)
        # the nearest knots, not the controls at their times: 0.02 m after 3 s instead of 0.3 m (docs/ablations.md)
        self.register_buffer("nearest", torch.tensor(np.linalg.pinv(matrix)), persistent=False)

    @torch.no_grad()
    def measure(self, controls: Float[Tensor, "num 64 2"], valid: Bool[Tensor, "num 64"], *, least: float = 0.02) -> None:
        """Takes mean and spread from samples; a spread below `least` would blow up noise."""
        at, counts = self._knots(controls, valid), valid[:, self.steps, None].to(controls)
        num = counts.sum(dim=0).clamp(min=1)
        self.mean.copy_((at * counts).sum(dim=0) / num)
        self.spread.copy_((((at - self.mean) ** 2 * counts).sum(dim=0) / num).sqrt().clamp(min=least))
        self.measured.fill_(int(valid.any(dim=1).sum()))

    def encode(self, controls: Float[Tensor, "b 64 2"], valid: Bool[Tensor, "b 64"]) -> tuple[Float[Tensor, "b knot 2"], Bool[Tensor, "b knot"]]:
        """Knots, and which of them were driven; where the future ends, the last control is held."""
        return (self._knots(controls, valid) - self.mean) / self.spread, valid[:, self.steps]

    def decode(self, knots: Float[Tensor, "*batch knot 2"]) -> Float[Tensor, "*batch 64 2"]:
        """Controls at the 64 steps."""
        return ((knots * self.spread + self.mean).transpose(-1, -2) @ self.knots).transpose(-1, -2)

    def _knots(self, controls: Float[Tensor, "b 64 2"], valid: Bool[Tensor, "b 64"]) -> Float[Tensor, "b knot 2"]:
        last = (valid.sum(dim=1, keepdim=True) - 1).clamp(min=0)
        held = torch.minimum(torch.arange(NUM_STEPS, device=valid.device)[None], last)
        return (controls.gather(1, held[..., None].expand(-1, -1, 2)).transpose(1, 2) @ self.nearest).transpose(1, 2)

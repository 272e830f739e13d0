"""Losses: what the model's output is held against. Each is a value with weights; `fit` adds them up.

Where several ranks share a batch, each says its share of the loss of the whole: sums of its own samples over counts of all."""

from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from motorworks.datatypes.trajectory import DT_S, NUM_STEPS
from motorworks.models.driving_model import ModelOutput
from motorworks.tokens.action import ACCEL_SCALE_MPS2
from motorworks.tokens.text import PAD_ID
from motorworks.train.batch import Batch
from motorworks.train.ranks import ALONE, WholeBatch

Parts = dict[str, Tensor]


class Loss(Protocol):
    """A scalar with a gradient, and named detached parts for the curves. Of `whole` a rank learns what it must know of the samples of others; the
    shares of all of them add up."""

    def __call__(self, output: ModelOutput, batch: Batch, whole: WholeBatch = ALONE) -> tuple[Float[Tensor, ""], Parts]: ...


@dataclass(frozen=True, kw_only=True)
class ActionLoss:
    """Winner takes all over the proposals: weighted L1 of controls, plus where they lead in 3 s; the scorer learns the winner."""

    reasoned: bool = False  # the plan after the thought instead of the fast one
    decay_s: float = 2.0  # early steps are driven, late ones only planned
    floor_frac: float = 0.1
    pose_weight: float = 0.5
    pose_steps: int = 30
    score_weight: float = 0.2
    expected_weight: float = 1.0  # of the error expected under the scores: what choosing wrongly costs
    loser_frac: float = 0.02  # a proposal that never wins would never learn

    def __call__(self, output: ModelOutput, batch: Batch, whole: WholeBatch = ALONE) -> tuple[Float[Tensor, ""], Parts]:
        controls, logits = (output.reasoned_controls, output.reasoned_logits) if self.reasoned else (output.controls, output.logits)
        if controls is None or logits is None:
            raise ValueError(
                "there is no plan to judge: a reasoned one needs thought_ids in the model's input, a head of tokens gives none in training"
            )
        controls, logits = controls.float(), logits.float()
        valid = batch.controls_valid.float()
        times_s = torch.arange(NUM_STEPS, device=valid.device) * DT_S
        weight = valid * (torch.exp(-times_s / self.decay_s) + self.floor_frac)
        weight = weight / weight.sum(dim=1, keepdim=True).clamp(min=1e-6)
        error = ((controls - batch.controls[:, None]).abs().sum(-1) * weight[:, None]).sum(-1)  # [b, k]
        pose = self._pose_error(controls, batch)
        total = error + self.pose_weight * pose
        counted = valid.any(dim=1).float()
        num = whole.total(counted.sum()).clamp(min=1)
        winner = total.detach().argmin(dim=1)
        won = total.gather(1, winner[:, None])[:, 0]
        motion = (((1 - self.loser_frac) * won + self.loser_frac * total.mean(dim=1)) * counted).sum() / num
        chance = (logits.softmax(dim=-1) * total).sum(dim=1)
        expected = (chance * counted).sum() / num
        score = (F.cross_entropy(logits, winner, reduction="none") * counted).sum() / num
        name = "reasoned" if self.reasoned else "action"
        chosen = error.gather(1, logits.argmax(dim=1)[:, None])[:, 0]
        parts = {name: motion.detach(), f"{name}_score": score.detach(), f"{name}_chosen_l1": ((chosen * counted).sum() / num).detach()}
        return motion + self.expected_weight * expected + self.score_weight * score, parts

    def _pose_error(self, controls: Float[Tensor, "b k 64 2"], batch: Batch) -> Float[Tensor, "b k"]:
        """Mean distance between planned and driven positions, in units of what matters to the body."""
        steps = self.pose_steps
        both = torch.cat([controls, batch.controls[:, None]], dim=1)[:, :, :steps]
        path = integrate(both, batch.speed_mps[:, None], batch.curvature_scale_per_m[:, None]) / batch.distance_scale_m[:, None, None, None]
        valid = batch.controls_valid[:, None, :steps].float()
        distance = (path[:, :-1] - path[:, -1:]).pow(2).sum(-1).add(1e-8).sqrt()
        return (distance * valid).sum(-1) / valid.sum(-1).clamp(min=1)


def integrate(
    controls: Float[Tensor, "*batch time 2"], speed_mps: Float[Tensor, "*#batch"], curvature_scale_per_m: Float[Tensor, "*#batch"]
) -> Float[Tensor, "*batch time 2"]:
    """Positions in today's rig frame: `bodies.integrate` of normalised controls with a gradient, free to roll backwards."""
    gained = torch.cumsum(controls[..., 0] * (ACCEL_SCALE_MPS2 * DT_S), dim=-1)
    after = speed_mps[..., None] + gained
    distance = (after - controls[..., 0] * (ACCEL_SCALE_MPS2 * DT_S / 2)) * DT_S
    turn = distance * controls[..., 1] * curvature_scale_per_m[..., None]
    yaw = torch.cumsum(turn, dim=-1) - turn / 2
    return torch.stack([torch.cumsum(distance * yaw.cos(), dim=-1), torch.cumsum(distance * yaw.sin(), dim=-1)], dim=-1)


@dataclass(frozen=True, kw_only=True)
class LanguageLoss:
    """Cross-entropy of the next word of the thought; samples without a thought do not count."""

    def __call__(self, output: ModelOutput, batch: Batch, whole: WholeBatch = ALONE) -> tuple[Float[Tensor, ""], Parts]:
        if output.thought_logits is None:
            raise ValueError("the language loss needs thought_ids in the model's input")
        target = batch.thought_ids[:, 1:].flatten()
        words = F.cross_entropy(output.thought_logits[:, :-1].float().flatten(0, 1), target, ignore_index=PAD_ID, reduction="sum")
        loss = words / whole.total((target != PAD_ID).sum()).clamp(min=1)
        return loss, {"language": loss.detach()}


@dataclass(frozen=True, kw_only=True)
class WorldLoss:
    """Smooth L1 between foreseen and seen latents 0.5 s ahead, and as many times further as the model looks, each counted alike; latents
    have unit variance over images, the target no gradient."""

    def __call__(self, output: ModelOutput, batch: Batch, whole: WholeBatch = ALONE) -> tuple[Float[Tensor, ""], Parts]:
        if batch.next_latents is None:
            raise ValueError("the world loss needs next_latents in the batch")
        loss = self._of(output.next_latents, batch.next_latents, batch.next_row, batch, whole)
        parts = {"world": loss.detach()}
        if output.later_latents is not None and output.later_latents.shape[1]:
            if batch.later_latents is None or batch.later_row is None:
                raise ValueError("the world loss of a model with foresight_horizons above 1 needs later_latents and later_row in the batch")
            for later in range(output.later_latents.shape[1]):
                further = self._of(output.later_latents[:, later], batch.later_latents[:, later], batch.later_row[:, later], batch, whole)
                loss, parts[f"world_{later + 2}"] = loss + further, further.detach()
            loss = loss / (1 + output.later_latents.shape[1])
        return loss, parts

    def _of(self, foreseen: Float[Tensor, "b l c"], seen: Float[Tensor, "b l c"], row: Tensor, batch: Batch, whole: WholeBatch) -> Float[Tensor, ""]:
        counted = ((row >= 0) & (batch.image_row[:, -1, 0] >= 0)).float()
        return (latent_error(foreseen, seen) * counted).sum() / whole.total(counted.sum()).clamp(min=1)


@dataclass(frozen=True, kw_only=True)
class RoadLoss:
    """Smooth L1 of what the state at ACT says about the road, each feature in units of its spread over the batch. An eye learns from it
    where the lane goes and what stands ahead many times faster than from controls alone (docs/log.md); nothing drives by it."""

    least_spread: float = 0.05

    def __call__(self, output: ModelOutput, batch: Batch, whole: WholeBatch = ALONE) -> tuple[Float[Tensor, ""], Parts]:
        known, everywhere = batch.road.isfinite().all(dim=1), whole.rows(batch.road)
        everywhere = everywhere[everywhere.isfinite().all(dim=1)]
        if len(everywhere) < 2 or not known.any():
            nothing = output.road.sum() * 0.0
            return nothing, {"road": nothing.detach()}
        target, spread = batch.road[known], everywhere.std(dim=0) + self.least_spread
        loss = F.smooth_l1_loss(output.road[known].float() / spread, target / spread) * (len(target) / len(everywhere))
        return loss, {"road": loss.detach()}


def latent_error(foreseen_BLC: Float[Tensor, "b l c"], seen_BLC: Float[Tensor, "b l c"]) -> Float[Tensor, " b"]:
    """Smooth L1 per sample between latents, which have unit variance over images."""
    return F.smooth_l1_loss(foreseen_BLC.float(), seen_BLC.float(), reduction="none").mean(dim=(1, 2))

"""What each kind of action head is held against (models.heads)."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from motorworks.models.action_head import Answer
from motorworks.models.config import ModelConfig
from motorworks.models.driving_model import ModelOutput, best_proposal
from motorworks.tokens.text import PAD_ID
from motorworks.train.batch import Batch
from motorworks.train.losses import ActionLoss, Loss, Parts
from motorworks.train.ranks import ALONE, WholeBatch


@dataclass(frozen=True, kw_only=True)
class ProposalLoss:
    """ActionLoss on what the head "proposals" said beside the one that drives."""

    reasoned: bool = False

    def __call__(self, output: ModelOutput, batch: Batch, whole: WholeBatch = ALONE) -> tuple[Float[Tensor, ""], Parts]:
        loss, parts = _plan_loss(_answer(output, "proposals", self.reasoned), output, batch, whole, reasoned=self.reasoned)
        return loss, {f"proposals_{name}": value for name, value in parts.items()}


@dataclass(frozen=True, kw_only=True)
class TokenLoss:
    """Cross-entropy of the next token, spread over neighbouring bins with a Gaussian of `blur_bins`: bins have an order, and a near miss
    is nearly right (Imani & White 2018, arXiv 1806.04613). Early tokens count more; those that were never driven do not count."""

    reasoned: bool = False
    blur_bins: float = 1.0
    floor_frac: float = 0.2

    def __call__(self, output: ModelOutput, batch: Batch, whole: WholeBatch = ALONE) -> tuple[Float[Tensor, ""], Parts]:
        answer = _answer(output, "tokens", self.reasoned)
        if answer.token_logits is None or answer.tokens is None or answer.token_valid is None:
            raise ValueError("the token loss needs controls_valid in the model's input")
        logits = answer.token_logits.float()
        bins = torch.arange(logits.shape[-1], device=logits.device)
        target = (-0.5 * ((bins - answer.tokens[..., None]) / self.blur_bins) ** 2).softmax(-1)
        early = torch.linspace(1.0, self.floor_frac, logits.shape[1], device=logits.device)
        weight = answer.token_valid * early
        each = -(target * logits.log_softmax(-1)).sum(-1)
        loss = (each * weight).sum() / whole.total(weight.sum()).clamp(min=1e-6)
        hit = ((logits.argmax(-1) - answer.tokens).abs() <= 1) & answer.token_valid
        name = "reasoned_tokens" if self.reasoned else "tokens"
        return loss, {name: loss.detach(), f"{name}_hit_frac": hit.sum() / whole.total(answer.token_valid.sum()).clamp(min=1)}


@dataclass(frozen=True, kw_only=True)
class FlowLoss:
    """Squared error of the velocity between noise and plan, early knots first; and ActionLoss for the scorer: the plans have no gradient
    there, which one to choose has. Samples without a future do not count."""

    reasoned: bool = False
    floor_frac: float = 0.2

    def __call__(self, output: ModelOutput, batch: Batch, whole: WholeBatch = ALONE) -> tuple[Float[Tensor, ""], Parts]:
        answer = _answer(output, "flow", self.reasoned)
        if answer.velocity_error is None:
            raise ValueError("the flow loss needs controls_valid in the model's input")
        num = answer.velocity_error.shape[1]
        early = torch.linspace(1.0, self.floor_frac, num, device=answer.velocity_error.device)
        counted = batch.controls_valid.any(dim=1).float()
        flow = (answer.velocity_error * early).sum(1) / early.sum()
        flow = (flow * counted).sum() / whole.total(counted.sum()).clamp(min=1)
        score, parts = _plan_loss(answer, output, batch, whole, reasoned=self.reasoned)
        return flow + score, {"reasoned_flow" if self.reasoned else "flow": flow.detach(), **{f"flow_{name}": value for name, value in parts.items()}}


@dataclass(frozen=True, kw_only=True)
class LatentLoss:
    """What plans after words are held against, for plans after thoughts without words."""

    of: tuple[Loss, ...]  # losses of reasoned plans

    def __call__(self, output: ModelOutput, batch: Batch, whole: WholeBatch = ALONE) -> tuple[Float[Tensor, ""], Parts]:
        if not output.latent_answers:
            raise ValueError("the latent loss needs a model with latent_thoughts above 0, and thought_ids in its input")
        plan = next(iter(output.latent_answers.values()))  # of the head that drives
        output = replace(output, reasoned_controls=plan.controls, reasoned_logits=plan.logits, reasoned_answers=output.latent_answers)
        total, parts = torch.zeros((), device=batch.controls.device), {}
        for loss in self.of:
            value, named = loss(output, batch, whole)
            total, parts = total + value, parts | {name.replace("reasoned", "latent"): part for name, part in named.items()}
        return total, parts


@dataclass(frozen=True, kw_only=True)
class GateLoss:
    """Cross-entropy of the gate: did the plan after the (true) thought come nearer than the fast one? Only where a thought is known."""

    def __call__(self, output: ModelOutput, batch: Batch, whole: WholeBatch = ALONE) -> tuple[Float[Tensor, ""], Parts]:
        if output.gate is None or output.controls is None or output.reasoned_controls is None:
            raise ValueError("the gate loss needs a model with thought_gate, a head that plans in training (proposals, flow), and thought_ids")
        judged = next((answer.judged for answer in output.answers.values()), None)  # of the head that drives
        gate = output.gate if judged is None else output.gate[judged]
        batch = _only(batch, judged)
        fast, reasoned = (
            _chosen_error(controls, logits, batch)
            for controls, logits in ((output.controls, output.logits), (output.reasoned_controls, output.reasoned_logits))
        )
        counted = (batch.thought_ids != PAD_ID).any(dim=1) & batch.controls_valid.any(dim=1)
        pays = (reasoned < fast).float()
        each = F.binary_cross_entropy_with_logits(gate.float(), pays, reduction="none")
        num = whole.total(counted.sum()).clamp(min=1)
        loss = (each * counted).sum() / num
        return loss, {"gate": loss.detach(), "thinking_pays_frac": (pays * counted).sum() / num}


def _chosen_error(controls: Tensor, logits: Tensor | None, batch: Batch) -> Float[Tensor, " b"]:
    """L1 of the likeliest plan over what was driven of the first 3 s."""
    assert logits is not None
    best = best_proposal(controls.detach().float(), logits)[:, :30]
    valid = batch.controls_valid[:, :30, None].float()
    return ((best - batch.controls[:, :30]).abs() * valid).sum(dim=(1, 2)) / valid.sum(dim=(1, 2)).clamp(min=1)


def head_losses(config: ModelConfig, *, reasoned: bool = False) -> list[Loss]:
    """One loss for each action head of a model."""
    kinds: dict[str, Callable[..., Loss]] = {"proposals": ProposalLoss, "tokens": TokenLoss, "flow": FlowLoss}
    driver = ActionLoss if config.action_head == "proposals" else kinds[config.action_head]
    return [kind(reasoned=reasoned) for kind in (driver, *(kinds[name] for name in config.extra_heads))]


def _answer(output: ModelOutput, head: str, reasoned: bool) -> Answer:
    answers = output.reasoned_answers if reasoned else output.answers
    if head not in answers:
        raise ValueError(f"the model's output has no {'reasoned ' if reasoned else ''}answer of the head {head!r}: it has {sorted(answers)}")
    return answers[head]


def _plan_loss(answer: Answer, output: ModelOutput, batch: Batch, whole: WholeBatch, *, reasoned: bool) -> tuple[Float[Tensor, ""], Parts]:
    plan = (
        {"reasoned_controls": answer.controls, "reasoned_logits": answer.logits}
        if reasoned
        else {"controls": answer.controls, "logits": answer.logits}
    )
    return ActionLoss(reasoned=reasoned)(replace(output, **plan), _only(batch, answer.judged), whole)


def _only(batch: Batch, judged: Bool[Tensor, " b"] | None) -> Batch:
    """Those samples, as far as a plan's loss looks at them."""
    if judged is None:
        return batch
    names = ("controls", "controls_valid", "speed_mps", "curvature_scale_per_m", "distance_scale_m", "thought_ids")
    return replace(batch, **{name: getattr(batch, name)[judged] for name in names})

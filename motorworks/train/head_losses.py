"""What each kind of action head is held against (models.heads)."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from motorworks.datatypes.trajectory import DT_S, NUM_STEPS
from motorworks.models.action_head import Answer
from motorworks.models.config import ModelConfig
from motorworks.models.driving_model import ModelOutput
from motorworks.train.batch import Batch
from motorworks.train.losses import ActionLoss, Loss, Parts


@dataclass(frozen=True, kw_only=True)
class ProposalLoss:
    """ActionLoss on what the head "proposals" said beside the one that drives."""

    reasoned: bool = False

    def __call__(self, output: ModelOutput, batch: Batch) -> tuple[Float[Tensor, ""], Parts]:
        loss, parts = _plan_loss(_answer(output, "proposals", self.reasoned), output, batch, reasoned=self.reasoned)
        return loss, {f"proposals_{name}": value for name, value in parts.items()}


@dataclass(frozen=True, kw_only=True)
class TokenLoss:
    """Cross-entropy of the next token, spread over neighbouring bins with a Gaussian of `blur_bins`: bins have an order, and a near miss
    is nearly right (Imani & White 2018, arXiv 1806.04613). Early tokens count as early steps do; tokens that were never driven do not."""

    reasoned: bool = False
    blur_bins: float = 1.0
    decay_s: float = 2.0
    floor_frac: float = 0.1

    def __call__(self, output: ModelOutput, batch: Batch) -> tuple[Float[Tensor, ""], Parts]:
        answer = _answer(output, "tokens", self.reasoned)
        if answer.token_logits is None or answer.tokens is None or answer.token_valid is None:
            raise ValueError("the token loss needs controls_valid in the model's input")
        logits = answer.token_logits.float()
        bins = torch.arange(logits.shape[-1], device=logits.device)
        target = (-0.5 * ((bins - answer.tokens[..., None]) / self.blur_bins) ** 2).softmax(-1)
        num = answer.tokens.shape[1]
        early = torch.exp(-torch.arange(num, device=logits.device) / num * (NUM_STEPS * DT_S / 2) / self.decay_s) + self.floor_frac
        weight = answer.token_valid * early
        each = -(target * logits.log_softmax(-1)).sum(-1)
        loss = (each * weight).sum() / weight.sum().clamp(min=1e-6)
        hit = ((logits.argmax(-1) - answer.tokens).abs() <= 1) & answer.token_valid
        name = "reasoned_tokens" if self.reasoned else "tokens"
        return loss, {name: loss.detach(), f"{name}_hit_frac": hit.sum() / answer.token_valid.sum().clamp(min=1)}


@dataclass(frozen=True, kw_only=True)
class FlowLoss:
    """Squared error of the velocity between noise and plan, early knots first; and ActionLoss for the scorer: the plans have no gradient
    there, which one to choose has. Samples without a future do not count."""

    reasoned: bool = False
    floor_frac: float = 0.2

    def __call__(self, output: ModelOutput, batch: Batch) -> tuple[Float[Tensor, ""], Parts]:
        answer = _answer(output, "flow", self.reasoned)
        if answer.velocity_error is None:
            raise ValueError("the flow loss needs controls_valid in the model's input")
        num = answer.velocity_error.shape[1]
        early = torch.linspace(1.0, self.floor_frac, num, device=answer.velocity_error.device)
        counted = batch.controls_valid.any(dim=1).float()
        flow = (answer.velocity_error * early).sum(1) / early.sum()
        flow = (flow * counted).sum() / counted.sum().clamp(min=1)
        score, parts = _plan_loss(answer, output, batch, reasoned=self.reasoned)
        return flow + score, {"reasoned_flow" if self.reasoned else "flow": flow.detach(), **{f"flow_{name}": value for name, value in parts.items()}}


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


def _plan_loss(answer: Answer, output: ModelOutput, batch: Batch, *, reasoned: bool) -> tuple[Float[Tensor, ""], Parts]:
    of = (
        {"reasoned_controls": answer.controls, "reasoned_logits": answer.logits}
        if reasoned
        else {"controls": answer.controls, "logits": answer.logits}
    )
    return ActionLoss(reasoned=reasoned)(replace(output, **of), batch)

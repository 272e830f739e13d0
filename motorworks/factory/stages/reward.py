"""The reward's turn: a model's choice among its proposals is polished on its own drives, and taken back where it then drives worse."""

import copy
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from motorworks.factory.stages.gate import GateConfig, completion_frac
from motorworks.factory.stages.on_policy import OnPolicyConfig
from motorworks.factory.step import Output
from motorworks.train.fit_config import PolishConfig

if TYPE_CHECKING:
    from motorworks.models.driving_model import DrivingModel
    from motorworks.policy.policy import Policy
    from motorworks.sim.collect import Collector

BEFORE_POLISH = "before_polish.safetensors"  # judged too, so that the reader sees what the reward did


@dataclass(frozen=True, kw_only=True)
class RewardConfig:
    """`num_steps` steps of every environment are driven by the model alone and judged by the reward. A polished model stays if it completes
    no less of the gate than before, give or take `slack_frac`."""

    polish: PolishConfig = field(default_factory=PolishConfig)
    num_steps: int = 120
    gate: GateConfig = field(default_factory=GateConfig)
    slack_frac: float = 0.0


def polished(
    config: RewardConfig, loop: OnPolicyConfig, model: "DrivingModel", labeller: "Policy", drives: "Collector", out: Output
) -> "tuple[DrivingModel, dict[str, Any]]":
    """The better one of `model` and its polished copy, and what is to be recorded. Leaves before_polish.safetensors and polish.json."""
    from motorworks.metrics.proposals import score_proposals
    from motorworks.models.infer import TorchInfer
    from motorworks.policy.model import ModelPolicy
    from motorworks.policy.steady import AS_PLANNED
    from motorworks.train.checkpoint import save
    from motorworks.train.on_policy import samples_from_on_policy
    from motorworks.train.polish import polish

    save(out.path / BEFORE_POLISH, model)
    before = copy.deepcopy(model)
    data = drives.gather(
        ModelPolicy(TorchInfer(model, threads=loop.threads), name="student", stride_steps=loop.stride, steady=AS_PLANNED),
        labeller,
        num_steps=config.num_steps,
        labeller_drives_frac=0.0,
        score=lambda scene, plan: score_proposals(scene, plan.proposals),
    )
    scores = data.proposal_scores.reshape(-1, data.proposal_scores.shape[-1])
    curve = polish(model, samples_from_on_policy(data, num_frames=model.config.num_frames), scores, config.polish)
    (out.path / "polish.json").write_text(json.dumps(curve))
    gate = [completion_frac(config.gate, ModelPolicy(TorchInfer(one), name="gate")) for one in (before, model)]
    kept = gate[1] >= gate[0] - config.slack_frac
    if not kept:
        out.thin(f"The polish was taken back: it completed {gate[1]:.0%} of the gate's routes, the model before it {gate[0]:.0%}.")
    out.thin("The reward polishes only the choice among proposals (the scorer); the proposals themselves come from the labeller.")
    facts = {
        "polish_chosen_before": curve[0]["chosen_reward"],
        "polish_chosen_after": curve[-1]["chosen_reward"],
        "polish_best": curve[-1]["best_reward"],
        "polish_kl": curve[-1]["kl"],
        "polish_gate_before_frac": gate[0],
        "polish_gate_after_frac": gate[1],
        "polish_kept": kept,
        "gate_frac": gate[1] if kept else gate[0],
    }
    return (model if kept else before), facts

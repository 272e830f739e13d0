"""Reinforcement in the closed loop: the privileged teacher's driving is distilled into the model on the model's own drives; then its choice
among its proposals is polished by the reward."""

import copy
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from motorworks.factory.artifact import Artifact, Inputs
from motorworks.factory.stages.gate import GateConfig, better_of, completion_frac
from motorworks.factory.stages.on_policy import OnPolicyConfig, fresh_drives, learn_on_policy
from motorworks.factory.step import Output
from motorworks.train.fit_config import PolishConfig

if TYPE_CHECKING:
    from motorworks.models.actor_critic import ActorCritic
    from motorworks.models.driving_model import DrivingModel
    from motorworks.policy.policy import Policy
    from motorworks.sim.collect import Collector

BEFORE_POLISH = "before_polish.safetensors"  # judged too, so that the reader sees what the reward did


@dataclass(frozen=True, kw_only=True)
class RlConfig:
    """The loop, the polish on `num_polish_steps` steps of every environment driven by the model alone, and the gate, which
    chooses who labels; a polish that completes less of it is taken back."""

    loop: OnPolicyConfig
    polish: PolishConfig
    num_polish_steps: int = 120
    gate: GateConfig = field(default_factory=GateConfig)


def run(config: RlConfig, inputs: Inputs, out: Output) -> None:
    """Leaves the model, what it was before the polish, gathered.npz (what it saw and was told on its own drives) and the curves."""
    import torch

    from motorworks.models.infer import TorchInfer
    from motorworks.policy.expert import Expert
    from motorworks.policy.model import ModelPolicy
    from motorworks.policy.teacher import Teacher
    from motorworks.train.checkpoint import load, save
    from motorworks.train.sample_files import load_samples, save_samples

    torch.set_num_threads(config.loop.threads)
    model, _ = load(inputs.one("start").path / "model.safetensors")
    clips = load_samples(inputs.one("samples").path / "samples.npz")
    teacher = Teacher(load_teacher(inputs.one("teacher")).act)
    drives = fresh_drives(config.loop, inputs)
    labeller, coaches = better_of(config.gate, (teacher, Expert()))
    learnt = learn_on_policy(config.loop, model, labeller, clips, drives, out)
    save(out.path / BEFORE_POLISH, model)
    before = copy.deepcopy(model)
    polished = _polish(config, model, labeller, drives)
    gate = [completion_frac(config.gate, ModelPolicy(TorchInfer(one), name="gate")) for one in (before, model)]
    kept = gate[1] >= gate[0]
    save(out.path / "model.safetensors", model if kept else before)
    save_samples(out.path / "gathered.npz", learnt.gathered)
    (out.path / "curves.json").write_text(json.dumps(learnt.curve))
    (out.path / "polish.json").write_text(json.dumps(polished))
    out.volatile("rounds.json").write_text(json.dumps(learnt.rounds))
    out.record(
        rounds=learnt.rounds,
        **learnt.facts,
        labeller=labeller.name,
        labeller_gate_frac=coaches,
        polish_chosen_before=polished[0]["chosen_reward"],
        polish_chosen_after=polished[-1]["chosen_reward"],
        polish_best=polished[-1]["best_reward"],
        polish_kl=polished[-1]["kl"],
        polish_gate_before_frac=gate[0],
        polish_gate_after_frac=gate[1],
        polish_kept=kept,
        gate_frac=gate[1] if kept else gate[0],
    )
    if not kept:
        out.thin(f"The polish was taken back: it completed {gate[1]:.0%} of the gate's routes, the model before it {gate[0]:.0%}.")
    if labeller.name != teacher.name:
        out.thin(f"The learned teacher drives worse than the expert ({coaches['teacher']:.0%} against {coaches['expert']:.0%}): the expert labels.")
    out.thin("The reward polishes only the choice among proposals (the scorer); the proposals themselves come from the labeller.")


def _polish(config: RlConfig, model: "DrivingModel", labeller: "Policy", drives: "Collector") -> list[dict[str, float]]:
    from motorworks.metrics.proposals import score_proposals
    from motorworks.models.infer import TorchInfer
    from motorworks.policy.model import ModelPolicy
    from motorworks.train.on_policy import samples_from_on_policy
    from motorworks.train.polish import polish

    data = drives.gather(
        ModelPolicy(TorchInfer(model), name="student", stride_steps=config.loop.stride),
        labeller,
        num_steps=config.num_polish_steps,
        labeller_drives_frac=0.0,
        score=lambda scene, plan: score_proposals(scene, plan.proposals),
    )
    return polish(
        model,
        samples_from_on_policy(data, num_frames=model.config.num_frames),
        data.proposal_scores.reshape(-1, data.proposal_scores.shape[-1]),
        config.polish,
    )


def load_teacher(artifact: Artifact) -> "ActorCritic":
    """The teacher's networks from its artifact."""
    from safetensors import safe_open

    from motorworks.models.actor_critic import ActorCritic, ActorCriticConfig

    with safe_open(artifact.path / "teacher.safetensors", framework="pt") as file:
        model = ActorCritic(ActorCriticConfig(**json.loads(file.metadata()["config"])))
        model.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 - not a dict
    return model

"""Reinforcement in the closed loop: the privileged teacher's driving is distilled into the model on the model's own drives; then its choice
among its proposals is polished by the reward."""

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from motorworks.factory.artifact import Artifact, Inputs
from motorworks.factory.stages.gate import better_of
from motorworks.factory.stages.on_policy import OnPolicyConfig, fresh_drives, learn_on_policy
from motorworks.factory.stages.reward import RewardConfig, polished
from motorworks.factory.step import Output

if TYPE_CHECKING:
    from motorworks.models.actor_critic import ActorCritic


@dataclass(frozen=True, kw_only=True)
class RlConfig:
    """The loop, and the reward's turn, whose gate also chooses who labels."""

    loop: OnPolicyConfig
    reward: RewardConfig = field(default_factory=RewardConfig)

    def __post_init__(self) -> None:
        self.loop.check_steps("reward.num_steps", self.reward.num_steps)


def run(config: RlConfig, inputs: Inputs, out: Output) -> None:
    """Leaves the model, what it was before the polish, gathered.npz (what it saw and was told on its own drives) and the curves."""
    import torch

    from motorworks.policy.expert import Expert
    from motorworks.policy.teacher import Teacher
    from motorworks.train.checkpoint import load, save
    from motorworks.train.sample_files import load_samples, save_samples

    torch.set_num_threads(config.loop.threads)
    model, _ = load(inputs.one("start").path / "model.safetensors")
    clips = load_samples(inputs.one("samples").path / "samples.npz")
    teacher = Teacher(load_teacher(inputs.one("teacher")).act)
    drives = fresh_drives(config.loop, inputs)
    labeller, coaches = better_of(config.reward.gate, (teacher, Expert()))
    learnt = learn_on_policy(config.loop, model, labeller, clips, drives, out)
    model, rewarded = polished(config.reward, config.loop, model, labeller, drives, out)
    save(out.path / "model.safetensors", model)
    save_samples(out.path / "gathered.npz", learnt.gathered)
    (out.path / "curves.json").write_text(json.dumps(learnt.curve))
    out.volatile("rounds.json").write_text(json.dumps(learnt.rounds))
    out.record(rounds=learnt.rounds, **learnt.facts, labeller=labeller.name, labeller_gate_frac=coaches, **rewarded)
    if labeller.name != teacher.name:
        out.thin(f"The learned teacher drives worse than the expert ({coaches['teacher']:.0%} against {coaches['expert']:.0%}): the expert labels.")


def load_teacher(artifact: Artifact) -> "ActorCritic":
    """The teacher's networks from its artifact."""
    from safetensors import safe_open

    from motorworks.models.actor_critic import ActorCritic, ActorCriticConfig

    with safe_open(artifact.path / "teacher.safetensors", framework="pt") as file:
        model = ActorCritic(ActorCriticConfig(**json.loads(file.metadata()["config"])))
        model.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 - not a dict
    return model

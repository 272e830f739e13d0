"""Reinforcement in the closed loop: the privileged teacher's driving is distilled into the model on the model's own drives; then its choice
among its proposals is polished by the reward."""

import copy
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from motorworks.factory.artifact import Artifact, Inputs
from motorworks.factory.stages.on_policy import OnPolicyConfig, fresh_world, learn_on_policy
from motorworks.factory.step import Output
from motorworks.train.fit_config import PolishConfig

if TYPE_CHECKING:
    from motorworks.models.actor_critic import ActorCritic
    from motorworks.policy.policy import Policy
    from motorworks.sim.world import World

BEFORE_POLISH = "before_polish.safetensors"  # judged too, so that the reader sees what the reward did


@dataclass(frozen=True, kw_only=True)
class RlConfig:
    """The loop, the polish on `num_polish_steps` steps of every environment driven by the model alone, and the gate: training scenarios that
    the model drives before and after; a polish that completes less of them is taken back."""

    loop: OnPolicyConfig
    polish: PolishConfig
    num_polish_steps: int = 120
    num_gate_scenarios: int = 16


def run(config: RlConfig, inputs: Inputs, out: Output) -> None:
    """Leaves the model, what it was before the polish, gathered.npz (what it saw and was told on its own drives) and the curves."""
    import torch

    from motorworks.models.infer import TorchInfer
    from motorworks.policy.model import ModelPolicy
    from motorworks.policy.teacher import Teacher
    from motorworks.train.checkpoint import load, save
    from motorworks.train.sample_files import load_samples, save_samples

    torch.set_num_threads(config.loop.threads)
    model, _ = load(inputs.one("start").path / "model.safetensors")
    clips = load_samples(inputs.one("samples").path / "samples.npz")
    teacher = Teacher(load_teacher(inputs.one("teacher")).act)
    world, scenarios = fresh_world(config.loop, inputs)
    labeller, coaches = _better_labeller(config, teacher, world)
    learnt = learn_on_policy(config.loop, model, labeller, clips, scenarios, world, out)
    save(out.path / BEFORE_POLISH, model)
    before = copy.deepcopy(model)
    polished = _polish(config, model, labeller, scenarios, world)
    gate = [_completion_frac(config, ModelPolicy(TorchInfer(one), name="gate"), world) for one in (before, model)]
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
    )
    if not kept:
        out.thin(f"The polish was taken back: it completed {gate[1]:.0%} of the gate's routes, the model before it {gate[0]:.0%}.")
    if labeller.name != teacher.name:
        out.thin(f"The learned teacher drives worse than the expert ({coaches['teacher']:.0%} against {coaches['expert']:.0%}): the expert labels.")
    out.thin("The reward polishes only the choice among proposals (the scorer); the proposals themselves come from the labeller.")


def _better_labeller(config: RlConfig, teacher: "Policy", world: "World") -> "tuple[Policy, dict[str, float]]":
    """Who says what should have been done: the learned teacher, unless the expert completes more of the gate's routes."""
    from motorworks.policy.expert import Expert

    coaches: tuple[Policy, ...] = (teacher, Expert())
    found = {coach.name: _completion_frac(config, coach, world) for coach in coaches}
    return max(coaches, key=lambda coach: found[coach.name]), found


def _polish(config: RlConfig, model: object, teacher: object, scenarios: object, world: object) -> list[dict[str, float]]:
    from motorworks.metrics.proposals import score_proposals
    from motorworks.models.infer import TorchInfer
    from motorworks.policy.model import ModelPolicy
    from motorworks.sim.collect import collect
    from motorworks.tokens.image import ImageCodec
    from motorworks.train.on_policy import samples_from_on_policy
    from motorworks.train.polish import polish

    stride = config.loop.stride
    data = collect(
        world,
        ModelPolicy(TorchInfer(model), name="student"),
        teacher,
        scenarios,
        num_steps=config.num_polish_steps,
        labeller_drives_frac=0.0,
        shrink=ImageCodec().encode,
        seed=config.loop.seed - 1,
        score=lambda scene, plan: score_proposals(scene, plan.proposals),
    )
    scores = data.proposal_scores[::stride].reshape(-1, data.proposal_scores.shape[-1])
    return polish(model, samples_from_on_policy(data, stride=stride), scores, config.polish)


def _completion_frac(config: RlConfig, policy: "Policy", world: "World") -> float:
    """Mean share of the route over the gate's scenarios: training towns, with seeds that no round draws from."""
    from itertools import islice

    from motorworks.metrics.closed_loop import route_completion
    from motorworks.sim.curriculum import draw_scenarios
    from motorworks.sim.rollout import roll_out
    from motorworks.sim.seeds import TRAIN_SEEDS

    scenarios = list(islice(draw_scenarios(TRAIN_SEEDS[: config.loop.num_towns], seed=config.loop.seed + 1000), config.num_gate_scenarios))
    rollouts = roll_out(world, policy, scenarios)
    return sum(route_completion(rollout) for rollout in rollouts) / len(rollouts)


def load_teacher(artifact: Artifact) -> "ActorCritic":
    """The teacher's networks from its artifact."""
    from safetensors import safe_open

    from motorworks.models.actor_critic import ActorCritic, ActorCriticConfig

    with safe_open(artifact.path / "teacher.safetensors", framework="pt") as file:
        model = ActorCritic(ActorCriticConfig(**json.loads(file.metadata()["config"])))
        model.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 - not a dict
    return model

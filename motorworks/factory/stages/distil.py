"""What the big model learnt, in a small one: first on what the parent saw and was told, then on the student's own drives, where whoever
drives better, the parent or the privileged expert, says what should have been done. A student is no better than who tells it; then the
reward has its turn."""

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from motorworks.factory.artifact import Artifact, Inputs
from motorworks.factory.stages.fit_model import curve_rows
from motorworks.factory.stages.on_policy import OnPolicyConfig, fresh_drives, learn_on_policy
from motorworks.factory.stages.reward import RewardConfig, polished
from motorworks.factory.step import Output
from motorworks.train.fit_config import FitConfig

if TYPE_CHECKING:
    from motorworks.policy.policy import Policy
    from motorworks.train.samples import Samples


@dataclass(frozen=True, kw_only=True)
class DistilConfig:
    """`student` is a name on the dial of models.config.family; more than a quarter of the parent's parameters is refused."""

    loop: OnPolicyConfig
    warm_start: FitConfig  # on curated clips and the parent's own drives
    student: str = "pico"
    reward: RewardConfig = field(default_factory=RewardConfig)
    seed: int = 5

    def __post_init__(self) -> None:
        self.loop.check_steps("reward.num_steps", self.reward.num_steps)


def run(config: DistilConfig, inputs: Inputs, out: Output) -> None:
    """Leaves model.safetensors, before_polish.safetensors, polish.json, curves.json and rounds.json."""
    import torch

    from motorworks.models.config import family
    from motorworks.models.driving_model import DrivingModel, num_params
    from motorworks.models.infer import TorchInfer
    from motorworks.policy.model import ModelPolicy
    from motorworks.policy.steady import AS_PLANNED
    from motorworks.train.checkpoint import load, save
    from motorworks.train.loop import fit

    torch.set_num_threads(config.loop.threads)
    torch.manual_seed(config.seed)
    parent, parent_config = load(inputs.one("parent").path / "model.safetensors")
    share = num_params(family(config.student)) / num_params(parent_config)
    if share > 0.25:
        raise ValueError(f"student {config.student!r} has {share:.0%} of its parent's parameters; a quarter is the most: choose a smaller member")
    answers = TorchInfer(parent.to(config.loop.device), threads=config.loop.threads)
    driver = ModelPolicy(answers, name="parent", stride_steps=config.loop.stride, steady=AS_PLANNED)
    coach, coaches = _coach(inputs.one("parent"), driver)
    start = inputs.many("start")
    model = load(start[0].path / "model.safetensors")[0] if start else DrivingModel(family(config.student))
    known = _known(inputs)
    warm = curve_rows(fit(model, known, config.warm_start, device=config.loop.device, threads=config.loop.threads).curves)
    drives = fresh_drives(config.loop, inputs)
    learnt = learn_on_policy(config.loop, model, coach, known, drives, out)
    offset = warm[-1]["step"]
    model, rewarded = polished(config.reward, config.loop, model, coach, drives, out)
    save(out.path / "model.safetensors", model)
    (out.path / "curves.json").write_text(json.dumps(warm + [{**row, "step": row["step"] + offset} for row in learnt.curve]))
    out.volatile("rounds.json").write_text(json.dumps(learnt.rounds))
    out.record(rounds=learnt.rounds, share_of_parent_frac=share, labeller=coach.name, labeller_gate_frac=coaches, **learnt.facts, **rewarded)
    if coach.name != "parent":
        out.thin(f"The parent drives worse than the expert ({coaches['parent']:.0%} against {coaches['expert']:.0%} of the gate): the expert labels.")


def _coach(parent: Artifact, driver: "Policy") -> "tuple[Policy, dict[str, float]]":
    """Who completed more of the gate in `rl`: the parent or the expert."""
    from motorworks.policy.expert import Expert

    found = {"parent": float(parent.metrics["gate_frac"]), "expert": float(parent.metrics["labeller_gate_frac"]["expert"])}
    return (Expert() if found["expert"] > found["parent"] else driver), found


def _known(inputs: Inputs) -> "Samples":
    """What the parent learnt from: curated clips, and its own drives as they were labelled, of which three are drawn for each of the clips."""
    from motorworks.train.sample_files import load_samples
    from motorworks.train.samples import concat

    clips, drives = load_samples(inputs.one("samples").path / "samples.npz"), load_samples(inputs.one("parent").path / "gathered.npz")
    return concat([clips, drives.reweighted(3 * float(clips.weight.sum()) / float(drives.weight.sum()))])

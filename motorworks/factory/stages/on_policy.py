"""Drive, be told better, learn, again: the on-policy loop of `rl` and `distil`, with whoever drives better as the labeller."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from motorworks.factory.stages.fit_model import curve_rows, facts_of, live_of, peak_flops
from motorworks.factory.step import Output
from motorworks.train.fit_config import FitConfig

if TYPE_CHECKING:
    from motorworks.models.driving_model import DrivingModel
    from motorworks.policy.policy import Policy
    from motorworks.sim.collect import Collector
    from motorworks.train.loop import FitResult
    from motorworks.train.samples import Samples


@dataclass(frozen=True, kw_only=True)
class OnPolicyConfig:
    """One round is `num_steps` steps of every environment, then `fit` on all that was gathered so far and what was known before."""

    labeller_drives_frac: tuple[float, ...]  # per round, falling: who drives an episode
    num_steps: int
    fit: FitConfig
    num_envs: int = 64
    num_towns: int = 2048
    num_agents: tuple[int, int] = (6, 14)
    staged_frac: float = 0.2  # of the fresh scenarios: the long tail
    known_share: float = 0.2  # of what is drawn was known before (curated clips), so that real roads and words are not forgotten
    last_fit: FitConfig | None = None  # of the last round, which may learn for longer, and words again
    push_per_m: float = 0.03  # curvature by which the labeller's own driving is disturbed, to show how to come back
    stride: int = 4  # steps between two samples of a drive
    device: str = "cpu"  # where the town is driven and drawn, and the student learns
    threads: int = 2
    seed: int = 4

    def __post_init__(self) -> None:
        if not self.labeller_drives_frac or not all(0 <= frac <= 1 for frac in self.labeller_drives_frac) or not 0 <= self.known_share < 1:
            raise ValueError(f"labeller_drives_frac needs a share in [0, 1] per round, known_share one in [0, 1): {self}")
        self.check_steps("loop.num_steps", self.num_steps)

    def check_steps(self, name: str, num_steps: int) -> None:
        """Refuses, before anything is trained, a number of steps that no collector of this stride would drive."""
        if num_steps < 1 or num_steps % self.stride:
            raise ValueError(f"{name} is {num_steps}, and must be a positive multiple of loop.stride, {self.stride}")


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """What the loop leaves beside the model: the curve over all rounds, a row per round with how the student drove, and all it saw."""

    curve: list[dict[str, Any]]
    rounds: list[dict[str, Any]]
    gathered: "Samples"
    facts: dict[str, Any]  # clock and utilisation of all fits together


def learn_on_policy(
    config: OnPolicyConfig, model: "DrivingModel", labeller: "Policy", known: "Samples", drives: "Collector", out: Output
) -> "Learnt":
    """Trains `model` in place."""
    from dataclasses import replace

    from motorworks.models.infer import TorchInfer
    from motorworks.policy.model import ModelPolicy
    from motorworks.policy.noise import NoiseConfig, Perturbed
    from motorworks.policy.steady import AS_PLANNED
    from motorworks.train.clock import as_row
    from motorworks.train.loop import fit
    from motorworks.train.on_policy import samples_from_on_policy
    from motorworks.train.samples import concat

    if model.config.num_views > 1:
        raise ValueError(
            f"this model looks through {model.config.num_views} cameras, and on-policy drives keep the pictures of one: see docs/training.md"
        )
    known = known.seen_as(num_frames=model.config.num_frames, num_views=1)
    gathered: list[Samples] = []
    fits: list[FitResult] = []
    curve: list[dict[str, Any]] = []
    rounds: list[dict[str, Any]] = []
    num_rounds, where = len(config.labeller_drives_frac), {"threads": config.threads, "device": config.device}
    peak = peak_flops(precision=config.fit.precision, **where)
    model.to(config.device)
    student = ModelPolicy(TorchInfer(model, threads=config.threads), name="student", stride_steps=config.stride, steady=AS_PLANNED)
    labeller = Perturbed(labeller, seed=config.seed, config=NoiseConfig(curvature_per_m=config.push_per_m))  # where it drives it must show recoveries
    for number, frac in enumerate(config.labeller_drives_frac):
        data = drives.gather(
            student,
            labeller,
            num_steps=config.num_steps,
            labeller_drives_frac=frac,
            on_step=lambda t, number=number: out.progress(
                number * config.num_steps + t, num_rounds * config.num_steps, "steps driven", f"round {number + 1}"
            ),
        )
        gathered.append(samples_from_on_policy(data, num_frames=model.config.num_frames))
        settings = config.last_fit if config.last_fit is not None and number == num_rounds - 1 else config.fit
        # pictures are the memory of this stage: they are joined once a round, and let go before the next
        learnt = _beside(known, gathered, config.known_share)
        result = fit(model, learnt, replace(settings, seed=settings.seed + number), **where)
        del learnt
        fits.append(result)
        curve += curve_rows(result.curves, offset=curve[-1]["step"] if curve else 0)
        told = {"labeller_drives_frac": frac, "num_ended": data.num_ended, "completed_frac": data.completed_frac}
        told |= {"num_samples": sum(map(len, gathered)), "last_loss": result.curves[-1]["loss"]}
        rounds.append(told | {"samples_per_s": result.samples_per_s, "fit_s": result.wall_s})
        ended = f"{data.completed_frac:.0%} of {data.num_ended} episodes completed"
        figures = live_of(settings, model, peak, **where)(result.curves[-1] | as_row(result.seconds))
        out.say(f"round {number + 1}/{num_rounds}: {ended}, {figures}")
    facts = facts_of(fits, model, peak, **where)
    return Learnt(curve=curve, rounds=rounds, gathered=concat(gathered), facts=facts)


def _beside(known: "Samples", gathered: "list[Samples]", known_share: float) -> "Samples":
    """All that was gathered, and so much of what was known before."""
    from motorworks.train.samples import concat

    weight = sum(float(part.weight.sum()) for part in gathered)
    return concat([*gathered, known.reweighted(known_share / (1 - known_share) * weight / float(known.weight.sum()))])


def fresh_drives(config: OnPolicyConfig, inputs: Any) -> "Collector":
    """Drives in the training towns, the scenarios mined in the turn before among them."""
    import json

    from motorworks.datatypes.scenario import Scenario
    from motorworks.sim.collect import Collector
    from motorworks.sim.curriculum import draw_scenarios
    from motorworks.sim.make_town import make_town
    from motorworks.sim.seeds import TRAIN_SEEDS
    from motorworks.tokens.image import ImageCodec
    from motorworks.tokens.scene import SceneCodec

    mined = [Scenario(**row) for artifact in inputs.many("mined") for row in json.loads((artifact.path / "scenarios.json").read_text())]
    scenarios = draw_scenarios(
        TRAIN_SEEDS[: config.num_towns], seed=config.seed, num_agents=config.num_agents, mined=mined, staged_frac=config.staged_frac
    )
    world = make_town(config.num_envs, device=config.device, threads=config.threads)
    return Collector(world, scenarios, shrink=ImageCodec().encode, sense=SceneCodec().encode_road, stride=config.stride, seed=config.seed)

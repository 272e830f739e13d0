"""An ablation: models that differ in one thing, on the same held-out towns, each paired with the first; beside them the probes and the expert."""

import json
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from motorworks.factory.artifact import Inputs
from motorworks.factory.fingerprint import digest
from motorworks.factory.stages.contestants import torch_policy, yardsticks
from motorworks.factory.stages.evaluate import drive_held_out, held_out, held_out_tail
from motorworks.factory.step import Output

if TYPE_CHECKING:
    from motorworks.datatypes.score import Score


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """An input is an arm: its role is the arm's name, its artifacts are the same model from different seeds. `thinking` says how an arm
    thinks (models.reasoning) where it does; `adaptive` arms choose when. `tail`: staged scenarios of the long tail, not ordinary traffic."""

    title: str
    question: str
    arms: tuple[str, ...]  # the roles, in the order they are shown
    pairs: tuple[tuple[str, str], ...] = ()  # which are compared, first less second; none given: all with the first arm
    thinking: Mapping[str, str] = field(default_factory=dict)
    adaptive: tuple[str, ...] = ()
    tail: bool = False
    num_scenarios: int = 24
    num_agents: int = 10
    num_envs: int = 12
    device: str = "cpu"  # of the models; the town is the CPU's
    threads: int = 1

    def __post_init__(self) -> None:
        unknown = sorted({*self.thinking, *self.adaptive, *(arm for pair in self.pairs for arm in pair)} - set(self.arms))
        if len(self.arms) < 2 or unknown:
            raise ValueError(f"arms {self.arms} must be two or more; pairs, thinking and adaptive name none but them: {unknown}")


def run(config: CompareConfig, inputs: Inputs, out: Output) -> None:
    """Leaves scores.json (arms, each seed of them, probes and expert), paired.json (arms less the first, seeds averaged), per_scenario.json."""
    from motorworks.metrics.aggregate import mean_scores, paired_rows, score_rows

    made = {
        (arm, number): (artifact, partial(torch_policy, artifact.path / "model.safetensors", arm, config.threads, thinking, adaptive, config.device))
        for arm in config.arms
        for thinking, adaptive in ((config.thinking.get(arm, "off"), arm in config.adaptive),)
        for number, artifact in enumerate(inputs.many(arm))
    }
    keys = {of: digest({"model": artifact.digest, "thinking": make.args[3:]})[:32] for of, (artifact, make) in made.items()}
    beside = yardsticks()
    keys |= {(name, 0): digest({"yardstick": name})[:32] for name in beside}
    makers = {keys[of]: make for of, (_, make) in made.items()} | {keys[name, 0]: make for name, make in beside.items()}
    fields = {name: getattr(config, name) for name in ("tail", "num_scenarios", "num_agents", "num_envs", "device", "threads")}
    scenarios = (held_out_tail if config.tail else held_out)(config.num_scenarios, config.num_agents)
    drive = partial(drive_held_out, config.num_envs, config.threads, makers, scenarios)
    folders = out.items("policy", list(keys.values()), drive, depends_on=fields)
    driven = {of: pickle.loads((folder / "drives.pickle").read_bytes()) for of, folder in zip(keys, folders, strict=True)}
    by_seed: dict[str, list[Sequence[Sequence[Score]]]] = {arm: [] for arm in (*config.arms, *beside)}
    for (arm, _), drives in driven.items():
        by_seed[arm].append([drive["scores"] for drive in drives])
    scores = {arm: mean_scores(seeds) for arm, seeds in by_seed.items()}
    rows = [asdict(row) for arm, of in scores.items() for row in score_rows(of, policy=arm, world="town")]
    rows += [
        asdict(row)
        for arm in config.arms
        for number, of in enumerate(by_seed[arm], start=1)
        for row in score_rows(of, policy=f"{arm}/{number}", world="town")
    ]
    pairs = config.pairs or tuple((arm, config.arms[0]) for arm in config.arms[1:])
    paired = [row for a, b in pairs for row in paired_rows(scores[a], scores[b], names=(a, b))]
    per_scenario = {arm: [{score.metric: score.value for score in of if score.valid} for of in found] for arm, found in scores.items()}
    for name, value in (("scores", rows), ("paired", paired), ("per_scenario", per_scenario)):
        (out.path / f"{name}.json").write_text(json.dumps(value, indent=1))
    num_seeds = min(len(by_seed[arm]) for arm in config.arms)
    out.record(title=config.title, question=config.question, arms=config.arms, num_scenarios=config.num_scenarios, num_seeds=num_seeds)
    out.thin(
        f"Intervals are over {config.num_scenarios} scenarios with {num_seeds} training seeds averaged: what another seed would change is not in "
        "them; see the rows of each seed."
    )

"""Synthetic clips: the privileged expert drives the town, a little pushed about so that its clips show recoveries."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from motorworks.factory.artifact import Inputs
from motorworks.factory.step import Output

if TYPE_CHECKING:
    from motorworks.datatypes.scenario import Scenario


@dataclass(frozen=True, kw_only=True)
class TownClipsConfig:
    """Fresh scenarios of the training towns; or, where a mined artifact is given, its scenarios and no others."""

    num_recordings: int
    num_towns: int = 24
    num_agents: tuple[int, int] = (6, 14)
    staged_frac: float = 0.25  # of the long tail
    perturbed_frac: float = 0.75  # of the recordings; the others are the expert untouched
    num_envs: int = 16
    threads: int = 2
    seed: int = 1

    def __post_init__(self) -> None:
        if (
            min(self.num_recordings, self.num_towns, self.num_envs, self.threads) < 1
            or not 0 <= self.perturbed_frac <= 1
            or not 0 <= self.staged_frac <= 1
        ):
            raise ValueError(f"counts must be positive and perturbed_frac and staged_frac in [0, 1]: {self}")


def run(config: TownClipsConfig, inputs: Inputs, out: Output) -> None:
    """Leaves clips/<digest>/ and records how the expert did."""
    from motorworks.clips.store import write_clip
    from motorworks.policy.expert import Expert
    from motorworks.policy.noise import Perturbed
    from motorworks.sim.rollout import clip_from_rollout, iterate_rollouts
    from motorworks.sim.town import Town

    scenarios = _scenarios(config, inputs)
    if not scenarios:
        (out.path / "clips").mkdir()
        out.record(num_recordings=0)
        out.say("nothing was mined, so nothing is driven again")
        return
    world = Town(min(config.num_envs, len(scenarios)), threads=config.threads)
    num_perturbed = round(len(scenarios) * config.perturbed_frac)
    batches = [(scenarios[:num_perturbed], Perturbed(Expert(), seed=config.seed)), (scenarios[num_perturbed:], Expert())]
    outcomes, seconds_s, done = [], 0.0, 0
    for batch, policy in batches:
        for _, rollout in iterate_rollouts(world, policy, batch, keep_frames=True):
            write_clip(out.path / "clips", clip_from_rollout(rollout))
            outcomes.append(rollout.outcome)
            seconds_s += len(rollout.speed_mps) / 10
            done += 1
            out.progress(done, len(scenarios), "recordings")
    out.record(num_recordings=done, seconds_s=seconds_s, outcomes={outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes))})


def _scenarios(config: TownClipsConfig, inputs: Inputs) -> "Sequence[Scenario]":
    from itertools import islice

    from motorworks.datatypes.scenario import Scenario
    from motorworks.sim.curriculum import draw_scenarios
    from motorworks.sim.seeds import TRAIN_SEEDS

    mined = inputs.many("mined")
    if mined:
        rows = [row for artifact in mined for row in json.loads((artifact.path / "scenarios.json").read_text())]
        return list(dict.fromkeys(Scenario(**row) for row in rows))[: config.num_recordings]
    fresh = draw_scenarios(TRAIN_SEEDS[: config.num_towns], seed=config.seed, num_agents=config.num_agents, staged_frac=config.staged_frac)
    return list(islice(fresh, config.num_recordings))

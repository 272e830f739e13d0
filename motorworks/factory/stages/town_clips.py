"""Synthetic clips: the privileged expert drives the town, a little pushed about so that its clips show recoveries."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from motorworks.factory.artifact import Inputs
from motorworks.factory.step import Output

if TYPE_CHECKING:
    from motorworks.datatypes.rollout import Rollout
    from motorworks.datatypes.scenario import Scenario
    from motorworks.policy.policy import Policy
    from motorworks.sim.world import World


@dataclass(frozen=True, kw_only=True)
class TownClipsConfig:
    """Excerpts of fresh drives in the training towns; or, where a mined artifact is given, whole drives of its scenarios and no others."""

    num_recordings: int
    excerpt_s: float = 8.0
    gap_s: float = 8.0  # driven unseen between two excerpts of a drive
    num_towns: int = 256
    num_agents: tuple[int, int] = (6, 14)
    staged_frac: float = 0.25  # of the long tail
    perturbed_frac: float = 0.75  # of the recordings; the others are the expert untouched
    num_views: int = 1  # cameras that record: the smallest rig of datatypes.rig with so many
    num_envs: int = 64
    device: str = "cpu"  # where the town is driven and drawn (sim.make_town); the expert and the video stay on the CPU
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
    """Leaves packs/ of clips and records how the expert did."""
    from motorworks.clips.store import ClipWriter
    from motorworks.datatypes.rig import rig_of
    from motorworks.policy.expert import Expert
    from motorworks.policy.noise import Perturbed
    from motorworks.sim.make_town import make_town
    from motorworks.sim.rollout import clip_from_rollout

    mined = _mined(config, inputs)
    if mined is not None and not mined:
        out.record(num_recordings=0)
        out.say("nothing was mined, so nothing is driven again")
        return
    total = config.num_recordings if mined is None else len(mined)
    world = make_town(min(config.num_envs, total), device=config.device, threads=config.threads, rig=rig_of(config.num_views))
    num_perturbed = round(total * config.perturbed_frac)
    outcomes, seconds_s, done = [], 0.0, 0
    batches = ((0, num_perturbed, Perturbed(Expert(), seed=config.seed)), (num_perturbed, total, Expert()))
    with ClipWriter(out.path) as clips, ThreadPoolExecutor(1) as encoder:  # video is encoded while the town drives on; one clip waits at most
        writing = None
        for start, stop, policy in batches:
            for rollout in _drives(config, world, policy, mined, start, stop):
                if writing is not None:
                    writing.result()
                writing = encoder.submit(clips.add, clip_from_rollout(rollout))
                outcomes.append(rollout.outcome)
                seconds_s += len(rollout.speed_mps) / 10
                done += 1
                out.progress(done, total, "recordings")
        if writing is not None:
            writing.result()
    out.record(num_recordings=done, seconds_s=seconds_s, outcomes={outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes))})


def _drives(config: TownClipsConfig, world: "World", policy: "Policy", mined: "list[Scenario] | None", start: int, stop: int) -> "Iterator[Rollout]":
    """Recordings `start` to `stop`: what was mined whole, or else excerpts."""
    from motorworks.datatypes.trajectory import DT_S
    from motorworks.sim.curriculum import draw_scenarios
    from motorworks.sim.rollout import iterate_excerpts, iterate_rollouts
    from motorworks.sim.seeds import TRAIN_SEEDS

    if mined is not None:
        return (rollout for _, rollout in iterate_rollouts(world, policy, mined[start:stop], keep_frames=True))
    fresh = draw_scenarios(TRAIN_SEEDS[: config.num_towns], seed=config.seed + start, num_agents=config.num_agents, staged_frac=config.staged_frac)
    steps, gap = round(config.excerpt_s / DT_S), round(config.gap_s / DT_S)
    return iterate_excerpts(world, policy, fresh, num=stop - start, num_steps=steps, gap_steps=gap)


def _mined(config: TownClipsConfig, inputs: Inputs) -> "list[Scenario] | None":
    """What the turn before found hard; None where there was none."""
    from motorworks.datatypes.scenario import Scenario

    mined = inputs.many("mined")
    if not mined:
        return None
    rows = [row for artifact in mined for row in json.loads((artifact.path / "scenarios.json").read_text())]
    return list(dict.fromkeys(Scenario(**row) for row in rows))[: config.num_recordings]

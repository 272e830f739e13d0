"""What went wrong becomes what comes next: failures and surprises of the fleet's drives as named clips and scenarios."""

import json
import pickle
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from motorworks.curate.mine import MineConfig
from motorworks.factory.artifact import Inputs
from motorworks.factory.stages.surprised import surprises
from motorworks.factory.step import Output

if TYPE_CHECKING:
    from motorworks.clips.store import ClipStore
    from motorworks.datatypes.clip import Clip
    from motorworks.datatypes.failure import Failure
    from motorworks.geometry.array import Array


@dataclass(frozen=True, kw_only=True)
class MineStepConfig:
    """Surprise and disagreement count above this quantile of their own values over all drives."""

    limits: MineConfig = field(default_factory=MineConfig)
    quantile: float = 0.98
    num_scenarios: int = 24
    before_s: float = 4.0
    after_s: float = 2.0
    threads: int = 2


def run(config: MineStepConfig, inputs: Inputs, out: Output) -> None:
    """Leaves failures.json, scenarios.json and packs/ of a clip around every failure."""
    import numpy as np

    from motorworks.clips.store import ClipStore, write_clips
    from motorworks.curate.mine import find_failures, new_scenarios
    from motorworks.sim.seeds import is_held_out

    drive = inputs.one("drive")
    store = ClipStore(drive.path)
    drives = pickle.loads((drive.path / "drives.pickle").read_bytes())
    # in the cloud: the world head is not in the car
    surprise = surprises(inputs.one("model"), (store.read_front(row["clip"]) for row in drives), threads=config.threads)
    disagreement = [np.array([np.nan if value is None else value for value in row["disagreement_m"]]) for row in drives]
    limits = _limits(config, surprise, disagreement)
    failures: list[Failure] = []
    clips: list[Clip] = []
    for row, amazed, differs in zip(drives, surprise, disagreement, strict=True):
        fallback = np.array([state == "fallback" for state in row["health"]])
        found = find_failures(row["rollout"], surprise=amazed, disagreement=differs, fallback=fallback, limits=limits)
        clips += _cut(config, store, row["clip"], found)
        failures += found
    scenarios = new_scenarios(failures, config.num_scenarios, is_held_out=is_held_out) if failures else []
    rows = [{"name": one.name, "kind": one.kind, "severity": one.severity, "step": one.step, "detail": one.detail} for one in failures]
    (out.path / "failures.json").write_text(json.dumps(rows, indent=1))
    (out.path / "scenarios.json").write_text(json.dumps([asdict(scenario) for scenario in scenarios], indent=1))
    out.record(
        num_failures=len(failures),
        by_kind=Counter(one.kind for one in failures),
        scenarios=[scenario.name for scenario in scenarios],
        num_clips=len(set(write_clips(out.path, clips))),
        surprise_limit=limits.min_surprise,
        disagreement_limit_m=limits.min_disagreement,
    )


def _limits(config: MineStepConfig, surprise: "list[Array]", disagreement: "list[Array]") -> MineConfig:
    from dataclasses import replace

    import numpy as np

    top = [float(np.nanquantile(np.concatenate(values), config.quantile)) for values in (surprise, disagreement)]
    return replace(config.limits, min_surprise=top[0], min_disagreement=max(top[1], config.limits.min_disagreement))


def _cut(config: MineStepConfig, store: "ClipStore", clip_id: str, failures: "list[Failure]") -> "list[Clip]":
    """One clip around each moment; moments that overlap share one."""
    from motorworks.curate.mine import cut_clip

    if not failures:
        return []
    clip, cuts, last = store.read_front(clip_id), [], -1_000_000
    for failure in sorted(failures, key=lambda one: one.step):
        if failure.step - last > round((config.before_s + config.after_s) * 10):
            cuts.append(cut_clip(clip, failure.step, config.before_s, config.after_s))
            last = failure.step
    return cuts

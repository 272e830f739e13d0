"""The judge: held-out towns that nothing else may open, every model and every probe on the same scenarios, intervals on everything."""

import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motorworks.factory.artifact import Inputs
from motorworks.factory.fingerprint import digest
from motorworks.factory.stages.contestants import LAST, NOT_OURS, RELEASED, contestants, num_views
from motorworks.factory.stages.gate import NUM_ENVS
from motorworks.factory.stages.strips import choose_drives, draw_strips
from motorworks.factory.step import Output
from motorworks.sim.seeds import held_out_open

TAIL_DRIVERS = ("stand_still", "constant_velocity", RELEASED, "expert")
TAIL_METRICS = ("route_completion_frac", "driving_score", "success_frac", "at_fault_collision_frac", "epdms_style")

if TYPE_CHECKING:
    from motorworks.datatypes.score import Score
    from motorworks.policy.policy import Policy


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Scenarios of held-out towns, one town each; fixed for the project's lifetime by their first seed."""

    num_scenarios: int = 16
    num_tail: int = 31  # staged scenarios of the long tail, the kinds in turn; for TAIL_DRIVERS only
    num_agents: int = 10
    num_envs: int = NUM_ENVS
    open_loop_stride: int = 3
    device: str = "cpu"  # of the checkpoints; the town they are judged in is the CPU's, the same for everyone
    threads: int = 2


def run(config: EvaluateConfig, inputs: Inputs, out: Output) -> None:
    """Leaves scores.json, paired.json, per_scenario.json, open_loop.json and film strips."""
    from motorworks.factory.stages.open_loop import open_loop_rows
    from motorworks.metrics.aggregate import paired_rows, score_rows

    policies = contestants(inputs, threads=config.threads, device=config.device)
    # the last release is what was driven as released then: the same key, so its drives are reused
    kinds = {name: RELEASED if name == LAST else name for name in policies}
    keys = {name: digest({"policy": kinds[name], "made_from": made_from})[:32] for name, (made_from, _) in policies.items()}
    makers = {keys[name]: make for name, (_, make) in policies.items()}
    fields = {key: value for key, value in asdict(config).items() if key != "open_loop_stride"}
    folders = out.items(
        "policy", list(keys.values()), partial(drive_held_out, config.num_envs, config.threads, makers, _scenarios(config)), depends_on=fields
    )
    driven = {name: pickle.loads((folder / "drives.pickle").read_bytes()) for name, folder in zip(keys, folders, strict=True)}
    scores: dict[str, list[list[Score]]] = {name: [drive["scores"] for drive in of] for name, of in driven.items()}
    rows = [asdict(row) for name, found in scores.items() for row in score_rows(found, policy=name, world="town")]
    models = [name for name in scores if name not in (*NOT_OURS, LAST)]
    rivals = [name for name in (LAST, "stand_still", "constant_velocity", "expert") if name in scores]
    pairs = [*zip(models[1:], models[:-1], strict=True), *((RELEASED, rival) for rival in rivals)]
    paired = [row for a, b in pairs for row in paired_rows(scores[a], scores[b], names=(a, b))]
    per_scenario = {name: [{score.metric: score.value for score in of if score.valid} for of in found] for name, found in scores.items()}
    for name, value in (("scores", rows), ("paired", paired), ("per_scenario", per_scenario)):
        (out.path / f"{name}.json").write_text(json.dumps(value, indent=1))
    _long_tail(config, {name: (keys[name], makers[keys[name]]) for name in TAIL_DRIVERS}, driven, fields, out)
    open_rows = open_loop_rows(inputs, stride=config.open_loop_stride, threads=config.threads)
    (out.path / "open_loop.json").write_text(json.dumps(open_rows, indent=1))
    completion = [of.get("route_completion_frac", 0.0) for of in per_scenario[RELEASED]]
    _film(config, makers[keys[RELEASED]](), completion, out)
    out.record(
        **{
            f"{name}_completion_frac": row["mean"]
            for name in scores
            for row in rows
            if row["policy"] == name and row["metric"] == "route_completion_frac"
        }
    )
    if not open_rows:
        out.thin("No real recording was held out, so there is no open-loop table: give --clips with two or more recordings of a kind.")
    out.thin(f"{config.num_scenarios} held-out scenarios: intervals are wide, and a percentile bootstrap of so few is a little too narrow.")


def held_out(num_scenarios: int, num_agents: int) -> list[Any]:
    """Ordinary traffic, the same towns for everyone who is ever judged."""
    from motorworks.sim.seeds import FIRST_HELD_OUT_SEED, town_scenarios

    return town_scenarios(FIRST_HELD_OUT_SEED, num_scenarios, num_agents=num_agents)


def _scenarios(config: EvaluateConfig) -> list[Any]:
    return held_out(config.num_scenarios, config.num_agents)


def held_out_tail(num_scenarios: int, num_agents: int) -> list[Any]:
    """Staged scenarios of the long tail, in held-out towns of their own, apart from those of ordinary traffic."""
    from motorworks.sim.curriculum import tail_scenarios
    from motorworks.sim.seeds import FIRST_HELD_OUT_SEED

    with held_out_open("evaluate"):
        return tail_scenarios(FIRST_HELD_OUT_SEED + 1000, num_scenarios, num_agents=num_agents)


def drive_held_out(num_envs: int, threads: int, makers: "Mapping[str, Callable[[], Policy]]", scenarios: list[Any], key: str, folder: Path) -> None:
    """One policy over scenarios: scores, failures, and where each drive belongs."""
    from motorworks.datatypes.rig import rig_of
    from motorworks.metrics.closed_loop import score_rollout
    from motorworks.metrics.failures import explain_failures
    from motorworks.sim.rollout import roll_out
    from motorworks.sim.town import Town

    policy = makers[key]()
    with held_out_open("evaluate"):
        world = Town(min(num_envs, len(scenarios)), threads=threads, rig=rig_of(num_views(policy)))
        rollouts = roll_out(world, policy, scenarios, keep_plans=True)
    rows = [{"scores": score_rollout(r), "failures": explain_failures(r), "kind": r.scenario.kind, "tags": r.tags} for r in rollouts]
    (folder / "drives.pickle").write_bytes(pickle.dumps(rows))


def _long_tail(
    config: EvaluateConfig, drivers: "dict[str, tuple[str, Callable[[], Policy]]]", driven: dict[str, Any], fields: dict[str, Any], out: Output
) -> None:
    """Leaves by_scenario.json and by_odd.json (ordinary drives and the long tail together) and failures.json, for a few drivers."""
    from motorworks.metrics.tables import per_odd_rows, per_scenario_rows

    makers = dict(drivers.values())
    scenarios = held_out_tail(config.num_tail, config.num_agents) if config.num_tail else []
    run = partial(drive_held_out, config.num_envs, config.threads, makers, scenarios)
    folders = out.items("tail", list(makers), run, depends_on=fields) if config.num_tail else []
    tail = {key: pickle.loads((folder / "drives.pickle").read_bytes()) for key, folder in zip(makers, folders, strict=False)}
    by_scenario, by_odd, failures = [], [], []
    for name, (key, _) in drivers.items():
        drives = driven[name] + tail.get(key, [])
        scores = [drive["scores"] for drive in drives]
        by_scenario += per_scenario_rows(scores, [drive["kind"] for drive in drives], policy=name, world="town", metrics=TAIL_METRICS)
        by_odd += per_odd_rows(scores, [drive["tags"] for drive in drives], policy=name, world="town", metrics=TAIL_METRICS)
        failures += [{"policy": name, **asdict(one), "text": one.text} for drive in drives for one in drive["failures"]]
    for name, rows in (("by_scenario", by_scenario), ("by_odd", by_odd)):
        (out.path / f"{name}.json").write_text(json.dumps([asdict(row) for row in rows], indent=1))
    (out.path / "failures.json").write_text(json.dumps(failures, indent=1))


def _film(config: EvaluateConfig, policy: "Policy", completion_frac: list[float], out: Output) -> None:
    """The worst and the best are driven again with the camera kept: the same scenario gives the same rollout."""
    from motorworks.sim.rollout import iterate_rollouts
    from motorworks.sim.town import Town

    scenarios = [_scenarios(config)[index] for index in choose_drives(completion_frac)]
    with held_out_open("evaluate"):
        drives = iterate_rollouts(Town(1), policy, scenarios, keep_frames=True, keep_plans=True)
        draw_strips(out, (rollout for _, rollout in drives))

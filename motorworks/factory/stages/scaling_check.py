"""The forecast against what came, and what loss means at the wheel: closed-loop failures of ever larger runs, beside the probes."""

import json
import pickle
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motorworks.factory.artifact import Artifact, Inputs
from motorworks.factory.errors import BadInput
from motorworks.factory.fingerprint import digest
from motorworks.factory.stages.gate import NUM_ENVS
from motorworks.factory.stages.scaling_forecast import fit_of_rows
from motorworks.factory.step import Output

if TYPE_CHECKING:
    from motorworks.policy.policy import Policy

FIRST_SEED = 5_000  # training towns that no clip of this recipe comes from; the held-out ones are for `evaluate`
FAILURES = ("route_left_frac", "failed_frac")  # what is left of the route, and drives that did not end clean
PROBES = ("stand_still", "constant_velocity", "expert")


@dataclass(frozen=True, kw_only=True)
class ScalingCheckConfig:
    """How many ordinary drives each run of the diagonal gets; none: no closed loop."""

    num_scenarios: int = 12
    num_agents: int = 10
    num_resamples: int = 300
    threads: int = 1
    seed: int = 0


def run(config: ScalingCheckConfig, inputs: Inputs, out: Output) -> None:
    """Leaves check.json: the error of the forecast and the exponents of all runs; and drives.json: a row a driver and metric."""
    grid, largest, forecast = (inputs.one(role) for role in ("grid", "largest", "forecast"))
    told = json.loads((forecast.path / "forecast.json").read_text())
    _check_order(grid, forecast, largest)
    rows = json.loads((grid.path / "cells.json").read_text())
    [last] = json.loads((largest.path / "cells.json").read_text())
    fit, _ = fit_of_rows([*rows, last], num_resamples=config.num_resamples, seed=config.seed)
    exponents = {"alpha": fit.interval(lambda law: law.params_exponent), "beta": fit.interval(lambda law: law.samples_exponent)}
    error = told["loss"]["value"] / last["loss"] - 1
    check = {
        "largest": last,
        "forecast": told["loss"],
        "error_frac": error,
        "within_interval": told["loss"]["low"] <= last["loss"] <= told["loss"]["high"],
        "with_all_runs": {name: asdict(at) for name, at in exponents.items()},
    }
    (out.path / "check.json").write_text(json.dumps(check, indent=1))
    out.record(forecast_error_frac=error, measured_loss=last["loss"], forecast_loss=told["loss"]["value"], within_interval=check["within_interval"])
    out.say(f"measured {last['loss']:.4f}, forecast {told['loss']['value']:.4f}: {100 * error:+.1f} %")
    if config.num_scenarios:
        drivers = [(grid, row) for row in diagonal(rows)] + [(largest, last)]
        (out.path / "drives.json").write_text(json.dumps(_drives(config, drivers, out), indent=1))
        out.thin(f"{config.num_scenarios} drives each, by imitation alone: failures tell weak runs from weaker ones, not how good driving gets.")
    out.thin("One largest run with one seed: its own scatter is part of the error of the forecast.")


def _check_order(grid: Artifact, forecast: Artifact, largest: Artifact) -> None:
    """The records themselves say that the forecast saw the grid and the largest run came after it."""
    read = {one.name: one.record["fingerprint_fields"]["inputs"] for one in (forecast, largest)}
    if (
        read[forecast.name].get("grid") != [grid.digest]
        or "largest" in read[forecast.name]
        or read[largest.name].get("forecast") != [forecast.digest]
    ):
        raise BadInput(
            f"{largest} was not made after {forecast}, or that not from {grid}: the largest step must read the forecast, the forecast the grid"
        )


def diagonal(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A run a size, with more samples the larger it is."""
    widths, amounts = (sorted({row[name] for row in rows}) for name in ("width", "num_samples"))
    step = (len(amounts) - 1) / max(1, len(widths) - 1)
    wanted = {width: amounts[round(place * step)] for place, width in enumerate(widths)}
    return sorted((row for row in rows if row["num_samples"] == wanted[row["width"]]), key=lambda row: row["flops"])


def _drives(config: ScalingCheckConfig, drivers: list[tuple[Artifact, dict[str, Any]]], out: Output) -> dict[str, Any]:
    """A row per driver and metric; and of what fails, the exponent over compute."""
    import numpy as np

    from motorworks.metrics.aggregate import score_rows
    from motorworks.train.frontier import failure_exponent

    files = {row["name"]: artifact.path / "cells" / row["name"] / "model.safetensors" for artifact, row in drivers}
    made_from = {row["name"]: artifact.digest for artifact, row in drivers} | dict.fromkeys(PROBES, "code")
    keys = {digest({"driver": name, "made_from": of})[:32]: name for name, of in made_from.items()}
    fields = {"num_scenarios": config.num_scenarios, "num_agents": config.num_agents, "threads": config.threads}
    folders = out.items("driver", list(keys), partial(_drive, config, keys, files), depends_on=fields)
    scores = {name: pickle.loads((folder / "scores.pickle").read_bytes()) for name, folder in zip(keys.values(), folders, strict=True)}
    flops = {row["name"]: row["flops"] for _, row in drivers}
    rows = [asdict(row) | {"flops": flops.get(name)} for name, of in scores.items() for row in score_rows(of, policy=name, world="town")]
    exponents = {}
    for metric in FAILURES:
        values = np.array([[score.value for of in scores[name] for score in of if score.metric == metric] for name in flops])
        exponents[metric] = asdict(failure_exponent(np.array(list(flops.values())), values, seed=config.seed))
    return {"rows": rows, "exponents": exponents}


def _drive(config: ScalingCheckConfig, keys: dict[str, str], files: dict[str, Path], key: str, folder: Path) -> None:
    from motorworks.datatypes.score import Score
    from motorworks.metrics.closed_loop import score_rollout
    from motorworks.sim.rollout import roll_out
    from motorworks.sim.seeds import town_scenarios
    from motorworks.sim.town import Town

    scenarios = town_scenarios(FIRST_SEED, config.num_scenarios, num_agents=config.num_agents)
    policy = _driver(keys[key], files, config.threads)()
    rollouts = roll_out(Town(min(NUM_ENVS, len(scenarios)), threads=config.threads), policy, scenarios)
    scores = [score_rollout(rollout) for rollout in rollouts]
    for of in scores:
        value = {score.metric: score.value for score in of}
        left = (1 - value["route_completion_frac"], 1 - value["success_frac"])
        of += [Score(metric=metric, value=of_drive) for metric, of_drive in zip(FAILURES, left, strict=True)]
    (folder / "scores.pickle").write_bytes(pickle.dumps(scores))


def _driver(name: str, files: dict[str, Path], threads: int) -> "Callable[[], Policy]":
    from motorworks.factory.stages.contestants import torch_policy
    from motorworks.policy.expert import Expert
    from motorworks.policy.probes import ConstantVelocity, StandStill

    probes: dict[str, Callable[[], Policy]] = {"stand_still": StandStill, "constant_velocity": ConstantVelocity, "expert": Expert}
    return probes.get(name) or partial(torch_policy, files[name], name, threads)

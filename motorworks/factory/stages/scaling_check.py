"""The forecast against what came."""

import json
from dataclasses import asdict, dataclass
from statistics import fmean

from motorworks.factory.artifact import Artifact, Inputs
from motorworks.factory.errors import BadInput
from motorworks.factory.stages.scaling_forecast import fit_of_rows
from motorworks.factory.step import Output


@dataclass(frozen=True, kw_only=True)
class ScalingCheckConfig:
    """How the law of all runs is fitted."""

    num_resamples: int = 300
    seed: int = 0


def run(config: ScalingCheckConfig, inputs: Inputs, out: Output) -> None:
    """Leaves check.json: the error of the forecast against the mean loss of the seeds, and the exponents of all runs."""
    grid, largest, forecast = (inputs.one(role) for role in ("grid", "largest", "forecast"))
    told = json.loads((forecast.path / "forecast.json").read_text())
    _check_order(grid, forecast, largest)
    rows = json.loads((grid.path / "cells.json").read_text())
    seeds = json.loads((largest.path / "cells.json").read_text())
    fit, _ = fit_of_rows([*rows, *seeds], num_resamples=config.num_resamples, seed=config.seed)
    exponents = {"alpha": fit.interval(lambda law: law.params_exponent), "beta": fit.interval(lambda law: law.samples_exponent)}
    last = seeds[0] | {name: fmean(row[name] for row in seeds) for name in ("loss", "loss_low", "loss_high")}
    error = told["loss"]["value"] / last["loss"] - 1
    check = {
        "largest": last | {"losses": [row["loss"] for row in seeds]},
        "forecast": told["loss"],
        "error_frac": error,
        "within_interval": told["loss"]["low"] <= last["loss"] <= told["loss"]["high"],
        "with_all_runs": {name: asdict(at) for name, at in exponents.items()},
    }
    (out.path / "check.json").write_text(json.dumps(check, indent=1))
    out.record(forecast_error_frac=error, measured_loss=last["loss"], forecast_loss=told["loss"]["value"], within_interval=check["within_interval"])
    out.say(f"measured {last['loss']:.4f}, forecast {told['loss']['value']:.4f}: {100 * error:+.1f} %")
    if len(seeds) == 1:
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

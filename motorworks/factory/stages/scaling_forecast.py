"""What the grid says about the largest run, written down before there is one: the runs of the grid are all that this stage sees."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from motorworks.factory.artifact import Inputs
from motorworks.factory.stages.scaling_cell import ScalingCellConfig, planned_runs
from motorworks.factory.step import Output

NUM_BUDGETS = 5  # of the isoFLOP plot
NUM_POINTS = 25  # of a drawn curve


@dataclass(frozen=True, kw_only=True)
class ScalingForecastConfig:
    """About which run, and how the law is fitted (train.scaling_law)."""

    largest: ScalingCellConfig
    num_resamples: int = 300
    seed: int = 0


def run(config: ScalingForecastConfig, inputs: Inputs, out: Output) -> None:
    """Leaves forecast.json: the largest run and its loss to come, the law, exponents with intervals, and doubts; and curves.json to draw."""
    from motorworks.train.frontier import back_test, doubts, params_share, samples_share, seed_scatter
    from motorworks.train.scaling_run import size_of

    grid = inputs.one("grid")
    planned = planned_runs(config.largest, inputs.one("samples").path)[0]
    largest = {name: planned[name] for name in ("width", "num_samples")} | size_of(planned["width"])
    rows = json.loads((grid.path / "cells.json").read_text())
    fit, cost = fit_of_rows(rows, num_resamples=config.num_resamples, seed=config.seed)
    told = fit.forecast(largest["params"], largest["num_samples"], seed=config.seed)
    against = doubts(fit, params=largest["params"], samples=largest["num_samples"])
    exponents = {
        "alpha": fit.interval(lambda law: law.params_exponent),
        "beta": fit.interval(lambda law: law.samples_exponent),
        "irreducible": fit.interval(lambda law: law.irreducible),
        "params_of_compute": fit.interval(lambda law: params_share(law, cost)),
        "samples_of_compute": fit.interval(lambda law: samples_share(law, cost)),
    }
    forecast = {
        "largest": largest,
        "loss": asdict(told),
        "law": asdict(fit.law),
        "cost": asdict(cost),
        "exponents": {name: asdict(at) for name, at in exponents.items()},
        "doubts": against,
        "back_test": back_test(fit),
        "residual_spread_frac": float(fit.residuals.std()),
        "seed_spread_frac": seed_scatter(fit.runs),
        "cells": [row | {"fitted_loss": float(fit.law.loss(row["params"], row["num_samples"]))} for row in rows],
    }
    (out.path / "forecast.json").write_text(json.dumps(forecast, indent=1))
    (out.path / "curves.json").write_text(json.dumps(_curves(fit, cost, rows, largest)))
    out.record(forecast_loss=told.value, forecast_low=told.low, forecast_high=told.high, num_runs=len(rows), num_doubts=len(against))
    said = f"{told.value:.4f} [{told.low:.4f}, {told.high:.4f}]"
    out.say(f"width {largest['width']} on {largest['num_samples']} samples will have a held-out loss of {said}")
    for doubt in against:
        out.thin(f"Not to be trusted: {doubt}.")


def fit_of_rows(rows: list[dict[str, Any]], *, num_resamples: int, seed: int) -> tuple[Any, Any]:
    """The law of these runs and what a run costs."""
    import numpy as np

    from motorworks.factory.errors import BadInput
    from motorworks.train.frontier import fit_cost
    from motorworks.train.scaling_law import CannotFit, Runs, fit_law

    params, samples, loss, flops = (np.array([row[name] for row in rows], float) for name in ("params", "num_samples", "loss", "flops_per_sample"))
    try:
        fit = fit_law(Runs(params=params, samples=samples, loss=loss), num_resamples=num_resamples, seed=seed)
    except CannotFit as error:
        raise BadInput(f"no law can be fitted to the grid: {error}") from error
    return fit, fit_cost(params, flops, passes=rows[0]["passes"])


def _curves(fit: Any, cost: Any, rows: list[dict[str, Any]], largest: dict[str, Any]) -> dict[str, Any]:
    """Loss over size for each amount of data and for budgets, and the least loss of every budget; each with 95 % of the resampled laws."""
    import numpy as np

    from motorworks.train.frontier import best_params

    sizes = np.geomspace(min(row["params"] for row in rows) / 1.5, largest["params"] * 1.5, NUM_POINTS)
    amounts = [*sorted({row["num_samples"] for row in rows}), largest["num_samples"]]
    most = float(cost.flops(largest["params"], largest["num_samples"]))
    budgets = np.geomspace(min(row["flops"] for row in rows), most, NUM_BUDGETS)
    compute = np.geomspace(budgets[0], most * 2, NUM_POINTS)

    def best(law: Any) -> Any:
        at = np.array([best_params(law, cost, flops) for flops in compute])
        return law.loss(at, cost.affordable(compute, at))

    return {
        "by_samples": [{"num_samples": num} | _band(fit, sizes, lambda law, num=num: law.loss(sizes, num)) for num in amounts],
        "by_flops": [
            {"flops": float(flops)} | _band(fit, sizes, lambda law, flops=flops: law.loss(sizes, cost.affordable(flops, sizes))) for flops in budgets
        ],
        "frontier": _band(fit, compute, best),
        "best_params": {"x": compute.tolist(), "y": [best_params(fit.law, cost, flops) for flops in compute]},
    }


def _band(fit: Any, x: Any, of: Any) -> dict[str, list[float]]:
    import numpy as np

    low, high = np.nanquantile(np.array([of(law) for law in fit.resampled]), (0.025, 0.975), axis=0)
    return {"x": x.tolist(), "y": of(fit.law).tolist(), "low": low.tolist(), "high": high.tolist()}

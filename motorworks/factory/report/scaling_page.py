"""The page of a scaling grid: the forecast and what came, the law and its doubts, what compute buys, and what loss means at the wheel."""

import json
from collections.abc import Mapping
from typing import Any

from motorworks.factory.report.charts import Band, Dot, Mark, dot_whisker, number, plane, short
from motorworks.factory.report.html import Section, absent, finite, folded, grid, marks, mean_and_interval, table, tiles, words
from motorworks.factory.report.names import metric_words
from motorworks.factory.report.records import Record, Turn
from motorworks.factory.report.sections import thin

WAYMO = {"params_of_compute": (0.63, 0.08), "samples_of_compute": (0.44, 0.06)}  # arXiv 2506.08228: 84 models of 0.9 to 118 M parameters
WANTED_ERROR_FRAC = 0.03
MOST_MISSED_FRAC = WANTED_ERROR_FRAC / 2  # as train.frontier has it, which the page does not import: it needs no SciPy
_TONES = ("s1", "s2", "s5", "s4", "s6", "expert", "probe")
_EXPONENTS = {
    "alpha": "alpha: loss over size",
    "beta": "beta: loss over data",
    "params_of_compute": "size over compute",
    "samples_of_compute": "data over compute",
}
_AT_THE_WHEEL = ("route_left_frac", "failed_frac")
_WORDS = {"route_left_frac": "route not driven, share", "failed_frac": "drives without a clean arrival, share"}

Facts = Mapping[str, Any]


def scaling_sections(turn: Turn) -> list[Section]:
    """All sections; what was not made yet says so."""
    forecast, check = _json(turn.find("forecast"), "forecast.json"), _json(turn.find("check"), "check.json")
    curves, drives = _json(turn.find("forecast"), "curves.json"), _json(turn.find("wheel"), "drives.json")
    if forecast is None or curves is None:
        why = "The grid has no forecast yet: run `motorworks scaling` to its end."
        return [Section(anchor="headline", title="What came out", lead=why, blocks=()), _runs(turn, None), thin(turn)]
    measured = check["largest"] if check else None
    return [
        _headline(forecast, check),
        _law(forecast, curves, measured),
        _compute(forecast, curves, measured),
        _exponents(forecast),
        _wheel(drives),
        _runs(turn, forecast),
        thin(turn),
    ]


def _headline(forecast: Facts, check: Facts | None) -> Section:
    told, largest, against = forecast["loss"], forecast["largest"], forecast["doubts"]
    band = f"95 % between {told['low']:.4f} and {told['high']:.4f}"
    items = [("Forecast", f"{told['value']:.4f}", f"{band}, written before the run", "")]
    spread, seeds = forecast["residual_spread_frac"], forecast["seed_spread_frac"]
    scatter = f"runs scatter by {100 * spread:.2f} % about the law" + (f", by {100 * seeds:.2f} % between seeds" if seeds is not None else "")
    trusted = (not against, "nothing speaks against the fit", "; ".join([*against, scatter]))
    held: list[tuple[bool | None, str, str]] = [
        (None, "forecast within 3 % of the loss", "not run yet"),
        (None, "measured within the interval", ""),
        trusted,
    ]
    held += [
        (abs(missed) < MOST_MISSED_FRAC, f"fitted without the most {name}, it says what those runs reach", f"{100 * missed:+.1f} %")
        for name, missed in forecast["back_test"].items()
    ]
    plots = [Dot(label="forecast", mean=told["value"], low=told["low"], high=told["high"])]
    lead = "The largest run has not been made yet."
    if check:
        last, error = check["largest"], check["error_frac"]
        items = [
            ("Error of the forecast", f"{100 * error:+.1f} %", "of the measured loss", "good" if abs(error) < WANTED_ERROR_FRAC else "bad"),
            *items,
            (
                "Measured",
                f"{last['loss']:.4f}",
                f"held-out recordings: {last['loss_low']:.4f} to {last['loss_high']:.4f}; {_each(last['losses'])}",
                "accent",
            ),
        ]
        held[:2] = [
            (abs(error) < WANTED_ERROR_FRAC, "forecast within 3 % of the loss", f"{100 * error:+.2f} %"),
            (check["within_interval"], "measured within the interval", band),
        ]
        plots.append(Dot(label="measured", mean=last["loss"], low=last["loss"], high=last["loss"], tone="accent"))
        lead = f"Forecast {told['value']:.3f}, measured {last['loss']:.3f}: {100 * error:+.1f} % off" + (
            ", and not to be trusted." if against else "."
        )
    items.append(("The largest run", short(largest["params"]), f"parameters, {largest['num_samples']:,} samples; {largest['width']} wide", ""))
    blocks = (tiles(items), marks(held), dot_whisker(plots, title="held-out loss of the largest run"))
    return Section(anchor="headline", title="What came out", lead=lead, blocks=blocks)


def _each(losses: list[float]) -> str:
    return "one seed" if len(losses) == 1 else f"mean of {len(losses)} seeds: {', '.join(f'{loss:.4f}' for loss in losses)}"


def _law(forecast: Facts, curves: Facts, measured: Facts | None) -> Section:
    amounts = [row["num_samples"] for row in curves["by_samples"]]
    tones = dict(zip(amounts, _TONES, strict=False))
    bands = [_band(row, f"{row['num_samples']:,} samples", tones[row["num_samples"]]) for row in curves["by_samples"]]
    points = [Mark(x=row["params"], y=row["loss"], tone=tones[row["num_samples"]]) for row in forecast["cells"]]
    if measured:
        points.append(_largest(measured, measured["params"]))
    law = forecast["law"]
    formula = (
        f"L = {law['irreducible']:.3g} + {law['params_factor']:.3g} / N^{law['params_exponent']:.3f}"
        f" + {law['samples_factor']:.3g} / D^{law['samples_exponent']:.3f}"
    )
    lead = f"{formula}; shaded is where 95 % of the laws of resampled residuals lie."
    return Section(
        anchor="law",
        title="Loss over size and data",
        lead=lead,
        blocks=(
            plane(bands, points, title="held-out loss over parameters N, for each amount of samples D", x_label="parameters", width=1060, height=380),
        ),
    )


def _compute(forecast: Facts, curves: Facts, measured: Facts | None) -> Section:
    budgets = [
        _band({**row, "low": (), "high": ()}, f"{short(row['flops'])} FLOP", tone) for row, tone in zip(curves["by_flops"], _TONES, strict=False)
    ]
    points = [Mark(x=row["flops"], y=row["loss"], tone="s1") for row in forecast["cells"]]
    if measured:
        points.append(_largest(measured, measured["flops"]))
    frontier = plane(
        [_band(curves["frontier"], "least loss of a budget, by the law", "s2")],
        points,
        title="loss over compute: runs, and the frontier",
        x_label="training FLOP",
        log_y=True,
    )
    best = plane([_band(curves["best_params"], "best size of a budget", "s2")], [], title="the best size", x_label="training FLOP", log_y=True)
    same = plane(budgets, [], title="isoFLOP: loss over size for one budget each", x_label="parameters", log_y=True)
    lead = f"A sample costs N^{forecast['cost']['exponent']:.2f} FLOP here; every run passes {forecast['cost']['passes']:.0f} times over its samples."
    return Section(anchor="compute", title="What compute buys", lead=lead, blocks=(grid([frontier, same, best]),))


def _exponents(forecast: Facts) -> Section:
    dots, rows = [], []
    for name, label in _EXPONENTS.items():
        at = forecast["exponents"][name]
        dots.append(Dot(label=label, mean=at["value"], low=at["low"], high=at["high"]))
        theirs = WAYMO.get(name)
        rows.append([label, mean_and_interval({**at, "mean": at["value"]}), f"{theirs[0]} ± {theirs[1]}" if theirs else ""])
        if theirs:
            dots.append(Dot(label=f"{label}, Waymo", mean=theirs[0], low=theirs[0] - theirs[1], high=theirs[0] + theirs[1], tone="probe"))
    lead = "Beside Waymo's motion forecasting models of 0.9 to 118 million parameters (arXiv 2506.08228): other data, another loss, no camera."
    blocks = (dot_whisker(dots, title="exponents, 95 % intervals", width=760), table(["", "here", "Waymo"], rows))
    return Section(anchor="exponents", title="Exponents", lead=lead, blocks=blocks)


def _wheel(drives: Facts | None) -> Section:
    title = "At the wheel"
    if drives is None:
        return Section(anchor="wheel", title=title, lead="Not driven.", blocks=(absent("wheel left no drives.json"),))
    plots, said = [], []
    for metric in _AT_THE_WHEEL:
        rows = [row for row in drives["rows"] if row["metric"] == metric]
        points = [Mark(x=row["flops"], y=row["mean"], low=max(row["low"], 0.0), high=min(row["high"], 1.0)) for row in rows if finite(row["flops"])]
        ends = [min(mark.x for mark in points), max(mark.x for mark in points)]
        probes = [(words(row["policy"]), row["mean"], tone) for row, tone in zip([r for r in rows if r["flops"] is None], _TONES[1:], strict=False)]
        lines = [Band(label=label, xs=ends, ys=[mean, mean], tone=tone) for label, mean, tone in probes]
        plots.append(plane(lines, points, title=_WORDS[metric], x_label="training FLOP"))
        at = drives["exponents"][metric]
        said.append(f"{_WORDS[metric]} ~ C^{at['value']:.2f} [{at['low']:.2f}, {at['high']:.2f}]")
    shown = [*_AT_THE_WHEEL, "driving_score", "collision_frac", "off_road_frac"]
    by = {(row["policy"], row["metric"]): row for row in drives["rows"]}
    policies = list(dict.fromkeys(row["policy"] for row in drives["rows"]))
    rows = [[words(policy), *(mean_and_interval(by.get((policy, metric))) for metric in shown)] for policy in policies]
    head = ["", *(_WORDS.get(metric) or metric_words(metric) for metric in shown)]
    return Section(anchor="wheel", title=title, lead="; ".join(said) + ".", blocks=(grid(plots), table(head, rows, kind="scores")))


def _runs(turn: Turn, forecast: Facts | None) -> Section:
    rows: list[list[object]] = []
    for stage in ("grid", "largest"):
        record = turn.find(stage)
        for row in record.rows("cells.json") if record else ():
            clock = _json(record, f"cells/{row['name']}/clock.json") or {}
            fitted = next((cell["fitted_loss"] for cell in forecast["cells"] if cell["name"] == row["name"]), None) if forecast else None
            cells = [row["name"], short(row["params"]), f"{row['num_samples']:,}", f"{row['steps']:,}", f"{row['lr']:.1e}", short(row["flops"])]
            loss = f"{row['loss']:.4f}"
            rows.append(
                [*cells, loss, f"{fitted:.4f}" if fitted else "", f"{row['train_loss']:.3f}", number(float(clock.get("wall_s", float("nan"))))]
            )
    head = ["run", "parameters", "samples", "steps", "rate", "FLOP", "held-out loss", "by the law", "training loss", "s"]
    return Section(anchor="runs", title="The runs", lead=f"{len(rows)} trainings from nothing.", blocks=(folded("all of them", table(head, rows)),))


def _band(row: Facts, label: str, tone: str) -> Band:
    return Band(label=label, xs=row["x"], ys=row["y"], low=row.get("low", ()), high=row.get("high", ()), tone=tone)


def _largest(measured: Facts, x: float) -> Mark:
    return Mark(x=x, y=measured["loss"], tone="s6", label="the largest run, measured")


def _json(record: Record | None, file: str) -> Any:
    if record is None or not (record.path / file).is_file():
        return None
    return json.loads((record.path / file).read_text())

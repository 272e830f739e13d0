"""A grid, its forecast and the run it was about, from samples to the page; what the records prove, and what is refused."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from motorworks.factory import cli, commands
from motorworks.factory.artifact import Artifact, Inputs
from motorworks.factory.errors import BadInput, BadUsage
from motorworks.factory.recipe import step_named
from motorworks.factory.report.write import write_report
from motorworks.factory.run import Runner, order
from motorworks.factory.scaling_budget import FEWEST, samples_for
from motorworks.factory.stages import scaling_cell, scaling_check
from motorworks.factory.step import RecipeOptions
from recipes.scaling import SCALING, scaling

sys.path.append(str(Path(__file__).parent))
import toy_scaling

HERE = "toyscaling/turn1"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, dict[str, Artifact]]:
    root = tmp_path_factory.mktemp("artifacts")
    return root, Runner(root).make(*toy_scaling.toy(RecipeOptions()))


def read(artifact: Artifact, file: str):
    return json.loads((artifact.path / file).read_text())


def test_every_run_is_a_training_on_more_of_the_same_samples(made):
    _, artifacts = made
    rows = read(artifacts[f"{HERE}/grid"], "cells.json")
    assert len(rows) == 18 and len({row["num_samples"] for row in rows}) == 3 and {row["seed"] for row in rows} == {0, 1}
    assert all(row["flops"] == row["flops_per_sample"] * row["steps"] * row["batch_size"] for row in rows)
    assert len({row["loss"] for row in rows}) == 18
    assert all(row["loss_low"] <= row["loss"] <= row["loss_high"] for row in rows)
    means = [np.mean([row["loss"] for row in rows if row["num_samples"] == num]) for num in sorted({row["num_samples"] for row in rows})]
    assert means[-1] < means[0]  # what is to be learnt here can be learnt
    ends = read(artifacts[f"{HERE}/samples"], "ends.json")
    assert all(row["num_samples"] in ends["train"] for row in rows)


def test_the_records_prove_that_the_forecast_came_first(made):
    _, artifacts = made
    grid, forecast, largest = (artifacts[f"{HERE}/{stage}"] for stage in ("grid", "forecast", "largest"))
    assert forecast.record["fingerprint_fields"]["inputs"] == {"grid": [grid.digest], "samples": [artifacts[f"{HERE}/samples"].digest]}
    assert largest.record["fingerprint_fields"]["inputs"]["forecast"] == [forecast.digest]
    assert forecast.record["created"] <= largest.record["created"]
    told, [row, again] = read(forecast, "forecast.json"), read(largest, "cells.json")
    assert told["largest"]["num_samples"] == row["num_samples"] and told["largest"]["params"] == row["params"]
    assert {**again, "name": 0, "seed": 0} == {**row, "name": 0, "seed": 0} | {name: value for name, value in again.items() if "loss" in name}
    assert max(cell["num_samples"] for cell in told["cells"]) < row["num_samples"]


def test_the_check_is_the_forecast_against_the_run_and_drives_them(made):
    _, artifacts = made
    told, rows = read(artifacts[f"{HERE}/forecast"], "forecast.json"), read(artifacts[f"{HERE}/largest"], "cells.json")
    check, drives = read(artifacts[f"{HERE}/check"], "check.json"), read(artifacts[f"{HERE}/wheel"], "drives.json")
    assert check["error_frac"] == pytest.approx(told["loss"]["value"] / np.mean([row["loss"] for row in rows]) - 1)
    left = {of["policy"]: of["mean"] for of in drives["rows"] if of["metric"] == "route_left_frac"}
    assert {"stand_still", "expert", rows[0]["name"]} <= set(left) and len(left) == 3 + 3 + 1
    assert left["expert"] < 0.5 < left["stand_still"]
    assert any("are few" in doubt for doubt in told["doubts"])


def test_what_is_made_is_reused_and_another_forecast_makes_the_largest_run_again(made):
    root, _ = made
    goals = toy_scaling.toy(RecipeOptions())
    planned = {one.step.name: one.state for one in Runner(root).plan(*goals)}
    assert set(planned.values()) == {"cached"}
    largest = step_named(goals, f"{HERE}/largest")
    other = replace(largest.inputs["forecast"], config=replace(largest.inputs["forecast"].config, num_resamples=21))
    again = replace(largest, inputs={**largest.inputs, "forecast": other})
    assert [one.state for one in Runner(root).plan(again)][-2:] == ["run", "waits"]


def test_a_forecast_about_another_run_is_refused(made):
    _, artifacts = made
    inputs = Inputs(samples=artifacts[f"{HERE}/samples"], forecast=artifacts[f"{HERE}/forecast"])
    config = step_named(toy_scaling.toy(RecipeOptions()), f"{HERE}/largest").config
    scaling_cell._check_forecast(config, inputs)
    with pytest.raises(BadInput, match="is about a run 40 wide on 640 samples, this one is w48-d640-s0"):
        scaling_cell._check_forecast(replace(config, widths=(48,)), inputs)


def test_a_largest_run_without_the_forecast_is_refused(made):
    _, artifacts = made
    grid, forecast, largest = (artifacts[f"{HERE}/{stage}"] for stage in ("grid", "forecast", "largest"))
    blind = json.loads(json.dumps(largest.record))
    del blind["fingerprint_fields"]["inputs"]["forecast"]
    with pytest.raises(BadInput, match="the largest step must read the forecast"):
        scaling_check._check_order(grid, forecast, replace(largest, record=blind))


def test_the_page_shows_the_error_the_doubts_and_what_is_missing(made):
    root, artifacts = made
    page = write_report(root, "toyscaling", 1).read_text()
    error = read(artifacts[f"{HERE}/check"], "check.json")["error_frac"]
    assert f"{100 * error:+.1f} %" in page and "are few" in page and "incomplete" not in page
    assert "Waymo" in page and "isoFLOP" in page and "stand still" in page


def test_too_few_clips_end_in_one_line_and_the_page_of_what_there_is(toy, tmp_path, capsys):
    given = ["--artifacts", str(tmp_path)]
    assert cli.main(["run", "--recipe", "toy_scaling:few", *given]) == 3
    assert "there are 3 recordings: two to train on and two to hold out is the least" in capsys.readouterr().err
    assert cli.main(["run", "--recipe", "toy_scaling:two_sizes", *given]) == 3
    assert "no law can be fitted to the grid: 12 runs of 2 sizes" in capsys.readouterr().err
    assert "no forecast yet" in (tmp_path / "twosizes/turn1/report.html").read_text()


def samples(folder: Path, **given) -> int:
    """What a budget buys where every member trains at 400 samples/s and 1e8 FLOP each."""
    grid = step_named(scaling(RecipeOptions()), "scaling/turn1/grid").config
    rows = [{"width": width, "samples_per_s": 400.0, "flops_per_sample": 1e8} for width in (*grid.widths, SCALING.largest_width)]
    (folder / "speed.json").write_text(json.dumps(rows))
    return samples_for(commands.Scaling(**given), Artifact(name="scaling/speed", version="dev", path=folder, record={}), grid)


def test_minutes_and_flops_become_samples(tmp_path):
    drawn = 2 * 2 * (1 + 5 * (1 / 5 + 3 / 10 + 9 / 20 + 2 / 3))  # of all runs, for each sample of the largest
    assert samples(tmp_path, flops=1e8 * drawn * 12_345) == 12_300
    short, long, side_by_side = samples(tmp_path, minutes=40), samples(tmp_path, minutes=80), samples(tmp_path, minutes=80, workers=2)
    assert FEWEST < short < long / 2 < side_by_side / 2
    with pytest.raises(BadUsage, match="--minutes 3 is too little for a grid here: give "):
        samples(tmp_path, minutes=3)


def test_the_largest_run_lies_beyond_a_grid_of_many_runs_and_waits_for_its_forecast():
    options = RecipeOptions(num_samples=12_000, seed=3)
    steps = {name: step_named(scaling(options), f"scaling/turn1/{name}") for name in ("grid", "forecast", "largest", "check")}
    grid, largest = steps["grid"].config, steps["largest"].config
    assert len(grid.widths) >= 4 and len(grid.data_fracs) >= 3 and grid.passes <= 4
    assert max(grid.widths) < largest.widths[0] and max(grid.data_fracs) < 1 == largest.data_fracs[0]
    assert grid.most_samples == largest.most_samples == 12_000 and grid.seed == largest.seed == 3
    assert "largest" not in steps["forecast"].inputs and steps["largest"].inputs["forecast"] == steps["forecast"]


def test_with_clips_of_ones_own_no_town_is_driven(tmp_path):
    names = {step.name for step in order(*scaling(RecipeOptions()))}
    assert names - {step.name for step in order(*scaling(RecipeOptions(clips=(tmp_path,))))} == {"scaling/town_clips"}

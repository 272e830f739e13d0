"""The rows of bench/results.json: their form, and that measuring one subject leaves the others alone. Nothing is timed here."""

import json
import math

import pytest

from bench.figure import Figure
from bench.results import merge, of_subjects, read, rows_of, table, write

FIELDS = {"name", "value", "unit", "against", "ratio", "machine", "date"}


def figure(name="sim.camera_fps_per_core", value=1234.56789, ratio=0.25):
    return Figure(name=name, value=value, unit="1/s", against="5,000/s of copies", ratio=ratio)


def rows(*names, value=1.0, date="2026-01-01T00:00:00+00:00"):
    return rows_of([figure(name, value) for name in names], machine="a machine", date=date)


def names_of(found):
    return [row["name"] for row in found]


def test_a_row_has_the_fields_of_the_design():
    (row,) = rows("sim.camera_fps_per_core", value=1234.56789)
    assert set(row) == FIELDS
    assert row["value"] == 1234.6, "five digits: more would be noise"
    assert (row["machine"], row["date"]) == ("a machine", "2026-01-01T00:00:00+00:00")


@pytest.mark.parametrize(
    "wrong",
    [{"value": math.nan}, {"ratio": math.inf}, {"name": "camera_fps"}, {"name": ".camera"}],
    ids=["nan", "inf", "no subject", "empty subject"],
)
def test_a_figure_that_was_not_measured_cannot_be_made(wrong):
    with pytest.raises(ValueError, match=r"figure name|must be finite"):
        figure(**wrong)


def test_one_subject_measured_again_leaves_the_others_alone():
    old = rows("drive.plan_p50_ms", "sim.camera_fps_per_core", "sim.gone")
    found = merge(old, rows("sim.camera_fps_per_core", value=2.0, date="2026-01-02T00:00:00+00:00"), ("sim",))
    assert names_of(found) == ["drive.plan_p50_ms", "sim.camera_fps_per_core"], "a figure not measured this time is gone, not stale"
    assert [row["value"] for row in found] == [1.0, 2.0]
    assert [row["date"][:10] for row in found] == ["2026-01-01", "2026-01-02"]


def test_a_subject_that_cannot_be_measured_here_is_absent():
    assert names_of(merge(rows("train.mfu_frac", "sim.a"), [], ("train",))) == ["sim.a"]
    assert names_of(of_subjects(rows("sim.a", "no_longer.b"), {"sim", "train"})) == ["sim.a"]


def test_figures_of_another_subject_or_twice_are_refused():
    with pytest.raises(ValueError, match=r"drive\.plan_p50_ms"):
        merge([], rows("drive.plan_p50_ms"), ("sim",))
    with pytest.raises(ValueError, match="measured twice"):
        merge([], rows("sim.a", "sim.a"), ("sim",))


def test_what_is_written_is_read_back_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "results.json"
    assert read(path) == []
    written = rows("sim.a", "train.b")
    write(path, written)
    assert read(path) == written
    assert names_of(json.loads(path.read_text())) == ["sim.a", "train.b"]
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


@pytest.mark.parametrize("text", ["[{", '{"name": 1}', "[1]", "3"])
def test_a_torn_file_is_named(tmp_path, text):
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"results\.json is not a list of figures"):
        read(path)


def test_the_table_has_a_line_a_figure():
    lines = table(rows("sim.a", "sim.longer_name")).splitlines()
    assert len(lines) == 2 and lines[0].startswith("sim.a ") and "5,000/s of copies" in lines[1]
    assert table([]) == ""

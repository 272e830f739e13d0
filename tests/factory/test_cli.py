"""The command line as people and scripts meet it."""

import json
import os
import subprocess
import sys
import time

import pytest

from motorworks.factory import cli, commands
from motorworks.factory.progress import Lines, describe, duration

TOY = ("--recipe", "toy_recipe:toy")


@pytest.fixture
def here(toy, tmp_path, monkeypatch):
    monkeypatch.setenv("MOTORWORKS_ARTIFACTS", str(tmp_path / "artifacts"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(cli, "_write_report", lambda command, recipe, turn: f"{recipe}-{turn}.html")
    return tmp_path


def test_run_dry_run_list_show_and_stage(here, capsys):
    assert cli.main(["run", *TOY, "--dry-run", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["name"], row["state"]) for row in rows] == [("toy/turn1/gather", "run"), ("toy/turn1/count", "waits")]
    assert cli.main(["run", *TOY, "--json"]) == 0
    ran = json.loads(capsys.readouterr().out)
    assert ran["report"] == "toy-1.html" and [row["name"] for row in ran["artifacts"]] == ["toy/turn1/gather", "toy/turn1/count"]
    assert cli.main(["run", *TOY, "--dry-run"]) == 0
    assert capsys.readouterr().out == "cached  toy/turn1/gather@dev\ncached  toy/turn1/count@dev\n"
    assert cli.main(["list", "--json"]) == 0
    assert [row["digest"] for row in json.loads(capsys.readouterr().out)] == sorted_digests(ran)
    assert cli.main(["list"]) == 0
    assert "toy/turn1/count@dev" in capsys.readouterr().out
    assert cli.main(["show", "toy/turn1/gather"]) == 0
    assert "num_items" in capsys.readouterr().out
    assert cli.main(["show", "toy/turn1/gather@dev", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["num_items"] == 3
    assert cli.main(["stage", "toy/turn2/gather", *TOY, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["outcome"].startswith("built")
    assert cli.main(["report", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"report": "toy-2.html"}


def sorted_digests(ran):
    return [row["digest"] for row in sorted(ran["artifacts"], key=lambda row: row["name"])]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["run", "tiyn"], 2, "no recipe is called 'tiyn'"),
        (["run"], 2, "which recipe?"),
        (["run", "--recipe", "toy_recipe:tyo"], 2, "did you mean toy?"),
        (["run", "--recipe", "no_such_module:toy"], 2, "there is no module 'no_such_module'"),
        (["run", *TOY, "--turn", "0"], 2, "turns count from 1"),
        (["run", *TOY, "--engine", "local", "--workers", "2"], 2, "--engine processes"),
        (["run", *TOY, "--workers", "0"], 2, "--workers 0: at least 1"),
        (["ingest"], 2, "ingest what?"),
        (["ingest", "not/there", "--dry-run"], 3, "not/there does not exist"),
        (["run", *TOY, "--clips", "not/there"], 3, "not/there: no such file or folder"),
        (["run", "--recipe", "toy_recipe:broken"], 1, "broken/turn1/breaks failed: ZeroDivisionError"),
        (["run", "--recipe", "toy_recipe:unreadable"], 3, "clips/seven is empty"),
        (["stage", "toy/turn1/gathr", *TOY], 2, "did you mean toy/turn1/gather"),
        (["show", "toy/turn1/gather"], 2, "no artifact is called"),
        (["report"], 2, "holds no artifact"),
    ],
)
def test_errors_are_one_clear_line_with_a_documented_code(here, capsys, arguments, code, said):
    assert cli.main(arguments) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    last = captured.err.strip().splitlines()[-1]
    assert last.startswith("motorworks: ") and said in last
    assert "Traceback" not in captured.err


def test_a_dry_run_of_ingest_shows_and_keeps_nothing(tmp_path, write_tub, capsys):
    write_tub(tmp_path / "drives" / "tub", 70)
    (tmp_path / "drives" / "notes.xyz").write_text("?")
    assert cli.main(["ingest", str(tmp_path / "drives"), "--dry-run", "--json", "--artifacts", str(tmp_path / "art")]) == 0
    seen = json.loads(capsys.readouterr().out)
    (layout,) = seen["layouts"]
    assert (layout["reader"], layout["recordings"], layout["tried"][0]["clips"], seen["unknown"]) == ("donkeycar", 1, 1, {".xyz": 1})
    assert "data:image/jpeg;base64" in (tmp_path / "art/look.html").read_text() and os.listdir(tmp_path / "art") == ["look.html"]


def test_debug_shows_the_traceback(here):
    with pytest.raises(Exception, match="nothing to divide by"):
        cli.main(["run", "--recipe", "toy_recipe:broken", "--debug"])


@pytest.mark.parametrize("arguments", [["rnu"], ["run", "--trun", "2"], ["show"], []])
def test_wrong_usage_ends_with_two(here, capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err


def test_the_nearest_command_is_named(capsys):
    with pytest.raises(SystemExit):
        cli.main(["rnu", "tiny"])
    assert "did you mean run?" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["", *commands.VERBS])
def test_golden_help(verb, golden, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("MOTORWORKS_ARTIFACTS", raising=False)
    with pytest.raises(SystemExit):
        cli.main([*([verb] if verb else []), "--help"])
    golden.check(f"help_{verb or 'motorworks'}.txt", capsys.readouterr().out)


def test_help_comes_at_once_and_loads_no_training_stack():
    script = "import sys\nfrom motorworks.factory.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    print(*sys.modules)"
    began_s = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    assert time.perf_counter() - began_s < 3  # well under one second on an idle machine
    assert not {"torch", "numpy", "numba", "onnxruntime", "rich.progress"} & set(done.stdout.splitlines()[-1].split())


def test_progress_lines_say_rate_and_remaining_time_without_control_codes(capsys, monkeypatch):
    clock_s = iter([0.0, 20.0])
    monkeypatch.setattr("motorworks.factory.progress.time.monotonic", lambda: next(clock_s))
    lines = Lines(sys.stdout)
    lines.started("tiny/turn1/sft", 3, 12)
    lines.advance(100, 300, "clips", "loss 0.5")
    lines.ended("tiny/turn1/sft", "built")
    out = capsys.readouterr().out
    assert "[3/12] tiny/turn1/sft: 100/300 clips · 5/s · 40.0 s left · loss 0.5" in out and "\x1b" not in out


def test_durations_are_for_people():
    assert [duration(value) for value in (0.04, 59.94, 185, 7800)] == ["0.0 s", "59.9 s", "3 min 05 s", "2 h 10 min"]
    assert describe(0, None, "", 0.0) == "0"

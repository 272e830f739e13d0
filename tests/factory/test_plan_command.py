"""`motorworks plan` as people and scripts meet it, and its proof."""

import json
import subprocess

import pytest

from motorworks.factory import cli, plan_command
from motorworks.models.config import family
from motorworks.train.planner import shapes


def _plan(capsys, tmp_path, *arguments):
    assert cli.main(["plan", *arguments, "--artifacts", str(tmp_path)]) == 0
    return capsys.readouterr().out


def test_it_prints_every_number_with_how_it_came_about(capsys, tmp_path):
    said = json.loads(_plan(capsys, tmp_path, "1b", "--gpus", "8", "--gpu", "h200", "--clips", "1e6", "--json"))
    found = {one["name"]: one for group in said["quantities"].values() for one in group}
    assert all(one["how"] for one in found.values())
    assert found["parameters"]["value"] == pytest.approx(shapes.num_params(family("1b")) / 1e9)
    cut = said["sharding"]
    assert cut["replicate"] * cut["shard"] * cut["tp"] == 8
    assert found["all"]["value"] <= found["room"]["value"]
    *kinds, whole, _room = said["quantities"]["memory of the fullest rank"]
    assert len(kinds) == 7 and sum(one["value"] for one in kinds) == pytest.approx(whole["value"])
    (turn,) = said["turns"]
    assert turn["usd"] == pytest.approx(turn["days"] * 24 * 8 * said["gpu"]["usd_per_hour"][1])
    widths = [abs(one["days_at_high"] - one["days_at_low"]) for one in said["swings"] if None not in one.values()]
    assert widths == sorted(widths, reverse=True) and len(said["swings"]) == len(said["assumptions"])
    text = _plan(capsys, tmp_path, "1b", "--gpus", "8", "--gpu", "h200", "--clips", "1e6")
    assert said["swings"][0]["name"] in text and "NVIDIA H200" in text
    page = (tmp_path / "plan" / "1b-8-h200.html").read_text()
    assert page.count("<svg") >= 6 and said["swings"][0]["name"] in page and "--prove" in page


def test_an_assumption_can_be_replaced(capsys, tmp_path):
    usual, slow = (
        json.loads(_plan(capsys, tmp_path, "1b", "--gpus", "8", "--json", "--clips", "1e7", *more))
        for more in ((), ("--assume", "kernel_efficiency=0.3"))
    )
    assert slow["assumptions"]["kernel_efficiency"] == 0.3
    assert slow["turns"][0]["days"] > 1.2 * usual["turns"][0]["days"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["72c"], "did you mean 72b?"),
        (["72b", "--gpu", "h101"], "no GPU is called 'h101'"),
        (["72b", "--gpus", "100"], "take a multiple of 8"),
        (["72b", "--gpus", "0"], "take a multiple of 8"),
        (["72b", "--gpus", "8"], "does not fit 8 GPUs of h100"),
        (["7b", "--gpus", "8", "--clips", "0"], "at least 1"),
        (["7b", "--gpus", "8", "--assume", "overlapp=1"], "did you mean overlap?"),
        (["7b", "--gpus", "8", "--assume", "overlap=much"], "write NAME=NUMBER"),
        (["7b", "--gpus", "8", "--assume", "overlap=2"], "overlap 2.0 must be above 0 and at most 1"),
    ],
)
def test_wrong_usage_is_one_clear_line(capsys, tmp_path, arguments, said):
    assert cli.main(["plan", *arguments, "--artifacts", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err


def test_a_small_plan_is_proved_and_a_wrong_table_is_not(capsys, tmp_path, monkeypatch):
    built, run = [], subprocess.run
    monkeypatch.setattr(plan_command.subprocess, "run", lambda *command, **how: built.append(run(*command, **how)) or built[-1])
    proof = json.loads(_plan(capsys, tmp_path, "nano", "--gpus", "16", "--clips", "1e5", "--prove", "--json"))["proof"]
    assert proof["params"] == shapes.num_params(family("nano")) and proof["num_ranks"] == 16
    assert "rank 0" in (tmp_path / "plan" / "nano-16-h100.html").read_text()
    monkeypatch.setattr(plan_command.subprocess, "run", lambda *command, **how: built[0])
    monkeypatch.setattr(plan_command, "num_params", lambda config: shapes.num_params(config) + 1)
    assert cli.main(["plan", "nano", "--gpus", "16", "--clips", "1e5", "--prove", "--artifacts", str(tmp_path)]) == 1
    assert "not what is planned" in capsys.readouterr().err
    broken = subprocess.CompletedProcess([], 1, "", "Traceback\nRuntimeError: no such mesh")
    monkeypatch.setattr(plan_command.subprocess, "run", lambda *command, **how: broken)
    assert cli.main(["plan", "nano", "--gpus", "16", "--clips", "1e5", "--prove", "--artifacts", str(tmp_path)]) == 1
    assert "does not build: RuntimeError: no such mesh" in capsys.readouterr().err


@pytest.mark.slow
def test_72b_on_ten_thousand_is_proved_without_allocating_it(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(plan_command, "PROOF_DEPTHS", (2, 4))  # a minute less on a busy core; a straight line all the same
    proof = json.loads(_plan(capsys, tmp_path, "72b", "--gpus", "10000", "--clips", "2e7", "--prove", "--json"))["proof"]
    assert proof["num_ranks"] == 10_000
    assert proof["params"] == shapes.num_params(family("72b")) == 71_568_343_418
    assert proof["said_peak_bytes"] == pytest.approx(proof["memory"]["peak"], rel=0.06)
    assert proof["grown_bytes"] < 3e9 < 4 * proof["params"]

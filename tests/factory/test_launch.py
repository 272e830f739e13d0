"""One step made by several processes, and one that is told to end and run again."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

HERE = Path(__file__).parent
COMMAND = ["-m", "motorworks.factory.cli", "stage", "--recipe", "learning_recipe:learning"]
TORCHRUN = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]


def stage(name: str, artifacts: Path, launcher: tuple[str, ...] = (), steps: int = 4, **more: str) -> "subprocess.Popen[str]":
    paths = os.pathsep.join(map(str, (HERE.parents[1], HERE, HERE.parent / "train")))
    surroundings = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "STEPS": str(steps), **more}
    command = [sys.executable, *launcher, *COMMAND, name, "--artifacts", str(artifacts)]
    return subprocess.Popen(command, env=surroundings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def made(name: str, artifacts: Path, **options: object) -> str:
    process = stage(name, artifacts, **options)  # type: ignore[arg-type]
    said = process.communicate(timeout=200)
    assert process.returncode == 0, said
    return said[0]


@pytest.mark.slow
def test_two_processes_make_one_artifact_that_is_as_that_of_one(tmp_path):
    for folder in ("one", "two"):
        made("learning/turn1/samples", tmp_path / folder)
    made("learning/turn1/fit", tmp_path / "one")
    said = made("learning/turn1/fit", tmp_path / "two", launcher=TORCHRUN)
    assert said.count("learning/turn1/fit/dev") == 1, said  # only the first says where it lies
    one, two = (tmp_path / folder / "learning/turn1/fit/dev" for folder in ("one", "two"))
    assert json.loads((two / "record.json").read_text())["metrics"]["num_ranks"] == 2
    losses = [[row["loss"] for row in json.loads((folder / "curves.json").read_text())] for folder in (one, two)]
    assert np.allclose(*losses, atol=1e-5)
    weights = [load_file(folder / "model.safetensors") for folder in (one, two)]
    assert all(weights[0][name].shape == value.shape for name, value in weights[1].items())
    assert "reused" in stage("learning/turn1/fit", tmp_path / "one").communicate(timeout=100)[1]


@pytest.mark.slow
def test_told_to_end_it_says_75_and_the_same_command_ends_with_the_same_bits(tmp_path):
    steps = 150
    for folder in ("straight", "broken"):
        made("learning/turn1/samples", tmp_path / folder)
    process = stage("learning/turn1/fit", tmp_path / "broken", steps=steps)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "broken/.resume").glob("*/alive.json")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=100)[1]
    assert process.returncode == 75 and "goes on from its snapshot" in said, (process.returncode, said)
    for folder in ("straight", "broken"):
        made("learning/turn1/fit", tmp_path / folder, steps=steps)
    files = [(tmp_path / folder / "learning/turn1/fit/dev/model.safetensors").read_bytes() for folder in ("straight", "broken")]
    assert files[0] == files[1] and not list((tmp_path / "broken/.resume").iterdir())
    record = json.loads((tmp_path / "broken/learning/turn1/fit/dev/record.json").read_text())
    assert record["metrics"]["clock_s"]["restart"] > 0 and 0 < record["metrics"]["goodput_frac"] < 1


@pytest.mark.slow
def test_a_step_for_one_process_is_refused_to_two(tmp_path):
    process = stage("learning/turn1/samples", tmp_path, RANK="0", WORLD_SIZE="2")
    assert "is work for one process, not 2" in process.communicate(timeout=100)[1] and process.returncode == 2

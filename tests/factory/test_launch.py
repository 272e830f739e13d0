"""One step made by several processes, and one that is told to end and run again."""

import json
import os
import shutil
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


def stage(name: str, artifacts: Path, launcher: tuple[str, ...] = (), steps: int = 100, **more: str) -> "subprocess.Popen[str]":
    paths = os.pathsep.join(map(str, (HERE.parents[1], HERE, HERE.parent / "train")))
    surroundings = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "STEPS": str(steps), **more}
    command = [sys.executable, *launcher, *COMMAND, name, "--artifacts", str(artifacts)]
    return subprocess.Popen(command, env=surroundings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def made(name: str, artifacts: Path, **options: object) -> str:
    process = stage(name, artifacts, **options)  # type: ignore[arg-type]
    said = process.communicate(timeout=200)
    assert process.returncode == 0, said
    return said[0]


def wait_for_life(artifacts: Path, process: "subprocess.Popen[str]") -> None:
    """Until it trains."""
    deadline = time.monotonic() + 120
    while not list((artifacts / ".resume").glob("*/alive.json")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifact as one process makes it that nobody disturbs."""
    artifacts = tmp_path_factory.mktemp("straight")
    made("learning/turn1/samples", artifacts)
    made("learning/turn1/fit", artifacts)
    return artifacts / "learning/turn1/fit/dev"


@pytest.fixture
def artifacts(straight: Path, tmp_path: Path) -> Path:
    """The same samples, and nothing trained on them yet."""
    shutil.copytree(straight.parents[1] / "samples", tmp_path / "learning/turn1/samples")
    return tmp_path


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the processes in /proc")
def test_two_processes_of_which_one_is_killed_make_what_one_makes(straight, artifacts):
    launched = stage("learning/turn1/fit", artifacts, launcher=(*TORCHRUN, "--max-restarts", "1"))
    wait_for_life(artifacts, launched)
    os.kill(int(Path(f"/proc/{launched.pid}/task/{launched.pid}/children").read_text().split()[-1]), signal.SIGKILL)
    said = launched.communicate(timeout=200)
    assert launched.returncode == 0, said
    assert said[0].count("learning/turn1/fit/dev") == 1, said  # only the first says where it lies
    folder = artifacts / "learning/turn1/fit/dev"
    assert json.loads((folder / "record.json").read_text())["metrics"]["num_ranks"] == 2
    losses = [[row["loss"] for row in json.loads((one / "curves.json").read_text())] for one in (straight, folder)]
    assert np.allclose(*(rows[:10] for rows in losses), atol=1e-4)  # later, rounding has grown
    assert [value.shape for value in load_file(folder / "model.safetensors").values()] == [
        value.shape for value in load_file(straight / "model.safetensors").values()
    ]


@pytest.mark.slow
def test_told_to_end_it_says_75_and_the_same_command_ends_with_the_same_bits(straight, artifacts):
    process = stage("learning/turn1/fit", artifacts)
    wait_for_life(artifacts, process)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=100)[1]
    assert process.returncode == 75 and "goes on from its snapshot" in said, (process.returncode, said)
    made("learning/turn1/fit", artifacts)
    folder = artifacts / "learning/turn1/fit/dev"
    assert (folder / "model.safetensors").read_bytes() == (straight / "model.safetensors").read_bytes()
    assert not list((artifacts / ".resume").iterdir())
    record = json.loads((folder / "record.json").read_text())
    assert record["metrics"]["clock_s"]["restart"] > 0 and 0 < record["metrics"]["goodput_frac"] < 1


@pytest.mark.slow
def test_a_step_for_one_process_is_refused_to_two(tmp_path):
    process = stage("learning/turn1/samples", tmp_path, RANK="0", WORLD_SIZE="2")
    assert "is work for one process, not 2" in process.communicate(timeout=100)[1] and process.returncode == 2

"""One step made by several processes, and one that is told to end and run again."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch.distributed as dist
from safetensors.numpy import load_file
from torch.testing._internal.distributed.fake_pg import FakeStore

from motorworks.factory.process_group import process_group

HERE = Path(__file__).parent
COMMAND = ["-m", "motorworks.factory.cli", "stage", "--recipe", "learning_recipe:learning"]
TORCHRUN = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]


def stage(
    name: str, artifacts: Path, launcher: tuple[str, ...] = (), options: tuple[str, ...] = (), steps: int = 100, **more: str
) -> "subprocess.Popen[str]":
    paths = os.pathsep.join(map(str, (HERE.parents[1], HERE, HERE.parent / "train")))
    surroundings = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "STEPS": str(steps), **more}
    command = [sys.executable, *launcher, *COMMAND, name, "--artifacts", str(artifacts), *options]
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


def as_straight(straight: Path, artifacts: Path) -> "dict[str, Any]":
    """The record's metrics, of a run that learnt what one process learns."""
    folder = artifacts / "learning/turn1/fit/dev"
    losses = [[row["loss"] for row in json.loads((one / "curves.json").read_text())] for one in (straight, folder)]
    assert np.allclose(*(rows[:10] for rows in losses), atol=1e-4)  # later, rounding has grown
    assert [value.shape for value in load_file(folder / "model.safetensors").values()] == [
        value.shape for value in load_file(straight / "model.safetensors").values()
    ]
    return json.loads((folder / "record.json").read_text())["metrics"]


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
    assert as_straight(straight, artifacts)["num_ranks"] == 2


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
    process = stage("learning/turn1/samples", tmp_path, options=("--ray-workers", "2"))
    assert "is work for one process, not 2" in process.communicate(timeout=100)[1] and process.returncode == 2


def test_a_process_group_that_the_launcher_made_is_taken_and_left(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=2)
    try:
        with process_group("cpu"):
            pass
        assert dist.is_initialized() and dist.get_backend() == "fake"
    finally:
        dist.destroy_process_group()


@pytest.fixture
def ray_here() -> Iterator[dict[str, str]]:
    """What a command needs to start a Ray of its own, apart from any other on this machine."""
    pytest.importorskip("ray.train", reason="Ray is not installed: pip install 'motorworks[ray]'", exc_type=ImportError)
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder:  # short: its sockets lie there
        yield {"RAY_ADDRESS": "local", "RAY_TMPDIR": folder}


@pytest.mark.slow
def test_two_workers_of_ray_train_make_what_one_process_makes(straight, artifacts, ray_here):
    said = made("learning/turn1/fit", artifacts, options=("--ray-workers", "2"), **ray_here)
    assert said == f"{artifacts}/learning/turn1/fit/dev\n"
    assert as_straight(straight, artifacts)["num_ranks"] == 2


@pytest.mark.slow
def test_ray_train_told_to_end_says_75_and_a_killed_worker_goes_on_from_the_snapshot(straight, artifacts, ray_here):
    launched = stage("learning/turn1/fit", artifacts, options=("--ray-workers", "2"), **ray_here)
    wait_for_life(artifacts, launched)
    launched.send_signal(signal.SIGTERM)
    said = launched.communicate(timeout=100)[1]
    assert launched.returncode == 75 and "goes on from its snapshot" in said, (launched.returncode, said)
    (resume,) = (artifacts / ".resume").iterdir()
    assert len(list(resume.glob("step-*"))) == 1
    (resume / "alive.json").unlink(missing_ok=True)  # so that the next sign of life is the next run's

    launched = stage("learning/turn1/fit", artifacts, options=("--ray-workers", "2", "--ray-restarts", "1"), **ray_here)
    wait_for_life(artifacts, launched)
    (lock,) = (artifacts / ".locks").glob("learning+turn1+fit@*")
    os.kill(int(lock.read_text().split()[1]), signal.SIGKILL)  # the first rank, who keeps the artifact
    said = launched.communicate(timeout=200)
    assert launched.returncode == 0 and said[0] == f"{artifacts}/learning/turn1/fit/dev\n", said
    assert as_straight(straight, artifacts)["clock_s"]["recompute"] > 0  # what came after the snapshot


@pytest.mark.slow
def test_more_workers_than_this_machine_has_processors_are_refused(artifacts, ray_here):
    process = stage("learning/turn1/fit", artifacts, options=("--ray-workers", "9", "--ray-cpus", "999"), **ray_here)
    said = process.communicate(timeout=100)[1]
    assert process.returncode == 2 and "9 workers want 8991 CPU, of which Ray has" in said, said

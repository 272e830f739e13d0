"""Whatever dies, whenever: nothing half-written is ever taken for finished, and the next run ends in the same place."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from motorworks.factory.errors import BadInput, Busy, CannotFingerprint, StageFailed
from motorworks.factory.run import Runner
from motorworks.factory.step import RecipeOptions, Step
from motorworks.factory.store import RESUME_DAYS, Store

HERE = Path(__file__).parent
CHILD = """
import os, sys, pathlib, signal
from pathlib import Path
from motorworks.factory.run import Runner
from motorworks.factory.step import RecipeOptions
import toy_recipe
root, kill_at = Path(sys.argv[1]), int(sys.argv[2])
calls = 0
def deadly(original):
    def call(*arguments, **named):
        global calls
        calls += 1
        if calls == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **named)
    return call
pathlib.Path.rename = deadly(pathlib.Path.rename)
pathlib.Path.replace = deadly(pathlib.Path.replace)
pathlib.Path.write_text = deadly(pathlib.Path.write_text)
os.link = deadly(os.link)
made = Runner(root).make(toy_recipe.toy(RecipeOptions()))
print(calls, *(one.digest for one in made.values()))
"""


def run_child(root: Path, kill_at: int) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), str(HERE)])}
    return subprocess.run([sys.executable, "-c", CHILD, str(root), str(kill_at)], env=environment, capture_output=True, text=True, check=False)


def test_killed_at_every_write_it_ends_with_the_same_digests(tmp_path):
    clean = run_child(tmp_path / "clean", 0)
    assert clean.returncode == 0, clean.stderr
    num_calls, *digests = clean.stdout.split()
    assert int(num_calls) > 10
    for kill_at in range(1, int(num_calls) + 1, 2):
        root = tmp_path / f"killed{kill_at}"
        assert run_child(root, kill_at).returncode == -signal.SIGKILL
        for artifact in Store(root).artifacts():
            assert artifact.digest in digests  # only whole artifacts are visible
        again = run_child(root, 0)
        assert again.returncode == 0, again.stderr
        assert again.stdout.split()[1:] == digests
        assert not list((root / ".tmp").iterdir())


def test_two_runs_of_one_artifact_do_not_mix(tmp_path, toy):
    slow = Step(name="toy/turn1/gather", run=toy.gather, config=toy.Gather(pause_s=20.0))
    script = """
import sys
from pathlib import Path
import toy_recipe
from motorworks.factory.run import Runner
from motorworks.factory.step import Step
Runner(Path(sys.argv[1])).make(Step(name="toy/turn1/gather", run=toy_recipe.gather, config=toy_recipe.Gather(pause_s=20.0)))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), str(HERE)])}
    other = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], env=environment)
    try:
        until_s = time.monotonic() + 10
        while not list(tmp_path.glob(".tmp/*/artifact")) and time.monotonic() < until_s:
            time.sleep(0.02)
        with pytest.raises(Busy, match=rf"toy/turn1/gather@dev is being made by process {other.pid} on"):
            Runner(tmp_path).make(slow)
        _left(Store(tmp_path).resume("toy/turn1/gather", "dev", "0" * 64), days=99)
        assert Store(tmp_path).sweep() == 0, "a living process's work was taken for stale"
    finally:
        other.kill()
        other.wait()
    assert Store(tmp_path).sweep() == 2
    assert not list((tmp_path / ".tmp").iterdir()) and not list((tmp_path / ".resume").iterdir())


def test_what_a_killed_run_left_goes_when_it_is_of_no_use(tmp_path, toy):
    made, store = Runner(tmp_path).make(toy.toy(RecipeOptions()))["toy/turn1/count"], Store(tmp_path)
    _left(store.resume(made.name, "dev", made.fingerprint), days=0)
    _left(store.resume(made.name, "dev", "0" * 64), days=RESUME_DAYS + 1)
    recent = _left(store.resume(made.name, "dev", "1" * 64), days=RESUME_DAYS - 1)
    other = _left(store.resume("toy/turn1/new", "v1", made.fingerprint), days=0)
    assert store.sweep() == 2 and set((tmp_path / ".resume").iterdir()) == {recent, other}
    (made.path / "record.json").write_text("{")
    assert store.sweep() == 0, "a record that is damaged says nothing"


def _left(resume: Path, *, days: float) -> Path:
    """A snapshot that was last touched so many days ago."""
    (resume / "step-000000001").mkdir(parents=True)
    (resume / "step-000000001/progress.json").write_text("{}")
    then_s = time.time() - days * 86_400
    for path in (resume, *resume.rglob("*")):
        os.utime(path, (then_s, then_s))
    return resume


def test_a_failed_stage_leaves_nothing_and_names_itself(tmp_path, toy):
    with pytest.raises(StageFailed, match="broken/turn1/breaks failed: ZeroDivisionError: nothing to divide by"):
        Runner(tmp_path).make(toy.broken(RecipeOptions()))
    assert not list(tmp_path.rglob("half.txt"))
    with pytest.raises(BadInput, match="clips/seven is empty"):
        Runner(tmp_path).make(toy.unreadable(RecipeOptions()))


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path, toy):
    step = Step(name="toy/much", run=toy.writes_much, config=None)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(StageFailed, match=r"toy/much failed.*File too large"):
            Runner(tmp_path).make(step)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert not list(tmp_path.rglob("big.bin")) and not Store(tmp_path).artifacts()
    assert (Runner(tmp_path).make(step)["toy/much"].path / "big.bin").stat().st_size == 1 << 22


def test_a_path_the_system_complains_of_is_in_the_message(tmp_path, toy):
    (tmp_path / ".shards").write_text("a file where a folder belongs")
    with pytest.raises(StageFailed, match=r"toy/turn1/gather failed.*\.shards"):
        Runner(tmp_path).make(toy.toy(RecipeOptions()))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"digest": 1}'])
def test_a_damaged_record_is_named_with_the_fix(tmp_path, toy, text):
    made = Runner(tmp_path).make(toy.toy(RecipeOptions()))
    record = made["toy/turn1/count"].path / "record.json"
    record.write_text(text)
    with pytest.raises(BadInput, match=r"record\.json is damaged .*delete the folder"):
        Runner(tmp_path).make(toy.toy(RecipeOptions()))


def test_an_artifact_without_a_record_is_not_there(tmp_path, toy):
    made = Runner(tmp_path).make(toy.toy(RecipeOptions()))
    (made["toy/turn1/count"].path / "record.json").unlink()
    runner = Runner(tmp_path)
    assert runner.make(toy.toy(RecipeOptions()))["toy/turn1/count"].digest == made["toy/turn1/count"].digest
    assert runner.outcomes["toy/turn1/count"].startswith("built")
    assert json.loads((made["toy/turn1/count"].path / "record.json").read_text())["name"] == "toy/turn1/count"


@pytest.mark.parametrize("value", [float("nan"), object(), [float("inf")]])
def test_metrics_that_cannot_be_written_down_fail_the_stage(tmp_path, toy, value):
    from motorworks.engine.local import LocalEngine
    from motorworks.factory.progress import Silent
    from motorworks.factory.step import Output

    step = Step(name="toy/m", run=toy.gather, config=None)
    out = Output(path=tmp_path, shards=tmp_path, resume=tmp_path, step=step, code="", engine=LocalEngine(), progress=Silent())
    with pytest.raises(CannotFingerprint, match="toy/m: metric 'loss'"):
        out.record(loss=value)

"""An item that crashes, hangs, floods memory or raises costs only itself, whichever engine runs it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import work_for_processes as work

from motorworks.engine.cluster import RayEngine
from motorworks.engine.engine import Engine, Limits, WorkerCrashed
from motorworks.engine.local import LocalEngine
from motorworks.engine.process import ProcessEngine

LIMITS = Limits(timeout_s=1.5, memory_bytes=300_000_000, attempts=1)


@pytest.fixture(params=["local", "processes", pytest.param("ray", marks=[pytest.mark.slow, pytest.mark.filterwarnings("ignore")])])
def engine(request):
    if request.param == "ray":
        made: Engine = RayEngine(address=request.getfixturevalue("two_nodes").address)
    else:
        made = LocalEngine() if request.param == "local" else ProcessEngine(2)
    with made:
        yield made


def test_exactly_the_poisoned_items_fail(engine):
    items = [name for poison in work.POISONS for name in (f"before {poison}", poison)] + ["last"]
    outcomes = list(engine.try_map(work.swallow, items, key=str, limits=LIMITS))
    assert [outcome.item for outcome in outcomes] == items
    assert {outcome.key: outcome.failure.kind for outcome in outcomes if outcome.failure} == work.POISONS
    assert all(outcome.value == outcome.item.upper() for outcome in outcomes if not outcome.failure)
    reasons = {outcome.key: outcome.failure.reason for outcome in outcomes if outcome.failure}
    assert reasons["segfault"] == "killed its worker (signal 11 SIGSEGV), attempt 1 of 1"
    assert reasons["loop"] == "ran longer than 1.5 s, attempt 1 of 1"
    assert reasons["memory"].endswith("MB of memory, more than 300 MB, attempt 1 of 1")
    assert reasons["error"] == "ValueError: a bad clip"
    assert "OddError: odd 1 2" in reasons["odd error"] and "cannot be sent" in reasons["odd result"]


def test_a_straggler_is_dropped_at_its_time(engine):
    list(engine.try_map(work.naps, [0, 0], limits=LIMITS))  # start the workers
    before_s = time.monotonic()
    outcomes = list(engine.try_map(work.naps, [0.0, 60.0, 0.1], limits=LIMITS))
    assert time.monotonic() - before_s < 10
    assert [outcome.failure and outcome.failure.kind for outcome in outcomes] == [None, "timeout", None]


def test_what_may_pass_is_tried_again_and_what_cannot_is_not(engine, tmp_path):
    jobs = [(str(tmp_path), value) for value in range(4)]
    assert list(engine.map(work.reads_badly_once, jobs, limits=Limits())) == [0, 1, 2, 3]
    (tmp_path / "seen2").unlink()
    assert list(engine.map(work.dies_once, jobs, limits=Limits())) == [0, 1, 2, 3]
    (tmp_path / "seen2").unlink()
    with pytest.raises(OSError, match="Input/output error"):
        list(engine.map(work.reads_badly_once, jobs, limits=Limits(attempts=1)))
    with pytest.raises(FileNotFoundError, match="number 0"):
        list(engine.map(work.is_not_there, range(2), limits=Limits(attempts=9)))


def test_equal_keys_are_computed_once(engine):
    outcomes = list(engine.try_map(work.pid_and_time, [1, 2, 11, 3, 21, 2], key=lambda item: f"clip {item % 10}"))
    assert [(outcome.key, outcome.item) for outcome in outcomes] == [
        (f"clip {item % 10}", item) for item in (1, 2, 11, 3, 21, 2)
    ]  # each its own item
    first = {outcome.key: outcome.value for outcome in reversed(outcomes)}
    assert all(outcome.value == first[outcome.key] for outcome in outcomes) and len(set(first.values())) == 3


def test_map_raises_what_the_limits_say():
    with LocalEngine() as engine:
        for item, error, words in (
            ("exit", WorkerCrashed, "item 1 .'exit'. killed its worker .exit code 3., attempt 2 of 2"),
            ("memory", MemoryError, "more than 100 MB"),
            ("loop", TimeoutError, r"longer than 0.5 s"),
        ):
            results = engine.map(work.swallow, ["a", item], limits=Limits(timeout_s=0.5 if item == "loop" else 20, memory_bytes=100_000_000))
            assert next(results) == "A"
            with pytest.raises(error, match=words):
                next(results)


@pytest.mark.parametrize("num_workers", [1, 2, 3])
def test_the_number_of_workers_changes_nothing(num_workers, tmp_path):
    with ProcessEngine(num_workers) as engine:
        assert list(engine.map(work.dies_once, [(str(tmp_path), value) for value in range(20)])) == list(range(20))


def test_programs_that_an_item_started_count_and_end_with_it(tmp_path):
    with ProcessEngine(1) as engine:
        (outcome,) = engine.try_map(work.leaves_a_greedy_program, [str(tmp_path)], limits=Limits(memory_bytes=300_000_000, attempts=1))
    assert outcome.failure and outcome.failure.kind == "memory"
    assert _ends(tmp_path / "pid")


def test_an_endless_item_ends_with_its_maker(tmp_path):
    code = (
        "import sys, work_for_processes as work; from motorworks.engine.process import ProcessEngine as E; list(E(1).map(work.loops, sys.argv[1:]))"
    )
    maker = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
    for _ in range(400):
        if (tmp_path / "pid").exists():
            break
        time.sleep(0.05)
    maker.send_signal(signal.SIGKILL)
    maker.wait()
    assert _ends(tmp_path / "pid")


def test_importing_does_not_count_as_running():
    with ProcessEngine(1) as engine:
        assert list(engine.map(work.SlowToArrive(), [1, 2], limits=Limits(timeout_s=1, attempts=1))) == [1, 2]
        with pytest.raises(WorkerCrashed, match=r"3 workers ended before they could load the function .exit code 4"):
            list(engine.map(work.CannotArrive(), [1, 2]))


def test_workers_stay_for_the_next_map():
    with ProcessEngine(1) as engine:
        first = set(engine.map(work.pid, range(2)))
        assert set(engine.map(work.pid, range(2), limits=LIMITS)) == first
        engine.close()
        assert set(engine.map(work.pid, range(2))) != first


def test_limits_say_what_is_wrong():
    for bad, words in (({"timeout_s": 0}, "timeout_s is 0"), ({"memory_bytes": -1}, "memory_bytes is -1"), ({"attempts": 0}, "attempts is 0")):
        with pytest.raises(ValueError, match=words):
            Limits(**bad)


def _ends(path: Path) -> bool:
    """Whether the process is gone within a few seconds, or waits only to be reaped."""
    pid = int(path.read_text())
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
            os.kill(pid, 0)
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.05)
    return False

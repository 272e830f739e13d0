"""Every engine gives the same results; processes survive a crash and say which item caused it."""

import sys

import pytest
import work_for_processes as work

from motorworks.engine.cluster import RayEngine
from motorworks.engine.engine import WorkerCrashed
from motorworks.engine.local import LocalEngine
from motorworks.engine.process import ProcessEngine


@pytest.mark.parametrize("engine", [LocalEngine(), ProcessEngine(2)], ids=["local", "process"])
def test_results_come_in_the_order_of_the_items(engine):
    assert list(engine.map(work.square, iter(range(25)))) == [value * value for value in range(25)]
    assert list(engine.map(work.square, [])) == []
    with pytest.raises(KeyError, match="three"):
        list(engine.map(work.raises, range(6)))


@pytest.mark.parametrize("engine", [LocalEngine(), ProcessEngine(2)], ids=["local", "process"])
def test_actors_keep_their_state_and_pass_their_errors_on(engine):
    actors = engine.actors(work.Cell, 2)
    pending = [actor.call("add", 10) for actor in actors for _ in range(2)]
    assert [one.result() for one in reversed(pending)] == [21, 11, 20, 10]
    with pytest.raises(ValueError, match="cell 20"):
        actors[0].call("fail").result()
    assert actors[0].call("add", 1).result() == 21
    for actor in actors:
        actor.close()


def test_workers_have_one_thread():
    assert list(ProcessEngine(1).map(work.threads, [0])) == ["1"]


def test_an_item_that_killed_its_worker_is_tried_once_more(tmp_path):
    assert list(ProcessEngine(2).map(work.dies_once, [(str(tmp_path), value) for value in range(5)])) == list(range(5))
    assert (tmp_path / "seen2").exists()


def test_an_item_that_always_kills_is_named():
    with pytest.raises(WorkerCrashed, match=r"item 1 \(1\) killed its worker \(exit code 7\), attempt 2 of 2"):
        list(ProcessEngine(2).map(work.dies, range(4)))


def test_a_dead_actor_says_so():
    (actor,) = ProcessEngine(1).actors(work.Cell, 1)
    with pytest.raises(WorkerCrashed, match=r"actor 0 died \(exit code 9\)"):
        actor.call("die").result()
    actor.close()


def test_what_cannot_be_sent_is_said_at_once():
    with pytest.raises((AttributeError, TypeError, ImportError), match=r"(?i)pickle|local"):
        list(ProcessEngine(1).map(lambda value: value, [1]))
    with pytest.raises(ValueError, match="num_workers is 0"):
        ProcessEngine(0)


def test_ray_says_how_to_get_it():
    if "ray" in sys.modules:
        pytest.skip("Ray is installed")
    try:
        import ray  # noqa: F401
    except ModuleNotFoundError:
        with pytest.raises(ModuleNotFoundError, match=r"motorworks\[ray\]"):
            RayEngine()
    else:
        pytest.skip("Ray is installed")

"""Ray on two nodes of this machine: what dies under way is done elsewhere. (Poisoned items: test_poison.py.)"""

import pytest
import work_for_processes as work

from motorworks.engine.cluster import RayEngine
from motorworks.engine.engine import Limits, WorkerCrashed

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # Ray's own


@pytest.fixture
def engine(two_nodes):
    with RayEngine(address=two_nodes.address) as made:
        yield made


def test_results_come_in_order_and_errors_as_they_were(engine):
    assert list(engine.map(work.square, iter(range(25)))) == [value * value for value in range(25)]
    with pytest.raises(KeyError, match="three"):
        list(engine.map(work.raises, range(6)))
    with pytest.raises(WorkerCrashed, match="load the function"):
        list(engine.map(work.CannotArrive(), [1], limits=Limits()))


def test_actors_live_on_both_nodes(engine):
    actors = engine.actors(work.Cell, 2)
    assert len({actor.call("node").result() for actor in actors}) == 2
    pending = [actor.call("add", 10) for actor in actors for _ in range(2)]
    assert [one.result() for one in reversed(pending)] == [21, 11, 20, 10]
    with pytest.raises(ValueError, match="cell 20"):
        actors[0].call("fail").result()
    with pytest.raises(WorkerCrashed, match="actor 1 died"):
        actors[1].call("die").result()
    for actor in actors:
        actor.close()
    with pytest.raises(ZeroDivisionError):
        engine.actors(work.CellThatCannotBe, 1)


def test_a_killed_ray_worker_costs_an_item_no_attempt(engine, tmp_path):
    jobs = [(str(tmp_path), value) for value in range(5)]
    assert list(engine.map(work.kills_its_maker_once, jobs, limits=Limits(timeout_s=60, attempts=1))) == list(range(5))
    assert (tmp_path / "seen2").exists()
    outcomes = list(engine.try_map(work.dies, range(4)))  # no limits: the item runs in the Ray worker, and is tried twice
    assert [outcome.failure and outcome.failure.kind for outcome in outcomes] == [None, "crashed", None, None]
    assert outcomes[1].failure.reason == "killed 2 Ray workers (WorkerCrashedError)"


def test_a_node_lost_under_way_costs_nothing_but_time(engine, two_nodes):
    third = two_nodes.add_node(num_cpus=1, object_store_memory=80 << 20)
    results, nodes = [], set()
    for value, node in engine.map(work.where, range(24)):
        results.append(value)
        nodes.add(node)
        if third is not None and node == third.node_id:
            two_nodes.remove_node(third, allow_graceful=False)
            third = None
    assert results == list(range(24))
    assert third is None and len(nodes) == 3

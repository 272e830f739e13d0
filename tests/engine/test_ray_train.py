"""What the launcher by Ray Train says before Ray is asked. (Real runs: tests/factory/test_launch.py.)"""

import sys
from typing import Any

import pytest

from motorworks.engine import ray_train
from motorworks.engine.ray_train import Crew, NoRoom


class OneNode:
    """A Ray with two processors."""

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 2.0}

    def nodes(self) -> list[Any]:
        return [None]


def test_without_ray_it_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'motorworks\[factory,ray\]'"):
        ray_train.run_crew(Crew(num=2), print, print, say=print)


def test_room_is_waited_for_on_a_cluster_only(monkeypatch):
    said: list[str] = []
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    ray_train._look_for_room(OneNode(), Crew(num=2), said.append)
    assert not said
    with pytest.raises(NoRoom, match="4 workers want 4 CPU, of which Ray has 2 on this machine"):
        ray_train._look_for_room(OneNode(), Crew(num=4), said.append)
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    ray_train._look_for_room(OneNode(), Crew(num=2, cpus=3, on_gpu=True), said.append)
    assert "2 workers want 6 CPU, of which Ray has 2 and 2 GPU, of which Ray has 0: waiting" in said[0]


def test_what_a_crew_cannot_be():
    with pytest.raises(ValueError, match="at least one worker"):
        Crew(num=0)


def test_each_rank_says_why_and_their_exit_code_is_kept():
    error, refused = RuntimeError("from Ray"), ValueError("NaN")
    refused.exit_code, error.worker_failures = 3, {0: RuntimeError("peer gone"), 1: refused}  # type: ignore[attr-defined]
    failed = ray_train._failed(error, Crew(num=2))
    assert "rank 0: RuntimeError: peer gone; rank 1: ValueError: NaN" in str(failed) and failed.exit_code == 3

    class WorkerGroupStartupTimeoutError(Exception):
        pass

    error = RuntimeError("from Ray")
    error.controller_failure = WorkerGroupStartupTimeoutError("no room")  # type: ignore[attr-defined]
    assert isinstance(ray_train._failed(error, Crew(num=2)), NoRoom)

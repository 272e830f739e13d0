"""The engine of local processes: one thread each; a crash, a hang or a flood of memory costs one item, not the run.

(The standard pool is lost with one crashed worker, and two threads on small arrays are slower than one.)
"""

import pickle
import time
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from typing import Any

from motorworks.engine.attempt import failure_of
from motorworks.engine.engine import Actor, Engine, Failure, Item, Limits, Outcome, Result, WorkerCrashed
from motorworks.engine.worker import MEMORY_IS_SEEN, Worker

START_PATIENCE_S = 300.0  # to start a worker and import what its function needs
MEMORY_LOOK_S = 0.05
AHEAD = 4  # outcomes per worker that may wait for the reader, so that a long map does not pile up in memory
LOST_STARTS = 3


class ProcessEngine(Engine):
    """Work in `num_workers` spawned processes; functions, items and results must be picklable."""

    def __init__(self, num_workers: int):
        if num_workers < 1:
            raise ValueError(f"num_workers is {num_workers}: at least 1")
        self.num_workers = num_workers
        self._idle: list[Worker] = []
        self._end = weakref.finalize(self, _close_all, self._idle)

    def _outcomes(
        self, function: Callable[[Item], Result], jobs: Iterable[tuple[str, Item]], limits: Limits | None
    ) -> Generator[Outcome[Item, Result]]:
        course = _Course(self, function, enumerate(jobs), limits)
        try:
            yield from course.run()
        finally:
            course.stop()

    def take(self) -> Worker:
        """An idle worker, or a new one."""
        return self._idle.pop() if self._idle else Worker()

    def give(self, worker: Worker) -> None:
        """A worker that has answered."""
        if len(self._idle) < self.num_workers:
            self._idle.append(worker)
        else:  # two maps side by side had more
            worker.close()

    def actors(self, make: Callable[[int], Any], num: int) -> list[Actor]:
        """`num` objects, a process each; they start side by side."""
        actors = [ProcessActor(index) for index in range(num)]
        started = [actor.start("make", make, actor.index) for actor in actors]
        for pending in started:
            pending.result()
        return list(actors)

    def close(self) -> None:
        """End the idle workers."""
        _close_all(self._idle)


def _close_all(workers: list[Worker]) -> None:
    for worker in workers:
        worker.pipe.close()
    while workers:
        workers.pop().close()


class _Task:
    """An item at work, or to be tried again."""

    def __init__(self, number: int, key: str, item: Any):
        self.number, self.key, self.item = number, key, item
        self.attempt = 1
        self.message: bytes | None = None  # to be sent when the worker has loaded the function
        self.deadline_s = float("inf")


class _Course:
    """One map under way: which item is where, since when, and which results wait for the reader."""

    def __init__(self, engine: ProcessEngine, function: Callable[[Any], Any], jobs: Iterator[tuple[int, tuple[str, Any]]], limits: Limits | None):
        # Without limits only a crash is tried again: the caller has not said that an item may run twice in one process.
        self.engine, self.jobs, self.limits = engine, jobs, limits or Limits()
        self.function = pickle.dumps(("map", function, limits.attempts if limits else 1))
        self.again: deque[_Task] = deque()
        self.busy: dict[Connection, tuple[Worker, _Task]] = {}
        self.done: dict[int, Outcome[Any, Any]] = {}
        self.following, self.sent, self.lost_starts = 0, 0, 0
        self.all_read = False
        if self.limits.memory_bytes is not None and not MEMORY_IS_SEEN:
            warnings.warn("this system has no /proc: the memory limit of items is not enforced", RuntimeWarning, stacklevel=2)

    def run(self) -> Iterator[Outcome[Any, Any]]:
        while True:
            while len(self.busy) < self.engine.num_workers and (task := self._next()):
                self._send(task)
            while self.following in self.done:
                yield self.done.pop(self.following)
                self.following += 1
            if self.busy:
                self._wait()
            elif self.all_read:
                return

    def stop(self) -> None:
        """What is still at work is worth nothing: an item leaves no half results."""
        for worker, _ in self.busy.values():
            worker.kill()
        self.busy.clear()

    def _next(self) -> _Task | None:
        if self.again:
            return self.again.popleft()
        if self.sent - self.following >= AHEAD * self.engine.num_workers:
            return None
        job = next(self.jobs, None)
        if job is None:
            self.all_read = True
            return None
        self.sent += 1
        return _Task(job[0], *job[1])

    def _send(self, task: _Task) -> None:
        try:
            message = pickle.dumps(("item", "", task.item))
        except Exception as error:
            self._end(task, failure=failure_of(error))
            return
        worker = self.engine.take()
        if worker.loaded == self.function:
            self._start(worker, task, message)
        else:
            worker.send(self.function)
            worker.loaded = self.function
            task.message, task.deadline_s = message, time.monotonic() + START_PATIENCE_S
        self.busy[worker.pipe] = (worker, task)

    def _start(self, worker: Worker, task: _Task, message: bytes) -> None:
        task.message, task.deadline_s = None, time.monotonic() + (self.limits.timeout_s or float("inf"))
        worker.send(message)

    def _wait(self) -> None:
        """For answers, ends and limits that were passed."""
        patience_s = max(0.0, min(task.deadline_s for _, task in self.busy.values()) - time.monotonic())
        memory_bytes = self.limits.memory_bytes
        if memory_bytes is not None:
            patience_s = min(patience_s, MEMORY_LOOK_S)
        for pipe in wait(list(self.busy), None if patience_s == float("inf") else patience_s):
            assert isinstance(pipe, Connection)
            self._receive(*self.busy[pipe])
        now_s = time.monotonic()
        for worker, task in list(self.busy.values()):
            if now_s > task.deadline_s:
                what = (
                    f"ran longer than {self.limits.timeout_s:g} s"
                    if task.message is None
                    else f"waited {START_PATIENCE_S:g} s for its worker to start"
                )
                self._kill(worker, task, Failure(kind="timeout", reason=what))
            elif memory_bytes is not None and task.message is None and (held_bytes := worker.resident_bytes()) > memory_bytes:
                what = f"held {held_bytes / 1e6:.0f} MB of memory, more than {memory_bytes / 1e6:.0f} MB"
                self._kill(worker, task, Failure(kind="memory", reason=what))

    def _receive(self, worker: Worker, task: _Task) -> None:
        try:
            good, value = worker.receive()
        except Exception:  # the end of the pipe, or what is no answer
            ended = worker.how_it_ended()
            if task.message is None:
                self._kill(worker, task, Failure(kind="crashed", reason=f"killed its worker ({ended})"))
                return
            self.lost_starts += 1
            if self.lost_starts >= LOST_STARTS:
                raise WorkerCrashed(f"{LOST_STARTS} workers ended before they could load the function ({ended})") from None
            self._kill(worker, task, None)
            return
        if task.message is not None and good:
            self._start(worker, task, task.message)
            return
        del self.busy[worker.pipe]
        if task.message is not None:
            worker.loaded = None
            self.engine.give(worker)
            raise value
        self.engine.give(worker)
        if good:
            self._end(task, value=value)
        else:
            self._end(task, failure=failure_of(value))

    def _kill(self, worker: Worker, task: _Task, failure: Failure | None) -> None:
        """The item is tried again on a fresh worker, or has had its attempts."""
        del self.busy[worker.pipe]
        worker.kill()
        if failure is None:
            self.again.append(task)
        elif task.attempt < self.limits.attempts:
            task.attempt += 1
            self.again.append(task)
        else:
            self._end(task, failure=replace(failure, reason=f"{failure.reason}, attempt {task.attempt} of {self.limits.attempts}"))

    def _end(self, task: _Task, *, value: Any = None, failure: Failure | None = None) -> None:
        self.done[task.number] = Outcome(key=task.key, item=task.item, value=value, failure=failure)


class ProcessActor:
    """An object in its own process. A crash is not retried, because its state is gone."""

    def __init__(self, index: int):
        self.index = index
        self._worker = Worker()
        self._waiting: deque[_Answer] = deque()

    def start(self, kind: str, what: Any, argument: Any) -> "_Answer":
        """Send one request."""
        answer = _Answer(self)
        self._worker.send(pickle.dumps((kind, what, argument)))
        self._waiting.append(answer)
        return answer

    def call(self, method: str, *arguments: Any) -> "_Answer":
        """Start a method."""
        return self.start("call", method, arguments)

    def receive(self) -> None:
        """Take the oldest outstanding answer from the pipe."""
        answer = self._waiting.popleft()
        try:
            answer.outcome = self._worker.receive()
        except EOFError:
            answer.outcome = (False, WorkerCrashed(f"actor {self.index} died ({self._worker.how_it_ended()})"))

    def close(self) -> None:
        """End the process."""
        self._worker.close()


class _Answer:
    """What an actor will have said."""

    def __init__(self, actor: ProcessActor):
        self._actor = actor
        self.outcome: tuple[bool, Any] | None = None

    def result(self) -> Any:
        """Wait for it; answers come in the order of the calls."""
        while self.outcome is None:
            self._actor.receive()
        good, value = self.outcome
        if not good:
            raise value
        return value

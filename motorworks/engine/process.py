"""The engine of local processes: one thread each, and a crashed one costs a retry, not the run.

(The standard pool is lost with one crashed worker, and two threads on small arrays are slower than one.)
"""

import contextlib
import itertools
import multiprocessing as mp
import os
import pickle
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any

from motorworks.engine.engine import Actor, Item, Result, WorkerCrashed

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "NUMEXPR_NUM_THREADS")
ATTEMPTS = 2


class _Worker:
    """A spawned process at the other end of a pipe; it ends when the pipe does, so it never outlives its maker for long."""

    def __init__(self) -> None:
        context = mp.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,), daemon=True)
        with _one_thread():  # libraries read these once, when they are imported
            self.process.start()
        theirs.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.pipe.close()
        self.process.join(timeout=2)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()

    def how_it_ended(self) -> str:
        self.process.join(timeout=2)
        code = self.process.exitcode
        return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"


def _serve(pipe: Connection) -> None:
    """In the worker: answer ('map', function, item), ('make', make, index) and ('call', method, arguments)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a stop from the keyboard reaches the whole group; the maker decides
    held: Any = None
    while True:
        try:
            kind, what, argument = pickle.loads(pipe.recv_bytes())
        except (EOFError, OSError):
            return
        except Exception as error:
            _reply(pipe, False, error)
            continue
        try:
            value: Any = None
            if kind == "make":
                held = what(argument)
            else:
                value = what(argument) if kind == "map" else getattr(held, what)(*argument)
        except Exception as error:
            error.add_note(f"in a worker process:\n{traceback.format_exc()}")
            _reply(pipe, False, error)
        else:
            _reply(pipe, True, value)


def _reply(pipe: Connection, good: bool, value: Any) -> None:
    try:
        message = pickle.dumps((good, value))
        pickle.loads(message)  # some errors pickle but do not come back: notice it here, not in the parent
    except Exception as error:
        message = pickle.dumps((False, RuntimeError(f"{type(value).__name__}: {value} (cannot be sent between processes: {error})")))
    with contextlib.suppress(OSError):
        pipe.send_bytes(message)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class ProcessEngine:
    """Work in `num_workers` spawned processes; functions, items and results must be picklable."""

    def __init__(self, num_workers: int):
        if num_workers < 1:
            raise ValueError(f"num_workers is {num_workers}: at least 1")
        self.num_workers = num_workers

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Results in order; an item whose worker dies is tried once more on a fresh worker, and then named in the error."""
        feed: Iterator[tuple[int, Item]] = enumerate(items)
        again: deque[tuple[int, Item, int]] = deque()
        first = next(feed, None)
        if first is None:
            return
        feed = itertools.chain([first], feed)
        idle: list[_Worker] = []
        busy: dict[Connection, tuple[_Worker, tuple[int, Item, int]]] = {}
        done: dict[int, Result] = {}
        following, sent = 0, 0
        try:
            while True:
                # Stay at most a few results ahead of the reader, so a long map does not pile up in memory.
                while len(busy) < self.num_workers and sent - following < 4 * self.num_workers + len(again):
                    job = again.popleft() if again else next(((index, item, 1) for index, item in feed), None)
                    if job is None:
                        break
                    sent = max(sent, job[0] + 1)
                    message = pickle.dumps(("map", function, job[1]))
                    worker = idle.pop() if idle else _Worker()
                    with contextlib.suppress(BrokenPipeError):  # dead already: seen below as its end of file
                        worker.pipe.send_bytes(message)
                    busy[worker.pipe] = (worker, job)
                if not busy:
                    return
                for pipe in wait(list(busy)):
                    assert isinstance(pipe, Connection)
                    worker, job = busy.pop(pipe)
                    self._receive(worker, job, idle, again, done)
                while following in done:
                    yield done.pop(following)
                    following += 1
        finally:
            for worker in [*idle, *(worker for worker, _ in busy.values())]:
                worker.close()

    def _receive(self, worker: _Worker, job: tuple[int, Any, int], idle: list[_Worker], again: deque[Any], done: dict[int, Any]) -> None:
        index, item, attempt = job
        try:
            good, value = pickle.loads(worker.pipe.recv_bytes())
        except (EOFError, OSError):
            ended = worker.how_it_ended()
            worker.close()
            if attempt >= ATTEMPTS:
                raise WorkerCrashed(f"item {index} ({item!r:.200}) killed its worker {ATTEMPTS} times ({ended})") from None
            again.append((index, item, attempt + 1))
            return
        idle.append(worker)
        if not good:
            raise value
        done[index] = value

    def actors(self, make: Callable[[int], Any], num: int) -> list[Actor]:
        """`num` objects, a process each; they start side by side."""
        actors = [ProcessActor(index) for index in range(num)]
        started = [actor.start("make", make, actor.index) for actor in actors]
        for pending in started:
            pending.result()
        return list(actors)


class ProcessActor:
    """An object in its own process. A crash is not retried, because its state is gone."""

    def __init__(self, index: int):
        self.index = index
        self._worker = _Worker()
        self._waiting: deque[_Answer] = deque()

    def start(self, kind: str, what: Any, argument: Any) -> "_Answer":
        """Send one request."""
        answer = _Answer(self)
        with contextlib.suppress(BrokenPipeError):
            self._worker.pipe.send_bytes(pickle.dumps((kind, what, argument)))
        self._waiting.append(answer)
        return answer

    def call(self, method: str, *arguments: Any) -> "_Answer":
        """Start a method."""
        return self.start("call", method, arguments)

    def receive(self) -> None:
        """Take the oldest outstanding answer from the pipe."""
        answer = self._waiting.popleft()
        try:
            answer.outcome = pickle.loads(self._worker.pipe.recv_bytes())
        except (EOFError, OSError):
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

"""The engine of a Ray cluster: the same calls on many machines.

With limits, an item runs in a process beside its Ray worker and under the same watch as with local processes, so that it fails
in the same words; what then still kills a Ray worker is the machine's doing, and costs no attempt of the item.
"""

import logging
import os
import pickle
from collections import deque
from collections.abc import Callable, Generator, Iterable
from functools import partial
from typing import Any, cast

from motorworks.engine.attempt import failure_of, sendable
from motorworks.engine.engine import ATTEMPTS, Actor, Engine, Failure, FailureKind, Item, Limits, Outcome, Result, WorkerCrashed
from motorworks.engine.process import AHEAD, ProcessEngine

LOST_MACHINES = 8  # how often one item may lose its machine


class RayEngine(Engine):
    """Work as Ray tasks and actors, one processor each.

    `num_workers` says for how many workers tasks are kept ready; without it, for the processors that the cluster has now.
    """

    def __init__(self, address: str | None = None, num_workers: int | None = None):
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("the Ray engine needs Ray: pip install 'motorworks[ray]'", name="ray") from error
        self._ray: Any = ray
        self._made_here = not ray.is_initialized()
        if self._made_here:
            ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING, include_dashboard=False)
        self.num_workers = num_workers or max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def _outcomes(
        self, function: Callable[[Item], Result], jobs: Iterable[tuple[str, Item]], limits: Limits | None
    ) -> Generator[Outcome[Item, Result]]:
        remote = self._ray.remote(num_cpus=1, max_retries=0, scheduling_strategy="SPREAD")(_run)
        sent = self._ray.put(pickle.dumps(function))
        under_way: deque[_Task] = deque()
        # What is under way when the reader leaves runs to its end: `ray.cancel` beside a task that is just ending kills the
        # caller's process (Ray 2.60: "Tried to complete task that was not pending").
        for key, item in jobs:
            under_way.append(_Task(self._ray, key, item, partial(remote.remote, sent, item, limits)))
            if len(under_way) >= AHEAD * self.num_workers:
                yield under_way.popleft().outcome(limits)
        while under_way:
            yield under_way.popleft().outcome(limits)

    def actors(self, make: Callable[[int], Any], num: int) -> list[Actor]:
        """`num` Ray actors, spread over the machines; each holds a processor until it is closed."""
        holder = self._ray.remote(num_cpus=1, scheduling_strategy="SPREAD")(_Holder)
        actors = [RayActor(self._ray, index, holder.remote()) for index in range(num)]
        for pending in [actor.make(make) for actor in actors]:
            pending.result()
        return list(actors)

    def close(self) -> None:
        """Leave the cluster, and stop it where it was started here."""
        if self._made_here:
            self._ray.shutdown()


class _Task:
    """An item on its way through the cluster."""

    def __init__(self, ray: Any, key: str, item: Any, start: Callable[[], Any]):
        self._ray, self._key, self._item, self._start = ray, key, item, start
        self.reference = start()

    def outcome(self, limits: Limits | None) -> Outcome[Any, Any]:
        """Wait for it. With limits the item cannot kill a Ray worker: one that dies is then the machine's loss, not the item's."""
        errors = self._ray.exceptions
        crashes, losses = 0, 0
        while True:
            try:
                value, failure = pickle.loads(self._ray.get(self.reference))
                return Outcome(key=self._key, item=self._item, value=value, failure=failure)
            except errors.RayTaskError as error:
                raise (error.cause or error) from error  # none of the item's: the function cannot be loaded there
            except (errors.WorkerCrashedError, errors.OutOfMemoryError) as error:
                crashes, last = crashes + 1, error
            except (errors.NodeDiedError, errors.ObjectLostError) as error:
                losses, last = losses + 1, error
            attempts = ATTEMPTS if limits is None else LOST_MACHINES
            if crashes >= attempts or losses >= LOST_MACHINES:
                return Outcome(key=self._key, item=self._item, failure=_crash(last, crashes, losses))
            self.reference = self._start()


def _crash(error: Exception, crashes: int, losses: int) -> Failure:
    kind: FailureKind = "memory" if type(error).__name__ == "OutOfMemoryError" else "crashed"
    lost = f" and lost its node {losses} times" if losses else ""
    return Failure(kind=kind, reason=f"killed {crashes} Ray workers{lost} ({type(error).__name__})")


_beside: ProcessEngine | None = None  # in a Ray worker: the process that runs items with limits, kept from task to task


class _Sealed:
    """A pickled function that is opened where it will run: the Ray worker beside need not hold its libraries, or survive them."""

    def __init__(self, function: bytes):
        self._function = function

    def __reduce__(self) -> Any:
        return pickle.loads, (self._function,)


def _run(function: bytes, item: Any, limits: Limits | None) -> bytes:
    """In a Ray worker: the pickled value and failure of an item."""
    global _beside
    result: tuple[Any, Failure | None]
    if limits is not None:
        _beside = _beside or ProcessEngine(1)
        (outcome,) = _beside.try_map(cast(Any, _Sealed(function)), [item], limits=limits)
        result = outcome.value, outcome.failure
    else:
        open_function = pickle.loads(function)
        try:
            result = open_function(item), None
        except Exception as error:
            result = None, failure_of(sendable(error))
    try:
        return pickle.dumps(result)
    except Exception as error:
        return pickle.dumps((None, failure_of(sendable(error))))


class _Holder:
    def make(self, make: Callable[[int], Any], index: int) -> None:
        self._held = make(index)

    def call(self, method: str, arguments: tuple[Any, ...]) -> Any:
        return getattr(self._held, method)(*arguments)


class RayActor:
    """An object in a Ray worker."""

    def __init__(self, ray: Any, index: int, handle: Any):
        self._ray, self._index, self._handle = ray, index, handle

    def make(self, make: Callable[[int], Any]) -> "RayPending":
        """Start to make the object, where it will live."""
        return RayPending(self._ray, self._index, self._handle.make.remote(make, self._index))

    def call(self, method: str, *arguments: Any) -> "RayPending":
        """Start a method."""
        return RayPending(self._ray, self._index, self._handle.call.remote(method, arguments))

    def close(self) -> None:
        """Let the object go."""
        self._ray.kill(self._handle)


class RayPending:
    """A call under way on a Ray actor."""

    def __init__(self, ray: Any, index: int, reference: Any):
        self._ray, self._index, self._reference = ray, index, reference

    def result(self) -> Any:
        """Wait for it."""
        try:
            return self._ray.get(self._reference)
        except self._ray.exceptions.RayTaskError as error:
            raise (error.cause or error) from error
        except self._ray.exceptions.RayActorError as error:
            raise WorkerCrashed(f"actor {self._index} died ({type(error).__name__})") from error

"""The engine of a Ray cluster: the same calls on many machines.

Thin: written against Ray's documented calls and not part of the test run, which has no Ray (it takes seconds and
half a gigabyte to start).
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from motorworks.engine.engine import Actor, Item, Result, WorkerCrashed


class RayEngine:
    """Work as Ray tasks and actors, one processor each; a task whose worker dies is tried once more."""

    def __init__(self, address: str | None = None, num_workers: int | None = None):
        try:
            import ray
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("the Ray engine needs Ray: pip install 'motorworks[ray]'", name="ray") from error
        self._ray: Any = ray
        ray.init(address=address, ignore_reinit_error=True, log_to_driver=False, include_dashboard=False)
        self.num_workers = num_workers or int(self._ray.cluster_resources().get("CPU", 1))

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Results in order, at most a few ahead of the reader."""
        remote = self._ray.remote(num_cpus=1, max_retries=1)(function)
        under_way: deque[tuple[int, Any, Any]] = deque()
        for index, item in enumerate(items):
            under_way.append((index, item, remote.remote(item)))
            if len(under_way) >= 4 * self.num_workers:
                yield self._take(*under_way.popleft())
        while under_way:
            yield self._take(*under_way.popleft())

    def _take(self, index: int, item: Any, reference: Any) -> Any:
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.WorkerCrashedError as error:
            raise WorkerCrashed(f"item {index} ({item!r:.200}) killed its worker twice") from error
        except self._ray.exceptions.RayTaskError as error:
            raise (error.cause or error) from error

    def actors(self, make: Callable[[int], Any], num: int) -> list[Actor]:
        """`num` Ray actors."""
        holder = self._ray.remote(num_cpus=1)(_Holder)
        return [RayActor(self._ray, holder.remote(make, index)) for index in range(num)]


class _Holder:
    def __init__(self, make: Callable[[int], Any], index: int):
        self._held = make(index)

    def call(self, method: str, arguments: tuple[Any, ...]) -> Any:
        return getattr(self._held, method)(*arguments)


class RayActor:
    """An object in a Ray worker."""

    def __init__(self, ray: Any, handle: Any):
        self._ray, self._handle = ray, handle

    def call(self, method: str, *arguments: Any) -> "RayPending":
        """Start a method."""
        return RayPending(self._ray, self._handle.call.remote(method, arguments))

    def close(self) -> None:
        """Let the object go."""
        self._ray.kill(self._handle)


class RayPending:
    """A call under way on a Ray actor."""

    def __init__(self, ray: Any, reference: Any):
        self._ray, self._reference = ray, reference

    def result(self) -> Any:
        """Wait for it."""
        return self._ray.get(self._reference)

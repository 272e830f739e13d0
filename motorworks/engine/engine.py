"""The engine socket: where work runs. The caller says what, never where."""

import contextlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, Protocol, Self, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
ATTEMPTS = 2


class WorkerCrashed(RuntimeError):
    """A worker process died on the same item in every attempt; the message names the item."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one item may cost. An item that is given limits never runs in the caller's process.

    A worker that crashes, or is killed because it went over a limit, is replaced and the item tried again, `attempts` times in
    all: a worker may be bloated or hung by what it did before. An `OSError` that may pass (EIO, a timeout, a reset connection)
    is tried again too, after a pause; any other error fails at once.
    """

    timeout_s: float | None = None  # wall time of an attempt, pauses included; starting a worker and importing do not count
    memory_bytes: int | None = None  # resident, of the worker and the programs it started; its libraries count
    attempts: int = ATTEMPTS

    def __post_init__(self) -> None:
        if self.timeout_s is not None and self.timeout_s <= 0:
            raise ValueError(f"limits.timeout_s is {self.timeout_s}: more than 0, or None for none")
        if self.memory_bytes is not None and self.memory_bytes <= 0:
            raise ValueError(f"limits.memory_bytes is {self.memory_bytes}: more than 0, or None for none")
        if self.attempts < 1:
            raise ValueError(f"limits.attempts is {self.attempts}: at least 1")


FailureKind = Literal["error", "crashed", "timeout", "memory"]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why an item has no result, in one line."""

    kind: FailureKind
    reason: str
    error: BaseException | None = None  # what the item raised, where it could be sent here


@dataclass(frozen=True, kw_only=True)
class Outcome(Generic[Item, Result]):
    """What came of one item: a value, or a failure."""

    key: str
    item: Item
    value: Result | None = None
    failure: Failure | None = None

    def result(self) -> Result:
        """The value, or the failure raised."""
        if self.failure is None:
            return self.value  # type: ignore[return-value]  # a result may be None
        if self.failure.error is not None:
            self.failure.error.add_note(f"in item {self.key} ({self.item!r:.200})")
            raise self.failure.error
        kinds: dict[str, type[Exception]] = {"crashed": WorkerCrashed, "timeout": TimeoutError, "memory": MemoryError}
        raise kinds.get(self.failure.kind, RuntimeError)(f"item {self.key} ({self.item!r:.200}) {self.failure.reason}")


class Pending(Protocol):
    """A call under way on an actor."""

    def result(self) -> Any:
        """Wait for the call and return its value, or raise its error."""
        ...


class Actor(Protocol):
    """An object that lives where the engine put it and keeps its state between calls."""

    def call(self, method: str, *arguments: Any) -> Pending:
        """Start a method; calls on one actor run one after the other."""
        ...

    def close(self) -> None:
        """Let the object go."""
        ...


class Engine(ABC):
    """Runs pure functions over items, and long-lived actors. Idle workers are kept for the next call until `close`."""

    num_workers: int

    def map(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        key: Callable[[Item], str] | None = None,
        limits: Limits | None = None,
    ) -> Iterator[Result]:
        """The results in the order of the items; the error of an item is raised as it was when its turn comes."""
        for outcome in self.try_map(function, items, key=key, limits=limits):
            yield outcome.result()

    def try_map(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        key: Callable[[Item], str] | None = None,
        limits: Limits | None = None,
    ) -> Iterator[Outcome[Item, Result]]:
        """As `map`, but an item that fails costs only itself: it comes as an outcome with a failure.

        With a `key`, items of equal keys are computed once, and the whole list of items is read before the first one runs.
        """
        if key is None:
            yield from self._outcomes(function, ((str(index), item) for index, item in enumerate(items)), limits)
            return
        listed = [(key(item), item) for item in items]
        still_to_come = Counter(name for name, _ in listed)
        once = dict(reversed(listed))
        with contextlib.closing(self._outcomes(function, ((name, once[name]) for name in dict.fromkeys(still_to_come)), limits)) as outcomes:
            known: dict[str, Outcome[Item, Result]] = {}
            for name, item in listed:
                outcome = known.pop(name, None) or next(outcomes)
                still_to_come[name] -= 1
                if still_to_come[name]:
                    known[name] = outcome
                yield replace(outcome, item=item)

    @abstractmethod
    def _outcomes(
        self, function: Callable[[Item], Result], jobs: Iterable[tuple[str, Item]], limits: Limits | None
    ) -> Generator[Outcome[Item, Result]]:
        """An outcome for each (key, item), in order, reading at most a few ahead."""

    @abstractmethod
    def actors(self, make: Callable[[int], Any], num: int) -> list[Actor]:
        """`num` objects, each made by `make(index)` where it will live."""

    @abstractmethod
    def close(self) -> None:
        """End the idle workers; the next call starts new ones."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

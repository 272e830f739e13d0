"""The engine socket: where work runs. The caller says what, never where."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class WorkerCrashed(RuntimeError):
    """A worker process died twice on the same item; the message names the item."""


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


class Engine(Protocol):
    """Runs pure functions over items, and long-lived actors."""

    num_workers: int

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """The results in the order of the items; an error of one item is raised as it was."""
        ...

    def actors(self, make: Callable[[int], Any], num: int) -> list[Actor]:
        """`num` objects, each made by `make(index)` where it will live."""
        ...

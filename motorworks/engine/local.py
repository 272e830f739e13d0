"""The engine that runs everything here, one after the other: for tests, small machines and debuggers."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from motorworks.engine.engine import Actor, Item, Result


@dataclass(frozen=True, kw_only=True)
class Done:
    """A call that has already ended."""

    value: Any = None
    error: BaseException | None = None

    def result(self) -> Any:
        """The value, or the error raised."""
        if self.error is not None:
            raise self.error
        return self.value


class LocalActor:
    """An object in this process."""

    def __init__(self, held: Any):
        self._held = held

    def call(self, method: str, *arguments: Any) -> Done:
        """Call it at once."""
        try:
            return Done(value=getattr(self._held, method)(*arguments))
        except Exception as error:
            return Done(error=error)

    def close(self) -> None:
        """Let the object go."""
        self._held = None


class LocalEngine:
    """Work in this process."""

    num_workers = 1

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Lazily, in order."""
        return map(function, items)

    def actors(self, make: Callable[[int], Any], num: int) -> list[Actor]:
        """Objects in this process."""
        return [LocalActor(make(index)) for index in range(num)]

"""The engine that runs everything here, one after the other: for tests, small machines and debuggers."""

import contextlib
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any

from motorworks.engine.attempt import failure_of
from motorworks.engine.engine import Actor, Engine, Item, Limits, Outcome, Result
from motorworks.engine.process import ProcessEngine


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


class LocalEngine(Engine):
    """Work in this process, each item when its result is asked for; with limits, in one process beside it."""

    num_workers = 1

    def __init__(self) -> None:
        self._beside = ProcessEngine(1)

    def _outcomes(
        self, function: Callable[[Item], Result], jobs: Iterable[tuple[str, Item]], limits: Limits | None
    ) -> Generator[Outcome[Item, Result]]:
        if limits is not None:
            with contextlib.closing(self._beside._outcomes(function, jobs, limits)) as outcomes:
                yield from outcomes
            return
        for key, item in jobs:
            try:
                outcome = Outcome(key=key, item=item, value=function(item))
            except Exception as error:
                outcome = Outcome(key=key, item=item, failure=failure_of(error))
            yield outcome

    def actors(self, make: Callable[[int], Any], num: int) -> list[Actor]:
        """Objects in this process."""
        return [LocalActor(make(index)) for index in range(num)]

    def close(self) -> None:
        """End the process beside this one."""
        self._beside.close()

"""Where batches come from, and how they are there before they are asked for. Order and bits never depend on who reads ahead how far."""

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from motorworks.train.batch import Batch, DrawOrder, gather
from motorworks.train.fit_config import FitConfig
from motorworks.train.samples import Samples

Cursor = dict[str, Any]  # plain JSON


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """This rank's rows of a global batch, and where the next batch begins."""

    batch: Batch
    cursor: Cursor


class Source(Protocol):
    """Endless batches of a run. The global order is the same for any number of ranks, each of which takes the rows `mine`."""

    def batches(self, config: FitConfig, *, mine: slice, cursor: Cursor | None, num_later: int = 0) -> Iterator[Drawn]: ...

    def identity(self) -> str:
        """What it draws from: a run does not go on with other data."""
        ...


class InMemory:
    """Rows of Samples in the order of their weights."""

    def __init__(self, samples: Samples) -> None:
        self.samples = samples

    def identity(self) -> str:
        """By number and weights, not by content: thin."""
        return f"{len(self.samples)} samples, {float(self.samples.weight.sum()):.9g}"

    def batches(self, config: FitConfig, *, mine: slice, cursor: Cursor | None, num_later: int = 0) -> Iterator[Drawn]:
        order = DrawOrder(self.samples.weight, config.batch_size, config.seed)
        generator = np.random.default_rng([config.seed, 1])
        if cursor is not None:
            order.load_state_dict(cursor["order"])
            generator.bit_generator.state = cursor["jitter"]
        for rows in order:
            batch = gather(self.samples, rows, config.jitter, generator, world=config.losses.world > 0, num_later=num_later, mine=mine)
            yield Drawn(batch=batch, cursor={"order": order.state_dict(), "jitter": generator.bit_generator.state})


class Ahead:
    """Batches that a thread prepares while the step before runs; `num` 0 makes each when it is asked for."""

    def __init__(self, batches: Iterator[Drawn], *, num: int, pin: bool) -> None:
        self._batches, self._pin = batches, pin
        self._ready: queue.Queue[Drawn | BaseException] = queue.Queue(maxsize=max(num, 1))
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="batches ahead", daemon=True) if num else None
        if self._thread is not None:
            self._thread.start()

    def __next__(self) -> Drawn:
        item = self._prepare() if self._thread is None else self._ready.get()
        if isinstance(item, BaseException):
            raise item
        return item

    def close(self) -> None:
        """Ends the thread."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()

    def __enter__(self) -> "Ahead":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _prepare(self) -> Drawn:
        drawn = next(self._batches)
        if not self._pin:
            return drawn
        pinned = {name: value.pin_memory() for name, value in vars(drawn.batch).items() if value is not None}
        return replace(drawn, batch=replace(drawn.batch, **pinned))

    def _work(self) -> None:
        while not self._closed.is_set():
            try:
                item: Drawn | BaseException = self._prepare()
            except BaseException as error:  # raised where the batch is asked for
                item = error
            while not self._closed.is_set():
                try:
                    self._ready.put(item, timeout=0.1)
                    break
                except queue.Full:
                    continue
            if isinstance(item, BaseException):
                return

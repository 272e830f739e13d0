"""Batches from a clip stream through PyTorch's DataLoader: blocks are read by worker processes, batches cut from them in order."""

from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from motorworks.clips.stream import ClipStream

Tensors = dict[str, torch.Tensor]


class StreamLoader:
    """Iterating yields the rest of the current pass, then stands at the start of the next. The batches are the same for any `num_workers`.

    `state_dict` says where the next batch begins, to the sample. In memory at a time: two blocks here and `prefetch_blocks` for each worker.
    """

    def __init__(self, stream: ClipStream, *, batch_size: int, num_workers: int = 0, prefetch_blocks: int = 1, pin_memory: bool = False):
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}: at least 1")
        self.stream, self.batch_size = stream, batch_size
        self.epoch, self.sample, self.num_skipped = 0, 0, 0
        self.skipped: list[str] = []  # a line for every clip that was left out since this loader was made
        self._order = _Order()
        workers: dict[str, Any] = {"persistent_workers": True, "prefetch_factor": prefetch_blocks, "multiprocessing_context": "spawn"}
        self._loader = DataLoader(
            _Blocks(stream),
            sampler=self._order,
            batch_size=None,
            collate_fn=_as_it_is,
            num_workers=num_workers,
            pin_memory=pin_memory,
            **workers if num_workers else {},
        )

    def __iter__(self) -> Iterator[Tensors]:
        first = self.sample // self.stream.samples_per_block
        self._order.blocks = [(self.epoch, index) for index in range(first, self.stream.num_blocks)]
        pieces: deque[_Piece] = deque()
        for index, (arrays, sample, skipped) in enumerate(self._loader, start=first):
            start = int(np.searchsorted(sample, self.sample)) if index == first else 0
            pieces.append(_Piece(arrays, sample, skipped, start))
            while sum(len(piece) for piece in pieces) >= self.batch_size:
                batch = self._take(pieces, self.batch_size)
                self.sample = pieces[0].next_sample if pieces else (index + 1) * self.stream.samples_per_block
                yield batch
        last = self._take(pieces, sum(len(piece) for piece in pieces))
        self.epoch, self.sample = self.epoch + 1, 0
        if last:
            yield last

    def _take(self, pieces: "deque[_Piece]", num: int) -> Tensors:
        """The next `num` windows; what lies behind them is let go, and only then its skipped clips count."""
        parts = []
        while pieces:
            part = pieces[0].take(num)
            num -= part[1]
            if part[1]:
                parts.append(part[0])
            if len(pieces[0]):
                break
            self.skipped += (done := pieces.popleft()).skipped
            self.num_skipped += len(done.skipped)
        if len(parts) < 2:
            return parts[0] if parts else {}
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def state_dict(self) -> dict[str, int]:
        """What a checkpoint keeps."""
        return {"epoch": self.epoch, "sample": self.sample, "num_skipped": self.num_skipped}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Goes on where `state_dict` was taken; for a new iteration."""
        self.epoch, self.sample, self.num_skipped = state["epoch"], state["sample"], state["num_skipped"]


class _Piece:
    """What is left of a block."""

    def __init__(self, arrays: Tensors, sample: Any, skipped: tuple[str, ...], start: int):
        self.arrays, self.sample, self.skipped, self.start = arrays, sample, skipped, start

    def __len__(self) -> int:
        return len(self.sample) - self.start

    @property
    def next_sample(self) -> int:
        return int(self.sample[self.start])

    def take(self, num: int) -> tuple[Tensors, int]:
        start, self.start = self.start, min(self.start + num, len(self.sample))
        return {name: values[start : self.start] for name, values in self.arrays.items()}, self.start - start


def _as_it_is(block: Any) -> Any:
    return block


class _Order(Sampler[tuple[int, int]]):
    def __init__(self) -> None:
        self.blocks: list[tuple[int, int]] = []

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self.blocks)

    def __len__(self) -> int:
        return len(self.blocks)


class _Blocks(Dataset[Any]):
    def __init__(self, stream: ClipStream):
        self.stream = stream

    def __getitem__(self, which: tuple[int, int]) -> tuple[Tensors, Any, tuple[str, ...]]:
        block = self.stream.block(*which)
        return {name: torch.from_numpy(values) for name, values in block.arrays.items()}, block.sample, block.skipped

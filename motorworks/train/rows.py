"""Dataclasses whose tensors all have a row for each sample, as one thing: inputs, outputs, answers by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

Rows = TypeVar("Rows")


def each_tensor(rows: Rows, do: Callable[[Tensor], Any]) -> Rows:
    """The same with `do` of every tensor."""
    if isinstance(rows, Tensor):
        return do(rows)
    if isinstance(rows, Mapping):
        return {name: each_tensor(value, do) for name, value in rows.items()}  # type: ignore[return-value]
    if is_dataclass(rows):
        found = {one.name: getattr(rows, one.name) for one in fields(rows)}
        return replace(rows, **{name: each_tensor(value, do) for name, value in found.items() if value is not None})  # type: ignore[type-var]
    return rows


def cut_rows(rows: Rows, num: int) -> list[Rows]:
    """In `num` equal parts, in order; ValueError where they would not be equal."""

    def part(number: int) -> Callable[[Tensor], Tensor]:
        def take(value: Tensor) -> Tensor:
            if len(value) % num:
                raise ValueError(f"{len(value)} samples of a rank are not {num} equal parts: FitConfig.accumulate must divide them")
            return value.chunk(num)[number]

        return take

    return [each_tensor(rows, part(number)) for number in range(num)]


def join_rows(parts: Sequence[Rows]) -> Rows:
    """One after the other."""
    lists = [list[Tensor]() for _ in parts]
    for found, one in zip(lists, parts, strict=True):
        each_tensor(one, found.append)  # always in the same order
    whole = iter([torch.cat(alike) for alike in zip(*lists, strict=True)])
    return each_tensor(parts[0], lambda _: next(whole))

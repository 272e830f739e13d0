"""A factory of two stages, small enough to break on purpose."""

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from motorworks.factory.artifact import Inputs
from motorworks.factory.errors import BadInput
from motorworks.factory.step import Output, RecipeOptions, Step


@dataclass(frozen=True, kw_only=True)
class Gather:
    num_items: int = 3
    factor: float = 1.0
    pause_s: float = 0.0
    clips: tuple[Path, ...] = ()


def write_item(config: Gather, key: str, folder: Path) -> None:
    time.sleep(config.pause_s)
    (folder / "item.txt").write_text(f"{key} {config.factor}")


def gather(config: Gather, inputs: Inputs, out: Output) -> None:
    compute = partial(write_item, config)
    keys = [f"item{index}" for index in range(config.num_items)]
    for key, folder in zip(keys, out.items("item", keys, compute, depends_on={"factor": config.factor}), strict=True):
        out.link(folder, f"items/{key}")
    out.volatile("took.txt").write_text(str(time.time_ns()))
    out.record(num_items=config.num_items, curve=[1, 2.5])


@dataclass(frozen=True, kw_only=True)
class Count:
    at_most: int = 10


def count(config: Count, inputs: Inputs, out: Output) -> None:
    found = len(list(inputs.one("gather").path.glob("items/*/item.txt")))
    (out.path / "count.txt").write_text(str(min(found, config.at_most)))
    out.thin("only counts")


def toy(options: RecipeOptions) -> Step:
    gathered = Step(name=f"toy/turn{options.turn}/gather", run=gather, config=Gather(num_items=2 + options.turn, clips=options.clips))
    return Step(name=f"toy/turn{options.turn}/count", run=count, config=Count(), inputs={"gather": gathered})


def breaks(config: None, inputs: Inputs, out: Output) -> None:
    (out.path / "half.txt").write_text("half")
    raise ZeroDivisionError("nothing to divide by")


def refuses(config: None, inputs: Inputs, out: Output) -> None:
    raise BadInput("clips/seven is empty")


def writes_much(config: None, inputs: Inputs, out: Output) -> None:
    with (out.path / "big.bin").open("wb") as file:
        for _ in range(64):
            file.write(bytes(1 << 16))


def broken(options: RecipeOptions) -> Step:
    return Step(name="broken/turn1/breaks", run=breaks, config=None)


def unreadable(options: RecipeOptions) -> Step:
    return Step(name="unreadable/turn1/refuses", run=refuses, config=None)

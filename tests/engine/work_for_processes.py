"""What the tests send to worker processes; spawned processes import it by name."""

import os
import signal
from pathlib import Path


def square(value: int) -> int:
    return value * value


def threads(value: int) -> str:
    return os.environ["OMP_NUM_THREADS"]


def raises(value: int) -> int:
    if value == 3:
        raise KeyError("three")
    return value


def dies_once(job: tuple[str, int]) -> int:
    folder, value = job
    mark = Path(folder) / f"died{value}"
    if value == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return value


def dies(value: int) -> int:
    if value == 1:
        os._exit(7)
    return value


class Cell:
    def __init__(self, index: int):
        self.value = index

    def add(self, more: int) -> int:
        self.value += more
        return self.value

    def fail(self) -> None:
        raise ValueError(f"cell {self.value}")

    def die(self) -> None:
        os._exit(9)

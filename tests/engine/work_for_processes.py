"""What the tests send to worker processes; spawned processes import it by name."""

import ctypes
import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def square(value: int) -> int:
    return value * value


def threads(value: int) -> str:
    return os.environ["OMP_NUM_THREADS"]


def pid(value: int) -> int:
    time.sleep(0.05)
    return os.getpid()


def pid_and_time(value: int) -> tuple[int, int]:
    return os.getpid(), time.monotonic_ns()


def raises(value: int) -> int:
    if value == 3:
        raise KeyError("three")
    return value


def once(job: tuple[str, int]) -> bool:
    """Whether this is the first time that item 2 runs."""
    folder, value = job
    mark = Path(folder) / f"seen{value}"
    if value != 2 or mark.exists():
        return False
    mark.touch()
    return True


def dies_once(job: tuple[str, int]) -> int:
    if once(job):
        os.kill(os.getpid(), signal.SIGKILL)
    return job[1]


def kills_its_maker_once(job: tuple[str, int]) -> int:
    if once(job):
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(30)
    return job[1]


def reads_badly_once(job: tuple[str, int]) -> int:
    if once(job):
        raise OSError(errno.EIO, "Input/output error")
    return job[1]


def is_not_there(value: int) -> int:
    raise FileNotFoundError(errno.ENOENT, f"number {value}")


def dies(value: int) -> int:
    if value == 1:
        os._exit(7)
    return value


class OddError(Exception):
    """It does not come back from a pickle."""

    def __init__(self, one: int, two: int):
        super().__init__(f"odd {one} {two}")


POISONS = {
    "segfault": "crashed",
    "exit": "crashed",
    "kill": "crashed",
    "loop": "timeout",
    "stop": "timeout",
    "memory": "memory",
    "error": "error",
    "odd error": "error",
    "odd result": "error",
}


def swallow(item: str) -> object:
    """Good items come back in capitals; poisons do what their name says."""
    match item:
        case "segfault":
            ctypes.string_at(0)
        case "exit":
            os._exit(3)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "loop":
            while True:
                pass
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "memory":
            held = []
            while len(held) < 200:  # an end, should no one watch
                held.append(b"\1" * (16 << 20))
                time.sleep(0.005)
        case "error":
            raise ValueError("a bad clip\nwith a second line")
        case "odd error":
            raise OddError(1, 2)
        case "odd result":
            return lambda: None
    return item.upper()


def leaves_a_greedy_program(folder: str) -> None:
    """Its own memory is small, that of the program it starts is not."""
    program = subprocess.Popen([sys.executable, "-c", "held = b'1' * 500_000_000; import time; time.sleep(60)"])
    (Path(folder) / "pid").write_text(str(program.pid))
    program.wait()


def loops(folder: str) -> None:
    (Path(folder) / "pid.part").write_text(str(os.getpid()))
    (Path(folder) / "pid.part").rename(Path(folder) / "pid")
    while True:
        pass


def naps(seconds_s: float) -> float:
    time.sleep(seconds_s)
    return seconds_s


class SlowToArrive:
    """A function whose libraries take long to import."""

    def __setstate__(self, state: dict[str, object]) -> None:
        time.sleep(1.2)

    def __getstate__(self) -> dict[str, object]:
        return {"some": "state"}

    def __call__(self, value: int) -> int:
        return value


class CannotArrive(SlowToArrive):
    def __setstate__(self, state: dict[str, object]) -> None:
        os._exit(4)


def where(value: int) -> tuple[int, str]:
    import ray

    time.sleep(0.3)
    return value, ray.get_runtime_context().get_node_id()


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

    def node(self) -> str:
        return where(0)[1]


class CellThatCannotBe:
    def __init__(self, index: int):
        self.value = 1 / index

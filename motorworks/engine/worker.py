"""A worker: a spawned process at the other end of a pipe, with one thread for arrays, that can be watched and killed."""

import contextlib
import multiprocessing as mp
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from motorworks.engine.attempt import attempt, sendable

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "NUMEXPR_NUM_THREADS")
MEMORY_IS_SEEN = Path("/proc/self/statm").is_file()
_CHILDREN_ARE_LISTED = any(Path("/proc/self/task").glob("*/children"))


class Worker:
    """It ends when its pipe or its maker does."""

    def __init__(self) -> None:
        context = mp.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,), daemon=True)
        with _one_thread():  # libraries read these once, when they are imported
            self.process.start()
        theirs.close()
        self.loaded: bytes | None = None  # the message that brought it its function

    def send(self, message: bytes) -> None:
        """A request; where the worker is dead already, that is seen at its pipe's end of file."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.pipe.send_bytes(message)

    def receive(self) -> tuple[bool, Any]:
        """Wait for the answer: whether it went well, and the value or the error. EOFError where the worker is gone."""
        try:
            message = self.pipe.recv_bytes()
        except OSError:
            raise EOFError from None
        good, value = pickle.loads(message)
        return good, value

    def resident_bytes(self) -> int:
        """Memory of the process and of those it started."""
        pid = self.process.pid
        return sum(_resident_bytes(one) for one in _tree(pid)) if pid is not None else 0

    def kill(self) -> None:
        """At once, with all it started."""
        if self.process.is_alive() and self.process.pid is not None:
            for pid in _tree(self.process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.close(patience_s=10)

    def close(self, patience_s: float = 2) -> None:
        """Let it end by itself for a while."""
        with contextlib.suppress(OSError):
            self.pipe.close()
        self.process.join(timeout=patience_s)
        if self.process.is_alive():
            self.process.kill()
            self.process.join(timeout=patience_s)

    def how_it_ended(self) -> str:
        """'exit code 3', or 'signal 11 SIGSEGV'."""
        self.process.join(timeout=2)
        code = self.process.exitcode
        if code is None or code >= 0:
            return f"exit code {code}"
        with contextlib.suppress(ValueError):
            return f"signal {-code} {signal.Signals(-code).name}"
        return f"signal {-code}"


def _tree(pid: int) -> list[int]:
    """The process, those it started, and theirs."""
    parents = None if _CHILDREN_ARE_LISTED else _parents()
    found = [pid]
    for one in found:  # it grows
        if parents is not None:
            found += [child for child, parent in parents.items() if parent == one]
            continue
        for path in Path(f"/proc/{one}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += [int(child) for child in path.read_text().split()]
    return found


def _parents() -> dict[int, int]:
    """The parent of every process, for systems that do not list the children."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            found[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    return found


def _resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):  # it has just ended
        return 0


def _serve(pipe: Connection) -> None:
    """In the worker: answer ('map', function, attempts), then ('item', '', item); or ('make', make, index), then ('call', method, arguments)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a stop from the keyboard reaches the whole group; the maker decides
    _be_a_good_victim()
    held: Any = None
    attempts = 1
    while True:
        try:
            kind, what, argument = pickle.loads(pipe.recv_bytes())
        except (EOFError, OSError):
            return
        except Exception as error:
            _reply(pipe, False, error)
            continue
        try:
            value: Any = None
            if kind == "map":
                held, attempts = what, argument
            elif kind == "item":
                value = attempt(held, argument, attempts)
            elif kind == "make":
                held = what(argument)
            else:
                value = getattr(held, what)(*argument)
        except Exception as error:
            error.add_note(f"in a worker process:\n{traceback.format_exc()}")
            _reply(pipe, False, error)
        else:
            _reply(pipe, True, value)


def _be_a_good_victim() -> None:
    """Die with the maker, even in the middle of an endless item; leave no core file; and when the machine runs out of memory, die first."""
    maker = mp.parent_process()
    assert maker is not None

    def end_with_the_maker() -> None:
        wait([maker.sentinel])
        os._exit(1)

    threading.Thread(target=end_with_the_maker, daemon=True).start()
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")


def _reply(pipe: Connection, good: bool, value: Any) -> None:
    try:
        message = pickle.dumps((good, value if good else sendable(value)))
    except Exception as error:
        message = pickle.dumps((False, sendable(TypeError(f"a result of type {type(value).__name__} cannot be sent between processes: {error}"))))
    with contextlib.suppress(OSError):
        pipe.send_bytes(message)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

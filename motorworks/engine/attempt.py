"""One item, tried again while its error may pass."""

import errno
import pickle
import time
from collections.abc import Callable
from typing import Any

from motorworks.engine.engine import Failure, FailureKind

MAY_PASS = {errno.EIO, errno.ETIMEDOUT, errno.EAGAIN, errno.EBUSY, errno.ESTALE, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTUNREACH}
FIRST_PAUSE_S = 0.2


def attempt(function: Callable[[Any], Any], item: Any, attempts: int) -> Any:
    """`function(item)`; after an error of a disk or a network that may pass, once more, each time after twice the pause."""
    for before in range(attempts):
        try:
            return function(item)
        except OSError as error:
            if before + 1 == attempts or not _may_pass(error):
                raise
            time.sleep(FIRST_PAUSE_S * 2**before)
    raise AssertionError("unreachable")


def _may_pass(error: OSError) -> bool:
    return isinstance(error, ConnectionError | TimeoutError) or error.errno in MAY_PASS


def failure_of(error: BaseException) -> Failure:
    """What an item raised, in one line."""
    lines = str(error).splitlines() or [""]
    kind: FailureKind = "memory" if isinstance(error, MemoryError) else "error"
    return Failure(kind=kind, reason=f"{type(error).__name__}: {lines[0]:.300}".rstrip(": "), error=error)


def sendable(error: Exception) -> Exception:
    """The error, or where it does not survive the way between processes, one that says what it said."""
    try:
        pickle.loads(pickle.dumps(error))
        return error
    except Exception as why:
        return RuntimeError(f"{type(error).__name__}: {error} (cannot be sent between processes: {why})")

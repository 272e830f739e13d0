"""What people say about labels: one line a correction, in a file that only grows. A person is a labeller of their own; nothing is overwritten."""

import hashlib
import os
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec

from motorworks.clips.recording import Quarantined
from motorworks.curate.labellers import LabelSet
from motorworks.datatypes.thought import Thought

HUMAN = re.compile(r"human:[a-z0-9][a-z0-9_.-]{0,31}")
_MAX_BYTES = 4096  # of one correction
_MAX_STEPS = 1_000_000


class Correction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One person on steps [start, stop) of a clip; without a decision they say that no words fit."""

    labeller: str  # human:<name>
    clip_id: str
    start: int
    stop: int
    num_steps: int
    decision: str | None
    cause: str | None
    made_at_us: int

    def __post_init__(self) -> None:
        if not HUMAN.fullmatch(self.labeller):
            raise ValueError(f"labeller {self.labeller!r} is not human:<name> in small letters, digits and -_.")
        if not 0 <= self.start < self.stop <= self.num_steps <= _MAX_STEPS:
            raise ValueError(f"steps [{self.start}, {self.stop}) are not a part of {self.num_steps}")
        if (self.decision is None) != (self.cause is None):
            raise ValueError("a decision needs a cause, and a cause a decision; null both where no words fit")
        _ = self.thought

    @property
    def thought(self) -> Thought | None:
        """The words; None where none fit."""
        return None if self.decision is None or self.cause is None else Thought(decision=self.decision, cause=self.cause)


@dataclass(frozen=True, kw_only=True)
class Corrections:
    """A file of corrections as label sets, one a person and clip; the last word on a step counts."""

    labels: list[LabelSet]
    rejected: list[Correction]  # "no words fit", where that is the last word on at least one of its steps
    quarantine: list[Quarantined]


def append_correction(path: Path, line: bytes) -> Correction:
    """Checks a line and adds it by one write, flushed to disk. After a torn line it starts a new one."""
    correction = _parse(line)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(handle).st_size
        torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
        data = b"\n" * torn + msgspec.json.encode(correction) + b"\n"
        if os.write(handle, data) != len(data):
            raise OSError(f"{path}: the disk took a part of a line only; free some space, then correct again")
        os.fsync(handle)
    finally:
        os.close(handle)
    return correction


def read_corrections(path: Path) -> Corrections:
    """All good lines of a file; each bad one is set aside with its number and the reason."""
    quarantine, good = [], []
    num_steps: dict[str, int] = {}
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            correction = _parse(line)
            known = num_steps.setdefault(correction.clip_id, correction.num_steps)
            if known != correction.num_steps:
                raise ValueError(f"clip {correction.clip_id} has {correction.num_steps} steps here and {known} above")
            good.append(correction)
        except ValueError as error:
            quarantine.append(Quarantined(path=path, reason=f"line {number}: {error}; skipped"))
    labels, rejected = _labels(good)
    return Corrections(labels=labels, rejected=rejected, quarantine=quarantine)


def serve_review(page: Path, corrections: Path, *, port: int = 0) -> ThreadingHTTPServer:
    """A server of one page on this machine alone, which adds what is sent to the file. Call `serve_forever()`; port 0 takes a free one.

    Only its own page may send: another site's page cannot send JSON here without asking, and is not answered.
    """
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        timeout = 30

        def do_GET(self) -> None:
            if not self._is_ours():
                return
            if self.path == "/":
                self._answer(200, page.read_bytes(), "text/html; charset=utf-8")
            elif self.path == "/corrections":
                self._answer(200, corrections.read_bytes() if corrections.is_file() else b"", "application/x-ndjson")
            else:
                self._answer(404, b"there is / and /corrections")

        def do_POST(self) -> None:
            if not self._is_ours():
                return
            length = self.headers.get("Content-Length", "")
            if self.path != "/corrections" or self.headers.get_content_type() != "application/json":
                self._answer(404, b"send JSON to /corrections")
            elif not length.isdecimal() or int(length) > _MAX_BYTES:
                self._answer(413, f"a correction has at most {_MAX_BYTES} bytes".encode())
            else:
                try:
                    with lock:
                        append_correction(corrections, self.rfile.read(int(length)))
                    self._answer(200, b"kept")
                except ValueError as error:
                    self._answer(400, str(error).encode())
                except OSError as error:
                    self._answer(507, str(error).encode())

        def _is_ours(self) -> bool:
            names = {f"{name}:{self.server.server_address[1]}" for name in ("127.0.0.1", "localhost")}
            origin = self.headers.get("Origin")
            ours = self.headers.get("Host") in names and (origin is None or origin.removeprefix("http://") in names)
            if not ours:
                self._answer(403, b"only the page of this server")
            return ours

        def _answer(self, status: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: the file is the log."""

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


def _parse(line: bytes) -> Correction:
    """A line's correction; ValueError says what is wrong with it."""
    try:
        return msgspec.json.decode(line, type=Correction)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error


def _labels(corrections: Iterable[Correction]) -> tuple[list[LabelSet], list[Correction]]:
    last: dict[tuple[str, str], list[Correction | None]] = {}
    for correction in corrections:
        steps = last.setdefault((correction.labeller, correction.clip_id), [None] * correction.num_steps)
        steps[correction.start : correction.stop] = [correction] * (correction.stop - correction.start)
    labels = [
        LabelSet(
            labeller=labeller,
            version=hashlib.sha256(b"".join(map(msgspec.json.encode, dict.fromkeys(filter(None, steps))))).hexdigest()[:8],
            clip_id=clip_id,
            thoughts=tuple(None if correction is None else correction.thought for correction in steps),
        )
        for (labeller, clip_id), steps in last.items()
    ]
    standing = dict.fromkeys(correction for steps in last.values() for correction in steps if correction is not None)
    return labels, [correction for correction in standing if correction.thought is None]

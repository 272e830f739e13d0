"""A small object store over HTTP that fails to order: for tests of what reads and writes by URL.

GET (with Range), HEAD, PUT (with `If-None-Match: *`) and a listing of folders, on the loopback. A fault strikes the requests it
matches, so many times, and the rest are served as they should be.
"""

import hashlib
import html
import os
import re
import socket
import struct
import tempfile
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What happens to the next `times` requests of a method to a path that ends so.

    status: an answer of `status` and nothing else. reset: the connection is cut after so many bytes of the body, sent or
    received. slow: the body takes `pause_s`. stall: silence for `pause_s` after so many bytes. lost answer: the upload is
    stored, and the connection cut before the answer.
    """

    kind: Literal["status", "reset", "slow", "stall", "lost answer"]
    method: str = "GET"
    path: str = ""
    times: int = 1
    status: int = 503
    after_bytes: int = 0
    pause_s: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Request:
    """One that came."""

    method: str
    path: str
    range: str


class FaultyServer:
    """Serves a folder while it is open: `with FaultyServer(folder, [Fault(kind="reset")]) as server: ... server.url`."""

    def __init__(self, folder: Path, faults: Sequence[Fault] = ()):
        self.folder = folder
        self.requests: list[Request] = []
        self.closing = threading.Event()
        self._left = [fault for fault in faults for _ in range(fault.times)]
        self._lock = threading.Lock()
        self._http = _Http(self)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> "FaultyServer":
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()

    def next_fault(self, method: str, path: str) -> Fault | None:
        """The first that matches and is not used up; it is used once more."""
        with self._lock:
            for index, fault in enumerate(self._left):
                if fault.method == method and path.endswith(fault.path):
                    return self._left.pop(index)
        return None

    def count(self, method: str, path: str = "") -> int:
        """How many requests of a method came for a path that ends so."""
        return sum(request.method == method and request.path.endswith(path) for request in self.requests)


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, store: FaultyServer):
        self.store = store
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves is no news."""


class _Cut(Exception):
    """The connection ends here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http

    def do_GET(self) -> None:
        self._answer(self._read)

    def do_HEAD(self) -> None:
        self._answer(self._read)

    def do_PUT(self) -> None:
        self._answer(self._write)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing on the terminal; see `FaultyServer.requests`."""

    def _answer(self, serve: Callable[[Path, Fault | None], None]) -> None:
        store = self.server.store
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        fault = store.next_fault(self.command, path)
        store.requests.append(Request(method=self.command, path=path, range=self.headers.get("Range", "")))
        try:
            if fault is not None and fault.kind == "status":
                self.close_connection = True  # its body, if it has one, is left unread
                self._head(fault.status, 0)
            else:
                serve(store.folder / path.strip("/"), fault)
        except _Cut:
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, not an orderly end

    def _head(self, status: int, nbytes: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(nbytes), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def _read(self, path: Path, fault: Fault | None) -> None:
        if path.is_dir():
            names = sorted(one.name + "/" * one.is_dir() for one in path.iterdir() if not one.name.startswith("."))
            at = "/".join(["", *path.relative_to(self.server.store.folder).parts, ""])
            data = "".join(f'<a href="{html.escape(urllib.parse.quote(at + name))}">{html.escape(name)}</a>\n' for name in names).encode()
            self._send(200, data, fault, Content_Type="text/html")
            return
        if not path.is_file():
            self._head(404, 0)
            return
        data = path.read_bytes()
        headers = {"Accept_Ranges": "bytes", "ETag": f'"{hashlib.sha256(data).hexdigest()[:32]}"'}
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if asked is None or asked.groups() == ("", ""):
            self._send(200, data, fault, **headers)
            return
        first, last = asked.groups()
        start = int(first) if first else max(0, len(data) - int(last))
        end = min(len(data), int(last) + 1) if first and last else len(data)
        if start >= end:
            self._head(416, 0, Content_Range=f"bytes */{len(data)}")
            return
        self._send(206, data[start:end], fault, Content_Range=f"bytes {start}-{end - 1}/{len(data)}", **headers)

    def _send(self, status: int, data: bytes, fault: Fault | None, **headers: str) -> None:
        self._head(status, len(data), **headers)
        if self.command == "HEAD":
            return
        if fault is None:
            self.wfile.write(data)
        elif fault.kind == "slow":
            step = max(1, len(data) // 10)
            for at in range(0, len(data), step):
                self.wfile.write(data[at : at + step])
                self.server.store.closing.wait(fault.pause_s / 10)
        else:
            self.wfile.write(data[: fault.after_bytes])
            self._break(fault)

    def _break(self, fault: Fault) -> None:
        if fault.kind == "stall":
            self.server.store.closing.wait(fault.pause_s)
        raise _Cut

    def _write(self, path: Path, fault: Fault | None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".", dir=path.parent)
        temporary, status = Path(name), 201
        try:
            with os.fdopen(descriptor, "wb") as file:
                for part in self._body():
                    file.write(part)
                    if fault is not None and fault.kind == "slow":
                        self.server.store.closing.wait(fault.pause_s / 10)
                    if fault is not None and fault.kind in ("reset", "stall") and file.tell() >= fault.after_bytes:
                        self._break(fault)
            if self.headers.get("If-None-Match") == "*":
                try:
                    os.link(temporary, path)  # of two at once, one
                except FileExistsError:
                    status = 412
            else:
                os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        if fault is not None and fault.kind == "lost answer":
            raise _Cut
        self._head(status, 0)

    def _body(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while nbytes := int(self.rfile.readline().split(b";")[0] or b"0", 16):
                yield self.rfile.read(nbytes)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length", 0))
        while left:
            part = self.rfile.read(min(left, 4096))
            if not part:
                raise _Cut  # the client left
            left -= len(part)
            yield part

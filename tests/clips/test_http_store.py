"""A store over http whose server is down, slow, torn or says 503 now and then: what is read is right, what is written is there once and whole."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from motorworks.clips import place as places
from motorworks.clips.place import ATTEMPTS, RemotePlace
from motorworks.clips.store import ClipStore, write_clips
from motorworks.datatypes.clip import Clip

MakeClip = Callable[..., Clip]


class Shelf(ThreadingHTTPServer):
    """Files by name; `faults` says what happens to each request in turn (None: it is answered)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.faults: Iterator[str | None] = itertools.repeat(None)
        self.put_names: list[str] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/store"

    def handle_error(self, *_: object) -> None:
        """Clients that hang up are what this is about."""


class _Handler(BaseHTTPRequestHandler):
    server: Shelf

    def log_message(self, *_: object) -> None:
        pass

    def _fault(self) -> bool:
        with self.server.lock:
            fault = next(self.server.faults)
        if fault == "503":
            self.send_error(503)
        elif fault == "cut" and self.command != "HEAD":  # promises more than it sends
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            self.wfile.write(b"half of it")
        elif fault == "silent":
            time.sleep(0.6)
        if fault is not None:
            self.close_connection = True
        return fault is not None

    def _answer(self, status: int, data: bytes, kind: str = "application/octet-stream", **more: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), "Content-Type": kind, "Accept-Ranges": "bytes", **more}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def do_GET(self) -> None:
        if self._fault():
            return
        data = self.server.files.get(self.path)
        inside = [name for name in self.server.files if name.startswith(self.path.rstrip("/") + "/")]
        if data is None and inside:
            self._answer(200, "".join(f'<a href="{name}">{name}</a>' for name in inside).encode(), "text/html")
        elif data is None:
            self.send_error(404)
        elif wanted := self.headers.get("Range"):
            start, stop = (int(part) for part in wanted.removeprefix("bytes=").split("-"))
            self._answer(206, data[start : stop + 1], Content_Range=f"bytes {start}-{min(stop, len(data) - 1)}/{len(data)}")
        else:
            self._answer(200, data)

    do_HEAD = do_GET

    def do_PUT(self) -> None:
        data = bytearray()
        while size := int(self.rfile.readline(), 16):  # in chunks, as aiohttp sends a file
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        if self._fault():
            return
        with self.server.lock:
            self.server.files[self.path] = bytes(data)
            self.server.put_names.append(self.path)
        self._answer(201, b"")


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    pytest.importorskip("aiohttp")
    monkeypatch.setattr(places, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(places, "SILENCE_S", 0.3)
    server = Shelf()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def _upload(shelf: Shelf, folder: Path) -> str:
    (pack,) = ClipStore(folder).packs
    copy = folder / "upload"
    copy.write_bytes((folder / "packs" / pack).read_bytes())
    RemotePlace(shelf.url).put(copy, f"packs/{pack}")
    return pack


@pytest.mark.parametrize("fault", ["503", "cut", "silent"])
def test_a_store_is_read_through_what_passes(shelf: Shelf, make_clip: MakeClip, tmp_path: Path, fault: str) -> None:
    (clip_id,) = write_clips(tmp_path, [make_clip()])
    expected = ClipStore(tmp_path).record(clip_id)
    _upload(shelf, tmp_path)
    shelf.faults = itertools.cycle([None, fault, fault])
    assert ClipStore(shelf.url).record(clip_id) == expected


def test_a_pack_is_put_once_and_whole_through_what_passes(shelf: Shelf, make_clip: MakeClip, tmp_path: Path) -> None:
    write_clips(tmp_path, [make_clip()])
    shelf.faults = itertools.chain(["503", None, "503", None, None, "cut"], itertools.repeat(None))
    pack = _upload(shelf, tmp_path)
    assert shelf.files[f"/store/packs/{pack}"] == (tmp_path / "packs" / pack).read_bytes()
    shelf.put_names.clear()
    _upload(shelf, tmp_path)
    assert not shelf.put_names, "the same content was sent a second time"


def test_a_store_that_stays_away_is_told_and_what_was_to_be_put_is_kept(shelf: Shelf, make_clip: MakeClip, tmp_path: Path) -> None:
    write_clips(tmp_path, [make_clip()])
    shelf.faults = itertools.repeat("503")
    with pytest.raises(OSError, match=rf"127.0.0.1.*503.*tried {ATTEMPTS} times"):
        _upload(shelf, tmp_path)
    assert (tmp_path / "upload").is_file() and not shelf.files
    shelf.faults = itertools.repeat("silent")
    started = time.monotonic()
    with pytest.raises(OSError, match=f"tried {ATTEMPTS} times"):
        RemotePlace(shelf.url).size("packs/x")
    assert time.monotonic() - started < 60, "waited for a silent server far beyond its limit"


def test_two_at_once_leave_one_whole_file(shelf: Shelf, make_clip: MakeClip, tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        write_clips(folder, [make_clip()])
    threads = [threading.Thread(target=_upload, args=(shelf, folder)) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (name,) = shelf.files
    assert shelf.files[name] == (folders[0] / "packs" / Path(name).name).read_bytes() and len(ClipStore(shelf.url).index) == 1

"""A store over http whose server says 503, falls silent or tears its answers: what is read is right, what is put is there once and whole."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[1]))
from faulty_server import Fault, FaultyServer

from motorworks.clips import place as places
from motorworks.clips.place import ATTEMPTS, RemotePlace
from motorworks.clips.store import ClipStore, write_clips
from motorworks.datatypes.clip import Clip

MakeClip = Callable[..., Clip]
SILENCE_S = 0.4
FAULTS: dict[str, dict[str, Any]] = {
    "503": {"kind": "status", "status": 503},
    "cut": {"kind": "reset", "after_bytes": 1},
    "silent": {"kind": "stall", "after_bytes": 1, "pause_s": 3 * SILENCE_S},
}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("aiohttp")
    monkeypatch.setattr(places, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(places, "SILENCE_S", SILENCE_S)


@pytest.fixture
def local(make_clip: MakeClip, tmp_path: Path) -> Iterator[Path]:
    """A store of one clip on disk, beside the folder that is served."""
    write_clips(tmp_path / "local", [make_clip()])
    (tmp_path / "served").mkdir()
    yield tmp_path / "local"


def _upload(server: FaultyServer, local: Path, name: str = "upload") -> str:
    (pack,) = ClipStore(local).packs
    copy = local / name
    copy.write_bytes((local / "packs" / pack).read_bytes())
    RemotePlace(server.url).put(copy, f"packs/{pack}")
    return pack


@pytest.mark.parametrize("fault", FAULTS)
def test_a_store_is_read_through_what_passes(local: Path, fault: str) -> None:
    (clip_id,) = ClipStore(local).index
    faults = [Fault(method="GET", times=2, path=ending, **FAULTS[fault]) for ending in ("packs", ".pack")] + [Fault(kind="status", method="HEAD")]
    with FaultyServer(local, faults) as server:
        assert ClipStore(server.url).record(clip_id) == ClipStore(local).record(clip_id)
        assert server.count("GET", ".pack") >= 4


@pytest.mark.parametrize("fault", [{"kind": "status"}, {"kind": "reset", "after_bytes": 100}, {"kind": "lost answer"}])
def test_a_pack_is_put_once_and_whole_through_what_passes(local: Path, tmp_path: Path, fault: dict[str, Any]) -> None:
    with FaultyServer(tmp_path / "served", [Fault(method="PUT", **fault), Fault(kind="status", method="HEAD", times=2)]) as server:
        pack = _upload(server, local)
        assert (tmp_path / "served/packs" / pack).read_bytes() == (local / "packs" / pack).read_bytes()
        num = server.count("PUT")
        _upload(server, local)
        assert server.count("PUT") == num <= 2, "the same content was sent again"


def test_a_store_that_stays_away_is_told_and_what_was_to_be_put_is_kept(local: Path, tmp_path: Path) -> None:
    with FaultyServer(tmp_path / "served", [Fault(kind="status", method="PUT", times=99)]) as server:
        with pytest.raises(OSError, match=rf"127.0.0.1.*503.*tried {ATTEMPTS} times"):
            _upload(server, local)
        assert (local / "upload").is_file() and not list((tmp_path / "served").rglob("*.pack"))
    silent = Fault(kind="stall", pause_s=20.0, times=99)
    with FaultyServer(local, [silent]) as server:
        started = time.monotonic()
        with pytest.raises(OSError, match=f"tried {ATTEMPTS} times"):
            RemotePlace(server.url).list("packs", ".pack")
        assert time.monotonic() - started < 15.0, "waited for a silent server beyond the limit"


def test_two_at_once_leave_one_whole_file(local: Path, tmp_path: Path) -> None:
    with FaultyServer(tmp_path / "served") as server:
        threads = [threading.Thread(target=_upload, args=(server, local, name)) for name in ("one", "two")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not (local / "one").exists() and not (local / "two").exists()
        assert ClipStore(server.url).record(next(iter(ClipStore(local).index))) == ClipStore(local).record(next(iter(ClipStore(local).index)))

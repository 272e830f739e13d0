"""The faulty store is a true one between its faults, and byte ranges survive them by urllib3's own retries."""

import contextlib
import sys
import threading
import time
from pathlib import Path

import pytest
import urllib3

sys.path.append(str(Path(__file__).parents[1]))
from faulty_server import Fault, FaultyServer

DATA = bytes(range(256)) * 400
RETRY = urllib3.Retry(total=4, backoff_factor=0.01, status_forcelist=(500, 502, 503, 504), allowed_methods=("GET", "HEAD", "PUT"))


@pytest.fixture
def pool():
    with urllib3.PoolManager(retries=RETRY, timeout=urllib3.Timeout(connect=1, read=0.4)) as made:
        yield made


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "packs").mkdir()
    (tmp_path / "packs" / "a pack").write_bytes(DATA)
    return tmp_path


def test_it_serves_ranges_and_lists(folder, pool):
    with FaultyServer(folder) as server:
        url = f"{server.url}/packs/a%20pack"
        for asked, status, data in (
            ("bytes=10-19", 206, DATA[10:20]),
            ("bytes=102390-", 206, DATA[102390:]),
            ("bytes=-5", 206, DATA[-5:]),
            ("bytes=102395-999999", 206, DATA[102395:]),
            ("bytes=102400-", 416, b""),
            ("", 200, DATA),
        ):
            answer = pool.request("GET", url, headers={"Range": asked} if asked else {})
            assert (answer.status, answer.data) == (status, data)
        head = pool.request("HEAD", url)
        assert head.headers["Content-Length"] == "102400" and head.headers["ETag"] == answer.headers["ETag"]
        assert pool.request("GET", f"{server.url}/packs/").data == b'<a href="/packs/a%20pack">a pack</a>\n'
        assert pool.request("GET", f"{server.url}/none").status == 404


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind="status", times=3),
        Fault(kind="reset"),
        Fault(kind="reset", after_bytes=300, times=2),
        Fault(kind="stall", after_bytes=300, pause_s=5),
        Fault(kind="slow", pause_s=0.3),
    ],
    ids=lambda fault: fault.kind,
)
def test_a_range_comes_whole_through_a_fault(folder, pool, fault):
    with FaultyServer(folder, [fault]) as server:
        answer = pool.request("GET", f"{server.url}/packs/a%20pack", headers={"Range": "bytes=1000-1999"})
        assert answer.data == DATA[1000:2000]
        assert server.count("GET") == (1 if fault.kind == "slow" else 1 + fault.times)


def test_a_fault_that_stays_is_an_error(folder, pool):
    with FaultyServer(folder, [Fault(kind="reset", after_bytes=300, times=99)]) as server, pytest.raises(urllib3.exceptions.MaxRetryError):
        pool.request("GET", f"{server.url}/packs/a%20pack")


@pytest.mark.parametrize("kind", ["status", "reset", "lost answer"])
def test_an_upload_is_stored_once_and_never_by_half(folder, pool, kind):
    with FaultyServer(folder, [Fault(kind=kind, method="PUT", after_bytes=5000)]) as server:
        answer = pool.request("PUT", f"{server.url}/packs/new", body=DATA, headers={"If-None-Match": "*"})
        # Where the first answer was lost, the second says that the name is taken: by the same content, if the name says the content.
        assert answer.status == (412 if kind == "lost answer" else 201)
        assert (folder / "packs" / "new").read_bytes() == DATA
        assert sorted(path.name for path in (folder / "packs").iterdir()) == ["a pack", "new"]


def test_of_two_uploads_at_once_one_wins(folder, pool):
    statuses = []
    with FaultyServer(folder, [Fault(kind="slow", method="PUT", pause_s=0.1)]) as server:

        def upload(data: bytes) -> None:
            statuses.append(pool.request("PUT", f"{server.url}/packs/new", body=data, headers={"If-None-Match": "*"}).status)

        threads = [threading.Thread(target=upload, args=(bytes([one]) * 9000,)) for one in (1, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(statuses) == [201, 412]
    assert len(set((folder / "packs" / "new").read_bytes())) == 1


def test_it_closes_while_a_client_waits(folder, pool):
    def ask() -> None:
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            pool.request("GET", f"{server.url}/packs/a%20pack", retries=False, timeout=60)

    with FaultyServer(folder, [Fault(kind="stall", pause_s=60)]) as server:
        thread = threading.Thread(target=ask)
        thread.start()
        while not server.requests:
            time.sleep(0.01)
    thread.join(5)
    assert not thread.is_alive()

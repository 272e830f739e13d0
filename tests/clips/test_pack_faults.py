"""Killed anywhere, a full disk, a flipped bit, a short read, two writers at once: packs are whole or not there."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from motorworks.clips.pack import FIX, PackBroken, PackWriter, check_pack, read_rows
from motorworks.clips.place import ATTEMPTS, LocalPlace, RemotePlace
from motorworks.clips.record import encode_record
from motorworks.clips.store import ClipStore, ClipWriter, write_clips
from motorworks.datatypes.clip import Clip

MakeClip = Callable[..., Clip]
# Writes two packs into a folder, and kills itself before the n-th thing that changes the disk; for every folder and n a process of its own, forked
# from one that has imported all.
KILLED_WRITER = """
import io, os, pickle, signal, sys
from pathlib import Path
from motorworks.clips.pack import PackWriter
from motorworks.clips.store import ClipWriter
done = 0
def commit_point(*_):
    global done
    done += 1
    if done == when:
        os.kill(os.getpid(), signal.SIGKILL)
def watched(function):
    def call(*arguments, **named):
        commit_point()
        value = function(*arguments, **named)
        commit_point()
        return value
    return call
os.fsync = watched(os.fsync)
Path.replace = watched(Path.replace)
PackWriter._write = watched(PackWriter._write)
clips = pickle.loads(Path(sys.argv[1]).read_bytes())
for folder, when in zip(sys.argv[2::2], map(int, sys.argv[3::2])):
    child = os.fork()
    if not child:
        with ClipWriter(Path(folder), max_bytes=1) as writer:
            for row, record in clips:
                writer.add_record(row, record)
        os._exit(done)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.fixture
def records(make_clip: MakeClip, tmp_path: Path) -> Path:
    import pickle

    path = tmp_path / "records.pickle"
    path.write_bytes(pickle.dumps([encode_record(make_clip(seed=seed)) for seed in range(2)]))
    return path


def writer(records: Path, until: dict[Path, int]) -> list[str]:
    return [sys.executable, "-c", KILLED_WRITER, str(records), *(str(word) for pair in until.items() for word in pair)]


def write_until(records: Path, until: dict[Path, int]) -> list[int]:
    """How each ended: by a signal, or with the number of points that it came past."""
    return [int(line) for line in subprocess.run(writer(records, until), capture_output=True, text=True, check=True).stdout.split()]


def test_killed_at_every_commit_point_it_shows_whole_packs_only_and_ends_in_the_same_bytes(records: Path, tmp_path: Path) -> None:
    (num_points,) = write_until(records, {tmp_path / "whole": 0})
    expected = {path.name: path.read_bytes() for path in (tmp_path / "whole" / "packs").iterdir()}
    assert num_points > 10 and len(expected) == 2
    killed = {tmp_path / f"killed{when}": when for when in range(1, num_points + 1)}
    assert write_until(records, killed) == [-signal.SIGKILL] * num_points
    for folder in killed:
        store = ClipStore(folder)
        assert not list(store.check()) and len(store.index) <= 2
        ClipWriter(folder).close()  # the next writer sweeps
        assert not list((folder / "packs").glob(".writing*"))
    # the rest of the road is the same from everywhere: one of them is walked to the end
    assert write_until(records, {folder: 0})[0] > 0
    assert {path.name: path.read_bytes() for path in (folder / "packs").iterdir()} == expected


@pytest.mark.parametrize("nth", range(1, 7))
def test_a_full_disk_at_any_write_names_path_and_need_and_leaves_what_was_there(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    write_clips(tmp_path, [make_clip(seed=9)])
    before = {path: path.read_bytes() for path in (tmp_path / "packs").iterdir()}
    real, num = PackWriter._open, 0

    def opened(self: PackWriter) -> None:
        real_file = []

        class Full:
            def write(self, data: bytes) -> int:
                nonlocal num
                num += 1
                if num == nth:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return real_file[0].write(data)

            def __getattr__(self, name: str) -> object:
                return getattr(real_file[0], name)

        plain_open = Path.open
        with monkeypatch.context() as patch:
            patch.setattr(Path, "open", lambda path, mode="r": real_file.append(plain_open(path, mode)) or Full())
            real(self)

    monkeypatch.setattr(PackWriter, "_open", opened)
    clips = [make_clip(seed=1), make_clip(seed=2), make_clip(seed=3)]
    with pytest.raises(OSError, match="bytes more are needed") as caught:
        write_clips(tmp_path, clips)
    assert caught.value.errno == errno.ENOSPC and str(tmp_path / "packs") in str(caught.value)
    assert {path: path.read_bytes() for path in (tmp_path / "packs").iterdir()} == before
    monkeypatch.setattr(PackWriter, "_open", real)  # space again
    assert len(write_clips(tmp_path, clips)) == 3 and len(ClipStore(tmp_path).index) == 4


def test_a_flipped_bit_is_found_wherever_it_lies(make_clip: MakeClip, tmp_path: Path) -> None:
    ids = write_clips(tmp_path, [make_clip(seed=1), make_clip(seed=2)])
    (path,) = (tmp_path / "packs").iterdir()
    good = path.read_bytes()
    for position in range(0, len(good), max(1, len(good) // 61)):
        data = bytearray(good)
        data[position] ^= 1 << position % 8
        path.write_bytes(data)
        with pytest.raises(PackBroken, match="run ingest again"):
            check_pack(path)
        store = ClipStore(tmp_path)
        try:
            read = [store.record(clip_id) for clip_id in ids]
        except PackBroken as error:
            assert path.name in str(error)
        else:  # the bit lies where no clip is: in front of the first record
            assert position < store.index[ids[0]].row.offset and len(read) == 2


@pytest.mark.parametrize("keep", [0, 5, 0.3, 0.9, -1])
def test_a_pack_cut_short_is_named_with_its_fix(make_clip: MakeClip, tmp_path: Path, keep: float) -> None:
    write_clips(tmp_path, [make_clip()])
    (path,) = (tmp_path / "packs").iterdir()
    data = path.read_bytes()
    path.write_bytes(data[: round(keep * len(data)) if isinstance(keep, float) else keep])
    with pytest.raises(PackBroken, match=f"{path.name}.*{FIX}"):
        _ = ClipStore(tmp_path).index


def test_a_store_elsewhere_is_read_through_short_answers_and_errors_that_pass(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fsspec.implementations.memory import MemoryFileSystem

    clip = make_clip()
    (clip_id,) = write_clips(tmp_path, [clip])
    local = ClipStore(tmp_path)
    expected, (pack,) = local.record(clip_id), local.packs
    monkeypatch.setattr("motorworks.clips.place.FIRST_PAUSE_S", 0.0)
    place = RemotePlace("memory://store-of-faults")
    source = tmp_path / "upload"
    source.write_bytes((tmp_path / "packs" / pack).read_bytes())
    place.put(source, f"packs/{pack}")
    answers = iter(["error", "short", "good"] * 20)
    real = MemoryFileSystem.cat_file

    def faulty(self: MemoryFileSystem, path: str, start: int | None = None, end: int | None = None, **more: object) -> bytes:
        answer = next(answers)
        if answer == "error":
            raise ConnectionResetError("503")
        return real(self, path, start=start, end=end)[: -1 if answer == "short" else None]

    monkeypatch.setattr(MemoryFileSystem, "cat_file", faulty)
    store = ClipStore("memory://store-of-faults")
    assert store.record(clip_id) == expected and store.read(clip_id).recording_id == clip.recording_id
    monkeypatch.setattr(MemoryFileSystem, "cat_file", lambda *_, **__: (_ for _ in ()).throw(ConnectionResetError("503")))
    with pytest.raises(OSError, match=f"ConnectionResetError: 503 .tried {ATTEMPTS} times"):
        _ = ClipStore("memory://store-of-faults").index


def test_two_writers_of_the_same_clips_leave_each_once(records: Path, tmp_path: Path) -> None:
    both = [subprocess.Popen(writer(records, {tmp_path / "store": 0}), stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert all(int(one.communicate()[0]) > 0 for one in both)
    store = ClipStore(tmp_path / "store")
    assert len(store.packs) == 2 and not list(store.check()) and len(store.index) == 2
    assert sorted(path.name for path in (tmp_path / "store" / "packs").iterdir()) == store.packs


def test_a_store_may_be_read_after_a_fork_and_in_a_spawned_process(make_clip: MakeClip, tmp_path: Path) -> None:
    (clip_id,) = write_clips(tmp_path, [make_clip()])
    store = ClipStore(tmp_path)
    here = store.record(clip_id)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(store.record, (clip_id,)) == here


def test_a_writer_of_another_process_that_still_runs_is_left_alone(make_clip: MakeClip, tmp_path: Path) -> None:
    row, record = encode_record(make_clip())
    with PackWriter(tmp_path / "packs") as writer:
        writer.add(row, record)
        ClipWriter(tmp_path).close()
        assert len(list((tmp_path / "packs").glob(f".writing-*-{os.getpid()}-*"))) == 1
    assert [one.clip_id for one in read_rows(LocalPlace(tmp_path), f"packs/{writer.packs[0]}")] == [row.clip_id]

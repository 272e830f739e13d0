"""Packs: immutable files of many clips, addressed by byte range, named by the sha256 of what is in them.

    magic | record | record | ... | rows (msgpack) | length of the rows, 8 bytes | checksum of the rows, 16 | magic

A pack says everything about itself: tables over packs can be lost and built again from the rows at their ends.
"""

import hashlib
import os
import socket
import struct
import uuid
from pathlib import Path

import msgspec

from motorworks.clips.place import Place, flush
from motorworks.clips.record import ID_LETTERS, ClipRow, checksum

MAGIC = b"mwpack1\n"
SUFFIX = ".pack"
MAX_BYTES = 256 << 20
FIX = "move it aside and run ingest again, which makes it anew from the recordings"
_TAIL = struct.Struct(f"<Q16s{len(MAGIC)}s")
_GUESS_BYTES = 1 << 16  # of the end, read at once: the rows of some two hundred clips


class PackBroken(ValueError):
    """A pack that is not what was written; the message names the file and the fix."""


class PackWriter:
    """Writes packs into a folder, a new one whenever the last is full. Nothing is seen before it is whole and on disk."""

    def __init__(self, folder: Path, *, max_bytes: int = MAX_BYTES):
        self.folder, self.max_bytes = folder, max_bytes
        self.packs: list[str] = []  # names of those finished
        self._temporary: Path | None = None

    def add(self, row: ClipRow, record: bytes) -> None:
        """One clip; its row learns where it lies."""
        if self._temporary is None:
            self._open()
        offset = self._file.tell()
        self._write(record)
        self._rows.append(msgspec.structs.replace(row, offset=offset))
        if offset + len(record) >= self.max_bytes:
            self.close()

    def close(self) -> None:
        """Finishes the pack that is open: rows, tail, fsync, rename."""
        if self._temporary is None:
            return
        try:
            self._finish(self._temporary)
        except BaseException:
            self.discard()
            raise

    def _finish(self, temporary: Path) -> None:
        rows = msgspec.msgpack.encode(self._rows)
        self._write(rows)
        self._write(_TAIL.pack(len(rows), bytes.fromhex(checksum(rows)), MAGIC))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        name = f"{self._hash.hexdigest()[:ID_LETTERS]}{SUFFIX}"
        temporary.replace(self.folder / name)
        flush(self.folder)
        self._temporary = None
        self.packs.append(name)

    def discard(self) -> None:
        """Leaves no trace of the pack that is open."""
        if self._temporary is not None:
            self._file.close()
            self._temporary.unlink(missing_ok=True)
            self._temporary = None

    def __enter__(self) -> "PackWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close() if kind is None else self.discard()

    def _open(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._temporary = self.folder / f".writing-{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._file = self._temporary.open("xb")
        self._rows: list[ClipRow] = []
        self._hash = hashlib.sha256()
        self._write(MAGIC)

    def _write(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror}: {len(data):,} bytes more are needed for a pack", str(self.folder)) from error
        self._hash.update(data)


def read_rows(place: Place, path: str) -> list[ClipRow]:
    """The rows at the end of a pack."""
    where = f"{place.name}/{path}"
    size = place.size(path)
    tail = place.read(path, max(0, size - _GUESS_BYTES), min(size, _GUESS_BYTES))
    if len(tail) < _TAIL.size or tail[-len(MAGIC) :] != MAGIC:
        raise PackBroken(f"{where} does not end as a pack does (cut short or overwritten): {FIX}")
    length, expected, _ = _TAIL.unpack(tail[-_TAIL.size :])
    if length + _TAIL.size > size:
        raise PackBroken(f"{where}: its rows are said to be {length:,} bytes long, the file has {size:,}: {FIX}")
    start = size - _TAIL.size - length
    rows = tail[-_TAIL.size - length : -_TAIL.size] if length + _TAIL.size <= len(tail) else place.read(path, start, length)
    if bytes.fromhex(checksum(rows)) != expected:
        raise PackBroken(f"{where}: its rows are not what was written (checksum): {FIX}")
    try:
        return msgspec.msgpack.decode(rows, type=list[ClipRow])
    except msgspec.DecodeError as error:
        raise PackBroken(f"{where}: its rows were written by another version ({error}): run ingest again") from error


def read_record(place: Place, path: str, row: ClipRow) -> bytes:
    """A clip's bytes, compared with what was written."""
    try:
        record = place.read(path, row.offset, row.nbytes)
    except OSError as error:
        raise PackBroken(f"{place.name}/{path}, clip {row.clip_id}: {error}; {FIX}") from error
    if checksum(record) != row.check:
        raise PackBroken(f"{place.name}/{path}, clip {row.clip_id} at byte {row.offset}: not what was written (checksum); {FIX}")
    return record


def check_pack(path: Path) -> None:
    """Every byte of a local pack against its name."""
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest()[:ID_LETTERS] != path.stem:
            raise PackBroken(f"{path} is not what was written (sha256 differs from its name): {FIX}")


def sweep(folder: Path) -> int:
    """Removes what writers of this machine left that no longer run; returns how many."""
    num = 0
    for path in folder.glob(f".writing-{socket.gethostname()}-*"):
        if not _runs(int(path.name.split("-")[-2])):
            path.unlink(missing_ok=True)
            num += 1
    return num


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True

"""A frozen list of clips to train on, 24 bytes each, memory-mapped: a trainer needs it and the packs, and no database.

magic, 64 bytes | entry | entry | ... | JSON: packs, cameras | length of the JSON, 8 bytes | sha256 of all before, 32 | magic, 64
"""

import hashlib
import json
import struct
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np

from motorworks.clips.place import whole_file
from motorworks.clips.store import StoredClip
from motorworks.geometry.array import Array

ENTRY = np.dtype(
    [
        ("pack", "<u4"),  # its place in the list of packs
        ("offset", "<u4"),  # of the clip's record in its pack
        ("start", "<u4"),  # of the camera's video in the record; the head lies before the first video
        ("nbytes", "<u4"),  # of the video
        ("check", "<u4"),  # crc32 of the head and the video
        ("num_steps", "<u2"),
        ("camera", "u1"),  # which of the record's videos
        ("flags", "u1"),  # 1: ego motion is known
    ]
)
_MAGIC = b"motorworks manifest 1\n".ljust(64, b" ")
_TAIL = struct.Struct(f"<Q32s{len(_MAGIC)}s")
_BATCH = 1 << 16
FIX = "write it again from the clips"


class ManifestBroken(ValueError):
    """A manifest that is not what was written; the message names the file and the fix."""


def write_manifest(path: Path, clips: Iterable[StoredClip], *, cameras: tuple[str, ...] | None = None) -> int:
    """Lists the clips in the order given, an entry for each of these cameras that a clip has (None: the one that looks ahead).

    A clip given twice is drawn twice as often. Clips without pictures are left out. Returns the number of entries; nothing but a few
    thousand of them is ever in memory.
    """
    packs: dict[str, int] = {}
    rows = (row for stored in clips for row in _rows(stored, packs, cameras))
    return write_entries(path, packs, (np.array(batch, ENTRY) for batch in iter(lambda: list(islice(rows, _BATCH)), [])))


def write_entries(path: Path, packs: Iterable[str], batches: Iterable[Array]) -> int:
    """As `write_manifest`, from arrays of ENTRY; `packs` is read when all entries are."""
    num, sha = 0, hashlib.sha256()
    with whole_file(path) as temporary, temporary.open("xb") as file:

        def write(data: bytes) -> None:
            file.write(data)
            sha.update(data)

        write(_MAGIC)
        for batch in batches:
            write(batch.tobytes())
            num += len(batch)
        facts = json.dumps({"packs": list(packs), "num": num}).encode()
        write(facts)
        file.write(_TAIL.pack(len(facts), sha.digest(), _MAGIC))
    return num


class Manifest:
    """Reads: `entries` is mapped, not loaded. Every entry is guarded by the check of what it points at."""

    def __init__(self, path: Path):
        self.path = path
        size = path.stat().st_size
        with path.open("rb") as file:
            file.seek(max(0, size - _TAIL.size))
            tail = file.read()
            if len(tail) < _TAIL.size or tail[-len(_MAGIC) :] != _MAGIC:
                raise ManifestBroken(f"{path} does not end as a manifest does (cut short, or another file): {FIX}")
            length, digest, _ = _TAIL.unpack(tail)
            start = size - _TAIL.size - length
            try:
                file.seek(start)
                facts = json.loads(file.read(length))
                num, self.packs = int(facts["num"]), tuple(facts["packs"])
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise ManifestBroken(f"{path}: its list of packs cannot be read ({error}): {FIX}") from error
        if len(_MAGIC) + num * ENTRY.itemsize != start:
            raise ManifestBroken(f"{path}: {start - len(_MAGIC)} bytes of entries, {num} entries are {num * ENTRY.itemsize}: {FIX}")
        self.digest = digest.hex()
        self.entries: Array = np.memmap(path, ENTRY, "r", offset=len(_MAGIC), shape=num) if num else np.empty(0, ENTRY)

    def __len__(self) -> int:
        return len(self.entries)

    def __reduce__(self) -> tuple[type["Manifest"], tuple[Path]]:
        return Manifest, (self.path,)  # workers map it themselves

    def check(self) -> None:
        """Every byte against the sha256 at its end."""
        sha, left = hashlib.sha256(), self.path.stat().st_size - _TAIL.size
        with self.path.open("rb") as file:
            while left:
                sha.update(data := file.read(min(left, 1 << 20)))
                left -= len(data)
        if sha.hexdigest() != self.digest:
            raise ManifestBroken(f"{self.path} is not what was written (sha256): {FIX}")


def _rows(stored: StoredClip, packs: dict[str, int], cameras: tuple[str, ...] | None) -> Iterable[tuple[int, ...]]:
    row = stored.row
    if max(row.offset, row.nbytes) >= 2**32 or row.num_steps >= 2**16:
        raise ValueError(
            f"clip {row.clip_id}: {row.num_steps} steps at byte {row.offset} of {stored.pack} do not fit an entry; cut it, or write smaller packs"
        )
    for place, view in enumerate(row.views):
        if place == 0 if cameras is None else view.camera in cameras:
            pack = packs.setdefault(stored.pack, len(packs))
            yield pack, row.offset, view.start, view.nbytes, view.check, row.num_steps, place, int(row.motion_kind is not None)

"""Recordings in, clips out: recognises the layout of each path, walks folders, sets aside what cannot be read."""

from collections.abc import Sequence
from pathlib import Path

from motorworks.clips.readers.comma2k19 import Comma2k19Reader
from motorworks.clips.readers.donkeycar import DonkeycarReader
from motorworks.clips.readers.video import DashcamReader
from motorworks.clips.recording import ClipReader, Quarantined, ReadResult, join
from motorworks.clips.store import ClipBroken, is_stored_clip, read_clip

__all__ = ["READERS", "ClipReader", "Quarantined", "ReadResult", "find", "read", "read_one"]
_MAX_DEPTH = 8


class StoredClipReader:
    """Reads one stored clip: what an earlier drive or mine left. Source and recording stay what they were."""

    name = "stored"
    understands = "stored clip: a folder with clip.json and motion.npz, as a drive, a mine or an ingest leaves them"

    def recognises(self, path: Path) -> bool:
        """The folder of one stored clip."""
        return is_stored_clip(path)

    def read(self, path: Path) -> ReadResult:
        """The clip, or the reason it is broken."""
        try:
            return ReadResult(clips=[read_clip(path)])
        except ClipBroken as error:
            return ReadResult(quarantine=[Quarantined(path=path, reason=str(error))])


READERS: tuple[ClipReader, ...] = (StoredClipReader(), DonkeycarReader(), Comma2k19Reader(), DashcamReader())


def find(paths: Sequence[Path], readers: Sequence[ClipReader] = READERS) -> list[tuple[ClipReader, Path]]:
    """Every recording at or under `paths`, with its reader, each once, in order; a path with none raises and says what is understood."""
    found: dict[Path, tuple[ClipReader, Path]] = {}
    for path in map(Path, paths):
        recordings = _walk(path, readers, _MAX_DEPTH)
        if not recordings:
            raise ValueError(_nothing(path, readers))
        for reader, recording in recordings:
            found.setdefault(recording.resolve(), (reader, recording))
    return list(found.values())


def read_one(reader: ClipReader, path: Path) -> ReadResult:
    """One recording. What its reader did not foresee becomes a quarantine entry: one bad recording never stops the others."""
    try:
        return reader.read(path)
    except Exception as error:  # the boundary: foreign data may break a reader in any way
        return ReadResult(quarantine=[Quarantined(path=path, reason=f"reader {reader.name} failed: {type(error).__name__}: {error}")])


def read(paths: Sequence[Path], readers: Sequence[ClipReader] = READERS) -> ReadResult:
    """All recordings at or under `paths`. Holds every frame in memory: for more than an hour of video, `find` and `read_one` in turn."""
    return join([read_one(reader, path) for reader, path in find(paths, readers)])


def _walk(path: Path, readers: Sequence[ClipReader], depth: int) -> list[tuple[ClipReader, Path]]:
    for reader in readers:
        if reader.recognises(path):
            return [(reader, path)]
    if depth == 0 or not path.is_dir():
        return []
    children = sorted(child for child in path.iterdir() if not child.name.startswith("."))
    return [entry for child in children for entry in _walk(child, readers, depth - 1)]


def _nothing(path: Path, readers: Sequence[ClipReader]) -> str:
    if not path.exists():
        what = "does not exist"
    elif path.is_dir() and not any(path.iterdir()):
        what = "is an empty folder"
    else:
        what = "holds no recording that is understood"
    return "\n  - ".join([f"{path} {what}; give a path to one of:", *(reader.understands for reader in readers)])

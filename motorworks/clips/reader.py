"""Recordings in, clips out: recognises the layout of each path, walks folders, sets aside what cannot be read."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from motorworks.clips.pack import PackBroken
from motorworks.clips.readers.comma2k19 import Comma2k19Reader
from motorworks.clips.readers.dgp import DgpReader
from motorworks.clips.readers.donkeycar import DonkeycarReader
from motorworks.clips.readers.lerobot import LerobotReader
from motorworks.clips.readers.nuscenes import NuscenesReader
from motorworks.clips.readers.physical_ai import PhysicalAiReader
from motorworks.clips.readers.py123d import Py123dReader
from motorworks.clips.readers.ros import RosReader
from motorworks.clips.readers.settings import settings_file
from motorworks.clips.readers.tesla import TeslaReader
from motorworks.clips.readers.video import DashcamReader
from motorworks.clips.readers.waymo_e2e import WaymoE2EReader
from motorworks.clips.recording import ClipReader, Quarantined, ReadResult, join
from motorworks.clips.store import PACKS, ClipStore, is_store

__all__ = ["READERS", "ClipReader", "Quarantined", "ReadResult", "find", "read", "read_one"]
_MAX_DEPTH = 8


class StoreReader(ClipReader):
    """Reads a clip store: what an ingest, a drive or a mine left. Source and recording stay what they were."""

    name = "store"
    understands = "clip store: a folder with packs/, as an ingest, a drive or a mine leaves it"

    def recognises(self, path: Path) -> bool:
        """A folder with packs."""
        return is_store(path)

    def read(self, path: Path) -> ReadResult:
        """All its clips, undecoded; a broken one is set aside, and the whole store where it cannot be said what a pack holds."""
        store, clips, quarantine = ClipStore(path), [], []
        try:
            ids = list(store.index)
        except PackBroken as error:
            return ReadResult(quarantine=[Quarantined(path=path, reason=str(error))])
        for clip_id in ids:
            try:
                clips.append(store.read(clip_id, decode=False))
            except PackBroken as error:
                quarantine.append(Quarantined(path=path, reason=str(error)))
        return ReadResult(clips=clips, quarantine=quarantine)


def copy_packs(source: Path, folder: Path) -> ReadResult:
    """The packs of a store into another, byte for byte; a broken one is set aside by name."""
    store = ClipStore(source)
    broken = dict(store.check())
    (folder / PACKS).mkdir(parents=True, exist_ok=True)
    for pack in store.packs:
        if pack not in broken:
            shutil.copyfile(source / PACKS / pack, folder / PACKS / pack)
    return ReadResult(quarantine=[Quarantined(path=source / PACKS / pack, reason=str(error)) for pack, error in broken.items()])


READERS: tuple[ClipReader, ...] = (
    StoreReader(),
    DonkeycarReader(),
    Comma2k19Reader(),
    DgpReader(),
    NuscenesReader(),
    RosReader(),
    LerobotReader(),
    TeslaReader(),
    PhysicalAiReader(),
    WaymoE2EReader(),
    Py123dReader(),
    DashcamReader(),
)


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


def read_beside(path: Path, readers: Sequence[ClipReader] = READERS) -> tuple[Path, ...]:
    """What reading a recording, or a folder of them, depends on besides: its ingest.toml, and what its reader names."""
    settings, reader = settings_file(path), next((one for one in readers if one.recognises(path)), None)
    return (*([settings] if settings else ()), *(reader.beside(path) if reader else ()))


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
        return f"{path} does not exist"
    what = "is an empty folder" if path.is_dir() and not any(path.iterdir()) else "holds no recording that is understood"
    return "\n  - ".join([f"{path} {what}; give a path to one of:", *(reader.understands for reader in readers)])

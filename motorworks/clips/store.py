"""Clips on disk: a folder (or URL) with immutable packs; what is in it stands at the end of each pack. One clip, one record, one byte range."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from motorworks.clips.pack import MAX_BYTES, SUFFIX, PackBroken, PackWriter, check_pack, read_record, read_rows, sweep
from motorworks.clips.place import Place, place_at
from motorworks.clips.record import ClipRow, decode_record, encode_record
from motorworks.datatypes.clip import Clip

PACKS = "packs"


@dataclass(frozen=True, kw_only=True)
class StoredClip:
    """A row, and the pack it lies in."""

    row: ClipRow
    pack: str  # a file name in packs/


class ClipStore:
    """Reads all packs, or only those named. Rows are read once a pack and kept; packs that appear later are seen by a new store."""

    def __init__(self, root: str | Path, *, packs: Sequence[str] | None = None):
        self.root, self._packs = root, packs
        self.place: Place = place_at(root)
        self._index: dict[str, StoredClip] | None = None

    @property
    def packs(self) -> list[str]:
        """Names of the packs, sorted."""
        return self.place.list(PACKS, SUFFIX) if self._packs is None else sorted(self._packs)

    @property
    def index(self) -> dict[str, StoredClip]:
        """Every clip by its id, in the order of packs and of records in them; a clip that lies in two packs is taken from the first."""
        if self._index is None:
            self._index = {}
            for pack in self.packs:
                for row in read_rows(self.place, f"{PACKS}/{pack}"):
                    self._index.setdefault(row.clip_id, StoredClip(row=row, pack=pack))
        return self._index

    @property
    def rows(self) -> list[ClipRow]:
        """What is known about every clip without opening it."""
        return [stored.row for stored in self.index.values()]

    def record(self, clip_id: str) -> bytes:
        """A clip's bytes, checked."""
        if clip_id not in self.index:
            raise KeyError(f"{self.place.name} holds no clip {clip_id}: it has {len(self.index)}")
        stored = self.index[clip_id]
        return read_record(self.place, f"{PACKS}/{stored.pack}", stored.row)

    def read(self, clip_id: str, *, cameras: Sequence[str] | None = None, decode: bool = True) -> Clip:
        """A clip with the pictures of all its cameras or of those named; undecoded they come as `encoded`."""
        try:
            return decode_record(self.record(clip_id), cameras=cameras, decode=decode)
        except (ValueError, OSError) as error:
            if isinstance(error, PackBroken):
                raise
            raise PackBroken(f"{self.place.name}, pack {self.index[clip_id].pack}, clip {clip_id}: {error}") from error

    def read_front(self, clip_id: str) -> Clip:
        """A clip with the pictures of the camera that looks ahead."""
        return self.read_views(clip_id, 1)

    def read_views(self, clip_id: str, num: int) -> Clip:
        """A clip with the pictures of its first cameras, the one that looks ahead and then the sides."""
        views = self.index[clip_id].row.views if clip_id in self.index else ()
        return self.read(clip_id, cameras=[view.camera for view in views[:num]])

    def check(self) -> Iterator[tuple[str, PackBroken]]:
        """Every byte of a local store; yields each broken pack and what is wrong with it."""
        for pack in self.packs:
            try:
                check_pack(Path(self.root) / PACKS / pack)
                read_rows(self.place, f"{PACKS}/{pack}")
            except PackBroken as error:
                yield pack, error


class ClipWriter:
    """Adds clips to a local store, each once. Several writers may write into one store at a time: packs are named by what is in them."""

    def __init__(self, root: Path, *, max_bytes: int = MAX_BYTES):
        sweep(root / PACKS)
        self._packs = PackWriter(root / PACKS, max_bytes=max_bytes)
        self._seen: set[str] = set()

    def add(self, clip: Clip) -> str:
        """Encodes and writes a clip; returns its id."""
        return self.add_record(*encode_record(clip))

    def add_record(self, row: ClipRow, record: bytes) -> str:
        """A clip that is bytes already, from another store or another process."""
        if row.clip_id not in self._seen:
            self._packs.add(row, record)
            self._seen.add(row.clip_id)
        return row.clip_id

    def close(self) -> list[str]:
        """Finishes; returns the names of the packs written."""
        self._packs.close()
        return self._packs.packs

    def __enter__(self) -> "ClipWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._packs.__exit__(kind)


def write_clips(root: Path, clips: Iterable[Clip]) -> list[str]:
    """Adds clips to a local store; returns their ids."""
    with ClipWriter(root) as writer:
        return [writer.add(clip) for clip in clips]


def is_store(path: Path) -> bool:
    """Whether a folder is a store with at least one pack."""
    return (path / PACKS).is_dir() and any((path / PACKS).glob(f"*{SUFFIX}"))

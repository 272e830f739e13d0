"""Clips for training: any by its number, or all in a shuffled order that is the same for any number of readers.

Clip-major: a clip that was fetched and decoded yields several windows. Blocks of clips are the unit of work and of shuffling: the order of
clips is a permutation that is computed, the windows of a block are mixed among themselves, and block b is the same whoever reads it.
"""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from motorworks.clips.manifest import Manifest
from motorworks.clips.order import Permutation
from motorworks.clips.place import Place, place_at
from motorworks.clips.record import decode_view, head_nbytes, view_name
from motorworks.clips.store import PACKS
from motorworks.datatypes.clip import Clip
from motorworks.geometry.array import Array

Arrays = Mapping[str, Array]  # each with one row per window
MakeArrays = Callable[[Clip, Int64[Array, " window"]], Arrays]  # of a decoded clip and the steps its windows begin at


class ClipBroken(ValueError):
    """A clip that cannot be used; the message names pack, byte and why."""


class ClipViews:
    """The clips of a manifest by number. Only the bytes of one camera are fetched, and only the frames asked for are kept."""

    def __init__(self, manifest: Manifest, root: str | Path):
        self.manifest, self.root = manifest, root
        self._place: Place = place_at(root)

    def __len__(self) -> int:
        return len(self.manifest)

    def __reduce__(self) -> tuple[type["ClipViews"], tuple[Manifest, str | Path]]:
        return ClipViews, (self.manifest, self.root)

    def num_steps(self, number: int) -> int:
        """Of a clip."""
        return int(self.manifest.entries[number]["num_steps"])

    def read(self, number: int, start: int = 0, stop: int | None = None) -> Clip:
        """Steps [start, stop) of a clip; what is not as written raises ClipBroken."""
        return self._read(self.manifest.entries[number], start, stop)[0]

    def _read(self, entry: Array, start: int, stop: int | None) -> tuple[Clip, str]:
        """With the pictures of one camera, and its name."""
        pack = self.manifest.packs[entry["pack"]]
        try:
            head, video = self._bytes(f"{PACKS}/{pack}", entry)
            if zlib.crc32(video, zlib.crc32(head)) != entry["check"]:
                raise ValueError("not what was written (crc32)")
            return decode_view(head, video, int(entry["camera"]), start=start, stop=stop), view_name(head, int(entry["camera"]))
        except (ValueError, OSError, IndexError) as error:  # PyAV's errors are ValueErrors or OSErrors
            raise ClipBroken(f"{self._place.name}/{PACKS}/{pack}, record at byte {entry['offset']}: {error}") from error

    def _bytes(self, path: str, entry: Array) -> tuple[memoryview, memoryview]:
        offset, start, nbytes = int(entry["offset"]), int(entry["start"]), int(entry["nbytes"])
        if entry["camera"] == 0:  # head and video lie side by side
            both = memoryview(self._place.read(path, offset, start + nbytes))
            return both[:start], both[start:]
        length = head_nbytes(self._place.read(path, offset, 4))
        head = self._place.read(path, offset, length)
        return memoryview(head), memoryview(self._place.read(path, offset + start, nbytes))


class RigViews(ClipViews):
    """The clips of a manifest with all the cameras that it lists of each: entries of one clip stand side by side, the one ahead first."""

    def __init__(self, manifest: Manifest, root: str | Path):
        super().__init__(manifest, root)
        pack, offset, camera = (manifest.entries[name] for name in ("pack", "offset", "camera"))
        another = (pack[1:] != pack[:-1]) | (offset[1:] != offset[:-1]) | (camera[1:] <= camera[:-1])  # <=: a clip that is listed twice
        self._edges = np.concatenate([[0], np.flatnonzero(another) + 1, [len(camera)]])
        if camera[self._edges[:-1]].any():
            raise ValueError(f"{manifest.path} lists clips without the camera that looks ahead: write it with all cameras that are wanted")

    def __len__(self) -> int:
        return len(self._edges) - 1

    def __reduce__(self) -> tuple[type["ClipViews"], tuple[Manifest, str | Path]]:
        return RigViews, (self.manifest, self.root)

    def num_steps(self, number: int) -> int:
        """Of a clip."""
        return super().num_steps(self._edges[number])

    def read(self, number: int, start: int = 0, stop: int | None = None) -> Clip:
        """Steps [start, stop) of a clip, the sides as `side_frames`."""
        entries = self.manifest.entries[self._edges[number] : self._edges[number + 1]]
        (clip, _), *sides = (self._read(entry, start, stop) for entry in entries)
        return replace(clip, side_frames={name: side.frames for side, name in sides})


@dataclass(frozen=True, kw_only=True)
class Block:
    """Windows of some clips, mixed. `sample` numbers them within the pass as planned: clips that were skipped leave gaps."""

    arrays: Arrays
    sample: Int64[Array, " window"]
    skipped: tuple[str, ...] = ()  # a line for every clip that could not be used


@dataclass(frozen=True, kw_only=True)
class ClipStream:
    """A pass over all clips in blocks. `span` steps from its first on must exist for a window; the draw is even over those."""

    views: ClipViews
    make: MakeArrays
    span: int
    windows_per_clip: int = 8
    clips_per_block: int = 16
    seed: int = 0
    _orders: dict[int, Permutation] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("span", "windows_per_clip", "clips_per_block"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: at least 1")
        if not len(self.views):
            raise ValueError(f"{self.views.manifest.path} lists no clip")

    @property
    def num_blocks(self) -> int:
        """Of a pass; the last may be smaller."""
        return -(-len(self.views) // self.clips_per_block)

    @property
    def samples_per_block(self) -> int:
        """Planned."""
        return self.clips_per_block * self.windows_per_clip

    @property
    def num_samples(self) -> int:
        """Of a pass, planned."""
        return len(self.views) * self.windows_per_clip

    def block(self, epoch: int, index: int) -> Block:
        """One block of one pass: a pure function of the seed, the pass and its number."""
        positions = np.arange(index * self.clips_per_block, min((index + 1) * self.clips_per_block, len(self.views)))
        order = self._orders.setdefault(epoch, Permutation(len(self.views), key=(self.seed, epoch)))
        rows = np.random.default_rng((self.seed, epoch, index, 1)).permutation(len(positions) * self.windows_per_clip)
        rows = rows.reshape(len(positions), self.windows_per_clip)  # where in the block each window of each clip comes
        arrays: dict[str, Array] = {}
        skipped: list[str] = []
        present = np.zeros(rows.size, bool)
        for position, number, own in zip(positions, order(positions), rows, strict=True):
            try:
                part = self._windows(int(number), np.random.default_rng((self.seed, epoch, int(position))))
            except ClipBroken as error:
                skipped.append(str(error))
                continue
            for name, values in part.items():
                arrays.setdefault(name, np.empty((rows.size, *values.shape[1:]), values.dtype))[own] = values
            present[own] = True
        if skipped:
            arrays = {name: values[present] for name, values in arrays.items()}
        return Block(arrays=arrays, sample=index * self.samples_per_block + np.flatnonzero(present), skipped=tuple(skipped))

    def _windows(self, number: int, rng: np.random.Generator) -> Arrays:
        """One window from each of equal parts of the clip."""
        num = self.views.num_steps(number) - self.span + 1
        if num < 1:
            raise ClipBroken(f"clip {number}: shorter than a window of {self.span} steps")
        starts = np.minimum((np.arange(self.windows_per_clip) + rng.random(self.windows_per_clip)) * num / self.windows_per_clip, num - 1)
        return self.make(self.views.read(number), starts.astype(np.int64))


def raw_windows(clip: Clip, starts: Int64[Array, " window"], *, num_frames: int) -> Arrays:
    """Pictures and ego motion of `num_frames` steps from each start on, as stored."""
    steps = starts[:, None] + np.arange(num_frames)
    arrays = {"frames": clip.frames[steps]}
    if clip.motion is not None:
        arrays |= {"poses_world": clip.motion.poses_world[steps], "speed_mps": clip.motion.speed_mps[steps]}
    return arrays

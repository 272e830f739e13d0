"""A look at recordings before they are read: which layouts they have, what would come of a few of them, with frames to look at."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motorworks.engine.engine import Engine, Limits
from motorworks.factory.errors import BadInput

if TYPE_CHECKING:
    from motorworks.clips.recording import ClipReader

NUM_TRIED = 2  # recordings of each layout
NUM_STRIPS = 2  # of each recording tried
_MOST_FILES = 200_000  # looked at to say what is not understood
_LIMITS = Limits(timeout_s=120.0, memory_bytes=4 << 30, attempts=1)


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What came of one recording."""

    path: str
    clips: int = 0
    seconds_s: float = 0.0
    facts: tuple[str, ...] = ()  # cameras, size, motion, licence: what its clips have
    notes: tuple[str, ...] = ()
    quarantine: tuple[str, ...] = ()
    strips: tuple[bytes, ...] = ()  # JPEG


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The recordings of one layout."""

    reader: str
    understands: str
    num: int
    tried: tuple[Tried, ...]


@dataclass(frozen=True, kw_only=True)
class Look:
    """All layouts found, and the files that no reader knows, by ending."""

    layouts: tuple[Layout, ...]
    unknown: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        """Plain values, without the pictures."""
        layouts = [
            {
                "reader": layout.reader,
                "recordings": layout.num,
                "tried": [
                    {name: getattr(one, name) for name in ("path", "clips", "seconds_s", "facts", "notes", "quarantine")} for one in layout.tried
                ],
            }
            for layout in self.layouts
        ]
        return {"layouts": layouts, "unknown": self.unknown}

    def lines(self) -> str:
        """For a person."""
        said = []
        for layout in self.layouts:
            said.append(f"{layout.reader}: {layout.num} recording{'s' * (layout.num != 1)} — {layout.understands}")
            for one in layout.tried:
                said.append(f"  {one.path}: {one.clips} clips, {one.seconds_s:.1f} s; {'; '.join(one.facts) or 'nothing to take'}")
                said += [f"    note: {note}" for note in one.notes]
                said += [f"    set aside: {reason}" for reason in one.quarantine]
        if self.unknown:
            kinds = ", ".join(f"{num} {suffix}" for suffix, num in sorted(self.unknown.items(), key=lambda item: -item[1])[:8])
            said.append(f"not understood, left alone: {kinds}")
        return "\n".join(said)


def look(paths: Sequence[Path], engine: Engine) -> Look:
    """Recognises everything, reads `NUM_TRIED` recordings of each layout, writes nothing."""
    from motorworks.clips.reader import find

    try:
        found = find(paths)
    except ValueError as error:
        raise BadInput(str(error)) from error
    by_reader: dict[str, list[tuple[ClipReader, Path]]] = defaultdict(list)
    for reader, path in found:
        by_reader[reader.name].append((reader, path))
    jobs = [job for jobs in by_reader.values() for job in jobs[:NUM_TRIED]]
    tried: dict[str, list[Tried]] = defaultdict(list)
    for outcome in engine.try_map(_try, jobs, limits=_LIMITS):
        reader, path = outcome.item
        failed = Tried(path=str(path), quarantine=(f"reading it {outcome.failure.reason}",)) if outcome.failure else None
        tried[reader.name].append(failed or outcome.result())
    layouts = tuple(
        Layout(reader=name, understands=entries[0][0].understands, num=len(entries), tried=tuple(tried[name])) for name, entries in by_reader.items()
    )
    return Look(layouts=layouts, unknown=_unknown(paths, [path for _, path in found]))


def _try(job: "tuple[ClipReader, Path]") -> Tried:
    from motorworks.clips.reader import read_one
    from motorworks.clips.record import front_frames
    from motorworks.factory.report.clip_strips import strip_jpeg

    reader, path = job
    result = read_one(reader, path)
    facts: Counter[str] = Counter()
    strips = []
    for clip in result.clips:
        if len(strips) < NUM_STRIPS and (frames := front_frames(clip)) is not None:
            strips.append(strip_jpeg(frames))
        cameras = max(len(clip.encoded), (clip.frames is not None) + len(clip.side_frames))
        facts[f"{cameras} camera{'s' * (cameras != 1)}"] += 1
        facts["no motion" if clip.motion is None else f"motion {clip.motion.kind}"] += 1
        facts[f"body {clip.body}, licence {clip.licence}"] += 1
    return Tried(
        path=str(path),
        clips=len(result.clips),
        seconds_s=sum(len(clip.timestamp_us) for clip in result.clips) / 10,
        facts=tuple(facts),
        notes=tuple(result.notes),
        quarantine=tuple(f"{entry.path.name}: {entry.reason}" for entry in result.quarantine),
        strips=tuple(strips),
    )


def _unknown(paths: Sequence[Path], recordings: Sequence[Path]) -> dict[str, int]:
    """Files that belong to no recording, by ending."""
    known = {path.resolve() for path in recordings}
    num: Counter[str] = Counter()
    for file in islice((file for path in paths for file in _files(path, known)), _MOST_FILES):
        num[file.suffix.lower() or "without ending"] += 1
    return dict(num)


def _files(path: Path, known: set[Path]) -> Iterator[Path]:
    if path.resolve() in known:
        return
    if path.is_file():
        yield path
        return
    for folder, names, files in os.walk(path):
        here = Path(folder)
        names[:] = sorted(name for name in names if not name.startswith(".") and (here / name).resolve() not in known)
        yield from (here / name for name in sorted(files) if not name.startswith(".") and (here / name).resolve() not in known)

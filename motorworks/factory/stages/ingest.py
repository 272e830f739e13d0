"""The one door: recordings in, clips in our frames and units out; what cannot be read is set aside by name."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motorworks.engine.engine import Failure, Limits
from motorworks.factory.artifact import Inputs
from motorworks.factory.content import StatCache, path_content
from motorworks.factory.errors import BadInput
from motorworks.factory.fingerprint import digest
from motorworks.factory.recording import read_recording
from motorworks.factory.step import Output, RecipeOptions

if TYPE_CHECKING:
    from motorworks.clips.record import ClipRow

_KEPT = ("clip_id", "recording_id", "source", "body", "licence", "tags", "num_steps", "motion_kind")
OUR_OWN = ("town", "drive")  # the town has held-out towns of its own; a mined drive is never evaluated on


@dataclass(frozen=True, kw_only=True)
class IngestConfig:
    """Which recordings of the user's; the town's and the mined ones come as inputs."""

    paths: tuple[Path, ...] = ()
    beside: tuple[Path, ...] = ()  # what else reading those paths depends on; see `given`
    licence_allow: tuple[str, ...] = ()  # clips under another licence are set aside; none given: all are taken
    blur: bool = False  # faces, and number plates where there is a detector, before anything is kept
    detector: Path | None = None
    held_out_frac: float = 0.2  # of the recordings of every real source that has two or more
    seed: int = 0
    limits: Limits = field(default_factory=lambda: Limits(timeout_s=3600.0, memory_bytes=8 << 30))  # of one recording


def given(options: RecipeOptions) -> IngestConfig:
    """What the command line gave. A file given by itself brings what lies beside it, so that a change of that is seen too."""
    from motorworks.clips.reader import read_beside

    found = dict.fromkeys(beside for path in options.clips if path.exists() for beside in read_beside(path))
    detector = options.detector if options.blur else None
    return IngestConfig(paths=options.clips, beside=tuple(found), licence_allow=options.licence_allow, blur=options.blur, detector=detector)


def run(config: IngestConfig, inputs: Inputs, out: Output) -> None:
    """Leaves packs/ (clips), index.json (a row per clip), split.json and quarantine.json."""
    from motorworks.clips.split import part_of_clips
    from motorworks.clips.store import ClipStore

    quarantine, notes = _read_recordings(config, out)
    for artifact in (*inputs.many("town"), *inputs.many("mined")):
        _link_packs(out, artifact.path)
    rows = sorted(ClipStore(out.path).rows, key=lambda row: row.clip_id)
    if not rows:
        raise BadInput("no clip could be read:\n" + "\n".join(f"  {row['path']}: {row['reason']}" for row in quarantine))
    split = _split(config, inputs, rows)
    parts = part_of_clips([(row.recording_id, row.content_id) for row in rows], split)
    index = [{name: getattr(row, name) for name in _KEPT} | {"split": part} for row, part in zip(rows, parts, strict=True)]
    for name, value in (("index", index), ("split", split), ("quarantine", quarantine)):
        (out.path / f"{name}.json").write_text(json.dumps(value, indent=1))
    sources = sorted({row["source"] for row in index})
    out.record(
        clips_by_source=Counter(row["source"] for row in index),
        seconds_by_source={source: sum(row["num_steps"] for row in index if row["source"] == source) / 10 for source in sources},
        num_quarantined=len(quarantine),
        notes=notes,
        held_out_recordings=sorted(name for name, part in split.items() if part == "held_out"),
    )
    for entry in quarantine:
        out.say(f"set aside {entry['path']}: {entry['reason']}")
    if not config.paths:
        out.thin("No recordings were given, so every clip is synthetic: add your own with --clips PATH.")


def _read_recordings(config: IngestConfig, out: Output) -> tuple[list[dict[str, str]], list[str]]:
    from motorworks.clips.reader import find, read_beside
    from motorworks.curate.privacy import finder_with

    if not config.paths:
        return [], []
    try:
        found = find(config.paths)
    except ValueError as error:
        raise BadInput(str(error)) from error
    cache = StatCache()
    by_key: dict[str, Any] = {}
    places: dict[str, list[Path]] = {}
    for reader, path in found:
        # clips and notes are named after the recording's last folder, so it is part of what is read
        key = digest({"name": path.name, "content": [path_content(one, cache)["content"] for one in (path, *read_beside(path, [reader]))]})
        by_key[key] = (reader, path)
        places.setdefault(key, []).append(_place(config.paths, path))
    depends_on: dict[str, Any] = {"licence_allow": config.licence_allow}
    if config.blur:
        depends_on["blur"] = finder_with(config.detector).name
    read = partial(read_recording, by_key, config.licence_allow, config.blur, config.detector)
    folders = out.try_items("recording", list(by_key), read, depends_on=depends_on, limits=config.limits)
    quarantine, notes = list[dict[str, str]](), list[str]()
    for key, folder in zip(by_key, folders, strict=True):
        if isinstance(folder, Failure):
            quarantine += [{"path": place.as_posix(), "reason": f"reading it {folder.reason}"} for place in places[key]]
            continue
        report = json.loads((folder / "report.json").read_text())
        quarantine += [
            {**row, "path": Path(os.path.normpath(place / row["path"])).as_posix()} for place in places[key] for row in report["quarantine"]
        ]
        notes += report["notes"]
        _link_packs(out, folder)
    return quarantine, notes


def _place(given: tuple[Path, ...], recording: Path) -> Path:
    """Where a recording lies, counted from the path that was typed: enough to find it, and the same on every machine."""
    root = next(path for path in given if recording.is_relative_to(path))
    return Path(root.resolve().name) / recording.relative_to(root)


def _link_packs(out: Output, store: Path) -> None:
    """The packs of a store become this artifact's too, without a copy; one that is here already is the same one."""
    from motorworks.clips.store import PACKS, ClipStore

    for pack in ClipStore(store).packs:
        if not (out.path / PACKS / pack).exists():
            out.link(store / PACKS / pack, f"{PACKS}/{pack}")


def _split(config: IngestConfig, inputs: Inputs, rows: "Sequence[ClipRow]") -> dict[str, str]:
    from motorworks.clips.split import split_by_recording

    previous = next((json.loads((before.path / "split.json").read_text()) for before in inputs.many("previous")), None)
    real = {row.recording_id: row.source for row in rows if row.source not in OUR_OWN}
    return split_by_recording(real, held_out_frac=config.held_out_frac, seed=config.seed, previous=previous)

"""One recording into a store of its own: what an item of the ingest stage does, in a process of its own."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def read_recording(by_key: Mapping[str, Any], licence_allow: tuple[str, ...], blur: bool, detector: Path | None, key: str, folder: Path) -> None:
    """Leaves the clips of one recording as packs, and report.json: what was set aside and what was noticed. `by_key`: its reader and path."""
    from motorworks.clips.reader import StoreReader, copy_packs, read_one
    from motorworks.clips.recording import only_licences
    from motorworks.clips.store import write_clips
    from motorworks.curate.privacy import blur_result, finder_with

    reader, path = by_key[key]
    if isinstance(reader, StoreReader) and not licence_allow and not blur:  # as it is, byte for byte
        result = copy_packs(path, folder)
    else:
        result = only_licences(read_one(reader, path), licence_allow, path)
        if blur:
            result = blur_result(result, finder_with(detector), path)
        write_clips(folder, result.clips)
    # from the recording on, `..` beside it: elsewhere on disk it leaves the same bytes
    entries = [
        {"path": Path(os.path.relpath(entry.path, path)).as_posix(), "reason": entry.reason.replace(f"{path.parent}/", "")}
        for entry in result.quarantine
    ]
    notes = [note.replace(f"{path.parent}/", "") for note in result.notes]
    (folder / "report.json").write_text(json.dumps({"quarantine": entries, "notes": notes}, indent=1))

"""Clips on disk: one folder per clip, named by its digest, never changed once there.

`clip.json` (what it is, and the sha256 of the other files), `motion.npz` (clock and motion, exact), `frames.mp4` (H.264 crf 18: lossy, so
a clip read back and written again gets another name). Thin: this is for thousands of clips. One object per clip is too many for millions;
immutable packs with tables over them take its place then.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from itertools import chain, groupby, repeat
from pathlib import Path
from typing import Any

import numpy as np

from motorworks.clips.digest import clip_digest, clock_array, motion_arrays
from motorworks.clips.frames import read_mp4, write_mp4
from motorworks.datatypes.clip import Clip, Motion
from motorworks.datatypes.thought import Thought

FORMAT = "motorworks.clip 1"
_ABOUT, _MOTION, _FRAMES = "clip.json", "motion.npz", "frames.mp4"


class ClipBroken(ValueError):
    """A stored clip that is not what was written; the message names the file and the fix."""


def write_clip(folder: Path, clip: Clip) -> str:
    """Stores `clip` as `folder/<digest>` and returns the digest; writes nothing where it is already there and whole."""
    digest = clip_digest(clip)
    final = folder / digest
    if final.exists():
        try:
            _check(final, _about(final))
            return digest
        except ClipBroken:
            shutil.rmtree(final)
    temp = folder / f".writing-{digest[:16]}-{os.getpid()}"
    shutil.rmtree(temp, ignore_errors=True)
    temp.mkdir(parents=True)
    arrays: dict[str, Any] = {**clock_array(clip), **motion_arrays(clip.motion)}
    np.savez(temp / _MOTION, **arrays)
    files = [_MOTION]
    if clip.frames is not None:
        write_mp4(temp / _FRAMES, clip.frames)
        files.append(_FRAMES)
    about = {
        "format": FORMAT,
        "digest": digest,
        "recording_id": clip.recording_id,
        "source": clip.source,
        "body": clip.body,
        "licence": clip.licence,
        "tags": list(clip.tags),
        "num_steps": len(clip.timestamp_us),
        "motion_kind": clip.motion and clip.motion.kind,
        "frame_height_width_px": None if clip.frames is None else list(clip.frames.shape[1:3]),
        "instructions": None if clip.instructions is None else _pack(clip.instructions),
        "thoughts": None if clip.thoughts is None else _pack([thought and (thought.decision, thought.cause) for thought in clip.thoughts]),
        "sha256": {name: _sha256(temp / name) for name in files},
    }
    (temp / _ABOUT).write_text(json.dumps(about, indent=1) + "\n")
    try:
        temp.rename(final)
    except OSError:  # another worker stored the same clip in between
        if not (final / _ABOUT).exists():
            raise
        shutil.rmtree(temp)
    return digest


def read_clip(folder: Path) -> Clip:
    """The clip stored in `folder` (`.../<digest>`), checked byte by byte against what was written."""
    about = _about(folder)
    _check(folder, about)
    with np.load(folder / _MOTION) as arrays:
        values = {name: arrays[name] for name in arrays.files}
    clock = values.pop("timestamp_us")
    frames = None
    if about["frame_height_width_px"] is not None:
        height_px, width_px = about["frame_height_width_px"]
        frames = read_mp4(folder / _FRAMES, height_px=height_px, width_px=width_px)
    thoughts = about["thoughts"] and tuple(words and Thought(decision=words[0], cause=words[1]) for words in _unpack(about["thoughts"]))
    return Clip(
        recording_id=about["recording_id"],
        source=about["source"],
        body=about["body"],
        licence=about["licence"],
        tags=tuple(about["tags"]),
        timestamp_us=clock,
        frames=frames,
        motion=Motion(kind=about["motion_kind"], **values) if about["motion_kind"] else None,
        instructions=about["instructions"] and tuple(_unpack(about["instructions"])),
        thoughts=thoughts,
    )


def list_clips(folder: Path) -> list[Path]:
    """The folders of stored clips directly under `folder`, by name; half-written ones are not among them."""
    return sorted(path for path in folder.iterdir() if is_stored_clip(path)) if folder.is_dir() else []


def is_stored_clip(path: Path) -> bool:
    """Whether `path` is the folder of a stored clip."""
    return not path.name.startswith(".") and (path / _ABOUT).is_file() and (path / _MOTION).is_file()


def _about(folder: Path) -> dict[str, Any]:
    path = folder / _ABOUT
    try:
        about = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ClipBroken(f"{path}: {error}; delete the folder and run ingest again") from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise ClipBroken(f"{path}: format is not {FORMAT!r}; delete the folder and run ingest again")
    return about


def _check(folder: Path, about: dict[str, Any]) -> None:
    for name, expected in about["sha256"].items():
        path = folder / name
        if not path.is_file():
            raise ClipBroken(f"{path} is missing; delete the folder and run ingest again")
        if _sha256(path) != expected:
            raise ClipBroken(f"{path} is not what was written (sha256 differs from clip.json); delete the folder and run ingest again")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _pack(values: Sequence[Any]) -> list[list[Any]]:
    """Runs of equal values as [how many, value]: words change seldom."""
    return [[len(list(group)), value] for value, group in groupby(values)]


def _unpack(runs: Sequence[Sequence[Any]]) -> list[Any]:
    return list(chain.from_iterable(repeat(value, num) for num, value in runs))

"""Clips as WebDataset shards: tar files in which the members of one clip share a name, read by the `webdataset` package and by any tar."""

import contextlib
import io
import json
import tarfile
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from motorworks.clips.place import whole_folder
from motorworks.clips.record import decode_record, encode_record
from motorworks.datatypes.clip import Clip

SHARD_BYTES = 256 << 20


def write_webdataset(clips: Iterable[Clip], folder: Path, *, shard_bytes: int = SHARD_BYTES) -> int:
    """Writes clips-000000.tar ... and index.json (clip to shard); returns how many clips. The folder must not exist; it appears when all is
    written. Of each clip: <id>.json (what it is), <id>.motion.npz (clock, poses, speed, controls), <id>.<camera>.mp4."""
    index: dict[str, str] = {}
    with whole_folder(folder) as temporary:
        with contextlib.ExitStack() as shards:
            shard: tarfile.TarFile | None = None
            for clip in clips:
                row, record = encode_record(clip)
                if row.clip_id in index:
                    continue
                if shard is None or shard.offset >= shard_bytes:
                    shards.close()
                    name = f"clips-{len(set(index.values())):06d}.tar"
                    shard = shards.enter_context(tarfile.open(temporary / name, "w", format=tarfile.USTAR_FORMAT))
                _add(shard, row.clip_id, decode_record(record, decode=False))
                index[row.clip_id] = name
        if not index:
            raise ValueError("no clip was given")
        (temporary / "index.json").write_text(json.dumps(index, indent=1))
    return len(index)


def _add(shard: tarfile.TarFile, clip_id: str, clip: Clip) -> None:
    facts = {name: getattr(clip, name) for name in ("recording_id", "source", "body", "licence", "tags", "instructions", "instruction_kind")}
    facts |= {"motion_kind": clip.motion and clip.motion.kind, "cameras": [asdict(camera) for camera in clip.cameras]}
    facts["thoughts"] = clip.thoughts and [thought and [thought.decision, thought.cause] for thought in clip.thoughts]
    arrays = {"timestamp_us": np.asarray(clip.timestamp_us)}
    if clip.motion is not None:
        arrays |= {name: getattr(clip.motion, name) for name in ("poses_world", "speed_mps", "accel_mps2", "curvature_per_m")}
    motion = io.BytesIO()
    np.savez(motion, **arrays)
    members = {"json": json.dumps(facts).encode(), "motion.npz": motion.getvalue()} | {f"{name}.mp4": video for name, video in clip.encoded.items()}
    for ending, data in members.items():
        info = tarfile.TarInfo(f"{clip_id}.{ending}")
        info.size = len(data)
        shard.addfile(info, io.BytesIO(data))

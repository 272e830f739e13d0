"""Shards hold each clip once, whole, under one name."""

import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from motorworks.clips.export_webdataset import write_webdataset
from motorworks.clips.frames import decode_mp4, encode_mp4
from motorworks.datatypes.clip import Clip


def test_shards_hold_each_clip_once(make_clip: Callable[..., Clip], tmp_path: Path) -> None:
    clips = [make_clip(40, seed, recording_id=f"r{seed}", height=64, width=96) for seed in range(4)]
    video = encode_mp4(clips[0].frames)
    clips[0] = replace(clips[0], frames=None, encoded={"front": video})
    assert write_webdataset([*clips, clips[1]], tmp_path / "shards", shard_bytes=15_000) == 4
    index = json.loads((tmp_path / "shards/index.json").read_text())
    shards = sorted(path.name for path in (tmp_path / "shards").glob("*.tar"))
    assert len(shards) > 1 and set(index.values()) == set(shards)
    members = {}
    for name in shards:
        with tarfile.open(tmp_path / "shards" / name) as shard:
            members |= {member.name: shard.extractfile(member).read() for member in shard.getmembers()}
    first = next(clip_id for clip_id in index if json.loads(members[f"{clip_id}.json"])["recording_id"] == "r0")
    assert members[f"{first}.front.mp4"] == video and len(members) == 12
    np.testing.assert_array_equal(np.load(io.BytesIO(members[f"{first}.motion.npz"]))["timestamp_us"], clips[0].timestamp_us)
    other = next(clip_id for clip_id in index if clip_id != first)
    assert decode_mp4(members[f"{other}.front.mp4"], height_px=64, width_px=96).shape == (40, 64, 96, 3)


def test_nothing_is_left_of_a_write_that_failed(make_clip: Callable[..., Clip], tmp_path: Path) -> None:
    def some():  # type: ignore[no-untyped-def]
        yield make_clip()
        raise RuntimeError("the source went away")

    with pytest.raises(RuntimeError, match="went away"):
        write_webdataset(some(), tmp_path / "shards")
    with pytest.raises(ValueError, match="no clip"):
        write_webdataset([], tmp_path / "shards")
    assert not list(tmp_path.iterdir())

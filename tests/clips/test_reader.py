"""Recognising, walking, and saying what is understood."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from motorworks.clips.reader import READERS, copy_packs, find, read
from motorworks.clips.recording import ReadResult
from motorworks.clips.store import ClipStore, write_clips


def test_an_empty_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is an empty folder(.|\n)*Donkeycar v2(.|\n)*comma2k19(.|\n)*video") as caught:
        read([tmp_path])
    assert str(tmp_path) in str(caught.value)


def test_nothing_recognised_and_no_such_path_raise(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ValueError, match="holds no recording"):
        read([tmp_path])
    with pytest.raises(ValueError, match="does not exist"):
        read([tmp_path / "nowhere"])


def test_one_folder_of_everything_is_walked(
    make_tub: Callable[..., Path], make_segment: Callable[..., Path], make_clip: Callable[..., object], tmp_path: Path
) -> None:
    make_tub("cars/tub_a")
    make_segment(route="cars/route")
    write_clips(tmp_path / "drive", [make_clip()])
    result = read([tmp_path])
    assert sorted(clip.source for clip in result.clips) == ["comma2k19", "donkeycar", "town"]
    # given twice, found once
    assert len(find([tmp_path, tmp_path / "cars", tmp_path / "cars" / "tub_a"])) == 3


def test_a_reader_that_breaks_is_one_quarantine_entry(make_tub: Callable[..., Path], make_segment: Callable[..., Path], tmp_path: Path) -> None:
    class Broken:
        name, understands = "broken", "nothing"

        def recognises(self, path: Path) -> bool:
            return path.name == "tub"

        def read(self, path: Path) -> ReadResult:
            raise KeyError("frame_7")

    make_tub("tub")
    make_segment()
    result = read([tmp_path], (Broken(), *READERS))
    assert [clip.source for clip in result.clips] == ["comma2k19"]
    assert result.quarantine[0].path.name == "tub" and "frame_7" in result.quarantine[0].reason


def test_a_clip_that_is_broken_in_a_store_is_quarantined_and_the_rest_read(make_clip: Callable[..., object], tmp_path: Path) -> None:
    bad, good = write_clips(tmp_path, [make_clip(seed=1), replace(make_clip(seed=2), recording_id="good")])
    stored = ClipStore(tmp_path).index[bad]
    pack = tmp_path / "packs" / stored.pack
    data = bytearray(pack.read_bytes())
    data[stored.row.offset + stored.row.nbytes // 2] ^= 1
    pack.write_bytes(data)
    result = read([tmp_path])
    assert [clip.recording_id for clip in result.clips] == ["good"]
    (entry,) = result.quarantine
    assert bad in entry.reason and "run ingest again" in entry.reason
    copied = copy_packs(tmp_path, tmp_path / "copy")  # whole packs only
    assert copied.quarantine[0].path == pack and not ClipStore(tmp_path / "copy").packs
    assert good in ClipStore(tmp_path).index

"""What is written is what is read; names are stable, sensitive, and checked."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorworks.clips.cut import cut
from motorworks.clips.digest import clip_digest, content_digest
from motorworks.clips.frames import write_mp4
from motorworks.clips.store import ClipBroken, list_clips, read_clip, write_clip
from motorworks.datatypes.clip import Clip, Motion

MakeClip = Callable[..., Clip]
GOLDEN = "2e27a3414a65ff2770871439ef90206b448ec6aad6a2567f5bee0ac382c27413"


@pytest.mark.parametrize(("height", "width", "frames"), [(24, 32, True), (25, 33, True), (24, 32, False)])
def test_round_trip(make_clip: MakeClip, tmp_path: Path, height: int, width: int, frames: bool) -> None:
    clip = make_clip(height=height, width=width, frames=frames)
    digest = write_clip(tmp_path, clip)
    back = read_clip(tmp_path / digest)
    for name in ("recording_id", "source", "body", "licence", "instructions", "thoughts", "tags"):
        assert getattr(back, name) == getattr(clip, name)
    np.testing.assert_array_equal(back.timestamp_us, clip.timestamp_us)
    for name in ("poses_world", "speed_mps", "accel_mps2", "curvature_per_m"):
        np.testing.assert_array_equal(getattr(back.motion, name), getattr(clip.motion, name))
    if frames:
        assert back.frames.shape == clip.frames.shape and np.abs(back.frames.astype(int) - clip.frames).mean() < 4
    else:
        assert back.frames is None


def test_a_clip_without_motion_or_words(make_clip: MakeClip, tmp_path: Path) -> None:
    clip = replace(make_clip(), motion=None, instructions=None, thoughts=None)
    back = read_clip(tmp_path / write_clip(tmp_path, clip))
    assert back.motion is None and back.instructions is None and back.thoughts is None


def test_writing_again_changes_nothing_and_mends_what_is_broken(make_clip: MakeClip, tmp_path: Path) -> None:
    clip = make_clip()
    folder = tmp_path / write_clip(tmp_path, clip)
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    assert write_clip(tmp_path, clip) == folder.name
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == before
    (folder / "frames.mp4").write_bytes(b"torn")
    write_clip(tmp_path, clip)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {name: content for name, (content, _) in before.items()}


def test_a_killed_write_leaves_no_clip(make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("motorworks.clips.store.write_mp4", die)
    with pytest.raises(KeyboardInterrupt):
        write_clip(tmp_path, make_clip())
    assert list_clips(tmp_path) == []
    monkeypatch.undo()
    digest = write_clip(tmp_path, make_clip())
    assert [path.name for path in list_clips(tmp_path)] == [digest]
    assert not list(tmp_path.glob(".writing-*"))


def test_the_same_frames_give_the_same_file(make_clip: MakeClip, tmp_path: Path) -> None:
    """Small pictures made x264 read past their end: once in ten times another file."""
    frames = make_clip().frames
    files = set()
    for _ in range(25):
        write_mp4(tmp_path / "other.mp4", make_clip(height=25, width=33).frames)
        write_mp4(tmp_path / "a.mp4", frames)
        files.add((tmp_path / "a.mp4").read_bytes())
    assert len(files) == 1


@pytest.mark.parametrize("name", ["clip.json", "motion.npz", "frames.mp4"])
def test_a_torn_file_is_named_with_its_fix(make_clip: MakeClip, tmp_path: Path, name: str) -> None:
    folder = tmp_path / write_clip(tmp_path, make_clip())
    path = folder / name
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ClipBroken, match=f"{name}.*delete the folder and run ingest again"):
        read_clip(folder)


def test_another_format_is_refused(make_clip: MakeClip, tmp_path: Path) -> None:
    folder = tmp_path / write_clip(tmp_path, make_clip())
    about = json.loads((folder / "clip.json").read_text())
    (folder / "clip.json").write_text(json.dumps({**about, "format": "motorworks.clip 9"}))
    with pytest.raises(ClipBroken, match="format"):
        read_clip(folder)
    shutil.rmtree(folder)
    with pytest.raises(ClipBroken, match=r"clip\.json"):
        read_clip(folder)


def test_the_name_is_the_same_everywhere(make_clip: MakeClip) -> None:
    """Golden: a change here renames every stored clip, so it must be meant."""
    clip = Clip(
        recording_id="r",
        source="town",
        body="car",
        licence="CC0-1.0",
        timestamp_us=np.array([0, 100_000]),
        frames=np.zeros((2, 2, 2, 3), np.uint8),
        motion=Motion(kind="simulated", poses_world=np.zeros((2, 3)), speed_mps=np.zeros(2), accel_mps2=np.zeros(2), curvature_per_m=np.zeros(2)),
    )
    assert clip_digest(clip) == GOLDEN
    # neither memory order nor a wider type is content
    same = replace(clip, frames=np.asfortranarray(clip.frames), timestamp_us=clip.timestamp_us.astype(">i8"))
    assert clip_digest(same) == clip_digest(clip)


@given(
    st.sampled_from(["frames", "speed_mps", "poses_world", "timestamp_us", "instructions", "thoughts", "recording_id", "tags", "kind", "body"]),
    st.integers(0, 9),
)
@settings(deadline=None, max_examples=60)
def test_the_name_is_sensitive(what: str, step: int) -> None:
    clip = _plain(10)
    changed = _change(clip, what, step)
    assert clip_digest(changed) != clip_digest(clip)
    is_label = what in ("instructions", "thoughts", "recording_id", "tags")
    assert (content_digest(changed) == content_digest(clip)) == is_label


def _plain(num: int) -> Clip:
    motion = Motion(
        kind="simulated", poses_world=np.zeros((num, 3)), speed_mps=np.zeros(num), accel_mps2=np.zeros(num), curvature_per_m=np.zeros(num)
    )
    return Clip(
        recording_id="r",
        source="town",
        body="car",
        licence="",
        timestamp_us=np.arange(num) * 100_000,
        frames=np.zeros((num, 4, 4, 3), np.uint8),
        motion=motion,
        instructions=("follow the road",) * num,
        thoughts=(None,) * num,
    )


def _change(clip: Clip, what: str, step: int) -> Clip:
    from motorworks.datatypes.thought import Thought

    if what in ("speed_mps", "poses_world"):
        array = getattr(clip.motion, what).copy()
        array[step] += 1e-6
        return replace(clip, motion=replace(clip.motion, **{what: array}))
    if what == "frames":
        frames = clip.frames.copy()
        frames[step, 1, 1, 1] += 1
        return replace(clip, frames=frames)
    if what == "timestamp_us":
        clock = clip.timestamp_us.copy()
        clock[step] += 1
        return replace(clip, timestamp_us=clock)
    words: dict[str, object] = {
        "instructions": (*clip.instructions[:step], "turn left now", *clip.instructions[step + 1 :]),
        "thoughts": (*clip.thoughts[:step], Thought(decision="stop", cause="a junction is near"), *clip.thoughts[step + 1 :]),
        "recording_id": f"r{step}",
        "tags": (f"t{step}",),
        "body": "donkey",
    }
    return replace(clip, motion=replace(clip.motion, kind="measured")) if what == "kind" else replace(clip, **{what: words[what]})


@given(st.integers(0, 18), st.integers(2, 20))
@settings(deadline=None, max_examples=40)
def test_a_cut_is_the_part(start: int, length: int) -> None:
    clip = _plain(20)
    if start + length > 20:
        with pytest.raises(ValueError, match="not a part"):
            cut(clip, start, start + length)
        return
    part = cut(clip, start, start + length)
    np.testing.assert_array_equal(part.timestamp_us, clip.timestamp_us[start : start + length])
    assert len(part.frames) == len(part.motion.poses_world) == len(part.instructions) == length and part.recording_id == clip.recording_id

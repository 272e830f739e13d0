"""What is written is what is read; names are stable, sensitive, and checked."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorworks.clips.cut import cut
from motorworks.clips.digest import clip_digest, content_digest
from motorworks.clips.frames import encode_mp4
from motorworks.clips.motion_code import POSE_STEPS, VALUE_STEPS, decode, encode, quantise
from motorworks.clips.store import ClipStore, ClipWriter, write_clips
from motorworks.datatypes.clip import Clip, Motion
from motorworks.datatypes.rig import FRONT3

MakeClip = Callable[..., Clip]
GOLDEN = "2e27a3414a65ff2770871439ef90206b448ec6aad6a2567f5bee0ac382c27413"


@pytest.mark.parametrize(("height", "width", "frames"), [(24, 32, True), (25, 33, True), (24, 32, False)])
def test_round_trip(make_clip: MakeClip, tmp_path: Path, height: int, width: int, frames: bool) -> None:
    clip = make_clip(height=height, width=width, frames=frames)
    (clip_id,) = write_clips(tmp_path, [clip])
    back = ClipStore(tmp_path).read(clip_id)
    for name in ("recording_id", "source", "body", "licence", "instructions", "thoughts", "tags"):
        assert getattr(back, name) == getattr(clip, name)
    np.testing.assert_array_equal(back.timestamp_us, clip.timestamp_us)
    assert (np.abs(back.motion.poses_world - clip.motion.poses_world) <= POSE_STEPS * 0.51).all()
    for name, step in VALUE_STEPS.items():
        np.testing.assert_allclose(getattr(back.motion, name), getattr(clip.motion, name), atol=step * 0.51)
    if frames:
        assert back.frames.shape == clip.frames.shape and np.abs(back.frames.astype(int) - clip.frames).mean() < 4
    else:
        assert back.frames is None
        assert write_clips(tmp_path, [back]) == [clip_id]  # without pictures, what is read back is the same clip


def test_other_cameras_and_their_calibration(make_clip: MakeClip, tmp_path: Path) -> None:
    clip = make_clip()
    clip = replace(clip, side_frames={"front_left": clip.frames[:, ::-1].copy()}, cameras=FRONT3.cameras)
    (clip_id,) = write_clips(tmp_path, [clip])
    store = ClipStore(tmp_path)
    back = store.read(clip_id)
    assert back.cameras == FRONT3.cameras and list(back.side_frames) == ["front_left"]
    assert np.abs(back.side_frames["front_left"].astype(int) - clip.side_frames["front_left"]).mean() < 4
    front = store.read_front(clip_id)
    assert not front.side_frames and np.array_equal(front.frames, back.frames)


def test_video_that_is_encoded_already_is_kept_byte_for_byte(make_clip: MakeClip, tmp_path: Path) -> None:
    clip = make_clip(height=144, width=256)
    video = encode_mp4(clip.frames)
    (clip_id,) = write_clips(tmp_path, [replace(clip, frames=None, encoded={"front": video})])
    back = ClipStore(tmp_path).read(clip_id, decode=False)
    assert back.encoded == {"front": video} and write_clips(tmp_path / "again", [back]) == [clip_id]
    assert ClipStore(tmp_path).read(clip_id).frames.shape == clip.frames.shape


def test_a_clip_without_motion_or_words(make_clip: MakeClip, tmp_path: Path) -> None:
    clip = replace(make_clip(), motion=None, instructions=None, thoughts=None)
    back = ClipStore(tmp_path).read(*write_clips(tmp_path, [clip]))
    assert back.motion is None and back.instructions is None and back.thoughts is None


def test_the_same_frames_give_the_same_video(make_clip: MakeClip) -> None:
    """Small pictures made x264 read past their end: once in ten times another file."""
    frames, videos = make_clip().frames, set()
    for _ in range(25):
        encode_mp4(make_clip(height=25, width=33).frames)
        videos.add(encode_mp4(frames))
    assert len(videos) == 1


def test_rows_say_what_the_clip_says(make_clip: MakeClip, tmp_path: Path) -> None:
    clip = make_clip()
    write_clips(tmp_path, [clip])
    (row,) = ClipStore(tmp_path).rows
    path = np.diff(clip.motion.poses_world[:, :2], axis=0)
    assert row.num_steps == len(clip.timestamp_us) and row.duration_s == pytest.approx((row.num_steps - 1) / 10)
    assert row.distance_m == pytest.approx(np.hypot(*path.T).sum(), abs=0.01 * row.num_steps)
    assert row.max_speed_mps == pytest.approx(clip.motion.speed_mps.max(), abs=1e-3)
    assert [(view.camera, view.height_px, view.width_px) for view in row.views] == [("front", *clip.frames.shape[1:3])]


@given(st.integers(0, 2**32 - 1), st.integers(2, 80), st.floats(0.01, 1e4))
@settings(deadline=None, max_examples=40)
def test_stored_motion_is_exact_to_half_a_step_and_stays_so(seed: int, num: int, scale: float) -> None:
    random = np.random.default_rng(seed)
    poses = random.normal(0, [scale, scale, 3.0], (num, 3))
    motion = Motion(kind="measured", poses_world=poses, **{name: random.normal(0, 3, num) for name in VALUE_STEPS})
    clip = Clip(
        recording_id="r", source="s", body="car", licence="", timestamp_us=random.integers(1, 10**6, num).cumsum(), frames=None, motion=motion
    )
    clock, back = decode(encode(clip), num, "measured")
    np.testing.assert_array_equal(clock, clip.timestamp_us)
    assert (np.abs(back.poses_world - motion.poses_world) <= POSE_STEPS * 0.5001 + 1e-9).all()
    again = quantise(quantise(clip))
    assert encode(again) == encode(clip) and clip_digest(again) == clip_digest(quantise(clip))


@pytest.mark.parametrize(("value", "reason"), [(np.nan, "x is not finite at step 3"), (1e9, "x leaves the range")])
def test_motion_that_cannot_be_stored_is_named(make_clip: MakeClip, tmp_path: Path, value: float, reason: str) -> None:
    clip = make_clip()
    poses = clip.motion.poses_world.copy()
    poses[3, 0] = value
    with pytest.raises(ValueError, match=reason), ClipWriter(tmp_path) as writer:
        writer.add(replace(clip, motion=replace(clip.motion, poses_world=poses)))
    assert not list((tmp_path / "packs").glob("*"))


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

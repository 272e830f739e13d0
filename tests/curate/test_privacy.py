"""What is blurred cannot be read again, holds over the pictures around, and nothing else changes; a drawn face is found."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from motorworks.clips.frames import encode_mp4
from motorworks.clips.recording import ReadResult
from motorworks.curate.detect import Detection
from motorworks.curate.privacy import BlurConfig, BodyParts, FaceCascade, Region, Together, blur, blur_clip, blur_result
from motorworks.datatypes.clip import Clip

DrawFace = Callable[[int], np.ndarray]
NUM, HEIGHT, WIDTH = 20, 96, 160
FACE = Region(kind="face", left_frac=0.25, top_frac=0.25, right_frac=0.5, bottom_frac=0.5)


@dataclass
class Marked:
    """Finds FACE wherever the picture's corner is white."""

    name: str = "marked"

    def find(self, frames: np.ndarray) -> Sequence[tuple[Region, ...]]:
        return [(FACE,) if frame[0, 0, 0] > 200 else () for frame in frames]


def _frames(marked: Sequence[int] = (), seed: int = 0) -> np.ndarray:
    frames = np.random.default_rng(seed).integers(0, 200, (NUM, HEIGHT, WIDTH, 3)).astype(np.uint8)
    frames[:, :8, :8] = 0
    frames[list(marked), :8, :8] = 255
    return frames


def _clip(frames: np.ndarray | None, **more: object) -> Clip:
    clock = np.arange(NUM, dtype=np.int64) * 100_000
    return Clip(recording_id="r", source="video", body="car", licence="", timestamp_us=clock, frames=frames, motion=None, **more)


def _changed(before: np.ndarray, after: np.ndarray) -> list[int]:
    return [step for step in range(NUM) if (before[step] != after[step]).any()]


def test_what_was_there_is_gone_and_the_rest_stays() -> None:
    """Two pictures that differ within the region alone, but for its averages, are the same afterwards."""
    one = _frames([10])
    other = one.copy()
    part = (10, slice(20, 52), slice(34, 86))  # within the region and its margin
    rng = np.random.default_rng(1)
    values = other[part].reshape(-1, 3)
    other[part] = values[rng.permutation(len(values))].reshape(other[part].shape)
    single = BlurConfig(cells=1)
    found = [(FACE,) if step == 10 else () for step in range(NUM)]
    np.testing.assert_allclose(blur(one, found, single)[10].astype(int), blur(other, found, single)[10], atol=2)  # rounding of the average
    after = blur(one, found)
    outside = np.ones((HEIGHT, WIDTH), bool)
    outside[18:54, 32:89] = False
    assert (after[10][outside] == one[10][outside]).all() and after[10][30:45, 45:75].std() < 12 < one[10][30:45, 45:75].std()


def test_a_region_holds_before_and_after_it_was_seen() -> None:
    frames = _frames([10])
    after, what = blur_clip(_clip(frames), Marked(), BlurConfig(look_every=2, hold=3))
    assert _changed(frames, after.frames) == [7, 8, 9, 10, 11, 12, 13]
    assert what.num_by_kind == {"face": 1} and what.num_looked == NUM // 2


def test_every_camera_is_looked_at_and_one_without_a_find_keeps_its_bytes() -> None:
    clean, marked = encode_mp4(_frames()), encode_mp4(_frames(range(NUM)))
    clip = _clip(None, encoded={"front": clean, "left": clean})
    assert blur_clip(clip, Marked())[0] is clip
    after, what = blur_clip(replace(clip, encoded={"front": clean, "left": marked}), Marked())
    assert not after.encoded and list(after.side_frames) == ["left"] and what.num_looked == NUM
    region = after.side_frames["left"][:, 30:45, 45:75]
    assert region.std(axis=(1, 2)).max() < 12


def test_heads_and_plates_are_parts_of_what_a_detector_sees() -> None:
    class Eyes:
        name, version = "eyes", "1"

        def detect(self, frames: np.ndarray) -> tuple[tuple[Detection, ...], ...]:
            box = {"left_frac": 0.2, "top_frac": 0.4, "right_frac": 0.4, "bottom_frac": 0.8, "score": 0.9}
            return tuple(tuple(Detection(kind=kind, **box) for kind in ("person", "car", "traffic light")) for _ in frames)

    finder = Together(finders=(Marked(), BodyParts(detector=Eyes())))
    (regions,) = finder.find(_frames([0])[:1])
    assert [(one.kind, round(one.top_frac, 2), round(one.bottom_frac, 2)) for one in regions[1:]] == [("face", 0.4, 0.52), ("plate", 0.54, 0.8)]
    assert regions[0] == FACE and finder.name == "marked; heads and plates by eyes 1"


@pytest.mark.parametrize("width_px", [20, 40])
def test_the_cascade_finds_a_face_where_it_is_and_none_on_an_empty_street(drawn_face: DrawFace, width_px: int) -> None:
    pytest.importorskip("cv2")
    finder = FaceCascade()
    found, nothing = finder.find(np.stack([drawn_face(width_px), np.full((144, 256, 3), 120, np.uint8)]))
    assert not nothing and len(found) == 1
    assert (found[0].left_frac + found[0].right_frac) / 2 == pytest.approx(0.5, abs=0.03)
    assert (found[0].right_frac - found[0].left_frac) * 256 == pytest.approx(width_px, rel=0.4)


def test_a_recording_says_what_was_done() -> None:
    result = blur_result(ReadResult(clips=[_clip(_frames([4]))], notes=["before"]), Marked(), Path("drive.mp4"))
    assert result.notes == ["before", "drive.mp4: 1 faces in 10 pictures, looked for with marked"]

"""Faces and number plates made unreadable: found on every camera of a clip, held over the steps around, and averaged away for good.

Two finders that need no download beside OpenCV and a NanoDet: the cascade of Viola and Jones for faces, and parts of what a detector sees: a
person's head, the lower two thirds of a vehicle, wherever its plate is. What share of faces and plates each finds: `python -m bench privacy`.
None finds all: look at what you publish.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from motorworks.clips.frames import decode_whole
from motorworks.clips.recording import ReadResult
from motorworks.curate.detect import VEHICLES, Detector, NanoDet
from motorworks.datatypes.clip import Clip
from motorworks.geometry.array import Array

Frames = UInt8[Array, "time height width 3"]
_HEAD_FRAC, _PLATE_FROM_FRAC = 0.3, 0.35  # of a person's box from the top; of a vehicle's from the top on
_LEAST_FACE_PX = 8.0  # of the picture that is searched: smaller ones nobody recognises
_CASCADE_PX = 24  # the cascade's smallest window
_LARGEST_FACE_FRAC = 0.4  # of the picture's height: what seems larger, half a metre before the lens, is a bright wall


@dataclass(frozen=True, kw_only=True)
class Region:
    """A part of a picture to make unreadable, as shares of width and height."""

    kind: str  # face or plate
    left_frac: float
    top_frac: float
    right_frac: float
    bottom_frac: float


class RegionFinder(Protocol):
    """Finds faces, plates or both; each picture by itself."""

    @property
    def name(self) -> str:
        """Says what was used, with a version."""
        ...

    def find(self, frames: Frames) -> Sequence[tuple[Region, ...]]:
        """Of each picture."""
        ...


class FaceCascade:
    """Faces seen from the front, by OpenCV's `haarcascade_frontalface_alt2` (Viola and Jones 2001), down to 8 pixels."""

    @cached_property
    def _cascade(self) -> Any:
        cv2 = _cv2()
        return cv2.CascadeClassifier(f"{cv2.data.haarcascades}haarcascade_frontalface_alt2.xml")

    def __reduce__(self) -> Any:
        return FaceCascade, ()  # a cascade does not travel

    @property
    def name(self) -> str:
        """With OpenCV's version."""
        return f"faces by cascade (OpenCV {_cv2().__version__})"

    def find(self, frames: Frames) -> Sequence[tuple[Region, ...]]:
        """Of each picture."""
        return [self._find(frame) for frame in frames]

    def _find(self, frame: UInt8[Array, "height width 3"]) -> tuple[Region, ...]:
        cv2 = _cv2()
        height, width = frame.shape[:2]
        larger = _CASCADE_PX / _LEAST_FACE_PX if height <= 360 else 1.0
        grey = cv2.resize(cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY), None, fx=larger, fy=larger, interpolation=cv2.INTER_CUBIC)
        most_px = round(_LARGEST_FACE_FRAC * grey.shape[0])
        found = self._cascade.detectMultiScale(grey, 1.1, 3, minSize=(_CASCADE_PX, _CASCADE_PX), maxSize=(most_px, most_px))
        boxes = np.asarray(found, np.float64).reshape(-1, 4) / larger
        return tuple(
            Region(kind="face", left_frac=x / width, top_frac=y / height, right_frac=(x + wide) / width, bottom_frac=(y + high) / height)
            for x, y, wide, high in boxes.tolist()
        )


@dataclass(frozen=True, kw_only=True)
class BodyParts:
    """Heads of persons and plates of vehicles, as parts of a detector's boxes."""

    detector: Detector

    @property
    def name(self) -> str:
        """The detector's."""
        return f"heads and plates by {self.detector.name} {self.detector.version}"

    def find(self, frames: Frames) -> Sequence[tuple[Region, ...]]:
        """Of each picture."""
        found = []
        for seen in self.detector.detect(frames):
            regions = []
            for one in seen:
                sides = {"left_frac": one.left_frac, "right_frac": one.right_frac}
                if one.kind == "person":
                    regions.append(Region(kind="face", top_frac=one.top_frac, bottom_frac=one.top_frac + _HEAD_FRAC * one.height_frac, **sides))
                elif one.kind in VEHICLES:
                    top = one.top_frac + _PLATE_FROM_FRAC * one.height_frac
                    regions.append(Region(kind="plate", top_frac=top, bottom_frac=one.bottom_frac, **sides))
            found.append(tuple(regions))
        return found


@dataclass(frozen=True, kw_only=True)
class Together:
    """What any of several finds."""

    finders: tuple[RegionFinder, ...]

    @property
    def name(self) -> str:
        """Of all."""
        return "; ".join(finder.name for finder in self.finders)

    def find(self, frames: Frames) -> Sequence[tuple[Region, ...]]:
        """Of each picture."""
        found = [finder.find(frames) for finder in self.finders]
        return [tuple(region for part in parts for region in part) for parts in zip(*found, strict=True)]


def finder_with(detector: Path | None) -> RegionFinder:
    """Faces by cascade, and with the weights of a NanoDet (see `detect.NanoDet`) heads and plates too. Without them no plate is found."""
    cascade = FaceCascade()
    return cascade if detector is None else Together(finders=(cascade, BodyParts(detector=NanoDet(detector, min_score=0.3))))


@dataclass(frozen=True, kw_only=True)
class BlurConfig:
    """How much around a region is averaged too, how often is looked, and for how many steps before and after what was found holds."""

    margin_frac: float = 0.2
    look_every: int = 2
    hold: int = 2
    cells: int = 3  # a region becomes so many by so many averages

    def __post_init__(self) -> None:
        if self.look_every < 1 or self.hold < self.look_every // 2 or self.cells < 1 or self.margin_frac < 0:
            raise ValueError(f"look_every and cells need 1 or more, hold at least half of look_every, margin_frac not below 0: {self}")


@dataclass(frozen=True, kw_only=True)
class Blurred:
    """What was done to a clip; added up over many."""

    num_by_kind: dict[str, int] = field(default_factory=dict)  # regions, each time a picture was looked at
    num_looked: int = 0


def blur_clip(clip: Clip, finder: RegionFinder, config: BlurConfig = BlurConfig()) -> tuple[Clip, Blurred]:
    """The clip with regions averaged away on all its cameras. A camera on which nothing is found stays as it is, encoded where it was."""
    pictures = {name: decode_whole(video) for name, video in clip.encoded.items()}
    pictures |= {} if clip.frames is None else {clip.front_camera: clip.frames}
    pictures |= clip.side_frames
    counts, changed = Counter[str](), dict[str, Frames]()
    for name, frames in pictures.items():
        found = find_regions(frames, finder, config)
        counts.update(region.kind for regions in found for region in regions)
        if any(found):
            changed[name] = blur(frames, hold(found, config.hold), config)
    what = Blurred(num_by_kind=dict(counts), num_looked=sum(len(frames[:: config.look_every]) for frames in pictures.values()))
    if not changed:
        return clip, what
    # one camera as pictures means all of them: a clip is written either from pictures or from what is encoded
    pictures |= changed
    front = pictures.pop(clip.front_camera, None)
    return replace(clip, frames=front, side_frames=pictures, encoded={}), what


def blur_result(result: ReadResult, finder: RegionFinder, recording: Path) -> ReadResult:
    """All clips of a recording, and a note of what was done."""
    done = [blur_clip(clip, finder) for clip in result.clips]
    counts = Counter[str]()
    for _, what in done:
        counts.update(what.num_by_kind)
    found = ", ".join(f"{num} {kind}s" for kind, num in sorted(counts.items())) or "nothing to blur"
    note = f"{recording.name}: {found} in {sum(what.num_looked for _, what in done)} pictures, looked for with {finder.name}"
    return replace(result, clips=[clip for clip, _ in done], notes=[*result.notes, *([note] if done else [])])


def find_regions(frames: Frames, finder: RegionFinder, config: BlurConfig = BlurConfig()) -> list[tuple[Region, ...]]:
    """Of each picture that is looked at; of the others none."""
    found: list[tuple[Region, ...]] = [()] * len(frames)
    found[:: config.look_every] = finder.find(frames[:: config.look_every])
    return found


def hold(found: Sequence[tuple[Region, ...]], steps: int) -> list[tuple[Region, ...]]:
    """Each picture's regions and those of the pictures up to `steps` before and after: things move little, and finders blink."""
    around = [found[max(0, step - steps) : step + steps + 1] for step in range(len(found))]
    return [tuple(region for regions in part for region in regions) for part in around]


def blur(frames: Frames, found: Sequence[tuple[Region, ...]], config: BlurConfig = BlurConfig()) -> Frames:
    """A copy in which each region is a few averages of itself: what was there cannot be worked out again."""
    out = np.array(frames)
    height, width = out.shape[1:3]
    for picture, regions in zip(out, found, strict=True):
        for region in regions:
            aside, above = ((region.right_frac - region.left_frac) * config.margin_frac, (region.bottom_frac - region.top_frac) * config.margin_frac)
            left, right = np.clip([np.floor((region.left_frac - aside) * width), np.ceil((region.right_frac + aside) * width)], 0, width).astype(int)
            top, bottom = np.clip([np.floor((region.top_frac - above) * height), np.ceil((region.bottom_frac + above) * height)], 0, height).astype(
                int
            )
            if left < right and top < bottom:
                part = Image.fromarray(picture[top:bottom, left:right])
                few = part.resize((min(config.cells, right - left), min(config.cells, bottom - top)), Image.Resampling.BOX)
                picture[top:bottom, left:right] = np.asarray(few.resize(part.size, Image.Resampling.BILINEAR))
    return out


def _cv2() -> Any:
    try:
        import cv2
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("finding faces needs OpenCV: pip install 'motorworks[data]'", name="cv2") from error
    if not hasattr(cv2, "CascadeClassifier"):
        raise ModuleNotFoundError(f"OpenCV {cv2.__version__} has no cascades: pip install 'opencv-python-headless<5'", name="cv2")
    cv2.setNumThreads(1)  # the engine runs a worker a core
    return cv2

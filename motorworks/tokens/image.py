"""Camera frames in: any size becomes the 64x128 image the model sees. One codec for training, simulation and car."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from motorworks.geometry.array import Array

HEIGHT_PX = 64
WIDTH_PX = 128


@dataclass(frozen=True, kw_only=True)
class ImageCodec:
    """Crops to the image's aspect, keeping the bottom (the road) and dropping sky, then averages areas down."""

    height_px: int = HEIGHT_PX
    width_px: int = WIDTH_PX

    def __post_init__(self) -> None:
        if self.height_px < 8 or self.width_px < 8:
            raise ValueError(f"height_px {self.height_px} and width_px {self.width_px} must be at least 8")

    def encode(self, frames: UInt8[Array, "*batch height width 3"]) -> UInt8[Array, "*batch out_height out_width 3"]:
        """The model's image of each frame; the leading axes are kept."""
        frames = np.asarray(frames)
        if frames.dtype != np.uint8 or frames.ndim < 3 or frames.shape[-1] != 3:
            raise ValueError(f"frames must be uint8 [..., height, width, 3], got {frames.dtype} {frames.shape}")
        cropped = self._crop(frames)
        if cropped.shape[-3:-1] == (self.height_px, self.width_px):
            return np.ascontiguousarray(cropped)
        half = cropped.shape[-3:-1] == (2 * self.height_px, 2 * self.width_px)
        flat = cropped.reshape(-1, *cropped.shape[-3:])
        out = np.empty((len(flat), self.height_px, self.width_px, 3), np.uint8)
        for index, frame in enumerate(flat):
            image = Image.fromarray(frame)  # half is the common case: means of 2x2 in integers, exact on every machine, and faster
            out[index] = np.asarray(image.reduce(2) if half else image.resize((self.width_px, self.height_px), Image.Resampling.BOX))
        return out.reshape(*cropped.shape[:-3], self.height_px, self.width_px, 3)

    def crop_px(self, height_px: int, width_px: int) -> tuple[int, int, int, int]:
        """Top, left, height and width of the part of a picture that is kept."""
        if height_px * self.width_px >= width_px * self.height_px:  # too tall: drop the top
            keep = max(1, round(width_px * self.height_px / self.width_px))
            return height_px - keep, 0, keep, width_px
        keep = max(1, round(height_px * self.width_px / self.height_px))  # too wide: drop both sides
        return 0, (width_px - keep) // 2, height_px, keep

    def _crop(self, frames: UInt8[Array, "*batch height width 3"]) -> UInt8[Array, "*batch crop_height crop_width 3"]:
        top, left, height, width = self.crop_px(*frames.shape[-3:-1])
        return frames[..., top : top + height, left : left + width, :]

"""A clip at a glance: some of its frames side by side, as bytes of a JPEG."""

import io

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from motorworks.geometry.array import Array

HEIGHT_PX = 90


def strip_jpeg(frames: UInt8[Array, "time height width 3"], *, num: int = 6, height_px: int = HEIGHT_PX, quality: int = 80) -> bytes:
    """`num` frames at even distances, the first and the last among them."""
    steps = np.unique(np.linspace(0, len(frames) - 1, num).round().astype(int))
    width_px = max(1, round(height_px * frames.shape[2] / frames.shape[1]))
    strip = Image.new("RGB", (len(steps) * width_px + 2 * (len(steps) - 1), height_px), "white")
    for place, step in enumerate(steps):
        strip.paste(Image.fromarray(frames[step]).resize((width_px, height_px), Image.Resampling.BOX), (place * (width_px + 2), 0))
    file = io.BytesIO()
    strip.save(file, "JPEG", quality=quality)
    return file.getvalue()

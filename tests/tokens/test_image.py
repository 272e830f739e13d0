"""ImageCodec: exact halving of the town's camera, and any other size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorworks.tokens.image import ImageCodec


def test_town_frame_is_its_bottom_half_resolution():
    frames = np.random.default_rng(0).integers(0, 256, (3, 144, 256, 3), dtype=np.uint8)
    expected = np.floor(frames[:, 16:].astype(np.float64).reshape(3, 64, 2, 128, 2, 3).mean(axis=(2, 4)) + 0.5)
    assert np.array_equal(ImageCodec().encode(frames), expected)


@settings(deadline=None, max_examples=25)
@given(height=st.integers(40, 300), width=st.integers(60, 400), value=st.integers(0, 255))
def test_any_size_keeps_a_flat_colour(height: int, width: int, value: int):
    out = ImageCodec().encode(np.full((2, height, width, 3), value, np.uint8))
    assert out.shape == (2, 64, 128, 3) and out.dtype == np.uint8 and (out == value).all()


def test_tub_frame_keeps_the_road_and_drops_the_sky():
    frame = np.zeros((120, 160, 3), np.uint8)
    frame[:40] = 255  # 160 wide keeps 80 rows: the upper 40 are sky
    assert ImageCodec().encode(frame).max() == 0


def test_own_size_passes_and_floats_are_refused():
    frames = np.random.default_rng(1).integers(0, 256, (2, 64, 128, 3), dtype=np.uint8)
    assert np.array_equal(ImageCodec().encode(frames), frames)
    with pytest.raises(ValueError, match="uint8"):
        ImageCodec().encode(frames.astype(np.float32))

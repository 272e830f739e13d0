"""Resampling: monotonic, never across a gap, nothing invented."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from motorworks.clips.clock import MAX_GAP_S, TICK_US, cut_pieces, nearest_index, thinned

steps_us = st.lists(st.one_of(st.integers(5_000, 360_000), st.just(0), st.integers(-500_000, 2_000_000)), min_size=1, max_size=200)


@given(steps_us, st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=150)
def test_pieces_are_monotonic_and_stay_between_gaps(steps: list[int], seed: int) -> None:
    time_us = np.cumsum([0, *steps]).astype(np.int64)
    good = np.random.default_rng(seed).random(len(time_us)) > 0.02
    for piece in cut_pieces(time_us, good, min_clip_s=0.3, max_clip_s=1.0):
        part = time_us[piece.start : piece.stop]
        assert good[piece.start : piece.stop].all()
        assert np.all(np.diff(part) > 0) and np.all(np.diff(part) <= MAX_GAP_S * 1e6)
        assert np.all(np.diff(piece.tick_us) == TICK_US) and 2 <= len(piece.tick_us) <= 10
        assert np.all(np.diff(piece.nearest) >= 0) and piece.start <= piece.nearest[0] and piece.nearest[-1] < piece.stop
        best = np.abs(part[:, None] - piece.tick_us[None]).min(axis=0)
        np.testing.assert_array_equal(np.abs(time_us[piece.nearest] - piece.tick_us), best)
        assert best.max() <= MAX_GAP_S * 1e6 / 2
        line = piece.interpolate(time_us, time_us.astype(float) * 3)
        np.testing.assert_allclose(line, piece.tick_us * 3.0, atol=1e-3)


def test_long_recordings_are_parted_without_losing_a_tick() -> None:
    time_us = np.arange(0, 10_000_001, 50_000, dtype=np.int64)
    pieces = cut_pieces(time_us, np.ones(len(time_us), bool), max_clip_s=3.0)
    np.testing.assert_array_equal(np.concatenate([piece.tick_us for piece in pieces]), np.arange(0, 10_000_001, TICK_US))
    assert max(len(piece.tick_us) for piece in pieces) <= 30


def test_interpolation_keeps_trailing_axes() -> None:
    time_us = np.arange(0, 4_000_000, 50_000, dtype=np.int64)
    values = np.random.default_rng(0).normal(size=(len(time_us), 2, 3))
    piece = cut_pieces(time_us, np.ones(len(time_us), bool))[0]
    np.testing.assert_allclose(piece.interpolate(time_us, values), values[::2][: len(piece.tick_us)])


def test_nearest_of_one_sample() -> None:
    assert nearest_index(np.array([5]), np.array([0, 100])).tolist() == [0, 0]


def test_thinning_keeps_what_the_ticks_need() -> None:
    time_us = 7_000 + np.round(np.concatenate([np.arange(0, 4, 1 / 36), np.arange(6, 10, 1 / 36)]) * 1e6).astype(np.int64)
    kept = thinned(time_us)
    assert len(kept) < len(time_us) / 3 and kept[0] == 0 and (np.diff(kept) > 0).all()
    for dense, thin in zip(*(cut_pieces(clock, np.ones(len(clock), bool)) for clock in (time_us, time_us[kept])), strict=True):
        np.testing.assert_array_equal(time_us[dense.nearest][:-1], time_us[kept][thin.nearest][:-1])
    np.testing.assert_array_equal(thinned(time_us[:1]), [0])
    np.testing.assert_array_equal(thinned(np.arange(20) * 200_000), np.arange(20))

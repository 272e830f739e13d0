"""EgoCodec: what is known, what is not, and its mirror."""

import numpy as np
import pytest

from motorworks.bodies.body import BODIES
from motorworks.tokens.ego import BODY_CODES, HISTORY, HISTORY_KNOWN, NOW_KNOWN, NUM_EGO, EgoCodec

CODEC = EgoCodec()


def _ego() -> np.ndarray:
    generator = np.random.default_rng(0)
    return CODEC.encode(generator.uniform(0, 15, 4), generator.normal(size=4), generator.normal(size=(4, 16, 3)))


def test_layout():
    poses = np.arange(16 * 3, dtype=np.float64).reshape(1, 16, 3) / 100
    ego = CODEC.encode(np.array([5.0]), np.array([0.25]), poses)
    assert ego.shape == (1, NUM_EGO) and ego.dtype == np.float32
    assert np.allclose(ego[0, :2], [0.5, 0.25])
    assert np.allclose(ego[0, HISTORY].reshape(8, 3), poses[0, 1::2] / [10, 1, 0.2])
    assert ego[0, NOW_KNOWN] == 1 and ego[0, HISTORY_KNOWN] == 1


def test_forgetting_keeps_the_present_and_the_argument():
    ego = _ego()
    before = ego.copy()
    forgotten = CODEC.without_history(ego)
    assert np.array_equal(ego, before)
    assert not forgotten[:, HISTORY].any() and not forgotten[:, HISTORY_KNOWN].any() and np.array_equal(forgotten[:, :2], ego[:, :2])
    assert np.array_equal(CODEC.encode(ego[:, 0] * 10, ego[:, 1], None)[:, 1:], forgotten[:, 1:])


def test_mirror_is_an_involution_that_turns_the_other_way():
    ego = _ego()
    mirrored = CODEC.mirror(ego)
    assert np.array_equal(CODEC.mirror(mirrored), ego)
    assert np.array_equal(mirrored[:, 1], -ego[:, 1]) and np.array_equal(mirrored[:, 0], ego[:, 0])


def test_bodies_differ_and_unknown_ones_raise():
    assert set(BODY_CODES) == set(BODIES) and len(set(BODY_CODES.values())) == len(BODIES)
    assert not np.array_equal(CODEC.missing(1, "car"), CODEC.missing(1, "donkey"))
    with pytest.raises(ValueError, match="hovercraft"):
        CODEC.missing(1, "hovercraft")

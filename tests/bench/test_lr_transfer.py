"""The best rate is read off noisy losses, and never from outside of what was tried."""

import math

import numpy as np
import pytest

from bench.lr_transfer import best_rate

RATES = tuple(1e-3 * 2**power for power in range(6))


def test_the_vertex_of_what_was_planted_is_found():
    losses = [1.2 * math.exp(0.02 * math.log(rate / 5e-3) ** 2) for rate in RATES]
    assert best_rate(RATES, losses) == pytest.approx(5e-3)
    noisy = losses * np.exp(np.random.default_rng(0).normal(size=6) * 0.003)
    assert best_rate(RATES, list(noisy)) == pytest.approx(5e-3, rel=0.15)
    assert best_rate(RATES, [*losses[:5], math.inf]) == pytest.approx(5e-3)


def test_an_optimum_beyond_the_range_is_its_end():
    falling = [1.2 * math.exp(0.02 * math.log(rate / 0.5) ** 2) for rate in RATES]
    assert best_rate(RATES, falling) == RATES[-1]
    assert best_rate(RATES, [1.0, 1.1, 1.15, 1.15, 1.1, 1.05]) == RATES[0]

"""Goodput: the formula beside a Monte Carlo run and published numbers."""

import numpy as np
import pytest

from motorworks.train.planner.goodput import Failures, best_interval_s, goodput, mtbf_s

STYLES = {"waits": (60.0, 600.0, 1200.0), "copies": (5.0, 60.0, 300.0), "spares": (1.0, 15.0, 60.0)}  # checkpoint, detect, restart


def _at_10k(rate: float, style: str) -> Failures:
    checkpoint_s, detect_s, restart_s = STYLES[style]
    mean = mtbf_s(num_gpus=10_000, gpus_per_node=8, failures_per_1000_node_days=rate)
    return Failures(mtbf_s=mean, detect_s=detect_s, restart_s=restart_s, checkpoint_s=checkpoint_s)


def _simulated(failures: Failures, interval_s: float, *, num_failures: int = 20_000) -> float:
    """Failures at any time, also while coming back; work since the last checkpoint is lost."""
    generator, useful, wall, away = np.random.default_rng(0), 0.0, 0.0, False
    for alive in generator.exponential(failures.mtbf_s, num_failures):
        wall += alive
        back = failures.detect_s + failures.restart_s if away else 0.0
        away = True
        if alive > back:
            useful += interval_s * ((alive - back) // (interval_s + failures.checkpoint_s))
    return useful / wall


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("rate", [2.34, 3.79, 6.50])
def test_it_is_what_a_simulation_gives(rate, style):
    failures = _at_10k(rate, style)
    interval_s = best_interval_s(failures)
    assert goodput(failures, interval_s) == pytest.approx(_simulated(failures, interval_s), abs=0.006)


def test_it_is_right_where_failures_are_frequent_too():
    # the short form is 8 points off here: it lets at most one thing go wrong at a time
    failures = Failures(mtbf_s=100, detect_s=20, restart_s=60, checkpoint_s=5)
    assert goodput(failures, 30) == pytest.approx(_simulated(failures, 30, num_failures=200_000), abs=0.005)


@pytest.mark.parametrize(
    ("rate", "style", "said"),
    [
        (6.50, "waits", 0.775),
        (3.79, "waits", 0.842),
        (2.34, "waits", 0.886),
        (6.50, "copies", 0.939),
        (3.79, "copies", 0.958),
        (3.79, "spares", 0.986),
    ],
)
def test_it_agrees_with_the_short_form(rate, style, said):
    failures = _at_10k(rate, style)
    interval_s = best_interval_s(failures)
    lost = (failures.detect_s + failures.restart_s + (interval_s + failures.checkpoint_s) / 2) / failures.mtbf_s
    short = interval_s / (interval_s + failures.checkpoint_s) / (1 + lost)
    assert short == pytest.approx(said, abs=0.002)
    assert goodput(failures, interval_s) == pytest.approx(short, abs=0.02)  # which lets nothing fail while the job comes back


def test_mean_time_between_failures_is_metas():
    # arXiv 2410.21680: 1.8 h at 16,384 GPUs and 0.23 h at 131,072 for 6.50 a thousand node-days
    assert mtbf_s(num_gpus=16_384, gpus_per_node=8, failures_per_1000_node_days=6.5) / 3600 == pytest.approx(1.8, abs=0.05)
    assert mtbf_s(num_gpus=131_072, gpus_per_node=8, failures_per_1000_node_days=6.5) / 3600 == pytest.approx(0.23, abs=0.01)


def test_the_interval_is_near_the_best_and_nonsense_is_refused():
    failures = _at_10k(6.5, "copies")
    best = max(goodput(failures, seconds) for seconds in np.geomspace(10, 10_000, 400))
    assert goodput(failures, best_interval_s(failures)) == pytest.approx(best, abs=0.001)
    assert goodput(failures, 1e9) < 1e-6
    with pytest.raises(ValueError, match="interval_s"):
        goodput(failures, 0)
    with pytest.raises(ValueError, match="mtbf_s"):
        Failures(mtbf_s=0, detect_s=0, restart_s=0, checkpoint_s=0)

"""Intervals: what a bootstrap must give where the answer is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorworks.datatypes.score import Score
from motorworks.metrics.aggregate import bootstrap, paired_difference, paired_rows, score_rows


def test_interval_of_a_normal_sample_is_nearly_its_standard_error() -> None:
    values = np.random.default_rng(3).normal(5.0, 2.0, 400)
    mean, low, high = bootstrap(values)
    error = values.std(ddof=1) / 20
    assert (
        mean == pytest.approx(values.mean())
        and low == pytest.approx(mean - 1.96 * error, abs=0.04)
        and high == pytest.approx(mean + 1.96 * error, abs=0.04)
    )


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    rng, hits = np.random.default_rng(0), 0
    for seed in range(200):
        _, low, high = bootstrap(rng.exponential(1.0, 40), seed=seed)
        hits += low <= 1.0 <= high
    assert 0.86 <= hits / 200 <= 0.99


@settings(deadline=None, max_examples=30)
@given(values=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30), seed=st.integers(0, 100))
def test_intervals_contain_their_mean_and_repeat(values: list[float], seed: int) -> None:
    mean, low, high = bootstrap(np.array(values), seed=seed)
    assert low <= mean <= high and min(values) - 1e-9 <= low and high <= max(values) + 1e-9
    assert bootstrap(np.array(values), seed=seed) == (mean, low, high)


def test_a_rate_is_a_ratio_of_sums_and_not_a_mean_of_rates() -> None:
    # one hit in 0.1 km, none in 0.9 km: one per kilometre, not five
    scores = [[Score(metric="collisions_per_km", value=10.0, weight=0.1)], [Score(metric="collisions_per_km", value=0.0, weight=0.9)]]
    (row,) = score_rows(scores, policy="a", world="town")
    assert row.mean == pytest.approx(1.0) and row.num == 2


def test_invalid_scores_do_not_count_and_a_metric_without_any_has_no_row() -> None:
    scores = [
        [Score(metric="a", value=1.0), Score(metric="b", value=9.0, valid=False)],
        [Score(metric="a", value=99.0, valid=False), Score(metric="b", value=9.0, valid=False)],
    ]
    (row,) = score_rows(scores, policy="a", world="town")
    assert (row.metric, row.mean, row.low, row.high, row.num) == ("a", 1.0, 1.0, 1.0, 1)


def test_a_metric_that_is_not_finite_fails_and_names_itself() -> None:
    with pytest.raises(ValueError, match="metric a of sft in town is not finite"):
        score_rows([[Score(metric="a", value=float("nan"))]], policy="sft", world="town")


def test_pairing_sees_what_unpaired_intervals_cannot() -> None:
    hard = np.random.default_rng(1).normal(0, 10, 50)
    a, b = hard + 0.5, hard
    assert bootstrap(a)[1] < bootstrap(b)[2]  # they overlap
    assert paired_difference(a, b) == pytest.approx((0.5, 0.5, 0.5))


def test_resampling_groups_widens_the_interval_of_near_copies() -> None:
    groups = np.repeat(np.arange(8), 50)
    values = np.random.default_rng(2).normal(0, 1, 8)[groups]
    _, low, high = bootstrap(values, groups=groups.tolist())
    _, low_alone, high_alone = bootstrap(values)
    assert high - low > 4 * (high_alone - low_alone)


def test_paired_rows_refuse_different_scenarios() -> None:
    one = [[Score(metric="a", value=1.0)]]
    assert paired_rows(one, one, names=("x", "y"))[0]["mean"] == 0.0
    with pytest.raises(ValueError, match="pairs need the same ones"):
        paired_rows(one, one * 2, names=("x", "y"))

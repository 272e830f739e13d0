"""Intervals: what a bootstrap must give where the answer is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorworks.datatypes.score import Score
from motorworks.metrics.aggregate import bootstrap, mean_scores, paired_difference, paired_rows, score_rows
from motorworks.metrics.tables import ALL, per_odd_rows, per_scenario_rows


def rate(value: float, weight: float) -> Score:
    return Score(metric="collisions_per_km", value=value, weight=weight, is_rate=True)


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
@given(values=st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30), seed=st.integers(0, 100))
def test_intervals_contain_their_mean_and_repeat(values: list[float], seed: int) -> None:
    mean, low, high = bootstrap(np.array(values), seed=seed)
    assert low <= mean <= high and min(values) - 1e-9 <= low and high <= max(values) + 1e-9
    assert bootstrap(np.array(values), seed=seed) == (mean, low, high)


def test_a_rate_is_a_ratio_of_sums_and_not_a_mean_of_rates() -> None:
    # one hit in 0.1 km, none in 0.9 km: one per kilometre, not five
    (row,) = score_rows([[rate(10.0, 0.1)], [rate(0.0, 0.9)]], policy="a", world="town")
    assert row.mean == pytest.approx(1.0) and row.num == 2


def test_no_event_is_no_proof_of_none() -> None:
    # the exact Poisson limit: with that rate, 2.5 % of such drives would see no event
    (row,) = score_rows([[rate(0.0, 2.0)]] * 5, policy="a", world="town")
    assert (row.mean, row.low) == (0.0, 0.0) and np.exp(-row.high * 10.0) == pytest.approx(0.025)


def test_one_item_or_one_group_says_nothing_about_the_spread() -> None:
    assert bootstrap(np.array([3.0])) == (3.0, -np.inf, np.inf)
    assert bootstrap(np.array([1.0, 3.0]), groups=["a", "a"]) == (2.0, -np.inf, np.inf)
    assert bootstrap(np.array([1.0, 4.0]), weights=np.array([2.0, 1.0]), groups=["a", "a"])[0] == pytest.approx(2.0)


def test_invalid_scores_do_not_count_and_a_metric_without_any_has_no_row() -> None:
    scores = [
        [Score(metric="a", value=1.0), Score(metric="b", value=9.0, valid=False)],
        [Score(metric="a", value=99.0, valid=False), Score(metric="b", value=9.0, valid=False)],
    ]
    (row,) = score_rows(scores, policy="a", world="town")
    assert (row.metric, row.mean, row.low, row.high, row.num) == ("a", 1.0, -np.inf, np.inf, 1)


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


def test_pairs_leave_rates_out_whatever_their_weight() -> None:
    one = [[Score(metric="a", value=1.0), rate(1.0, 1.0)]] * 2
    assert [row["metric"] for row in paired_rows(one, one, names=("x", "y"))] == ["a"]


def drives(num: int = 12) -> list[list[Score]]:
    rng = np.random.default_rng(5)
    made = []
    for _ in range(num):
        km = float(rng.uniform(0.1, 0.4))
        hits = int(rng.random() < 0.3)
        made.append([Score(metric="driven_km", value=km), Score(metric="success_frac", value=float(1 - hits)), rate(hits / km, km)])
    return made


def test_tables_are_the_rows_of_their_group() -> None:
    scores = drives()
    kinds = ["traffic", "cut-in", "fog"] * 4
    rows = per_scenario_rows(scores, kinds, policy="p", world="town", metrics=("success_frac", "collisions_per_km"))
    assert [(row.group, row.metric) for row in rows[:2]] == [(ALL, "success_frac"), (ALL, "collisions_per_km")]
    assert sorted({row.group for row in rows[2:]}) == ["cut-in", "fog", "traffic"] and len(rows) == 8
    for row in rows:
        members = [of for of, kind in zip(scores, kinds, strict=True) if row.group in (ALL, kind)]
        (whole,) = [one for one in score_rows(members, policy="p", world="town") if one.metric == row.metric]
        assert (row.mean, row.low, row.high, row.num) == (whole.mean, whole.low, whole.high, whole.num)
        assert row.km == pytest.approx(sum(of[0].value for of in members))
    rates = [row for row in rows if row.metric == "collisions_per_km"]
    assert rates[0].mean * rates[0].km == pytest.approx(sum(row.mean * row.km for row in rates[1:]))  # counts add up


def test_a_drive_counts_under_each_of_its_tags() -> None:
    scores = drives(4)
    tags = [("night", "rain"), ("night",), (), ("rain",)]
    rows = {row.group: row for row in per_odd_rows(scores, tags, policy="p", world="town", metrics=("success_frac",))}
    assert {group: row.num for group, row in rows.items()} == {ALL: 4, "night": 2, "rain": 2}
    with pytest.raises(ValueError, match="4 rollouts were scored, 3 have labels"):
        per_odd_rows(scores, tags[:3], policy="p", world="town")


def test_runs_are_averaged_scenario_by_scenario_before_they_are_compared() -> None:
    def runs(*by_seed: tuple[float, ...]) -> list[list[list[Score]]]:
        return [[[Score(metric="driving_score", value=value)] for value in values] for values in by_seed]

    a, b = mean_scores(runs((1.0, 4.0), (3.0, 8.0))), mean_scores(runs((0.0, 4.0), (2.0, 6.0)))
    assert [score.value for (score,) in a] == [2.0, 6.0]
    (row,) = paired_rows(a, b, names=("a", "b"))
    assert row["mean"] == pytest.approx(1.0) and row["low"] == pytest.approx(1.0) == row["high"]  # a is 1 better in each
    (pooled,) = mean_scores([[[rate(10.0, 0.1)]], [[rate(0.0, 0.9)]]])[0]
    assert pooled.value == pytest.approx(1.0) and pooled.weight == pytest.approx(0.5)
    unsure = mean_scores([[[Score(metric="x", value=1.0)]], [[Score(metric="x", value=1.0, valid=False)]]])
    assert not unsure[0][0].valid
    with pytest.raises(ValueError, match="same ones"):
        mean_scores(runs((1.0,), (1.0, 2.0)))

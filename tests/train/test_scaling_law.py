"""The scaling law finds what was planted, says how sure it is, and refuses or doubts what it should."""

from functools import cache

import numpy as np
import pytest

from motorworks.train.frontier import Cost, back_test, best_params, doubts, failure_exponent, fit_cost, params_share, samples_share
from motorworks.train.scaling_law import CannotFit, Fit, Law, Runs, fit_law

PLANTED = Law(irreducible=0.5, params_factor=0.35 * 2e5**0.4, params_exponent=0.4, samples_factor=0.35 * 2e3**0.5, samples_exponent=0.5)
SIZES, AMOUNTS = np.geomspace(2e4, 1.2e6, 5), np.geomspace(500, 8000, 4)
LARGEST = (3e6, 16000.0)


def runs_of(law: Law, noise: float, seed: int, *, bend: float = 0.0) -> Runs:
    params, samples = (axis.ravel() for axis in np.meshgrid(SIZES, AMOUNTS, indexing="ij"))
    scatter = np.random.default_rng(seed).normal(size=len(params)) * noise
    off = bend * (np.log(params) - np.log(params).mean()) ** 2
    return Runs(params=params, samples=samples, loss=law.loss(params, samples) * np.exp(scatter + off))


@cache
def fitted(seed: int, noise: float = 0.004) -> Fit:
    return fit_law(runs_of(PLANTED, noise, seed), num_resamples=60, seed=seed)


def test_without_noise_the_five_numbers_come_back():
    fit = fit_law(runs_of(PLANTED, 0.0, 0), num_resamples=1)
    for name, value in vars(PLANTED).items():
        assert getattr(fit.law, name) == pytest.approx(value, rel=1e-3), name


def test_with_noise_they_lie_in_their_intervals():
    inside = []
    for seed in range(4):
        for name, planted in vars(PLANTED).items():
            at = fitted(seed).interval(lambda law, name=name: getattr(law, name))
            inside.append(at.low <= planted <= at.high)
            assert at.low <= at.value * 1.001 and at.high < 50 * planted
    assert np.mean(inside) >= 0.8  # 95 % of them, were there many


def test_a_forecast_holds_the_run_it_is_about():
    truth = float(PLANTED.loss(*LARGEST))
    for seed in range(4):
        told = fitted(seed).forecast(*LARGEST)
        assert told.low < truth < told.high
        assert told.value == pytest.approx(truth, rel=0.03)
        assert told.high - told.low < 0.1 * truth


def test_what_runs_of_one_amount_share_is_doubt_about_other_amounts():
    """Five runs that are 2 % off together are not five witnesses."""
    held, widths = [], []
    for seed in range(6):
        runs, shift = runs_of(PLANTED, 0.002, seed), np.random.default_rng(seed).normal(size=5) * 0.02
        off = shift[np.searchsorted(AMOUNTS, runs.samples * 0.999)]
        fit = fit_law(Runs(params=runs.params, samples=runs.samples, loss=runs.loss * np.exp(off)), num_resamples=60)
        told, truth = fit.forecast(*LARGEST), float(PLANTED.loss(*LARGEST)) * np.exp(shift[4])
        held.append(told.low <= truth <= told.high)
        widths.append((told.high - told.low) / truth)
    alone = [(told.high - told.low) / told.value for told in (fitted(seed, 0.002).forecast(*LARGEST) for seed in range(3))]
    assert sum(held) >= 4 and np.median(widths) > 3 * np.median(alone)


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (slice(0, 6), "7 runs, 3 sizes and 3 amounts are the least"),
        (slice(0, 8), "8 runs of 2 sizes"),
        (slice(0, 20, 2), "5 sizes and 2 amounts"),
    ],
)
def test_too_few_runs_are_refused(chosen, said):
    runs = runs_of(PLANTED, 0.0, 0)
    with pytest.raises(CannotFit, match=said):
        fit_law(runs.where(chosen))


def test_losses_that_tell_nothing_are_refused():
    runs = runs_of(PLANTED, 0.0, 0)
    with pytest.raises(CannotFit, match="nothing to fit"):
        fit_law(Runs(params=runs.params, samples=runs.samples, loss=np.ones(20)))
    with pytest.raises(CannotFit, match="loss must be finite and positive"):
        Runs(params=runs.params, samples=runs.samples, loss=np.full(20, np.nan))


def test_a_good_grid_raises_no_doubt_and_a_far_run_does():
    fit = fitted(1, 0.001)
    assert doubts(fit, params=LARGEST[0], samples=LARGEST[1]) == []
    [far] = doubts(fit, params=5 * SIZES[-1], samples=LARGEST[1])
    assert "5.0 times the most parameters of the grid" in far


def test_what_is_wrong_with_a_grid_is_said():
    few = fit_law(Runs(**_grid(3, 3)), num_resamples=20)
    assert any("9 runs of 3 sizes and 3 amounts of data are few" in doubt for doubt in doubts(few, params=1e6, samples=8000))
    no_size = Law(irreducible=0.5, params_factor=1e-9, params_exponent=0.4, samples_factor=0.35 * 2e3**0.5, samples_exponent=0.5)
    blind = fit_law(runs_of(no_size, 0.004, 0), num_resamples=30)
    assert any("alpha (size)" in doubt for doubt in doubts(blind, params=1e6, samples=8000))
    endless = Law(irreducible=1e-9, params_factor=PLANTED.params_factor, params_exponent=0.4, samples_factor=20.0, samples_exponent=0.5)
    assert any("at its bound, 0" in doubt for doubt in doubts(fit_law(runs_of(endless, 0.0, 0), num_resamples=5), params=1e6, samples=8000))
    late = runs_of(PLANTED, 0.002, 0)  # the most data does what less data gave no sign of
    late = Runs(params=late.params, samples=late.samples, loss=late.loss * np.where(late.samples == AMOUNTS[-1], 0.95, 1.0))
    told = [doubt for doubt in doubts(fit_law(late, num_resamples=5), params=1e6, samples=8000) if "without the most samples" in doubt]
    assert len(told) == 1 and back_test(fit_law(late, num_resamples=0))["samples"] == pytest.approx(1 / 0.95 - 1, abs=0.02)
    bent = fit_law(runs_of(PLANTED, 0.002, 0, bend=0.05), num_resamples=5)  # larger models do worse: no sum of falling powers bends so
    assert any("trend with size" in doubt for doubt in doubts(bent, params=1e6, samples=8000))


def _grid(sizes: int, amounts: int) -> dict[str, np.ndarray]:
    params, samples = (axis.ravel() for axis in np.meshgrid(SIZES[:sizes], AMOUNTS[:amounts], indexing="ij"))
    return {"params": params, "samples": samples, "loss": PLANTED.loss(params, samples)}


def test_the_best_size_is_where_brute_force_finds_it():
    cost = Cost(factor=300.0, exponent=0.9, passes=2)
    sizes = np.geomspace(1e3, 1e8, 20001)
    for flops in (1e11, 1e13):
        losses = PLANTED.loss(sizes, cost.affordable(flops, sizes))
        assert best_params(PLANTED, cost, flops) == pytest.approx(sizes[np.argmin(losses)], rel=2e-3)
        assert cost.flops(3e5, cost.affordable(flops, 3e5)) == pytest.approx(flops)
    slope = np.log(best_params(PLANTED, cost, 1e13) / best_params(PLANTED, cost, 1e11)) / np.log(100)
    assert params_share(PLANTED, cost) == pytest.approx(slope)
    assert cost.exponent * params_share(PLANTED, cost) + samples_share(PLANTED, cost) == pytest.approx(1)


def test_chinchillas_own_numbers_give_its_exponents():
    """Hoffmann et al. 2022, equation 10 and table 2: a 0.46 and b 0.54 by approach 3, from exponents that are printed with two digits."""
    chinchilla = Law(irreducible=1.69, params_factor=406.4, params_exponent=0.34, samples_factor=410.7, samples_exponent=0.28)
    six_n_d = Cost(factor=6.0, exponent=1.0, passes=1)
    assert params_share(chinchilla, six_n_d) == pytest.approx(0.46, abs=0.015)
    assert samples_share(chinchilla, six_n_d) == pytest.approx(0.54, abs=0.015)


def test_cost_and_failures_follow_the_powers_they_were_made_with():
    cost = fit_cost(SIZES, 400 * SIZES**0.93, passes=2)
    assert (cost.factor, cost.exponent) == (pytest.approx(400), pytest.approx(0.93))
    flops = np.geomspace(1e10, 1e13, 6)
    failures = (np.random.default_rng(0).random((6, 400)) < (flops[:, None] / 1e10) ** -0.2).astype(float)
    at = failure_exponent(flops, failures)
    assert at.low < -0.2 < at.high and at.high - at.low < 0.1
    assert np.isfinite(failure_exponent(flops, np.zeros((6, 5))).value)

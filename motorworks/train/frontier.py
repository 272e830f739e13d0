"""What a scaling law says about spending compute, and when it is not to be believed."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from motorworks.geometry.array import Array
from motorworks.train.scaling_law import MAX_EXPONENT, NUM_UNKNOWN, CannotFit, Fit, Interval, Law, Runs, fit_law

LEAST_RUNS, LEAST_SIZES, LEAST_AMOUNTS = 12, 4, 3
MOST_BEYOND = 4.0  # times the largest of the grid
WIDEST = 1.0  # width of an exponent's interval, as a share of the exponent
TREND_CHANCE = 0.01  # by which residuals without a trend would show one
MOST_MISSED_FRAC = 0.015  # of the loss of what was left out: half of what a forecast may be off


@dataclass(frozen=True, kw_only=True)
class Cost:
    """FLOP of a run: `factor * params**exponent` for each sample drawn, and how often each distinct one is drawn.

    A language model has the exponent 1; a small eye with a stem of convolutions costs less than proportionally more as it grows.
    """

    factor: float
    exponent: float
    passes: float

    def flops(self, params: Float[Array, "*run"] | float, samples: Float[Array, "*run"] | float) -> Float[Array, "*run"]:
        """Of whole runs."""
        return np.asarray(self.passes * self.factor * np.power(params, self.exponent) * samples)

    def affordable(self, flops: Float[Array, "*run"] | float, params: Float[Array, "*run"] | float) -> Float[Array, "*run"]:
        """Distinct samples that a budget buys a size."""
        return np.asarray(flops / (self.passes * self.factor * np.power(params, self.exponent)))


def fit_cost(params: Float[Array, " run"], flops_per_sample: Float[Array, " run"], *, passes: float) -> Cost:
    """Least squares of the logs."""
    exponent, log_factor = np.polyfit(np.log(params), np.log(flops_per_sample), 1)
    return Cost(factor=float(np.exp(log_factor)), exponent=float(exponent), passes=passes)


def best_params(law: Law, cost: Cost, flops: float) -> float:
    """The size of least loss for a budget, where dL/dN is 0 along C = passes k N^g D; from 1 to e^100 parameters."""
    ours, theirs = law.params_factor * law.params_exponent, law.samples_factor * law.samples_exponent * cost.exponent
    log_n = np.log(ours / theirs) + law.samples_exponent * np.log(flops / (cost.passes * cost.factor))
    return float(np.exp(np.clip(log_n / (law.params_exponent + cost.exponent * law.samples_exponent), 0, 100)))


def params_share(law: Law, cost: Cost) -> float:
    """a of N_opt ~ C^a."""
    return law.samples_exponent / (law.params_exponent + cost.exponent * law.samples_exponent)


def samples_share(law: Law, cost: Cost) -> float:
    """b of D_opt ~ C^b."""
    return 1 - cost.exponent * params_share(law, cost)


def doubts(fit: Fit, *, params: float, samples: float) -> list[str]:
    """Why a forecast for a run of this size and these samples is not to be trusted; empty where nothing speaks against it."""
    runs, found = fit.runs, []
    sizes, amounts = len(set(runs.params)), len(set(runs.samples))
    if len(runs) < LEAST_RUNS or sizes < LEAST_SIZES or amounts < LEAST_AMOUNTS:
        found.append(f"{len(runs)} runs of {sizes} sizes and {amounts} amounts of data are few: {NUM_UNKNOWN} numbers are fitted to them")
    exponents = {"alpha (size)": lambda law: law.params_exponent, "beta (data)": lambda law: law.samples_exponent}
    for name, of in exponents.items():
        at = fit.interval(of)
        if not 0.01 < at.value < 0.99 * MAX_EXPONENT:
            found.append(f"{name} is {at.value:.3g}, at a bound of what was tried")
        elif at.high - at.low > WIDEST * at.value:
            found.append(f"{name} may lie anywhere from {at.low:.2f} to {at.high:.2f}")
    if fit.law.irreducible < 1e-3 * runs.loss.min():
        found.append("the irreducible loss is at its bound, 0: the runs do not bend towards one yet")
    found += [f"residuals have a trend with {name} (p = {chance:.2g}): the law has the wrong shape there" for name, chance in _trends(fit)]
    for name, missed in back_test(fit).items():
        if abs(missed) > MOST_MISSED_FRAC:
            found.append(f"fitted without the most {name}, the law is {100 * missed:+.1f} % off those runs: loss does not follow it that far")
    moved = leaning(fit, params=params, samples=samples)
    if abs(moved) > MOST_MISSED_FRAC:
        found.append(f"without the runs of the least samples the forecast moves by {100 * moved:+.1f} %: loss follows another law there")
    for name, wanted, largest in (("parameters", params, runs.params.max()), ("samples", samples, runs.samples.max())):
        if wanted > MOST_BEYOND * largest:
            found.append(f"the forecast is for {wanted / largest:.1f} times the most {name} of the grid, more than {MOST_BEYOND:.0f}")
    return found


def back_test(fit: Fit) -> dict[str, float]:
    """How far off, on average, the law is for the runs of the most parameters, and of the most samples, when it is fitted to the others alone:
    a forecast whose outcome is known already. Positive: too high. Empty where the others are too few."""
    found = {}
    for name in ("params", "samples"):
        axis = getattr(fit.runs, name)
        known = axis < axis.max()
        try:
            others = fit_law(fit.runs.where(known), num_resamples=0).law
        except CannotFit:
            continue
        told = others.loss(fit.runs.params[~known], fit.runs.samples[~known])
        found["parameters" if name == "params" else name] = float(np.mean(told / fit.runs.loss[~known]) - 1)
    return found


def leaning(fit: Fit, *, params: float, samples: float) -> float:
    """By how much of itself the forecast falls or rises when the runs of the least samples are left out: below some amount of data loss has
    not begun to follow a power (the small data region of Hestness et al. 2017, arXiv 1712.00409). 0 where the others are too few."""
    try:
        others = fit_law(fit.runs.where(fit.runs.samples > fit.runs.samples.min()), num_resamples=0).law
    except CannotFit:
        return 0.0
    return float(others.loss(params, samples) / fit.law.loss(params, samples)) - 1


def seed_scatter(runs: Runs) -> float | None:
    """Spread of log loss between runs of one size and amount, their mean unknown; None where no two are alike."""
    cell = np.unique(np.stack([runs.params, runs.samples]), axis=1, return_inverse=True)[1].ravel()
    num, log_loss = np.bincount(cell), np.log(runs.loss)
    free = len(runs) - len(num)
    off = log_loss - (np.bincount(cell, log_loss) / num)[cell]
    return float(np.sqrt(np.square(off).sum() / free)) if free else None


def _trends(fit: Fit) -> list[tuple[str, float]]:
    """F tests of a parabola through the residuals against each axis. The level and, mostly, the slope were fitted away: a bend is what is left."""
    axes = {"size": np.log(fit.runs.params), "data": np.log(fit.runs.samples)}
    found = []
    for name, x in {**axes, "both": axes["size"] + axes["data"]}.items():
        x = (x - x.mean()) / x.std()
        left = fit.residuals - np.polyval(np.polyfit(x, fit.residuals, 2), x)
        before, after = np.square(fit.residuals - fit.residuals.mean()).sum(), np.square(left).sum()
        free = len(x) - NUM_UNKNOWN - 1
        if free > 0 and after > 0:
            chance = float(stats.f.sf((before - after) / (after / free), 1, free))
            if chance < TREND_CHANCE / 3:  # three axes are looked at
                found.append((name, chance))
    return found


def failure_exponent(flops: Float[Array, " run"], failures: Float[Array, "run scenario"], *, num_resamples: int = 1000, seed: int = 0) -> Interval:
    """Of the power law that mean failures follow over compute, by least squares of logs; the interval is over scenarios, which all runs share.

    A run without a failure counts as half a failure in all its scenarios: its log would be infinite.
    """
    num = failures.shape[1]

    def exponent(mean: Float[Array, " run"]) -> float:
        return float(np.polyfit(np.log(flops), np.log(np.maximum(mean, 0.5 / num)), 1)[0])

    drawn = np.random.default_rng(seed).integers(num, size=(num_resamples, num))
    low, high = np.quantile([exponent(failures[:, rows].mean(axis=1)) for rows in drawn], (0.025, 0.975))
    return Interval(value=exponent(failures.mean(axis=1)), low=float(low), high=float(high))

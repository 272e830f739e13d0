"""The scaling law L(N, D) = E + A / N^alpha + B / D^beta of Hoffmann et al. 2022 (arXiv 2203.15556, approach 3), with intervals and doubts.

N parameters, D distinct samples, L held-out loss. The fit minimises the Huber loss of log L from many starts. The delta of the paper, 1e-3, suits
its four hundred runs; for a dozen small runs, which scatter by per cents, it would be the absolute error and pass through five of them exactly.

Intervals resample residuals and not runs: a grid is a design, and a draw of it with repeats may lose a whole size. Runs of one amount of data
see the same recordings, so what these have in common with the held-out ones moves all their losses together: that part of the residuals is drawn
once an amount, the rest once a run.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import least_squares, nnls

from motorworks.geometry.array import Array

HUBER_DELTA = 1e-2  # of log loss
MIN_EXPONENT, MAX_EXPONENT = 1e-3, 2.0
NUM_UNKNOWN = 5
_TAIL = 0.025  # on either side of a 95 % interval
_TRIED = (0.05, 0.15, 0.3, 0.5, 0.8, 1.2, 1.8)  # exponents of the starts
_LOWEST = -12.0  # log of a term's share of the least loss that stands for nothing


class CannotFit(ValueError):
    """Runs that no law can be fitted to; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Runs:
    """One entry a run: parameters, distinct samples, held-out loss."""

    params: Float[Array, " run"]
    samples: Float[Array, " run"]
    loss: Float[Array, " run"]

    def __post_init__(self) -> None:
        for name in ("params", "samples", "loss"):
            value = np.asarray(getattr(self, name), np.float64)
            object.__setattr__(self, name, value)
            if value.shape != np.shape(self.params) or value.ndim != 1:
                raise CannotFit(f"{name} has shape {value.shape}: one number a run")
            if not np.isfinite(value).all() or (value <= 0).any():
                raise CannotFit(f"{name} must be finite and positive, got {value[~(np.isfinite(value) & (value > 0))]}")

    def __len__(self) -> int:
        return len(self.loss)

    def where(self, kept: Bool[Array, " run"]) -> "Runs":
        """Some of them."""
        return Runs(params=self.params[kept], samples=self.samples[kept], loss=self.loss[kept])


@dataclass(frozen=True, kw_only=True)
class Law:
    """The five numbers."""

    irreducible: float  # E
    params_factor: float  # A
    params_exponent: float  # alpha
    samples_factor: float  # B
    samples_exponent: float  # beta

    def loss(self, params: Float[Array, "*run"] | float, samples: Float[Array, "*run"] | float) -> Float[Array, "*run"]:
        """L(N, D)."""
        by_params = self.params_factor * np.power(params, -self.params_exponent)
        return np.asarray(self.irreducible + by_params + self.samples_factor * np.power(samples, -self.samples_exponent))


@dataclass(frozen=True, kw_only=True)
class Interval:
    """An estimate and where 95 % of the resampled ones lie."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A law, the laws of resampled residuals, and what is left: log of measured less log of fitted loss."""

    runs: Runs
    law: Law
    resampled: tuple[Law, ...]
    residuals: Float[Array, " run"]

    def interval(self, of: Callable[[Law], float]) -> Interval:
        """Of anything that follows from a law."""
        low, high = np.quantile([of(law) for law in self.resampled], (_TAIL, 1 - _TAIL))
        return Interval(value=of(self.law), low=float(low), high=float(high))

    def forecast(self, params: float, samples: float, *, seed: int = 0) -> Interval:
        """The loss of one run on an amount of data that is not among them: doubt about the law and scatter together."""
        generator = np.random.default_rng(seed)
        of_amounts, of_runs = _scatter(self.residuals, self.runs.samples)
        noise = generator.choice(of_amounts, len(self.resampled)) + generator.choice(of_runs, len(self.resampled))
        values = np.array([float(law.loss(params, samples)) for law in self.resampled]) * np.exp(noise)
        low, high = np.quantile(values, (_TAIL, 1 - _TAIL))
        return Interval(value=float(self.law.loss(params, samples)), low=float(low), high=float(high))


def fit_law(runs: Runs, *, num_resamples: int = 300, huber_delta: float = HUBER_DELTA, seed: int = 0) -> Fit:
    """Raises CannotFit for fewer than seven runs, three sizes or three amounts of data, and for losses that are all the same."""
    sizes, amounts = len(set(runs.params)), len(set(runs.samples))
    if len(runs) < NUM_UNKNOWN + 2 or sizes < 3 or amounts < 3:
        raise CannotFit(f"{len(runs)} runs of {sizes} sizes and {amounts} amounts of data: 7 runs, 3 sizes and 3 amounts are the least")
    if np.ptp(np.log(runs.loss)) < 1e-6:
        raise CannotFit(f"every run has the loss {runs.loss[0]:.6g}: there is nothing to fit")
    best = _best(runs, runs.loss, huber_delta, num_refined=8)
    law = _law(best, runs)
    residuals = np.log(runs.loss) - np.log(law.loss(runs.params, runs.samples))
    generator, (of_amounts, of_runs), resampled = np.random.default_rng(seed), _scatter(residuals, runs.samples), []
    amount = np.unique(runs.samples, return_inverse=True)[1]
    for _ in range(num_resamples):
        noise = generator.choice(of_amounts, amounts)[amount] + generator.choice(of_runs, len(runs))
        loss = law.loss(runs.params, runs.samples) * np.exp(noise)
        resampled.append(_law(_best(runs, loss, huber_delta, num_refined=1, start=best), runs))
    return Fit(runs=runs, law=law, resampled=tuple(resampled), residuals=residuals)


def _scatter(residuals: Float[Array, " run"], samples: Float[Array, " run"]) -> tuple[Float[Array, " amount"], Float[Array, " run"]]:
    """What runs of one amount share, and what each has of its own; each as large as it would be had the law not been fitted to it: three of the
    five numbers bend to the amounts, and the means of the amounts are taken off the rest."""
    names, amount = np.unique(samples, return_inverse=True)
    shared = np.bincount(amount, residuals) / np.bincount(amount)
    own = residuals - shared[amount]
    free = max(1, len(residuals) - len(names) - 2)
    return (shared - shared.mean()) * math.sqrt(len(names) / max(1, len(names) - 3)), own * math.sqrt(len(residuals) / free)


def _best(
    runs: Runs, loss: Float[Array, " run"], huber_delta: float, *, num_refined: int, start: Float[Array, " 5"] | None = None
) -> Float[Array, " 5"]:
    """(log E, log A', alpha, log B', beta) with the factors as they are amid the grid: their logs and the exponents are then hardly tied."""
    log_n, log_d, log_l = _centred(runs.params), _centred(runs.samples), np.log(loss)
    floor = float(log_l.min()) + _LOWEST
    low = np.array([floor, floor, MIN_EXPONENT, floor, MIN_EXPONENT])
    high = np.array([log_l.min(), log_l.max() + 3, MAX_EXPONENT, log_l.max() + 3, MAX_EXPONENT])

    def off(theta: Float[Array, " 5"]) -> Float[Array, " run"]:
        return np.logaddexp(np.logaddexp(theta[0], theta[1] - theta[2] * log_n), theta[3] - theta[4] * log_d) - log_l

    def slope(theta: Float[Array, " 5"]) -> Float[Array, "run 5"]:
        total = off(theta) + log_l
        e, a, b = np.exp(theta[0] - total), np.exp(theta[1] - theta[2] * log_n - total), np.exp(theta[3] - theta[4] * log_d - total)
        return np.stack([e, a, -a * log_n, b, -b * log_d], axis=1)

    starts = []
    for alpha in _TRIED:
        for beta in _TRIED:  # with the exponents given, the rest is linear
            terms = np.stack([np.ones_like(log_n), np.exp(-alpha * log_n), np.exp(-beta * log_d)], axis=1) / loss[:, None]
            factors, error = nnls(terms, np.ones(len(loss)))
            e, a, b = np.log(np.maximum(factors, math.exp(floor)))
            starts.append((error, np.array([e, a, alpha, b, beta])))
    chosen = [theta for _, theta in sorted(starts, key=lambda one: one[0])[:num_refined]] + ([] if start is None else [start])
    done = [
        least_squares(off, np.clip(theta, low + 1e-9, high - 1e-9), jac=slope, bounds=(low, high), loss="huber", f_scale=huber_delta, x_scale="jac")
        for theta in chosen
    ]
    return min(done, key=lambda one: one.cost).x


def _law(theta: Float[Array, " 5"], runs: Runs) -> Law:
    e, a, alpha, b, beta = map(float, theta)
    return Law(
        irreducible=math.exp(e),
        params_factor=math.exp(a + alpha * float(np.log(runs.params).mean())),
        params_exponent=alpha,
        samples_factor=math.exp(b + beta * float(np.log(runs.samples).mean())),
        samples_exponent=beta,
    )


def _centred(values: Float[Array, " run"]) -> Float[Array, " run"]:
    return np.log(values) - np.log(values).mean()

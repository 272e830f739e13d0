"""From scores per scenario to rows with intervals: seeded percentile bootstrap over scenarios (or over blocks of them).

With fewer than about ten scenarios a percentile interval is too narrow: read it as a lower bound on the doubt. One item (or one group) says
nothing about the spread: its interval is (-inf, inf). Items that are all equal give an interval of no width: read it with `num`. A rate
without any event has no spread either: its upper end is the exact Poisson limit, 3.69 events over all that was driven.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from motorworks.datatypes.score import Score, ScoreRow
from motorworks.geometry.array import Array
from motorworks.metrics import thresholds


def bootstrap(
    values: Float[Array, " item"],
    *,
    weights: Float[Array, " item"] | None = None,
    groups: Sequence[Hashable] | None = None,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Weighted mean, and its 95 % interval over resampled items, or over resampled groups (clips of one recording) where given.

    A single item or group: (mean, -inf, inf).
    """
    values = np.asarray(values, np.float64)
    if len(values) == 0:
        raise ValueError("bootstrap needs at least one value")
    weights = np.ones(len(values)) if weights is None else np.asarray(weights, np.float64)
    index = np.arange(len(values)) if groups is None else np.unique(np.array([str(group) for group in groups]), return_inverse=True)[1]
    top, bottom = np.bincount(index, weights * values), np.bincount(index, weights)
    if len(top) == 1:
        return float(top[0] / bottom[0]), -np.inf, np.inf
    # how often each block is drawn, in place of drawing: resamples x blocks counts, one matrix product
    counts = np.random.default_rng(seed).multinomial(len(top), np.full(len(top), 1 / len(top)), size=thresholds.NUM_RESAMPLES)
    totals = counts @ bottom
    means = (counts @ top)[totals > 0] / totals[totals > 0]
    low, high = np.quantile(means, [(1 - thresholds.CONFIDENCE_FRAC) / 2, (1 + thresholds.CONFIDENCE_FRAC) / 2])
    mean = float(top.sum() / bottom.sum())
    return mean, min(float(low), mean), max(float(high), mean)


def score_rows(scores: Sequence[Sequence[Score]], *, policy: str, world: str, seed: int = 0) -> list[ScoreRow]:
    """One row per metric from `scores[scenario]`. A metric valid in no scenario has no row."""
    by_metric: dict[str, list[Score]] = {}
    for of_scenario in scores:
        for score in of_scenario:
            by_metric.setdefault(score.metric, [])
            if score.valid and score.weight > 0:
                by_metric[score.metric].append(score)
    rows = []
    for metric, valid in by_metric.items():
        if not valid:
            continue
        values, weights = np.array([score.value for score in valid]), np.array([score.weight for score in valid])
        if not np.isfinite(values).all():
            raise ValueError(f"metric {metric} of {policy} in {world} is not finite: {values[~np.isfinite(values)]}")
        mean, low, high = bootstrap(values, weights=weights, seed=seed)
        if valid[0].is_rate and not values.any():
            low, high = 0.0, -math.log((1 - thresholds.CONFIDENCE_FRAC) / 2) / float(weights.sum())
        rows.append(ScoreRow(policy=policy, world=world, metric=metric, mean=mean, low=low, high=high, num=len(valid)))
    return rows


def paired_difference(
    a: Float[Array, " item"], b: Float[Array, " item"], *, groups: Sequence[Hashable] | None = None, seed: int = 0
) -> tuple[float, float, float]:
    """Mean of a - b over the same scenarios in the same order, with its 95 % interval."""
    if len(a) != len(b):
        raise ValueError(f"a paired difference needs the same scenarios: {len(a)} against {len(b)}")
    return bootstrap(np.asarray(a, np.float64) - np.asarray(b, np.float64), groups=groups, seed=seed)


def paired_rows(a: Sequence[Sequence[Score]], b: Sequence[Sequence[Score]], *, names: tuple[str, str], seed: int = 0) -> list[Mapping[str, object]]:
    """Lines of paired.json: a, b, metric, mean, low, high, num; only scenarios in which both are valid. Rates are left out."""
    if len(a) != len(b):
        raise ValueError(f"{names[0]} drove {len(a)} scenarios, {names[1]} drove {len(b)}: pairs need the same ones")
    rows: list[Mapping[str, object]] = []
    for metric in dict.fromkeys(score.metric for of_scenario in a for score in of_scenario):
        pairs = [(_find(ours, metric), _find(theirs, metric)) for ours, theirs in zip(a, b, strict=True)]
        both = [(x.value, y.value) for x, y in pairs if x and y and x.valid and y.valid and not x.is_rate]
        if both:
            first, second = np.array(both).T
            mean, low, high = paired_difference(first, second, seed=seed)
            rows.append({"a": names[0], "b": names[1], "metric": metric, "mean": mean, "low": low, "high": high, "num": len(both)})
    return rows


def mean_scores(runs: Sequence[Sequence[Sequence[Score]]]) -> list[list[Score]]:
    """Of several runs over the same scenarios, `runs[run][scenario]`: the mean of each metric in each scenario, valid where it is in all."""
    if len({len(run) for run in runs}) != 1:
        raise ValueError(f"runs over {[len(run) for run in runs]} scenarios: a mean needs one run or more, over the same ones")
    means = []
    for of_scenario in zip(*runs, strict=True):
        found = [(score, [_find(other, score.metric) for other in of_scenario]) for score in of_scenario[0]]
        means.append([_mean_score(score, [other for other in others if other is not None], len(runs)) for score, others in found])
    return means


def _mean_score(first: Score, scores: Sequence[Score], num: int) -> Score:
    """Rates weigh by their distance, so that events and distances are summed."""
    weight = sum(score.weight for score in scores)
    total = sum(score.value * (score.weight if first.is_rate else weight / len(scores)) for score in scores)
    valid = len(scores) == num and all(score.valid for score in scores)
    return replace(first, value=total / weight if weight > 0 else first.value, weight=weight / num, valid=valid)


def _find(scores: Sequence[Score], metric: str) -> Score | None:
    return next((score for score in scores if score.metric == metric), None)

"""A score: one metric of one rollout, with its validity; a score row: many of them, with an interval."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Score:
    """A value, or a statement that it does not apply here (`valid` false); never averaged inside."""

    metric: str
    value: float
    valid: bool = True
    weight: float = 1.0  # of the mean: kilometres for a rate per kilometre, so that a row is a ratio of sums


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """A line of scores.json: mean over `num` scenarios with a 95 % bootstrap interval."""

    policy: str
    world: str
    metric: str
    mean: float
    low: float
    high: float
    num: int

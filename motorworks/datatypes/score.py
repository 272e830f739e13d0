"""A score: one metric of one rollout, with its validity; values per step it was made of; and rows: many scores, with an interval."""

from dataclasses import dataclass

from jaxtyping import Bool, Float

from motorworks.geometry.array import Array


@dataclass(frozen=True, kw_only=True)
class StepValues:
    """A metric at each step, or at each step and agent; nothing is averaged. An entry says something where `valid` only."""

    metric: str
    values: Float[Array, "time *agent"]
    valid: Bool[Array, "time *agent"]

    def __post_init__(self) -> None:
        if self.values.shape != self.valid.shape:
            raise ValueError(f"{self.metric}: values are {self.values.shape}, valid is {self.valid.shape}: give one flag per value")


@dataclass(frozen=True, kw_only=True)
class Score:
    """A value, or a statement that it does not apply here (`valid` false); never averaged inside."""

    metric: str
    value: float
    valid: bool = True
    weight: float = 1.0  # of the mean
    is_rate: bool = False  # events per distance: value times weight is a count, so that a row is a ratio of sums


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


@dataclass(frozen=True, kw_only=True)
class GroupRow(ScoreRow):
    """A line of a table by group: one scenario kind, or one tag of the operational design domain."""

    group: str
    km: float  # driven by the group's rollouts

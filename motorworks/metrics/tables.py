"""Tables by group: the same rows as for a whole evaluation, for each scenario kind and each tag of the operational design domain."""

from collections.abc import Sequence

from motorworks.datatypes.score import GroupRow, Score
from motorworks.metrics.aggregate import score_rows

ALL = "all"  # the group of every rollout, first in each table


def per_scenario_rows(
    scores: Sequence[Sequence[Score]], kinds: Sequence[str], *, policy: str, world: str, metrics: Sequence[str] | None = None, seed: int = 0
) -> list[GroupRow]:
    """Rows by scenario kind from `scores[rollout]` and `kinds[rollout]` (`rollout.scenario.kind`); `metrics`: only these."""
    return per_odd_rows(scores, [(kind,) for kind in kinds], policy=policy, world=world, metrics=metrics, seed=seed)


def per_odd_rows(
    scores: Sequence[Sequence[Score]],
    tags: Sequence[Sequence[str]],
    *,
    policy: str,
    world: str,
    metrics: Sequence[str] | None = None,
    seed: int = 0,
) -> list[GroupRow]:
    """Rows by tag from `scores[rollout]` and `tags[rollout]` (`rollout.tags`); a rollout counts in each of its groups, and once in `all`."""
    if len(scores) != len(tags):
        raise ValueError(f"{policy}: {len(scores)} rollouts were scored, {len(tags)} have labels: give one per rollout, in the same order")
    kept = scores if metrics is None else [[score for score in of if score.metric in metrics] for of in scores]
    driven = [sum(score.value for score in of if score.metric == "driven_km") for of in scores]
    names = sorted({tag for of in tags for tag in of})
    rows = []
    for group, members in [(ALL, range(len(tags))), *((name, [i for i, of in enumerate(tags) if name in of]) for name in names)]:
        km = float(sum(driven[i] for i in members))
        for row in score_rows([kept[i] for i in members], policy=policy, world=world, seed=seed):
            rows.append(GroupRow(**vars(row), group=group, km=km))
    return rows

"""Do labellers agree? Two label sets over the same steps; whether words fit the motion is another question (`metrics/agreement.py`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from motorworks.curate.labellers import LabelSet
from motorworks.datatypes.thought import DECISIONS
from motorworks.geometry.array import Array

_RESAMPLES, _MIN_CLIPS = 1000, 2


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Two labellers on the steps that both have seen. NaN where nothing can be said."""

    labellers: tuple[str, str]
    num_clips: int
    num_steps: int
    num_both: int  # steps that both labelled
    coverage_frac: tuple[float, float]  # share of the steps each labelled
    same_frac: float  # of the steps both labelled: the same decision
    same_cause_frac: float  # of those with the same decision: the same cause
    kappa: float  # Cohen's, of decisions: 0 is what chance would give, 1 is perfect
    kappa_range: tuple[float, float]  # 95 %, bootstrap over clips, since the steps of one clip hang together; NaN for one clip
    confusion: Int64[Array, "decision decision"]  # rows: the first; in the order of DECISIONS
    by_decision: Mapping[str, float]  # 2 both / (first + second): agreement on this word, where either used it


def compare(first: Sequence[LabelSet], second: Sequence[LabelSet], *, seed: int = 0) -> Agreement:
    """Two labellers on the clips that both have seen; the rest of the clips is left out."""
    ones, others = _by_clip(first), _by_clip(second)
    pairs = [(labels, others[clip_id]) for clip_id, labels in ones.items() if clip_id in others]
    for one, other in pairs:
        if len(one.thoughts) != len(other.thoughts):
            raise ValueError(
                f"clip {one.clip_id}: {one.labeller} labelled {len(one.thoughts)} steps, {other.labeller} {len(other.thoughts)}; label it again"
            )
    tables = np.array([_confusion(one, other) for one, other in pairs]).reshape(-1, len(DECISIONS), len(DECISIONS))
    total = tables.sum(axis=0)
    steps, both = sum(len(one.thoughts) for one, _ in pairs), int(total.sum())
    same = [(a, b) for one, other in pairs for a, b in zip(one.thoughts, other.thoughts, strict=True) if a and b and a.decision == b.decision]
    used = total.sum(axis=0) + total.sum(axis=1)
    return Agreement(
        labellers=(first[0].labeller if first else "", second[0].labeller if second else ""),
        num_clips=len(pairs),
        num_steps=steps,
        num_both=both,
        coverage_frac=(_share(sum(one.num_labelled for one, _ in pairs), steps), _share(sum(other.num_labelled for _, other in pairs), steps)),
        same_frac=_share(int(np.trace(total)), both),
        same_cause_frac=_share(sum(a.cause == b.cause for a, b in same), len(same)),
        kappa=float(kappa(total)),
        kappa_range=_bootstrap(tables, seed),
        confusion=total,
        by_decision={word: 2 * float(total[code, code]) / float(used[code]) for code, word in enumerate(DECISIONS) if used[code]},
    )


def kappa(confusion: Int64[Array, "*batch decision decision"]) -> Float[Array, "*batch"]:
    """Cohen (1960): (observed - expected) / (1 - expected); NaN without steps, and where both say one and the same word throughout."""
    table = np.asarray(confusion, np.float64)
    total = table.sum(axis=(-2, -1))
    with np.errstate(divide="ignore", invalid="ignore"):
        observed = np.trace(table, axis1=-2, axis2=-1) / total
        expected = (table.sum(axis=-1) * table.sum(axis=-2)).sum(axis=-1) / total**2
        return np.where(expected < 1.0, (observed - expected) / (1.0 - expected), np.nan)


def _by_clip(labels: Sequence[LabelSet]) -> dict[str, LabelSet]:
    found = {one.clip_id: one for one in labels}
    if len(found) < len(labels):
        twice = next(one for one in labels if found[one.clip_id] is not one)
        raise ValueError(f"clip {twice.clip_id} has two label sets of {twice.labeller}: give one labeller and version at a time")
    return found


def _confusion(one: LabelSet, other: LabelSet) -> Int64[Array, "decision decision"]:
    table = np.zeros((len(DECISIONS), len(DECISIONS)), np.int64)
    for a, b in zip(one.thoughts, other.thoughts, strict=True):
        if a is not None and b is not None:
            table[_CODE[a.decision], _CODE[b.decision]] += 1
    return table


def _bootstrap(tables: Int64[Array, "clip decision decision"], seed: int) -> tuple[float, float]:
    if len(tables) < _MIN_CLIPS:
        return float("nan"), float("nan")
    drawn = np.random.default_rng(seed).multinomial(len(tables), np.full(len(tables), 1 / len(tables)), size=_RESAMPLES)
    values = kappa(np.tensordot(drawn, tables, axes=1))
    values = values[np.isfinite(values)]
    return (float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975))) if len(values) else (float("nan"), float("nan"))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


_CODE = {word: code for code, word in enumerate(DECISIONS)}

"""How what came surprised a model that foresees: what `mine` finds moments by, and `curate` weighs steps and knows clips by."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from motorworks.factory.artifact import Artifact

if TYPE_CHECKING:
    from motorworks.datatypes.clip import Clip
    from motorworks.geometry.array import Array


def surprises(model: Artifact, clips: "Iterable[Clip]", *, threads: int | None = None) -> "list[Array]":
    """The world head's error at every step of each clip; NaN where nothing was expected yet (train.evaluate)."""
    from motorworks.train.checkpoint import load
    from motorworks.train.evaluate import surprise

    foresees, _ = load(model.path / "model.safetensors")
    return [surprise(foresees, clip, threads=threads) for clip in clips]


def mean_known(values: "Array") -> float | None:
    """Of one clip; None where no step is known."""
    known = values[values == values]  # no NaN
    return float(known.mean()) if len(known) else None

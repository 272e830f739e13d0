"""What training draws: every step weighs by how hard it was driven and how it surprised, and each tag gets at least its quota.

Shares are reached by raking, scaling one tag after the other until all hold (iterative proportional fitting, Deming and Stephan 1940), within a
bound on how often one step may be drawn against another. A quota that the bound or the clips do not allow is told, not forced.
A recipe holds the config, so tags and SciPy are imported where they are used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from motorworks.datatypes.clip import Clip
from motorworks.geometry.array import Array

Steps = Sequence[Float[Array, " time"]]  # one a clip
_ROUNDS, _NEAR = 200, 0.995  # of a quota counts as reached


@dataclass(frozen=True, kw_only=True)
class MixtureConfig:
    """Nothing said, nothing changed. A gain of 1 draws the hardest, or the most surprising, step twice as often as the calmest."""

    quotas: tuple[tuple[str, float], ...] = ()  # a name in tags.TAGS and the least share of all that is drawn
    accel_gain: float = 0.0
    full_accel_mps2: float = 3.0  # of speed and course together; what is harder counts as this
    surprise_gain: float = 0.0
    max_ratio: float = 16.0  # of the largest weight over the smallest

    def __post_init__(self) -> None:
        names = [name for name, _ in self.quotas]
        if names:
            from motorworks.curate.tags import TAGS

            if unknown := sorted(set(names) - set(TAGS)):
                raise ValueError(f"quotas name {unknown[0]!r}, which is no tag: there are {', '.join(TAGS)}")
        if len(set(names)) != len(names) or any(not 0 < share < 1 for _, share in self.quotas):
            raise ValueError(f"quotas need each tag once, with a share between 0 and 1: {self.quotas}")
        if min(self.accel_gain, self.surprise_gain) < 0 or self.full_accel_mps2 <= 0 or self.max_ratio < 1:
            raise ValueError(f"gains must not be negative, full_accel_mps2 must be positive, max_ratio at least 1: {self}")

    @property
    def changes(self) -> bool:
        """Whether it asks for anything."""
        return bool(self.quotas or self.accel_gain or self.surprise_gain)


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """A weight per step of each clip, mean 1 over all; the share of each quota's tag before and after; quotas that could not be reached."""

    weights: list[Float[Array, " time"]]
    before: Mapping[str, float]
    after: Mapping[str, float]
    unmet: tuple[str, ...]


def mix(clips: Sequence[Clip], base: Steps, config: MixtureConfig, surprise: Steps | None = None) -> Mixture:
    """Of clips and the weights that balancing gave them. `surprise` is NaN where not known; such steps weigh as the average one."""
    lengths = [len(clip.timestamp_us) for clip in clips]
    weight = np.concatenate([np.asarray(one, np.float64) for one in base]) if clips else np.zeros(0)
    masks = _masks(clips, [name for name, _ in config.quotas])
    before = _shares(weight, masks)
    if config.accel_gain:
        weight = weight * _about_one(np.concatenate([_hardness(clip, config.full_accel_mps2) for clip in clips]), config.accel_gain)
    if config.surprise_gain and surprise is not None:
        weight = weight * _about_one(_rank(np.concatenate(list(surprise))), config.surprise_gain)
    weight = _rake(weight, masks, dict(config.quotas), config.max_ratio)
    after = _shares(weight, masks)
    weight = weight / weight.mean() if len(weight) else weight
    parts = np.split(weight.astype(np.float32), np.cumsum(lengths)[:-1]) if clips else []
    return Mixture(weights=parts, before=before, after=after, unmet=tuple(name for name, share in config.quotas if after[name] < _NEAR * share))


def _masks(clips: Sequence[Clip], names: Sequence[str]) -> dict[str, Bool[Array, " step"]]:
    from motorworks.curate.evidence import look_at
    from motorworks.curate.tags import TAGS, tag_spans

    masks = {name: [np.zeros(len(clip.timestamp_us), bool) for clip in clips] for name in names}
    for number, clip in enumerate(clips if names else ()):
        for span in tag_spans(look_at(clip), {name: TAGS[name] for name in names}):
            masks[span.tag][number][span.start : span.stop] = True
    return {name: np.concatenate(parts) if parts else np.zeros(0, bool) for name, parts in masks.items()}


def _shares(weight: Float[Array, " step"], masks: Mapping[str, Bool[Array, " step"]]) -> dict[str, float]:
    total = weight.sum()
    return {name: float(weight[mask].sum() / total) if total else 0.0 for name, mask in masks.items()}


def _hardness(clip: Clip, full_mps2: float) -> Float[Array, " time"]:
    """0 .. 1; NaN without motion."""
    if clip.motion is None:
        return np.full(len(clip.timestamp_us), np.nan)
    speed = np.asarray(clip.motion.speed_mps, np.float64)
    return np.minimum(np.hypot(clip.motion.accel_mps2, speed**2 * clip.motion.curvature_per_m) / full_mps2, 1.0)


def _rank(values: Float[Array, " step"]) -> Float[Array, " step"]:
    """0 for the least, 1 for the most; NaN stays."""
    from scipy.stats import rankdata

    ranks = np.full(len(values), np.nan)
    known = np.isfinite(values)
    if known.sum() > 1:
        ranks[known] = (rankdata(values[known]) - 1) / (known.sum() - 1)
    return ranks


def _about_one(values: Float[Array, " step"], gain: float) -> Float[Array, " step"]:
    """Factors 1 + gain × value; the mean of the known ones where it is not known."""
    factors = 1 + gain * values
    known = np.isfinite(factors)
    return np.where(known, factors, factors[known].mean() if known.any() else 1.0)


def _rake(
    weight: Float[Array, " step"], masks: Mapping[str, Bool[Array, " step"]], quotas: Mapping[str, float], max_ratio: float
) -> Float[Array, " step"]:
    for _ in range(_ROUNDS if quotas else 0):
        moved = False
        for name, least in quotas.items():
            share = _shares(weight, {name: masks[name]})[name]
            if 0 < share < least * (1 - 1e-6):
                weight = np.where(masks[name], weight * least * (1 - share) / (share * (1 - least)), weight)
                moved = True
        top = weight.max() if len(weight) else 0.0
        bounded = np.maximum(weight, top / max_ratio)
        if not moved and (bounded == weight).all():
            break
        weight = bounded
    return np.maximum(weight, weight.max() / max_ratio) if len(weight) else weight

"""Driving is mostly straight on: weights that show turns, stops and reversing more often, within bounds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from motorworks.datatypes.clip import Clip, Motion
from motorworks.datatypes.trajectory import DT_S
from motorworks.geometry.array import Array

BINS = ("straight", "left", "right", "stop", "reverse", "unknown")


@dataclass(frozen=True, kw_only=True)
class BalanceConfig:
    """Target share of each bin that occurs (they are scaled to sum to 1), and how far a weight may go."""

    share: tuple[tuple[str, float], ...] = (("straight", 0.4), ("left", 0.2), ("right", 0.2), ("stop", 0.12), ("reverse", 0.08))
    max_ratio: float = 8.0  # largest over smallest weight
    look_ahead_s: float = 2.0
    turn_rad: float = 0.12  # of heading over the look ahead
    stop_mps: float = 0.1

    def __post_init__(self) -> None:
        names = [name for name, _ in self.share]
        if sorted(names) != sorted(set(BINS) - {"unknown"}) or any(share < 0 for _, share in self.share) or self.max_ratio < 1:
            raise ValueError(f"share needs each of {BINS[:-1]} once, none negative, and max_ratio >= 1: {self}")


def bin_motion(motion: Motion, config: BalanceConfig = BalanceConfig()) -> Int64[Array, " time"]:
    """Index into BINS of what the driver does from each step on."""
    look = round(config.look_ahead_s / DT_S)
    speed = np.asarray(motion.speed_mps, np.float64)
    yaw = np.unwrap(np.asarray(motion.poses_world)[:, 2])
    later = np.minimum(np.arange(len(speed)) + look, len(speed) - 1)
    turn = yaw[later] - yaw
    bins = np.full(len(speed), BINS.index("straight"), np.int64)
    bins[turn > config.turn_rad] = BINS.index("left")
    bins[turn < -config.turn_rad] = BINS.index("right")
    bins[np.minimum(np.abs(speed), np.abs(speed[later])) < config.stop_mps] = BINS.index("stop")
    bins[np.minimum(speed, speed[later]) < -config.stop_mps] = BINS.index("reverse")
    return bins


def bin_clip(clip: Clip, config: BalanceConfig = BalanceConfig()) -> Int64[Array, " time"]:
    """As `bin_motion`; all unknown where there is no motion."""
    return np.full(len(clip.timestamp_us), BINS.index("unknown"), np.int64) if clip.motion is None else bin_motion(clip.motion, config)


def count_bins(
    clips: Sequence[Clip], weights: Sequence[Float[Array, " time"]] | None = None, config: BalanceConfig = BalanceConfig()
) -> dict[str, float]:
    """Share of each bin in BINS, as it is or as weighted: the before and after of balancing."""
    total = np.zeros(len(BINS))
    for number, clip in enumerate(clips):
        total += np.bincount(bin_clip(clip, config), None if weights is None else weights[number], minlength=len(BINS))
    return {name: float(share) for name, share in zip(BINS, total / max(total.sum(), 1e-12), strict=True)}


def balance(clips: Sequence[Clip], config: BalanceConfig = BalanceConfig()) -> list[Float[Array, " time"]]:
    """A weight per step of each clip, mean 1 over all; steps of unknown motion weigh as the average step.

    Reaches the target shares where `max_ratio` lets it; else comes as near as it may.
    """
    bins = [bin_clip(clip, config) for clip in clips]
    if not bins:
        return []
    counts = np.bincount(np.concatenate(bins), minlength=len(BINS)).astype(np.float64)
    known = np.array([dict(config.share).get(name, 0.0) for name in BINS]) * (counts > 0)
    weight = np.ones(len(BINS))
    if known.sum() > 0:
        occurs = known > 0
        actual = counts[occurs] / counts[occurs].sum()
        weight[occurs] = known[occurs] / known.sum() / actual
        weight[occurs] = np.clip(weight[occurs], weight[occurs].max() / config.max_ratio, None)
        weight[occurs] /= (weight[occurs] * actual).sum()
        weight[~occurs & (counts > 0)] = 1.0
    mean = (weight * counts).sum() / counts.sum()
    return [(weight[indices] / mean).astype(np.float32) for indices in bins]

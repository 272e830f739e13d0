"""Reward of one step, from plug-in terms: progress times soft factors, minus penalties (the shape of CaRL, arXiv 2504.17838).

A term answers "how good" (larger is better). Each is monotone: a worse fact never earns more (tests/metrics/test_reward.py).
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float

from motorworks.geometry.array import Array
from motorworks.metrics import thresholds


@dataclass(frozen=True, kw_only=True)
class StepFacts:
    """What one step of a world did, batch first; the fields of sim's WorldStep that a reward may see."""

    progress_m: Float[Array, " batch"]  # gained along the route in this step
    collision: Bool[Array, " batch"]
    at_fault: Bool[Array, " batch"]
    off_road: Bool[Array, " batch"]
    completed: Bool[Array, " batch"]
    wrong_way: Bool[Array, " batch"]
    red_light: Bool[Array, " batch"]  # crossed the line at a red light
    stop_sign: Bool[Array, " batch"]  # passed a stop sign without having stopped
    gave_no_way: Bool[Array, " batch"]  # entered where others had the right of way
    blocks_siren: Bool[Array, " batch"]  # keeps an emergency vehicle from passing
    lateral_offset_m: Float[Array, " batch"]
    speed_mps: Float[Array, " batch"]
    accel_mps2: Float[Array, " batch"]
    curvature_per_m: Float[Array, " batch"]
    speed_limit_mps: Float[Array, " batch"]
    min_gap_m: Float[Array, " batch"]


class RewardTerm(Protocol):
    """A plug-in: a name, and a value per batch item."""

    @property
    def name(self) -> str:
        """Stable; shown in curves, checked against NEVER_REWARDED."""
        ...

    def __call__(self, facts: StepFacts) -> Float[Array, " batch"]: ...


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One point per `metres_per_point` along the route."""

    metres_per_point: float = 10.0
    name: str = "progress"

    def __call__(self, facts: StepFacts) -> Float[Array, " batch"]:
        return np.asarray(facts.progress_m, np.float64) / self.metres_per_point


@dataclass(frozen=True, kw_only=True)
class Completion:
    """`bonus` on arrival."""

    bonus: float = 1.0
    name: str = "completion"

    def __call__(self, facts: StepFacts) -> Float[Array, " batch"]:
        return self.bonus * np.asarray(facts.completed, np.float64)


@dataclass(frozen=True, kw_only=True)
class Collision:
    """Minus `at_fault` or `innocent`: a hit that ego could not avoid still costs something, or it would stop caring."""

    at_fault: float = 5.0
    innocent: float = 1.0
    name: str = "collision"

    def __post_init__(self) -> None:
        if not 0 <= self.innocent <= self.at_fault:
            raise ValueError(f"collision penalties need 0 <= innocent <= at_fault, got {self.innocent} and {self.at_fault}")

    def __call__(self, facts: StepFacts) -> Float[Array, " batch"]:
        return -np.where(facts.at_fault, self.at_fault, self.innocent) * np.asarray(facts.collision | facts.at_fault, np.float64)


@dataclass(frozen=True, kw_only=True)
class Broken:
    """Minus `penalty` in each step in which the fact of this name is true."""

    penalty: float
    name: str

    def __call__(self, facts: StepFacts) -> Float[Array, " batch"]:
        return -self.penalty * np.asarray(getattr(facts, self.name), np.float64)


@dataclass(frozen=True, kw_only=True)
class OffRoad(Broken):
    """For leaving the road."""

    penalty: float = 5.0
    name: str = "off_road"


@dataclass(frozen=True, kw_only=True)
class WrongWay:
    """Minus `per_m` for each metre driven against traffic, and `per_step` for being there."""

    per_m: float = 0.2
    per_step: float = 0.02
    name: str = "wrong_way"

    def __call__(self, facts: StepFacts) -> Float[Array, " batch"]:
        return -np.where(facts.wrong_way, self.per_step + self.per_m * 0.1 * np.abs(facts.speed_mps), 0.0)


@dataclass(frozen=True, kw_only=True)
class RedLight(Broken):
    """For crossing the line at a red light: less than a crash, more than the wait could cost."""

    penalty: float = 3.0
    name: str = "red_light"


@dataclass(frozen=True, kw_only=True)
class StopSign(Broken):
    """For passing a stop sign without having stopped."""

    penalty: float = 2.0
    name: str = "stop_sign"


@dataclass(frozen=True, kw_only=True)
class GaveNoWay(Broken):
    """For entering where others had the right of way."""

    penalty: float = 2.0
    name: str = "gave_no_way"


@dataclass(frozen=True, kw_only=True)
class BlocksSiren(Broken):
    """While an emergency vehicle cannot pass."""

    penalty: float = 0.05
    name: str = "blocks_siren"


@dataclass(frozen=True, kw_only=True)
class LaneOffset:
    """Factor: 1 on the centreline, falling to `least` at the lane's edge."""

    free_m: float = 0.3
    edge_m: float = thresholds.LANE_HALF_WIDTH_M
    least: float = 0.3
    name: str = "lane_offset"

    def __call__(self, facts: StepFacts) -> Float[Array, " batch"]:
        beyond = np.clip((np.abs(facts.lateral_offset_m) - self.free_m) / (self.edge_m - self.free_m), 0.0, 1.0)
        return 1.0 - (1.0 - self.least) * beyond


@dataclass(frozen=True, kw_only=True)
class SpeedLimit:
    """Factor: 1 up to the limit, 0 at `zero_at_mps` above it (nuPlan's scale)."""

    zero_at_mps: float = thresholds.OVERSPEED_SCALE_MPS
    name: str = "speed_limit"

    def __call__(self, facts: StepFacts) -> Float[Array, " batch"]:
        return np.clip(1.0 - np.maximum(np.asarray(facts.speed_mps, np.float64) - facts.speed_limit_mps, 0.0) / self.zero_at_mps, 0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Comfort:
    """Factor: 1 within human bounds of acceleration, falling to `least` at twice the bound."""

    least: float = 0.5
    name: str = "comfort"

    def __call__(self, facts: StepFacts) -> Float[Array, " batch"]:
        accel = np.asarray(facts.accel_mps2, np.float64)
        lateral = np.abs(np.asarray(facts.speed_mps, np.float64) ** 2 * facts.curvature_per_m) / thresholds.MAX_ABS_LAT_ACCEL_MPS2
        along = np.maximum(accel / thresholds.MAX_LON_ACCEL_MPS2, accel / thresholds.MIN_LON_ACCEL_MPS2)
        return 1.0 - (1.0 - self.least) * np.clip(np.maximum(lateral, along) - 1.0, 0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Following:
    """Factor: 1 with `clear_s` to the nearest agent's bumper at this speed, falling to `least` when touching."""

    clear_s: float = 0.5
    least: float = 0.7
    name: str = "following"

    def __call__(self, facts: StepFacts) -> Float[Array, " batch"]:
        wanted_m = np.maximum(np.abs(np.asarray(facts.speed_mps, np.float64)) * self.clear_s, 1e-3)
        return self.least + (1.0 - self.least) * np.clip(facts.min_gap_m / wanted_m, 0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Reward:
    """sum(gains) * product(factors) + sum(penalties). Factors, in [0, 1], touch only what is gained: a loss is never softened."""

    gains: tuple[RewardTerm, ...] = (Progress(),)
    factors: tuple[RewardTerm, ...] = (LaneOffset(), SpeedLimit(), Comfort())
    penalties: tuple[RewardTerm, ...] = (
        Collision(),
        OffRoad(),
        WrongWay(),
        RedLight(),
        StopSign(),
        GaveNoWay(),
        BlocksSiren(),
        Completion(),
    )

    def __post_init__(self) -> None:
        names = [term.name for term in (*self.gains, *self.factors, *self.penalties)]
        for name in names:
            if name in thresholds.NEVER_REWARDED:
                raise ValueError(
                    f"{name} is in metrics.thresholds.NEVER_REWARDED: it must stay out of every reward, or nothing independent is left to judge by"
                )
        if len(set(names)) != len(names):
            raise ValueError(f"reward terms share a name: {sorted(names)}")

    def __call__(self, facts: StepFacts) -> tuple[Float[Array, " batch"], dict[str, Float[Array, " batch"]]]:
        """Reward per item, and each term's value under its name. ValueError where a term is not finite."""
        parts = {term.name: np.asarray(term(facts), np.float64) for term in (*self.gains, *self.factors, *self.penalties)}
        for name, values in parts.items():
            if not np.isfinite(values).all():
                raise ValueError(
                    f"reward term {name} is not finite for item {int(np.argwhere(~np.isfinite(values))[0, 0])}: a fact of its step is NaN"
                )
        gained = np.sum([parts[term.name] for term in self.gains], axis=0)
        factor = np.prod([parts[term.name] for term in self.factors], axis=0)
        reward = np.where(gained > 0, gained * factor, gained) + np.sum([parts[term.name] for term in self.penalties], axis=0)
        return reward, parts

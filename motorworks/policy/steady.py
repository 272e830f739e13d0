"""From plan to plan: what is driven is the mean of the last few, and who has stood for long without an end drives off."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from motorworks.datatypes.trajectory import DT_S, Trajectory
from motorworks.geometry.array import Array

_STANDS_MPS = 0.1
_OFF_STEPS, _OFF_MPS = 20, 0.5  # a proposal drives off that gains this much in these steps


@dataclass(frozen=True, kw_only=True)
class SteadyConfig:
    """`num_plans` whose means are driven, each as far as it reaches from now on: temporal ensembling (Zhao et al. 2023, arXiv 2304.13705).
    After `patience_s` of standing, the best proposal that drives off is taken where there is one: a model that cannot see why it may go waits
    for ever, and no picture of the standing world tells it so (the stuck detectors of CARLA's agents, e.g. TransFuser, arXiv 2205.15997)."""

    num_plans: int = 4
    patience_s: float = 20.0

    def __post_init__(self) -> None:
        if self.num_plans < 1 or self.patience_s <= 0:
            raise ValueError(f"num_plans must be at least 1 and patience_s positive: {self}")


STEADIED = SteadyConfig()  # who drives
AS_PLANNED = SteadyConfig(num_plans=1, patience_s=math.inf)  # for whoever gathers what a model itself would do


class Steady:
    """The memory of one policy's plans."""

    def __init__(self, config: SteadyConfig, *, stride_steps: int) -> None:
        """`stride_steps`: 0.1 s steps from one plan to the next."""
        self.config, self.stride_steps = config, stride_steps
        self._plans: Trajectory | None = None  # [age batch time], newest first, from now on
        self._valid: Bool[Array, "age batch"] = np.zeros((0, 0), bool)
        self._stood_s: Float[Array, " batch"] = np.zeros(0)

    def choose(
        self, proposals: Trajectory, scores: Float[Array, "batch proposal"], speed_mps: Float[Array, " batch"], first: Bool[Array, " batch"]
    ) -> Trajectory:
        """What to drive, `[batch time]`, of `proposals` `[batch proposal time]`; what came before `first` is forgotten."""
        accel = np.asarray(proposals.accel_mps2)
        off = accel[..., :_OFF_STEPS].sum(axis=-1) * DT_S >= _OFF_MPS
        goes = self._out_of_patience(speed_mps, first) & off.any(axis=1)
        best = np.where(goes[:, None] & ~off, -np.inf, scores).argmax(axis=1)
        now = proposals[np.arange(len(best)), best]
        plans = self._remember(now, forget=first | goes)  # what wanted to stand holds nobody back who goes
        weight = (self._valid / self._valid.sum(axis=0))[..., None]
        return Trajectory(
            accel_mps2=(plans.accel_mps2 * weight).sum(axis=0).astype(now.accel_mps2.dtype),
            curvature_per_m=(plans.curvature_per_m * weight).sum(axis=0).astype(now.curvature_per_m.dtype),
        )

    def _out_of_patience(self, speed_mps: Float[Array, " batch"], first: Bool[Array, " batch"]) -> Bool[Array, " batch"]:
        if len(self._stood_s) != len(speed_mps):
            self._stood_s = np.zeros(len(speed_mps))
        moves = np.abs(speed_mps) > _STANDS_MPS
        self._stood_s = np.where(first | moves, 0.0, self._stood_s + self.stride_steps * DT_S)
        return self._stood_s > self.config.patience_s

    def _remember(self, now: Trajectory, *, forget: Bool[Array, " batch"]) -> Trajectory:
        """`now` and the plans before it, `[age batch time]`."""
        if self._plans is None or self._plans.accel_mps2.shape[1:] != now.accel_mps2.shape:
            self._plans, self._valid = now[None][:0], np.zeros((0, len(forget)), bool)
        num_older = self.config.num_plans - 1
        older = self._plans[:num_older].later(self.stride_steps)
        self._plans = Trajectory(
            accel_mps2=np.concatenate([now.accel_mps2[None], older.accel_mps2]),
            curvature_per_m=np.concatenate([now.curvature_per_m[None], older.curvature_per_m]),
        )
        self._valid = np.concatenate([np.ones((1, len(forget)), bool), self._valid[:num_older] & ~forget])
        return self._plans

"""Open loop: how far a plan is from what the driver then did. It informs; the closed loop decides."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from motorworks.bodies.body import Body, integrate
from motorworks.datatypes.clip import Motion
from motorworks.datatypes.trajectory import DT_S, NUM_STEPS, Trajectory
from motorworks.geometry.array import Array
from motorworks.geometry.se2 import compose, inverse
from motorworks.metrics.aggregate import bootstrap, paired_difference

ADE_AFTER_S = (1.0, 2.0, 3.0)
ACTION_STEPS = 10  # the first second
_CREEP_MPS = 0.1


@dataclass(frozen=True, kw_only=True)
class Future:
    """What really happened after some moments of clips, and what was known at them."""

    poses_rig: Float[Array, "moment time 3"]  # 0.1 .. 6.4 s ahead, in the rig frame of the moment
    accel_mps2: Float[Array, "moment time"]  # control i is held from i to i + 1
    curvature_per_m: Float[Array, "moment time"]
    valid: Bool[Array, "moment time"]
    speed_mps: Float[Array, " moment"]
    yaw_rate_radps: Float[Array, " moment"]  # over the last 0.1 s, so it leaks no future


@dataclass(frozen=True, kw_only=True)
class Errors:
    """One error of each moment, with its validity."""

    metric: str
    values: Float[Array, " moment"]
    valid: Bool[Array, " moment"]


@dataclass(frozen=True, kw_only=True)
class OpenLoopRow:
    """A line of open_loop.json: a model's error, a baseline, and the paired difference (negative: the model is better)."""

    model: str
    metric: str
    mean: float
    low: float
    high: float
    num: int
    baseline: str
    baseline_mean: float
    diff_mean: float
    diff_low: float
    diff_high: float

    @property
    def beats(self) -> bool:
        """The interval of the difference excludes zero on the good side."""
        return self.diff_high < 0


def future_of(motion: Motion, moments: Int[Array, " moment"]) -> Future:
    """The futures of some steps of one clip; past the clip's end entries are invalid."""
    moments, num = np.asarray(moments, np.int64), len(motion.speed_mps)
    ahead = moments[:, None] + np.arange(1, NUM_STEPS + 1)
    held = moments[:, None] + np.arange(NUM_STEPS)
    here = np.asarray(motion.poses_world, np.float64)[moments]
    before = np.maximum(moments - 1, 0)
    turned = compose(inverse(np.asarray(motion.poses_world, np.float64)[before]), here)[:, 2]
    return Future(
        poses_rig=compose(inverse(here)[:, None], np.asarray(motion.poses_world, np.float64)[np.minimum(ahead, num - 1)]),
        accel_mps2=np.asarray(motion.accel_mps2, np.float64)[np.minimum(held, num - 1)],
        curvature_per_m=np.asarray(motion.curvature_per_m, np.float64)[np.minimum(held, num - 1)],
        valid=ahead < num,
        speed_mps=np.asarray(motion.speed_mps, np.float64)[moments],
        yaw_rate_radps=turned / DT_S,
    )


def join_futures(futures: Sequence[Future]) -> Future:
    """The moments of several clips in one batch."""
    names = ("poses_rig", "accel_mps2", "curvature_per_m", "valid", "speed_mps", "yaw_rate_radps")
    return Future(**{name: np.concatenate([getattr(future, name) for future in futures]) for name in names})


def predict_constant_velocity(future: Future) -> Trajectory:
    """Straight on at the speed of now."""
    zeros = np.zeros_like(future.accel_mps2)
    return Trajectory(accel_mps2=zeros, curvature_per_m=zeros)


def predict_constant_curvature(future: Future, *, max_curvature_per_m: float = np.inf) -> Trajectory:
    """On along the arc of the last 0.1 s at the speed of now; straight on when creeping, where yaw rate over speed is noise."""
    moving = np.abs(future.speed_mps) > _CREEP_MPS
    curvature = np.where(moving, future.yaw_rate_radps / np.where(moving, future.speed_mps, 1.0), 0.0)
    curvature = np.clip(curvature, -max_curvature_per_m, max_curvature_per_m)
    return Trajectory(
        accel_mps2=np.zeros_like(future.accel_mps2), curvature_per_m=np.broadcast_to(curvature[:, None], future.accel_mps2.shape).copy()
    )


def open_loop_errors(plan: Trajectory, future: Future, body: Body) -> list[Errors]:
    """ADE after 1, 2, 3 s in metres; over the first second the mean error of acceleration, curvature, and both over the body's limits."""
    poses, _ = integrate(plan, future.speed_mps, can_reverse=body.can_reverse)
    away_m = np.linalg.norm(poses[..., :2] - future.poses_rig[..., :2], axis=-1)
    errors = []
    for after_s in ADE_AFTER_S:
        steps = round(after_s / DT_S)
        errors.append(Errors(metric=f"ade_{after_s:.0f}s_m", values=away_m[:, :steps].mean(axis=1), valid=np.all(future.valid[:, :steps], axis=1)))
    valid = np.all(future.valid[:, :ACTION_STEPS], axis=1)
    accel = np.abs(plan.accel_mps2 - future.accel_mps2)[:, :ACTION_STEPS].mean(axis=1)
    curvature = np.abs(plan.curvature_per_m - future.curvature_per_m)[:, :ACTION_STEPS].mean(axis=1)
    both = (accel / body.max_accel_mps2 + curvature / body.max_curvature_per_m) / 2
    named = (("accel_error_mps2", accel), ("curvature_error_per_m", curvature), ("action_error_frac", both))
    return errors + [Errors(metric=name, values=values, valid=valid) for name, values in named]


def compare_open_loop(
    plans: Mapping[str, Trajectory],
    baselines: Mapping[str, Trajectory],
    future: Future,
    body: Body,
    *,
    groups: Sequence[Hashable],
    seed: int = 0,
) -> list[OpenLoopRow]:
    """Each model against each baseline on the same moments. Intervals resample `groups`: one label per moment, its clip or recording,
    because neighbouring moments are nearly the same.
    """
    labels = np.array([str(group) for group in groups])
    of_baseline = {name: open_loop_errors(plan, future, body) for name, plan in baselines.items()}
    rows = []
    for model, plan in plans.items():
        for number, errors in enumerate(open_loop_errors(plan, future, body)):
            keep = errors.valid
            if not keep.any():
                continue
            mean, low, high = bootstrap(errors.values[keep], groups=labels[keep].tolist(), seed=seed)
            for baseline, theirs in of_baseline.items():
                other = theirs[number].values[keep]
                diff = paired_difference(errors.values[keep], other, groups=labels[keep].tolist(), seed=seed)
                rows.append(
                    OpenLoopRow(
                        model=model,
                        metric=errors.metric,
                        mean=mean,
                        low=low,
                        high=high,
                        num=int(keep.sum()),
                        baseline=baseline,
                        baseline_mean=float(other.mean()),
                        diff_mean=diff[0],
                        diff_low=diff[1],
                        diff_high=diff[2],
                    )
                )
    return rows

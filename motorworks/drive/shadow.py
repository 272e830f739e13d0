"""Shadow mode: a second policy looks at the same road and plans, but never drives; where the two differ is worth a clip.

It finds disagreement, not safety: what the shadow would have done next is never seen. When ticks are skipped for want of time, a policy
that remembers frames remembers fewer of them.
"""

from dataclasses import dataclass

import numpy as np

from motorworks.bodies.body import Body, integrate
from motorworks.datatypes.observation import Observation
from motorworks.datatypes.trajectory import DT_S, NUM_STEPS, Trajectory
from motorworks.drive.clock import Clock
from motorworks.policy.policy import Policy

HORIZON_S = 2.0


@dataclass(frozen=True, kw_only=True)
class ShadowResult:
    """How far apart the two plans are, and what asking cost."""

    distance_m: float | None  # None: the shadow failed or answered no finite plan
    latency_s: float
    reason: str = ""


class Shadow:
    """Runs when the time left exceeds what it has lately cost, and tries again every `retry_steps` when it does not."""

    def __init__(self, policy: Policy, *, body: Body, retry_steps: int = 20) -> None:
        self.policy, self.body, self.retry_steps = policy, body, retry_steps
        self._cost_s, self._waited = 0.0, 0

    def watch(self, observation: Observation, driven: Trajectory, left_s: float, clock: Clock) -> ShadowResult | None:
        """The shadow's answer to this tick; None where there was no time to ask."""
        self._waited += 1
        if left_s <= 0 or (left_s < self._cost_s and self._waited < self.retry_steps):
            return None
        self._waited = 0
        start_s = clock.now_s()
        try:
            plan, reason = self.policy.act(observation).trajectory[0], ""
        except Exception as error:  # the shadow's failure must not touch the drive
            plan, reason = None, f"shadow failed: {type(error).__name__}: {error}"
        latency_s = clock.now_s() - start_s
        self._cost_s = max(latency_s, 0.9 * self._cost_s)
        distance_m = None if plan is None else plan_distance(driven, plan, float(observation.speed_mps[0]), self.body)
        return ShadowResult(distance_m=distance_m, latency_s=latency_s, reason=reason)


def plan_distance(one: Trajectory, other: Trajectory, speed_mps: float, body: Body, horizon_s: float = HORIZON_S) -> float | None:
    """Metres between where two plans are after `horizon_s` from the same state; None if either is not finite."""
    step = min(round(horizon_s / DT_S), NUM_STEPS) - 1
    both = Trajectory(accel_mps2=np.stack([one.accel_mps2, other.accel_mps2]), curvature_per_m=np.stack([one.curvature_per_m, other.curvature_per_m]))
    poses, _ = integrate(both, np.full(2, speed_mps), can_reverse=body.can_reverse)
    distance = float(np.hypot(*(poses[0, step, :2] - poses[1, step, :2])))
    return distance if np.isfinite(distance) else None

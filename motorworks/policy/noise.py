"""Driving off the ideal line on purpose, so that clips show how to come back."""

from dataclasses import dataclass

import numpy as np

from motorworks.datatypes.observation import Observation
from motorworks.datatypes.trajectory import DT_S, Plan, Trajectory
from motorworks.policy.policy import Policy


@dataclass(frozen=True, kw_only=True)
class NoiseConfig:
    """Correlated (Ornstein-Uhlenbeck) noise on the executed control, in bursts, so that the recoveries between them are clean."""

    curvature_per_m: float = 0.012  # standard deviation at speed; scaled down in tight turns by the body's limits only
    accel_mps2: float = 0.5
    time_constant_s: float = 0.8
    burst_s: float = 1.2
    calm_s: float = 2.4

    def __post_init__(self) -> None:
        if min(self.curvature_per_m, self.accel_mps2) < 0 or min(self.time_constant_s, self.burst_s, self.calm_s) <= 0:
            raise ValueError(f"noise amplitudes must not be negative and times must be positive: {self}")


class Perturbed:
    """Another policy with smooth noise on what is executed (the idea of DART, https://arxiv.org/abs/1703.09327).

    The answered trajectory is the noisy one; `proposals[:, 0]` is the clean plan, the label. `sim.rollout` keeps the clean one.
    Noise is drawn per environment and its restarts, from (seed, environment index, restart count), independent of neighbours.
    """

    def __init__(self, policy: Policy, seed: int, config: NoiseConfig | None = None) -> None:
        self._policy, self._seed, self._config = policy, seed, config or NoiseConfig()
        self.name, self.privileged, self.uses_camera = f"{policy.name}_perturbed", policy.privileged, policy.uses_camera
        self._streams: list[np.random.Generator | None] = []
        self._noise = np.zeros((0, 2))
        self._restarts = np.zeros(0, np.int64)
        self._left = np.zeros(0)
        self._bursting = np.zeros(0, np.bool_)

    def act(self, observation: Observation) -> Plan:
        """One plan per batch item."""
        batch, config = len(observation.speed_mps), self._config
        if len(self._streams) != batch:
            self._streams, self._noise, self._restarts = [None] * batch, np.zeros((batch, 2)), np.zeros(batch, np.int64)
            self._left, self._bursting = np.zeros(batch), np.zeros(batch, np.bool_)
        for i in range(batch):
            stream = self._streams[i]
            if stream is None or observation.first[i]:
                stream = self._streams[i] = np.random.default_rng((self._seed, i, int(self._restarts[i])))
                self._restarts[i] += 1
                self._noise[i], self._left[i], self._bursting[i] = 0.0, stream.uniform(0, config.calm_s), False
            self._left[i] -= DT_S
            if self._left[i] <= 0:
                self._bursting[i] = not self._bursting[i]
                self._left[i] = (config.burst_s if self._bursting[i] else config.calm_s) * stream.uniform(0.5, 1.5)
            keep = np.exp(-DT_S / config.time_constant_s)
            self._noise[i] = keep * self._noise[i] + np.sqrt(1 - keep**2) * stream.standard_normal(2)
        plan = self._policy.act(observation)
        clean = plan.trajectory
        accel, curvature = clean.accel_mps2.copy(), clean.curvature_per_m.copy()
        active = self._bursting * np.minimum(np.asarray(observation.speed_mps) / 3.0, 1.0)
        accel[:, 0] += (config.accel_mps2 * self._noise[:, 0] * active).astype(accel.dtype)
        curvature[:, 0] += (config.curvature_per_m * self._noise[:, 1] * active).astype(curvature.dtype)
        proposals = Trajectory(accel_mps2=clean.accel_mps2[:, None], curvature_per_m=clean.curvature_per_m[:, None])
        return Plan(
            trajectory=Trajectory(accel_mps2=accel, curvature_per_m=curvature),
            proposals=proposals,
            scores=np.ones((batch, 1)),
            thoughts=plan.thoughts,
        )

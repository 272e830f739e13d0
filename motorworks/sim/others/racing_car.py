"""Gymnasium's CarRacing: a car alone on a closed track, seen from above only (so no frames). Needs `gymnasium[box2d]`.

Interface as of Gymnasium 1.4, CarRacing-v3 (`env.car`, `env.track`); 50 physics steps a second, one unit is taken as a metre. Its car
accelerates tenfold ours; the pedals here are set so that it does what was asked.
"""

from typing import Any

import numpy as np

from motorworks.bodies.body import Body
from motorworks.datatypes.scenario import Scenario
from motorworks.geometry.se2 import wrap_angle
from motorworks.sim.others.car import CarState, rear_axle, seed_of

RACING_BODY = Body(
    name="racing car",
    wheelbase_m=3.24,  # wheels at +1.60 and -1.64 of the hull's middle
    length_m=4.6,
    width_m=2.4,
    rear_overhang_m=0.66,
    max_speed_mps=30.0,
    max_accel_mps2=2.5,
    max_decel_mps2=6.0,
    max_curvature_per_m=0.13,  # its wheels turn 0.4 rad
    max_curvature_rate_per_ms=np.inf,
)
_STEPS, _HALF_ROAD_M, _LOCK_RAD = 5, 40 / 6, 0.4
# its engine gives a power over (wheel speed + 5 rad/s), 2.7 m/s at its wheels; both factors were measured from 5 to 60 m/s
_POWER_PER_GAS, _OFFSET_MPS, _DECEL_PER_BRAKE_MPS2 = 2700.0, 2.7, 304.0
_LAP_FRAC = 0.95


class RacingCar:
    """The route is one lap. Off the road: the car's middle leaves the grey."""

    name = "car-racing"
    body = RACING_BODY
    has_camera = False

    def __init__(self, *, max_steps: int = 1500) -> None:
        import gymnasium

        self._env: Any
        try:
            self._env = gymnasium.make("CarRacing-v3", disable_env_checker=True).unwrapped
        except gymnasium.error.DependencyNotInstalled as error:
            raise ImportError("CarRacing needs Box2D; pip install 'gymnasium[box2d]'") from error
        # it draws a bird's-eye picture in every step, 7 ms that nobody here looks at
        self._env._render = lambda mode: np.zeros((96, 96, 3), np.uint8)
        self._max_steps, self._steps = max_steps, 0

    def reset(self, scenario: Scenario, *, renders: bool) -> CarState:
        """Start again; `num_agents` means nothing here."""
        self._env.reset(seed=seed_of(scenario))
        self._track = np.array([(x, y) for _, _, x, y in self._env.track], np.float64)
        ahead = np.roll(self._track, -1, axis=0) - self._track
        self._yaw_along, spacing = np.arctan2(ahead[:, 1], ahead[:, 0]), np.hypot(ahead[:, 0], ahead[:, 1])
        self._from_start_m, self._length_m = np.cumsum(spacing) - spacing, float(spacing.sum())
        self._steps, self._driven_m = 0, 0.0
        self._along_m, *_ = self._on_track()
        return self._state()

    def step(self, accel_mps2: float, curvature_per_m: float) -> CarState:
        """One tenth of a second: five of its steps, each with the pedals set afresh for the speed it has."""
        steer = -float(np.clip(np.arctan(curvature_per_m * RACING_BODY.wheelbase_m), -_LOCK_RAD, _LOCK_RAD))  # theirs is positive to the right
        for _ in range(_STEPS):
            speed = float(self._env.car.hull.linearVelocity.length)
            gas = max(accel_mps2, 0.0) * (speed + _OFFSET_MPS) / _POWER_PER_GAS
            self._env.step(np.array([steer, gas, max(-accel_mps2, 0.0) / _DECEL_PER_BRAKE_MPS2], np.float64))
        self._steps += 1
        along = self._on_track()[0]
        self._driven_m += (along - self._along_m + self._length_m / 2) % self._length_m - self._length_m / 2
        self._along_m = along
        return self._state()

    def _on_track(self) -> tuple[float, float, float]:
        """Metres along the track, metres left of it, and its yaw there."""
        x, y = self._env.car.hull.position
        near = int(np.argmin((self._track[:, 0] - x) ** 2 + (self._track[:, 1] - y) ** 2))
        yaw, dx, dy = float(self._yaw_along[near]), x - self._track[near, 0], y - self._track[near, 1]
        return float(self._from_start_m[near] + dx * np.cos(yaw) + dy * np.sin(yaw)), float(dy * np.cos(yaw) - dx * np.sin(yaw)), yaw

    def _state(self) -> CarState:
        hull = self._env.car.hull
        yaw = float(wrap_angle(np.asarray(hull.angle + np.pi / 2)))  # its nose is the hull's y
        (x, y), velocity = hull.position, hull.linearVelocity
        along = float(velocity.x * np.cos(yaw) + velocity.y * np.sin(yaw))
        _, lateral, bend = self._on_track()
        return CarState(
            pose_world=rear_axle(np.array([x, y]), yaw, 1.64),
            speed_mps=along,
            yaw_rate_radps=float(hull.angularVelocity),
            progress_m=self._driven_m,
            route_length_m=self._length_m * _LAP_FRAC,
            lateral_offset_m=lateral,
            on_road=abs(lateral) + RACING_BODY.width_m / 2 < _HALF_ROAD_M,
            off_road=abs(lateral) > _HALF_ROAD_M,
            completed=self._driven_m >= self._length_m * _LAP_FRAC,
            timeout=self._steps >= self._max_steps,
            wrong_way=bool(abs(wrap_angle(np.asarray(yaw - bend))) > np.pi / 2),
            speed_limit_mps=RACING_BODY.max_speed_mps,
        )

    def close(self) -> None:
        """Close it."""
        self._env.close()

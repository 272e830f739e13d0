"""highway-env: cars on a straight highway, bird's-eye only (so no frames). Its y points right and its headings turn right; ours point left.

Interface as of highway-env 1.12 (`AbstractEnv`, `ContinuousAction`, `Vehicle.step`: a bicycle of wheelbase `LENGTH` about its middle).
"""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from motorworks.bodies.body import Body
from motorworks.datatypes.agent import CAR, DEBRIS
from motorworks.datatypes.scenario import Scenario
from motorworks.geometry.array import Array
from motorworks.sim.others.car import CarState, Other, rear_axle, seed_of

HIGHWAY_BODY = Body(
    name="highway-env car",
    wheelbase_m=5.0,
    length_m=5.0,
    width_m=2.0,
    rear_overhang_m=0.0,
    max_speed_mps=40.0,
    max_accel_mps2=2.5,
    max_decel_mps2=6.0,
    max_curvature_per_m=0.2,  # tan(45 degrees) over the wheelbase
    max_curvature_rate_per_ms=np.inf,
)
_ACCEL_RANGE_MPS2, _STEER_RANGE_RAD = 6.0, np.pi / 4
_DT_S = 0.1


class HighwayCar:
    """`id` is any environment of highway-env with one vehicle on lanes of its road; a scenario sets its seed and how many others drive.

    The route is `route_length_m` along the lanes; lane changes are no offence there: the offset is from the nearest lane.
    """

    name = "highway-env"
    body = HIGHWAY_BODY
    has_camera = False

    def __init__(
        self, id: str = "highway-v0", *, route_length_m: float = 400.0, max_steps: int = 400, config: Mapping[str, Any] | None = None
    ) -> None:
        import gymnasium
        import highway_env  # noqa: F401, registers its environments

        action = {"type": "ContinuousAction", "acceleration_range": [-_ACCEL_RANGE_MPS2, _ACCEL_RANGE_MPS2]}
        clock = {"simulation_frequency": 20, "policy_frequency": 10, "duration": max_steps, "offroad_terminal": True}
        full = {"action": action, **clock, **(config or {}), "offscreen_rendering": (config or {}).get("offscreen_rendering", True)}
        self._env: Any = gymnasium.make(id, config=full, disable_env_checker=True).unwrapped
        self._route_m, self._max_steps = route_length_m, max_steps
        self._steps, self._driven_m, self._last_m = 0, 0.0, 0.0

    def reset(self, scenario: Scenario, *, renders: bool) -> CarState:
        """Start again."""
        self._env.configure({"vehicles_count": scenario.num_agents, "other_vehicles": scenario.num_agents})
        observation, _ = self._env.reset(seed=seed_of(scenario))
        refuse_blank(observation)
        self._steps, self._driven_m, self._last_m = 0, 0.0, self._along_m()
        return self._state(0.0)

    def step(self, accel_mps2: float, curvature_per_m: float) -> CarState:
        """One tenth of a second. Braking stops: their cars would drive backwards."""
        vehicle = self._env.vehicle
        accel = max(accel_mps2, -vehicle.speed / _DT_S)
        steer = -np.arctan(curvature_per_m * HIGHWAY_BODY.wheelbase_m)
        self._env.step(np.array([accel / _ACCEL_RANGE_MPS2, steer / _STEER_RANGE_RAD]))
        self._steps += 1
        # the lane changes at joints and "along" begins anew; a step that cannot be one is a joint
        along = self._along_m()
        gain, self._last_m = along - self._last_m, along
        self._driven_m += gain if abs(gain) < 2 * HIGHWAY_BODY.max_speed_mps * _DT_S else max(vehicle.speed, 0.0) * _DT_S
        return self._state(curvature_per_m)

    def _along_m(self) -> float:
        return float(self._env.vehicle.lane.local_coordinates(self._env.vehicle.position)[0])

    def _state(self, curvature_per_m: float) -> CarState:
        env, vehicle = self._env, self._env.vehicle
        slip = np.arctan(np.tan(np.arctan(curvature_per_m * HIGHWAY_BODY.wheelbase_m)) / 2)
        along_mps = float(vehicle.speed * np.cos(slip))  # of the rear axle; theirs is the middle's
        pose = rear_axle(np.array([vehicle.position[0], -vehicle.position[1]]), -vehicle.heading, HIGHWAY_BODY.centre_ahead_m)
        lateral = float(vehicle.lane.local_coordinates(vehicle.position)[1])
        limit = vehicle.lane.speed_limit
        others: dict[Hashable, Other] = {id(other): Other(box_world=_box(other), kind=CAR) for other in env.road.vehicles if other is not vehicle}
        others |= {id(thing): Other(box_world=_box(thing), kind=DEBRIS) for thing in env.road.objects}
        return CarState(
            pose_world=pose,
            speed_mps=along_mps,
            yaw_rate_radps=along_mps * curvature_per_m,
            progress_m=self._driven_m,
            route_length_m=self._route_m,
            lateral_offset_m=-lateral,
            on_road=bool(vehicle.on_road),
            collision=bool(vehicle.crashed),
            off_road=not vehicle.on_road,
            completed=self._driven_m >= self._route_m and not vehicle.crashed,
            timeout=self._steps >= self._max_steps,
            speed_limit_mps=float(limit) if limit else 15.0,
            others=others,
        )

    def close(self) -> None:
        """Close it."""
        self._env.close()


def _box(thing: Any) -> Array:
    return np.array([thing.position[0], -thing.position[1], -thing.heading, thing.speed, thing.LENGTH, thing.WIDTH], np.float64)


def refuse_blank(observation: Any) -> None:
    """Older releases give image observations that are silently all zero without offscreen_rendering=True."""
    images = [part for part in (observation.values() if isinstance(observation, dict) else [observation]) if getattr(part, "dtype", None) == np.uint8]
    if any(image.size and not image.any() for image in images):
        raise ValueError("highway-env: the image observation is all zero; set config offscreen_rendering=True")

"""MetaDrive in state mode: physics and traffic without its renderer, so no frames and no assets.

From 0.4 the engine downloads assets when it starts, even where nothing is drawn. `BaseEngine.try_pull_asset` is the only caller; it is
replaced by nothing here. Interface as of 0.4.3 (`MetaDriveEnv`, `BaseVehicle`, `NodeNetworkNavigation`); its frame is ours.
"""

import logging
from collections.abc import Hashable, Mapping
from typing import Any, ClassVar

import numpy as np

from motorworks.bodies.body import Body
from motorworks.datatypes.agent import CAR
from motorworks.datatypes.scenario import Scenario
from motorworks.sim.others.car import CarState, Other, rear_axle, seed_of

METADRIVE_BODY = Body(
    name="metadrive default car",
    wheelbase_m=2.469,
    length_m=4.515,
    width_m=1.852,
    rear_overhang_m=0.841,  # half the length less the 1.4166 m from the middle to the rear axle
    max_speed_mps=22.2,
    max_accel_mps2=2.5,
    max_decel_mps2=6.0,
    max_curvature_per_m=0.2,
    max_curvature_rate_per_ms=np.inf,
)
# its four wheels share the throttle; measured on a flat straight: speed changes by throttle x 4 x engine force / mass, and by
# brake x 200 x brake force / mass until the tyres slide near 13 m/s2
_ENGINE_WHEELS, _BRAKE_GAIN = 4.0, 200.0
_ROLLING = 1e-3  # at exactly no throttle the engine brakes with 0.36 m/s2
_LOCK_RAD = np.deg2rad(40.0)
NUM_MAPS = 1000
_DENSITY_PER_AGENT = 0.015  # about 10 vehicles over a map of three blocks at 0.15


def without_assets() -> Any:
    """MetaDrive's environment class, its download switched off. ImportError names the extra."""
    try:
        from metadrive.engine.base_engine import BaseEngine
        from metadrive.envs import MetaDriveEnv
    except ImportError as error:
        raise ImportError("MetaDrive is not installed; pip install 'motorworks[worlds]' or metadrive-simulator==0.4.3") from error
    BaseEngine.try_pull_asset = staticmethod(lambda: None)
    return MetaDriveEnv


class MetaDriveCar:
    """One car on a generated map. Its engine is one to a process, so a second one raises.

    A scenario sets the map (of 1,000) and, roughly, the traffic: its density is all that MetaDrive lets one choose.
    """

    name = "metadrive"
    body = METADRIVE_BODY
    has_camera = False
    _open: ClassVar["MetaDriveCar | None"] = None

    def __init__(self, *, max_steps: int = 1000, config: Mapping[str, Any] | None = None) -> None:
        if MetaDriveCar._open is not None:
            raise ValueError("MetaDrive's engine is one to a process: close the other MetaDriveCar, or use one process each")
        quiet = {"use_render": False, "image_observation": False, "log_level": logging.CRITICAL, "show_interface": False, "show_logo": False}
        rules = {"num_scenarios": NUM_MAPS, "start_seed": 0, "horizon": None, "on_continuous_line_done": False, "traffic_density": 0.1, "map": 3}
        self._env: Any = without_assets()({**quiet, **rules, **(config or {})})
        self._max_steps, self._steps = max_steps, 0
        MetaDriveCar._open = self

    def reset(self, scenario: Scenario, *, renders: bool) -> CarState:
        """Start again."""
        if self._env.engine is not None:
            self._env.engine.global_config["traffic_density"] = scenario.num_agents * _DENSITY_PER_AGENT
        else:
            self._env.config["traffic_density"] = scenario.num_agents * _DENSITY_PER_AGENT
        _, info = self._env.reset(seed=seed_of(scenario) % NUM_MAPS)
        self._steps, self._start_m = 0, float(self._env.agent.navigation.travelled_length)
        self._yaw = float(self._env.agent.heading_theta)
        return self._state(info)

    def step(self, accel_mps2: float, curvature_per_m: float) -> CarState:
        """One tenth of a second: five of its physics steps."""
        car = self._env.agent
        full = _ENGINE_WHEELS * car.config["max_engine_force"] if accel_mps2 > 0 else _BRAKE_GAIN * car.config["max_brake_force"]
        pedal = float(np.clip(accel_mps2 * car.MASS / full, -1, 1))
        steer = np.arctan(curvature_per_m * METADRIVE_BODY.wheelbase_m) / _LOCK_RAD
        _, _, _, _, info = self._env.step([float(np.clip(steer, -1, 1)), pedal if accel_mps2 else _ROLLING])
        self._steps += 1
        return self._state(info)

    def _state(self, info: Mapping[str, Any]) -> CarState:
        car, navigation = self._env.agent, self._env.agent.navigation
        yaw = float(car.heading_theta)
        turned = (yaw - self._yaw + np.pi) % (2 * np.pi) - np.pi
        self._yaw = yaw
        lateral = min((float(lane.local_coordinates(car.position)[1]) for lane in navigation.current_ref_lanes), key=abs)  # right positive
        out, arrived = bool(info.get("out_of_road", False)), bool(info.get("arrive_dest", False))
        hit = any(bool(info.get(name, False)) for name in ("crash_vehicle", "crash_object", "crash_building", "crash_human"))
        return CarState(
            pose_world=rear_axle(np.asarray(car.position, np.float64), yaw, METADRIVE_BODY.centre_ahead_m),
            speed_mps=float(car.speed),
            yaw_rate_radps=turned / 0.1 if self._steps else 0.0,
            progress_m=float(navigation.travelled_length) - self._start_m,
            route_length_m=max(float(navigation.total_length) - self._start_m, 1.0),
            lateral_offset_m=-lateral,
            on_road=not out,
            collision=hit,
            off_road=out and not hit,
            completed=arrived and not hit and not out,
            timeout=self._steps >= self._max_steps,
            others=self._others(),
        )

    def _others(self) -> dict[Hashable, Other]:
        vehicles = self._env.engine.traffic_manager.traffic_vehicles
        return {
            vehicle.id: Other(
                box_world=np.array([*vehicle.position, vehicle.heading_theta, vehicle.speed, vehicle.LENGTH, vehicle.WIDTH], np.float64), kind=CAR
            )
            for vehicle in vehicles
        }

    def close(self) -> None:
        """Close the engine, so that another may open."""
        self._env.close()
        MetaDriveCar._open = None

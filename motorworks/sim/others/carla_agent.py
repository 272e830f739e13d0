"""A policy of ours as an agent of the CARLA Leaderboard 2 and Bench2Drive. Written against the public interface, never run here.

Interface: `leaderboard/autoagents/autonomous_agent.py` (setup, sensors, run_step, set_global_plan) of carla-simulator/leaderboard and
Thinklab-SJTU/Bench2Drive. Give this file as TEAM_AGENT and `bundle_folder:trusted_root.json` as TEAM_CONFIG (Bench2Drive adds `+name`).
CARLA's frame is left-handed: y, yaw, yaw rate and steering point right.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from motorworks.bodies.body import CAR
from motorworks.datatypes.rig import FRONT
from motorworks.datatypes.trajectory import DT_S
from motorworks.geometry.array import Array
from motorworks.geometry.se2 import compose
from motorworks.policy.policy import Policy
from motorworks.sim.others.driver import PastPoses, load_policy, observe
from motorworks.tokens.text import DEFAULT_INSTRUCTION

_CAMERA = FRONT.cameras[0]
_TALL_PX = 2 * round(_CAMERA.height_px - _CAMERA.centre_px[1])  # CARLA's principal point is the middle: drawn taller, its top is cut off
_EARTH_M = 6_378_137.0  # CARLA's
WHEELBASE_M, MAX_STEER_RAD = 2.85, np.deg2rad(70.0)  # of the Lincoln MKZ that the leaderboard drives
_ACCEL_AT_FULL_MPS2, _DECEL_AT_FULL_MPS2 = 4.0, 8.0  # rough: no CARLA was at hand to measure
_WORDS = {1: "turn left", 2: "turn right", 3: "go straight", 5: "change to the left lane", 6: "change to the right lane"}  # RoadOption
_AHEAD_M, _NOW_M, _REACHED_M = 40.0, 12.0, 8.0


def get_entry_point() -> str:
    """The leaderboard asks for the class by this name."""
    return "MotorworksAgent"


class CarlaDriver:
    """All of the agent that needs no CARLA: sensor list, sensor data in, (throttle, brake, steer) out."""

    def __init__(self, policy: Policy) -> None:
        self._policy, self._route = policy, Route([])
        self._poses, self._pose = PastPoses(), np.zeros(3)
        self._last_s: float | None = None
        self._acted_s: float | None = None
        self._control = (0.0, 0.0, 0.0)

    def set_route(self, plan: Sequence[tuple[Mapping[str, float], Any]]) -> None:
        """The leaderboard's `global_plan_gps`: ({"lat", "lon", "z"}, RoadOption)."""
        self._route = Route(plan)

    def sensors(self) -> list[dict[str, Any]]:
        """Camera as in `datatypes.rig.FRONT`; CARLA's origin is the middle of the car, ours the rear axle."""
        still = {"roll": 0.0, "pitch": 0.0, "yaw": 0.0}
        x, y, z = _CAMERA.position_rig_m
        fov_deg = float(np.rad2deg(2 * np.arctan(_CAMERA.width_px / 2 / _CAMERA.focal_px)))
        place = {"x": x - CAR.centre_ahead_m, "y": -y, "z": z}
        return [
            {"type": "sensor.camera.rgb", **place, **still, "width": _CAMERA.width_px, "height": _TALL_PX, "fov": fov_deg, "id": "FRONT"},
            {"type": "sensor.other.imu", "x": 0.0, "y": 0.0, "z": 0.0, **still, "id": "IMU"},
            {"type": "sensor.other.gnss", "x": 0.0, "y": 0.0, "z": 0.0, **still, "id": "GPS"},
            {"type": "sensor.speedometer", "reading_frequency": 20, "id": "SPEED"},
        ]

    def run_step(self, input_data: Mapping[str, tuple[int, Any]], timestamp_s: float) -> tuple[float, float, float]:
        """Every tick moves the odometry; every 0.1 s the policy answers, and its control is held between."""
        speed = float(input_data["SPEED"][1]["speed"])
        yaw_rate = -float(input_data["IMU"][1][5])
        passed_s = 0.0 if self._last_s is None else timestamp_s - self._last_s
        self._last_s = timestamp_s
        turn = yaw_rate * passed_s
        self._pose = compose(self._pose, np.array([speed * passed_s * np.cos(turn / 2), speed * passed_s * np.sin(turn / 2), turn]))
        self._poses.add(round(timestamp_s * 1e6), self._pose)
        if self._acted_s is not None and timestamp_s - self._acted_s < DT_S - 1e-3:
            return self._control
        image = np.asarray(input_data["FRONT"][1])[_TALL_PX - _CAMERA.height_px :, :, 2::-1]  # theirs is BGRA
        _, past = self._poses.now_and_past(speed)
        instruction = self._route.instruction(np.asarray(input_data["GPS"][1], np.float64)[:2])
        plan = self._policy.act(observe(np.ascontiguousarray(image), speed, yaw_rate, past, instruction, first=self._acted_s is None))
        self._acted_s = timestamp_s
        self._control = pedals(float(plan.trajectory.accel_mps2[0, 0]), float(plan.trajectory.curvature_per_m[0, 0]), speed)
        return self._control


def pedals(accel_mps2: float, curvature_per_m: float, speed_mps: float) -> tuple[float, float, float]:
    """Throttle and brake in [0, 1], steer in [-1, 1]; NaN raises. A car that stands and wants to stand keeps the brake on."""
    if not (np.isfinite(accel_mps2) and np.isfinite(curvature_per_m)):
        raise ValueError(f"the policy answered acceleration {accel_mps2} and curvature {curvature_per_m}; both must be finite")
    throttle, brake = max(accel_mps2, 0.0) / _ACCEL_AT_FULL_MPS2, max(-accel_mps2, 0.0) / _DECEL_AT_FULL_MPS2
    if speed_mps < 0.1 and accel_mps2 <= 0:
        brake = 1.0
    steer = -np.arctan(curvature_per_m * WHEELBASE_M) / MAX_STEER_RAD
    return float(min(throttle, 1.0)), float(min(brake, 1.0)), float(np.clip(steer, -1.0, 1.0))


class Route:
    """Their route by latitude and longitude, as our instructions."""

    def __init__(self, plan: Sequence[tuple[Mapping[str, float], Any]]) -> None:
        self._points = np.array([(point["lat"], point["lon"]) for point, _ in plan], np.float64).reshape(-1, 2)
        self._options = [int(getattr(option, "value", option)) for _, option in plan]
        self._next = 0

    def instruction(self, gps_deg: Float[Array, " 2"]) -> str:
        """The first command other than "follow the lane" within 40 m of the car along the points still to be reached."""
        if self._next >= len(self._points):
            return DEFAULT_INSTRUCTION
        scale = np.deg2rad(1.0) * _EARTH_M * np.array([1.0, np.cos(np.deg2rad(gps_deg[0]))])
        away_m = np.hypot(*((self._points - gps_deg) * scale).T)
        while self._next < len(away_m) and away_m[self._next] < _REACHED_M:
            self._next += 1
        # a point just reached still commands until the next one is nearer than it
        for i in range(max(self._next - 1, 0), len(away_m)):
            if away_m[i] > _AHEAD_M:
                break
            if self._options[i] in _WORDS:
                return f"{_WORDS[self._options[i]]} {'now' if away_m[i] < _NOW_M else 'ahead'}"
        return DEFAULT_INSTRUCTION


def __getattr__(name: str) -> Any:
    """The class exists where the leaderboard does."""
    if name != get_entry_point():
        raise AttributeError(f"module {__name__} has no attribute {name}")
    import carla
    from leaderboard.autoagents.autonomous_agent import AutonomousAgent, Track

    class MotorworksAgent(AutonomousAgent):  # type: ignore[misc]
        """setup, sensors, run_step: see `CarlaDriver`."""

        def setup(self, path_to_conf_file: str) -> None:
            """Opens the bundle."""
            self.track = Track.SENSORS
            self._driver = CarlaDriver(load_policy(path_to_conf_file.split("+")[0]))

        def set_global_plan(self, global_plan_gps: Any, global_plan_world_coord: Any) -> None:
            """Keeps the whole plan; theirs keeps every fiftieth metre."""
            super().set_global_plan(global_plan_gps, global_plan_world_coord)
            self._driver.set_route(global_plan_gps)

        def sensors(self) -> list[dict[str, Any]]:
            """The sensor list."""
            return self._driver.sensors()

        def run_step(self, input_data: Any, timestamp: float) -> Any:
            """Their control object."""
            throttle, brake, steer = self._driver.run_step(input_data, timestamp)
            return carla.VehicleControl(throttle=throttle, brake=brake, steer=steer)

    return MotorworksAgent

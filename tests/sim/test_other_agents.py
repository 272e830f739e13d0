"""Our policies behind the interfaces of CARLA, NAVSIM and AlpaSim, as their sources write them; none of the three runs here."""

import sys
import types
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum, IntEnum
from types import SimpleNamespace

import numpy as np
import pytest

from motorworks.datatypes.rig import FRONT
from motorworks.datatypes.trajectory import NUM_STEPS, Plan, Trajectory
from motorworks.sim.others import alpasim_driver, carla_agent, navsim_agent
from motorworks.sim.others.driver import PastPoses, Timed, plan_from_history, poses_at, reframe

CAMERA = FRONT.cameras[0]


class Held:
    """Answers one control and remembers what it was shown."""

    name, privileged, uses_camera = "held", False, True

    def __init__(self, accel=0.0, curvature=0.0):
        self.accel, self.curvature, self.seen = accel, curvature, []

    def act(self, observation):
        self.seen.append(observation)
        shape = (1, NUM_STEPS)
        return Plan(trajectory=Trajectory(accel_mps2=np.full(shape, self.accel), curvature_per_m=np.full(shape, self.curvature)))


def pretend(monkeypatch, **modules):
    """Packages that are not installed, holding these names."""
    for dotted, names in modules.items():
        parts = dotted.split("__")
        for depth in range(1, len(parts) + 1):
            path = ".".join(parts[:depth])
            if path not in sys.modules:
                monkeypatch.setitem(sys.modules, path, types.ModuleType(path))
        for name, value in names.items():
            setattr(sys.modules[".".join(parts)], name, value)


def bgra(colour_rgb, sensor):
    image = np.zeros((sensor["height"], sensor["width"], 4), np.uint8)
    image[..., :3] = colour_rgb[::-1]
    return image


def tick(sensors, k, speed=5.0, gyro_z=0.0, gps=(0.0, 0.0)):
    data = {"IMU": (k, np.array([0, 0, 9.8, 0, 0, gyro_z, 0.0])), "GPS": (k, np.array([*gps, 0.0])), "SPEED": (k, {"speed": speed})}
    return data | {"FRONT": (k, bgra((10, 20, 30), sensors[0]))}


def test_carla_sees_our_frame_and_is_steered_in_its_own(monkeypatch):
    class Track(Enum):
        SENSORS = "SENSORS"

    class AutonomousAgent:
        def set_global_plan(self, gps, world):
            self._global_plan = gps

    control = lambda **kwargs: SimpleNamespace(**kwargs)  # noqa: E731
    pretend(
        monkeypatch, leaderboard__autoagents__autonomous_agent={"AutonomousAgent": AutonomousAgent, "Track": Track}, carla={"VehicleControl": control}
    )
    policy = Held(accel=2.0, curvature=0.05)
    monkeypatch.setattr(carla_agent, "load_policy", lambda where: policy)
    agent = getattr(carla_agent, carla_agent.get_entry_point())()
    agent.setup("bundle:root.json+RouteScenario_1")
    assert agent.track is Track.SENSORS
    sensors = agent.sensors()
    assert sensors[0]["width"] == CAMERA.width_px and len({sensor["id"] for sensor in sensors}) == len(sensors)
    focal = sensors[0]["width"] / 2 / np.tan(np.deg2rad(sensors[0]["fov"]) / 2)
    assert focal == pytest.approx(CAMERA.focal_px)
    step = np.rad2deg(1 / 6_378_137.0)  # one metre
    agent.set_global_plan([({"lat": k * 10 * step, "lon": 0.0, "z": 0.0}, 1 if k == 5 else 4) for k in range(8)], None)
    # driving left at 0.5 rad/s: CARLA's gyro turns right
    controls = [agent.run_step(tick(sensors, k, gyro_z=-0.5, gps=(0.25 * k * step, 0.0)), 0.05 * k) for k in range(160)]
    assert len(policy.seen) == 80, "20 ticks a second, 10 plans"
    assert 0 < controls[0].throttle <= 1 and controls[0].brake == 0 and controls[0].steer < 0, "left is negative there"
    seen = policy.seen[-1]
    assert seen.frames.shape == (1, CAMERA.height_px, CAMERA.width_px, 3) and seen.frames[0, 0, 0].tolist() == [10, 20, 30]
    assert seen.yaw_rate_radps[0] == 0.5
    np.testing.assert_allclose(seen.past_poses_rig[0, 1], [-0.9983, 0.05, -0.1], atol=1e-3)  # 0.2 s ago on a circle of 10 m to the left
    words = [one.instructions[0] for one in policy.seen]
    assert list(dict.fromkeys(words)) == ["follow the road", "turn left ahead", "turn left now"]
    assert policy.seen[0].first[0] and not policy.seen[1].first[0]


def test_carla_pedals():
    assert carla_agent.pedals(0.0, 0.0, 0.0) == (0.0, 1.0, 0.0), "stand"
    assert carla_agent.pedals(-20.0, -10.0, 5.0)[1:] == (1.0, pytest.approx(1.0, abs=0.3))
    with pytest.raises(ValueError, match="finite"):
        carla_agent.pedals(float("nan"), 0.0, 1.0)


def test_navsim_gives_and_takes_its_own_dataclasses(monkeypatch):
    class AbstractAgent:
        def __init__(self, requires_scene=False):
            self.requires_scene = requires_scene

    class SensorConfig(SimpleNamespace):
        @classmethod
        def build_no_sensors(cls):
            return cls(cam_f0=False, cam_l0=False, lidar_pc=False)

    @dataclass
    class NavsimTrajectory:
        poses: np.ndarray

    pretend(
        monkeypatch,
        navsim__agents__abstract_agent={"AbstractAgent": AbstractAgent},
        navsim__common__dataclasses={"SensorConfig": SensorConfig, "Trajectory": NavsimTrajectory},
    )
    policy = Held(accel=0.0, curvature=0.02)
    monkeypatch.setattr(navsim_agent, "load_policy", lambda where: policy)
    agent = navsim_agent.MotorworksAgent("bundle:root.json")
    agent.initialize()
    assert agent.get_sensor_config().cam_f0 is True and agent.get_sensor_config().lidar_pc is False and agent.requires_scene is False
    intrinsics = np.array([[1545.0, 0, 960], [0, 1545.0, 560], [0, 0, 1]])
    image = np.full((1080, 1920, 3), 77, np.uint8)
    cameras = [SimpleNamespace(cam_f0=SimpleNamespace(image=image, intrinsics=intrinsics)) for _ in range(4)]
    statuses = [
        SimpleNamespace(ego_pose=np.array([-4.0 * (3 - k), 0, 0]), ego_velocity=np.array([8.0, 0.0]), driving_command=np.array([1, 0, 0, 0]))
        for k in range(4)
    ]
    found = agent.compute_trajectory(SimpleNamespace(ego_statuses=statuses, cameras=cameras, lidars=[])).poses
    assert found.shape == (8, 3) and found.dtype == np.float32
    np.testing.assert_allclose(found[:, 2], 0.02 * 8 * 0.5 * np.arange(1, 9), rtol=1e-5)  # a circle to the left at 8 m/s
    last = policy.seen[-1]
    np.testing.assert_allclose(last.past_poses_rig[0, :15, 0], -0.8 * np.arange(1, 16), atol=1e-5)
    assert last.instructions == ("turn left now",) and len(policy.seen) == 17
    assert last.frames[0, 60, 128].tolist() == [77] * 3 and last.frames[0, 60, 0].tolist() == [0] * 3, "its view is narrower than ours"


def test_alpasim_fills_its_abstract_class(monkeypatch):
    class BaseTrajectoryModel(ABC):
        @abstractmethod
        def predict(self, prediction_input): ...
        @abstractmethod
        def _encode_command(self, command): ...
        @property
        @abstractmethod
        def camera_ids(self): ...
        @property
        @abstractmethod
        def context_length(self): ...
        @property
        @abstractmethod
        def output_frequency_hz(self): ...

    @dataclass
    class ModelPrediction:
        trajectory_xy: np.ndarray
        headings: np.ndarray

    class DriveCommand(IntEnum):
        LEFT, STRAIGHT, RIGHT, UNKNOWN = range(4)

    pretend(monkeypatch, alpasim_driver__models__base={"BaseTrajectoryModel": BaseTrajectoryModel, "ModelPrediction": ModelPrediction})
    policy = Held(accel=1.0)
    monkeypatch.setattr(alpasim_driver, "load_policy", lambda where: policy)
    make = alpasim_driver.MotorworksModel.from_config
    config = SimpleNamespace(checkpoint_path="bundle:root.json")
    model = make(config, None, ["camera_front_wide_120fov"], None, 10)
    with pytest.raises(ValueError, match="one front camera"):
        make(config, None, ["a", "b"], None, 10)
    turned = SimpleNamespace(w=np.cos(0.5), x=0.0, y=0.0, z=np.sin(0.5))
    history = [
        SimpleNamespace(timestamp_us=100_000 * k, pose=SimpleNamespace(vec=SimpleNamespace(x=np.cos(1) * k, y=np.sin(1) * k, z=0.0), quat=turned))
        for k in range(20)
    ]
    frames = [(100_000 * k, np.full((320, 512, 3), k, np.uint8)) for k in (16, 17, 18, 19)]
    given = SimpleNamespace(
        camera_images={"camera_front_wide_120fov": frames}, command=DriveCommand.RIGHT, speed=10.0, acceleration=0.0, ego_pose_history=history
    )
    found = model.predict(given)
    assert found.trajectory_xy.shape == (64, 2) and found.headings.shape == (64,)
    assert found.trajectory_xy[9] == pytest.approx([10.5, 0.0])
    np.testing.assert_allclose(policy.seen[-1].past_poses_rig[0, :, 0], -np.arange(1.0, 17.0), atol=1e-6)
    assert policy.seen[-1].instructions == ("turn right now",) and policy.seen[-1].frames[0, 60, 128, 0] == 19
    given.camera_images = {"other": frames}
    with pytest.raises(ValueError, match="camera_front_wide_120fov"):
        model.predict(given)


def test_a_picture_of_our_own_camera_stays_as_it_is():
    image = np.random.default_rng(0).integers(0, 255, (CAMERA.height_px, CAMERA.width_px, 3), np.uint8)
    np.testing.assert_array_equal(reframe(image, (CAMERA.focal_px,) * 2, CAMERA.centre_px), image)
    with pytest.raises(ValueError, match="uint8 RGB"):
        reframe(image.astype(np.float32), (1.0, 1.0), (0.0, 0.0))


def test_a_short_past_is_continued_backwards_and_nonsense_refused():
    past = PastPoses()
    past.add(1_000_000, np.array([3.0, 4.0, np.pi / 2]))
    _, rig = past.now_and_past(2.0)
    np.testing.assert_allclose(rig[:, 0], -0.2 * np.arange(1, 17), atol=1e-9)
    with pytest.raises(ValueError, match="at least one pose"):
        plan_from_history(Held(), [], [], 1.0, "follow the road")
    plan = Held().act(None)
    with pytest.raises(ValueError, match=r"6\.4"):
        poses_at(plan, 5.0, np.array([7.0]))
    broken = [Timed(timestamp_us=0, value=np.array([np.nan, 0, 0]))]
    with pytest.raises(ValueError, match="not finite"):
        plan_from_history(Held(), [Timed(timestamp_us=0, value=np.zeros((144, 256, 3), np.uint8))], broken, 1.0, "follow the road")

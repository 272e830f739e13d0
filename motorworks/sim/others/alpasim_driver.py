"""A policy of ours as a model of AlpaSim's driver service. Written against the public interface, never run here.

Interface: `alpasim_driver/models/base.py` of NVlabs/alpasim (0.37: `BaseTrajectoryModel.from_config`, `predict`), which its driver serves as
EgodriverService over gRPC. Installed beside it, this entry point makes it known:

    [project.entry-points."alpasim.models"]
    motorworks = "motorworks.sim.others.alpasim_driver:MotorworksModel"

Its rig frame is ours. `checkpoint_path` is `bundle_folder:trusted_root.json`. The camera is taken to be a pinhole of `FOCAL_PER_WIDTH`.
"""

from typing import Any

import numpy as np
from jaxtyping import Float

from motorworks.geometry.array import Array
from motorworks.policy.policy import Policy
from motorworks.sim.others.driver import Timed, load_policy, plan_from_history, poses_at, reframe
from motorworks.tokens.text import DEFAULT_INSTRUCTION

HORIZON_S = 6.4
CONTEXT_FRAMES = 4
FOCAL_PER_WIDTH = 0.29  # a 120 degree front camera; rectify to another in the driver's configuration and say so here
_COMMANDS = {0: "turn left now", 1: DEFAULT_INSTRUCTION, 2: "turn right now", 3: DEFAULT_INSTRUCTION}  # their DriveCommand


class AlpaSimDriver:
    """All of the model that needs no AlpaSim: what `predict` is given, as poses."""

    def __init__(self, policy: Policy, camera_id: str, frequency_hz: int) -> None:
        self.policy, self.camera_id, self.frequency_hz = policy, camera_id, frequency_hz

    def poses(self, given: Any) -> Float[Array, "time 3"]:
        """Of a `PredictionInput`: x_m y_m yaw_rad at the output frequency, in the rig frame of now."""
        if set(given.camera_images) != {self.camera_id}:
            raise ValueError(f"expected the pictures of {self.camera_id!r} alone, got {sorted(given.camera_images)}")
        frames = [Timed(timestamp_us=int(frame[0]), value=_as_ours(np.asarray(frame[1]))) for frame in given.camera_images[self.camera_id]]
        poses = [Timed(timestamp_us=int(item.timestamp_us), value=_planar(item.pose)) for item in given.ego_pose_history]
        plan = plan_from_history(self.policy, frames, poses, float(given.speed), _COMMANDS[int(given.command)])
        num = int(HORIZON_S * self.frequency_hz + 1e-6)
        return poses_at(plan, float(given.speed), np.arange(1, num + 1) / self.frequency_hz)


def _as_ours(image: Array) -> Array:
    height, width = image.shape[:2]
    return reframe(image, (FOCAL_PER_WIDTH * width, FOCAL_PER_WIDTH * width), (width / 2, height / 2))


def _planar(pose: Any) -> Float[Array, " 3"]:
    q = pose.quat
    return np.array([pose.vec.x, pose.vec.y, np.arctan2(2 * (q.w * q.z + q.x * q.y), 1 - 2 * (q.y * q.y + q.z * q.z))])


def __getattr__(name: str) -> Any:
    """The class exists where AlpaSim does."""
    if name != "MotorworksModel":
        raise AttributeError(f"module {__name__} has no attribute {name}")
    from alpasim_driver.models.base import BaseTrajectoryModel, ModelPrediction

    class MotorworksModel(BaseTrajectoryModel):  # type: ignore[misc]
        """Their abstract class, filled in by `AlpaSimDriver`."""

        def __init__(self, driver: AlpaSimDriver) -> None:
            self._driver = driver

        @classmethod
        def from_config(cls, model_cfg: Any, device: Any, camera_ids: list[str], context_length: int | None, output_frequency_hz: int) -> Any:
            """Opens the bundle; it runs on the CPU whatever the device."""
            if len(camera_ids) != 1:
                raise ValueError(f"motorworks drives with one front camera, got {camera_ids}")
            return cls(AlpaSimDriver(load_policy(model_cfg.checkpoint_path), camera_ids[0], output_frequency_hz))

        def _encode_command(self, command: Any) -> str:
            return _COMMANDS[int(command)]

        def predict(self, prediction_input: Any) -> Any:
            """Their prediction object."""
            poses = self._driver.poses(prediction_input)
            return ModelPrediction(trajectory_xy=poses[:, :2], headings=poses[:, 2])

        @property
        def camera_ids(self) -> list[str]:
            """The one camera."""
            return [self._driver.camera_id]

        @property
        def context_length(self) -> int:
            """Pictures wanted."""
            return CONTEXT_FRAMES

        @property
        def output_frequency_hz(self) -> int:
            """Of the trajectory."""
            return self._driver.frequency_hz

    return MotorworksModel

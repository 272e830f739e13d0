"""A policy of ours as a NAVSIM agent. Written against the public interface, never run here.

Interface: `navsim/agents/abstract_agent.py` and `navsim/common/dataclasses.py` of autonomousvision/navsim (v1.1 and v2): one front camera and
four ego states at 2 Hz in, eight poses at 2 Hz out, all in the rear-axle frame of now, x forward, y left: ours. The PyPI package `navsim` is
another project.
"""

from typing import Any

import numpy as np
from jaxtyping import Float

from motorworks.geometry.array import Array
from motorworks.policy.policy import Policy
from motorworks.sim.others.driver import Timed, load_policy, plan_from_history, poses_at, reframe
from motorworks.tokens.text import DEFAULT_INSTRUCTION

INTERVAL_S, NUM_POSES = 0.5, 8
_COMMANDS = ("turn left now", DEFAULT_INSTRUCTION, "turn right now", DEFAULT_INSTRUCTION)  # left, straight on, right, unknown


class NavsimDriver:
    """All of the agent that needs no NAVSIM."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def poses(self, agent_input: Any) -> Float[Array, "8 3"]:
        """Of an `AgentInput`: x_m y_m yaw_rad at 0.5 .. 4.0 s."""
        statuses, step_us = agent_input.ego_statuses, round(INTERVAL_S * 1e6)
        poses = [Timed(timestamp_us=k * step_us, value=np.asarray(status.ego_pose, np.float64)) for k, status in enumerate(statuses)]
        frames = [
            Timed(timestamp_us=k * step_us, value=_as_ours(cameras.cam_f0))
            for k, cameras in enumerate(agent_input.cameras)
            if cameras.cam_f0.image is not None
        ]
        speed = float(np.asarray(statuses[-1].ego_velocity)[0])
        command = np.asarray(statuses[-1].driving_command)
        instruction = _COMMANDS[int(command.argmax())] if command.any() else DEFAULT_INSTRUCTION
        plan = plan_from_history(self.policy, frames, poses, speed, instruction)
        return poses_at(plan, speed, INTERVAL_S * np.arange(1, NUM_POSES + 1))


def _as_ours(camera: Any) -> Array:
    intrinsics = np.asarray(camera.intrinsics, np.float64)
    return reframe(camera.image, (intrinsics[0, 0], intrinsics[1, 1]), (intrinsics[0, 2], intrinsics[1, 2]))


def __getattr__(name: str) -> Any:
    """The class exists where NAVSIM does."""
    if name != "MotorworksAgent":
        raise AttributeError(f"module {__name__} has no attribute {name}")
    from navsim.agents.abstract_agent import AbstractAgent
    from navsim.common.dataclasses import SensorConfig, Trajectory

    class MotorworksAgent(AbstractAgent):  # type: ignore[misc]
        """`bundle` is `bundle_folder:trusted_root.json`."""

        def __init__(self, bundle: str) -> None:
            super().__init__(requires_scene=False)
            self._bundle = bundle

        def name(self) -> str:
            """Of the agent."""
            return "motorworks"

        def initialize(self) -> None:
            """Opens the bundle."""
            self._driver = NavsimDriver(load_policy(self._bundle))

        def get_sensor_config(self) -> Any:
            """The front camera, with its history."""
            config = SensorConfig.build_no_sensors()
            config.cam_f0 = True
            return config

        def compute_trajectory(self, agent_input: Any) -> Any:
            """Their trajectory: 4 s at 2 Hz by default."""
            return Trajectory(self._driver.poses(agent_input).astype(np.float32))

    return MotorworksAgent

"""Clips of a drive, and rollouts among traffic, made on the spot."""

from collections.abc import Callable

import numpy as np
import pytest

from motorworks.bodies.body import integrate
from motorworks.datatypes.clip import Clip, Motion
from motorworks.datatypes.rollout import Rollout
from motorworks.datatypes.scenario import Scenario
from motorworks.datatypes.trajectory import Trajectory


@pytest.fixture
def drive() -> Callable[..., Clip]:
    """`drive(accel, curvature, speed)`: the clip of a body that follows these controls, with moving pictures."""

    def make(
        accel: np.ndarray,
        curvature: np.ndarray,
        speed: float = 5.0,
        *,
        body: str = "car",
        frames: bool = True,
        can_reverse: bool = False,
        seed: int = 0,
    ) -> Clip:
        poses, speeds = integrate(Trajectory(accel_mps2=accel, curvature_per_m=curvature), speed, can_reverse=can_reverse)
        num = len(accel)
        motion = Motion(
            kind="measured",
            poses_world=np.concatenate([np.zeros((1, 3)), poses[:-1]]),
            speed_mps=np.append(speed, speeds[:-1]),
            accel_mps2=accel,
            curvature_per_m=curvature,
        )
        pictures = np.random.default_rng(seed).integers(0, 255, (num, 24, 32, 3), np.uint8) if frames else None
        return Clip(
            recording_id=f"r{seed}", source="town", body=body, licence="", timestamp_us=np.arange(num) * 100_000, frames=pictures, motion=motion
        )

    return make


@pytest.fixture
def make_rollout() -> Callable[..., Rollout]:
    """`make_rollout(agents)`: east at 10 m/s for 6 s; `agents` is [agent, 4]: x, y, yaw, speed at the start, all cars."""

    def make(
        agents: list[list[float]] = (), *, num: int = 60, speed: float = 10.0, outcome: str = "completed", town_seed: int = 3, route_seed: int = 5
    ) -> Rollout:
        times = np.arange(num) * 0.1
        zeros = np.zeros(num)
        start = np.array(agents, float).reshape(-1, 4)
        travelled = times[:, None] * start[None, :, 3]
        boxes = np.stack(
            [
                start[:, 0] + travelled * np.cos(start[:, 2]),
                start[:, 1] + travelled * np.sin(start[:, 2]),
                *(np.broadcast_to(value, travelled.shape) for value in (start[:, 2], start[:, 3], 4.6, 1.85)),
            ],
            axis=-1,
        )
        return Rollout(
            scenario=Scenario(town_seed=town_seed, route_seed=route_seed),
            policy="p",
            outcome=outcome,
            collision_at_fault=True,
            route_length_m=100.0,
            ego_world=np.stack([speed * times, zeros, zeros], -1),
            speed_mps=zeros + speed,
            accel_mps2=zeros,
            curvature_per_m=zeros,
            progress_m=speed * times,
            lateral_offset_m=zeros,
            on_road=np.ones(num, bool),
            wrong_way=np.zeros(num, bool),
            in_junction=np.zeros(num, bool),
            speed_limit_mps=zeros + 10,
            agents_world=boxes,
            agents_valid=np.ones(boxes.shape[:2], bool),
            agents_kind=np.zeros(boxes.shape[1], np.uint8),
            red_light=np.zeros(num, bool),
            stop_sign=np.zeros(num, bool),
            gave_no_way=np.zeros(num, bool),
            blocks_siren=np.zeros(num, bool),
        )

    return make

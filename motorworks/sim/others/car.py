"""What a single foreign environment must say of its car, in our frame and units."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from jaxtyping import Float, UInt8

from motorworks.bodies.body import Body
from motorworks.datatypes.agent import CAR
from motorworks.datatypes.scenario import Scenario
from motorworks.geometry.array import Array


@dataclass(frozen=True, kw_only=True)
class Other:
    """Another road user: x_m y_m yaw_rad speed_mps length_m width_m of its box in the world frame, and what it is."""

    box_world: Float[Array, " 6"]
    kind: int = CAR


@dataclass(frozen=True, kw_only=True)
class CarState:
    """The car now. What a foreign world does not tell keeps its default."""

    pose_world: Float[Array, " 3"]  # x_m y_m yaw_rad of the rear axle
    speed_mps: float
    yaw_rate_radps: float
    progress_m: float  # along the route, from 0
    route_length_m: float
    lateral_offset_m: float  # left of the centreline it should follow is positive
    on_road: bool
    collision: bool = False  # in this episode
    off_road: bool = False  # so that the episode is over
    completed: bool = False
    timeout: bool = False
    speed_limit_mps: float = 15.0
    wrong_way: bool = False
    in_junction: bool = False
    frame: UInt8[Array, "height width 3"] | None = None  # forward picture, where there is one
    others: Mapping[Hashable, Other] = field(default_factory=dict)  # by an identity that lasts the episode


class ForeignCar(Protocol):
    """One environment of another simulator, driven by acceleration and curvature every 0.1 s."""

    name: str  # of the simulator
    body: Body  # its size, limits and where its rear axle is
    has_camera: bool

    def reset(self, scenario: Scenario, *, renders: bool) -> CarState:
        """Start again; the same scenario starts alike."""
        ...

    def step(self, accel_mps2: float, curvature_per_m: float) -> CarState:
        """0.1 s; both are within the body's limits."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


def seed_of(scenario: Scenario) -> int:
    """One seed of 31 bits for a town and a route."""
    return int(np.random.SeedSequence((scenario.town_seed, scenario.route_seed)).generate_state(1)[0] >> 1)


def rear_axle(centre_world: Float[Array, " 2"], yaw_rad: float, ahead_m: float) -> Float[Array, " 3"]:
    """Pose of the rear axle of a car whose reference point lies `ahead_m` before it."""
    yaw = (yaw_rad + np.pi) % (2 * np.pi) - np.pi
    return np.array([centre_world[0] - ahead_m * np.cos(yaw), centre_world[1] - ahead_m * np.sin(yaw), yaw])

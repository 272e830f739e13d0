"""The world socket: batched, Gymnasium-vector semantics, and what it reports after each step."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from jaxtyping import Bool, Float, Int, UInt8

from motorworks.datatypes.observation import Observation
from motorworks.datatypes.scenario import Scenario
from motorworks.datatypes.trajectory import Trajectory
from motorworks.geometry.array import Array


@dataclass(frozen=True, kw_only=True)
class WorldStep:
    """What one 0.1 s step did, per environment. A finished environment repeats its end state with zero progress."""

    observation: Observation
    terminated: Bool[Array, " batch"]  # collision, off the road, or route completed
    truncated: Bool[Array, " batch"]  # out of time
    progress_m: Float[Array, " batch"]  # this step's gain along the route; negative when moving back
    collision: Bool[Array, " batch"]
    at_fault: Bool[Array, " batch"]  # of that collision
    off_road: Bool[Array, " batch"]
    completed: Bool[Array, " batch"]
    wrong_way: Bool[Array, " batch"]
    red_light: Bool[Array, " batch"]  # crossed the line at a red light in this step
    stop_sign: Bool[Array, " batch"]  # passed a stop sign in this step without having stopped
    gave_no_way: Bool[Array, " batch"]  # entered a junction in this step where others had the right of way
    blocks_siren: Bool[Array, " batch"]  # keeps an emergency vehicle from passing
    lateral_offset_m: Float[Array, " batch"]
    speed_mps: Float[Array, " batch"]
    accel_mps2: Float[Array, " batch"]
    curvature_per_m: Float[Array, " batch"]
    min_gap_m: Float[Array, " batch"]  # to the nearest vehicle's box (largest separating-axis gap); inf if alone


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The true state now, for records and scores; no policy sees it."""

    ego_world: Float[Array, "batch 3"]
    speed_mps: Float[Array, " batch"]
    accel_mps2: Float[Array, " batch"]  # applied by the body in the last step
    curvature_per_m: Float[Array, " batch"]
    progress_m: Float[Array, " batch"]
    route_length_m: Float[Array, " batch"]
    lateral_offset_m: Float[Array, " batch"]
    on_road: Bool[Array, " batch"]  # all four corners of the ego box
    wrong_way: Bool[Array, " batch"]
    in_junction: Bool[Array, " batch"]
    speed_limit_mps: Float[Array, " batch"]
    agents_world: Float[Array, "batch agent 6"]
    agents_valid: Bool[Array, "batch agent"]
    agents_kind: UInt8[Array, "batch agent"]
    red_light: Bool[Array, " batch"]  # these four: in the step that led here
    stop_sign: Bool[Array, " batch"]
    gave_no_way: Bool[Array, " batch"]
    blocks_siren: Bool[Array, " batch"]
    collision_agent: Int[Array, " batch"]  # slot of the agent touched; -1 if none
    tags: tuple[tuple[str, ...], ...]  # operational design domain of each environment's scenario


class World(Protocol):
    """Many environments in step. No auto-reset: a finished environment stays frozen until it is reset."""

    name: str
    num_envs: int
    renders: bool  # settable; frames are None while false

    def reset(self, scenarios: Sequence[Scenario], env_ids: Int[Array, " n"] | None = None) -> Observation:
        """Restart the named environments (default: the first `len(scenarios)`, emptying the others); observation of all."""
        ...

    def step(self, trajectories: Trajectory) -> WorldStep:
        """Execute the first control of each trajectory."""
        ...

    def snapshot(self) -> Snapshot:
        """The true state now."""
        ...

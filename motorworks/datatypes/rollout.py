"""A rollout: what happened when a policy drove a scenario."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from jaxtyping import Bool, Float, UInt8

from motorworks.datatypes.rig import Camera
from motorworks.datatypes.scenario import Scenario
from motorworks.datatypes.thought import Thought
from motorworks.datatypes.trajectory import Trajectory
from motorworks.geometry.array import Array

OUTCOMES = ("completed", "collision", "off_road", "timeout", "cut")  # cut: the recording stopped, the drive went on


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """One episode at 10 Hz. Row t is the state in which the plan of step t was made; the last row is the end state."""

    scenario: Scenario
    policy: str
    outcome: str  # one of OUTCOMES
    collision_at_fault: bool
    route_length_m: float
    ego_world: Float[Array, "time 3"]  # x_m y_m yaw_rad, rear axle
    speed_mps: Float[Array, " time"]
    accel_mps2: Float[Array, " time"]  # applied by the body
    curvature_per_m: Float[Array, " time"]
    progress_m: Float[Array, " time"]  # along the route, from 0
    lateral_offset_m: Float[Array, " time"]
    on_road: Bool[Array, " time"]
    wrong_way: Bool[Array, " time"]  # ego box centre in an oncoming lane, outside junctions
    in_junction: Bool[Array, " time"]
    speed_limit_mps: Float[Array, " time"]
    agents_world: Float[Array, "time agent 6"]  # x_m y_m yaw_rad speed_mps length_m width_m; box centre
    agents_valid: Bool[Array, "time agent"]
    agents_kind: UInt8[Array, " agent"]  # datatypes.agent.AGENT_KINDS
    red_light: Bool[Array, " time"]  # in this row's step the front bumper crossed the line at a red light
    stop_sign: Bool[Array, " time"]  # ... passed a stop sign without having stopped
    gave_no_way: Bool[Array, " time"]  # ... entered a junction or crossing where others had the right of way
    blocks_siren: Bool[Array, " time"]  # kept an emergency vehicle from passing
    collision_agent: int = -1  # slot of the agent that was hit
    tags: tuple[str, ...] = ()  # the operational design domain it belongs to, e.g. "night", "traffic light"
    plans: Trajectory | None = None  # [time step]
    thoughts: tuple[Thought | None, ...] | None = None
    instructions: tuple[str, ...] | None = None
    frames: UInt8[Array, "time height width 3"] | None = None
    side_frames: Mapping[str, UInt8[Array, "time height width 3"]] = field(default_factory=dict)  # of a rig with several cameras, by name
    cameras: tuple[Camera, ...] = ()  # of such a rig

    def __post_init__(self) -> None:
        if self.outcome not in OUTCOMES:
            raise ValueError(f"outcome {self.outcome!r} is not one of {OUTCOMES}")

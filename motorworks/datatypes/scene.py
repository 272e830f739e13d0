"""A scene: the world at one time as a privileged driver sees it, in the rig frame. Batch first."""

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int

from motorworks.geometry.array import Array

PATH_SPACING_M = 2.0
NUM_PATH_POINTS = 40


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Route ahead, agents around, and who has the right of way. Distances are along the route; far means inf."""

    path_rig_m: Float[Array, "batch point 2"]  # route centreline ahead, every 2 m from the ego's projection on it
    path_curvature_per_m: Float[Array, "batch point"]
    lateral_offset_m: Float[Array, " batch"]  # left of the centreline is positive
    heading_error_rad: Float[Array, " batch"]  # ego yaw minus path yaw
    speed_mps: Float[Array, " batch"]
    speed_limit_mps: Float[Array, " batch"]
    remaining_m: Float[Array, " batch"]  # route left to drive
    junction_gap_m: Float[Array, " batch"]  # to the next junction's entry line; 0 inside; inf if none ahead
    junction_blocked: Bool[Array, " batch"]  # another agent holds a conflicting right of way
    turn: Int[Array, " batch"]  # the next (or current) junction's turn: -1 right, 0 straight on or none, 1 left
    lead_gap_m: Float[Array, " batch"]  # bumper to bumper, to the first agent on the route ahead
    lead_speed_mps: Float[Array, " batch"]  # along the route
    agents_rig: Float[Array, "batch agent 6"]  # x_m y_m yaw_rad speed_mps length_m width_m; box centre
    agents_valid: Bool[Array, "batch agent"]

"""A scene: the world at one time as a privileged driver sees it, in the rig frame. Batch first."""

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int

from motorworks.geometry.array import Array

PATH_SPACING_M = 2.0
NUM_PATH_POINTS = 40
NUM_NEAREST = 16
AGENT_COLUMNS = ("x_m", "y_m", "yaw_rad", "speed_mps", "length_m", "width_m", "kind", "yaw_rate_radps")
LIGHTS = ("none", "green", "yellow", "red")
NO_LIGHT, GREEN, YELLOW, RED = range(len(LIGHTS))
STOP_CAUSES = ("none", "red light", "stop sign", "must give way", "junction occupied", "crossing occupied")
NO_STOP, RED_LIGHT, STOP_SIGN, GIVE_WAY, OCCUPIED, CROSSING = range(len(STOP_CAUSES))


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Route ahead, agents around, and who has the right of way. Distances are along the route; far means inf."""

    path_rig_m: Float[Array, "batch point 2"]  # route centreline ahead, every 2 m from the ego's projection on it
    path_curvature_per_m: Float[Array, "batch point"]
    lateral_offset_m: Float[Array, " batch"]  # left of the centreline is positive
    heading_error_rad: Float[Array, " batch"]  # ego yaw minus path yaw
    speed_mps: Float[Array, " batch"]
    curvature_per_m: Float[Array, " batch"]  # of the ego's own motion now
    speed_limit_mps: Float[Array, " batch"]
    remaining_m: Float[Array, " batch"]  # route left to drive
    left_room_m: Float[Array, " batch"]  # from the route's centreline to the left end of the pavement, oncoming lanes included
    left_own_m: Float[Array, " batch"]  # to the left end of lanes in our direction
    right_room_m: Float[Array, " batch"]  # to the right end of the pavement
    junction_gap_m: Float[Array, " batch"]  # front bumper to the next junction's entry line; 0 inside; inf if none ahead
    junction_blocked: Bool[Array, " batch"]  # the ego may not enter the next junction now
    turn: Int[Array, " batch"]  # the next (or current) junction's turn: -1 right, 0 straight on or none, 1 left
    light: Int[Array, " batch"]  # of the next junction, one of LIGHTS
    stop_gap_m: Float[Array, " batch"]  # front bumper to the line where the ego must stop; inf where it need not
    stop_cause: Int[Array, " batch"]  # why, one of STOP_CAUSES
    siren_gap_m: Float[Array, " batch"]  # to an emergency vehicle coming up behind; inf if none
    lead_gap_m: Float[Array, " batch"]  # bumper to bumper, to the first agent on the route ahead
    lead_speed_mps: Float[Array, " batch"]  # along the route
    agents_rig: Float[Array, "batch agent 8"]  # AGENT_COLUMNS, nearest first; box centre
    agents_valid: Bool[Array, "batch agent"]

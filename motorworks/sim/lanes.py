"""A town's lanes as flat arrays, the form that kernels read. Who may drive where, in which order, and who gives way."""

from dataclasses import dataclass
from typing import NamedTuple

from jaxtyping import Bool, Float

from motorworks.geometry.array import Array

LANE_WIDTH_M = 3.5
SPACING_M = 1.0  # of lane points, nearly: each lane divides its length evenly
MAX_NEXT, MAX_RIVALS = 6, 28
DRIVE, WALK = 0, 1  # lane kinds
FREE, LIGHT, STOP, ALL_STOP, YIELD, CROSSWALK = range(6)  # control of a connector
SIGNAL_COLUMNS = ("cycle_steps", "green_from", "green_steps", "yellow_steps")  # int32; red else; step = clock % cycle


class Lanes(NamedTuple):
    """Points of lane i are `first[i] : first[i] + num_points[i]`. A *connector* leads through a junction; other lanes lie between.

    Drivers on a connector's `source` lane wait at its end until they are granted the connector. Crossings for people on foot are connectors too
    (kind WALK), between pavement lanes. Roundabouts are made of small junctions on a ring.
    """

    first: Array  # [lane] int32
    num_points: Array
    length: Array  # float64
    step: Array  # point spacing of the lane
    limit: Array  # m/s
    kind: Array  # int8: DRIVE or WALK
    junction: Array  # node of a connector that must be granted, else -1
    turn: Array  # of a connector: -1 right, 0 straight, 1 left
    source: Array  # of a connector: the lane it leaves; else -1
    next: Array  # [lane, MAX_NEXT], -1 padded; every lane leads somewhere
    num_next: Array
    left: Array  # the lane to the left in the same direction, parallel to this one from end to end; -1 if none
    right: Array
    opposite: Array  # nearest lane of the other direction beside this one, -1 if none
    control: Array  # of a connector: FREE .. CROSSWALK; int8
    signal: Array  # of a connector under LIGHT, and of a CROSSWALK beside one: row of the signal table; else -1
    rivals: Array  # [lane, MAX_RIVALS] connectors that cannot be used at the same time as this one, -1 padded
    num_rivals: Array
    gives_way: Array  # [lane, MAX_RIVALS] bool: to traffic that approaches that rival with the right to enter it
    left_room: Array  # metres from the lane's centreline to the left end of the pavement (oncoming lanes included)
    left_own: Array  # ... of lanes in this direction
    right_room: Array  # ... to the right end of the pavement, parking lane included
    points: Array  # [point, 5]: x, y, yaw (unwrapped in a lane), curvature, comfortable speed


@dataclass(frozen=True, kw_only=True)
class Network:
    """One town's lanes with ids from 0, its signal table, and what its painter needs."""

    name: str  # "town-17", or the imported file's name
    lanes: Lanes
    signals: Float[Array, "signal 4"]  # SIGNAL_COLUMNS
    stop_lines: Float[Array, "line 5"]  # x_m y_m yaw_rad width_m kind (STOP_LINE, YIELD_LINE) of what is painted across a lane's end
    crosswalks: Float[Array, "crosswalk 6"]  # x_m y_m of both ends of the centre line, width_m, 0
    strokes: tuple[object, ...]  # road pieces to paint, see ground.py
    outlines: tuple[Float[Array, "vertex 2"], ...]  # junction areas
    posts: Float[Array, "post 6"]  # x_m y_m yaw_rad kind value signal: signs and signal heads beside the road, see ground.py
    size_m: tuple[float, float]  # everything lies in [0, size]
    on_ring: Bool[Array, " lane"]  # lanes and connectors that circulate in a roundabout

"""What is around, in the path's coordinates: the road ahead, who is where, where they will be, and who calls for care. Scalar kernels.

Everyone is forecast at constant speed. Who drives along our road (either way) is taken to follow its bends; all others keep their yaw
rate. People on foot keep their velocity. Read by `pdm`.
"""

from typing import NamedTuple

import numpy as np

from motorworks.datatypes.agent import CHILD, CYCLIST, FIRST_OBJECT, FIRST_WALKER
from motorworks.datatypes.scene import NUM_PATH_POINTS, PATH_SPACING_M, Scene
from motorworks.geometry.array import Array
from motorworks.geometry.kernel import kernel
from motorworks.policy.lane_plan import column, value_at

FRONT_M, CENTRE_M, HALF_LENGTH_M, HALF_WIDTH_M = 3.7, 1.4, 2.3, 0.925  # bodies.CAR
SIM_DT_S, NUM_SIM = 0.25, 18  # 4.5 s
NUM_SHIFT_M = 48
ALONG, LEFT, HALF_ALONG, HALF_LEFT, SPEED_ALONG, SPEED_LEFT, KIND, RADIUS, USE, SPEED = range(10)  # columns of `around`
NUM_AROUND = 10
FAR_AWAY, COUNTS, MAY_YIELD = 0.0, 1.0, 2.0  # USE: never met; counts in collisions; can still let us pass, and has to
X, Y, COS, SIN = range(4)  # columns of `future`
YIELD_DECEL_MPS2 = 3.0  # who needs no more than this to stop before our corridor is trusted to
CORRIDOR_M = 1.6  # half the width that others should keep out of


class SceneArrays(NamedTuple):
    """The scene as kernels take it: float64, contiguous."""

    path: Array
    curvature: Array
    start: Array  # [batch, 3]: lateral offset, heading error, speed
    kappa: Array
    limit: Array
    remaining: Array
    left_room: Array
    left_own: Array
    right_room: Array
    junction_gap: Array
    turn: Array
    light: Array
    stop_gap: Array
    stop_cause: Array
    siren_gap: Array
    lead_gap: Array
    lead_speed: Array
    agents: Array
    valid: Array


class Scratch(NamedTuple):
    """Working memory of one plan."""

    road: Array  # [point, 3]: x, y, yaw in the rig frame
    profile: Array  # [point]
    around: Array  # [agent, NUM_AROUND]
    future: Array  # [agent, NUM_SIM, 4]
    leads: Array  # [agent + 1, 3]: gap, speed, index
    shift: Array  # [metre]: distance from the path during a shift
    innocent: Array  # [agent]: ran into us from behind


def scene_arrays(scene: Scene) -> SceneArrays:
    """Views where the scene has the right type already, copies elsewhere."""
    batch = len(scene.speed_mps)
    one = {
        "kappa": scene.curvature_per_m,
        "limit": scene.speed_limit_mps,
        "remaining": scene.remaining_m,
        "left_room": scene.left_room_m,
        "left_own": scene.left_own_m,
        "right_room": scene.right_room_m,
        "junction_gap": scene.junction_gap_m,
        "turn": scene.turn,
        "light": scene.light,
        "stop_gap": scene.stop_gap_m,
        "stop_cause": scene.stop_cause,
        "siren_gap": scene.siren_gap_m,
        "lead_gap": scene.lead_gap_m,
        "lead_speed": scene.lead_speed_mps,
    }
    start = np.stack([column(batch, of) for of in (scene.lateral_offset_m, scene.heading_error_rad, scene.speed_mps)], axis=-1)
    return SceneArrays(
        path=np.ascontiguousarray(scene.path_rig_m, np.float64),
        curvature=np.ascontiguousarray(scene.path_curvature_per_m, np.float64),
        start=start,
        agents=np.ascontiguousarray(scene.agents_rig, np.float64),
        valid=np.ascontiguousarray(scene.agents_valid, np.bool_),
        **{name: column(batch, value) for name, value in one.items()},
    )


def empty_scratch(num_agents: int, num_points: int = NUM_PATH_POINTS) -> Scratch:
    """For scenes of this size."""
    return Scratch(
        road=np.zeros((num_points, 3)),
        profile=np.zeros(num_points),
        around=np.zeros((num_agents, NUM_AROUND)),
        future=np.zeros((num_agents, NUM_SIM, 4)),
        leads=np.zeros((num_agents + 1, 3)),
        shift=np.zeros(NUM_SHIFT_M),
        innocent=np.zeros(num_agents, np.bool_),
    )


@kernel
def lay_road(path: Array, remaining: float, heading_error: float, road: Array) -> None:
    """The path's points and directions; straight on beyond the route's end, where the scene repeats its last point."""
    last = len(road) - 1
    num = min(max(int(remaining / PATH_SPACING_M), 1), last)
    yaw = -heading_error
    for i in range(num + 1):
        lo, hi = max(i - 1, 0), min(i + 1, num)
        dx, dy = path[hi, 0] - path[lo, 0], path[hi, 1] - path[lo, 1]
        if i > 0 and dx * dx + dy * dy > 1e-6:
            new = np.arctan2(dy, dx)
            yaw += (new - yaw + np.pi) % (2.0 * np.pi) - np.pi
        road[i, 0], road[i, 1], road[i, 2] = path[i, 0], path[i, 1], yaw
    for i in range(num + 1, last + 1):
        road[i, 0], road[i, 1] = road[i - 1, 0] + PATH_SPACING_M * np.cos(yaw), road[i - 1, 1] + PATH_SPACING_M * np.sin(yaw)
        road[i, 2] = yaw


@kernel
def place_on_road(road: Array, s: float, e: float) -> tuple[float, float, float]:
    """x, y and the road's direction at (along, left), straight beyond both ends."""
    q = s / PATH_SPACING_M
    i = min(max(int(q), 0), len(road) - 2)
    f = q - i
    g = min(max(f, 0.0), 1.0)
    yaw = road[i, 2] + g * (road[i + 1, 2] - road[i, 2])
    c, d = np.cos(yaw), np.sin(yaw)
    beyond = (f - g) * PATH_SPACING_M
    x = road[i, 0] + g * (road[i + 1, 0] - road[i, 0]) + beyond * c - e * d
    y = road[i, 1] + g * (road[i + 1, 1] - road[i, 1]) + beyond * d + e * c
    return x, y, yaw


@kernel
def _find_on_road(road: Array, x: float, y: float) -> tuple[float, float, float]:
    """(along, left) of a point, and the road's direction there."""
    best, at = 1e18, 0
    for i in range(len(road)):
        d = (road[i, 0] - x) ** 2 + (road[i, 1] - y) ** 2
        if d < best:
            best, at = d, i
    yaw = road[at, 2]
    c, s = np.cos(yaw), np.sin(yaw)
    dx, dy = x - road[at, 0], y - road[at, 1]
    return at * PATH_SPACING_M + c * dx + s * dy, c * dy - s * dx, yaw


@kernel
def look_around(agents: Array, valid: Array, curvature: Array, scratch: Scratch) -> None:
    """Fills `around` and `future`."""
    around = scratch.around
    for a in range(len(agents)):
        around[a, USE] = FAR_AWAY
        if not valid[a]:
            continue
        x, y, yaw, v, kind, rate = agents[a, 0], agents[a, 1], agents[a, 2], agents[a, 3], int(agents[a, 6]), agents[a, 7]
        s, e, road_yaw = _find_on_road(scratch.road, x, y)
        if s < -40.0 or s > 100.0 or abs(e) > 40.0:
            continue
        c, d = np.cos(yaw - road_yaw), np.sin(yaw - road_yaw)
        hl, hw = agents[a, 4] / 2.0, agents[a, 5] / 2.0
        row = around[a]
        row[ALONG], row[LEFT] = s, e
        row[HALF_ALONG], row[HALF_LEFT] = hl * abs(c) + hw * abs(d), hl * abs(d) + hw * abs(c)
        row[SPEED_ALONG], row[SPEED_LEFT] = v * c, v * d
        row[KIND], row[RADIUS], row[SPEED] = kind, np.sqrt(hl * hl + hw * hw), v
        row[USE] = MAY_YIELD if _may_yield(row, c) else COUNTS
        along_road = abs(d) < 0.35 and abs(e) < 9.0 and s < NUM_PATH_POINTS * PATH_SPACING_M and kind <= CYCLIST
        bend = value_at(curvature, s)
        if along_road and abs(rate - v * c * bend) < 0.2:
            _forecast_along_road(row, bend, d, c, scratch.road, scratch.future[a])
        else:
            _forecast_freely(x, y, yaw, v, 0.0 if kind >= FIRST_WALKER else rate, scratch.future[a])


@kernel
def _may_yield(row: Array, cos: float) -> bool:
    """A vehicle that crosses our road, is not in our corridor yet, and can stop before it without drama."""
    if row[KIND] > CYCLIST or abs(cos) > 0.85 or row[ALONG] < 0.0:
        return False
    to_corridor = abs(row[LEFT]) - row[HALF_LEFT] - CORRIDOR_M
    towards = -row[SPEED_LEFT] if row[LEFT] > 0 else row[SPEED_LEFT]
    return to_corridor > 0.5 and towards > 0.0 and row[SPEED] ** 2 < 2.0 * YIELD_DECEL_MPS2 * (to_corridor - 0.3)


@kernel
def _forecast_along_road(row: Array, bend: float, d: float, c: float, road: Array, out: Array) -> None:
    """Keeps to its distance from our path; a drift sideways fades within 1.5 s or so."""
    s, e, drift = row[ALONG], row[LEFT], row[SPEED_LEFT]
    rate = row[SPEED_ALONG] / max(1.0 - bend * e, 0.4)
    turned = np.arcsin(d) if c > 0 else np.pi - np.arcsin(d)
    for t in range(len(out)):
        s += rate * SIM_DT_S
        e += drift * SIM_DT_S
        drift *= 0.85
        x, y, yaw = place_on_road(road, s, e)
        out[t, X], out[t, Y] = x, y
        out[t, COS], out[t, SIN] = np.cos(yaw + turned), np.sin(yaw + turned)


@kernel
def _forecast_freely(x: float, y: float, yaw: float, v: float, rate: float, out: Array) -> None:
    rate = min(max(rate, -1.0), 1.0) if v > 0.5 else 0.0
    c, s = np.cos(yaw), np.sin(yaw)
    for t in range(len(out)):
        if rate != 0.0:
            yaw += rate * SIM_DT_S
            c, s = np.cos(yaw), np.sin(yaw)
        x, y = x + v * c * SIM_DT_S, y + v * s * SIM_DT_S
        out[t, X], out[t, Y], out[t, COS], out[t, SIN] = x, y, c, s


CAREFUL_MPS, CAREFUL_CHILD_MPS = 5.0, 4.0  # past people who may step out
CARE_SIDE_M = 2.2  # clear of our side by less than this


@kernel
def take_care(around: Array, start: Array, left_room: float, right_room: float, profile: Array) -> int:
    """Lowers the speeds past people who stand at the road or walk towards it; the kind that asked for it, else -1."""
    asked = -1
    for a in range(len(around)):
        row = around[a]
        if row[USE] == FAR_AWAY or row[KIND] < FIRST_WALKER or row[KIND] >= FIRST_OBJECT or row[ALONG] < 2.0:
            continue
        clear = abs(row[LEFT]) - row[HALF_LEFT] - HALF_WIDTH_M
        towards = -row[SPEED_LEFT] if row[LEFT] > 0 else row[SPEED_LEFT]
        arrives_s = (row[ALONG] - FRONT_M) / max(start[2], 1.0)
        stands = row[SPEED] < 0.3 and clear < CARE_SIDE_M
        comes = towards > 0.3 and clear < 6.0 and clear / towards < arrives_s + 2.5
        child = row[KIND] == CHILD and clear < 3.5 and towards > -0.3
        if not (stands or comes or child):
            continue
        careful = CAREFUL_CHILD_MPS if row[KIND] == CHILD or comes else CAREFUL_MPS
        first = max(int((row[ALONG] - FRONT_M - 3.0) / PATH_SPACING_M), 0)
        last = min(int((row[ALONG] - 1.0) / PATH_SPACING_M), len(profile) - 1)
        for i in range(first, last + 1):
            if careful < profile[i]:
                profile[i] = careful
                asked = int(row[KIND])
    return asked

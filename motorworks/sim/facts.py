"""What the sensing kernels report, one row per policy's body."""

from typing import NamedTuple

import numpy as np

from motorworks.datatypes.scene import AGENT_COLUMNS, NUM_NEAREST, NUM_PATH_POINTS
from motorworks.geometry.array import Array


class Facts(NamedTuple):
    """`[ego]` each but for the path and the nearest agents."""

    progress: Array
    lateral: Array
    heading_error: Array
    limit: Array
    left_room: Array
    left_own: Array
    right_room: Array
    junction_gap: Array
    in_junction: Array
    turn: Array
    light: Array
    stop_gap: Array
    stop_cause: Array
    siren_gap: Array
    lead_gap: Array
    lead_speed: Array
    on_road: Array
    centre_off: Array
    wrong_way: Array
    collision: Array
    at_fault: Array
    collision_agent: Array
    min_gap: Array
    entering: Array  # the front has just crossed a line without having been granted its connector
    waited: Array  # s, standing with an unused grant
    red_light: Array
    stop_sign: Array
    gave_no_way: Array
    blocks_siren: Array
    siren_s: Array  # how long it has been in a siren's way
    word: Array  # the next manoeuvre, an index of route.WORDS; -1 if none
    word_gap: Array  # metres to it
    path: Array  # [ego, point, 2]
    path_curvature: Array  # [ego, point]
    nearest: Array  # [ego, NUM_NEAREST, 8]
    nearest_valid: Array
    noise: Array  # [ego, 4] standard normal: speed, yaw rate, position, heading


_FLAGS = ("in_junction", "on_road", "centre_off", "wrong_way", "collision", "at_fault", "entering")
_EVENTS = ("red_light", "stop_sign", "gave_no_way", "blocks_siren")
_WHOLE = ("turn", "light", "stop_cause", "collision_agent", "word")
_FAR = ("junction_gap", "stop_gap", "siren_gap", "lead_gap", "min_gap", "word_gap")


def empty_facts(num: int) -> Facts:
    """Zeros, and nothing ahead."""
    rows: dict[str, Array] = {}
    for name in Facts._fields:
        rows[name] = np.zeros(num, np.bool_ if name in (*_FLAGS, *_EVENTS) else np.int64 if name in _WHOLE else np.float64)
        if name in _FAR:
            rows[name][:] = np.inf
    rows["path"], rows["path_curvature"] = np.zeros((num, NUM_PATH_POINTS, 2)), np.zeros((num, NUM_PATH_POINTS))
    rows["nearest"], rows["nearest_valid"] = np.zeros((num, NUM_NEAREST, len(AGENT_COLUMNS))), np.zeros((num, NUM_NEAREST), np.bool_)
    rows["noise"] = np.zeros((num, 4))
    return Facts(**rows)

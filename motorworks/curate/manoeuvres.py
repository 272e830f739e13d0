"""Manoeuvres read off the path that was driven: turns, lane changes, roundabouts, stop and go. Geometry only, so each can be fooled.

A bend as tight as a junction is a turn, a gentle S-bend as wide as a lane is a lane change, a chicane with a long middle is a roundabout.
"""

import numpy as np
from jaxtyping import Bool, Float
from numpy.lib.stride_tricks import sliding_window_view

from motorworks.curate.evidence import Drive
from motorworks.curate.filters import runs
from motorworks.datatypes.trajectory import DT_S
from motorworks.geometry.array import Array

TURN_RAD, U_TURN_RAD, LOOP_RAD = 0.9, 2.5, 4.0  # heading gained in one bend: 50 degrees, 145 degrees, 230 degrees
_TIGHT_PER_M, _TIGHTEST_PER_M = 1 / 40, 1 / 25  # throughout, and somewhere, in a junction's bend; a road's or a ramp's is wider
_U_TURN_M = 30.0  # from where a U-turn starts to where it ends
_BRIDGE_M = 3.0  # a bend goes on after a halt in it, or a moment of straight wheels
_LANE_M = (2.2, 5.0)  # sideways in a lane change
_LANE_CHANGE_S = (2.0, 3.0, 4.0, 5.0, 6.0, 7.0)
_PARALLEL_RAD, _SLANT_RAD = 0.035, 0.02
_STEADY_S = 1.0  # before and after a lane change the heading holds
_ROAD_MPS = 5.0
_CURVY_PER_M, _CURVY_S = 1 / 120, 10.0
_QUEUE_S, _QUEUE_HALTS = 15.0, 3


def find_turns(drive: Drive) -> dict[str, Bool[Array, " time"]]:
    """Steps of left turns, right turns and U-turns; those of a roundabout are neither. Of a turn that the clip cuts off, half is enough."""
    num = len(drive.speed_mps)
    masks = {name: np.zeros(num, bool) for name in ("left turn", "right turn", "u-turn")}
    for side, name in ((1, "left turn"), (-1, "right turn")):
        for start, stop, turned in _bends(drive, side, _TIGHT_PER_M):
            across_m = float(np.hypot(drive.x_m[stop - 1] - drive.x_m[start], drive.y_m[stop - 1] - drive.y_m[start]))
            if (side * drive.curvature_per_m[start:stop]).max() < _TIGHTEST_PER_M:
                continue
            least = TURN_RAD / 2 if start == 0 or stop == num else TURN_RAD
            if least <= turned < U_TURN_RAD:
                masks[name][start:stop] = True
            elif U_TURN_RAD <= turned < LOOP_RAD and across_m < _U_TURN_M:
                masks["u-turn"][start:stop] = True
    round_about = find_roundabouts(drive)
    return {name: mask & ~round_about for name, mask in masks.items()}


def find_lane_changes(drive: Drive, *, side: int) -> Bool[Array, " time"]:
    """Steps in which the car moves one lane to `side` (1 left, -1 right) and then goes on in its old heading, at speed.

    Amid bends that cannot be told from following the road, so there nothing is found.
    """
    curvy = is_curvy(drive)
    num, mask = len(drive.speed_mps), np.zeros(len(drive.speed_mps), bool)
    steady = round(_STEADY_S / DT_S)
    held = np.zeros(num, bool)  # the heading held from `steady` steps earlier
    held[steady:] = np.abs(drive.yaw_rad[steady:] - drive.yaw_rad[:-steady]) < _PARALLEL_RAD
    for duration_s in _LANE_CHANGE_S:  # short ones first: a longer window around one adds nothing
        size = round(duration_s / DT_S)
        if num < size + 2 * steady + 1:
            continue
        starts = np.arange(steady, num - size - steady)
        stops = starts + size
        yaw = drive.yaw_rad[starts]
        dx, dy = drive.x_m[stops] - drive.x_m[starts], drive.y_m[stops] - drive.y_m[starts]
        aside_m = side * (np.cos(yaw) * dy - np.sin(yaw) * dx)
        slant = side * (sliding_window_view(drive.yaw_rad, size + 1)[starts] - yaw[:, None])
        good = (aside_m >= _LANE_M[0]) & (aside_m <= _LANE_M[1]) & (np.abs(slant[:, -1]) < _PARALLEL_RAD)
        good &= (slant.max(axis=1) >= _SLANT_RAD) & (slant.min(axis=1) > -_PARALLEL_RAD) & held[starts] & held[stops + steady]
        good &= sliding_window_view(drive.speed_mps, size + 1)[starts].min(axis=1) >= _ROAD_MPS
        for index in np.flatnonzero(good):
            here = slice(starts[index], stops[index] + 1)
            if not mask[here].any() and not curvy[here].any():
                mask[here] = True
    return mask


def find_roundabouts(drive: Drive) -> Bool[Array, " time"]:
    """Steps that look like a roundabout: aside, round the other way, aside again, close upon each other. Right-hand and left-hand traffic."""
    mask, least_in, least_round, apart_m = np.zeros(len(drive.speed_mps), bool), 0.2, 0.6, 20.0
    along_m = _travelled(drive)
    for side in (1, -1):  # the side that one circles to
        middle = [bend for bend in _bends(drive, side, _TIGHT_PER_M) if bend[2] >= least_round]
        outer = [bend for bend in _bends(drive, -side, _TIGHT_PER_M / 2) if bend[2] >= least_in]
        for start, stop, _ in middle:
            entry = [bend for bend in outer if bend[1] <= start and along_m[start] - along_m[bend[1] - 1] < apart_m]
            leave = [bend for bend in outer if bend[0] >= stop - 1 and along_m[bend[0]] - along_m[stop - 1] < apart_m]
            if entry and leave:
                mask[entry[-1][0] : leave[0][1]] = True
    return mask


def find_stop_and_go(still: Bool[Array, " time"]) -> Bool[Array, " time"]:
    """From the first to the last of three halts or more, each soon after the one before."""
    mask = np.zeros(len(still), bool)
    chain: list[tuple[int, int]] = []
    for start, stop in [*runs(still), (10**9, 10**9)]:
        if chain and (start - chain[-1][1]) * DT_S > _QUEUE_S:
            if len(chain) >= _QUEUE_HALTS:
                mask[chain[0][0] : chain[-1][1]] = True
            chain = []
        chain.append((start, stop))
    return mask


def is_curvy(drive: Drive) -> Bool[Array, " time"]:
    """Steps amid ten seconds of much bending; turns at junctions do not count."""
    turns = find_turns(drive)
    moved, bent = np.diff(_travelled(drive), prepend=0.0), np.abs(drive.yaw_rate_radps) * DT_S
    junction = np.logical_or.reduce([*turns.values(), find_roundabouts(drive)])
    bent[junction] = moved[junction] = 0.0
    window = np.ones(min(round(_CURVY_S / DT_S), len(moved)))
    metres = np.convolve(moved, window, mode="same")
    return (np.convolve(bent, window, mode="same") > _CURVY_PER_M * metres) & (metres > 30.0) & ~junction


def _bends(drive: Drive, side: int, least_per_m: float) -> list[tuple[int, int, float]]:
    """Forward bends to one side at least so tight: [start, stop) and the heading gained, in radians; parts close upon each other are one."""
    along_m = _travelled(drive)
    bending = (side * drive.curvature_per_m > least_per_m) & (drive.speed_mps > 0.3)
    parts: list[tuple[int, int]] = []
    for start, stop in runs(bending):
        if parts and along_m[start] - along_m[parts[-1][1] - 1] < _BRIDGE_M:
            parts[-1] = (parts[-1][0], stop)
        else:
            parts.append((start, stop))
    last = len(along_m) - 1
    return [(start, stop, side * float(drive.yaw_rad[min(stop, last)] - drive.yaw_rad[max(start - 1, 0)])) for start, stop in parts]


def _travelled(drive: Drive) -> Float[Array, " time"]:
    return np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(drive.x_m), np.diff(drive.y_m)))])

"""Two oriented boxes: do they touch, how far apart are they, and when do they meet? Separating axes, vectorised."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float

from motorworks.bodies.body import Body
from motorworks.geometry.array import Array

_STILL_MPS = 1e-9  # relative speed along an axis below which nothing changes there


def ego_boxes(poses: Float[Array, "*batch 3"], body: Body) -> Float[Array, "*batch 5"]:
    """x_m y_m yaw_rad length_m width_m of the body whose rear axle is at each pose; box centre."""
    cos, sin = np.cos(poses[..., 2]), np.sin(poses[..., 2])
    length, width = np.full_like(cos, body.length_m), np.full_like(cos, body.width_m)
    return np.stack([poses[..., 0] + body.centre_ahead_m * cos, poses[..., 1] + body.centre_ahead_m * sin, poses[..., 2], length, width], axis=-1)


def agent_boxes(agents: Float[Array, "*batch 6"], ahead_s: float = 0.0) -> Float[Array, "*batch 5"]:
    """The boxes of agents (x y yaw speed length width) after `ahead_s` at constant velocity."""
    x = agents[..., 0] + agents[..., 3] * np.cos(agents[..., 2]) * ahead_s
    y = agents[..., 1] + agents[..., 3] * np.sin(agents[..., 2]) * ahead_s
    return np.stack([x, y, agents[..., 2], agents[..., 4], agents[..., 5]], axis=-1)


def boxes_touch(a: Float[Array, "*batch 5"], b: Float[Array, "*batch 5"]) -> Bool[Array, "*batch"]:
    """True where two boxes (x y yaw length width) overlap; leading axes broadcast; NaN boxes touch nothing."""
    dx, dy = b[..., 0] - a[..., 0], b[..., 1] - a[..., 1]
    near = dx * dx + dy * dy <= ((_radius(a) + _radius(b)) ** 2)
    if not near.any():
        return near
    touch = near.copy()
    if near.mean() < 0.5:  # most pairs are far apart: look closely at the rest only
        a, b = np.broadcast_to(a, (*near.shape, 5))[near], np.broadcast_to(b, (*near.shape, 5))[near]
        touch[near] = _overlap(a, b)
        return touch
    return near & _overlap(a, b)


def gap_between_m(a: Float[Array, "*batch 5"], b: Float[Array, "*batch 5"]) -> Float[Array, "*batch"]:
    """The largest gap along the boxes' axes, a little less than their distance at corners; 0 where they touch."""
    gap = np.zeros(np.broadcast_shapes(a.shape[:-1], b.shape[:-1]))
    for distance, reach, _, _ in _axes(a, b):
        np.maximum(gap, np.abs(distance) - reach, out=gap)
    return gap


def contact_window_s(
    a: Float[Array, "*batch 5"], speed_a_mps: Float[Array, "*batch"], b: Float[Array, "*batch 5"], speed_b_mps: Float[Array, "*batch"]
) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"]]:
    """From when until when two boxes overlap if each keeps its velocity along its own yaw; from > until where they never do.

    Exact: along each separating axis the distance is linear in time, so the overlap there is one interval; all four must hold at once.
    """
    vx = speed_b_mps * np.cos(b[..., 2]) - speed_a_mps * np.cos(a[..., 2])
    vy = speed_b_mps * np.sin(b[..., 2]) - speed_a_mps * np.sin(a[..., 2])
    start, end = np.full(np.shape(vx), -np.inf), np.full(np.shape(vx), np.inf)
    for distance, reach, cos, sin in _axes(a, b):
        closing = vx * cos + vy * sin
        still = np.abs(closing) < _STILL_MPS
        rate = np.where(still, 1.0, closing)
        middle, half = -distance / rate, reach / np.abs(rate)
        never = still & (np.abs(distance) > reach)
        np.maximum(start, np.where(never, np.inf, np.where(still, -np.inf, middle - half)), out=start)
        np.minimum(end, np.where(never, -np.inf, np.where(still, np.inf, middle + half)), out=end)
    return start, end


def _radius(box: Float[Array, "*batch 5"]) -> Float[Array, "*batch"]:
    return np.hypot(box[..., 3], box[..., 4]) / 2


def _overlap(a: Float[Array, "*batch 5"], b: Float[Array, "*batch 5"]) -> Bool[Array, "*batch"]:
    touch = np.ones(np.broadcast_shapes(a.shape[:-1], b.shape[:-1]), bool)
    for distance, reach, _, _ in _axes(a, b):
        touch &= np.abs(distance) <= reach
    return touch


def _axes(a: Float[Array, "*batch 5"], b: Float[Array, "*batch 5"]) -> Iterator[tuple[Array, Array, Array, Array]]:
    """For each of the four axes: distance of the centres along it, half extents of both boxes along it, and its direction."""
    dx, dy = b[..., 0] - a[..., 0], b[..., 1] - a[..., 1]
    cos_a, sin_a, cos_b, sin_b = np.cos(a[..., 2]), np.sin(a[..., 2]), np.cos(b[..., 2]), np.sin(b[..., 2])
    cross, along = np.abs(cos_a * sin_b - sin_a * cos_b), np.abs(cos_a * cos_b + sin_a * sin_b)
    half_la, half_wa, half_lb, half_wb = a[..., 3] / 2, a[..., 4] / 2, b[..., 3] / 2, b[..., 4] / 2
    yield dx * cos_a + dy * sin_a, half_la + half_lb * along + half_wb * cross, cos_a, sin_a
    yield dy * cos_a - dx * sin_a, half_wa + half_lb * cross + half_wb * along, -sin_a, cos_a
    yield dx * cos_b + dy * sin_b, half_lb + half_la * along + half_wa * cross, cos_b, sin_b
    yield dy * cos_b - dx * sin_b, half_wb + half_la * cross + half_wa * along, -sin_b, cos_b

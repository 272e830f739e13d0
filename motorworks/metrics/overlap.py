"""Do two oriented boxes touch? Separating axes, vectorised."""

import numpy as np
from jaxtyping import Bool, Float

from motorworks.bodies.body import Body
from motorworks.geometry.array import Array


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
        touch[near] = _separating_axes(a, b)
        return touch
    return near & _separating_axes(a, b)


def _radius(box: Float[Array, "*batch 5"]) -> Float[Array, "*batch"]:
    return np.hypot(box[..., 3], box[..., 4]) / 2


def _separating_axes(a: Float[Array, "*batch 5"], b: Float[Array, "*batch 5"]) -> Bool[Array, "*batch"]:
    dx, dy = b[..., 0] - a[..., 0], b[..., 1] - a[..., 1]
    cos_a, sin_a, cos_b, sin_b = np.cos(a[..., 2]), np.sin(a[..., 2]), np.cos(b[..., 2]), np.sin(b[..., 2])
    cross, along = np.abs(cos_a * sin_b - sin_a * cos_b), np.abs(cos_a * cos_b + sin_a * sin_b)
    half_la, half_wa, half_lb, half_wb = a[..., 3] / 2, a[..., 4] / 2, b[..., 3] / 2, b[..., 4] / 2
    touch = np.abs(dx * cos_a + dy * sin_a) <= half_la + half_lb * along + half_wb * cross
    touch &= np.abs(dy * cos_a - dx * sin_a) <= half_wa + half_lb * cross + half_wb * along
    touch &= np.abs(dx * cos_b + dy * sin_b) <= half_lb + half_la * along + half_wa * cross
    touch &= np.abs(dy * cos_b - dx * sin_b) <= half_wb + half_la * cross + half_wa * along
    return touch

"""Planar rigid transforms. A pose is (x_m, y_m, yaw_rad); transforms are named `a_from_b`, so neighbours cancel."""

import numpy as np
from jaxtyping import Float

from motorworks.geometry.array import Array


def wrap_angle(angle_rad: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """The same angle in [-pi, pi)."""
    return (np.asarray(angle_rad) + np.pi) % (2 * np.pi) - np.pi


def compose(a_from_b: Float[Array, "*batch 3"], b_from_c: Float[Array, "*batch 3"]) -> Float[Array, "*batch 3"]:
    """`a_from_c`; the leading axes broadcast."""
    cos, sin = np.cos(a_from_b[..., 2]), np.sin(a_from_b[..., 2])
    x = a_from_b[..., 0] + cos * b_from_c[..., 0] - sin * b_from_c[..., 1]
    y = a_from_b[..., 1] + sin * b_from_c[..., 0] + cos * b_from_c[..., 1]
    return np.stack([x, y, wrap_angle(a_from_b[..., 2] + b_from_c[..., 2])], axis=-1)


def inverse(a_from_b: Float[Array, "*batch 3"]) -> Float[Array, "*batch 3"]:
    """`b_from_a`."""
    cos, sin = np.cos(a_from_b[..., 2]), np.sin(a_from_b[..., 2])
    x = -cos * a_from_b[..., 0] - sin * a_from_b[..., 1]
    y = sin * a_from_b[..., 0] - cos * a_from_b[..., 1]
    return np.stack([x, y, wrap_angle(-a_from_b[..., 2])], axis=-1)


def transform_points(a_from_b: Float[Array, "*batch 3"], points_b_m: Float[Array, "*batch point 2"]) -> Float[Array, "*batch point 2"]:
    """Points of frame b, in frame a."""
    cos, sin = np.cos(a_from_b[..., None, 2]), np.sin(a_from_b[..., None, 2])
    x, y = points_b_m[..., 0], points_b_m[..., 1]
    return np.stack([a_from_b[..., None, 0] + cos * x - sin * y, a_from_b[..., None, 1] + sin * x + cos * y], axis=-1)

"""What a house hides need not be drawn: for each column of a level camera, how high houses reach and how near they are.

The pixels that walls fill whole get their depth before anything is drawn, so that farther things are not worked out there.
"""

import numpy as np

from motorworks.geometry.array import Array
from motorworks.geometry.kernel import ceil, floor, kernel
from motorworks.sim import camera_faces as at
from motorworks.sim.agents import Agents
from motorworks.sim.camera_faces import Canvas
from motorworks.sim.ground import BUILDING, LAMP_POST

_ROOF_M = 3.3


@kernel
def _corner(eye: Array, row: Array, k: int) -> tuple[float, float]:
    """Corner k of a house, counted to the left, as metres to the camera's right and ahead of it."""
    c, s = np.cos(row[2]), np.sin(row[2])
    ex, ey = (row[3] if k == 0 or k == 3 else -row[3]), (row[4] if k < 2 else -row[4])
    dx, dy = row[0] + c * ex - s * ey - eye[at.CAM_X], row[1] + s * ex + c * ey - eye[at.CAM_Y]
    return eye[at.RIGHT_X] * dx + eye[at.RIGHT_X + 1] * dy, eye[at.AHEAD_X] * dx + eye[at.AHEAD_X + 1] * dy


@kernel
def _front(eye: Array, row: Array, k: int) -> tuple[float, float, float, float]:
    """Columns of the ends of wall k and 1 / their distances; a wall seen from inside has its ends the wrong way round."""
    r0, z0 = _corner(eye, row, k)
    r1, z1 = _corner(eye, row, (k + 1) % 4)
    if r1 * z0 <= r0 * z1 and z0 > at.NEAR_M and z1 > at.NEAR_M:
        return 1.0, 0.0, 0.0, 0.0
    if (r1 - r0) * z0 - (z1 - z0) * r0 <= 0.0 or (z0 < at.NEAR_M and z1 < at.NEAR_M):
        return 1.0, 0.0, 0.0, 0.0
    if z0 < at.NEAR_M:
        r0, z0 = r0 + (at.NEAR_M - z0) / (z1 - z0) * (r1 - r0), at.NEAR_M
    elif z1 < at.NEAR_M:
        r1, z1 = r0 + (at.NEAR_M - z0) / (z1 - z0) * (r1 - r0), at.NEAR_M
    return eye[at.CENTRE_U] + eye[at.FOCAL] * r0 / z0, eye[at.CENTRE_U] + eye[at.FOCAL] * r1 / z1, 1.0 / z0, 1.0 / z1


@kernel
def _fill(canvas: Canvas, u: int, near0: float, near1: float, rise: float) -> None:
    """Depth of a wall in a column that it fills whole, with 1 / distance at the column's two sides; a little far, so that the wall is still drawn."""
    depth, centre = canvas.inverse_depth, canvas.eye[at.CENTRE_V]
    top = centre + max(rise * near0, rise * near1)
    bottom = centre + canvas.eye[at.FOCAL] * canvas.eye[at.CAM_Z] * min(near0, near1)
    inverse = np.float32(0.998 * 0.5 * (near0 + near1))
    first, end = max(ceil(max(top + 1e-3, -1.0)), canvas.rows[0]), min(floor(min(bottom - 1e-3, 1e6)), canvas.rows[1])
    for v in range(first, end):
        if depth[v, u] < inverse:
            depth[v, u] = inverse


@kernel
def _cover(canvas: Canvas, row: Array, cover: Array) -> None:
    """Enter a house; columns that it fills in part do not count."""
    eye = canvas.eye
    least, most, width = 1e9, -1e9, cover.shape[1]
    for k in range(4):
        left, right, _, _ = _front(eye, row, k)
        if left < right:
            least, most = min(least, left), max(most, right)
    rise = eye[at.FOCAL] * (eye[at.CAM_Z] - row[5])
    for k in range(4):
        left, right, near0, near1 = _front(eye, row, k)
        if left >= right:
            continue
        first = max(floor(left), ceil(least), 0)
        for u in range(first, min(ceil(right), floor(most), width)):
            f = min(max((u + 0.5 - left) / (right - left), 0.0), 1.0)
            near = near0 + f * (near1 - near0)
            top = eye[at.CENTRE_V] + rise * near
            if top < cover[0, u]:
                cover[0, u], cover[1, u] = top, 0.98 * near
            if u > left + 1e-3 and u + 1 < right - 1e-3:
                half = 0.5 / (right - left) * (near1 - near0)
                _fill(canvas, u, near - half, near + half, rise)


@kernel
def hide(canvas: Canvas, num: int, order: Array, scenery: Array, num_scenery: int, agents: Agents, town: int, cover: Array) -> None:
    """Turn `order[rank]` into -1 - itself where houses hide the thing whole, and enter the depth of walls.

    `cover` [2, column]: top row and 1 / distance; scratch.
    """
    eye = canvas.eye
    if abs(eye[at.UP_RIGHT]) > 1e-6 or abs(eye[at.UP_AHEAD]) > 1e-6:
        return
    for u in range(cover.shape[1]):
        cover[0, u], cover[1, u] = 1e9, 0.0
    for rank in range(num):
        i = order[rank]
        a = i - num_scenery
        if a < 0:
            x, y, reach, tall = scenery[i, 0], scenery[i, 1], scenery[i, 3] + scenery[i, 4] + 0.4, scenery[i, 5]
            tall += _ROOF_M if scenery[i, 6] == BUILDING else 0.0
            reach += 1.8 if scenery[i, 6] == LAMP_POST else 0.0
        else:
            x, y = agents.pose[town, a, 0], agents.pose[town, a, 1]
            reach, tall = 0.5 * (agents.length[town, a] + agents.width[town, a]) + 0.5, 1.2 * agents.height[town, a]
        dx, dy = x - eye[at.CAM_X], y - eye[at.CAM_Y]
        right, ahead = eye[at.RIGHT_X] * dx + eye[at.RIGHT_X + 1] * dy, eye[at.AHEAD_X] * dx + eye[at.AHEAD_X + 1] * dy
        if ahead - reach > 1.0:
            near, far = 1.0 / (ahead - reach), 1.0 / (ahead + reach)
            first = eye[at.CENTRE_U] + eye[at.FOCAL] * min((right - reach) * near, (right - reach) * far) - 1.0
            last = eye[at.CENTRE_U] + eye[at.FOCAL] * max((right + reach) * near, (right + reach) * far) + 1.0
            above = eye[at.CAM_Z] - tall
            top = eye[at.CENTRE_V] + eye[at.FOCAL] * min(above * near, above * far) - 2.0
            hidden = True
            for u in range(int(max(first, 0.0)), int(min(last + 1.0, float(cover.shape[1])))):
                if near >= cover[1, u] or top <= cover[0, u]:
                    hidden = False
                    break
            if hidden:
                order[rank] = -1 - i
                continue
        if a < 0 and scenery[i, 6] == BUILDING:
            _cover(canvas, scenery[i], cover)

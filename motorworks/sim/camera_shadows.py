"""What light does to the ground: shadows under and beside things, pools under lamps and ahead of headlights at night."""

import numpy as np

from motorworks.datatypes.agent import CYCLIST
from motorworks.geometry.array import Array
from motorworks.geometry.kernel import kernel
from motorworks.sim.agents import Agents
from motorworks.sim.camera_faces import Canvas, darken
from motorworks.sim.camera_things import SHADOW_M, stand, to_camera
from motorworks.sim.codes import BUILDING, HEDGE, LAMP_POST, TREE

_CONTACT = 0.6
_RINGS = 7  # of a pool of light: many faint ones, so that no edge shows


@kernel
def _sweep(canvas: Canvas, x: float, y: float, yaw: float, half_l: float, half_w: float, dx: float, dy: float) -> int:
    """Corners of a rectangle on the ground (world) and of the same moved by (dx, dy), around both, into points; how many."""
    c, s = np.cos(yaw), np.sin(yaw)
    num = 0
    before = -c * 0.0 + (c * dx + s * dy)  # of the edge that ends in the first corner: it faces ahead
    for k in range(4):  # front left, rear left, rear right, front right; then the edges left, back, right, front
        ex, ey = (half_l if k == 0 or k == 3 else -half_l), (half_w if k < 2 else -half_w)
        if k == 0:
            facing = -s * dx + c * dy
        elif k == 1:
            facing = -(c * dx + s * dy)
        elif k == 2:
            facing = -(-s * dx + c * dy)
        else:
            facing = c * dx + s * dy
        wx, wy = x + c * ex - s * ey, y + s * ex + c * ey
        was, now = before > 0, facing > 0
        to_camera(canvas.eye, wx + (dx if was else 0.0), wy + (dy if was else 0.0), 0.0, canvas.points[0, num])
        num += 1
        if was != now:
            to_camera(canvas.eye, wx + (dx if now else 0.0), wy + (dy if now else 0.0), 0.0, canvas.points[0, num])
            num += 1
        before = facing
    return num


@kernel
def _disc(canvas: Canvas, x: float, y: float, radius: float, long_x: float, long_y: float) -> int:
    """An octagon on the ground, drawn out by (long_x, long_y), into points."""
    for k in range(8):
        c, s = np.cos(k * np.pi / 4), np.sin(k * np.pi / 4)
        out = c * long_x + s * long_y
        reach = 1.0 if out > 0 else -1.0
        to_camera(canvas.eye, x + radius * c + reach * long_x * 0.5, y + radius * s + reach * long_y * 0.5, 0.0, canvas.points[0, k])
    return 8


@kernel
def shade_scenery(canvas: Canvas, row: Array, distance: float, lights_shadow: float, dx: float, dy: float, night: bool) -> None:
    """Shadow of one thing of the town; `dx, dy`: where the shadow of a point one metre up falls."""
    kind, height = int(row[6]), row[5]
    if kind == LAMP_POST:
        if night and distance < 90.0:
            c, s = np.cos(row[2]), np.sin(row[2])
            for ring in range(_RINGS):
                darken(canvas, _disc(canvas, row[0] + 1.4 * c, row[1] + 1.4 * s, 1.4 + 0.85 * ring, 0.0, 0.0), 1.19)
        return
    if distance > SHADOW_M:
        return
    if kind == TREE:
        if lights_shadow > 0.03:
            mid, stretch = 0.6 * height, 0.5 * height
            darken(canvas, _disc(canvas, row[0] + mid * dx, row[1] + mid * dy, 0.85 * row[3], stretch * dx, stretch * dy), 1.0 - lights_shadow)
        darken(canvas, _disc(canvas, row[0], row[1], 0.3 + 0.25 * row[3], 0.0, 0.0), 0.75)
    elif kind in (BUILDING, HEDGE):
        if lights_shadow > 0.03:
            darken(canvas, _sweep(canvas, row[0], row[1], row[2], row[3], row[4], height * dx, height * dy), 1.0 - lights_shadow)
        if distance < 30.0:
            darken(canvas, _sweep(canvas, row[0], row[1], row[2], row[3] + 0.3, row[4] + 0.3, 0.0, 0.0), 0.75)
    elif lights_shadow > 0.03 and distance < 30.0:
        darken(canvas, _sweep(canvas, row[0], row[1], row[2], 0.05, 0.05, height * dx, height * dy), 1.0 - lights_shadow)


@kernel
def shade_agent(canvas: Canvas, agents: Agents, env: int, a: int, distance: float, lights_shadow: float, dx: float, dy: float, night: bool) -> None:
    """Shadow of one agent, and at night the road that its headlights light."""
    x, y, yaw = agents.pose[env, a, 0], agents.pose[env, a, 1], agents.pose[env, a, 2]
    half_l, half_w, height, kind = 0.5 * agents.length[env, a], 0.5 * agents.width[env, a], agents.height[env, a], agents.kind[env, a]
    if night and kind <= CYCLIST and distance < 80.0:
        c, s = np.cos(yaw), np.sin(yaw)
        for ring in range(_RINGS):
            reach = (5.0 + 1.5 * ring) * (0.4 if kind == CYCLIST else 1.0)
            ahead = half_l + 0.5 + 0.5 * reach
            darken(canvas, _sweep(canvas, x + c * ahead, y + s * ahead, yaw, 0.5 * reach, 0.8 + 0.2 * ring, 0.0, 0.0), 1.205)
    if distance > SHADOW_M:
        return
    if lights_shadow > 0.03:
        tall = height * (0.85 if kind < CYCLIST else 1.0)
        thin = 0.5 if kind == CYCLIST else 0.9
        darken(canvas, _sweep(canvas, x, y, yaw, 0.94 * half_l, thin * half_w, tall * dx, tall * dy), 1.0 - lights_shadow)
    darken(canvas, _sweep(canvas, x, y, yaw, 1.02 * half_l, 1.04 * half_w, 0.0, 0.0), _CONTACT if kind < CYCLIST else 0.7)


__all__ = ["shade_agent", "shade_scenery", "stand"]

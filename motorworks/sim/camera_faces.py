"""Flat faces in perspective: clipping, half-covered edges, exact depth, and what is written where."""

import math
from typing import NamedTuple

import numpy as np

from motorworks.geometry.array import Array
from motorworks.geometry.kernel import ceil, floor, kernel
from motorworks.sim.camera_palette import FIRST_GLOWING, FOG_STEP_M, FOG_STEPS, OWN_DARK
from motorworks.sim.camera_texels import texel
from motorworks.sim.camera_vehicles import NOTHING, PLAIN, WALL

NEAR_M = 0.25
MAX_CORNERS = 12
# entries of `view`: the camera in the world, and the light in its frame
FOCAL, CENTRE_U, CENTRE_V, SUN_RIGHT, SUN_DOWN, SUN_AHEAD, UP_RIGHT, UP_DOWN, UP_AHEAD, AMBIENT, SUN, HAZE_R, HAZE_G, HAZE_B, CLOCK, ON = range(16)
CAM_X, CAM_Y, CAM_Z, RIGHT_X, DOWN_X, AHEAD_X, YAW, RIG_X, RIG_Y, LIT = 16, 17, 18, 19, 22, 25, 28, 29, 30, 31  # three axes, in world coordinates
NUM_VIEW = 32
# entries of `face`
IZ, S_AT, T_AT, S_ZERO, T_ZERO, LENGTH, HEIGHT, LEAST_IZ, MOST_IZ, LIGHT = 0, 3, 6, 9, 10, 11, 12, 13, 14, 15
OWN_R, OWN_G, OWN_B, SHADE, SWING, VALUE, KIND, TAG, BEAM = 16, 17, 18, 19, 20, 21, 22, 23, 24
NUM_FACE = 28
NUM_BOX = 15  # as the columns of sim/shapes.py


class Canvas(NamedTuple):
    """One picture in the making, and the scratch of the thread that draws it."""

    frame: Array  # [row, column, 3] uint8
    inverse_depth: Array  # [row, column] float32, 1/m: 0 where nothing stands
    tags: Array  # [row, column] int32: kind * 256 + agent slot + 1 of whatever stands there; written for labels only
    eye: Array  # [NUM_VIEW]
    face: Array  # [NUM_FACE]
    points: Array  # [2, MAX_CORNERS, 3] corners in the camera's frame, before and after clipping
    edges: Array  # [MAX_CORNERS, 6] of the polygon on the screen
    corners: Array  # [12, 3] of a box (8) and its origin and axes (4), camera frame
    tints: Array  # [tint, 3]
    fog: Array  # [FOG_STEPS]
    grain: Array  # [NOISE_PX * NOISE_PX]
    rows: Array  # [3] int32: first row, end row, whether tags are written
    box: Array  # [NUM_BOX] of the box being drawn: metres in the thing's own frame, styles, tint


@kernel
def clip_near(points: Array, count: int) -> int:
    """Cut the polygon in points[0] at the near plane into points[1]; number of corners left."""
    num = 0
    for i in range(count):
        j = i + 1 if i + 1 < count else 0
        a, b = points[0, i, 2], points[0, j, 2]
        if a >= NEAR_M:
            points[1, num, 0], points[1, num, 1], points[1, num, 2] = points[0, i, 0], points[0, i, 1], a
            num += 1
        if (a >= NEAR_M) != (b >= NEAR_M):
            f = (NEAR_M - a) / (b - a)
            for k in range(2):
                points[1, num, k] = points[0, i, k] + f * (points[0, j, k] - points[0, i, k])
            points[1, num, 2] = NEAR_M
            num += 1
    return num


@kernel
def project_edges(canvas: Canvas, count: int, hard: int) -> tuple[float, float]:
    """Edges of the polygon in points[1] as (top v, bottom v, u at the top, du/dv, hard); vertical extent of it all."""
    points, edges, view = canvas.points, canvas.edges, canvas.eye
    focal = view[FOCAL]
    low, high = 1e18, -1e18
    for i in range(count):
        scale = focal / points[1, i, 2]
        points[0, i, 0], points[0, i, 1] = view[CENTRE_U] + points[1, i, 0] * scale, view[CENTRE_V] + points[1, i, 1] * scale
        low, high = min(low, points[0, i, 1]), max(high, points[0, i, 1])
    for i in range(count):
        j = i + 1 if i + 1 < count else 0
        a, b = (i, j) if points[0, i, 1] <= points[0, j, 1] else (j, i)
        edges[i, 0], edges[i, 1], edges[i, 2] = points[0, a, 1], points[0, b, 1], points[0, a, 0]
        tall = edges[i, 1] - edges[i, 0]
        edges[i, 3] = (points[0, b, 0] - points[0, a, 0]) / tall if tall > 1e-9 else 0.0
        edges[i, 4] = 1.0 if (hard >> i) & 1 else 0.0
    return low, high


@kernel
def span(edges: Array, count: int, v: float) -> tuple[float, float]:
    """Left and right end of the polygon on one line; hard edges reach to the end of their pixel."""
    left, right = 1e18, -1e18
    for i in range(count):
        if edges[i, 0] <= v < edges[i, 1]:
            u = edges[i, 2] + (v - edges[i, 0]) * edges[i, 3]
            if u < left:
                left = float(floor(u)) if edges[i, 4] > 0 else u
            if u > right:
                right = float(ceil(u)) if edges[i, 4] > 0 else u
    return left, right


@kernel
def _set_plane(canvas: Canvas, sign: float) -> bool:
    """Plane and texture coordinates of the quad points[0, :4] (from its lower edge 0-1 up to 3); False if seen from behind."""
    p, face, view = canvas.points, canvas.face, canvas.eye
    sx, sy, sz = p[0, 1, 0] - p[0, 0, 0], p[0, 1, 1] - p[0, 0, 1], p[0, 1, 2] - p[0, 0, 2]
    tx, ty, tz = p[0, 3, 0] - p[0, 0, 0], p[0, 3, 1] - p[0, 0, 1], p[0, 3, 2] - p[0, 0, 2]
    length = math.sqrt(sx * sx + sy * sy + sz * sz)
    if length < 1e-6:
        return False
    sx, sy, sz = sx / length, sy / length, sz / length
    along = sx * tx + sy * ty + sz * tz
    tx, ty, tz = tx - along * sx, ty - along * sy, tz - along * sz
    height = math.sqrt(tx * tx + ty * ty + tz * tz)
    if height < 1e-6:
        return False
    tx, ty, tz = tx / height, ty / height, tz / height
    nx, ny, nz = sign * (sy * tz - sz * ty), sign * (sz * tx - sx * tz), sign * (sx * ty - sy * tx)
    away = nx * p[0, 0, 0] + ny * p[0, 0, 1] + nz * p[0, 0, 2]
    if away >= -1e-4:
        return False
    f, cu, cv = view[FOCAL], view[CENTRE_U], view[CENTRE_V]
    for at, x, y, z, scale in (
        (IZ, nx, ny, nz, 1.0 / away),
        (S_AT, sx, sy, sz, 1.0),
        (T_AT, tx, ty, tz, 1.0),
    ):
        face[at + 1], face[at + 2] = x / f * scale, y / f * scale
        # at the middle of pixel (0, 0)
        face[at] = (z - (cu - 0.5) / f * x - (cv - 0.5) / f * y) * scale
    face[S_ZERO] = sx * p[0, 0, 0] + sy * p[0, 0, 1] + sz * p[0, 0, 2]
    face[T_ZERO] = tx * p[0, 0, 0] + ty * p[0, 0, 1] + tz * p[0, 0, 2]
    face[LENGTH], face[HEIGHT] = length, height
    shine = max(0.0, nx * view[SUN_RIGHT] + ny * view[SUN_DOWN] + nz * view[SUN_AHEAD])
    up = nx * view[UP_RIGHT] + ny * view[UP_DOWN] + nz * view[UP_AHEAD]
    face[LIGHT] = view[AMBIENT] * (0.92 + 0.16 * up) + view[SUN] * shine + face[BEAM] * max(0.25, -nz)
    return True


@kernel
def draw_quad(canvas: Canvas, sign: float, style: int, own: int, side: int, hard: int) -> bool:
    """Draw the quad in points[0, :4] where it is nearest; False if it is seen from behind. `own`: its tint where the style leaves it open.

    Row by row with two lines a row: pixels that the polygon covers in part are blended, so thin posts and far roofs do not flicker.
    """
    if not _set_plane(canvas, sign):
        return False
    points, face = canvas.points, canvas.face
    least, most = 1e18, 0.0
    crosses = False
    for i in range(4):
        if points[0, i, 2] < NEAR_M:
            crosses = True
    count = clip_near(points, 4)
    if count < 3:
        return True
    for i in range(count):
        least, most = min(least, 1.0 / points[1, i, 2]), max(most, 1.0 / points[1, i, 2])
    face[LEAST_IZ], face[MOST_IZ] = least, most
    low, high = project_edges(canvas, count, 0 if crosses else hard)
    edges, width = canvas.edges, canvas.frame.shape[1]
    first, end = max(floor(max(low, -1.0)), canvas.rows[0]), min(ceil(min(high, 1e6)), canvas.rows[1])
    for v in range(first, end):
        left, right = span(edges, count, v + 0.25)
        left2, right2 = span(edges, count, v + 0.75)
        u_from, u_to = max(int(max(min(left, left2), 0.0)), 0), min(ceil(max(right, right2)), width)
        if u_from < u_to:
            _draw_row(canvas, v, u_from, u_to, left, right, left2, right2, style, own, side)
    return True


@kernel
def _draw_row(
    canvas: Canvas, v: int, u_from: int, u_to: int, left: float, right: float, left2: float, right2: float, style: int, own: int, side: int
) -> None:
    face, view, tints, depth, frame, fog, grain = (
        canvas.face, canvas.eye, canvas.tints, canvas.inverse_depth, canvas.frame, canvas.fog, canvas.grain,
    )  # fmt: skip
    # into locals: the compiler cannot know that writing a pixel leaves these arrays alone
    iz, iz_u = face[IZ] + v * face[IZ + 2], face[IZ + 1]
    s_at, s_u, s_zero, length = face[S_AT] + v * face[S_AT + 2], face[S_AT + 1], face[S_ZERO], face[LENGTH]
    t_at, t_u, t_zero, height = face[T_AT] + v * face[T_AT + 2], face[T_AT + 1], face[T_ZERO], face[HEIGHT]
    # pixels from full_from to full_to are covered whole
    full_from, full_to = ceil(min(max(left, left2), 1e6)), floor(max(min(right, right2), -1.0))
    least, most, value, clock, kind = face[LEAST_IZ], face[MOST_IZ], int(face[VALUE]), int(view[CLOCK]), int(face[KIND])
    on = view[ON] > 0 and (style != WALL or view[AMBIENT] < 0.4)  # windows are lit at night only
    shade, swing, light, tag, labelled = face[SHADE], face[SWING], face[LIGHT], int(face[TAG]), canvas.rows[2] > 0
    own_r, own_g, own_b, haze_r, haze_g, haze_b = face[OWN_R], face[OWN_G], face[OWN_B], view[HAZE_R], view[HAZE_G], view[HAZE_B]
    if own > OWN_DARK:
        own_r, own_g, own_b = tints[own, 0], tints[own, 1], tints[own, 2]
    own_light = 0.55 * light if own == OWN_DARK else light if own < FIRST_GLOWING else 1.0
    sun_right, sun_up, per_m = view[SUN_RIGHT], -view[SUN_DOWN], 1.0 / FOG_STEP_M
    for u in range(u_from, u_to):
        inverse = min(max(iz + u * iz_u, least), most)
        if inverse < 0.999 * depth[v, u]:
            continue
        z = 1.0 / inverse
        red, green, blue, gain = own_r, own_g, own_b, own_light
        if style != PLAIN:
            s, t = min(max((s_at + u * s_u) * z - s_zero, 0.0), length), min(max((t_at + u * t_u) * z - t_zero, 0.0), height)
            what, share = texel(style, s, t, length, height, side, kind, value, clock, shade, swing, on, sun_right, sun_up, grain)
            if what == NOTHING:
                continue
            if what > OWN_DARK:
                red, green, blue = tints[what, 0], tints[what, 1], tints[what, 2]
                gain = share * (light if what < FIRST_GLOWING else 1.0)
            else:
                gain *= share * (0.55 if what == OWN_DARK else 1.0)
        left_over = fog[np.uint64(min(int(z * per_m), FOG_STEPS - 1))]
        veil, gain = 1.0 - left_over, gain * left_over
        red, green, blue = min(red * gain + haze_r * veil, 255.0), min(green * gain + haze_g * veil, 255.0), min(blue * gain + haze_b * veil, 255.0)
        if u < full_from or u >= full_to:
            share = 0.5 * (max(0.0, min(right, u + 1.0) - max(left, np.float64(u))) + max(0.0, min(right2, u + 1.0) - max(left2, np.float64(u))))
            rest = 1.0 - share
            red, green, blue = red * share + frame[v, u, 0] * rest, green * share + frame[v, u, 1] * rest, blue * share + frame[v, u, 2] * rest
            if share < 0.5:
                frame[v, u, 0], frame[v, u, 1], frame[v, u, 2] = int(red), int(green), int(blue)
                continue
        frame[v, u, 0], frame[v, u, 1], frame[v, u, 2] = int(red), int(green), int(blue)
        depth[v, u] = inverse
        if labelled:
            canvas.tags[v, u] = tag


@kernel
def darken(canvas: Canvas, count: int, keep: float) -> None:
    """Multiply the ground under the polygon in points[0] by `keep`: a shadow below 1, a pool of light above."""
    count = clip_near(canvas.points, count)
    if count < 3:
        return
    low, high = project_edges(canvas, count, 0)
    edges, frame = canvas.edges, canvas.frame
    first, end = max(floor(max(low, -1.0)), canvas.rows[0]), min(ceil(min(high, 1e6)), canvas.rows[1])
    whole = int(256 * keep)
    for v in range(first, end):
        left, right = span(edges, count, v + 0.25)
        left2, right2 = span(edges, count, v + 0.75)
        for u in range(max(int(max(min(left, left2), 0.0)), 0), min(ceil(max(right, right2)), frame.shape[1])):
            share = 0.5 * (max(0.0, min(right, u + 1.0) - max(left, np.float64(u))) + max(0.0, min(right2, u + 1.0) - max(left2, np.float64(u))))
            left_over = whole if share > 0.99 else int(256 * (1.0 - share * (1.0 - keep)))
            for k in range(3):
                frame[v, u, k] = min((int(frame[v, u, k]) * left_over) >> 8, 255)


@kernel
def glow(canvas: Canvas, x: float, y: float, z: float, radius_m: float, least_px: float, what: int, strength: float) -> None:
    """A light at a point of the camera's frame: a soft disc added to whatever is not nearer."""
    if z < 0.5:
        return
    view, frame, depth = canvas.eye, canvas.frame, canvas.inverse_depth
    scale = view[FOCAL] / z
    u0, v0, radius = view[CENTRE_U] + x * scale, view[CENTRE_V] + y * scale, max(radius_m * scale, least_px)
    if not (-radius < u0 < frame.shape[1] + radius and -radius < v0 < frame.shape[0] + radius):
        return
    strength *= canvas.fog[min(int(z / FOG_STEP_M), FOG_STEPS - 1)] * 0.7 + 0.3
    inverse = 1.02 / z
    for v in range(max(int(v0 - radius), canvas.rows[0]), min(int(v0 + radius) + 1, canvas.rows[1])):
        for u in range(max(int(u0 - radius), 0), min(int(u0 + radius) + 1, frame.shape[1])):
            d = ((u + 0.5 - u0) * (u + 0.5 - u0) + (v + 0.5 - v0) * (v + 0.5 - v0)) / (radius * radius)
            if d < 1.0 and inverse >= depth[v, u]:
                share = strength * (1.0 - d) * (1.0 - d)
                for k in range(3):
                    frame[v, u, k] = int(min(frame[v, u, k] + canvas.tints[what, k] * share, 255.0))

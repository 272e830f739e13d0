"""The forward camera: ground looked up in the painted town, sky and skyline above it, vehicles, trees and houses as shaded boxes.

A pinhole without distortion, level, looking along the rig's x axis. A point (x, y, z) of the rig frame lands at column
`CX + FOCAL * -y / (x - AHEAD)` and row `CY + FOCAL * (HEIGHT - z) / (x - AHEAD)`. Thin: no shadows but the dark strip under a
vehicle, no glare, rain or motion blur.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from numba import njit

from motorworks.geometry.array import Array
from motorworks.sim.ground import BUILDING, GRASS, PAINT_M_PER_PX, TREE, TownMap, build_town
from motorworks.sim.route import Agents

WIDTH_PX, HEIGHT_PX = 256, 144
FOCAL_PX, CX_PX, CY_PX = 140.0, 128.0, 60.0  # 85 degrees wide; more ground than sky
CAMERA_HEIGHT_M, CAMERA_AHEAD_M = 1.5, 1.4  # ahead of the rear axle
HAZE_M = 160.0  # distance at which a colour has gone 63 % to the haze
NEAR_M, FAR_M = 0.4, 110.0
NOISE_PX, GRAINS = 256, 16
CAR, CABIN = 2, 3  # box kinds after TREE and BUILDING
NUM_BOX = 10  # x, y, yaw, half length, half width, bottom, top, kind, shade, braking


class Look(NamedTuple):
    """The camera's look at one town, worked out once. Ground colours are packed, 16 bits a channel, so three channels add at once."""

    sky: Array  # [row, column, 3] above the horizon
    trees: Array  # [3] colour of the far tree line
    skyline_px: Array
    ground: Array  # [row below the horizon, material * GRAINS + grain], uint64
    haze: Array  # [3]


_PAINTS = np.array(
    [
        [178, 32, 30],
        [228, 228, 224],
        [38, 40, 44],
        [128, 132, 138],
        [34, 62, 130],
        [196, 198, 202],
        [74, 92, 70],
        [206, 160, 60],
        [112, 26, 40],
        [90, 140, 178],
    ],
    np.float64,
)


def _value_noise() -> UInt8[Array, "y x"]:
    """A tiling texture: coarse blotches and fine grain, 0 .. GRAINS - 1."""
    rng = np.random.default_rng(5)
    coarse = np.kron(rng.standard_normal((NOISE_PX // 8, NOISE_PX // 8)), np.ones((8, 8)))
    middle = np.kron(rng.standard_normal((NOISE_PX // 2, NOISE_PX // 2)), np.ones((2, 2)))
    return np.clip(8 + 1.5 * coarse + 1.5 * middle + 1.5 * rng.standard_normal((NOISE_PX, NOISE_PX)), 0, GRAINS - 1).astype(np.uint8)


_NOISE = _value_noise()


@njit(cache=True, inline="always")
def _byte(value: float) -> int:
    return int(min(max(value, 0.0), 255.0))


@lru_cache(maxsize=128)
def _look_at(seed: int) -> Look:
    town = build_town(seed)
    haze_rgb, overhead = town.sky
    up = (CY_PX - np.arange(int(CY_PX))[:, None, None]) / CY_PX
    sky = np.broadcast_to(haze_rgb + (overhead - haze_rgb) * up, (int(CY_PX), WIDTH_PX, 3))
    depth = FOCAL_PX * CAMERA_HEIGHT_M / (np.arange(int(CY_PX), HEIGHT_PX) + 0.5 - CY_PX)
    haze = 1.0 - np.exp(-depth / HAZE_M)[:, None, None, None]
    grain = town.noise_gain[:, None] * (2.0 * (np.arange(GRAINS) + 0.5) / GRAINS - 1.0)
    ground = (town.palette[:, None] + grain[..., None]) * (1.0 - haze) + haze_rgb * haze  # [row, material, grain, rgb]
    packed = (np.clip(ground, 0, 255).astype(np.uint64) << np.array([0, 16, 32], np.uint64)).sum(axis=-1, dtype=np.uint64)
    trees = 0.55 * haze_rgb + 0.27 * town.palette[GRASS]
    return Look(
        sky=np.clip(sky, 0, 255).astype(np.uint8),
        trees=np.clip(trees, 0, 255).astype(np.uint8),
        skyline_px=town.skyline_px,
        ground=packed.reshape(len(depth), -1),
        haze=haze_rgb,
    )


@njit(cache=True, nogil=True)
def _draw_sky(frame: Array, yaw: float, look: Look) -> None:
    skyline = look.skyline_px
    num, horizon = len(skyline), int(CY_PX)
    above, still = frame[:horizon].reshape(-1), look.sky.reshape(-1)
    for i in range(len(above)):
        above[i] = still[i]
    for u in range(frame.shape[1]):
        azimuth = yaw - np.arctan((u + 0.5 - CX_PX) / FOCAL_PX)
        for v in range(horizon - int(skyline[int(np.floor(azimuth / (2 * np.pi) * num)) % num]), horizon):
            frame[v, u, 0], frame[v, u, 1], frame[v, u, 2] = look.trees[0], look.trees[1], look.trees[2]


@njit(cache=True, nogil=True)
def _near_row(row: Array, x: int, y: int, step_x: int, step_y: int, paint: Array, width: int, noise: Array, colours: Array) -> None:
    """One sample a pixel, in 16.16 fixed point; blended where four paint pixels differ, so that markings have smooth edges."""
    low, right, up = np.uint64(0xFF), np.uint64(1), np.uint64(width)
    grains = np.uint64(GRAINS)
    for u in range(row.shape[0]):
        # unsigned indices: nothing to wrap around
        at = np.uint64((y >> 16) * width + (x >> 16))
        # the grain is finer than the paint, so near ground is not blocky
        g = np.uint64(noise[np.uint64((((y >> 15) & (NOISE_PX - 1)) * NOISE_PX) + ((x >> 15) & (NOISE_PX - 1)))])
        a, b, c, d = paint[at], paint[at + right], paint[at + up], paint[at + up + right]
        rgb = colours[np.uint64(a) * grains + g]
        if a != b or a != c or a != d:
            fx, fy = (x >> 8) & 255, (y >> 8) & 255
            wd = (fx * fy) >> 8
            wb, wc = fx - wd, fy - wd
            rgb = rgb * np.uint64(256 - wb - wc - wd) + colours[np.uint64(b) * grains + g] * np.uint64(wb)
            rgb = (rgb + colours[np.uint64(c) * grains + g] * np.uint64(wc) + colours[np.uint64(d) * grains + g] * np.uint64(wd)) >> np.uint64(8)
        row[u, 0], row[u, 1], row[u, 2] = rgb & low, (rgb >> np.uint64(16)) & low, (rgb >> np.uint64(32)) & low
        x += step_x
        y += step_y


@njit(cache=True, nogil=True)
def _far_row(sums: Array, x: int, y: int, step_x: int, step_y: int, paint: Array, width: int, height: int, plain: Array) -> None:
    """Add one sample a pixel to the row's packed sums; beyond the painted area everything is grass."""
    for u in range(len(sums)):
        ix, iy = x >> 16, y >> 16
        material = GRASS
        if 0 <= ix < width and 0 <= iy < height:
            material = paint[np.uint64(iy * width + ix)]
        sums[u] += plain[np.uint64(material)]
        x += step_x
        y += step_y


@njit(cache=True, nogil=True)
def _draw_ground(frame: Array, x0: float, y0: float, yaw: float, paint: Array, noise: Array, look: Look) -> None:
    """Each row is a line on the ground: start point and step per column. Far rows average along the ray, where a pixel covers metres."""
    c, s = np.cos(yaw), np.sin(yaw)
    height, width = paint.shape
    flat, grain, columns = paint.ravel(), noise.ravel(), frame.shape[1]
    sums, plain = np.empty(columns, np.uint64), np.empty(look.ground.shape[1] // GRAINS, np.uint64)
    one = 65536.0 / PAINT_M_PER_PX
    for v in range(int(CY_PX), frame.shape[0]):
        colours = look.ground[v - int(CY_PX)]
        plain[:] = colours[GRAINS // 2 :: GRAINS]
        covers = FOCAL_PX * CAMERA_HEIGHT_M / max(v - CY_PX, 0.3) - FOCAL_PX * CAMERA_HEIGHT_M / (v + 1 - CY_PX)
        taps = min(max(int(covers / 0.6 + 0.5), 1), 7)
        sums[:] = 0
        for tap in range(taps):
            depth = FOCAL_PX * CAMERA_HEIGHT_M / (v + (tap + 0.5) / taps - CY_PX)
            left = (CX_PX - 0.5) / FOCAL_PX * depth
            x, y = int((x0 + c * depth - s * left) * one), int((y0 + s * depth + c * left) * one)
            step_x, step_y = int(s * depth / FOCAL_PX * one), int(-c * depth / FOCAL_PX * one)
            low_x, high_x = min(x, x + columns * step_x) >> 16, max(x, x + columns * step_x) >> 16
            low_y, high_y = min(y, y + columns * step_y) >> 16, max(y, y + columns * step_y) >> 16
            if taps == 1 and low_x > 0 and low_y > 0 and high_x < width - 2 and high_y < height - 2:
                _near_row(frame[v], x - 32768, y - 32768, step_x, step_y, flat, width, grain, colours)
            else:
                _far_row(sums, x, y, step_x, step_y, flat, width, height, plain)
        if sums[0] > 0:
            _spread_row(frame[v], sums, taps)


@njit(cache=True, nogil=True)
def _spread_row(row: Array, sums: Array, taps: int) -> None:
    """Packed sums to the mean colour."""
    share, low = np.uint64(65536 // taps + 1), np.uint64(0xFFFF)  # a product is ten times faster than a division
    for u in range(len(sums)):
        rgb = sums[u]
        row[u, 0] = ((rgb & low) * share) >> np.uint64(16)
        row[u, 1] = (((rgb >> np.uint64(16)) & low) * share) >> np.uint64(16)
        row[u, 2] = (((rgb >> np.uint64(32)) & low) * share) >> np.uint64(16)


@njit(cache=True, nogil=True, fastmath=True)
def _shade(kind: int, shade: float, t: float, z: float, length: float, face: int, braking: bool, paints: Array, out: Array) -> None:
    """Colour of a wall: t across the face from 0 to 1, z above the ground; face 0 front, 1 left, 2 back, 3 right."""
    light = 1.0 - 0.12 * face if face < 3 else 0.8
    if kind == BUILDING:
        wall = 110.0 + 110.0 * shade
        out[0], out[1], out[2] = wall * light, wall * light * (0.82 + 0.12 * shade), wall * light * (0.68 + 0.2 * shade)
        if z > 0.8 and (z % 2.8) > 1.0 and (z % 2.8) < 2.2 and (t * length / 2.4) % 1.0 > 0.5:
            out[0], out[1], out[2] = 58.0, 70.0, 84.0
        return
    base = paints[int(shade * len(paints)) % len(paints)]
    for k in range(3):
        out[k] = base[k] * light
    if kind == CABIN:
        if 0.08 < t < 0.92 and z < 1.38:
            out[0], out[1], out[2] = 34.0, 42.0, 52.0
        return
    side = face == 1 or face == 3
    if z < 0.24:
        out[0], out[1], out[2] = 24.0, 24.0, 26.0
    if side and z < 0.62 and (abs(t - 0.19) < 0.32 / length or abs(t - 0.81) < 0.32 / length):
        out[0], out[1], out[2] = 18.0, 18.0, 18.0
    if not side and 0.55 < z < 0.74 and (t < 0.2 or t > 0.8):
        if face == 0:
            out[0], out[1], out[2] = 250.0, 248.0, 225.0
        elif braking:
            out[0], out[1], out[2] = 255.0, 40.0, 30.0
        else:
            out[0], out[1], out[2] = 130.0, 16.0, 16.0
    if not side and z < 0.5 and z > 0.34 and 0.36 < t < 0.64:
        out[0], out[1], out[2] = 210.0, 210.0, 200.0


@njit(cache=True, nogil=True, fastmath=True)
def _draw_wall(frame: Array, ax: float, ay: float, bx: float, by: float, box: Array, face: int, haze_rgb: Array, paints: Array, out: Array) -> None:
    """One upright face between two ground points in camera coordinates (x ahead, y left), column by column."""
    ta, tb = 0.0, 1.0
    if ax < NEAR_M and bx < NEAR_M:
        return
    if ax < NEAR_M:
        ta = (NEAR_M - ax) / (bx - ax)
        ax, ay = NEAR_M, ay + ta * (by - ay)
    elif bx < NEAR_M:
        tb = (NEAR_M - ax) / (bx - ax)
        bx, by = NEAR_M, ay + tb * (by - ay)
    ua, ub = CX_PX - FOCAL_PX * ay / ax, CX_PX - FOCAL_PX * by / bx
    if ub <= ua:  # seen from behind
        return
    length = 2.0 * (box[3] if face == 1 or face == 3 else box[4])
    for u in range(max(int(np.ceil(ua - 0.5)), 0), min(int(np.floor(ub - 0.5)) + 1, frame.shape[1])):
        f = (u + 0.5 - ua) / (ub - ua)
        near = (1.0 - f) / ax + f / bx  # 1 / depth is linear on the screen
        depth = 1.0 / near
        t = ((1.0 - f) * ta / ax + f * tb / bx) * depth
        top, bottom = CY_PX + FOCAL_PX * (CAMERA_HEIGHT_M - box[6]) * near, CY_PX + FOCAL_PX * (CAMERA_HEIGHT_M - box[5]) * near
        haze = 1.0 - np.exp(-depth / HAZE_M)
        for v in range(max(int(np.ceil(top - 0.5)), 0), min(int(np.floor(bottom - 0.5)) + 1, frame.shape[0])):
            z = CAMERA_HEIGHT_M - (v + 0.5 - CY_PX) * depth / FOCAL_PX
            _shade(int(box[7]), box[8], t, z, length, face, box[9] > 0.0, paints, out)
            for k in range(3):
                frame[v, u, k] = _byte(out[k] + (haze_rgb[k] - out[k]) * haze)


@njit(cache=True, nogil=True, fastmath=True)
def _draw_tree(frame: Array, x: float, y: float, box: Array, haze_rgb: Array, noise: Array) -> None:
    """A trunk and a round crown, facing the camera."""
    if x < 1.0:
        return
    scale, centre = FOCAL_PX / x, CX_PX - FOCAL_PX * y / x
    haze = 1.0 - np.exp(-x / HAZE_M)
    radius, mid = box[3], box[6] * 0.62
    for u in range(max(int(centre - radius * scale), 0), min(int(centre + radius * scale) + 1, frame.shape[1])):
        across = (u + 0.5 - centre) / scale
        top, bottom = CY_PX + (CAMERA_HEIGHT_M - box[6]) * scale, CY_PX + CAMERA_HEIGHT_M * scale
        for v in range(max(int(top), 0), min(int(bottom) + 1, frame.shape[0])):
            z = CAMERA_HEIGHT_M - (v + 0.5 - CY_PX) / scale
            grain = noise[int(z * 12.0 + box[8] * 99.0) & (NOISE_PX - 1), int(across * 12.0 + 128.0) & (NOISE_PX - 1)] * 16.0 - 128.0
            inside = (across / radius) ** 2 + ((z - mid) / (box[6] - mid)) ** 2 + grain / 400.0
            if inside < 1.0:
                lit = (0.62 + 0.4 * (z - mid) / box[6] - 0.18 * across / radius) * (1.0 + grain / 300.0)
                red, green, blue = (60.0 + 50.0 * box[8]) * lit, (104.0 + 16.0 * box[8]) * lit, 46.0 * lit
            elif abs(across) < 0.16 and 0.0 < z < mid:
                red, green, blue = 74.0, 56.0, 40.0
            else:
                continue
            frame[v, u, 0] = _byte(red + (haze_rgb[0] - red) * haze)
            frame[v, u, 1] = _byte(green + (haze_rgb[1] - green) * haze)
            frame[v, u, 2] = _byte(blue + (haze_rgb[2] - blue) * haze)


@njit(cache=True, nogil=True, fastmath=True)
def _draw_lid(frame: Array, corners: Array, z: float, rgb: Array, light: float, haze_rgb: Array) -> None:
    """The top of a box, seen from above: a convex quad, row by row."""
    us, vs = np.empty(4), np.empty(4)
    depth = 0.0
    for k in range(4):
        if corners[k, 0] < NEAR_M:
            return
        us[k] = CX_PX - FOCAL_PX * corners[k, 1] / corners[k, 0]
        vs[k] = CY_PX + FOCAL_PX * (CAMERA_HEIGHT_M - z) / corners[k, 0]
        depth += corners[k, 0] / 4
    haze = 1.0 - np.exp(-depth / HAZE_M)
    for v in range(max(int(np.ceil(vs.min() - 0.5)), 0), min(int(np.floor(vs.max() - 0.5)) + 1, frame.shape[0])):
        left, right = 1e9, -1e9
        for k in range(4):
            n = (k + 1) % 4
            if (vs[k] > v + 0.5) != (vs[n] > v + 0.5):
                u = us[k] + (v + 0.5 - vs[k]) / (vs[n] - vs[k]) * (us[n] - us[k])
                left, right = min(left, u), max(right, u)
        for u in range(max(int(np.ceil(left - 0.5)), 0), min(int(np.floor(right - 0.5)) + 1, frame.shape[1])):
            for k in range(3):
                frame[v, u, k] = _byte(rgb[k] * light + (haze_rgb[k] - rgb[k] * light) * haze)


@njit(cache=True, nogil=True, fastmath=True)
def _draw_box(frame: Array, x: float, y: float, yaw: float, box: Array, haze_rgb: Array, paints: Array, corners: Array, out: Array) -> None:
    """The visible sides of a box, its lid where the camera looks down on it."""
    c, s = np.cos(yaw), np.sin(yaw)
    for k in range(4):  # front left, rear left, rear right, front right
        lon = box[3] if k in (0, 3) else -box[3]
        lat = box[4] if k < 2 else -box[4]
        corners[k, 0], corners[k, 1] = x + c * lon - s * lat, y + s * lon + c * lat
    if box[6] < CAMERA_HEIGHT_M:
        _draw_lid(frame, corners, box[6], paints[int(box[8] * len(paints)) % len(paints)], 1.08, haze_rgb)
    # each face from its left end to its right end as seen from outside
    for face in range(4):
        a, b = (3, 0, 1, 2)[face], (0, 1, 2, 3)[face]
        _draw_wall(frame, corners[a, 0], corners[a, 1], corners[b, 0], corners[b, 1], box, face, haze_rgb, paints, out)


@njit(cache=True, nogil=True)
def _gather(scenery: Array, x0: float, y0: float, yaw: float, agents: Agents, boxes: Array, depth: Array) -> int:
    """Everything upright within view, farthest first."""
    c, s = np.cos(yaw), np.sin(yaw)
    num = 0
    limit = len(boxes)
    for i in range(len(scenery) + len(agents.valid)):
        a = i - len(scenery)
        if a >= 0 and not agents.valid[a]:
            continue
        x, y = (scenery[i, 0], scenery[i, 1]) if a < 0 else (agents.pose[a, 0], agents.pose[a, 1])
        lon, lat = c * (x - x0) + s * (y - y0), -s * (x - x0) + c * (y - y0)
        if lon < -4.0 or lon > FAR_M or abs(lat) > lon + 9.0 or num >= limit:
            continue
        k = num
        while k > 0 and depth[k - 1] < lon * lon + lat * lat:
            depth[k] = depth[k - 1]
            boxes[k] = boxes[k - 1]
            k -= 1
        depth[k] = lon * lon + lat * lat
        box = boxes[k]
        box[0], box[1] = lon, lat
        if a < 0:
            box[2], box[3], box[4], box[5], box[6] = scenery[i, 2] - yaw, scenery[i, 3], scenery[i, 4], 0.0, scenery[i, 5]
            box[7], box[8], box[9] = scenery[i, 6], scenery[i, 7], 0.0
        else:
            box[2], box[3], box[4], box[5], box[6] = agents.pose[a, 2] - yaw, agents.length[a] / 2, agents.width[a] / 2, 0.0, 0.86
            box[7], box[8], box[9] = CAR, agents.shade[a], 1.0 if agents.accel[a] < -0.8 or agents.speed[a] < 0.1 else 0.0
        num += 1
    return num


@njit(cache=True, nogil=True)
def draw_frame(
    frame: Array, x: float, y: float, yaw: float, paint: Array, noise: Array, look: Look, scenery: Array, agents: Agents, paints: Array
) -> None:
    """One picture from a rear-axle pose, in place."""
    x0, y0 = x + CAMERA_AHEAD_M * np.cos(yaw), y + CAMERA_AHEAD_M * np.sin(yaw)
    _draw_sky(frame, yaw, look)
    _draw_ground(frame, x0, y0, yaw, paint, noise, look)
    boxes, depth = np.empty((160, NUM_BOX)), np.empty(160)
    corners, out = np.empty((4, 2)), np.empty(3)
    haze_rgb = look.haze
    num = _gather(scenery, x0, y0, yaw, agents, boxes, depth)
    for i in range(num):
        box = boxes[i]
        if box[7] == TREE:
            _draw_tree(frame, box[0], box[1], box, haze_rgb, noise)
            continue
        _draw_box(frame, box[0], box[1], box[2], box, haze_rgb, paints, corners, out)
        if box[7] == CAR:
            back = -0.08 * box[3]
            van = box[3] > 2.6
            x_cabin, y_cabin = box[0] + back * np.cos(box[2]), box[1] + back * np.sin(box[2])
            box[3], box[4], box[5], box[6], box[7] = box[3] * (0.9 if van else 0.58), box[4] * 0.86, 0.86, 2.3 if van else 1.46, CABIN
            _draw_box(frame, x_cabin, y_cabin, box[2], box, haze_rgb, paints, corners, out)


def draw(frame: UInt8[Array, "height width 3"], town: TownMap, pose: Float[Array, " 3"], agents: Agents) -> None:
    """Draw what the camera of an ego at `pose` sees into `frame`; releases the GIL."""
    look = _look_at(town.network.seed)
    draw_frame(frame, pose[0], pose[1], pose[2], town.paint, _NOISE, look, town.scenery, agents, _PAINTS)

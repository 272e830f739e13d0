"""Sky and ground behind everything that stands: a look-up per pixel."""

import numpy as np

from motorworks.geometry.array import Array
from motorworks.geometry.kernel import floor, kernel
from motorworks.sim.bank import PAINT_PX
from motorworks.sim.camera_tables import GRAINS, NOISE_PX, NUM_AZIMUTHS, NUM_ELEVATIONS

_PLAIN = GRAINS // 2
_SHARES = np.array([0] + [65536 // taps + 1 for taps in range(1, 16)], np.uint64)


@kernel
def _sky_run(row: Array, begin: int, end: int, sky_at: Array, turn: int, clouds: Array, sky: Array, skyline: Array, trees: int) -> None:
    low = np.uint64(0xFF)
    for u in range(begin, end):
        at = np.uint64(sky_at[u])
        elevation, azimuth = at >> np.uint64(10), (at + np.uint64(turn)) & np.uint64(NUM_AZIMUTHS - 1)
        if elevation < np.uint64(skyline[azimuth]):
            rgb = trees
        else:
            rgb = sky[elevation, np.uint64(clouds[(elevation << np.uint64(10)) + azimuth])]
        row[u, 0], row[u, 1], row[u, 2] = rgb & low, (rgb >> np.uint64(16)) & low, (rgb >> np.uint64(32)) & low


@kernel
def _near_run(
    row: Array, begin: int, end: int, ground: Array, level: Array, x0: float, y0: float, c: float, s: float, paint: Array, grain: Array,
    colours: Array,
) -> None:  # fmt: skip
    """One sample a pixel, blended where four paint pixels differ, so that markings have smooth edges."""
    low, right, up, grains = np.uint64(0xFF), np.uint64(1), np.uint64(PAINT_PX), np.uint64(GRAINS)
    for u in range(begin, end):
        gx, gy = np.float64(ground[u, 0]), np.float64(ground[u, 1])
        # 16.16 fixed point, from the middle of a paint pixel
        xi, yi = int((x0 + c * gx - s * gy) * 65536.0) - 32768, int((y0 + s * gx + c * gy) * 65536.0) - 32768
        at, here = np.uint64((yi >> 16) * PAINT_PX + (xi >> 16)), np.uint64(level[u])
        # the grain is finer than the paint, so near ground is not blocky
        g = np.uint64(grain[np.uint64((((yi >> 15) & (NOISE_PX - 1)) * NOISE_PX) + ((xi >> 15) & (NOISE_PX - 1)))])
        a, b, d, e = paint[at], paint[at + right], paint[at + up], paint[at + up + right]
        rgb = colours[here, np.uint64(a) * grains + g]
        if a != b or a != d or a != e:
            fx, fy = (xi >> 8) & 255, (yi >> 8) & 255
            we = (fx * fy) >> 8
            wb, wd = fx - we, fy - we
            rgb = rgb * np.uint64(256 - wb - wd - we) + colours[here, np.uint64(b) * grains + g] * np.uint64(wb)
            rgb += colours[here, np.uint64(d) * grains + g] * np.uint64(wd) + colours[here, np.uint64(e) * grains + g] * np.uint64(we)
            rgb = rgb >> np.uint64(8)
        row[u, 0], row[u, 1], row[u, 2] = rgb & low, (rgb >> np.uint64(16)) & low, (rgb >> np.uint64(32)) & low


@kernel
def _far_run(
    row: Array, begin: int, end: int, ground: Array, extent: Array, level: Array, taps: int, x0: float, y0: float, c: float, s: float, paint: Array,
    colours: Array, share: int,
) -> None:  # fmt: skip
    """Mean of a few samples over what the pixel covers, staggered across the ray, so that distant lane lines stay whole; beyond the town is grass."""
    low, step = np.uint64(0xFFFF), 1.0 / taps
    for u in range(begin, end):
        gx, gy = np.float64(ground[u, 0]), np.float64(ground[u, 1])
        x, y = x0 + c * gx - s * gy, y0 + s * gx + c * gy
        along_x, along_y = c * extent[u, 0] - s * extent[u, 1], s * extent[u, 0] + c * extent[u, 1]
        across_x, across_y = c * extent[u, 2] - s * extent[u, 3], s * extent[u, 2] + c * extent[u, 3]
        total, side, f, here = np.uint64(0), 0.25, 0.5 * step - 0.5, np.uint64(level[u])
        for _ in range(taps):
            px, py = x + f * along_x + side * across_x, y + f * along_y + side * across_y
            material = np.uint64(0)
            if px >= 0.0 and py >= 0.0 and px < PAINT_PX and py < PAINT_PX:
                material = np.uint64(paint[np.uint64(int(py) * PAINT_PX + int(px))])
            total += colours[here, material * np.uint64(GRAINS) + np.uint64(_PLAIN)]
            f, side = f + step, -side
        row[u, 0] = ((total & low) * share) >> np.uint64(16)
        row[u, 1] = (((total >> np.uint64(16)) & low) * share) >> np.uint64(16)
        row[u, 2] = (((total >> np.uint64(32)) & low) * share) >> np.uint64(16)


@kernel
def draw_backdrop(
    frame: Array, first_row: int, end_row: int, pose: Array, paint: Array, ground: Array, extent: Array, taps: Array, level:
    Array, reach: Array, sky_at: Array, grain: Array, clouds: Array, colours: Array, sky: Array, skyline: Array, trees: int, shares: Array, px_m:
    float,
) -> None:  # fmt: skip
    """Fill rows of a frame from the rig's pose (rear axle, world), run by run of pixels that take as many samples."""
    x0, y0, c, s = pose[0] / px_m, pose[1] / px_m, np.cos(pose[2]), np.sin(pose[2])
    turn = floor(pose[2] / (2 * np.pi) * NUM_AZIMUTHS) & (NUM_AZIMUTHS - 1)
    room = min(min(x0, PAINT_PX - x0), min(y0, PAINT_PX - y0)) - 2.0  # to the border of the town
    for v in range(first_row, end_row):
        inside = reach[v] < room
        begin, columns = 0, frame.shape[1]
        while begin < columns:
            num, end = taps[v, begin], begin + 1
            while end < columns and taps[v, end] == num:
                end += 1
            if num == 0:
                _sky_run(frame[v], begin, end, sky_at[v], turn, clouds, sky, skyline, trees)
            elif num == 1 and inside:
                _near_run(frame[v], begin, end, ground[v], level[v], x0, y0, c, s, paint, grain, colours)
            else:
                _far_run(frame[v], begin, end, ground[v], extent[v], level[v], num, x0, y0, c, s, paint, colours, shares[num])
            begin = end


@kernel
def darken_ground(frame: Array, first_row: int, end_row: int, taps: Array, beam: Array, darkness: float) -> None:
    """At night: ground is as dark as the hour, but where the rig's own headlights fall."""
    ambient, gain = int(256 * (1.0 - darkness)), int(256 * darkness)
    for v in range(first_row, end_row):
        for u in range(frame.shape[1]):
            if taps[v, u] > 0:
                share = ambient + ((gain * int(beam[v, u])) >> 8)
                for k in range(3):
                    frame[v, u, k] = (int(frame[v, u, k]) * share) >> 8


def shares() -> Array:
    """1 / taps in 16 bits: a product is ten times faster than a division."""
    return _SHARES.copy()


assert NUM_AZIMUTHS == 1024 and NUM_ELEVATIONS == 256  # the shift by 10 above

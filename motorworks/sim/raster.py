"""Filling a grid of uint8 or int8 from above: ribbons along lines, and polygons. A pixel is filled if its middle lies inside."""

import numpy as np

from motorworks.geometry.array import Array
from motorworks.geometry.kernel import kernel


@kernel
def fill_quad(grid: Array, quad: Array, value: int, m_per_px: float) -> None:
    """A convex quadrilateral `[4, 2]` in metres, row by row."""
    height, width = grid.shape
    y_lo, y_hi = min(quad[0, 1], quad[1, 1], quad[2, 1], quad[3, 1]), max(quad[0, 1], quad[1, 1], quad[2, 1], quad[3, 1])
    for iy in range(max(int(y_lo / m_per_px - 0.5), 0), min(int(y_hi / m_per_px + 1.5), height)):
        y = (iy + 0.5) * m_per_px
        left, right = 1e9, -1e9
        for k in range(4):
            ax, ay, bx, by = quad[k, 0], quad[k, 1], quad[(k + 1) % 4, 0], quad[(k + 1) % 4, 1]
            if (ay <= y) != (by <= y):
                x = ax + (y - ay) / (by - ay) * (bx - ax)
                left, right = min(left, x), max(right, x)
        first, last = int(max(left / m_per_px + 0.5, 0.0)), int(min(max(right / m_per_px + 0.5, 0.0), float(width)))
        for ix in range(first, last):
            grid[iy, ix] = value


@kernel
def _corner(quad: Array, row: int, line: Array, i: int, f: float, left_m: float) -> None:
    """A point of the quad: on segment i of the line at fraction f, so far to the left."""
    for k in range(2):
        quad[row, k] = line[i, k] + f * (line[i + 1, k] - line[i, k])
    yaw = line[i, 2] + f * (line[i + 1, 2] - line[i, 2])
    quad[row, 0] -= left_m * np.sin(yaw)
    quad[row, 1] += left_m * np.cos(yaw)


@kernel
def fill_ribbon(
    grid: Array, quad: Array, line: Array, low_m: float, high_m: float, start_m: float, end_m: float, period_m: float, on_m: float,
    value: int, yaw_scale: float, m_per_px: float,
) -> None:  # fmt: skip
    """A band from `low_m` to `high_m` left of a line (x, y, yaw), between two distances along it.

    Dashed `on_m` in every `period_m` unless that is 0; filled with `value`, or the line's own yaw times `yaw_scale` unless that is 0.
    """
    s = 0.0
    for i in range(len(line) - 1):
        dx, dy = line[i + 1, 0] - line[i, 0], line[i + 1, 1] - line[i, 1]
        step = (dx * dx + dy * dy) ** 0.5
        code = value
        if yaw_scale != 0.0:
            yaw = 0.5 * (line[i, 2] + line[i + 1, 2])
            code = int(np.round(((yaw + np.pi) % (2 * np.pi) - np.pi) * yaw_scale))
        a, b = max(s, start_m), min(s + step, end_m)
        while a < b - 1e-9:
            stop = b
            shown = True
            if period_m > 0.0:
                phase = (a - start_m) % period_m
                shown = phase < on_m - 1e-9
                stop = min(b, a + (on_m - phase if shown else period_m - phase) + 1e-9)
            if shown:
                f, g = (a - s) / step, (stop - s) / step
                _corner(quad, 0, line, i, f, low_m)
                _corner(quad, 1, line, i, f, high_m)
                _corner(quad, 2, line, i, g, high_m)
                _corner(quad, 3, line, i, g, low_m)
                fill_quad(grid, quad, code, m_per_px)
            a = stop
        s += step


@kernel
def fill_polygon(grid: Array, outline: Array, crossings: Array, value: int, m_per_px: float) -> None:
    """Any polygon `[vertex, 2]`, even-odd. `crossings` has room for one number a vertex."""
    height, width = grid.shape
    num = len(outline)
    y_lo, y_hi = outline[0, 1], outline[0, 1]
    for k in range(num):
        y_lo, y_hi = min(y_lo, outline[k, 1]), max(y_hi, outline[k, 1])
    for iy in range(max(int(y_lo / m_per_px - 0.5), 0), min(int(y_hi / m_per_px + 1.5), height)):
        y = (iy + 0.5) * m_per_px
        count = 0
        for k in range(num):
            j = k + 1 if k + 1 < num else 0
            ay, by = outline[k, 1], outline[j, 1]
            if (ay <= y) != (by <= y):
                x = outline[k, 0] + (y - ay) / (by - ay) * (outline[j, 0] - outline[k, 0])
                at = count
                while at > 0 and crossings[at - 1] > x:
                    crossings[at] = crossings[at - 1]
                    at -= 1
                crossings[at] = x
                count += 1
        for pair in range(count // 2):
            first = int(max(crossings[2 * pair] / m_per_px + 0.5, 0.0))
            last = int(min(max(crossings[2 * pair + 1] / m_per_px + 0.5, 0.0), float(width)))
            for ix in range(first, last):
                grid[iy, ix] = value


@kernel
def claim_box(taken: Array, x: float, y: float, yaw: float, half_length: float, half_width: float, m_per_px: float) -> bool:
    """Mark a rotated rectangle as taken if all of it is free and within the grid; whether it was."""
    height, width = taken.shape
    c, s = np.cos(yaw), np.sin(yaw)
    reach_x, reach_y = abs(c) * half_length + abs(s) * half_width, abs(s) * half_length + abs(c) * half_width
    x_lo, x_hi = int(np.floor((x - reach_x) / m_per_px)), int(np.floor((x + reach_x) / m_per_px))
    y_lo, y_hi = int(np.floor((y - reach_y) / m_per_px)), int(np.floor((y + reach_y) / m_per_px))
    if x_lo < 0 or y_lo < 0 or x_hi >= width or y_hi >= height:
        return False
    for writes in range(2):
        for iy in range(y_lo, y_hi + 1):
            for ix in range(x_lo, x_hi + 1):
                dx, dy = (ix + 0.5) * m_per_px - x, (iy + 0.5) * m_per_px - y
                if abs(c * dx + s * dy) <= half_length + 0.35 * m_per_px and abs(-s * dx + c * dy) <= half_width + 0.35 * m_per_px:
                    if writes:
                        taken[iy, ix] = 1
                    elif taken[iy, ix]:
                        return False
    return True

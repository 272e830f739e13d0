"""Lines in the plane as arrays `[point, 4]`: x, y, yaw (unwrapped), curvature, evenly spaced."""

import numpy as np
from jaxtyping import Float

from motorworks.geometry.array import Array
from motorworks.geometry.kernel import kernel
from motorworks.sim.lanes import SPACING_M

Line = Float[Array, "point 4"]


@kernel
def _length(x: Array, y: Array) -> float:
    total = 0.0
    for i in range(len(x) - 1):
        total += np.hypot(x[i + 1] - x[i], y[i + 1] - y[i])
    return total


@kernel
def _resample(x: Array, y: Array, yaw: Array, length: float, out: Array) -> None:
    """Fill out `[point, 4]` at even distances; curvature by central differences of yaw."""
    last = len(out) - 1
    step = length / last
    i, start = 0, 0.0
    piece = np.hypot(x[1] - x[0], y[1] - y[0])
    for k in range(last + 1):
        s = length if k == last else k * step
        while i < len(x) - 2 and s > start + piece:
            start += piece
            i += 1
            piece = np.hypot(x[i + 1] - x[i], y[i + 1] - y[i])
        f = min(max((s - start) / max(piece, 1e-12), 0.0), 1.0)
        if k == last:
            i, f = len(x) - 2, 1.0
        out[k, 0], out[k, 1] = x[i] + f * (x[i + 1] - x[i]), y[i] + f * (y[i + 1] - y[i])
        out[k, 2] = yaw[i] + f * (yaw[i + 1] - yaw[i])
    for k in range(last + 1):
        a, b = max(k - 1, 0), min(k + 1, last)
        out[k, 3] = (out[b, 2] - out[a, 2]) / ((b - a) * step)


def even(x: Array, y: Array, yaw: Array) -> Line:
    """The same line, evenly spaced at about SPACING_M, with its curvature."""
    x, y, yaw = np.ascontiguousarray(x), np.ascontiguousarray(y), np.ascontiguousarray(yaw)
    length = _length(x, y)
    out = np.empty((max(round(length / SPACING_M), 2) + 1, 4))
    _resample(x, y, yaw, length, out)
    return out


def bezier(start: Array, end: Array, handle_frac: float = 0.39) -> Line:
    """A cubic from pose to pose (x, y, yaw); the handles are `handle_frac` of the chord long."""
    start, end = np.asarray(start)[:3], near(np.asarray(end), start[2])
    chord = np.hypot(*(end[:2] - start[:2]))
    t = np.linspace(0.0, 1.0, int(chord * 2) + 12)[:, None]
    p0, p3 = start[:2], end[:2]
    p1 = p0 + handle_frac * chord * np.array([np.cos(start[2]), np.sin(start[2])])
    p2 = p3 - handle_frac * chord * np.array([np.cos(end[2]), np.sin(end[2])])
    xy = (1 - t) ** 3 * p0 + 3 * (1 - t) ** 2 * t * p1 + 3 * (1 - t) * t**2 * p2 + t**3 * p3
    d = 3 * (1 - t) ** 2 * (p1 - p0) + 6 * (1 - t) * t * (p2 - p1) + 3 * t**2 * (p3 - p2)
    return even(xy[:, 0], xy[:, 1], np.unwrap(np.arctan2(d[:, 1], d[:, 0])))


def straight(start: Array, end: Array) -> Line:
    """The segment from point to point."""
    yaw = np.arctan2(end[1] - start[1], end[0] - start[0])
    return even(np.array([start[0], end[0]]), np.array([start[1], end[1]]), np.array([yaw, yaw]))


def arc(centre: Array, radius_m: float, start_rad: float, end_rad: float) -> Line:
    """Counter-clockwise round a centre, from polar angle to polar angle."""
    angle = np.linspace(start_rad, end_rad, max(int((end_rad - start_rad) * radius_m * 2), 4) + 1)
    return even(centre[0] + radius_m * np.cos(angle), centre[1] + radius_m * np.sin(angle), angle + np.pi / 2)


def join(*lines: Line) -> Line:
    """Lines one after the other, where each begins at the end of the one before; yaw is carried on without a jump."""
    pieces = [lines[0]]
    for line in lines[1:]:
        turns = np.round((pieces[-1][-1, 2] - line[0, 2]) / (2 * np.pi)) * 2 * np.pi
        pieces.append(line[1:] + np.array([0.0, 0.0, turns, 0.0]))
    whole = np.concatenate(pieces)
    return even(whole[:, 0], whole[:, 1], whole[:, 2])


def offset(line: Line, right_m: float) -> Line:
    """The parallel line `right_m` to the right."""
    return even(line[:, 0] + right_m * np.sin(line[:, 2]), line[:, 1] - right_m * np.cos(line[:, 2]), line[:, 2])


def reverse(line: Line) -> Line:
    """The same line from its end to its start."""
    back = line[::-1]
    return np.column_stack([back[:, :2], back[:, 2] + np.pi, -back[:, 3]])


def extend(line: Line, before_m: float, after_m: float) -> Line:
    """Straight on at both ends."""
    a, b = line[0], line[-1]
    first = [a[0] - before_m * np.cos(a[2]), a[1] - before_m * np.sin(a[2]), a[2]]
    last = [b[0] + after_m * np.cos(b[2]), b[1] + after_m * np.sin(b[2]), b[2]]
    poses = [line[:, :3]]
    if before_m > 0:
        poses.insert(0, np.array([first]))
    if after_m > 0:
        poses.append(np.array([last]))
    whole = np.concatenate(poses)
    return even(whole[:, 0], whole[:, 1], whole[:, 2])


def shift(pose: Array, ahead_m: float, right_m: float) -> Float[Array, " 3"]:
    """The pose moved in its own frame."""
    c, s = np.cos(pose[2]), np.sin(pose[2])
    return np.array([pose[0] + ahead_m * c + right_m * s, pose[1] + ahead_m * s - right_m * c, pose[2]])


def near(pose: Array, yaw: float) -> Float[Array, " 3"]:
    """The pose with its yaw within pi of another."""
    return np.array([pose[0], pose[1], yaw + (pose[2] - yaw + np.pi) % (2 * np.pi) - np.pi])


def length_of(line: Array) -> float:
    """Metres along a line's points."""
    return float(_length(np.ascontiguousarray(line[:, 0]), np.ascontiguousarray(line[:, 1])))


def cut(line: Line, start_m: float, end_m: float) -> Line:
    """The part between two distances along the line."""
    s = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(line[:, 0]), np.diff(line[:, 1])))])
    inner = s[(s > start_m + 1e-6) & (s < end_m - 1e-6)]
    grid = np.concatenate([[start_m], inner, [end_m]])
    return even(np.interp(grid, s, line[:, 0]), np.interp(grid, s, line[:, 1]), np.interp(grid, s, line[:, 2]))


def smooth_line(shape: Array) -> Line:
    """A polyline with its corners rounded over a few metres; the ends stay."""
    steps = np.hypot(*np.diff(shape, axis=0).T)
    keep = np.concatenate([[True], steps > 1e-3])
    shape = shape[keep]
    s = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(shape, axis=0).T))])
    grid = np.linspace(0.0, s[-1], max(int(s[-1] * 2), 4) + 1)
    xy = np.column_stack([np.interp(grid, s, shape[:, k]) for k in range(2)])
    if len(shape) > 2:
        for _ in range(30):
            xy[1:-1] = 0.25 * xy[:-2] + 0.5 * xy[1:-1] + 0.25 * xy[2:]
    d = np.gradient(xy, axis=0)
    return even(xy[:, 0], xy[:, 1], np.unwrap(np.arctan2(d[:, 1], d[:, 0])))

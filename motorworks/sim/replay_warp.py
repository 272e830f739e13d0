"""Reprojection: what a camera would have seen from a little beside where it was.

Flat: the ground is a plane and moves by its homography; everything above the horizon is endlessly far and only turns. Deep: every pixel of
the recorded picture has a depth; depths are cast forward into the wanted view, nearest wins, then each wanted pixel looks back for its colour.
Both are inverse warps with bilinear sampling, so at the recorded pose the picture comes back bit for bit.
Camera axes: x right, y down, z forward. Disparity here is 1 / z (per metre), 0 for what is endlessly far.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from motorworks.datatypes.rig import Camera
from motorworks.geometry.array import Array
from motorworks.geometry.kernel import kernel

NEAREST_M = 0.05
_HOLE = -1.0
_STRETCH_FRAC = 0.25  # of the width: a wider gap within a row is not filled from its far side but by the flat guess


class Lens(NamedTuple):
    """A pinhole in pixels."""

    width: int
    height: int
    focal: float
    column: float  # of the optical axis
    row: float


class Move(NamedTuple):
    """From the wanted camera (to) back to the recorded one (from): a point p seen from the wanted camera lies at `rotation @ p + shift`."""

    rotation: Float[Array, "3 3"]
    shift: Float[Array, " 3"]
    up: Float[Array, " 3"]  # the ground's normal, in the wanted camera's axes
    height: float  # of the wanted camera above the ground


def lens_of(camera: Camera) -> Lens:
    """The camera's intrinsics as plain numbers."""
    return Lens(camera.width_px, camera.height_px, float(camera.focal_px), float(camera.centre_px[0]), float(camera.centre_px[1]))


def plan_move(recorded: Camera, wanted: Camera, recorded_from_ego: Float[Array, " 3"]) -> Move:
    """The move for an ego at pose `recorded_from_ego` (x_m y_m yaw_rad) in the rig frame of the recorded pose. Flat ground: no pitch, no roll."""
    c, s = np.cos(recorded_from_ego[2]), np.sin(recorded_from_ego[2])
    turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    place = turn @ np.array(wanted.position_rig_m) + (recorded_from_ego[0], recorded_from_ego[1], 0.0)
    axes = recorded.rig_from_camera.T
    return Move(
        rotation=np.ascontiguousarray(axes @ turn @ wanted.rig_from_camera),
        shift=axes @ (place - recorded.position_rig_m),
        up=np.ascontiguousarray(wanted.rig_from_camera[2]),
        height=float(wanted.position_rig_m[2]),
    )


@kernel
def pack(picture: Array, packed: Array) -> None:
    """uint8 [height width 3] to uint64 [height * width]: a colour in three lanes of 16 bits, so that one product weighs all three."""
    flat = picture.reshape(-1)
    for i in range(len(packed)):
        at = np.uint64(3 * i)
        packed[i] = np.uint64(flat[at]) | np.uint64(flat[at + np.uint64(1)]) << np.uint64(16) | np.uint64(flat[at + np.uint64(2)]) << np.uint64(32)


@kernel
def _sample(packed: Array, wide: int, high: int, x: float, y: float) -> int:
    """Bilinear, in 8 bits of fraction; x, y in pixels with centres at whole numbers; beyond its edge a picture goes on as its edge."""
    lanes, one, top, eight = np.uint64(0x00FF00FF00FF), np.uint64(1), np.uint64(256), np.uint64(8)
    xi, yi = np.uint64(min(max(x, 0.0), wide - 1.0) * 256.0 + 0.5), np.uint64(min(max(y, 0.0), high - 1.0) * 256.0 + 0.5)
    x0, y0, fx, fy = xi >> eight, yi >> eight, xi & np.uint64(255), yi & np.uint64(255)
    at = y0 * np.uint64(wide) + x0
    right = one if x0 + one < np.uint64(wide) else np.uint64(0)
    below = np.uint64(wide) if y0 + one < np.uint64(high) else np.uint64(0)
    half = np.uint64(0x0080_0080_0080)
    upper = (packed[at] * (top - fx) + packed[at + right] * fx + half) >> eight & lanes
    lower = (packed[at + below] * (top - fx) + packed[at + below + right] * fx + half) >> eight & lanes
    return (upper * (top - fy) + lower * fy + half) >> eight & lanes


@kernel
def _put(out: Array, pixel: int, rgb: int) -> None:
    at, byte = np.uint64(3 * pixel), np.uint64(255)
    out[at], out[at + np.uint64(1)], out[at + np.uint64(2)] = rgb & byte, rgb >> np.uint64(16) & byte, rgb >> np.uint64(32)


@kernel
def _draw(packed: Array, source: Lens, out: Array, target: Lens, move: Move, deep: bool, found: Array) -> int:
    """Every wanted pixel looks back along its disparity (the plane's where `found` knows none); answers how many the recording never saw."""
    r00, r01, r02 = move.rotation[0, 0], move.rotation[0, 1], move.rotation[0, 2]
    r10, r11, r12 = move.rotation[1, 0], move.rotation[1, 1], move.rotation[1, 2]
    r20, r21, r22 = move.rotation[2, 0], move.rotation[2, 1], move.rotation[2, 2]
    t0, t1, t2 = move.shift[0], move.shift[1], move.shift[2]
    n0, n1, n2 = move.up[0] / move.height, move.up[1] / move.height, move.up[2] / move.height
    flat, pixel, unseen = out.reshape(-1), 0, 0
    left, right, top, bottom = -0.5, source.width - 0.5, -0.5, source.height - 0.5
    for v in range(target.height):
        dy = (v + 0.5 - target.row) / target.focal
        bx, by, bz, bn = r01 * dy + r02, r11 * dy + r12, r21 * dy + r22, n1 * dy + n2
        for u in range(target.width):
            dx = (u + 0.5 - target.column) / target.focal
            # of the ground this is n'd / h: R + t n' / h is the plane's homography, continuous with the turn alone at the horizon
            near, known = max(-(n0 * dx + bn), 0.0), True
            if deep:
                known = found[v, u] >= 0.0
                near = found[v, u] if known else near
            qz = r20 * dx + bz + t2 * near
            scale = source.focal / max(qz, 1e-6)
            x, y = source.column - 0.5 + (r00 * dx + bx + t0 * near) * scale, source.row - 0.5 + (r10 * dx + by + t1 * near) * scale
            if known and not (qz > 0.0 and left <= x <= right and top <= y <= bottom):
                unseen += 1
            _put(flat, pixel, _sample(packed, source.width, source.height, x, y))
            pixel += 1
    return unseen


@kernel
def warp_flat(packed: Array, source: Lens, out: Array, target: Lens, move: Move, found: Array) -> int:
    """Draw a packed picture as seen after `move` into `out` (uint8 [height width 3]); answers how many pixels the recording never saw."""
    return _draw(packed, source, out, target, move, False, found)


@kernel
def _cast(disparity: Array, source: Lens, target: Lens, move: Move, found: Array) -> None:
    """Forward: the disparity of each recorded pixel lands on the four wanted pixels around it; the nearest thing wins."""
    r, t = move.rotation, move.shift
    for v in range(target.height):
        for u in range(target.width):
            found[v, u] = _HOLE
    for v in range(source.height):
        dy = (v + 0.5 - source.row) / source.focal
        for u in range(source.width):
            near = disparity[v, u]
            if not near >= 0.0:  # unknown
                continue
            dx = (u + 0.5 - source.column) / source.focal
            px, py, pz = dx - t[0] * near, dy - t[1] * near, 1.0 - t[2] * near
            qz = r[0, 2] * px + r[1, 2] * py + r[2, 2] * pz
            if qz <= 1e-6 or near > qz / NEAREST_M:
                continue
            scale = target.focal / qz
            x = target.column - 0.5 + (r[0, 0] * px + r[1, 0] * py + r[2, 0] * pz) * scale
            y = target.row - 0.5 + (r[0, 1] * px + r[1, 1] * py + r[2, 1] * pz) * scale
            if x <= -1.0 or y <= -1.0 or x >= target.width or y >= target.height:
                continue
            # 1e-6: a pixel that lands on a pixel is not to spill over its neighbour by rounding
            x0, y0 = int(np.floor(x + 1e-6)), int(np.floor(y + 1e-6))
            x1, y1 = x0 + (1 if x - x0 > 1e-6 else 0), y0 + (1 if y - y0 > 1e-6 else 0)
            seen = near / qz
            for j in range(max(y0, 0), min(y1 + 1, target.height)):
                for i in range(max(x0, 0), min(x1 + 1, target.width)):
                    if seen > found[j, i]:
                        found[j, i] = seen


@kernel
def _fill(out: Array, found: Array) -> int:
    """Gaps that open behind a near thing take the colour of their farther side, row by row; answers how many pixels that were."""
    filled = 0
    high, wide = found.shape
    for v in range(high):
        u = 0
        while u < wide:
            if found[v, u] >= 0.0:
                u += 1
                continue
            end = u
            while end < wide and found[v, end] < 0.0:
                end += 1
            if u > 1 and end < wide - 1 and end - u <= _STRETCH_FRAC * wide:
                # the pixel at the very rim mixes near and far: the one beyond it is the colour, and the rim gets it too
                left = found[v, u - 1] <= found[v, end]
                side, start, stop = (u - 2, u - 1, end) if left else (end + 1, u, end + 1)
                for i in range(start, stop):
                    for k in range(3):
                        out[v, i, k] = out[v, side, k]
            filled += end - u
            u = end
    return filled


@kernel
def warp_deep(packed: Array, disparity: Array, source: Lens, out: Array, target: Lens, move: Move, found: Array) -> int:
    """As `warp_flat`, with the recorded picture's `disparity` (float32 [height width], NaN unknown); `found` is scratch of the wanted size."""
    _cast(disparity, source, target, move, found)
    unseen = _draw(packed, source, out, target, move, True, found)
    return unseen + _fill(out, found)


def disparity_of(depth_m: Float[Array, "*batch height width"]) -> Float[Array, "*batch height width"]:
    """1 / depth, float32: 0 for infinity, NaN where depth is NaN or not above 0."""
    depth = np.asarray(depth_m, np.float64)
    return np.where(depth > 0.0, 1.0 / np.where(depth > 0.0, depth, 1.0), np.nan).astype(np.float32)


def flat_disparity(camera: Camera) -> Float[Array, "height width"]:
    """1 / depth of the empty ground as `camera` sees it from the rig, 0 above the horizon: what the flat warp believes."""
    return flat_disparity_of(camera, camera.rig_from_camera[2], camera.position_rig_m[2])


def flat_disparity_of(camera: Camera, up: Float[Array, " 3"], height_m: float) -> Float[Array, "height width"]:
    """The same for a ground with normal `up` in the camera's axes, `height_m` below it."""
    rows, columns = np.mgrid[0 : camera.height_px, 0 : camera.width_px] + 0.5
    falls = up[0] * (columns - camera.centre_px[0]) / camera.focal_px + up[1] * (rows - camera.centre_px[1]) / camera.focal_px + up[2]
    return (np.maximum(-falls, 0.0) / height_m).astype(np.float32)


def reproject(
    picture: UInt8[Array, "height width 3"],
    recorded: Camera,
    move: Move,
    *,
    wanted: Camera | None = None,
    depth_m: Float[Array, "height width"] | None = None,
) -> tuple[UInt8[Array, "out_height out_width 3"], float]:
    """One picture after a move, and the share of it that the recording never saw. Without `depth_m` (along the axis; inf far, NaN unknown): flat."""
    wanted = wanted or recorded
    out = np.empty((wanted.height_px, wanted.width_px, 3), np.uint8)
    packed = np.empty(picture.shape[0] * picture.shape[1], np.uint64)
    pack(np.ascontiguousarray(picture), packed)
    found = np.empty(out.shape[:2], np.float32)
    if depth_m is None:
        unseen = warp_flat(packed, lens_of(recorded), out, lens_of(wanted), move, found)
    else:
        unseen = warp_deep(packed, disparity_of(depth_m), lens_of(recorded), out, lens_of(wanted), move, found)
    return out, unseen / (out.shape[0] * out.shape[1])

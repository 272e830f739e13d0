"""Where an ego is beside a recorded path, and which row of the recording belongs there."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from motorworks.geometry.array import Array
from motorworks.geometry.kernel import kernel
from motorworks.geometry.se2 import wrap_angle

_WINDOW = 8  # points looked at before and after the last one; repeated until the nearest is found, so no limit on speed


class Paths(NamedTuple):
    """The paths of all clips, one after the other."""

    points: Float[Array, "point 5"]  # x_m y_m yaw_rad, metres from the start, row of the clip
    first: Int[Array, " clip"]
    last: Int[Array, " clip"]


def join_paths(paths: Sequence[Float[Array, "point 5"]]) -> Paths:
    """Every path has at least two points."""
    ends = np.cumsum([len(path) for path in paths])
    return Paths(points=np.concatenate(list(paths)), first=ends - [len(path) for path in paths], last=ends - 1)


def place_at(paths: Paths, clip: int, along_m: float) -> tuple[Float[Array, " 3"], int]:
    """Pose on the path that far from its start (its end beyond it), and the index of the point before."""
    first, last = int(paths.first[clip]), int(paths.last[clip])
    points = paths.points[first : last + 1]
    before = int(np.clip(np.searchsorted(points[:, 3], along_m, side="right") - 1, 0, len(points) - 2))
    a, b = points[before], points[before + 1]
    share = float(np.clip((along_m - a[3]) / (b[3] - a[3]), 0.0, 1.0))
    pose = np.array([a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1]), wrap_angle(a[2] + share * wrap_angle(b[2] - a[2]))])
    return pose, first + before


@kernel
def _nearest(points: Array, first: int, last: int, start: int, x: float, y: float) -> int:
    """From `start` on, the next local minimum of distance: a path that crosses itself does not let the ego jump."""
    at = start
    while True:
        best, least = at, (points[at, 0] - x) ** 2 + (points[at, 1] - y) ** 2
        for k in range(max(at - _WINDOW, first), min(at + _WINDOW, last) + 1):
            distance = (points[k, 0] - x) ** 2 + (points[k, 1] - y) ** 2
            if distance < least:
                best, least = k, distance
        if best == at:
            return at
        at = best


@kernel
def locate(live: Array, clip: Array, pose: Array, paths: Paths, near: Array, row: Array, place: Array) -> None:
    """For each live environment: point `near` it, the `row` whose picture is nearest along the path, and
    `place`: metres along, metres left of the path, yaw off it. The path goes on straight beyond its ends."""
    points = paths.points
    for env in range(len(live)):
        if not live[env]:
            continue
        first, last = paths.first[clip[env]], paths.last[clip[env]]
        x, y = pose[env, 0], pose[env, 1]
        at = _nearest(points, first, last, near[env], x, y)
        near[env] = at
        # the segment on the ego's side of the nearest point
        k = min(at, last - 1)
        ahead = (points[k + 1, 0] - points[k, 0]) * (x - points[k, 0]) + (points[k + 1, 1] - points[k, 1]) * (y - points[k, 1])
        if k == at and ahead < 0.0 and k > first:
            k -= 1
        dx, dy, step = points[k + 1, 0] - points[k, 0], points[k + 1, 1] - points[k, 1], points[k + 1, 3] - points[k, 3]
        along = (dx * (x - points[k, 0]) + dy * (y - points[k, 1])) / step
        share = min(max(along / step, 0.0), 1.0)
        bend = (points[k + 1, 2] - points[k, 2] + math.pi) % (2.0 * math.pi) - math.pi
        off = pose[env, 2] - points[k, 2] - share * bend
        place[env, 0] = points[k, 3] + along
        place[env, 1] = (dx * (y - points[k, 1]) - dy * (x - points[k, 0])) / step
        place[env, 2] = (off + math.pi) % (2.0 * math.pi) - math.pi
        row[env] = int(points[k + 1 if share > 0.5 else k, 4])

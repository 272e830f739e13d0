"""Arrows on the lanes before a junction: which way each leads."""

import numpy as np
from jaxtyping import Float

from motorworks.geometry.array import Array
from motorworks.sim.lanes import DRIVE, Network

BEFORE_LINE_M = 9.0  # the arrow's middle
SHAFT_M, HALF_SHAFT_M, HEAD_M, HALF_HEAD_M = 3.2, 0.14, 1.1, 0.5
MIN_LANE_M = 24.0


def _shapes(turns: set[int]) -> list[Float[Array, "vertex 2"]]:
    """Polygons of one arrow, forward and left of its middle."""
    shapes = []
    top = SHAFT_M / 2
    if 0 in turns:
        shapes.append(np.array([[-top, -HALF_SHAFT_M], [top, -HALF_SHAFT_M], [top, HALF_SHAFT_M], [-top, HALF_SHAFT_M]]))
        shapes.append(np.array([[top, -HALF_HEAD_M], [top + HEAD_M, 0.0], [top, HALF_HEAD_M]]))
    elif turns:
        shapes.append(np.array([[-top, -HALF_SHAFT_M], [0.8, -HALF_SHAFT_M], [0.8, HALF_SHAFT_M], [-top, HALF_SHAFT_M]]))
    for side in turns - {0}:  # a bar to the side, and its head
        at, width = 0.4, 2 * HALF_SHAFT_M
        shapes.append(np.array([[at, 0.0], [at + width, 0.0], [at + width, side * 0.55], [at, side * 0.55]]))
        middle = at + width / 2
        shapes.append(np.array([[middle - HALF_HEAD_M, side * 0.55], [middle + HALF_HEAD_M, side * 0.55], [middle, side * (0.55 + 0.9)]]))
    return shapes


def lane_arrows(network: Network) -> list[Float[Array, "vertex 2"]]:
    """Polygons in the town's frame, for lanes that have a neighbour and end at a junction of several ways."""
    lanes, out = network.lanes, []
    for lane in np.flatnonzero((lanes.kind == DRIVE) & (lanes.source < 0) & ((lanes.left >= 0) | (lanes.right >= 0)) & (lanes.length > MIN_LANE_M)):
        beside = [lane]  # all lanes of this direction: one of them must have a choice
        for side in (lanes.left, lanes.right):
            at = side[lane]
            while at >= 0:
                beside.append(at)
                at = side[at]
        ways = [lanes.next[i, : lanes.num_next[i]] for i in beside]
        if len({int(lanes.turn[way]) for group in ways for way in group}) < 2:
            continue
        back = int(BEFORE_LINE_M / lanes.step[lane])
        x, y, yaw = lanes.points[lanes.first[lane] + lanes.num_points[lane] - 1 - back, :3]
        c, s = np.cos(yaw), np.sin(yaw)
        for shape in _shapes({int(turn) for turn in lanes.turn[ways[0]]}):
            out.append(np.column_stack([x + c * shape[:, 0] - s * shape[:, 1], y + s * shape[:, 0] + c * shape[:, 1]]))
    return out

"""What stands beside a town's roads: signs, signal heads, lamp posts, houses in rows, hedges, trees, bollards. Never on a road or in a walk's way."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from motorworks.geometry.array import Array
from motorworks.sim.codes import (
    BOLLARD,
    BUILDING,
    HEADING_M_PER_PX,
    HEDGE,
    LAMP_POST,
    OFF_CODE,
    SCENERY_COLUMNS,
    SIGN,
    SIGNAL_HEAD,
    TREE,
)
from motorworks.sim.curves import extend, reverse
from motorworks.sim.lanes import Network
from motorworks.sim.paint import PAVEMENT_M, Brush
from motorworks.sim.raster import claim_box
from motorworks.sim.roads import Island, Kerb, Stroke

MAX_SCENERY = 900
LAMP_BEYOND_KERB_M = 0.45
SIGN_SHADE_MPS = 40.0  # a limit sign's `shade` is its limit over this
TERRACE, SUBURB, GREEN = range(3)  # how a street is built up


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side of a street; its line runs so that the side is on the right."""

    line: Array
    s: Array
    kerb_m: float
    style: int

    def at(self, s_m: float, beyond_kerb_m: float) -> tuple[float, float, float]:
        """A place beside the street, and the yaw of what faces the street there."""
        x, y, yaw = (float(np.interp(s_m, self.s, self.line[:, k])) for k in range(3))
        right = self.kerb_m + beyond_kerb_m
        return x + right * np.sin(yaw), y - right * np.cos(yaw), yaw + np.pi / 2


class Plot:
    """The free ground, and the rows placed on it."""

    def __init__(self, network: Network, heading: Array) -> None:
        brush = Brush(network.size_m, HEADING_M_PER_PX, 0, np.uint8)
        for stroke in network.strokes:
            if isinstance(stroke, Stroke):
                line = extend(stroke.line, *stroke.lead_m)
                right, left = stroke.halves_m
                brush.ribbon(line, -right - PAVEMENT_M, left + PAVEMENT_M, 1)
            elif isinstance(stroke, Kerb):
                brush.ribbon(stroke.line, -PAVEMENT_M, 0.0, 1)
            elif isinstance(stroke, Island):
                brush.polygon(stroke.outline, 1)
        self._taken, self._heading = brush.grid, heading
        self._taken[heading != OFF_CODE] = 1
        self.rows: list[tuple[float, ...]] = []

    def on_road(self, pose: tuple[float, float, float]) -> bool:
        """Whether one may drive there."""
        return bool(self._heading[int(pose[1] / HEADING_M_PER_PX), int(pose[0] / HEADING_M_PER_PX)] != OFF_CODE)

    def put(self, x: float, y: float, yaw: float, half: tuple[float, float], height: float, kind: int, shade: float, value: float = 0.0) -> None:
        """A row, wherever it is."""
        self.rows.append((x, y, yaw, half[0], half[1], height, kind, shade, value))

    def claim(
        self, pose: tuple[float, float, float], half: tuple[float, float], height: float, kind: int, shade: float, margin_m: float
    ) -> bool:  # fmt: skip
        """A row where the ground is free, with a margin round it; whether it was."""
        x, y, yaw = pose
        free = bool(claim_box(self._taken, x, y, yaw, half[0] + margin_m, half[1] + margin_m, HEADING_M_PER_PX))
        if free:
            self.put(x, y, yaw, half, height, kind, shade)
        return free


def _sides(network: Network, rng: np.random.Generator) -> Iterator[Side]:
    for stroke in network.strokes:
        if not isinstance(stroke, Stroke) or len(stroke.line) < 16:
            continue
        style = TERRACE if max(stroke.num_lanes) > 1 and rng.random() < 0.7 else int(rng.choice([TERRACE, SUBURB, GREEN], p=[0.25, 0.5, 0.25]))
        for side, line in ((0, stroke.line), (1, reverse(stroke.line))):
            if stroke.num_lanes[side] == 0:  # one direction only
                continue
            s = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(line[:, 0]), np.diff(line[:, 1])))])
            yield Side(line=line, s=s, kerb_m=stroke.halves_m[side], style=style)


def _put_posts(plot: Plot, network: Network) -> None:
    for x, y, yaw, kind, value, extra in network.posts:
        if kind == SIGNAL_HEAD:
            plot.put(x, y, yaw, (0.15, 0.15), 3.4, SIGNAL_HEAD, 0.5, value)
        else:
            plot.put(x, y, yaw, (0.05, 0.35), 2.6, SIGN, extra / SIGN_SHADE_MPS, value)


def _put_lamps(plot: Plot, side: Side, index: int, rng: np.random.Generator) -> None:
    """Every thirty metres, the two sides in turn."""
    for s in np.arange(8.0 + 15.0 * (index % 2), side.s[-1] - 5.0, 30.0):
        pose = side.at(float(s), LAMP_BEYOND_KERB_M)
        if not plot.on_road(pose):
            plot.put(*pose, (0.1, 0.1), float(rng.uniform(5.5, 6.5)), LAMP_POST, float(rng.random()))


def _put_houses(plot: Plot, side: Side, rng: np.random.Generator) -> None:
    """A row of fronts; closer and higher in a terrace."""
    setback, gap, floors = {
        TERRACE: ((0.8, 1.6), (0.4, 2.5), (2, 5)),
        SUBURB: ((3.5, 7.0), (3.0, 8.0), (1, 3)),
        GREEN: ((6.0, 12.0), (14.0, 30.0), (1, 3)),
    }[side.style]
    s = float(rng.uniform(0.0, 6.0))
    back = rng.uniform(*setback)
    while s < side.s[-1] - 4.0:
        front, depth = rng.uniform(8.0, 14.0), rng.uniform(7.0, 10.0)
        pose = side.at(s + front / 2, PAVEMENT_M + back + rng.uniform(0.0, 0.8) + depth / 2)
        height = 1.0 + 2.8 * int(rng.integers(*floors)) + rng.uniform(0.0, 0.8)
        placed = plot.claim(pose, (depth / 2, front / 2), height, BUILDING, float(rng.random()), 0.3)
        s += front + rng.uniform(*gap) if placed else 4.0


def _put_hedges(plot: Plot, side: Side, rng: np.random.Generator) -> None:
    if side.style == TERRACE:
        return
    for s in np.arange(4.0, side.s[-1] - 4.0, 5.5):
        if rng.random() < 0.4:
            plot.claim(side.at(float(s), PAVEMENT_M + 0.9), (0.4, 2.4), float(rng.uniform(0.9, 1.5)), HEDGE, float(rng.random()), 0.0)


def _put_street_trees(plot: Plot, side: Side, rng: np.random.Generator) -> None:
    if side.style == TERRACE:
        return
    spacing = 11.0 if side.style == GREEN else 19.0
    for s in np.arange(6.0, side.s[-1] - 3.0, spacing):
        radius = float(rng.uniform(1.0, 1.8))
        plot.claim(
            side.at(float(s + rng.uniform(0, 4)), PAVEMENT_M + 0.5 + radius), (radius, radius), 2.6 * radius + 2.2, TREE, float(rng.random()), 0.1
        )


def _put_field_trees(plot: Plot, network: Network, rng: np.random.Generator, num: int) -> None:
    for x, y in rng.uniform(2.0, np.array(network.size_m) - 2.0, (num, 2)):
        radius = float(rng.uniform(1.2, 2.6))
        plot.claim((float(x), float(y), 0.0), (radius, radius), 2.4 * radius + 2.0, TREE, float(rng.random()), 0.5)


def _put_bollards(plot: Plot, network: Network, rng: np.random.Generator) -> None:
    """Beside the ends of half of the zebras, on the kerb's edge."""
    for ax, ay, bx, by, width, _ in network.crosswalks:
        if rng.random() < 0.5:
            continue
        yaw = float(np.arctan2(by - ay, bx - ax))
        c, s = np.cos(yaw), np.sin(yaw)
        for x, y, out in ((ax, ay, -0.4), (bx, by, 0.4)):
            for across in (-width / 2 - 0.3, width / 2 + 0.3):
                plot.put(x + out * c - across * s, y + out * s + across * c, yaw, (0.08, 0.08), 0.9, BOLLARD, float(rng.random()))


def _put_island_trees(plot: Plot, network: Network, rng: np.random.Generator) -> None:
    """On the round islands, where drivers need not look across."""
    for stroke in network.strokes:
        if isinstance(stroke, Island) and len(stroke.outline) == 48:
            centre = stroke.outline.mean(axis=0)
            for angle in np.arange(5) * 2 * np.pi / 5 + rng.uniform(0, 1):
                radius = float(rng.uniform(0.9, 1.5))
                x, y = centre + 4.0 * np.array([np.cos(angle), np.sin(angle)])
                plot.put(float(x), float(y), 0.0, (radius, radius), 2.5 * radius + 1.5, TREE, float(rng.random()))


def place_scenery(network: Network, heading: Array, rng: np.random.Generator) -> Float[Array, "object 9"]:
    """Rows of SCENERY_COLUMNS, at most MAX_SCENERY: what rules the traffic first, what only fills the picture last."""
    plot, sides = Plot(network, heading), list(_sides(network, rng))
    _put_posts(plot, network)
    for index, side in enumerate(sides):
        _put_lamps(plot, side, index, rng)
    _put_island_trees(plot, network, rng)
    _put_bollards(plot, network, rng)
    for side in sides:
        _put_hedges(plot, side, rng)
    for side in sides:
        _put_houses(plot, side, rng)
    for side in sides:
        _put_street_trees(plot, side, rng)
    _put_field_trees(plot, network, rng, 160)
    return np.array(plot.rows).reshape(-1, len(SCENERY_COLUMNS))[:MAX_SCENERY]

"""How each kind of thing is built: boxes that narrow upwards, in shares of the thing's own size, and a style for each face."""

import numpy as np

from motorworks.datatypes.agent import AGENT_KINDS, BARRIER, BUS, CAR, CONE, CYCLIST, DEBRIS, EMERGENCY, TRUCK, VAN
from motorworks.geometry.array import Array
from motorworks.sim import camera_palette as tint
from motorworks.sim import camera_vehicles as style

# columns of a box: back, front, right, left of its base in half sizes (-1 .. 1); bottom, top in heights; the same four of its top;
# styles of sides, front, back, top; tint where a style leaves it open
NUM_COLUMNS = 15
P = style.PLAIN


def _box(
    x: tuple[float, float], z: tuple[float, float], styles: tuple[int, int, int, int], own: int = tint.OWN, y: float = 1.0,
    top: tuple[float, float] | None = None, top_y: float | None = None,
) -> list[float]:  # fmt: skip
    top, top_y = top or x, y if top_y is None else top_y
    return [*x, -y, y, *z, *top, -top_y, top_y, *styles, own]


_BOXES: dict[int, list[list[float]]] = {
    CAR: [
        _box((-1, 1), (0, 0.58), (style.CAR_SIDE, style.CAR_FRONT, style.CAR_BACK, P), top=(-0.98, 0.95), top_y=0.95),
        _box((-0.82, 0.5), (0.58, 1), (style.CABIN_SIDE, style.CABIN_END, style.CABIN_END, P), y=0.93, top=(-0.6, 0.14), top_y=0.76),
    ],
    VAN: [
        _box((-1, 0.66), (0, 1), (style.VAN_SIDE, P, style.VAN_BACK, P), top=(-0.98, 0.6), top_y=0.92),
        _box((0.6, 1), (0, 0.52), (P, style.CAR_FRONT, P, P), y=0.98, top=(0.6, 0.93)),
        _box((0.6, 0.93), (0.52, 0.97), (style.CABIN_SIDE, style.CABIN_END, P, P), y=0.97, top=(0.6, 0.66), top_y=0.9),
    ],
    TRUCK: [
        _box((-1, 1), (0, 0.24), (style.CHASSIS_SIDE, style.CHASSIS_END, style.CHASSIS_END, P), tint.TRIM, y=0.96),
        _box((-1, 0.58), (0.24, 1), (style.CARGO_SIDE, style.CARGO_SIDE, style.CARGO_BACK, P), tint.OWN),
        _box((0.64, 1), (0.16, 0.84), (style.CAB_SIDE, style.CAB_FRONT, P, P), y=0.97, top=(0.66, 0.97)),
    ],
    BUS: [_box((-1, 1), (0, 1), (style.BUS_SIDE, style.BUS_FRONT, style.BUS_BACK, P), top=(-0.99, 0.98), top_y=0.96)],
    EMERGENCY: [
        _box((-1, 0.66), (0, 1), (style.LIVERY_SIDE, P, style.LIVERY_BACK, P), tint.WHITE_PAINT, top=(-0.98, 0.6), top_y=0.92),
        _box((0.6, 1), (0, 0.52), (P, style.CAR_FRONT, P, P), tint.YELLOW_PAINT, y=0.98, top=(0.6, 0.93)),
        _box((0.6, 0.93), (0.52, 0.97), (style.CABIN_SIDE, style.CABIN_END, P, P), tint.WHITE_PAINT, y=0.97, top=(0.6, 0.66), top_y=0.9),
        _box((0.3, 0.48), (1.0, 1.1), (P, style.FLASHER, style.FLASHER, P), tint.BLUE_PAINT, y=0.8),
    ],
    CYCLIST: [  # wheels seen from their ends, legs, the rider leaning forward, the head; the bicycle's side is drawn apart
        _box((-0.98, -0.72), (0, 0.37), (style.NUM_STYLES, P, P, P), tint.TYRE, y=0.07),
        _box((0.72, 0.98), (0, 0.37), (style.NUM_STYLES, P, P, P), tint.TYRE, y=0.07),
        _box((-0.2, 0.05), (0.2, 0.56), (style.NUM_STYLES, P, P, P), tint.TROUSERS, y=0.32),
        _box((-0.34, -0.02), (0.52, 0.84), (P, P, P, P), tint.OWN, y=0.45, top=(-0.02, 0.26), top_y=0.62),
        _box((0.1, 0.42), (0.66, 0.74), (P, P, P, P), tint.OWN_DARK, y=0.62, top=(0.1, 0.42), top_y=0.62),
        _box((0.06, 0.3), (0.84, 1.0), (style.HEAD, P, style.HEAD, P), tint.WHITE_PAINT, y=0.28, top=(0.08, 0.28), top_y=0.22),
    ],
    CONE: [
        _box((-1, 1), (0, 0.06), (P, P, P, P), tint.ORANGE_PAINT),
        _box((-0.7, 0.7), (0.06, 1), (style.CONE_SIDE,) * 3 + (P,), tint.ORANGE_PAINT, y=0.7, top=(-0.12, 0.12), top_y=0.12),
    ],
    BARRIER: [
        _box((-1, 1), (0.45, 1.0), (style.STRIPES,) * 3 + (P,), tint.WHITE_PAINT, y=0.35),
        _box((-0.9, -0.75), (0, 0.45), (P, P, P, P), tint.METAL, y=1.0),
        _box((0.75, 0.9), (0, 0.45), (P, P, P, P), tint.METAL, y=1.0),
        _box((-0.94, -0.8), (1.0, 1.16), (P, P, P, P), tint.BLINKER, y=0.3),
    ],
    DEBRIS: [
        _box((-0.95, 0.2), (0, 0.7), (P, P, P, P), tint.WOOD, y=0.9, top=(-0.8, 0.2), top_y=0.8),
        _box((-0.2, 0.95), (0, 1.0), (P, P, P, P), tint.TRIM, y=0.5, top=(0.1, 0.8), top_y=0.3),
        _box((0.3, 0.8), (0, 0.5), (P, P, P, P), tint.RED_PAINT, y=0.95),
    ],
}  # fmt: skip


def shape_tables() -> tuple[Array, Array]:
    """Boxes of all kinds [box, NUM_COLUMNS], and [kind, 2] of the first and the number of each kind's (none: drawn as a cut-out)."""
    rows: list[list[float]] = []
    index = np.zeros((len(AGENT_KINDS), 2), np.int32)
    for kind in range(len(AGENT_KINDS)):
        boxes = _BOXES.get(kind, [])
        index[kind] = len(rows), len(boxes)
        rows += boxes
    return np.array(rows), index

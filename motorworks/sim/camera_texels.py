"""What a face looks like at a point of it: `(tint, gain)`, or tint NOTHING where one sees through.

`s` metres along the face (to the front of a thing on its sides, to its left on its ends), `t` metres up, of a face `length` by `height` m.
"""

import math

import numpy as np

from motorworks.datatypes.agent import CHILD
from motorworks.geometry.array import Array
from motorworks.geometry.kernel import kernel
from motorworks.sim import camera_palette as tint
from motorworks.sim.camera_tables import NOISE_PX
from motorworks.sim.camera_vehicles import (
    BIKE,
    BOLLARD_SIDE,
    BUS_SIDE,
    CARGO_SIDE,
    CONE_SIDE,
    FLASHER,
    FRONT,
    HEAD,
    HEDGE_LEAF,
    NOTHING,
    PERSON,
    ROOF,
    SIGN_BACK,
    SIGN_FACE,
    SIGNAL_FACE,
    STRIPES,
    TREE_CROWN,
    VAN_SIDE,
    WALL,
    bike,
    bus,
    car,
    truck,
    van,
)  # fmt: skip

_STOP, _YIELD, _LIMIT, _SCHOOL, _CROSSING, _ROUNDABOUT, _WORKS = range(7)  # sim.ground


@kernel
def _building(style: int, s: float, t: float, length: float, height: float, side: int, shade: float, night: bool) -> tuple[int, float]:
    if style == ROOF:
        return (tint.TILES if shade < 0.6 else tint.SLATE), 0.9 if (t % 0.9) < 0.25 else 1.02
    storey, bays = 2.9, max(int(length / 2.7), 1)
    column = s / length * bays
    col, row = int(column), int(t / storey)
    x, y = abs(column - col - 0.5) * length / bays, t - row * storey
    tall = height > 9.0
    if side == FRONT and row == 0 and col == bays // 2 and not tall:
        if x < 0.5 and y < 2.1:
            return tint.DOOR, 0.8 if x > 0.42 else 1.0
        if x < 0.62 and y < 2.22:
            return tint.FRAME, 1.0
    if tall and row == 0:
        if 0.5 < y < 2.5 and x < length / bays / 2 - 0.2:
            return (tint.LIT_PANE, 0.9) if night else (tint.PANE, 1.2)
        return tint.OWN_DARK, 1.0
    if t > height - 0.18:
        return tint.FRAME, 0.9
    if y > 0.75 and y < 2.35 and x < 0.72 and t < height - 0.35:
        if 0.87 < y < 2.23 and x < 0.6 and x > 0.035:
            lit = night and (int(shade * 977) + col * 7 + row * 13 + side * 5) % 10 < 4
            return (tint.LIT_PANE, 0.9) if lit else (tint.PANE, 0.75 + 0.35 * y)
        return tint.FRAME, 1.0
    if t < 0.45:
        return tint.STONE, 0.9
    return tint.OWN, 1.0


@kernel
def _plant(
    style: int, s: float, t: float, length: float, height: float, shade: float, sun_right: float, sun_up: float, grain: Array
) -> tuple[int, float]:
    g = grain[(int(t * 9.0 + shade * 99.0) & (NOISE_PX - 1)) * NOISE_PX + (int(s * 9.0 + shade * 555.0) & (NOISE_PX - 1))] - 8.0
    if style == HEDGE_LEAF:
        return tint.LEAF, 0.7 + 0.25 * t / height + 0.035 * g
    x, radius = s - length / 2, length / 2
    if shade > 0.74:  # a conifer, in tiers
        up = (t - 0.1 * height) / (0.9 * height)
        if 0.0 < up < 1.0:
            tier = up * 4.5 - int(up * 4.5)
            if abs(x) < radius * (1.0 - up) * (1.08 - 0.3 * tier) + 0.03 * g:
                return tint.CONIFER, 0.72 + 0.3 * tier + 0.03 * g + 0.25 * sun_right * x / radius
    else:
        middle = 0.62 * height
        a, b = x / radius, (t - middle) / (0.38 * height)
        apart, lobe = a * a + b * b, 0.0
        if 0.6 < apart < 1.5:  # nearer and farther out no lobe and no leaf changes the answer
            lobe = 0.2 * np.sin(5.0 * np.arctan2(t - middle, x) + 40.0 * shade)
        if apart + 0.025 * g + lobe * apart < 0.92:
            return tint.LEAF, 0.78 + 0.26 * b * sun_up + 0.24 * a * sun_right + 0.035 * g
    if abs(x) < 0.06 + 0.016 * height and t < 0.6 * height:
        return tint.TRUNK, 0.9 - 0.6 * x
    return NOTHING, 1.0


@kernel
def _ink(x: float, y: float, value: int) -> tuple[int, float]:
    """A sign's picture, both coordinates -1 .. 1."""
    if value == _STOP:
        if abs(y) < 0.24 and abs(x) < 0.72:
            return (tint.WHITE_PAINT, 1.0) if ((x + 0.72) / 0.36) % 1.0 < 0.68 else (tint.RED_PAINT, 1.0)
        edge = max(max(abs(x), abs(y)), (abs(x) + abs(y)) / 1.414)
        return (tint.WHITE_PAINT, 1.0) if edge > 0.88 else (tint.RED_PAINT, 1.0)
    if value == _YIELD:
        return (tint.WHITE_PAINT, 1.0) if y < 0.66 and abs(x) < (y + 0.42) * 0.56 else (tint.RED_PAINT, 1.0)
    if value == _LIMIT:
        if x * x + y * y > 0.53:
            return tint.RED_PAINT, 1.0
        left, right = abs(x + 0.28), abs(x - 0.28)
        three = left < 0.17 and abs(y) < 0.4 and (x > -0.2 or abs(abs(y) - 0.34) < 0.09 or abs(y) < 0.07)
        zero = right < 0.19 and abs(y) < 0.4 and (right > 0.08 or abs(y) > 0.26)
        return (tint.BLACK, 1.0) if three or zero else (tint.WHITE_PAINT, 1.0)
    figure = (
        (x * x + (y - 0.38) * (y - 0.38) < 0.03) or (abs(y) < 0.28 and abs(x) < 0.13) or (-0.6 < y <= -0.2 and abs(abs(x) + y * 0.4 - 0.02) < 0.1)
    )
    if value == _SCHOOL:
        twice = figure or ((x - 0.4) * (x - 0.4) + (y - 0.1) * (y - 0.1) < 0.025) or (abs(y + 0.32) < 0.28 and abs(x - 0.4) < 0.1)
        return (tint.BLACK, 1.0) if twice or abs(x) > 0.9 or y < -0.9 else (tint.YELLOW_PAINT, 1.0)
    if value == _CROSSING:
        if y > -0.72 and abs(x) < (0.86 - y) * 0.52:
            return (tint.BLACK, 1.0) if figure else (tint.WHITE_PAINT, 1.0)
        return tint.SIGN_BLUE, 1.0
    if value == _ROUNDABOUT:
        r, a = math.sqrt(x * x + y * y), np.arctan2(y, x)
        gap = (a / (2 * np.pi) * 3.0 + 3.0) % 1.0
        if (0.4 < r < 0.68 and gap > 0.2) or (0.28 < r < 0.8 and 0.2 < gap < 0.36 and abs(r - 0.54) < (gap - 0.16) * 1.3):
            return tint.WHITE_PAINT, 1.0
        return (tint.WHITE_PAINT, 1.0) if r > 0.92 else (tint.SIGN_BLUE, 1.0)
    return (tint.BLACK, 1.0) if figure or abs(x) + abs(y) > 1.18 else (tint.ORANGE_PAINT, 1.0)


@kernel
def _sign(style: int, s: float, t: float, length: float, value: int) -> tuple[int, float]:
    x, y = 2 * s / length - 1.0, 2 * t / length - 1.0
    if style == SIGN_FACE:
        x = -x  # s runs to the sign's left, which is a reader's right
    if value == _STOP:
        inside = abs(x) + abs(y) < 1.414
    elif value == _YIELD:
        inside = y > -0.8 and abs(x) < (y + 0.84) * 0.58
    elif value in (_LIMIT, _ROUNDABOUT):
        inside = x * x + y * y < 1.0
    elif value == _WORKS:
        inside = abs(x) + abs(y) < 1.32
    elif value == _SCHOOL:
        inside = abs(x) < 1.25 - max(y, 0.2)
    else:
        inside = True
    if not inside:
        return NOTHING, 1.0
    if style == SIGN_BACK:
        return tint.METAL, 0.9
    return _ink(-x, y, value)


@kernel
def _signal(s: float, t: float, length: float, height: float, lit: int) -> tuple[int, float]:
    """A head with three lamps, `lit` from the top: 0 red, 1 yellow, 2 green."""
    third = height / 3
    lamp = 2 - min(int(t / third), 2)
    x, y = s - length / 2, t - (2 - lamp + 0.5) * third
    if x * x + y * y > 0.16 * third * third:
        return tint.SIGNAL_CASE, 1.0
    if lamp == lit:
        return tint.RED_LAMP + lamp, 1.0
    return tint.RED_OFF + lamp, 1.0


@kernel
def _person(s: float, t: float, length: float, height: float, kind: int, swing: float, shade: float) -> tuple[int, float]:
    x, y = s / height - 0.25, t / height
    head = 0.105 if kind == CHILD else 0.075
    top = 1.0 - head
    if x * x + (y - top) * (y - top) < head * head:
        return (tint.HAIR, 0.7 + shade) if y > top + 0.25 * head else (tint.SKIN, 1.0)
    if y < 0.48:
        for sign in (1.0, -1.0):
            f = 1.0 - y / 0.48
            if abs(x - sign * (0.042 + swing * 0.2 * f)) < 0.046 - 0.012 * f:
                return (tint.SHOE, 1.0) if y < 0.055 else (tint.TROUSERS, 1.0 if sign > 0 else 0.82)
    if 0.45 < y < 0.84:
        if abs(x) < 0.085 + 0.05 * (y - 0.45):
            if kind == CHILD and y > 0.56 and x < 0.0:
                return tint.YELLOW_PAINT, 1.0  # a satchel
            return tint.OWN, 1.0
        for sign in (1.0, -1.0):
            f = (0.82 - y) / 0.37
            if 0.0 < f < 1.0 and abs(x - sign * (0.125 - swing * 0.17 * f * 1.0)) < 0.028:
                return (tint.SKIN, 0.95) if f > 0.82 else (tint.OWN, 0.86)
    return NOTHING, 1.0


@kernel
def _thing(style: int, s: float, t: float, length: float, height: float, clock: int, side: int) -> tuple[int, float]:
    if style == CONE_SIDE:
        up = t / height
        return (tint.WHITE_PAINT, 1.0) if 0.32 < up < 0.52 or 0.68 < up < 0.84 else (tint.ORANGE_PAINT, 1.0)
    if style == STRIPES:
        return (tint.RED_PAINT, 1.0) if ((s + t) / 0.5) % 1.0 < 0.5 else (tint.WHITE_PAINT, 1.0)
    if style == BOLLARD_SIDE:
        if 0.66 < t / height < 0.84:
            return tint.RED_PAINT, 1.0
        return tint.WHITE_PAINT, 0.95
    if style == HEAD:
        return (tint.OWN, 1.1) if t > 0.4 * height else (tint.SKIN, 1.0)
    # the flashing bar: its halves take turns
    left = 2 * s > length
    return (tint.BLUE_FLASH, 1.25) if (clock % 4 < 2) == left else (tint.BLUE_PAINT, 1.0)


@kernel
def texel(
    style: int, s: float, t: float, length: float, height: float, side: int, kind: int, value: int, clock: int, shade: float, swing: float,
    on: bool, sun_right: float, sun_up: float, grain: Array,
) -> tuple[int, float]:  # fmt: skip
    """Tint and brightness of a face at a point. `value`: lamp bits of a vehicle, a sign's number, a signal's lit lamp; `on`: headlights burn."""
    if style < VAN_SIDE:
        return car(style, s, t, length, height, side, value, clock, on)
    if style < BUS_SIDE:
        return van(style, s, t, length, height, side, value, clock, on)
    if style < CARGO_SIDE:
        return bus(style, s, t, length, height, side, value, clock, on)
    if style < FLASHER:
        return truck(style, s, t, length, height, side, value, clock, on)
    if style in (WALL, ROOF):
        return _building(style, s, t, length, height, side, shade, on)
    if style in (TREE_CROWN, HEDGE_LEAF):
        return _plant(style, s, t, length, height, shade, sun_right, sun_up, grain)
    if style in (SIGN_FACE, SIGN_BACK):
        return _sign(style, s, t, length, value)
    if style == SIGNAL_FACE:
        return _signal(s, t, length, height, value)
    if style == PERSON:
        return _person(s, t, length, height, kind, swing, shade)
    if style == BIKE:
        return bike(s, t, length, swing)
    return _thing(style, s, t, length, height, clock, side)

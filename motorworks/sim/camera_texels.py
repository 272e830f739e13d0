"""What a face looks like at a point of it: `(tint, gain)`, or tint NOTHING where one sees through.

`s` metres along the face (to the front of a thing on its sides, to its left on its ends), `t` metres up, of a face `length` by `height` m.
"""

import numpy as np

from motorworks.datatypes.agent import CHILD
from motorworks.geometry.array import Array
from motorworks.geometry.kernel import kernel
from motorworks.sim import camera_palette as tint
from motorworks.sim.agents import BRAKING, LEFT_BLINK, RIGHT_BLINK
from motorworks.sim.camera_tables import NOISE_PX

NOTHING = -1
FRONT, LEFT, BACK, RIGHT, TOP = range(5)  # sides of a box
# styles of faces
(
    PLAIN, CAR_SIDE, CAR_FRONT, CAR_BACK, CABIN_SIDE, CABIN_END, VAN_SIDE, VAN_BACK, LIVERY_SIDE, LIVERY_BACK, BUS_SIDE, BUS_FRONT, BUS_BACK,
    CARGO_SIDE, CARGO_BACK, CHASSIS_SIDE, CHASSIS_END, CAB_SIDE, CAB_FRONT, FLASHER, BIKE, WALL, ROOF, TREE_CROWN, HEDGE_LEAF, SIGN_FACE,
    SIGN_BACK, SIGNAL_FACE, PERSON, CONE_SIDE, STRIPES, BOLLARD_SIDE, HEAD,
) = range(33)  # fmt: skip
NUM_STYLES = 33  # a face of this style is left out
_STOP, _YIELD, _LIMIT, _SCHOOL, _CROSSING, _ROUNDABOUT, _WORKS = range(7)  # sim.ground


@kernel
def blinks(lamps: int, clock: int, left: bool) -> bool:
    """An indicator lit now: 1.25 Hz at ten steps a second."""
    return (lamps & (LEFT_BLINK if left else RIGHT_BLINK)) != 0 and clock % 8 < 4


@kernel
def _wheel(s: float, t: float, at: float, radius: float) -> int:
    """2 hub, 1 tyre, 0 not on the wheel."""
    d = (s - at) * (s - at) + (t - radius) * (t - radius)
    if d > radius * radius:
        return 0
    return 2 if d < 0.2 * radius * radius else 1


@kernel
def _wheels(s: float, t: float, length: float, front: float, back: float, radius: float, clearance: float) -> int:
    """Tint of wheels and sill: tyre, hub, NOTHING under the floor, or OWN for the body above."""
    if t < 2 * radius:
        wheel = max(_wheel(s, t, front * length, radius), _wheel(s, t, back * length, radius))
        if wheel > 0:
            return tint.METAL if wheel == 2 else tint.TYRE
    if t < clearance:
        return NOTHING
    return tint.TRIM if t < clearance + 0.1 else tint.OWN


@kernel
def _under(w: float, t: float, clearance: float) -> int:
    """Below the bumper of an end: tyres, or nothing between them; w is 0 in the middle and 1 at the sides."""
    if t < clearance:
        return tint.TYRE if 0.62 < w < 0.94 else NOTHING
    return tint.TRIM if t < clearance + 0.12 else tint.OWN


@kernel
def _rear_light(w: float, is_left: bool, lamps: int, clock: int, night: bool) -> int:
    """Tint of a rear light; its outer part is the indicator."""
    if w > 0.8 and blinks(lamps, clock, is_left):
        return tint.BLINKER
    if (lamps & BRAKING) != 0:
        return tint.BRAKE_LIGHT
    return tint.TAIL_LIGHT if night else tint.TAIL


@kernel
def _front_light(w: float, is_left: bool, lamps: int, clock: int, on: bool) -> int:
    if w > 0.8 and blinks(lamps, clock, is_left):
        return tint.BLINKER
    return tint.HEADLIGHT if on else tint.CHROME


@kernel
def _car(style: int, s: float, t: float, length: float, height: float, side: int, lamps: int, clock: int, on: bool) -> tuple[int, float]:
    if style == CAR_SIDE:
        below = _wheels(s, t, length, 0.82, 0.19, 0.33, 0.2)
        if below != tint.OWN:
            return below, 1.0
        if 0.54 < t < 0.72:
            if s < 0.16:
                return _rear_light(1.0, side == LEFT, lamps, clock, on), 1.0
            if s > length - 0.18:
                return _front_light(1.0, side == LEFT, lamps, clock, on), 1.0
        return tint.OWN, 0.92 + 0.16 * t / height
    w, is_left = abs(2 * s / length - 1.0), 2 * s > length
    if style == CAR_BACK:
        below = _under(w, t, 0.24)
        if below != tint.OWN:
            return below, 1.0
        if 0.56 < t < 0.78 and w > 0.56:
            return _rear_light(w, is_left, lamps, clock, on), 1.0
        if 0.42 < t < 0.56 and w < 0.3:
            return tint.PLATE, 0.9
        return tint.OWN, 0.9 + 0.12 * t / height
    if style == CAR_FRONT:
        below = _under(w, t, 0.2)
        if below != tint.OWN:
            return below, 1.0
        if 0.5 < t < 0.7 and w > 0.6:
            return _front_light(w, is_left, lamps, clock, on), 1.0
        if 0.34 < t < 0.6 and w < 0.52:
            return (tint.PLATE, 1.0) if t < 0.45 and w < 0.3 else (tint.TRIM, 1.0)
        return tint.OWN, 0.92 + 0.12 * t / height
    if style == CABIN_SIDE:
        if 0.05 < t < height - 0.07 and abs(s - 0.48 * length) > 0.05 and 0.1 < s < length - 0.04:
            return tint.GLASS, 0.9 + 0.7 * t / height
        return tint.OWN, 1.0
    if style == CABIN_END:
        if (lamps & BRAKING) != 0 and side == BACK and t > height - 0.12 and w < 0.3:
            return tint.BRAKE_LIGHT, 1.0
        if 0.04 < t < height - 0.08 and w < 0.9:
            return tint.GLASS, 0.9 + 0.9 * t / height
        return tint.OWN, 1.0
    return tint.OWN, 1.0


@kernel
def _van(style: int, s: float, t: float, length: float, height: float, side: int, lamps: int, clock: int, on: bool) -> tuple[int, float]:
    livery = style in (LIVERY_SIDE, LIVERY_BACK)
    if style in (VAN_SIDE, LIVERY_SIDE):
        below = _wheels(s, t, length, 0.95, 0.2, 0.36, 0.22)
        if below != tint.OWN:
            return below, 1.0
        if t > 0.55 * height and t < 0.86 * height and s > length - 1.0 and s < length - 0.12:
            return tint.GLASS, 1.3
        if s < 0.1 and 0.7 < t < 1.2:
            return _rear_light(1.0, side == LEFT, lamps, clock, on), 1.0
        if livery and 0.28 < t / height < 0.62:
            checked = (int(s / 0.6) + int((t / height - 0.28) / 0.17)) & 1
            return (tint.YELLOW_PAINT, 1.0) if checked else (tint.BLUE_PAINT, 1.15)
        if livery and 0.2 < t / height < 0.28:
            return tint.RED_PAINT, 1.0
        return tint.OWN, 0.94 + 0.1 * t / height
    w, is_left = abs(2 * s / length - 1.0), 2 * s > length
    below = _under(w, t, 0.26)
    if below != tint.OWN:
        return below, 1.0
    if w > 0.82 and 0.7 < t < 1.25:
        return _rear_light(1.0 if t < 0.88 else 0.7, is_left, lamps, clock, on), 1.0
    if 0.55 * height < t < 0.86 * height and 0.1 < w < 0.76:
        return tint.GLASS, 1.2
    if livery and 0.16 < t / height < 0.52:
        return (tint.RED_PAINT, 1.0) if int((t + abs(s - length / 2)) / 0.22) & 1 else (tint.YELLOW_PAINT, 1.0)
    if 0.42 < t < 0.54 and w < 0.26:
        return tint.PLATE, 0.9
    return tint.OWN, 0.8 if w < 0.03 else 0.96


@kernel
def _bus(style: int, s: float, t: float, length: float, height: float, side: int, lamps: int, clock: int, on: bool) -> tuple[int, float]:
    up = t / height
    if style == BUS_SIDE:
        below = _wheels(s, t, length, 0.78, 0.22, 0.48, 0.3)
        if below != tint.OWN:
            return below, 1.0
        door = side == RIGHT and (0.86 < s / length < 0.96 or 0.46 < s / length < 0.56)
        if door and up < 0.84:
            return (tint.GLASS, 1.5) if up > 0.16 else (tint.TRIM, 1.0)
        if 0.42 < up < 0.82 and (s % 1.5) > 0.14 and 0.2 < s < length - 0.2:
            return (tint.LIT_PANE, 0.75) if on else (tint.GLASS, 0.9 + 0.8 * up)
        if 0.3 < up < 0.36:
            return tint.WHITE_PAINT, 1.0
        return tint.OWN, 1.0
    w, is_left = abs(2 * s / length - 1.0), 2 * s > length
    below = _under(w, t, 0.32)
    if below != tint.OWN:
        return below, 1.0
    if style == BUS_FRONT:
        if up > 0.86 and w < 0.8:
            return (tint.BLINKER, 1.0) if up < 0.94 and (s % 0.3) < 0.19 and w < 0.6 else (tint.BLACK, 1.0)
        if 0.34 < up < 0.85 and w < 0.93:
            return tint.GLASS, 0.8 + 0.9 * up
        if 0.18 < up < 0.27 and w > 0.6:
            return _front_light(w, is_left, lamps, clock, on), 1.0
        return tint.OWN, 1.0
    if 0.56 < up < 0.84 and w < 0.8:
        return tint.GLASS, 1.2
    if w > 0.78 and 0.16 < up < 0.38:
        return _rear_light(1.0 if up < 0.23 else 0.7, is_left, lamps, clock, on), 1.0
    if 0.2 < up < 0.4 and w < 0.5:
        return tint.TRIM, 1.3 if int(t / 0.12) & 1 else 1.0
    return tint.OWN, 1.0


@kernel
def _truck(style: int, s: float, t: float, length: float, height: float, side: int, lamps: int, clock: int, on: bool) -> tuple[int, float]:
    w, is_left = abs(2 * s / length - 1.0), 2 * s > length
    if style == CARGO_SIDE:
        if 0.36 < t / height < 0.62:
            return tint.OWN, 1.0
        return tint.CARGO, 0.9 if (s % 1.2) < 0.09 else 1.0
    if style == CARGO_BACK:
        if w > 0.93 or t > height - 0.1 or t < 0.1:
            return (tint.RED_PAINT, 1.0) if int((s + t) / 0.25) & 1 else (tint.WHITE_PAINT, 1.0)
        return tint.CARGO, 0.72 if w < 0.025 or abs(w - 0.45) < 0.02 else 0.94
    if style == CHASSIS_SIDE:
        wheel = max(_wheel(s, t, 0.12 * length, 0.5), _wheel(s, t, 0.86 * length, 0.5))
        if wheel == 0 and length > 7.5:
            wheel = _wheel(s, t, 0.12 * length + 1.15, 0.5)
        if wheel > 0:
            return (tint.METAL, 1.0) if wheel == 2 else (tint.TYRE, 1.0)
        return (tint.TRIM, 1.0) if t > 0.5 else (NOTHING, 1.0)
    if style == CHASSIS_END:
        if t < 0.5:
            return (tint.TYRE, 1.0) if 0.5 < w < 0.96 else (NOTHING, 1.0)
        if side == BACK and w > 0.5:
            return _rear_light(w + 0.1, is_left, lamps, clock, on), 1.0
        return tint.TRIM, 1.0
    if style == CAB_SIDE:
        if 0.5 < t / height < 0.86 and 0.3 < s < length - 0.12:
            return tint.GLASS, 1.3
        return tint.OWN, 1.0 if abs(s - 0.26) > 0.03 else 0.8
    if 0.46 < t / height < 0.88 and w < 0.92:
        return tint.GLASS, 0.8 + 0.8 * t / height
    if 0.08 < t / height < 0.2 and w > 0.6:
        return _front_light(w, is_left, lamps, clock, on), 1.0
    if 0.06 < t / height < 0.36 and w < 0.56:
        return tint.TRIM, 1.4 if int(t / 0.11) & 1 else 1.0
    return tint.OWN, 1.0


@kernel
def _bike(s: float, t: float, length: float, swing: float) -> tuple[int, float]:
    """Wheels, frame and pedalling legs, seen from the side."""
    r = 0.34
    for at in (r, length - r):
        d = np.sqrt((s - at) * (s - at) + (t - r) * (t - r))
        if r - 0.07 < d < r:
            return tint.TYRE, 1.0
        if d < 0.06 or (d < r and abs(s - at) < 0.012):
            return tint.METAL, 1.0
    hub, seat, bar, crank = r, 0.38 * length, length - r - 0.12, 0.46 * length
    if t > 0.3 and t < 0.95:
        down = crank + (bar - crank) * (t - 0.3) / 0.6  # crank to handlebar
        tube = crank + (seat - crank) * (t - 0.3) / 0.55  # crank to saddle
        fork = length - hub - 0.12 * (t - 0.3) / 0.6
        if abs(s - down) < 0.05 or abs(s - tube) < 0.04 or abs(s - fork) < 0.04 or (abs(t - 0.8) < 0.04 and tube < s < down):
            return tint.OWN_DARK, 1.0
        for sign in (-1.0, 1.0):
            foot_s, foot_t = crank + 0.14 * sign * swing, 0.32 + 0.14 * sign
            f = (t - foot_t) / max(0.98 - foot_t, 0.1)
            if 0.0 < f < 1.0:
                knee = 0.2 * f * (1.0 - f) * 4.0
                if abs(s - (foot_s + (seat + 0.06 - foot_s) * f + knee)) < 0.075:
                    return tint.TROUSERS, 1.0 if sign > 0 else 0.7
    return NOTHING, 1.0


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
            tier = (up * 4.5) % 1.0
            if abs(x) < radius * (1.0 - up) * (1.08 - 0.3 * tier) + 0.03 * g:
                return tint.CONIFER, 0.72 + 0.3 * tier + 0.03 * g + 0.25 * sun_right * x / radius
    else:
        middle = 0.62 * height
        lobe = 0.2 * np.sin(5.0 * np.arctan2(t - middle, x) + 40.0 * shade)
        a, b = x / radius, (t - middle) / (0.38 * height)
        if a * a + b * b + 0.025 * g + lobe * (a * a + b * b) < 0.92:
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
        r, a = np.sqrt(x * x + y * y), np.arctan2(y, x)
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
        return _car(style, s, t, length, height, side, value, clock, on)
    if style < BUS_SIDE:
        return _van(style, s, t, length, height, side, value, clock, on)
    if style < CARGO_SIDE:
        return _bus(style, s, t, length, height, side, value, clock, on)
    if style < FLASHER:
        return _truck(style, s, t, length, height, side, value, clock, on)
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
        return _bike(s, t, length, swing)
    return _thing(style, s, t, length, height, clock, side)

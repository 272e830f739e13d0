"""What the faces of vehicles look like at a point, as camera_texels says."""

import math

from motorworks.geometry.kernel import kernel
from motorworks.sim import camera_palette as tint
from motorworks.sim.agents import BRAKING, LEFT_BLINK, RIGHT_BLINK

NOTHING = -1
FRONT, LEFT, BACK, RIGHT, TOP = range(5)  # sides of a box
# styles of faces
(
    PLAIN, CAR_SIDE, CAR_FRONT, CAR_BACK, CABIN_SIDE, CABIN_END, VAN_SIDE, VAN_BACK, LIVERY_SIDE, LIVERY_BACK, BUS_SIDE, BUS_FRONT, BUS_BACK,
    CARGO_SIDE, CARGO_BACK, CHASSIS_SIDE, CHASSIS_END, CAB_SIDE, CAB_FRONT, FLASHER, BIKE, WALL, ROOF, TREE_CROWN, HEDGE_LEAF, SIGN_FACE,
    SIGN_BACK, SIGNAL_FACE, PERSON, CONE_SIDE, STRIPES, BOLLARD_SIDE, HEAD,
) = range(33)  # fmt: skip
NUM_STYLES = 33  # a face of this style is left out


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
def car(style: int, s: float, t: float, length: float, height: float, side: int, lamps: int, clock: int, on: bool) -> tuple[int, float]:
    """A car: its body and its cabin."""
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
def van(style: int, s: float, t: float, length: float, height: float, side: int, lamps: int, clock: int, on: bool) -> tuple[int, float]:
    """A van, or an ambulance in its livery."""
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
def bus(style: int, s: float, t: float, length: float, height: float, side: int, lamps: int, clock: int, on: bool) -> tuple[int, float]:
    """A bus: windows, doors on the right, destination sign."""
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
def truck(style: int, s: float, t: float, length: float, height: float, side: int, lamps: int, clock: int, on: bool) -> tuple[int, float]:
    """A truck: box, chassis, cab."""
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
def bike(s: float, t: float, length: float, swing: float) -> tuple[int, float]:
    """Wheels, frame and pedalling legs, seen from the side."""
    r = 0.34
    for at in (r, length - r):
        d = math.sqrt((s - at) * (s - at) + (t - r) * (t - r))
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

"""Whatever stands on the ground: what is in view, its shadow, its faces, its lights."""

import math

import numpy as np

from motorworks.datatypes.agent import BUS, CHILD, CYCLIST, EMERGENCY, FIRST_OBJECT, PEDESTRIAN
from motorworks.geometry.array import Array
from motorworks.geometry.kernel import kernel
from motorworks.sim import camera_faces as at
from motorworks.sim import camera_palette as tint
from motorworks.sim import camera_vehicles as style
from motorworks.sim.agents import ABSENT, BRAKING, SIREN, Agents
from motorworks.sim.camera_faces import Canvas, draw_quad, glow
from motorworks.sim.codes import BOLLARD, BUILDING, HEDGE, LAMP_POST, SIGN, SIGNAL_HEAD, TREE

FAR_M, MAX_IN_VIEW = 140.0, 256
SHADOW_M = 55.0
_NONE = 0
# corners of a box's faces, lower edge first: front, left, back, right, top; which side their outward normal is on
_CORNERS = np.array([[1, 2, 6, 5], [3, 2, 6, 7], [0, 3, 7, 4], [0, 1, 5, 4], [4, 5, 6, 7]])
_SIGNS = np.array([1.0, -1.0, -1.0, 1.0, 1.0])
_NEIGHBOURS = np.array([[-1, 1, 4, 3], [-1, 0, 4, 2], [-1, 1, 4, 3], [-1, 0, 4, 2], [3, 0, 1, 2]])  # beyond each edge; -1 the ground
_BUS_PAINTS = np.array([0, 1, 7, 4])


@kernel
def gather(
    view: Array, width: int, height: int, scenery: Array, num_scenery: int, agents: Agents, env: int, ego_slot: int, order: Array, keys: Array
) -> int:
    """Rows of scenery, then `num_scenery + slot` of agents, that may be in the picture, nearest first; the farthest of too many are left out."""
    num = 0
    ax, ay, az = view[at.AHEAD_X], view[at.AHEAD_X + 1], view[at.AHEAD_X + 2]
    rx, ry, rz = view[at.RIGHT_X], view[at.RIGHT_X + 1], view[at.RIGHT_X + 2]
    focal = view[at.FOCAL]
    to_left, to_right = view[at.CENTRE_U] / focal, (width - view[at.CENTRE_U]) / focal
    lean_left, lean_right = math.sqrt(1.0 + to_left * to_left), math.sqrt(1.0 + to_right * to_right)
    for i in range(num_scenery + agents.mode.shape[1]):
        a = i - num_scenery
        if a < 0:
            x, y = scenery[i, 0], scenery[i, 1]
        else:
            if agents.mode[env, a] == ABSENT or a == ego_slot:
                continue
            x, y = agents.pose[env, a, 0], agents.pose[env, a, 1]
        dx, dy = x - view[at.CAM_X], y - view[at.CAM_Y]
        key = dx * dx + dy * dy
        if key > FAR_M * FAR_M:
            continue
        if a < 0:
            radius, tall = scenery[i, 3] + scenery[i, 4] + 1.0, scenery[i, 5]
        else:
            radius, tall = 0.5 * (agents.length[env, a] + agents.width[env, a]) + 0.3, agents.height[env, a]
        dz = 0.5 * tall - view[at.CAM_Z]
        radius += 0.6 * tall
        ahead, right = ax * dx + ay * dy + az * dz, rx * dx + ry * dy + rz * dz
        if ahead < at.NEAR_M - radius or right - ahead * to_right > radius * lean_right or -right - ahead * to_left > radius * lean_left:
            continue
        if max(radius, tall) * focal < 0.7 * ahead:
            continue
        # a house is as near as its nearest part
        near = max(math.sqrt(key) - 0.5 * radius, 0.0) if radius > 4.0 else math.sqrt(key)
        if num == MAX_IN_VIEW:
            if keys[num - 1] <= near:
                continue
            num -= 1
        k = num
        while k > 0 and keys[k - 1] > near:
            keys[k], order[k] = keys[k - 1], order[k - 1]
            k -= 1
        keys[k], order[k] = near, i
        num += 1
    return num


@kernel
def to_camera(view: Array, x: float, y: float, z: float, out: Array) -> None:
    """A world point in the camera's frame."""
    dx, dy, dz = x - view[at.CAM_X], y - view[at.CAM_Y], z - view[at.CAM_Z]
    for k in range(3):
        out[k] = view[at.RIGHT_X + 3 * k] * dx + view[at.RIGHT_X + 3 * k + 1] * dy + view[at.RIGHT_X + 3 * k + 2] * dz


@kernel
def stand(canvas: Canvas, x: float, y: float, yaw: float) -> None:
    """Put the origin and axes of a thing at a place on the ground into corners[8:12]."""
    view, corners = canvas.eye, canvas.corners
    c, s = np.cos(yaw), np.sin(yaw)
    to_camera(view, x, y, 0.0, corners[8])
    for k in range(3):
        wx, wy, wz = view[at.RIGHT_X + 3 * k], view[at.RIGHT_X + 3 * k + 1], view[at.RIGHT_X + 3 * k + 2]
        corners[9, k], corners[10, k], corners[11, k] = wx * c + wy * s, wy * c - wx * s, wz


@kernel
def place(canvas: Canvas, x: float, y: float, z: float, out: Array) -> None:
    """A point of the thing's own frame (m) in the camera's."""
    corners = canvas.corners
    for k in range(3):
        out[k] = corners[8, k] + x * corners[9, k] + y * corners[10, k] + z * corners[11, k]


@kernel
def draw_box(canvas: Canvas) -> None:
    """The visible faces of canvas.box: a block that may narrow upwards."""
    box, corners, points = canvas.box, canvas.corners, canvas.points
    for k in range(4):
        front, left = k == 1 or k == 2, k >= 2
        place(canvas, box[1] if front else box[0], box[3] if left else box[2], box[4], corners[k])
        place(canvas, box[7] if front else box[6], box[9] if left else box[8], box[5], corners[k + 4])
    seen = 0
    for face in range(5):
        a, b, d = _CORNERS[face, 0], _CORNERS[face, 1], _CORNERS[face, 3]
        ux, uy, uz = corners[b, 0] - corners[a, 0], corners[b, 1] - corners[a, 1], corners[b, 2] - corners[a, 2]
        vx, vy, vz = corners[d, 0] - corners[a, 0], corners[d, 1] - corners[a, 1], corners[d, 2] - corners[a, 2]
        side = (uy * vz - uz * vy) * corners[a, 0] + (uz * vx - ux * vz) * corners[a, 1] + (ux * vy - uy * vx) * corners[a, 2]
        if side * _SIGNS[face] < 0:
            seen |= 1 << face
    for face in range(5):
        look = int(box[10 + (0 if face == 1 or face == 3 else 1 if face == 0 else 2 if face == 2 else 3)])
        if not (seen >> face) & 1 or look == style.NUM_STYLES:
            continue
        hard = 0
        for edge in range(4):
            beyond = _NEIGHBOURS[face, edge]
            if beyond > face and (seen >> beyond) & 1:  # drawn after this face: no gap may show between the two
                hard |= 1 << edge
            for k in range(3):
                points[0, edge, k] = corners[_CORNERS[face, edge], k]
        draw_quad(canvas, _SIGNS[face], look, int(box[14]), face, hard)


@kernel
def set_box(canvas: Canvas, x0: float, x1: float, half_y: float, z0: float, z1: float, looks: int, top: int, own: int) -> None:
    """An upright block, metres; one style for its four sides."""
    box = canvas.box
    box[0], box[1], box[2], box[3], box[4], box[5] = x0, x1, -half_y, half_y, z0, z1
    box[6], box[7], box[8], box[9] = x0, x1, -half_y, half_y
    box[10], box[11], box[12], box[13], box[14] = looks, looks, looks, top, own


@kernel
def draw_cut_out(canvas: Canvas, half: float, height: float, looks: int) -> None:
    """An upright picture that turns to the camera, standing at the thing's origin."""
    points, corners = canvas.points, canvas.corners
    # across: level and at right angles to the line of sight
    px, py, pz = corners[8, 0], corners[8, 1], corners[8, 2]
    ux, uy, uz = corners[11, 0], corners[11, 1], corners[11, 2]
    sx, sy, sz = uy * pz - uz * py, uz * px - ux * pz, ux * py - uy * px
    long = math.sqrt(sx * sx + sy * sy + sz * sz)
    if long < 1e-6:
        return
    scale = -half / long  # to the right as seen
    for k in range(4):
        side, up = (-scale if k == 0 or k == 3 else scale), (0.0 if k < 2 else height)
        points[0, k, 0] = px + side * sx + up * ux
        points[0, k, 1] = py + side * sy + up * uy
        points[0, k, 2] = pz + side * sz + up * uz
    if not draw_quad(canvas, 1.0, looks, tint.OWN, 0, 0):
        draw_quad(canvas, -1.0, looks, tint.OWN, 0, 0)


@kernel
def _set_plate(canvas: Canvas, x: float, half: float, z0: float, z1: float) -> None:
    """An upright plate across the thing, facing ahead, into points."""
    place(canvas, x, -half, z0, canvas.points[0, 0])
    place(canvas, x, half, z0, canvas.points[0, 1])
    place(canvas, x, half, z1, canvas.points[0, 2])
    place(canvas, x, -half, z1, canvas.points[0, 3])


@kernel
def light_of_signal(signal: Array, clock: int) -> int:
    """0 red, 1 yellow, 2 green at a step of the clock."""
    cycle = max(signal[0], 1)
    since = (clock - signal[1]) % cycle
    if since < signal[2]:
        return 2
    return 1 if since < signal[2] + signal[3] else 0


@kernel
def draw_scenery(canvas: Canvas, row: Array, signals: Array, paints: Array) -> None:
    """One thing of the town."""
    face, view, box = canvas.face, canvas.eye, canvas.box
    kind, half_l, half_w, height, shade = int(row[6]), row[3], row[4], row[5], row[7]
    face[at.SHADE], face[at.KIND], face[at.VALUE], face[at.SWING], face[at.TAG] = shade, kind, row[8], 0.0, kind * 256
    night = view[at.ON] > 0 and view[at.AMBIENT] < 0.4
    if kind == TREE:
        draw_cut_out(canvas, max(half_l, half_w), height, style.TREE_CROWN)
    elif kind == BUILDING:
        paint = tint.NUM_CAR_PAINTS + int(shade * 997.0) % tint.NUM_FACADES
        face[at.OWN_R], face[at.OWN_G], face[at.OWN_B] = paints[paint, 0], paints[paint, 1], paints[paint, 2]
        _draw_building(canvas, half_l, half_w, height, shade)
    elif kind == HEDGE:
        set_box(canvas, -half_l, half_l, half_w, 0.0, height, style.HEDGE_LEAF, style.HEDGE_LEAF, tint.LEAF)
        draw_box(canvas)
    elif kind == BOLLARD:
        set_box(canvas, -0.09, 0.09, 0.09, 0.0, height, style.BOLLARD_SIDE, style.PLAIN, tint.WHITE_PAINT)
        draw_box(canvas)
    elif kind == LAMP_POST:
        set_box(canvas, -0.07, 0.07, 0.07, 0.0, height, style.PLAIN, style.PLAIN, tint.METAL)
        draw_box(canvas)
        set_box(canvas, 0.0, 1.3, 0.05, height - 0.12, height - 0.02, style.PLAIN, style.PLAIN, tint.METAL)
        draw_box(canvas)
        set_box(canvas, 1.1, 1.8, 0.14, height - 0.16, height, style.PLAIN, style.PLAIN, tint.WARM_LAMP if night else tint.LAMP_OFF)
        draw_box(canvas)
        if night:
            place(canvas, 1.45, 0.0, height - 0.18, canvas.corners[0])
            glow(canvas, canvas.corners[0, 0], canvas.corners[0, 1], canvas.corners[0, 2], 0.75, 1.6, tint.WARM_LAMP, 0.9)
    elif kind == SIGN:
        half = min(max(half_w, 0.32), 0.5)
        set_box(canvas, -0.035, 0.035, 0.035, 0.0, height - half, style.PLAIN, style.PLAIN, tint.METAL)
        draw_box(canvas)
        face[at.BEAM] *= 2.5  # a sign throws headlights back
        _set_plate(canvas, 0.06, half, height - 2 * half, height)
        if not draw_quad(canvas, 1.0, style.SIGN_FACE, tint.WHITE_PAINT, 0, 0):
            draw_quad(canvas, -1.0, style.SIGN_BACK, tint.METAL, 0, 0)
    elif kind == SIGNAL_HEAD:
        _draw_signal(canvas, height, light_of_signal(signals[int(row[8])], int(view[at.CLOCK])))
    box[0] = 0.0


@kernel
def _draw_signal(canvas: Canvas, height: float, lit: int) -> None:
    canvas.face[at.VALUE] = lit
    set_box(canvas, -0.07, 0.07, 0.07, 0.0, height - 1.1, style.PLAIN, style.PLAIN, tint.METAL)
    draw_box(canvas)
    set_box(canvas, -0.16, 0.16, 0.24, height - 1.15, height, style.PLAIN, style.PLAIN, tint.SIGNAL_CASE)
    canvas.box[11] = style.SIGNAL_FACE
    draw_box(canvas)
    point = canvas.corners[0]
    place(canvas, 0.2, 0.0, height - 1.15 * (lit + 0.5) / 3, point)
    # only for whoever faces it
    if canvas.corners[9, 0] * point[0] + canvas.corners[9, 1] * point[1] + canvas.corners[9, 2] * point[2] < 0:
        glow(canvas, point[0], point[1], point[2], 0.3, 1.7, tint.RED_LAMP + lit, 0.75)
        if canvas.eye[at.LIT] > 0:  # mirrored by a wet road
            place(canvas, 0.2, 0.0, -(height - 1.15 * (lit + 0.5) / 3), point)
            glow(canvas, point[0], point[1], point[2], 0.9, 2.0, tint.RED_LAMP + lit, 0.3 * canvas.eye[at.LIT])


@kernel
def _draw_building(canvas: Canvas, half_l: float, half_w: float, height: float, shade: float) -> None:
    box = canvas.box
    set_box(canvas, -half_l, half_l, half_w, 0.0, height, style.WALL, style.PLAIN, tint.OWN)
    if height > 9.0:
        draw_box(canvas)
        return
    box[13] = style.NUM_STYLES
    draw_box(canvas)
    rises, gable = min(0.75 * min(half_l, half_w), 3.2), int(shade * 313.0) % 2 == 0
    over = 0.35
    set_box(canvas, -half_l - over, half_l + over, half_w + over, height, height + rises, style.ROOF, style.NUM_STYLES, tint.OWN)
    if half_l >= half_w:
        inset = 0.0 if gable else half_w
        box[6], box[7], box[8], box[9] = -half_l - over + inset, half_l + over - inset, -0.01, 0.01
        if gable:
            box[11], box[12] = style.PLAIN, style.PLAIN
    else:
        inset = 0.0 if gable else half_l
        box[6], box[7], box[8], box[9] = -0.01, 0.01, -half_w - over + inset, half_w + over - inset
        if gable:
            box[10] = style.PLAIN
    draw_box(canvas)


@kernel
def draw_agent(canvas: Canvas, agents: Agents, env: int, a: int, paints: Array, shapes: Array, shape_index: Array) -> None:
    """One agent, built of the boxes of its kind or cut out."""
    face, view, box = canvas.face, canvas.eye, canvas.box
    kind, shade, clock = int(agents.kind[env, a]), agents.shade[env, a], view[at.CLOCK]
    half_l, half_w, height = 0.5 * agents.length[env, a], 0.5 * agents.width[env, a], agents.height[env, a]
    paint = int(shade * tint.NUM_CAR_PAINTS) % tint.NUM_CAR_PAINTS
    if kind == BUS:
        paint = _BUS_PAINTS[paint % 4]
    face[at.OWN_R], face[at.OWN_G], face[at.OWN_B] = paints[paint, 0], paints[paint, 1], paints[paint, 2]
    face[at.SHADE], face[at.KIND], face[at.VALUE] = shade, kind, agents.lamps[env, a]
    face[at.TAG] = kind * 256 + a + 1
    stride = min(agents.speed[env, a] / 1.4, 1.0)
    step = np.sin(clock * (0.55 if kind == CYCLIST else 0.85) + 2.4 * a)
    if kind in (PEDESTRIAN, CHILD):
        # how much of the stride shows: all of it from the side
        px, pz = canvas.corners[8, 0], canvas.corners[8, 2]
        across = (canvas.corners[9, 0] * pz - canvas.corners[9, 2] * px) / max(math.sqrt(px * px + pz * pz), 1e-6)
        face[at.SWING] = stride * step * across
        draw_cut_out(canvas, 0.25 * height, height, style.PERSON)
        return
    face[at.SWING] = step if agents.speed[env, a] > 0.3 else 0.4
    first, num = shape_index[kind, 0], shape_index[kind, 1]
    for b in range(first, first + num):
        for k in range(14):
            scale = half_w if k == 2 or k == 3 or k == 8 or k == 9 else height if k == 4 or k == 5 else half_l if k < 10 else 1.0
            box[k] = shapes[b, k] * scale
        box[14] = shapes[b, 14]
        draw_box(canvas)
        if kind == CYCLIST and b == first + 2:
            place(canvas, -half_l, 0.0, 0.0, canvas.points[0, 0])
            place(canvas, half_l, 0.0, 0.0, canvas.points[0, 1])
            place(canvas, half_l, 0.0, 1.05, canvas.points[0, 2])
            place(canvas, -half_l, 0.0, 1.05, canvas.points[0, 3])
            if not draw_quad(canvas, 1.0, style.BIKE, tint.OWN, 0, 0):
                draw_quad(canvas, -1.0, style.BIKE, tint.OWN, 0, 0)
    if kind < FIRST_OBJECT:
        _draw_lamps(canvas, kind, int(agents.lamps[env, a]), half_l, half_w, height)


@kernel
def _draw_lamps(canvas: Canvas, kind: int, lamps: int, half_l: float, half_w: float, height: float) -> None:
    """The shine of lights around their lenses."""
    view, corners, point = canvas.eye, canvas.corners, canvas.corners[0]
    on, clock = view[at.ON] > 0, int(view[at.CLOCK])
    facing = corners[9, 0] * corners[8, 0] + corners[9, 1] * corners[8, 1] + corners[9, 2] * corners[8, 2] < 0
    end = half_l + 0.05 if facing else -half_l - 0.05
    up = 0.6 if height < 1.8 else 0.8
    wet = view[at.LIT]
    for k in range(2):
        left = k == 0
        y = 0.78 * half_w if left else -0.78 * half_w
        if kind == CYCLIST:
            y, up = 0.0, 0.75
            if k == 1:
                break
        place(canvas, end, y, up, point)
        what, strength, radius = _NONE, 0.0, 0.3
        if facing and on:
            what, strength, radius = tint.HEADLIGHT, 0.95, 0.55
        elif not facing and (lamps & BRAKING) != 0:
            what, strength, radius = tint.BRAKE_LIGHT, (0.7 if on else 0.4), (0.5 if on else 0.34)
        elif not facing and on:
            what, strength, radius = tint.TAIL_LIGHT, 0.5, 0.3
        if what != _NONE:
            glow(canvas, point[0], point[1], point[2], radius, 0.8, what, strength)
            if wet > 0:
                place(canvas, end, y, -up, point)
                glow(canvas, point[0], point[1], point[2], 1.8 * radius, 1.5, what, 0.4 * strength * wet)
        if style.blinks(lamps, clock, left):
            place(canvas, end, 1.15 * y, up, point)
            glow(canvas, point[0], point[1], point[2], 0.3, 1.3, tint.BLINKER, 0.8)
    if kind == EMERGENCY and (lamps & SIREN) != 0:
        place(canvas, 0.39 * half_l, 0.4 * half_w if clock % 4 < 2 else -0.4 * half_w, 1.06 * height, point)
        glow(canvas, point[0], point[1], point[2], 0.9, 2.5, tint.BLUE_FLASH, 0.9)

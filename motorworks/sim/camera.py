"""The town's cameras: kernels that draw the pictures of a rig for a share of the environments, and what each pixel shows.

A picture is made in this order: depth of walls, sky and ground, night, shadows and pools of light, things from far to
near, then the lens. All colours are worked out per environment at its reset (camera_palette), all geometry of pixels once per rig
(camera_tables).
"""

import math
from typing import NamedTuple

import numpy as np

from motorworks.datatypes.rig import FRONT
from motorworks.geometry.array import Array
from motorworks.geometry.kernel import floor, kernel
from motorworks.sim import camera_faces as at
from motorworks.sim import camera_palette as tint
from motorworks.sim.agents import Agents
from motorworks.sim.bank import PAINT_PX
from motorworks.sim.camera_faces import MAX_CORNERS, NUM_BOX, NUM_FACE, NUM_VIEW, Canvas
from motorworks.sim.camera_ground import darken_ground, draw_backdrop
from motorworks.sim.camera_hidden import hide
from motorworks.sim.camera_lens import drop_out, is_out, soil_picture
from motorworks.sim.camera_palette import Palettes
from motorworks.sim.camera_shadows import shade_agent, shade_scenery
from motorworks.sim.camera_tables import BEAM_REACH_M, Cameras, Textures
from motorworks.sim.camera_things import MAX_IN_VIEW, draw_agent, draw_scenery, gather, stand
from motorworks.sim.ground import PAINT_M_PER_PX

# the front camera, which every rig has
_FRONT = FRONT.cameras[0]
WIDTH_PX, HEIGHT_PX, FOCAL_PX = _FRONT.width_px, _FRONT.height_px, _FRONT.focal_px
CX_PX, CY_PX = _FRONT.centre_px
CAMERA_AHEAD_M, CAMERA_HEIGHT_M = _FRONT.position_rig_m[0], _FRONT.position_rig_m[2]
_LONGEST_SHADOW = 6.0  # metres a metre of height


class Scratch(NamedTuple):
    """What the threads write while they draw, by thread; see Canvas."""

    inverse_depth: Array
    tags: Array
    eye: Array
    face: Array
    points: Array
    edges: Array
    corners: Array
    rows: Array
    box: Array
    order: Array  # [thread, MAX_IN_VIEW] int32
    keys: Array  # [thread, MAX_IN_VIEW] m
    cover: Array  # [thread, 2, column] of camera_hidden


class Things(NamedTuple):
    """How things are built, and the patterns on them: the same in every town."""

    textures: Textures
    shapes: Array
    shape_index: Array
    shares: Array


class Towns(NamedTuple):
    """Maps by slot and towns by number, as the world keeps them."""

    paint: Array  # [slot, PAINT_PX * PAINT_PX]
    scenery: Array
    num_scenery: Array
    signals: Array
    slots: Array  # [town]
    clock: Array  # [town]


def make_scratch(num_threads: int, height_px: int, width_px: int) -> Scratch:
    """Scratch for pictures of this size."""
    n = num_threads
    return Scratch(
        inverse_depth=np.zeros((n, height_px, width_px), np.float32),
        tags=np.zeros((n, height_px, width_px), np.int32),
        eye=np.zeros((n, NUM_VIEW)),
        face=np.zeros((n, NUM_FACE)),
        points=np.zeros((n, 2, MAX_CORNERS, 3)),
        edges=np.zeros((n, MAX_CORNERS, 6)),
        corners=np.zeros((n, 12, 3)),
        rows=np.zeros((n, 3), np.int32),
        box=np.zeros((n, NUM_BOX)),
        order=np.zeros((n, MAX_IN_VIEW), np.int32),
        keys=np.zeros((n, MAX_IN_VIEW)),
        cover=np.zeros((n, 2, width_px)),
    )


@kernel
def _set_view(view: Array, cams: Cameras, camera: int, pose: Array, lights: Array, clock: int) -> None:
    """Where the camera is in the world, and the light in its frame."""
    c, s = np.cos(pose[2]), np.sin(pose[2])
    position, rotation = cams.position[camera], cams.rotation[camera]
    view[at.FOCAL], view[at.CENTRE_U], view[at.CENTRE_V] = cams.focal[camera], cams.centre[camera, 0], cams.centre[camera, 1]
    view[at.CAM_X] = pose[0] + c * position[0] - s * position[1]
    view[at.CAM_Y] = pose[1] + s * position[0] + c * position[1]
    view[at.CAM_Z] = position[2]
    for k in range(3):
        x, y, z = rotation[0, k], rotation[1, k], rotation[2, k]
        wx, wy = c * x - s * y, s * x + c * y
        view[at.RIGHT_X + 3 * k], view[at.RIGHT_X + 3 * k + 1], view[at.RIGHT_X + 3 * k + 2] = wx, wy, z
        view[at.SUN_RIGHT + k] = wx * lights[tint.SUN_X] + wy * lights[tint.SUN_Y] + z * lights[tint.SUN_Z]
        view[at.UP_RIGHT + k] = z
        view[at.HAZE_R + k] = lights[tint.HAZE_R + k]
    view[at.AMBIENT], view[at.SUN] = lights[tint.AMBIENT], lights[tint.SUN]
    view[at.CLOCK], view[at.ON], view[at.LIT] = clock, lights[tint.HEADLIGHTS], lights[tint.WET]
    view[at.YAW], view[at.RIG_X], view[at.RIG_Y] = pose[2], pose[0], pose[1]


@kernel
def _own_beam(view: Array, x: float, y: float, darkness: float) -> float:
    """Light of the rig's own headlights on something upright at a place in the world; as camera_tables.beam_share on the ground."""
    if darkness <= 0.0:
        return 0.0
    c, s = np.cos(view[at.YAW]), np.sin(view[at.YAW])
    dx, dy = x - view[at.RIG_X], y - view[at.RIG_Y]
    ahead, left = c * dx + s * dy - 2.0, c * dy - s * dx
    if ahead < 0.0:
        return 0.0
    wide, far = left / (1.6 + 0.3 * ahead), ahead / (1.2 * BEAM_REACH_M)
    return 0.8 * darkness * math.exp(-wide * wide - far * far)


@kernel
def _draw_things(
    canvas: Canvas, num: int, order: Array, keys: Array, scenery: Array, num_scenery: int, signals: Array, agents: Agents, town: int, lights: Array,
    paints: Array, things: Things,
) -> None:  # fmt: skip
    """Shadows of everything in view, then everything, far to near."""
    night = lights[tint.NIGHT] > 0.5
    dx, dy, level = 0.0, 0.0, math.sqrt(lights[tint.SUN_X] ** 2 + lights[tint.SUN_Y] ** 2)
    if level > 1e-6:
        long = min(level / max(lights[tint.SUN_Z], 1e-3), _LONGEST_SHADOW) / level
        dx, dy = -lights[tint.SUN_X] * long, -lights[tint.SUN_Y] * long
    for rank in range(num - 1, -1, -1):
        i = order[rank] if order[rank] >= 0 else -1 - order[rank]
        if i < num_scenery:
            shade_scenery(canvas, scenery[i], keys[rank], lights[tint.SHADOW], dx, dy, night)
        else:
            shade_agent(canvas, agents, town, i - num_scenery, keys[rank], lights[tint.SHADOW], dx, dy, night)
    for rank in range(num - 1, -1, -1):
        i = order[rank]
        if i < 0:
            continue
        if i < num_scenery:
            stand(canvas, scenery[i, 0], scenery[i, 1], scenery[i, 2])
            canvas.face[at.BEAM] = _own_beam(canvas.eye, scenery[i, 0], scenery[i, 1], lights[tint.DARKNESS])
            draw_scenery(canvas, scenery[i], signals, paints)
        else:
            a = i - num_scenery
            stand(canvas, agents.pose[town, a, 0], agents.pose[town, a, 1], agents.pose[town, a, 2])
            canvas.face[at.BEAM] = _own_beam(canvas.eye, agents.pose[town, a, 0], agents.pose[town, a, 1], lights[tint.DARKNESS])
            draw_agent(canvas, agents, town, a, paints, things.shapes, things.shape_index)


@kernel
def draw_picture(
    canvas: Canvas, order: Array, keys: Array, cover: Array, camera: int, cams: Cameras, things: Things, towns: Towns, town: int, pose: Array,
    ego_slot: int, agents: Agents, palettes: Palettes,
) -> None:  # fmt: skip
    """Rows canvas.rows[0:2] of one camera's picture, without its lens."""
    slot, first, end, lights = towns.slots[town], canvas.rows[0], canvas.rows[1], palettes.lights[town]
    _set_view(canvas.eye, cams, camera, pose, lights, towns.clock[town])
    for v in range(first, end):
        for u in range(canvas.frame.shape[1]):
            canvas.inverse_depth[v, u] = 0.0
    if canvas.rows[2] > 0:
        for v in range(first, end):
            for u in range(canvas.frame.shape[1]):
                canvas.tags[v, u] = 0
    height, width = canvas.frame.shape[0], canvas.frame.shape[1]
    scenery, num_scenery = towns.scenery[slot], towns.num_scenery[slot]
    num = gather(canvas.eye, width, height, scenery, num_scenery, agents, town, ego_slot, order, keys)
    hide(canvas, num, order, scenery, num_scenery, agents, town, cover)
    draw_backdrop(
        canvas.frame, first, end, pose, towns.paint[slot], cams.ground[camera], cams.extent[camera],
        cams.taps[camera], cams.level[camera], cams.reach[camera], cams.sky[camera], canvas.grain, things.textures.clouds,
        palettes.ground[town], palettes.sky[town], palettes.skyline[town], palettes.trees[town], things.shares, PAINT_M_PER_PX,
    )  # fmt: skip
    if lights[tint.NIGHT] > 0.5:
        darken_ground(canvas.frame, first, end, cams.taps[camera], cams.beam[camera], lights[tint.DARKNESS])
    _draw_things(canvas, num, order, keys, scenery, num_scenery, towns.signals[slot], agents, town, lights, palettes.paints[town], things)


@kernel
def canvas_of(frame: Array, depth: int, part: int, scratch: Scratch, palettes: Palettes, town: int, grain: Array) -> Canvas:
    """The part of the scratch that a thread owns, and row `depth` of the depth, which on a GPU the threads of a picture share."""
    return Canvas(
        frame, scratch.inverse_depth[depth], scratch.tags[depth], scratch.eye[part], scratch.face[part], scratch.points[part], scratch.edges[part],
        scratch.corners[part], palettes.tints[town], palettes.fog[town], grain, scratch.rows[part], scratch.box[part],
    )  # fmt: skip


@kernel
def draw_rigs(
    part: int, envs: Array, images: Array, flat: Array, egos: int, poses: Array, cams: Cameras, things: Things, towns: Towns, agents: Agents,
    palettes: Palettes, scratch: Scratch,
) -> None:  # fmt: skip
    """Every camera of these environments into images [env, camera, row, column, 3], `flat` [env, camera, byte]; `part` is the thread."""
    grain = things.textures.grain
    for n in range(envs.shape[0]):
        env = envs[n]
        town, lights = env // egos, palettes.lights[env // egos]
        for camera in range(cams.focal.shape[0]):
            frame, clock = images[env, camera], towns.clock[town]
            if is_out(lights, camera, clock):
                drop_out(frame, lights, camera, clock, things.textures.static)
                continue
            canvas = canvas_of(frame, part, part, scratch, palettes, town, grain)
            canvas.rows[0], canvas.rows[1], canvas.rows[2] = 0, frame.shape[0], 0
            draw_picture(
                canvas, scratch.order[part], scratch.keys[part], scratch.cover[part], camera, cams, things, towns, town, poses[env],
                env - town * egos, agents, palettes,
            )  # fmt: skip
            soil_picture(canvas, flat[env, camera], lights, camera, things.textures.static)


@kernel
def _label_pixels(canvas: Canvas, cams: Cameras, camera: int, pose: Array, paint: Array, depth: Array, semantic: Array, instance: Array) -> None:
    """What each pixel shows, once its picture is drawn with tags: the nearest thing, else the ground under its middle, else the sky."""
    c, s = np.cos(pose[2]), np.sin(pose[2])
    rotation, position = cams.rotation[camera], cams.position[camera]
    for v in range(depth.shape[0]):
        for u in range(depth.shape[1]):
            tag = canvas.tags[v, u]
            instance[v, u] = tag & 255
            if tag > 0:
                depth[v, u] = 1.0 / canvas.inverse_depth[v, u]
                semantic[v, u] = tag >> 8
            elif cams.taps[camera, v, u] == 0:
                depth[v, u], semantic[v, u] = np.inf, SKY
            else:
                gx, gy = np.float64(cams.ground[camera, v, u, 0]), np.float64(cams.ground[camera, v, u, 1])
                x, y = gx * PAINT_M_PER_PX - position[0], gy * PAINT_M_PER_PX - position[1]
                depth[v, u] = rotation[0, 2] * x + rotation[1, 2] * y - rotation[2, 2] * position[2]
                px = floor(pose[0] / PAINT_M_PER_PX + c * gx - s * gy)
                py = floor(pose[1] / PAINT_M_PER_PX + s * gx + c * gy)
                inside = 0 <= px < PAINT_PX and 0 <= py < PAINT_PX
                semantic[v, u] = FIRST_MATERIAL + (paint[py * PAINT_PX + px] if inside else 0)


@kernel
def label_rigs(
    part: int, envs: Array, frame: Array, egos: int, poses: Array, cams: Cameras, things: Things, towns: Towns, agents: Agents, palettes: Palettes,
    scratch: Scratch, depth: Array, semantic: Array, instance: Array,
) -> None:  # fmt: skip
    """Labels of every camera of these environments, by position in `envs`; `frame` is scratch. Weather on the lens hides nothing from them."""
    grain = things.textures.grain
    for n in range(envs.shape[0]):
        env = envs[n]
        town = env // egos
        for camera in range(cams.focal.shape[0]):
            canvas = canvas_of(frame, part, part, scratch, palettes, town, grain)
            canvas.rows[0], canvas.rows[1], canvas.rows[2] = 0, frame.shape[0], 1
            draw_picture(
                canvas, scratch.order[part], scratch.keys[part], scratch.cover[part], camera, cams, things, towns, town, poses[env],
                env - town * egos, agents, palettes,
            )  # fmt: skip
            paint = towns.paint[towns.slots[town]]
            _label_pixels(canvas, cams, camera, poses[env], paint, depth[n, camera], semantic[n, camera], instance[n, camera])


SKY, FIRST_MATERIAL = 63, 64  # classes of semantic labels; below are datatypes.agent kinds and kinds of scenery

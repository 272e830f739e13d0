"""A moment of a drive from above: the town's own paint turned so that the ego drives upwards, and on it everyone, the plan and the way driven."""

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from motorworks.bodies.body import CAR, integrate
from motorworks.datatypes.agent import AGENT_KINDS, EMERGENCY, is_vehicle
from motorworks.datatypes.rollout import Rollout
from motorworks.geometry.array import Array
from motorworks.geometry.se2 import inverse, transform_points
from motorworks.sim.camera_things import light_of_signal
from motorworks.sim.codes import BUILDING, GRASS, HEDGE, PAINT_M_PER_PX, SIGNAL_HEAD, TREE
from motorworks.sim.ground import TownMap

M_PER_PX = 0.15
EGO_UP_FRAC = 0.3  # the ego's place above the lower edge: what matters lies ahead
FINE = 2  # drawn this many times larger, then averaged
PLAN_SHOWN_STEPS = 40
LEAST_HALF_M = 0.45  # people and cones are drawn at least this large, or nobody would see them
KIND_COLOURS = (
    (240, 200, 90), (196, 206, 128), (222, 122, 70), (164, 134, 240), (250, 62, 96), (80, 224, 150), (255, 140, 214), (232, 72, 255), (255, 150, 30),
    (220, 60, 50), (176, 140, 104),
)  # fmt: skip
EGO, PLAN, DRIVEN = (255, 255, 255), (64, 156, 255), (124, 158, 200)
_MATERIALS = np.array(
    [
        (44, 56, 47),  # grass
        (82, 86, 94),  # asphalt
        (222, 224, 228),  # white
        (226, 182, 66),  # yellow
        (54, 66, 54),  # verge
        (82, 86, 94),  # junction
        (112, 112, 112),  # pavement
        (142, 142, 140),  # kerb
        (70, 74, 84),  # parking
        (66, 82, 62),  # island
        (122, 76, 70),  # red asphalt
    ],
    np.uint8,
)
_SCENERY = {BUILDING: (96, 88, 84), TREE: (38, 78, 50), HEDGE: (40, 72, 46)}
_LIGHTS = ((255, 64, 52), (255, 206, 52), (60, 232, 130))
_OUTLINE, _HIT = (18, 20, 26), (255, 48, 40)

if len(KIND_COLOURS) != len(AGENT_KINDS):
    raise ValueError(f"a colour for each of {AGENT_KINDS}, please; there are {len(KIND_COLOURS)}")


class _View:
    """Pixels of the fine picture from points in the world."""

    def __init__(self, ego_world: Float[Array, " 3"], size_px: tuple[int, int], m_per_px: float) -> None:
        self.ego_world, self.m_per_px = ego_world, m_per_px / FINE
        self.width_px, self.height_px = size_px[0] * FINE, size_px[1] * FINE
        self.ego_px = np.array([self.width_px / 2, self.height_px * (1 - EGO_UP_FRAC)])

    @property
    def reach_m(self) -> float:
        """No point further than this from the ego is in the picture."""
        return float(np.hypot(self.width_px, self.height_px)) * self.m_per_px

    def from_world(self, points_world_m: Float[Array, "point 2"]) -> Float[Array, "point 2"]:
        """Column and row."""
        return self.from_rig(transform_points(inverse(self.ego_world), points_world_m))

    def from_rig(self, points_rig_m: Float[Array, "point 2"]) -> Float[Array, "point 2"]:
        """Column and row; forward is up, left is left."""
        return self.ego_px - points_rig_m[:, ::-1] / self.m_per_px

    def world_axes_px(self) -> tuple[Float[Array, " 2"], Float[Array, " 2"], Float[Array, " 2"]]:
        """The world point of the middle of pixel (0, 0), and the steps of a column and of a row, in metres."""
        x, y, yaw = self.ego_world
        forward, left = np.array([np.cos(yaw), np.sin(yaw)]), np.array([-np.sin(yaw), np.cos(yaw)])
        corner = np.array([x, y]) + self.m_per_px * ((self.ego_px[1] - 0.5) * forward + (self.ego_px[0] - 0.5) * left)
        return corner, -left * self.m_per_px, -forward * self.m_per_px


def draw_top_down(town: TownMap, rollout: Rollout, index: int, *, size_px: tuple[int, int], m_per_px: float = M_PER_PX) -> Image.Image:
    """Row `index` of a drive in its town, the ego's heading up; `size_px` is width and height.

    No plan is drawn for the end state, and none for a rollout without `plans`.
    """
    view = _View(rollout.ego_world[index], size_px, m_per_px)
    image = Image.fromarray(_MATERIALS[_sample(town.paint, view)])
    pen = ImageDraw.Draw(image)
    _draw_scenery(pen, view, town)
    _draw_path(pen, view.from_world(rollout.ego_world[: index + 1, :2]), DRIVEN, 0.5 / view.m_per_px)
    if rollout.plans is not None and index < len(rollout.ego_world) - 1:
        poses, _ = integrate(rollout.plans[index], np.asarray(float(rollout.speed_mps[index])))
        plan = np.concatenate([np.zeros((1, 2)), poses[:PLAN_SHOWN_STEPS, :2]])
        _draw_path(pen, view.from_rig(plan), PLAN, 0.9 / view.m_per_px)
    for agent in np.flatnonzero(rollout.agents_valid[index]):
        x, y, yaw, _, length, width = rollout.agents_world[index, agent]
        if np.hypot(x - view.ego_world[0], y - view.ego_world[1]) < view.reach_m:
            kind = int(rollout.agents_kind[agent])
            _draw_box(pen, view, (x, y, yaw), (length, width), KIND_COLOURS[kind], nose=is_vehicle(kind), siren=kind == EMERGENCY)
            if agent == rollout.collision_agent and index == len(rollout.ego_world) - 1:
                corners = _corners_px(view, (x, y, yaw), (length + 1.0, width + 1.0))
                pen.line([*corners, corners[0]], fill=_HIT, width=2 * FINE)
    x, y, yaw = rollout.ego_world[index]
    ahead = CAR.centre_ahead_m
    _draw_box(pen, view, (x + ahead * np.cos(yaw), y + ahead * np.sin(yaw), yaw), (CAR.length_m, CAR.width_m), EGO, nose=True)
    _draw_lights(pen, view, town, index)
    return image.reduce(FINE)


def _sample(paint: UInt8[Array, "y x"], view: _View) -> UInt8[Array, "row column"]:
    """The nearest pixel of the paint for each of the picture; grass outside the town."""
    corner, column_m, row_m = view.world_axes_px()
    columns, rows = np.arange(view.width_px), np.arange(view.height_px)[:, None]
    x, y = (np.floor((corner[axis] + columns * column_m[axis] + rows * row_m[axis]) / PAINT_M_PER_PX).astype(np.int32) for axis in (0, 1))
    inside = (x >= 0) & (y >= 0) & (x < paint.shape[1]) & (y < paint.shape[0])
    return np.where(inside, paint[np.where(inside, y, 0), np.where(inside, x, 0)], np.uint8(GRASS))


def _draw_scenery(pen: ImageDraw.ImageDraw, view: _View, town: TownMap) -> None:
    """Houses, hedges and trees near enough to be seen."""
    near = np.hypot(town.scenery[:, 0] - view.ego_world[0], town.scenery[:, 1] - view.ego_world[1]) < view.reach_m + 15.0
    for x, y, yaw, half_length, half_width, _, kind, *_ in town.scenery[near]:
        colour = _SCENERY.get(int(kind))
        if colour is not None and int(kind) == TREE:
            _draw_dot(pen, view.from_world(np.array([[x, y]]))[0], max(half_length, half_width) / view.m_per_px, colour)
        elif colour is not None:
            pen.polygon(_corners_px(view, (x, y, yaw), (2 * half_length, 2 * half_width)), fill=colour)


def _draw_lights(pen: ImageDraw.ImageDraw, view: _View, town: TownMap, clock: int) -> None:
    """What each signal head shows at this step."""
    for row in town.scenery[town.scenery[:, 6] == SIGNAL_HEAD]:
        if np.hypot(row[0] - view.ego_world[0], row[1] - view.ego_world[1]) < view.reach_m:
            at = view.from_world(row[None, :2])[0]
            _draw_dot(pen, at, 4.5 * FINE, _OUTLINE)
            _draw_dot(pen, at, 3 * FINE, _LIGHTS[light_of_signal(town.network.signals[int(row[8])], clock)])


def _draw_box(
    pen: ImageDraw.ImageDraw,
    view: _View,
    pose_world: tuple[float, float, float],
    size_m: tuple[float, float],
    colour: tuple[int, int, int],
    *,
    nose: bool,
    siren: bool = False,
) -> None:
    """A body with an outline; vehicles have a windscreen, so that one sees where they look, and some a blue light."""
    length, width = (max(side, 2 * LEAST_HALF_M) for side in size_m)
    pen.polygon(_corners_px(view, pose_world, (length, width)), fill=colour, outline=_OUTLINE, width=FINE)
    x, y, yaw = pose_world
    if nose:
        ahead = length / 2 - 1.3
        screen = (x + ahead * np.cos(yaw), y + ahead * np.sin(yaw), yaw)
        pen.polygon(_corners_px(view, screen, (0.7, width - 0.35)), fill=_OUTLINE)
    if siren:
        _draw_dot(pen, view.from_world(np.array([[x, y]]))[0], 0.7 / view.m_per_px, (60, 120, 255))


def _draw_path(pen: ImageDraw.ImageDraw, points_px: Float[Array, "point 2"], colour: tuple[int, int, int], width_px: float) -> None:
    if len(points_px) > 1:
        pen.line([(float(u), float(v)) for u, v in points_px], fill=colour, width=round(width_px), joint="curve")


def _draw_dot(pen: ImageDraw.ImageDraw, at_px: Float[Array, " 2"], radius_px: float, colour: tuple[int, int, int]) -> None:
    pen.ellipse((at_px[0] - radius_px, at_px[1] - radius_px, at_px[0] + radius_px, at_px[1] + radius_px), fill=colour)


def _corners_px(view: _View, pose_world: tuple[float, float, float], size_m: tuple[float, float]) -> list[tuple[float, float]]:
    half = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]]) * np.array(size_m) / 2
    return [(float(u), float(v)) for u, v in view.from_world(transform_points(np.asarray(pose_world), half))]

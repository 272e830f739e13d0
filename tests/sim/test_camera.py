"""Pictures agree with the world: projection, depth, labels, tilted cameras, and the same pixels for any batch."""

from collections.abc import Callable

import numpy as np
import pytest

from motorworks.datatypes.agent import AGENT_KINDS, CAR
from motorworks.datatypes.rig import FRONT, FRONT3, Camera, Rig
from motorworks.geometry.array import Array
from motorworks.geometry.se2 import compose
from motorworks.sim.agents import ABSENT, STATIC, Agents, empty_agents
from motorworks.sim.bank import MapBank
from motorworks.sim.codes import PAINT_M_PER_PX
from motorworks.sim.ground import TownMap, build_town
from motorworks.sim.look import CLEAR, Look, draw_look
from motorworks.sim.renderer import FIRST_MATERIAL, SKY, Labels, Renderer

_TILTED = Rig(
    name="tilted",
    cameras=(
        Camera(
            name="tilted", width_px=96, height_px=64, focal_px=60.0, centre_px=(48.0, 30.0), position_rig_m=(1.0, 0.3, 1.4),
            yaw_rad=0.4, pitch_rad=0.15, roll_rad=-0.1,
        ),
    ),
)  # fmt: skip


def _spread(run: Callable[[int], None], num: int) -> None:
    for part in range(num):
        run(part)


class _Stand:
    """Empty towns with room for a few agents around one rig, with no scenery unless asked for."""

    def __init__(self, rig: Rig, looks: tuple[Look, ...] = (CLEAR,), threads: int = 1, scenery: bool = False) -> None:
        n = len(looks)
        self.town: TownMap = build_town(1)
        self.bank, self.renderer = MapBank(n), Renderer(rig, n, 1, threads)
        self.slots = np.array([self.bank.load(env, self.town) for env in range(n)])
        if not scenery:
            self.bank.arrays.num_scenery[:] = 0
        lanes = self.town.network.lanes
        self.poses = np.tile(lanes.points[lanes.first[0] + 10, :3], (n, 1))
        self.agents, self.clock = empty_agents((n, 4)), np.zeros(n, np.int64)
        for env, look in enumerate(looks):
            self.renderer.reset_env(env, self.town, look)

    def place(self, slot: int, kind: int, ahead_m: float, left_m: float, size: tuple[float, float, float] = (4.5, 1.8, 1.5)) -> None:
        agents: Agents = self.agents
        agents.mode[:, slot], agents.kind[:, slot] = STATIC, kind
        agents.pose[:, slot] = compose(self.poses, np.array([ahead_m, left_m, 0.0]))
        agents.length[:, slot], agents.width[:, slot], agents.height[:, slot] = size

    def draw(self) -> Array:
        draws = np.ones(len(self.poses), np.bool_)
        return self.renderer.draw(draws, self.bank.arrays, self.slots, self.poses, self.agents, self.clock, _spread).copy()

    def labels(self) -> Labels:
        return self.renderer.labels(np.array([0]), self.bank.arrays, self.slots, self.poses, self.agents, self.clock)


def test_a_car_stands_where_the_pinhole_puts_it() -> None:
    camera = FRONT.cameras[0]
    for ahead, left in ((12.0, 0.0), (18.0, 4.0), (18.0, -4.0)):
        stand = _Stand(FRONT)
        stand.place(1, CAR, ahead, left)
        labels = stand.labels()
        rows, columns = np.nonzero(labels.instance[0, 0] == 2)
        depth = ahead - 2.25 - camera.position_rig_m[0]  # of its rear
        assert abs(rows.max() + 1 - (camera.centre_px[1] + camera.focal_px * camera.position_rig_m[2] / depth)) < 1.6
        assert columns.min() - 1 <= camera.centre_px[0] - camera.focal_px * left / depth <= columns.max() + 1
        assert abs(labels.depth_m[0, 0][rows, columns].min() - depth) < 0.15
        stand.place(1, CAR, -12.0, 0.0)
        assert not (stand.labels().instance == 2).any()


@pytest.mark.parametrize("rig", [FRONT, _TILTED])
def test_ground_depth_and_class_are_those_of_a_ray(rig: Rig) -> None:
    camera, stand = rig.cameras[0], _Stand(rig)
    labels, paint = stand.labels(), stand.bank.arrays.paint[stand.slots[0]]
    for v in range(1, camera.height_px, 9):
        for u in range(2, camera.width_px, 13):
            ray = camera.rig_from_camera @ [(u + 0.5 - camera.centre_px[0]) / camera.focal_px, (v + 0.5 - camera.centre_px[1]) / camera.focal_px, 1.0]
            depth, where = -camera.position_rig_m[2] / ray[2], np.zeros(3)
            if ray[2] > -0.02:
                continue
            assert labels.depth_m[0, 0, v, u] == pytest.approx(depth, rel=1e-4)
            where[:2] = np.asarray(camera.position_rig_m[:2]) + depth * ray[:2]
            x, y, _ = compose(stand.poses[0], where)
            near = [paint[int(y / PAINT_M_PER_PX + dy), int(x / PAINT_M_PER_PX + dx)] for dx in (-0.02, 0.02) for dy in (-0.02, 0.02)]
            assert labels.semantic[0, 0, v, u] - FIRST_MATERIAL in near
    assert (labels.semantic[0, 0][np.isinf(labels.depth_m[0, 0])] == SKY).all()


def test_a_tilted_camera_sees_a_far_box_along_its_ray() -> None:
    camera, stand = _TILTED.cameras[0], _Stand(_TILTED)
    stand.place(1, CAR, 16.0, 7.0, (1.0, 1.0, 1.5))
    rows, columns = np.nonzero(stand.labels().instance[0, 0] == 2)
    right, down, ahead = camera.rig_from_camera.T @ (np.array([16.0, 7.0, 0.6]) - camera.position_rig_m)
    assert abs(columns.mean() + 0.5 - (camera.centre_px[0] + camera.focal_px * right / ahead)) < 1.5
    assert abs(rows.mean() + 0.5 - (camera.centre_px[1] + camera.focal_px * down / ahead)) < 1.5


def test_every_kind_changes_the_picture_where_its_labels_are() -> None:
    for kind, name in enumerate(AGENT_KINDS):
        stand = _Stand(FRONT)
        stand.agents.mode[:] = ABSENT
        before = stand.draw()[0, 0].astype(int)
        stand.place(1, kind, 9.0, 0.5, (2.0, 1.0, 1.6))
        changed = np.abs(stand.draw()[0, 0].astype(int) - before).sum(axis=-1) > 0
        labels = stand.labels()
        mine = labels.instance[0, 0] == 2
        assert mine.sum() > 60, name
        assert (labels.semantic[0, 0][mine] == kind).all() and changed[mine].mean() > 0.9, name


def test_the_same_pixels_alone_in_a_batch_and_on_threads() -> None:
    looks = tuple(draw_look(np.random.default_rng(i), rain=0.6 if i == 1 else None, night=1.0 if i == 2 else None) for i in range(3))
    batch, threads = (_Stand(FRONT, looks, n, scenery=True) for n in (1, 2))
    together = batch.draw()
    assert np.array_equal(together, threads.draw())
    for env, look in enumerate(looks):
        assert np.array_equal(_Stand(FRONT, (look,), scenery=True).draw()[0], together[env])
    assert not np.array_equal(together[0], together[2])


def test_a_camera_that_drops_out_says_nothing_and_one_not_drawn_stays() -> None:
    stand = _Stand(FRONT, (CLEAR._replace(dropout=np.float64(1)), CLEAR))
    images = stand.draw()
    assert images[0].max() == 0 and images[1].max() > 100
    stand.poses[:, 0] += 3.0
    only = np.array([True, False])
    again = stand.renderer.draw(only, stand.bank.arrays, stand.slots, stand.poses, stand.agents, stand.clock, _spread)
    assert np.array_equal(again[1], images[1])


def test_cameras_of_a_rig_see_a_common_thing_in_one_place() -> None:
    """A post where the front and the left camera overlap: each label's depth, put back into the rig, is where it stands."""
    stand = _Stand(FRONT3)
    angle = 0.5 * (FRONT3.cameras[0].yaw_rad + FRONT3.cameras[1].yaw_rad)
    stand.place(1, CAR, 15.0 * np.cos(angle), 15.0 * np.sin(angle), (0.6, 0.6, 2.0))
    labels, seen = stand.labels(), []
    for k, camera in enumerate(FRONT3.cameras):
        rows, columns = np.nonzero(labels.instance[0, k] == 2)
        if len(rows):
            z = labels.depth_m[0, k][rows, columns]
            rays = np.stack(
                [(columns + 0.5 - camera.centre_px[0]) / camera.focal_px, (rows + 0.5 - camera.centre_px[1]) / camera.focal_px, 0 * z + 1]
            )
            seen.append((camera.rig_from_camera @ (rays * z)).mean(axis=1)[:2] + np.asarray(camera.position_rig_m[:2]))
    assert len(seen) >= 2
    for where in seen:
        assert np.hypot(*(where - 15.0 * np.array([np.cos(angle), np.sin(angle)]))) < 0.7

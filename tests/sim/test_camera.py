"""The picture agrees with the world: sides, vehicles, the ego's own place on the road."""

import numpy as np

from motorworks.geometry.se2 import compose
from motorworks.sim.camera import CAMERA_AHEAD_M, CAMERA_HEIGHT_M, CX_PX, CY_PX, FOCAL_PX, HEIGHT_PX, WIDTH_PX, draw
from motorworks.sim.ground import build_town
from motorworks.sim.network import build_network
from motorworks.sim.route import Agents, empty_agents


def _lane(seed: int) -> tuple[int, np.ndarray]:
    """A one-lane-a-direction road and a pose 15 m along its lane."""
    network = build_network(seed)
    lanes = network.lanes
    lane = next(
        i
        for i in range(lanes.first_connector[0])
        if (network.opposite == i).sum() == 1 and np.abs(lanes.points[lanes.first[i] : lanes.first[i] + 40, 3]).max() < 1 / 60
    )
    return lane, lanes.points[lanes.first[lane] + 15, :3]


def _picture(seed: int, pose: np.ndarray, agents: Agents | None = None) -> np.ndarray:
    frame = np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    draw(frame, build_town(seed), pose, agents or empty_agents((2,)))
    return frame.astype(int)


def _yellow_columns(frame: np.ndarray) -> np.ndarray:
    near = frame[int(CY_PX) + 12 :]
    return np.nonzero((near[..., 0] - near[..., 2] > 70) & (near[..., 1] - near[..., 2] > 45))[1]


def _with_vehicle(pose: np.ndarray) -> Agents:
    agents = empty_agents((2,))
    agents.valid[0], agents.pose[0], agents.shade[0] = True, pose, 0.05  # red
    return agents


def test_the_centre_line_is_to_the_left() -> None:
    for seed in (0, 1, 6):
        _, pose = _lane(seed)
        columns = _yellow_columns(_picture(seed, pose))
        assert len(columns) > 20 and np.median(columns) < CX_PX - 10


def test_moving_left_moves_the_centre_line_right() -> None:
    _, pose = _lane(0)
    here, left = (np.median(_yellow_columns(_picture(0, compose(pose, np.array([0.0, y, 0.0]))))) for y in (0.0, 1.0))
    assert left > here + 5


def test_a_vehicle_appears_where_the_pinhole_puts_it() -> None:
    _, pose = _lane(0)
    empty = _picture(0, pose)
    for ahead, left in ((12.0, 0.0), (18.0, 4.0), (18.0, -4.0)):
        changed = np.abs(_picture(0, pose, _with_vehicle(compose(pose, np.array([ahead, left, 0.0])))) - empty).sum(axis=-1) > 60
        rows, columns = np.nonzero(changed)
        depth = ahead - 2.25 - CAMERA_AHEAD_M  # of its rear
        assert len(rows) > 50
        assert abs(rows.max() - (CY_PX + FOCAL_PX * CAMERA_HEIGHT_M / depth)) < 2.5
        assert columns.min() - 3 <= CX_PX - FOCAL_PX * left / depth <= columns.max() + 3
    behind = _picture(0, pose, _with_vehicle(compose(pose, np.array([-12.0, 0.0, 0.0]))))
    assert np.array_equal(behind, empty)


def test_a_nearer_vehicle_is_larger_and_covers_one_behind_it() -> None:
    _, pose = _lane(0)
    empty = _picture(0, pose)
    sizes = [(np.abs(_picture(0, pose, _with_vehicle(compose(pose, np.array([d, 0.0, 0.0])))) - empty).sum(axis=-1) > 60).sum() for d in (8, 16, 32)]
    assert sizes[0] > 2 * sizes[1] > 4 * sizes[2] > 0
    both = _with_vehicle(compose(pose, np.array([9.0, 0.0, 0.0])))
    both.valid[1], both.pose[1], both.shade[1] = True, compose(pose, np.array([20.0, 0.0, 0.0])), 0.15
    rear = slice(int(CY_PX) + 12, int(CY_PX) + 30), slice(int(CX_PX) - 10, int(CX_PX) + 10)
    alone = _picture(0, pose, _with_vehicle(both.pose[0]))
    assert np.array_equal(_picture(0, pose, both)[rear], alone[rear])


def test_looking_out_of_the_town_is_grass_not_an_error() -> None:
    frame = _picture(0, np.array([-300.0, -300.0, -2.0]))
    assert frame[int(CY_PX) + 5 :].std(axis=(0, 1)).max() < 40 and frame.max() > 0

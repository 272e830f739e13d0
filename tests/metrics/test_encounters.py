"""Per step and agent: contact, gap and time to collision; and whose fault a contact was."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorworks.datatypes.rollout import Rollout
from motorworks.geometry.se2 import compose
from motorworks.metrics.closed_loop import score_time_to_collision, values_of_steps
from motorworks.metrics.encounters import encounters, gaps, several_lanes, times_to_collision
from motorworks.metrics.fault import collision_of
from motorworks.metrics.overlap import agent_boxes, boxes_touch, contact_window_s, gap_between_m

Straight = Callable[..., Rollout]
Tracks = Callable[..., np.ndarray]


def some_boxes(seed: int, num: int = 40) -> np.ndarray:
    rng = np.random.default_rng(seed)
    columns = (rng.uniform(-9, 9, num), rng.uniform(-9, 9, num), rng.uniform(-3, 3, num), rng.uniform(-4, 8, num))
    return np.stack([*columns, rng.uniform(0.5, 5, num), rng.uniform(0.5, 3, num)], axis=-1)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000))
def test_boxes_touch_as_polygons_do(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = (np.array([*rng.uniform(-3, 3, 2), rng.uniform(-3, 3), rng.uniform(0.5, 5), rng.uniform(0.5, 3)]) for _ in range(2))
    # points filling one box, asked whether they lie in the other: one-sided, but exact up to the grid
    grid = np.stack(np.meshgrid(np.linspace(-0.5, 0.5, 41), np.linspace(-0.5, 0.5, 41)), axis=-1).reshape(-1, 2) * b[3:]
    points = compose(np.broadcast_to(b[:3], (len(grid), 3)), np.concatenate([grid, np.zeros((len(grid), 1))], axis=-1))[:, :2] - a[:2]
    along, across = points @ [np.cos(a[2]), np.sin(a[2])], points @ [-np.sin(a[2]), np.cos(a[2])]
    inside = ((np.abs(along) <= a[3] / 2) & (np.abs(across) <= a[4] / 2)).any()
    shrunk = ((np.abs(along) <= a[3] / 2 + 0.15) & (np.abs(across) <= a[4] / 2 + 0.15)).any()
    assert bool(boxes_touch(a, b)) == bool(boxes_touch(b, a)) == bool(gap_between_m(a, b) <= 0)
    assert not inside or boxes_touch(a, b)
    assert shrunk or not boxes_touch(a, b)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000))
def test_the_contact_window_is_when_moved_boxes_touch(seed: int) -> None:
    a, b = some_boxes(seed), some_boxes(seed + 1)
    start, end = contact_window_s(agent_boxes(a), a[:, 3], agent_boxes(b), b[:, 3])
    for ahead_s in (0.0, 0.3, 1.1, 2.7):
        near_an_end = (np.abs(start - ahead_s) < 1e-9) | (np.abs(end - ahead_s) < 1e-9)
        touch = boxes_touch(agent_boxes(a, ahead_s), agent_boxes(b, ahead_s))
        assert np.array_equal(touch[~near_an_end], ((start <= ahead_s) & (end >= ahead_s))[~near_an_end])


def test_boxes_of_one_velocity_touch_always_or_never() -> None:
    a, b = np.array([[0.0, 0.0, 0.4, 4.6, 1.85]] * 2), np.array([[1.0, 0.0, 0.4, 4.6, 1.85], [9.0, 0.0, 0.4, 4.6, 1.85]])
    start, end = contact_window_s(a, np.full(2, 7.0), b, np.full(2, 7.0))
    assert start[0] == -np.inf and end[0] == np.inf and start[1] > end[1]


def test_time_to_collision_and_gap_by_hand(straight: Straight, tracks: Tracks) -> None:
    # bumpers meet when ego's front (3.7 m ahead of the axle) reaches the other's back (2.3 m before its centre)
    at_start = {"agents": tracks([46.0, 0.0, 0.0, 0.0], [46.0, 3.5, 0.0, 0.0], [46.0, 0.0, 0.0, 10.0], [56.0, 0.0, np.pi, 10.0], num=1)}
    drive = straight(1, **at_start)
    times = times_to_collision(encounters(drive), drive)
    assert times.values[0] == pytest.approx([4.0, 5.0, 5.0, 2.5]) and times.valid.all()
    assert gaps(drive).values[0] == pytest.approx([40.0, 40.0, 40.0, 50.0])
    assert score_time_to_collision(drive).value == pytest.approx(2.5)


def test_neither_one_behind_nor_a_standing_ego_has_a_time_to_collision(straight: Straight, tracks: Tracks) -> None:
    chased = straight(1, agents=tracks([-15.0, 0.0, 0.0, 20.0], num=1))
    assert score_time_to_collision(chased).value == 5.0 and not times_to_collision(encounters(chased), chased).valid.any()
    standing = straight(1, speed_mps=0.0, agents=tracks([12.0, 0.0, np.pi, 8.0], num=1))
    assert score_time_to_collision(standing).value == 5.0


def test_an_agent_alone_is_the_agent_among_others_and_one_that_is_not_there_says_nothing(straight: Straight, tracks: Tracks) -> None:
    rng = np.random.default_rng(4)
    agents = tracks(*(np.array([rng.uniform(0, 110), rng.uniform(-8, 8), rng.uniform(-3, 3), rng.uniform(0, 9)]) for _ in range(6)))
    valid = rng.random((101, 6)) < 0.8
    noise = np.where(valid[..., None], agents, np.nan)  # what is not there may be anything
    together = {values.metric: values for values in values_of_steps(straight(agents=noise, agents_valid=valid))}
    for agent in range(6):
        alone = {
            value.metric: value for value in values_of_steps(straight(agents=noise[:, agent : agent + 1], agents_valid=valid[:, agent : agent + 1]))
        }
        for name in ("collision", "gap_m", "time_to_collision_s"):
            there = together[name].valid[:, agent]
            assert np.array_equal(there, alone[name].valid[:, 0])
            assert np.array_equal(together[name].values[there, agent], alone[name].values[there, 0])
    assert together["collision"].values[~valid].sum() == 0 and np.array_equal(together["gap_m"].valid, valid)


@pytest.mark.parametrize(
    ("agent", "changes", "contact", "at_fault"),
    [
        ([105.5, 0.0, 0.0, 2.0], {}, "front", True),
        ([104.5, 2.0, -np.pi / 2, 5.0], {}, "front", True),  # came across from the left
        ([103.0, 0.3, -np.pi / 2, 1.5, 0.5, 0.5], {}, "front", True),  # on foot, and by now behind the bumper
        ([105.5, 0.0, 0.0, 0.0], {}, "agent stood", True),
        ([96.9, 0.0, 0.0, 14.0], {}, "from behind", False),
        ([100.8, 1.8, 0.0, 9.0], {}, "side", False),
        ([100.8, 1.8, 0.0, 9.0], {"lateral_offset_m": np.full(101, 1.0)}, "side", True),  # over the line
        ([100.8, 1.8, 0.0, 9.0], {"lateral_offset_m": np.full(101, 3.5)}, "side", False),  # in the middle of the next lane
        ([100.8, 1.8, 0.0, 9.0], {"on_road": np.zeros(101, bool)}, "side", True),
        ([102.0, 0.0, np.pi, 8.0], {"speed_mps": np.r_[np.full(100, 10.0), 0.0]}, "ego stood", False),
    ],
)
@pytest.mark.parametrize("turned", [0.0, 2.3])
def test_fault_by_navsims_rule(
    agent: list[float], changes: dict, contact: str, at_fault: bool, turned: float, straight: Straight, tracks: Tracks
) -> None:
    # the world says the contrary: the boxes decide
    drive = straight(agents=tracks(agent), outcome="collision", collision_agent=0, collision_at_fault=not at_fault, **changes)
    move = np.array([40.0, -70.0, turned])
    agents = np.concatenate([compose(move, drive.agents_world[..., :3]), drive.agents_world[..., 3:]], axis=-1)
    hit = collision_of(dataclasses.replace(drive, ego_world=compose(move, drive.ego_world), agents_world=agents))
    assert hit is not None and (hit.agent, hit.contact, hit.at_fault) == (0, contact, at_fault)


def test_a_collision_without_a_name_is_looked_for_and_else_the_world_is_believed(straight: Straight, tracks: Tracks) -> None:
    found = collision_of(straight(agents=tracks([60.0, 0.0, 0.0, 2.0], [105.5, 0.0, 0.0, 2.0]), kinds=[0, 6], outcome="collision"))
    assert found is not None and (found.agent, found.kind, found.at_fault) == (1, 6, True)
    for word in (True, False):
        nobody = collision_of(straight(outcome="collision", collision_at_fault=word))
        assert nobody is not None and (nobody.agent, nobody.contact, nobody.at_fault) == (-1, "unknown", word)
    assert collision_of(straight()) is None
    with pytest.raises(ValueError, match="collision_agent 3 of 1 agents"):
        collision_of(straight(agents=tracks([60.0, 0.0, 0.0, 2.0]), outcome="collision", collision_agent=3))


def test_several_lanes_by_hand(straight: Straight) -> None:
    offsets = np.array([0.0, 0.8, 0.85, 1.75, 2.6, 2.7, 3.5, -0.8, -0.85])
    assert several_lanes(straight(9, lateral_offset_m=offsets)).tolist() == [False, False, True, True, True, False, False, False, True]

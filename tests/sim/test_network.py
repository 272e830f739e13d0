"""The roads of any town can be driven and walked, its rules contradict nothing, and every seed is its own town."""

import numpy as np
import pytest

from motorworks.sim.bank import MAX_LANES, MAX_POINTS, MAX_SIGNALS
from motorworks.sim.junctions import MAX_CONNECTOR_CURVATURE_PER_M
from motorworks.sim.lanes import ALL_STOP, CROSSWALK, DRIVE, FREE, LIGHT, STOP, WALK, YIELD, Lanes, Network
from motorworks.sim.layout import MIN_ROAD_RADIUS_M
from motorworks.sim.network import build_network

SEEDS = (*range(16), 10_000, 10_001, 10_002, 10_003)  # held-out towns are for `evaluate` alone


def _next(lanes: Lanes, lane: int) -> list[int]:
    return [int(k) for k in lanes.next[lane, : lanes.num_next[lane]]]


def _rivals(lanes: Lanes, lane: int) -> dict[int, bool]:
    count = lanes.num_rivals[lane]
    return dict(zip(lanes.rivals[lane, :count].tolist(), lanes.gives_way[lane, :count].tolist(), strict=True))


def check_joints(lanes: Lanes) -> None:
    """Every lane leads somewhere of its own kind, without a gap; drivers' joints without a kink (people turn on the spot)."""
    assert (lanes.num_next > 0).all()
    for lane in range(len(lanes.first)):
        end = lanes.points[lanes.first[lane] + lanes.num_points[lane] - 1]
        assert lanes.source[lane] < 0 or lane in _next(lanes, int(lanes.source[lane]))
        for following in _next(lanes, lane):
            start = lanes.points[lanes.first[following]]
            assert lanes.kind[lane] == lanes.kind[following]
            assert np.hypot(*(end[:2] - start[:2])) < 0.05
            if lanes.kind[lane] == DRIVE:
                assert np.cos(end[2] - start[2]) > np.cos(np.radians(2.0))


def check_rights(network: Network) -> None:
    """Rivals are mutual, giving way is not; where all stop nobody has the right; ways that exclude each other are never green together."""
    lanes, signals = network.lanes, network.signals
    assert (signals[:, 2] > 0).all() and (signals[:, 1] < signals[:, 0]).all()
    for lane in range(len(lanes.first)):
        for rival, waits in _rivals(lanes, lane).items():
            waited_for = _rivals(lanes, rival)[lane]
            assert lanes.junction[rival] == lanes.junction[lane] and not (waits and waited_for)
            if ALL_STOP in (lanes.control[lane], lanes.control[rival]) and lanes.kind[lane] == lanes.kind[rival]:
                assert not waits and not waited_for
            rows = lanes.signal[[lane, rival]]
            if (rows >= 0).all() and not waits and not waited_for:
                clock = np.arange(signals[rows[0], 0])
                green = [(clock - signals[row, 1]) % signals[row, 0] < signals[row, 2] for row in rows]
                assert not (green[0] & green[1]).any()


def connected_frac(lanes: Lanes) -> float:
    """The share of drivable lanes that a driver can reach from one of them and come back from, changes of lane included."""
    drive = np.flatnonzero(lanes.kind == DRIVE).tolist()
    onward = {lane: [k for k in (*_next(lanes, lane), int(lanes.left[lane]), int(lanes.right[lane])) if k >= 0] for lane in drive}
    backward: dict[int, list[int]] = {lane: [] for lane in drive}
    for lane, others in onward.items():
        for other in others:
            backward[other].append(lane)

    def reach(graph: dict[int, list[int]], start: int) -> set[int]:
        seen, todo = {start}, [start]
        while todo:
            for lane in graph[todo.pop()]:
                if lane not in seen:
                    seen.add(lane)
                    todo.append(lane)
        return seen

    return max(len(reach(onward, lane) & reach(backward, lane)) for lane in drive[:3]) / len(drive)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_town_can_be_driven_and_walked_by_its_rules(seed: int) -> None:
    network = build_network(seed)
    lanes = network.lanes
    check_joints(lanes)
    check_rights(network)
    assert connected_frac(lanes) > 0.97
    connector = lanes.source >= 0
    assert (connector == (lanes.junction >= 0)).all()
    assert (lanes.control[~connector] == FREE).all()
    assert ((lanes.control == CROSSWALK) == (connector & (lanes.kind == WALK))).all()
    assert (lanes.signal[lanes.control == LIGHT] >= 0).all()
    crossings = np.flatnonzero(lanes.control == CROSSWALK)
    assert len(crossings) and (lanes.num_rivals[crossings] > 0).all()
    assert not any(waits for crossing in crossings for waits in _rivals(lanes, int(crossing)).values())


@pytest.mark.parametrize("seed", SEEDS)
def test_lanes_side_by_side_know_each_other(seed: int) -> None:
    lanes = build_network(seed).lanes
    for lane in np.flatnonzero(lanes.left >= 0):
        beside = lanes.left[lane]
        assert lanes.right[beside] == lane
        assert abs(lanes.length[lane] / lanes.length[beside] - 1) < 0.15
        assert lanes.left_own[lane] > lanes.left_own[beside] and lanes.right_room[lane] < lanes.right_room[beside]
        assert lanes.left_room[lane] + lanes.right_room[lane] == pytest.approx(lanes.left_room[beside] + lanes.right_room[beside])
    walks = np.flatnonzero((lanes.kind == WALK) & (lanes.opposite >= 0))
    assert (lanes.opposite[lanes.opposite[walks]] == walks).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_bends_stay_within_what_a_car_can_steer_and_towns_within_the_bank(seed: int) -> None:
    network = build_network(seed)
    lanes = network.lanes
    of_point = np.repeat(np.arange(len(lanes.first)), lanes.num_points)
    road = (lanes.kind == DRIVE)[of_point] & (lanes.junction < 0)[of_point] & ~network.on_ring[of_point]
    inside = (lanes.kind == DRIVE)[of_point] & ~road
    assert np.abs(lanes.points[road, 3]).max() < 1 / (MIN_ROAD_RADIUS_M - 10.5)  # the innermost of three lanes
    assert np.abs(lanes.points[inside, 3]).max() <= MAX_CONNECTOR_CURVATURE_PER_M
    assert len(lanes.first) <= MAX_LANES and len(lanes.points) <= MAX_POINTS and len(network.signals) <= MAX_SIGNALS
    assert max(network.size_m) <= 640.0
    assert lanes.points[:, :2].min() >= 0.0 and (lanes.points[:, :2] <= np.array(network.size_m)).all()


def test_a_score_of_towns_has_everything() -> None:
    towns = [build_network(seed) for seed in SEEDS]
    controls = {int(control) for town in towns for control in town.lanes.control}
    assert controls == {FREE, LIGHT, STOP, ALL_STOP, YIELD, CROSSWALK}
    assert any(town.on_ring.any() for town in towns)
    assert max(town.lanes.left_own.max() for town in towns) > 2 * 3.5  # a third lane
    limits = np.concatenate([town.lanes.limit[(town.lanes.kind == DRIVE) & (town.lanes.junction < 0)] for town in towns])
    assert 7.0 <= limits.min() < 9.0 and 13.0 < limits.max() <= 15.0
    assert max(town.signals[:, 0].max() for town in towns if len(town.signals)) <= 500


def test_a_ring_goes_round_counter_clockwise_and_entries_give_way_to_it() -> None:
    town = next(build_network(seed) for seed in SEEDS if build_network(seed).on_ring.any())
    lanes = town.lanes
    for lane in np.flatnonzero(town.on_ring):
        piece = lanes.points[lanes.first[lane] : lanes.first[lane] + lanes.num_points[lane]]
        assert piece[-1, 2] > piece[0, 2]
    entries = [k for k in np.flatnonzero(lanes.source >= 0) if not town.on_ring[k] and town.on_ring[lanes.next[k, 0]]]
    assert entries
    for entry in entries:
        assert lanes.control[entry] == YIELD
        assert any(town.on_ring[rival] and waits for rival, waits in _rivals(lanes, int(entry)).items())


def test_same_seed_same_town_other_seed_other_town() -> None:
    build_network.cache_clear()
    first = build_network(3)
    build_network.cache_clear()
    again, other = build_network(3), build_network(4)
    assert all(np.array_equal(a, b) for a, b in zip(first.lanes, again.lanes, strict=True))
    assert np.array_equal(first.signals, again.signals) and np.array_equal(first.posts, again.posts)
    assert first.lanes.points.shape != other.lanes.points.shape or not np.allclose(first.lanes.points, other.lanes.points)

"""Every kind can be staged, differs from plain traffic, repeats, and refuses what it cannot do."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motorworks.datatypes.rollout import Rollout
from motorworks.datatypes.scenario import TRAFFIC, Scenario
from motorworks.datatypes.scene import GREEN, RED
from motorworks.geometry.array import Array
from motorworks.geometry.se2 import inverse, transform_points
from motorworks.policy.expert import Expert
from motorworks.sim.agents import ABSENT, MAX_AGENTS, empty_agents
from motorworks.sim.curriculum import LONG_TAIL, tail_scenarios
from motorworks.sim.ground import build_town
from motorworks.sim.look import CLEAR
from motorworks.sim.rollout import roll_out
from motorworks.sim.route import CONNECTOR, YAW, Route
from motorworks.sim.rules import light_at
from motorworks.sim.scenarios import SCENARIOS
from motorworks.sim.scenarios.crossing import TO_LINE_M
from motorworks.sim.seeds import FIRST_HELD_OUT_SEED, HeldOut, held_out_open
from motorworks.sim.sensing import box_gap
from motorworks.sim.staging import ImpossibleScenario, stage
from motorworks.sim.town import Town


def _staged(scenario: Scenario):
    agents = empty_agents((MAX_AGENTS,))
    return stage(build_town(scenario.town_seed), scenario, agents, 1), agents


def test_there_are_at_least_24_kinds_and_each_says_what_happens() -> None:
    assert len(LONG_TAIL) >= 24
    assert all((SCENARIOS[kind].__doc__ or "").strip() for kind in SCENARIOS)


@pytest.mark.parametrize("kind", LONG_TAIL)
def test_a_kind_is_staged_repeats_and_overlaps_nobody(kind: str) -> None:
    for difficulty in (0.0, 1.0):
        (scenario,) = tail_scenarios(700, 1, kinds=(kind,), num_agents=12, difficulty_frac=difficulty)
        (here, agents), (again, same) = _staged(scenario), _staged(scenario)
        assert kind in here.tags and here.look == again.look
        assert all(np.array_equal(a, b) for a, b in zip(agents, same, strict=True))
        plain, others = _staged(Scenario(town_seed=scenario.town_seed, route_seed=scenario.route_seed, num_agents=12))
        changed = here.look != plain.look or here.late_hints or not np.array_equal(agents.pose, others.pose) or here.grip < 1.0
        assert changed and all(np.isfinite(value) for value in here.look)
        there = np.flatnonzero(agents.mode != ABSENT)
        for i, a in enumerate(there):
            for b in there[i + 1 :]:
                boxes = [(*agents.pose[k], agents.length[k] / 2 - 0.1, agents.width[k] / 2 - 0.1) for k in (a, b)]
                on_foot = max(agents.kind[a], agents.kind[b]) >= 6
                assert on_foot or box_gap(*boxes[0], *boxes[1]) > -0.15, f"{scenario.name}: agents {a} and {b} stand in one another"


def test_what_cannot_be_is_refused_by_name() -> None:
    fog = {"town_seed": 3, "route_seed": 0, "kind": "fog"}
    with pytest.raises(ValueError, match=r"visibility_m 2.0 must lie in"):
        _staged(Scenario(**fog, params=(("visibility_m", 2.0),)))
    with pytest.raises(ValueError, match=r"no parameter .'depth'.*docs/odd.md"):
        _staged(Scenario(**fog, params=(("depth", 2.0),)))
    with pytest.raises(ValueError, match=r"scenario kind 'fogg' is not one of"):
        _staged(Scenario(**{**fog, "kind": "fogg"}))
    with pytest.raises(ValueError, match=r"difficulty_frac 1.5"):
        Scenario(**fog, difficulty_frac=1.5)
    with pytest.raises(ValueError, match=r"num_agents 33"):
        Scenario(town_seed=3, route_seed=0, num_agents=33)
    without = next(
        seed
        for seed in range(100)
        if not build_town(seed).network.on_ring.any()  # no roundabout
    )
    with pytest.raises(ImpossibleScenario, match=r"a roundabout; choose another town_seed"):
        _staged(Scenario(town_seed=without, route_seed=0, kind="roundabout_entry"))


@given(
    town=st.integers(0, 2_000_000),
    route=st.integers(0, 999_999),
    agents=st.integers(0, 32),
    kind=st.sampled_from(tuple(SCENARIOS)),
    percent=st.integers(0, 100),
)
def test_a_name_tells_all_but_given_parameters(town: int, route: int, agents: int, kind: str, percent: int) -> None:
    difficulty = 0.5 if kind == TRAFFIC else percent / 100
    scenario = Scenario(town_seed=town, route_seed=route, num_agents=agents, kind=kind, difficulty_frac=difficulty)
    assert Scenario.named(scenario.name) == scenario
    if kind != TRAFFIC:
        with pytest.raises(ValueError, match="given parameters"):
            Scenario.named(replace(scenario, params=(("rain", 0.4),)).name)


def test_a_given_parameter_is_used_and_moves_nothing_else() -> None:
    base = {"town_seed": 3, "route_seed": 1, "kind": "fog", "num_agents": 10}
    (near, a), (far, b) = (_staged(Scenario(**base, params=(("visibility_m", v),))) for v in (40.0, 100.0))
    assert (near.look.fog_m, far.look.fog_m) == (40.0, 100.0)
    assert np.array_equal(a.pose, b.pose) and near.look._replace(fog_m=CLEAR.fog_m) == far.look._replace(fog_m=CLEAR.fog_m)


def test_held_out_towns_open_for_an_evaluation_only() -> None:
    scenario = Scenario(town_seed=FIRST_HELD_OUT_SEED, route_seed=0, num_agents=2)
    world = Town(1, renders=False)
    with pytest.raises(HeldOut, match=r"only evaluation may open it"):
        world.reset([scenario])
    with held_out_open("this test"):
        world.reset([scenario])
    with pytest.raises(HeldOut):
        world.reset([scenario])


def test_plain_traffic_stages_nothing() -> None:
    staged, _ = _staged(Scenario(town_seed=2, route_seed=0, num_agents=4))
    assert TRAFFIC not in staged.tags and not staged.late_hints and staged.grip == 1.0


def _met(kind: str, *, num_agents: int = 12) -> list[tuple[Route, Rollout, Array]]:
    """The expert's drives from easy to hard, each with its route and where the first of those staged is as the ego sees it, x ahead and y left."""
    drives = []
    scenarios = [tail_scenarios(320 + i, 1, kinds=(kind,), num_agents=num_agents, difficulty_frac=i / 4)[0] for i in range(5)]
    for scenario, rollout in zip(scenarios, roll_out(Town(5, renders=False), Expert(), scenarios), strict=True):
        others = rollout.agents_world[:, 1, :2].astype(np.float64)
        seen = [transform_points(inverse(ego), other[None])[0] for ego, other in zip(rollout.ego_world, others, strict=True)]
        drives.append((_staged(scenario)[0].route, rollout, np.array(seen)))
    return drives


def _left_of(route: Route, point: Array) -> tuple[float, float]:
    """Metres left of a route's centreline, and its yaw there."""
    row = route.points[np.hypot(*(route.points[:, :2] - point).T).argmin()]
    return float(np.cos(row[YAW]) * (point[1] - row[1]) - np.sin(row[YAW]) * (point[0] - row[0])), float(row[YAW])


def test_a_wrong_way_driver_is_met_in_the_egos_own_lane_and_goes_back_to_its_own() -> None:
    for route, rollout, seen in _met("wrong_way_driver"):
        there = rollout.agents_world[:, 1].astype(np.float64)
        near = np.flatnonzero((seen[:, 0] > 0.0) & (seen[:, 0] < 25.0) & (np.abs(seen[:, 1]) < 6.0))
        left, yaw = _left_of(route, there[near[0], :2])
        assert abs(left) < 1.75 and np.cos(there[near[0], 2] - yaw) < -0.9, f"{rollout.scenario.name}: in the ego's lane, against it"
        passed = int(np.flatnonzero(seen[:, 0] < 0.0)[0])
        assert 2.4 < _left_of(route, there[passed, :2])[0] < 4.6 and rollout.outcome == "completed"
        assert rollout.agents_valid[passed : passed + 30, 1].all(), "it drives on, in a lane of its own"
        first, yaw = there[0], _left_of(route, there[0, :2])[1]
        assert np.cos(first[2] - yaw) < -0.9, "from the first picture on it faces the ego"


def test_who_drifts_over_the_line_comes_over_it_beside_the_ego_and_goes_back() -> None:
    for route, rollout, seen in _met("oncoming_drift"):
        there = rollout.agents_world[:, 1].astype(np.float64)
        passed = int(np.flatnonzero(seen[:, 0] < 0.0)[0])
        assert _left_of(route, there[passed, :2])[0] - there[passed, 5] / 2 < 1.75, f"{rollout.scenario.name}: a side over the line"
        assert rollout.outcome == "completed"


def test_who_runs_a_red_light_crosses_before_an_ego_that_has_a_green_one() -> None:
    for route, rollout, seen in _met("red_light_runner"):
        there = rollout.agents_world[:, 1].astype(np.float64)
        at_line = int(np.flatnonzero(np.hypot(*(there[:, :2] - there[0, :2]).T) > TO_LINE_M)[0])
        network, (_, agents) = build_town(rollout.scenario.town_seed).network, _staged(rollout.scenario)
        own, theirs = (int(network.lanes.signal[int(lane)]) for lane in (route.points[0, CONNECTOR], agents.next_lane[1]))
        assert light_at(network.signals[None], theirs, at_line) == RED, f"{rollout.scenario.name}: it has a red light"
        assert light_at(network.signals[None], own, at_line + 20) == GREEN, f"{rollout.scenario.name}: and the ego a green one"
        assert ((seen[:, 0] > 0.0) & (seen[:, 0] < 32.0) & (np.abs(seen[:, 1]) < 4.0)).any(), f"{rollout.scenario.name}: nobody crossed"
        assert rollout.outcome == "completed"


def test_a_left_turn_waits_for_who_comes_towards_it() -> None:
    for _, rollout, seen in _met("unprotected_left"):
        ahead = (seen[:, 0] > 0.0) & (seen[:, 0] < 30.0) & (rollout.agents_world[:, 1, 3] > 1.0)
        assert ahead.any() and rollout.outcome == "completed", f"{rollout.scenario.name}: nobody came"

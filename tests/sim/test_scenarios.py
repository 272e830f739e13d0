"""Every kind can be staged, differs from plain traffic, repeats, and refuses what it cannot do."""

import numpy as np
import pytest

from motorworks.datatypes.scenario import TRAFFIC, Scenario
from motorworks.sim.agents import ABSENT, MAX_AGENTS, empty_agents
from motorworks.sim.curriculum import LONG_TAIL, tail_scenarios
from motorworks.sim.ground import build_town
from motorworks.sim.look import CLEAR
from motorworks.sim.scenarios import SCENARIOS
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

"""The town as a World: deterministic, independent per environment, and it ends episodes for the right reasons."""

from collections.abc import Sequence

import numpy as np
import pytest

from motorworks.bodies.body import CAR
from motorworks.datatypes.observation import Observation
from motorworks.datatypes.rollout import Rollout
from motorworks.datatypes.scenario import Scenario
from motorworks.datatypes.trajectory import NUM_STEPS, Plan, Trajectory
from motorworks.policy.expert import Expert
from motorworks.policy.probes import ConstantVelocity, StandStill
from motorworks.sim.rollout import roll_out
from motorworks.sim.seeds import FIRST_HELD_OUT_SEED, FLEET_SEEDS, TRAIN_SEEDS, is_held_out, town_scenarios
from motorworks.sim.town import Town
from motorworks.tokens.text import INSTRUCTIONS

SCENARIOS = town_scenarios(20, 5)


def _same(a: Rollout, b: Rollout) -> bool:
    names = ("ego_world", "speed_mps", "accel_mps2", "progress_m", "agents_world", "on_road")
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in names) and a.outcome == b.outcome and a.instructions == b.instructions


def _drive(num_envs: int, scenarios: Sequence[Scenario], threads: int = 1) -> list[Rollout]:
    return roll_out(Town(num_envs, renders=False, threads=threads), Expert(), scenarios)


def test_same_scenario_same_rollout_whatever_drives_beside_it() -> None:
    together, alone, threaded = _drive(5, SCENARIOS), _drive(1, SCENARIOS), _drive(3, SCENARIOS, threads=2)
    for a, b, c in zip(together, alone, threaded, strict=True):
        assert _same(a, b) and _same(a, c)
    assert not _same(together[0], together[1])


def test_frames_do_not_depend_on_neighbours_or_threads() -> None:
    many = Town(4, threads=2).reset(SCENARIOS[:4]).frames
    assert many is not None and many.shape == (4, 144, 256, 3)
    for i, scenario in enumerate(SCENARIOS[:4]):
        one = Town(1).reset([scenario]).frames
        assert one is not None and np.array_equal(one[0], many[i])


def test_route_seed_changes_the_route_in_the_same_town() -> None:
    town = Town(2, renders=False)
    town.reset([Scenario(town_seed=5, route_seed=0), Scenario(town_seed=5, route_seed=1)])
    ego = town.snapshot().ego_world
    assert np.abs(ego[0] - ego[1]).max() > 1.0


def test_seed_ranges_do_not_meet() -> None:
    assert not set(TRAIN_SEEDS) & set(FLEET_SEEDS)
    assert max(FLEET_SEEDS) < FIRST_HELD_OUT_SEED
    assert not any(is_held_out(s) for s in town_scenarios(0, 3)) and all(is_held_out(s) for s in town_scenarios(FIRST_HELD_OUT_SEED, 3))


def test_standing_still_times_out_early_on_the_route() -> None:
    for rollout in roll_out(Town(4, renders=False), StandStill(), town_scenarios(20, 4, num_agents=0)):
        assert rollout.outcome == "timeout"
        assert rollout.progress_m[-1] / rollout.route_length_m < 0.2


def test_driving_straight_on_ends_off_the_road_or_in_a_crash() -> None:
    outcomes = [r.outcome for r in roll_out(Town(5, renders=False), ConstantVelocity(), SCENARIOS)]
    assert "off_road" in outcomes and "completed" not in outcomes


class _Rammer:
    """Follows the expert's steering and never brakes."""

    name, privileged, uses_camera = "rammer", True, False

    def act(self, observation: Observation) -> Plan:
        curvature = Expert().act(observation).trajectory.curvature_per_m
        return Plan(trajectory=Trajectory(accel_mps2=np.full_like(curvature, 2.0), curvature_per_m=curvature))


def test_running_into_the_lead_is_the_egos_fault() -> None:
    crashed = [r for r in roll_out(Town(8, renders=False), _Rammer(), town_scenarios(40, 8, num_agents=16)) if r.outcome == "collision"]
    assert len(crashed) >= 2 and sum(r.collision_at_fault for r in crashed) >= len(crashed) - 1
    for r in crashed:
        gap = np.hypot(*(r.agents_world[-1][r.agents_valid[-1], :2] - r.ego_world[-1, :2]).T).min()
        assert gap < CAR.length_m + 2.5


def test_a_finished_environment_stays_frozen_and_reset_wakes_only_it() -> None:
    town = Town(2, renders=False, max_steps=3)
    observation = town.reset(SCENARIOS[:2])
    expert = Expert()
    for _ in range(3):
        step = town.step(expert.act(observation).trajectory)
        observation = step.observation
    assert step.truncated.all() and not step.terminated.any()
    before = town.snapshot().ego_world
    frozen = town.step(expert.act(observation).trajectory)
    assert np.array_equal(before, town.snapshot().ego_world) and (frozen.progress_m == 0).all()
    again = town.reset([SCENARIOS[2]], np.array([1]))
    assert again.first.tolist() == [False, True]
    assert np.array_equal(before[0], town.snapshot().ego_world[0]) and not np.array_equal(before[1], town.snapshot().ego_world[1])


def test_observation_is_consistent_with_motion() -> None:
    town, expert = Town(3, renders=False), Expert()
    observation = town.reset(SCENARIOS[:3])
    assert observation.frames is None
    assert np.allclose(observation.past_poses_rig[:, 0, 0], -0.1 * observation.speed_mps, atol=1e-5)
    for _ in range(25):
        observation = town.step(expert.act(observation).trajectory).observation
    travelled = -observation.past_poses_rig[:, 0, 0]
    assert np.allclose(travelled, 0.1 * observation.speed_mps, atol=0.02)
    assert set(observation.instructions) <= set(INSTRUCTIONS)
    scene = observation.scene
    assert scene is not None
    assert np.allclose(scene.path_rig_m[:, 0, 1], -scene.lateral_offset_m * np.cos(scene.heading_error_rad), atol=0.05)
    assert np.allclose(np.linalg.norm(np.diff(scene.path_rig_m, axis=1), axis=-1), 2.0, atol=0.05)


def test_bad_input_is_refused_by_name() -> None:
    town = Town(1, renders=False)
    with pytest.raises(ValueError, match="num_agents 99"):
        town.reset([Scenario(town_seed=0, route_seed=0, num_agents=99)])
    with pytest.raises(ValueError, match="2 scenarios"):
        town.reset(SCENARIOS[:2])
    town.reset(SCENARIOS[:1])
    nan = np.full((1, NUM_STEPS), np.nan)
    with pytest.raises(ValueError, match="not finite"):
        town.step(Trajectory(accel_mps2=nan, curvature_per_m=nan))

"""Lights, right of way, and what a policy's body is told and charged with."""

import itertools

import numpy as np

from motorworks.bodies.body import DYNAMIC_CAR
from motorworks.datatypes.rig import FRONT3
from motorworks.datatypes.scenario import Scenario
from motorworks.datatypes.scene import GREEN, RED, RED_LIGHT, YELLOW
from motorworks.datatypes.trajectory import Trajectory
from motorworks.policy.expert import Expert
from motorworks.sim.agents import LANE
from motorworks.sim.network import build_network
from motorworks.sim.rules import light_at
from motorworks.sim.seeds import town_scenarios
from motorworks.sim.town import Town


class _Blind:
    """Follows the route at a fixed speed and stops for nothing."""

    name, privileged, uses_camera = "blind", True, False

    def controls(self, scene) -> Trajectory:
        kappa = scene.path_curvature_per_m[:, 1] - scene.lateral_offset_m / 9 - 0.7 * scene.heading_error_rad
        return Trajectory(accel_mps2=(7.0 - scene.speed_mps)[:, None], curvature_per_m=kappa[:, None])


def _signals(seed: int) -> np.ndarray:
    table = np.ones((1, 64, 4), np.int32)
    rows = build_network(seed).signals
    table[0, : len(rows)] = rows
    return table


def test_a_light_goes_from_green_over_yellow_to_red_and_round() -> None:
    table = _signals(0)
    for row in range(len(build_network(0).signals)):
        cycle = int(table[0, row, 0])
        states = [light_at(table, row, clock) for clock in range(2 * cycle)]
        assert states[:cycle] == states[cycle:] and {GREEN, RED} <= set(states)
        after = {(a, b) for a, b in itertools.pairwise(states) if a != b}
        assert after <= {(GREEN, YELLOW), (YELLOW, RED), (RED, GREEN), (GREEN, RED)}


def test_who_stops_for_nothing_is_charged_and_the_expert_is_not() -> None:
    scenarios, blind = town_scenarios(0, 48, num_agents=4), _Blind()
    charged = {"red_light": 0, "stop_sign": 0, "gave_no_way": 0}
    told = np.zeros(48, bool)
    town = Town(48, renders=False)
    scene = town.reset(scenarios).scene
    for _ in range(300):
        told |= (scene.stop_cause == RED_LIGHT) & (scene.stop_gap_m < 15)
        step = town.step(blind.controls(scene))
        scene = step.observation.scene
        ran = step.red_light
        assert not (ran & ~told).any()  # nobody runs a light without having been told of it
        for name in charged:
            charged[name] += int(getattr(step, name).sum())
    assert charged["red_light"] > 0 and charged["stop_sign"] > 0
    careful, driver = Town(48, renders=False), Expert()
    observation = careful.reset(scenarios)
    broken = 0
    for _ in range(300):
        step = careful.step(driver.act(observation).trajectory)
        observation = step.observation
        broken += int((step.red_light | step.stop_sign).sum())
    assert broken <= 1


def test_traffic_keeps_moving_and_hardly_touches() -> None:
    town = Town(8, renders=False)
    observation, driver = town.reset(town_scenarios(30, 8, num_agents=24)), Expert()
    agents, speeds, touching = town._agents, [], 0
    for step in range(300):
        observation = town.step(driver.act(observation).trajectory).observation
        moving = (agents.mode == LANE) & (agents.kind < 5)
        speeds.append(agents.speed[moving].mean())
        if step % 10 == 0:
            for e in range(8):
                xy = agents.pose[e, moving[e], :2]
                apart = np.hypot(*(xy[:, None] - xy[None]).transpose(2, 0, 1)) + 10 * np.eye(len(xy))
                touching += int((apart < 1.6).sum()) // 2
    assert np.mean(speeds[:50]) > 3.0 and np.mean(speeds[-50:]) > 3.0
    assert touching == 0


def test_several_bodies_share_a_town_and_see_each_other() -> None:
    town, driver = Town(6, renders=False, egos_per_town=3), Expert()
    scenario = [Scenario(town_seed=5 + i // 3, route_seed=0, num_agents=6) for i in range(6)]
    observation = town.reset(scenario)
    assert len({tuple(pose) for pose in town.snapshot().ego_world.round(3)}) == 6
    gaps = []
    for _ in range(60):
        step = town.step(driver.act(observation).trajectory)
        observation = step.observation
        gaps.append(step.min_gap_m)
    snapshot = town.snapshot()
    assert snapshot.agents_valid[:, :3].sum(axis=1).tolist() == [2] * 6  # the two others, not itself
    assert (snapshot.progress_m > 5).any()


def test_a_slippery_road_brakes_less_and_a_dynamic_body_slides() -> None:
    plain = Scenario(town_seed=8, route_seed=0, num_agents=0)
    slippery = Scenario(town_seed=8, route_seed=0, num_agents=0, kind="slippery_road", params=(("grip", 0.3),))
    brake = Trajectory(accel_mps2=np.full((1, 1), -6.0), curvature_per_m=np.zeros((1, 1)))
    felt = []
    for scenario in (plain, slippery):
        town = Town(1, renders=False)
        town.reset([scenario])
        felt.append(float(town.step(brake).accel_mps2[0]))
    assert felt[0] < -5.99 and -3.0 < felt[1] < -2.5
    town = Town(1, renders=False, body=DYNAMIC_CAR)
    town.reset([plain])
    steps = [float(town.step(brake).speed_mps[0]) for _ in range(20)]
    assert steps[0] > steps[-1] and min(steps) >= 0.0


def test_a_rig_of_three_gives_three_pictures_and_the_first_to_everyone() -> None:
    town = Town(1, rig=FRONT3)
    observation = town.reset([Scenario(town_seed=1, route_seed=0, num_agents=4)])
    assert observation.rig_frames.shape == (1, 3, 144, 256, 3)
    assert np.array_equal(observation.frames, observation.rig_frames[:, 0])

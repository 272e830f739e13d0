"""The expert drives well enough to teach, and says what it does."""

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pytest

from motorworks.bodies.body import integrate
from motorworks.datatypes.agent import CHILD, CONE, CYCLIST, DEBRIS, EMERGENCY, PEDESTRIAN
from motorworks.datatypes.observation import Observation
from motorworks.datatypes.scene import GIVE_WAY, OCCUPIED, RED, RED_LIGHT, STOP_SIGN, Scene
from motorworks.metrics.agreement import agrees
from motorworks.policy.expert import Expert, drive, explain
from motorworks.policy.teacher import actions_to_trajectory, trajectory_to_actions

MakeScene = Callable[..., Scene]
STALLED, ONCOMING = [30.0, 0.0, 0.0, 0.0], [55.0, 3.5, np.pi, 9.0]
CASES: dict[str, tuple[list[list[float]], dict[str, float]]] = {
    "free": ([], {}),
    "start": ([], {"speed_mps": 0.0}),
    "bend": ([], {"curvature_per_m": -0.04}),
    "red": ([], {"stop_gap_m": 20.0, "junction_gap_m": 20.0, "light": RED, "stop_cause": RED_LIGHT}),
    "red, standing": ([], {"speed_mps": 0.0, "stop_gap_m": 1.0, "junction_gap_m": 1.0, "light": RED, "stop_cause": RED_LIGHT}),
    "stop sign": ([], {"stop_gap_m": 12.0, "junction_gap_m": 12.0, "stop_cause": STOP_SIGN}),
    "follow": ([[25, 0, 0, 4]], {"lead_gap_m": 19.0, "lead_speed_mps": 4.0}),
    "stalled": ([STALLED], {}),
    "stalled, oncoming": ([STALLED, ONCOMING], {}),
    "cyclist": ([[18, -0.9, 0, 4, 1.8, 0.6, CYCLIST]], {}),
    "cones": ([[20 + 4 * i, -1.6 + 0.5 * i, 0, 0, 0.4, 0.4, CONE] for i in range(4)], {}),
    "crossing": ([[25, -1.4, np.pi / 2, 1.4, 0.5, 0.5, PEDESTRIAN]], {}),
    "stepping out": ([[13, -1.5, np.pi / 2, 2, 0.5, 0.5, CHILD]], {}),
    "beside the road": ([[25, -2.6, np.pi / 2, 0, 0.5, 0.5, PEDESTRIAN]], {}),
    "runner": ([[16, -14, np.pi / 2, 11]], {}),
    "siren": ([[-20, 0, 0, 12, 5, 2, EMERGENCY]], {"siren_gap_m": 15.0}),
    "wrong way": ([[45, 0, np.pi, 7]], {}),
}


def plan_of(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    poses, speeds = integrate(drive(scene), scene.speed_mps)
    return poses[0], speeds[0]


@pytest.mark.parametrize("name", CASES)
def test_the_words_agree_with_the_plan(scene_with: MakeScene, name: str) -> None:
    agents, fields_of = CASES[name]
    scene = scene_with(agents, **fields_of)
    assert agrees(explain(scene)[0], drive(scene)[0], scene.speed_mps[0]), f"{name}: {explain(scene)[0]}"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("red", "because the light is red"),
        ("red, standing", "wait because the light is red"),
        ("stop sign", "because there is a stop sign"),
        ("follow", "slow down because a vehicle ahead is slower"),
        ("stalled", "pass on the left because the lane is blocked"),
        ("stalled, oncoming", "slow down because the lane is blocked"),
        ("cyclist", "pass on the left because a cyclist is ahead"),
        ("crossing", "because people are crossing"),
        ("stepping out", "stop because people are crossing"),
        ("beside the road", "because someone is near the road"),
        ("siren", "pull over because a siren is behind"),
        ("bend", "because a bend is near"),
    ],
)
def test_causes_come_from_the_scene(scene_with: MakeScene, name: str, words: str) -> None:
    agents, fields_of = CASES[name]
    assert words in str(explain(scene_with(agents, **fields_of))[0])


def test_it_stops_at_the_line_and_says_why_it_waits(scene_with: MakeScene) -> None:
    for cause, words in ((OCCUPIED, "the junction is occupied"), (GIVE_WAY, "others go first")):
        poses, speeds = plan_of(scene_with(stop_gap_m=25.0, junction_gap_m=25.0, stop_cause=cause))
        assert 22.5 < poses[-1, 0] < 25.0 and speeds[-1] < 0.1
        standing = scene_with(stop_gap_m=1.0, junction_gap_m=1.0, stop_cause=cause, speed_mps=0.0)
        assert str(explain(standing)[0]) == f"wait because {words}"


def test_it_passes_only_when_nobody_comes(scene_with: MakeScene) -> None:
    poses, speeds = plan_of(scene_with([STALLED]))
    assert poses[:, 1].max() > 2.0 and speeds.min() > 2.0
    for scene in (
        scene_with([STALLED, ONCOMING]),
        scene_with([STALLED], left_room_m=1.75),
        scene_with([STALLED], junction_gap_m=33.0),  # the car waits at the junction
    ):
        poses, speeds = plan_of(scene)
        assert poses[:, 1].max() < 1.0 and poses[-1, 0] < 24.0


def test_it_starts_from_behind_an_obstacle(scene_with: MakeScene) -> None:
    for agent in ([14.5, 0.0, 0.0, 0.0], [12.0, 0.4, 0.0, 0.0, 0.8, 0.8, DEBRIS]):
        poses, _ = plan_of(scene_with([agent], speed_mps=0.0))
        beside = np.abs(poses[:, 0] + 1.4 - agent[0]) < 2.3
        assert beside.any() and poses[beside, 1].min() > agent[1] + 1.3


@pytest.mark.parametrize("side", [-1, 1])
def test_it_stops_for_whoever_steps_out(scene_with: MakeScene, side: int) -> None:
    for distance in (14.0, 18.0, 25.0):
        scene = scene_with([[distance, side * 1.6, -side * np.pi / 2, 1.8, 0.5, 0.5, PEDESTRIAN]])
        poses, speeds = plan_of(scene)
        times = 0.1 * np.arange(1, 65)
        y = side * (1.6 - 1.8 * times)
        near = (np.abs(poses[:, 0] + 1.4 - distance) < 2.55) & (np.abs(poses[:, 1] - y) < 1.2) & (speeds > 0.2)
        assert not near.any()


def test_a_siren_gets_room_where_there_is_some_and_is_not_held_up_where_there_is_none(scene_with: MakeScene) -> None:
    ambulance = [[-20.0, 0.0, 0.0, 9.0, 5.6, 2.0, EMERGENCY]]
    poses, speeds = plan_of(scene_with(ambulance, siren_gap_m=18.0, right_room_m=4.0))
    assert poses[-1, 1] < -1.25 and speeds[-1] < 3.5
    assert plan_of(scene_with(ambulance, siren_gap_m=18.0, right_room_m=4.0, lateral_offset_m=-1.3, speed_mps=3.0))[1][-1] < 0.1
    poses, speeds = plan_of(scene_with(ambulance, siren_gap_m=18.0))
    assert -0.8 < poses[-1, 1] < -0.4 and speeds[-1] > 8.0
    poses, _ = plan_of(scene_with(ambulance, siren_gap_m=18.0, right_room_m=4.0, junction_gap_m=0.0))
    assert abs(poses[-1, 1]) < 0.1  # leaves the junction first


def test_one_plan_does_not_know_of_its_neighbours(scene_with: MakeScene) -> None:
    scenes = [scene_with(agents, **fields_of) for agents, fields_of in CASES.values()]
    together = Scene(**{f.name: np.concatenate([getattr(scene, f.name) for scene in scenes]) for f in fields(Scene)})
    singles, batch = [drive(scene) for scene in scenes], drive(together)
    assert np.array_equal(batch.accel_mps2, np.concatenate([single.accel_mps2 for single in singles]))
    assert np.array_equal(batch.curvature_per_m, np.concatenate([single.curvature_per_m for single in singles]))


def test_the_teacher_can_do_what_the_expert_chose(scene_with: MakeScene) -> None:
    for name in ("free", "bend", "follow", "stalled", "cyclist", "cones"):
        agents, fields_of = CASES[name]
        scene = scene_with(agents, **{"speed_limit_mps": 14.0, **fields_of})
        wanted = drive(scene)
        through = actions_to_trajectory(scene, trajectory_to_actions(scene, wanted))
        assert np.allclose(wanted.accel_mps2[:, 0], through.accel_mps2[:, 0], atol=0.05), name
        assert np.allclose(wanted.curvature_per_m[:, 0], through.curvature_per_m[:, 0], atol=1e-5), name


def test_expert_needs_a_scene(scene_with: MakeScene) -> None:
    observation = Observation(
        frames=None,
        speed_mps=np.zeros(1),
        yaw_rate_radps=np.zeros(1),
        past_poses_rig=np.zeros((1, 16, 3)),
        instructions=("change to the left lane now",),
        first=np.ones(1, np.bool_),
        scene=scene_with(),
    )
    thoughts = Expert().act(observation).thoughts
    assert thoughts is not None and str(thoughts[0]) == "change lane left because the route changes lane"
    with pytest.raises(ValueError, match="scene is missing"):
        Expert().act(replace(observation, scene=None))

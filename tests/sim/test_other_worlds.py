"""Other people's worlds driven by our policies, as far as each is installed; and the adapters of those that are not, against fakes."""

import importlib.util
import warnings
from dataclasses import replace

import numpy as np
import pytest

from motorworks.bodies.body import CAR
from motorworks.datatypes.scenario import Scenario
from motorworks.datatypes.trajectory import NUM_STEPS, Trajectory
from motorworks.metrics.closed_loop import score_route
from motorworks.policy.probes import ConstantVelocity, StandStill
from motorworks.sim.others.car import CarState, Other, rear_axle, seed_of
from motorworks.sim.others.gym_world import GymWorld
from motorworks.sim.rollout import roll_out

needs_highway = pytest.mark.skipif(importlib.util.find_spec("highway_env") is None, reason="highway-env is not installed: the [worlds] extra")
needs_metadrive = pytest.mark.skipif(importlib.util.find_spec("metadrive") is None, reason="metadrive-simulator is not installed: the [worlds] extra")
needs_box2d = pytest.mark.skipif(importlib.util.find_spec("Box2D") is None, reason="Box2D is not installed: gymnasium[box2d], in the [worlds] extra")


def highway(num=1, **kwargs):
    from motorworks.sim.others.highway_car import HighwayCar

    return GymWorld([HighwayCar(max_steps=150, route_length_m=200.0, **kwargs) for _ in range(num)])


def metadrive(num=1):
    from motorworks.sim.others.metadrive_car import MetaDriveCar

    return GymWorld([MetaDriveCar(max_steps=150) for _ in range(num)])


def racing(num=1):
    from motorworks.sim.others.racing_car import RacingCar

    return GymWorld([RacingCar(max_steps=150) for _ in range(num)])


WORLDS = [
    pytest.param(highway, id="highway-env", marks=needs_highway),
    pytest.param(metadrive, id="metadrive", marks=needs_metadrive),
    pytest.param(racing, id="car-racing", marks=needs_box2d),
]


@pytest.fixture
def opened():
    """Opens worlds and closes them; what the foreign packages warn of at import and start is theirs."""
    worlds = []

    def open_world(make, num=1, **kwargs):
        worlds.append(make(num, **kwargs))
        return worlds[-1]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield open_world
        for world in worlds:
            world.close()


def scenarios(world, num, num_agents=6):
    return [Scenario(world=world.name, town_seed=3, route_seed=i, num_agents=num_agents) for i in range(num)]


def held(accel, curvature, num=1):
    return Trajectory(accel_mps2=np.full((num, NUM_STEPS), accel), curvature_per_m=np.full((num, NUM_STEPS), curvature))


@pytest.mark.parametrize("make", WORLDS)
def test_probes_roll_out_and_are_scored(opened, make):
    world = opened(make)
    for policy in (StandStill(), ConstantVelocity()):
        for rollout in roll_out(world, policy, scenarios(world, 1)):
            scores = {score.metric: score.value for score in score_route(rollout, world.body)}
            assert rollout.outcome in ("completed", "collision", "off_road", "timeout") and np.isfinite(rollout.ego_world).all()
            assert 0 <= scores["driving_score"] <= 100
        if isinstance(policy, StandStill):
            assert abs(rollout.speed_mps[-1]) < 0.3, "braking stops, and does not go backwards"


@pytest.mark.parametrize("make", WORLDS)
def test_the_same_scenario_happens_again(opened, make):
    world = opened(make)
    (scenario,) = scenarios(world, 1)
    tapes = []
    for _ in range(2):
        world.reset([scenario])
        for _ in range(15):
            world.step(held(1.0, 0.002))
        tapes.append(world.snapshot())
    np.testing.assert_array_equal(tapes[0].ego_world, tapes[1].ego_world)
    np.testing.assert_array_equal(np.sort(tapes[0].agents_world, axis=1), np.sort(tapes[1].agents_world, axis=1))


@pytest.mark.parametrize("make", WORLDS)
def test_acceleration_and_curvature_are_what_was_asked(opened, make):
    """In our frame: speed grows by what was asked, left is left, and the rear axle moves along its heading."""
    world = opened(make)
    world.reset(scenarios(world, 1, num_agents=0))
    for _ in range(20):
        world.step(held(2.0, 0.0))
    before = world.snapshot()
    step = world.step(held(2.0, 0.0))
    assert step.accel_mps2[0] == pytest.approx(2.0, abs=0.15)
    for _ in range(5):
        step = world.step(held(0.0, 0.01))
    after = world.snapshot()
    turned = after.ego_world[0, 2] - before.ego_world[0, 2]
    driven = np.hypot(*(after.ego_world[0, :2] - before.ego_world[0, :2]))
    assert not step.terminated[0] and turned > 0, "left is positive"
    assert step.curvature_per_m[0] == pytest.approx(0.01, abs=0.001) and turned == pytest.approx(0.01 * driven, rel=0.35)
    past = step.observation.past_poses_rig[0]
    assert past[0, 0] == pytest.approx(-0.1 * step.speed_mps[0], rel=0.06)
    assert abs(past[0, 1]) < 0.03 * abs(past[0, 0]) + 0.01, "no slip at the rear axle"
    for _ in range(5):
        step = world.step(held(-4.0, 0.0))
    assert step.accel_mps2[0] == pytest.approx(-4.0, abs=0.3) or step.speed_mps[0] < 0.3


@pytest.mark.parametrize("make", [WORLDS[0], WORLDS[1]])
def test_others_are_where_they_say_and_keep_their_slot(opened, make):
    world = opened(make)
    world.reset(scenarios(world, 1, num_agents=20))
    for _ in range(80):  # MetaDrive's others set out when the ego comes near
        before = world.snapshot()
        world.step(held(0.5, 0.0))
        after = world.snapshot()
        both = (before.agents_valid & after.agents_valid)[0]
        if both.sum() >= 3:
            break
    moved = after.agents_world[0, both, :2] - before.agents_world[0, both, :2]
    speed, yaw = after.agents_world[0, both, 3], after.agents_world[0, both, 2]
    along = np.sum(moved * np.stack([np.cos(yaw), np.sin(yaw)], -1), -1)
    np.testing.assert_allclose(along, 0.1 * speed, atol=0.15)


@needs_highway
def test_a_batch_of_foreign_environments_is_its_singles(opened):
    batch, single = opened(highway, 2), opened(highway, 1)
    drives, alone = (roll_out(world, ConstantVelocity(), scenarios(world, 3, num_agents=3)) for world in (batch, single))
    for one, other in zip(drives, alone, strict=True):
        assert one.outcome == other.outcome
        np.testing.assert_array_equal(one.ego_world, other.ego_world)


@needs_highway
def test_what_has_no_camera_refuses_to_render(opened):
    world = opened(highway)
    with pytest.raises(ValueError, match="no forward camera"):
        world.renders = True


@needs_highway
def test_an_image_that_is_all_zero_is_refused():
    from motorworks.sim.others.highway_car import refuse_blank

    refuse_blank(np.zeros((5, 5), np.float32))
    refuse_blank(np.full((4, 8, 8), 3, np.uint8))
    with pytest.raises(ValueError, match="offscreen_rendering=True"):
        refuse_blank(np.zeros((4, 8, 8), np.uint8))


@needs_metadrive
def test_metadrive_is_one_to_a_process(opened):
    opened(metadrive)
    with pytest.raises(ValueError, match="one to a process"):
        metadrive()


class ToyCar:
    """A foreign car that drives straight along x at 10 m/s and meets one other, then ends as it is told."""

    name, body, has_camera = "toy", CAR, True

    def __init__(self, end="completed"):
        self.end, self.t = end, 0

    def reset(self, scenario, *, renders):
        self.t = 0
        return self.state()

    def step(self, accel_mps2, curvature_per_m):
        assert -CAR.max_decel_mps2 <= accel_mps2 <= CAR.max_accel_mps2
        self.t += 1
        return self.state()

    def state(self):
        others = {"near": Other(box_world=np.array([self.t + 10.0, 0, 0, 0, 4, 2]))} | (
            {"late": Other(box_world=np.array([30.0, 5, 0, 0, 4, 2]))} if self.t > 1 else {}
        )
        base = CarState(
            pose_world=np.array([float(self.t), 0.0, 0.0]),
            speed_mps=10.0,
            yaw_rate_radps=0.0,
            progress_m=float(self.t),
            route_length_m=3.0,
            lateral_offset_m=0.0,
            on_road=True,
            frame=np.full((4, 6, 3), self.t, np.uint8),
            others={} if self.t == 3 else others,
        )
        return replace(base, **{self.end: True}) if self.t >= 3 else base

    def close(self):
        pass


@pytest.mark.parametrize(
    ("end", "outcome"), [("completed", "completed"), ("collision", "collision"), ("off_road", "off_road"), ("timeout", "timeout")]
)
def test_endings_frames_and_slots(end, outcome):
    world = GymWorld([ToyCar(end), ToyCar(end)])
    rollouts = roll_out(world, ConstantVelocity(), scenarios(world, 3), keep_frames=True)
    assert [rollout.outcome for rollout in rollouts] == [outcome] * 3
    assert rollouts[2].frames[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert rollouts[0].agents_valid.tolist() == [[True, False], [True, False], [True, True], [False, False]]
    frozen = world.step(held(0.0, 0.0, 2))
    assert (frozen.progress_m == 0).all() and (frozen.terminated | frozen.truncated).all()


def test_a_toy_world_refuses_nonsense():
    world = GymWorld([ToyCar(), ToyCar()])
    world.reset(scenarios(world, 2))
    with pytest.raises(ValueError, match=r"environments \[1\] is not finite"):
        world.step(Trajectory(accel_mps2=np.array([[0.0], [np.nan]]), curvature_per_m=np.zeros((2, 1))))
    with pytest.raises(ValueError, match="3 scenarios for 3 of 2"):
        world.reset(scenarios(world, 3))
    other = ToyCar()
    other.name = "other"
    with pytest.raises(ValueError, match="one simulator"):
        GymWorld([ToyCar(), other])


def test_seeds_and_axles():
    seeds = {seed_of(Scenario(town_seed=t, route_seed=r)) for t in range(20) for r in range(20)}
    assert len(seeds) == 400 and max(seeds) < 2**31
    np.testing.assert_allclose(rear_axle(np.array([1.0, 2.0]), np.pi / 2 + 2 * np.pi, 0.5), [1.0, 1.5, np.pi / 2])

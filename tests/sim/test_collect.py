"""Collecting on policy in the town: who drives, what is kept, and that no held-out town is opened."""

from itertools import islice

import numpy as np
import pytest

from motorworks.datatypes.scenario import Scenario
from motorworks.datatypes.trajectory import NUM_STEPS, Plan, Trajectory
from motorworks.metrics.reward import Reward
from motorworks.policy.expert import Expert, drive
from motorworks.policy.noise import Perturbed
from motorworks.policy.probes import StandStill
from motorworks.policy.teacher import actions_to_trajectory, trajectory_to_actions
from motorworks.sim.collect import Collector
from motorworks.sim.curriculum import draw_scenarios
from motorworks.sim.driving_env import DrivingEnv, watch
from motorworks.sim.seeds import FIRST_HELD_OUT_SEED
from motorworks.sim.town import Town
from motorworks.tokens.image import ImageCodec
from motorworks.tokens.scene import NUM_ROAD, SceneCodec


def collector(stride=1):
    scenarios = draw_scenarios([3, 4], seed=0)
    return Collector(Town(2), scenarios, shrink=ImageCodec().encode, sense=SceneCodec().encode_road, stride=stride, seed=0)


def test_the_student_drives_and_the_labeller_only_speaks():
    stands, goes = (collector().gather(StandStill(), Expert(), num_steps=25, labeller_drives_frac=frac) for frac in (0.0, 1.0))
    assert stands.speed_mps[-1].max() < 2.0 < goes.speed_mps[-1].min()
    assert stands.labels.accel_mps2[-1, :, :5].mean() > 0.3  # the expert would drive off
    assert stands.images.shape == (25, 2, 64, 128, 3) and stands.images[0].std() > 5
    assert (stands.age_steps == np.arange(25)[:, None]).all()
    assert stands.road.shape == (25, 2, NUM_ROAD) and np.isfinite(stands.road).all()


@pytest.mark.parametrize("frac", [0.0, 1.0])
def test_a_stride_keeps_every_so_many_steps_of_the_same_drive(frac):
    every, fourth = (collector(stride).gather(StandStill(), Expert(), num_steps=24, labeller_drives_frac=frac) for stride in (1, 4))
    assert fourth.stride_steps == 4 and (fourth.age_steps == every.age_steps[::4]).all()
    assert np.array_equal(fourth.images, every.images[::4]) and np.array_equal(fourth.labels.accel_mps2, every.labels.accel_mps2[::4])


class Counter:
    """Says as its acceleration how many pictures it has seen, in thousandths."""

    name, privileged, uses_camera = "counter", False, True

    def __init__(self):
        self.seen = 0

    def act(self, observation):
        self.seen += observation.frames is not None
        value = np.full((len(observation.speed_mps), NUM_STEPS), self.seen / 1000, np.float32)
        return Plan(trajectory=Trajectory(accel_mps2=value, curvature_per_m=0 * value))


@pytest.mark.parametrize("frac", [0.0, 1.0])
def test_a_labeller_with_a_camera_looks_at_the_kept_steps(frac):
    labels = collector(stride=4).gather(StandStill(), Counter(), num_steps=12, labeller_drives_frac=frac).labels
    assert np.allclose(labels.accel_mps2[:, 0, 0] * 1000, [1, 2, 3])


class Ramp(Counter):
    """Wants to accelerate harder from step to step, so that one sees which step of its plan is driven; keeps what `first` said."""

    def __init__(self):
        self.first = []

    def act(self, observation):
        self.first.append(observation.first.copy())
        wanted = np.tile(np.arange(1, NUM_STEPS + 1, dtype=np.float32) / 10, (len(observation.speed_mps), 1))
        return Plan(trajectory=Trajectory(accel_mps2=wanted, curvature_per_m=0 * wanted))


def test_a_camera_driver_follows_its_plan_until_it_looks_again_and_a_younger_drive_waits():
    world, driver, driven = Town(2, max_steps=6), Ramp(), []
    advance = world.step
    world.step = lambda plan: driven.append(plan.accel_mps2[:, 0].copy()) or advance(plan)
    drives = Collector(world, draw_scenarios([3, 4], seed=0), shrink=ImageCodec().encode, sense=SceneCodec().encode_road, stride=4, seed=0)
    drives.gather(driver, Expert(), num_steps=12, labeller_drives_frac=0.0)
    wanted = [0.1, 0.2, 0.3, 0.4, 0.1, 0.2, 0.0, 0.0, 0.1, 0.2, 0.3, 0.4]  # both drives end after six steps and begin anew
    assert np.allclose(driven, np.array(wanted)[:, None])
    assert np.array(driver.first).tolist() == [[True, True], [False, False], [True, True]]


def test_drives_go_on_from_one_round_to_the_next():
    drives = collector(stride=4)
    first, second = (drives.gather(Expert(), Expert(), num_steps=20, labeller_drives_frac=1.0) for _ in range(2))
    assert (second.age_steps[0] == first.age_steps[-1] + 4).all()
    with pytest.raises(ValueError, match="multiple of the stride 4"):
        drives.gather(Expert(), Expert(), num_steps=10, labeller_drives_frac=1.0)


def test_the_clean_plan_is_the_label_where_the_labeller_is_pushed():
    pushed = collector().gather(Expert(), Perturbed(Expert(), seed=1), num_steps=30, labeller_drives_frac=1.0)
    driven = np.diff(pushed.speed_mps, axis=0) / 0.1
    assert np.abs(driven - pushed.labels.accel_mps2[:-1, :, 0]).max() > 0.2


def test_draws_repeat_and_mix_in_what_was_mined():
    mined = [Scenario(town_seed=77, route_seed=5)]
    one, two = (list(islice(draw_scenarios(range(10), seed=3, mined=mined, mined_frac=0.5), 200)) for _ in range(2))
    assert one == two
    assert 60 < sum(scenario == mined[0] for scenario in one) < 140


@pytest.mark.parametrize(
    "kwargs", [{"town_seeds": [FIRST_HELD_OUT_SEED]}, {"town_seeds": [1], "mined": [Scenario(town_seed=FIRST_HELD_OUT_SEED, route_seed=0)]}]
)
def test_held_out_towns_are_refused(kwargs):
    with pytest.raises(ValueError, match="held out"):
        next(draw_scenarios(**kwargs, seed=0))


def test_the_experts_first_control_survives_the_teachers_actions():
    for scene in watch(Town(4, renders=False), Expert(), draw_scenarios([1, 2], seed=1), num_steps=40):
        wanted = drive(scene)
        through = actions_to_trajectory(scene, trajectory_to_actions(scene, wanted))
        near_limit = scene.speed_mps < scene.speed_limit_mps - 1.0  # at the limit the action saturates
        assert np.abs(wanted.accel_mps2[:, 0] - through.accel_mps2[:, 0])[near_limit].max(initial=0) < 0.3
        assert np.allclose(wanted.curvature_per_m[:, 0], through.curvature_per_m[:, 0], atol=1e-6)


def test_the_vector_environment_restarts_itself_and_counts():
    town = Town(3, renders=False, max_steps=6)
    env = DrivingEnv(town, draw_scenarios([1], seed=2), encode=SceneCodec().encode, drive=actions_to_trajectory, reward=Reward())
    features = env.reset()
    assert features.shape[0] == 3 and np.isfinite(features).all() and np.abs(features).max() <= 3
    steps = [env.step(np.tile([1.0, 0.0], (3, 1))) for _ in range(6)]
    assert steps[-1].truncated.all() and not steps[-1].terminated.any()
    assert not np.array_equal(steps[-1].features, steps[-1].final_features)
    found = env.statistics()
    assert found["num_episodes"] == 3 and found["return"] > 0 and not env.statistics()

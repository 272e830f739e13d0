"""The town as a Gymnasium environment: their checker, their semantics, and a stranger's PPO."""

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium", reason="gymnasium is not installed: the [worlds] extra")

from gymnasium.utils.env_checker import check_env  # noqa: E402
from gymnasium.vector import AutoresetMode, SyncVectorEnv  # noqa: E402

import motorworks.sim.gym as town_gym  # noqa: E402
from motorworks.bodies.body import CAR  # noqa: E402
from motorworks.datatypes.scenario import Scenario  # noqa: E402
from motorworks.datatypes.trajectory import Trajectory  # noqa: E402
from motorworks.sim.gym.action import ActionScale  # noqa: E402
from motorworks.sim.gym.town_env import TownEnv  # noqa: E402
from motorworks.sim.gym.town_vector_env import TownVectorEnv  # noqa: E402
from motorworks.sim.seeds import HeldOut  # noqa: E402

sys.path.append(str(Path(__file__).parent))
from lane_world import LaneWorld  # noqa: E402

COAST = np.zeros(2, np.float32)
PUSH = np.array([1.0, 0.0], np.float32)


def lane_env(**kwargs):
    return TownEnv(world=LaneWorld(1), **kwargs)


def lane_vector(num_envs=3, **kwargs):
    return TownVectorEnv(num_envs, world=LaneWorld(num_envs), **kwargs)


@pytest.mark.parametrize("view", ["scene", "camera"])
def test_the_town_passes_gymnasiums_checker_without_a_warning(view):
    env = gymnasium.make(town_gym.TOWN_ID, view=view, render_mode="rgb_array", towns=range(2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)
    env.reset(seed=1)
    picture = env.render()
    assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.std() > 5, "a picture, not a blank"
    env.close()


def test_the_vector_environment_is_a_batch_of_the_single_one():
    """Same seeds, same actions: the same observations, rewards and endings, restarts included."""
    ours = gymnasium.make_vec(town_gym.TOWN_ID, num_envs=3, vectorization_mode="vector_entry_point", towns=range(2), max_episode_steps=8)
    singles = SyncVectorEnv([lambda: gymnasium.make(town_gym.TOWN_ID, towns=range(2), max_episode_steps=8) for _ in range(3)])
    assert ours.metadata["autoreset_mode"] is singles.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert ours.observation_space == singles.observation_space and ours.action_space == singles.action_space
    rng = np.random.default_rng(0)
    left, right = ours.reset(seed=5)[0], singles.reset(seed=5)[0]
    for _ in range(20):
        np.testing.assert_array_equal(left, right)
        assert left in ours.observation_space
        actions = np.clip(rng.normal(0, 0.3, (3, 2)), -1, 1).astype(np.float32)
        (left, *ends), (right, *expected) = ours.step(actions)[:4], singles.step(actions)[:4]
        for end, other in zip(ends, expected, strict=True):
            np.testing.assert_array_equal(end, other)


def steps_to_end(env, num_envs, action=PUSH):
    for _ in range(200):
        _, reward, terminated, truncated, info = env.step(np.tile(action, (num_envs, 1)))
        if (terminated | truncated).any():
            return reward, terminated | truncated, info
    raise AssertionError("no episode ended")


def test_next_step_autoreset_ignores_the_action_and_rewards_nothing():
    env = lane_vector()
    env.reset(seed=0)
    _, done, info = steps_to_end(env, 3)
    assert info["completed"][done].all() and info["_completed"].all() and info["route_completion_frac"][done] == pytest.approx(1.0)
    wild = np.where(done[:, None], np.nan, np.zeros((3, 2)))
    observation, reward, terminated, truncated, info = env.step(wild)
    assert (reward[done] == 0).all() and not (terminated | truncated)[done].any()
    assert (info["_scenario"] == done).all() and not info["_progress_m"][done].any()
    assert observation in env.observation_space


def test_same_step_autoreset_keeps_the_last_observation():
    env = lane_vector(autoreset_mode="SameStep", view="camera")
    env.reset(seed=0)
    _, done, info = steps_to_end(env, 3)
    assert (info["_final_obs"] == done).all() and info["final_info"]["completed"][done].all()
    assert all((info["final_obs"][i] is not None) == done[i] for i in range(3))
    assert info["final_obs"][int(np.argmax(done))] in env.single_observation_space


def test_disabled_autoreset_wants_a_mask():
    env = lane_vector(autoreset_mode="Disabled")
    env.reset(seed=0)
    _, done, _ = steps_to_end(env, 3)
    with pytest.raises(ValueError, match="reset_mask"):
        env.step(np.zeros((3, 2)))
    env.reset(options={"reset_mask": done})
    env.step(np.zeros((3, 2)))


def test_actions_reach_the_bodys_limits_and_nothing_beyond():
    scale = ActionScale()
    corners = scale.trajectory(np.array([[1.0, 1.0], [-1.0, -1.0], [0.0, 0.0]]))
    np.testing.assert_allclose(corners.accel_mps2[:, 0], [CAR.max_accel_mps2, -CAR.max_decel_mps2, 0.0])
    np.testing.assert_allclose(corners.curvature_per_m[:, 0], [CAR.max_curvature_per_m, -CAR.max_curvature_per_m, 0.0])
    asked = Trajectory(accel_mps2=np.array([[1.2], [-3.0]]), curvature_per_m=np.array([[0.01], [-0.15]]))
    there = scale.trajectory(scale.actions(asked).astype(np.float64))
    np.testing.assert_allclose(there.accel_mps2, asked.accel_mps2, rtol=1e-5)
    np.testing.assert_allclose(there.curvature_per_m, asked.curvature_per_m, rtol=1e-5)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ([[0, 0], [np.nan, 0]], "environment 1: acceleration is nan"),
        ([[0, np.inf], [0, 0]], "environment 0: curvature is inf"),
        ([[0, 0], [0, -1.5]], r"environment 1: curvature -1.5 lies outside \[-1, 1\]; .*ClipAction"),
        ([[0, 0, 0]], r"shape \(1, 3\); this environment needs \(2, 2\)"),
    ],
)
def test_a_bad_action_is_named(action, message):
    env = lane_vector(2)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=message):
        env.step(np.array(action, np.float64))


def test_bad_wishes_are_refused():
    with pytest.raises(HeldOut):
        lane_env().reset(options={"scenario": Scenario(town_seed=1_000_000, route_seed=0)})
    with pytest.raises(HeldOut):
        lane_env(towns=[3, 1_000_001])
    with pytest.raises(ValueError, match="Scenario"):
        lane_env().reset(options={"scenario": "town-1-2-3"})
    with pytest.raises(ValueError, match="view 'lidar'"):
        lane_env(view="lidar")
    with pytest.raises(ValueError, match="render_mode"):
        lane_env(render_mode="human")
    with pytest.raises(ValueError, match="first reset"):
        lane_vector().step(np.zeros((3, 2)))


def test_the_scenario_is_drawn_by_the_seed_or_given():
    env = lane_env()
    names = [env.reset(seed=7)[1]["scenario"], env.reset()[1]["scenario"], env.reset(seed=7)[1]["scenario"]]
    assert names[0] == names[2] != names[1]
    given = Scenario(town_seed=4, route_seed=9)
    assert env.reset(options={"scenario": given})[1]["scenario"] == given.name


def test_leaving_the_road_costs():
    env = lane_env()
    env.reset(seed=0)
    while True:
        _, reward, terminated, truncated, info = env.step(np.array([0.5, 1.0], np.float32))
        if terminated or truncated:
            break
    assert info["off_road"] and info["cost"] == 1.0 and reward < -1 and 0 < info["route_completion_frac"] < 1


@pytest.mark.slow
def test_an_unmodified_ppo_learns_to_follow_the_road():
    """Stable-Baselines3 from PyPI, its own VecEnv over our single environments: no traffic, the first 8 s of routes of two towns."""
    sb3 = pytest.importorskip("stable_baselines3", reason="stable-baselines3 is not installed: the [worlds] extra")
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.evaluation import evaluate_policy

    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)

    def make():
        return gymnasium.make(town_gym.TOWN_ID, towns=range(2), num_agents=(0, 0), max_episode_steps=80)

    venv, judge = make_vec_env(make, n_envs=4, seed=0), make_vec_env(make, n_envs=4, seed=1000)
    model = sb3.PPO(
        "MlpPolicy", venv, n_steps=256, batch_size=256, gamma=0.98, learning_rate=1e-3, policy_kwargs={"log_std_init": -1.0}, seed=0, device="cpu"
    )
    before, _ = evaluate_policy(model, judge, n_eval_episodes=20)
    model.learn(30_000)
    judge.seed(1000)
    after, spread = evaluate_policy(model, judge, n_eval_episodes=20)
    torch.set_num_threads(threads)
    print(f"mean return of 20 episodes: untrained {before:.2f}, trained {after:.2f} ± {spread:.2f}")
    assert after > before + 3.0, f"30,000 steps of PPO took the mean return from {before:.2f} to {after:.2f} only"

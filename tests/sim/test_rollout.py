"""A rollout's rows fit together, and a clip is what happened."""

import numpy as np

from motorworks.bodies.body import integrate
from motorworks.datatypes.trajectory import Trajectory
from motorworks.geometry.se2 import compose
from motorworks.policy.expert import Expert
from motorworks.policy.noise import NoiseConfig, Perturbed
from motorworks.sim.rollout import clip_from_rollout, iterate_excerpts, iterate_rollouts, roll_out
from motorworks.sim.seeds import town_scenarios
from motorworks.sim.town import Town

SCENARIOS = town_scenarios(60, 5)


def test_any_number_of_scenarios_comes_back_in_order() -> None:
    rollouts = roll_out(Town(2, renders=False), Expert(), SCENARIOS)
    assert [r.scenario for r in rollouts] == SCENARIOS
    assert roll_out(Town(8, renders=False), Expert(), SCENARIOS[:1])[0].outcome == rollouts[0].outcome
    assert roll_out(Town(2, renders=False), Expert(), []) == []


def test_row_t_holds_the_control_of_step_t() -> None:
    rollout = roll_out(Town(1, renders=False), Expert(), SCENARIOS[:1], keep_plans=True)[0]
    controls = Trajectory(accel_mps2=rollout.accel_mps2[None, :-1], curvature_per_m=rollout.curvature_per_m[None, :-1])
    poses, speeds = integrate(controls, rollout.speed_mps[:1])
    driven = compose(rollout.ego_world[0], poses[0])
    assert np.abs(driven[:60, :2] - rollout.ego_world[1:61, :2]).max() < 0.01
    assert np.abs(speeds[0] - rollout.speed_mps[1:]).max() < 1e-3
    assert rollout.plans is not None and rollout.plans.accel_mps2.shape == (len(rollout.speed_mps), 64)
    assert np.abs(rollout.plans.accel_mps2[:-1, 0] - rollout.accel_mps2[:-1]).max() < 1e-3


def test_clip_carries_frames_words_and_motion() -> None:
    _, rollout = next(iterate_rollouts(Town(1, max_steps=20), Expert(), SCENARIOS[:1], keep_frames=True))
    clip = clip_from_rollout(rollout)
    assert clip.frames is not None and clip.frames.shape == (21, 144, 256, 3) and clip.motion is not None and clip.motion.kind == "simulated"
    assert np.abs(clip.frames[20].astype(int) - clip.frames[0]).mean() > 1.0
    assert clip.thoughts is not None and clip.instructions is not None and clip.timestamp_us[1] == 100_000


def test_only_privileged_policies_see_the_scene() -> None:
    seen: list[bool] = []

    class Blind(Expert):
        name, privileged = "blind", False

        def act(self, observation):  # type: ignore[no-untyped-def]
            seen.append(observation.scene is None)
            zeros = np.zeros((len(observation.speed_mps), 64), np.float32)
            return type(self)._plan(zeros)

        @staticmethod
        def _plan(zeros):  # type: ignore[no-untyped-def]
            from motorworks.datatypes.trajectory import Plan

            return Plan(trajectory=Trajectory(accel_mps2=zeros, curvature_per_m=zeros))

    roll_out(Town(1, renders=False, max_steps=3), Blind(), SCENARIOS[:1])
    assert seen and all(seen)


def test_perturbed_drives_off_the_line_and_keeps_the_clean_plan() -> None:
    town = Town(5, renders=False)
    clean = roll_out(town, Expert(), SCENARIOS)
    noisy = roll_out(town, Perturbed(Expert(), 7), SCENARIOS, keep_plans=True)
    spread = [np.std(np.concatenate([r.lateral_offset_m for r in rollouts])) for rollouts in (clean, noisy)]
    assert spread[1] > 1.5 * spread[0]
    first = noisy[0]
    assert first.plans is not None
    assert np.abs(first.plans.curvature_per_m[:-1, 0] - first.curvature_per_m[:-1]).max() > 0.003
    still = roll_out(town, Perturbed(Expert(), 7, NoiseConfig(curvature_per_m=0.0, accel_mps2=0.0)), SCENARIOS)
    assert np.array_equal(still[0].ego_world, clean[0].ego_world)


def test_excerpts_are_stretches_of_the_drives_that_roll_out_drives():
    whole = dict(iterate_rollouts(Town(2, max_steps=70), Expert(), SCENARIOS[:2], keep_frames=True))
    found = list(iterate_excerpts(Town(2, max_steps=70), Expert(), iter(SCENARIOS * 2), num=4, num_steps=20, gap_steps=10))
    assert [len(one.speed_mps) for one in found] == [20] * 4 and {one.outcome for one in found} == {"cut"}
    for number, one in enumerate(found):
        start = 30 * (number // 2)
        assert np.array_equal(one.ego_world, whole[number % 2].ego_world[start : start + 20])
        assert np.array_equal(one.frames, whole[number % 2].frames[start : start + 20])


def test_an_excerpt_ends_where_its_drive_does():
    found = list(iterate_excerpts(Town(1, max_steps=15), Expert(), iter(SCENARIOS * 2), num=2, num_steps=20, gap_steps=4))
    assert [(one.outcome, len(one.speed_mps)) for one in found] == [("timeout", 16), ("timeout", 7)]  # the second began unseen

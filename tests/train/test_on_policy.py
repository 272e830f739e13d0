"""On-policy data as samples: what belongs to one episode is linked, what does not is not."""

import copy
from dataclasses import replace

import numpy as np
import pytest

from motorworks.bodies.body import CAR
from motorworks.datatypes.on_policy import OnPolicy
from motorworks.datatypes.trajectory import NUM_STEPS, Trajectory
from motorworks.tokens.ego import HISTORY_KNOWN
from motorworks.tokens.scene import NUM_ROAD
from motorworks.train.fit_config import PolishConfig
from motorworks.train.on_policy import samples_from_on_policy
from motorworks.train.polish import polish

TIME, BATCH = 30, 2


@pytest.fixture
def tape():
    """Environment 1 starts anew at step 12; every image holds its own step and environment."""
    age = np.tile(np.arange(TIME)[:, None], (1, BATCH))
    age[12:, 1] -= 12
    images = np.zeros((TIME, BATCH, 64, 128, 3), np.uint8)
    images[..., 0] = np.arange(TIME)[:, None, None, None]
    images[..., 1] = np.arange(BATCH)[None, :, None, None]
    accel = np.broadcast_to(np.arange(TIME)[:, None, None] / 100, (TIME, BATCH, NUM_STEPS)).copy()
    return OnPolicy(
        images=images,
        speed_mps=np.full((TIME, BATCH), 5.0),
        yaw_rate_radps=np.zeros((TIME, BATCH)),
        past_poses_rig=np.zeros((TIME, BATCH, 16, 3)),
        instructions=(("follow the road",) * BATCH,) * TIME,
        age_steps=age,
        stride_steps=1,
        road=np.tile(np.arange(TIME)[:, None, None], (1, BATCH, NUM_ROAD)),
        labels=Trajectory(accel_mps2=accel, curvature_per_m=accel / 10),
        thoughts=((None,) * BATCH,) * TIME,
        proposal_scores=None,
        num_ended=1,
        completed_frac=0.0,
    )


def test_frames_are_linked_within_an_episode_only(tape):
    samples = samples_from_on_policy(tape)
    row = {(int(samples.step[i]), int(samples.frames[samples.frame_index[i, 1, 0], 0, 0, 1])): i for i in range(len(samples))}
    older = samples.frames[samples.frame_index[row[20, 1], 0, 0], 0, 0]
    later = samples.frames[samples.next_frame_index[row[20, 1]], 0, 0]
    assert older[:2].tolist() == [16, 1] and later[:2].tolist() == [25, 1]
    assert samples.frame_index[row[14, 1], 0, 0] == -1  # two steps into its episode
    assert samples.next_frame_index[row[9, 1]] == -1  # the episode ends before
    assert samples.next_frame_index[row[27, 0]] == -1  # the tape does
    assert samples.frame_index[row[14, 0], 0, 0] >= 0


def test_a_past_that_was_not_lived_is_unknown(tape):
    samples = samples_from_on_policy(tape)
    known = samples.ego[:, HISTORY_KNOWN]
    second = samples.frames[samples.frame_index[:, 1, 0], 0, 0, 1] == 1
    assert known[second & (samples.step == 20)] == 0 and known[~second & (samples.step == 20)] == 1


def test_labels_belong_to_their_step(tape):
    samples = samples_from_on_policy(tape)
    wanted = samples.step / 100 / 3.0  # tokens.action scales by 3 m/s2
    assert np.allclose(samples.controls[:, 0, 0], wanted, atol=1e-6) and np.array_equal(samples.road[:, 7], samples.step)
    assert samples.curvature_scale_per_m[0] == pytest.approx(CAR.max_curvature_per_m / 2)


def test_rows_apart_are_linked_where_the_stride_allows(tape):
    apart = replace(tape, stride_steps=4, age_steps=4 * tape.age_steps)
    samples = samples_from_on_policy(apart)
    row = int(np.flatnonzero((samples.step == 4 * 20) & (samples.frames[samples.frame_index[:, 1, 0], 0, 0, 1] == 1))[0])
    assert samples.frames[samples.frame_index[row, 0, 0], 0, 0, 0] == 19 and (samples.next_frame_index == -1).all()
    with pytest.raises(ValueError, match="stride_steps 3 must divide 4"):
        samples_from_on_policy(replace(tape, stride_steps=3))


def test_polish_moves_the_choice_towards_reward_and_leaves_the_proposals(tape, small_model):
    samples = samples_from_on_policy(tape)
    from motorworks.train.evaluate import best_controls

    before = {name: value.clone() for name, value in small_model.state_dict().items()}
    scores = np.zeros((len(samples), small_model.config.num_proposals))
    scores[:, 3] = 1.0
    curve = polish(small_model, samples, scores, PolishConfig(steps=60, lr=0.05, kl_weight=0.0))
    assert curve[-1]["expected_reward"] > 0.9 > curve[0]["expected_reward"]
    changed = [name for name, value in small_model.state_dict().items() if not value.equal(before[name])]
    assert len(changed) == 2 and all(name.startswith("action.") for name in changed)
    num = small_model.config.num_proposals
    assert small_model.action.mlp[-1].weight[:-num].equal(before["action.mlp.2.weight"][:-num])
    assert np.isfinite(best_controls(small_model, samples)).all()


def test_polish_is_held_back_by_the_anchor(tape, small_model):
    samples = samples_from_on_policy(tape)
    scores = np.zeros((len(samples), small_model.config.num_proposals))
    scores[:, 3] = 1.0
    free = polish(copy.deepcopy(small_model), samples, scores, PolishConfig(steps=60, lr=0.01, kl_weight=0.0))
    held = polish(small_model, samples, scores, PolishConfig(steps=60, lr=0.01, kl_weight=100.0))
    assert held[-1]["kl"] < 0.1 * free[-1]["kl"]

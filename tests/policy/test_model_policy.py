"""ModelPolicy: memory, choice and thinking, over an Infer that can be looked into."""

from dataclasses import replace

import numpy as np
import pytest

from motorworks.bodies.body import CAR
from motorworks.datatypes.observation import Observation
from motorworks.datatypes.rig import FRONT3
from motorworks.datatypes.thought import Thought
from motorworks.policy.model import ModelPolicy
from motorworks.tokens.camera import CameraCodec
from motorworks.tokens.ego import HISTORY_KNOWN
from motorworks.tokens.text import NUM_THOUGHT, VOCABULARY, TextCodec

THOUGHT = Thought(decision="slow down", cause="a vehicle ahead is slower")


class Glass:
    """Latents are the mean grey of the image; plans put the proposal's number in, thoughts recite one sentence."""

    num_frames, frame_gap_steps, num_views = 2, 4, 1

    def __init__(self) -> None:
        self.sentence = TextCodec().encode_thought((THOUGHT,))[0]

    def see(self, images, cameras=None):
        return np.repeat(images.mean(axis=(1, 2, 3), dtype=np.float32)[:, None, None], 8, axis=1)

    def plan(self, latents, latents_valid, ego, instruction_ids):
        self.asked = (latents[..., 0, 0], latents_valid, ego)
        controls = np.zeros((len(ego), 6, 64, 2), np.float32)
        controls[..., 1] = np.arange(6)[None, :, None] / 10
        logits = np.zeros((len(ego), 6), np.float32)
        logits[:, 4] = 1
        return controls, logits

    def think(self, latents, latents_valid, ego, instruction_ids, thought_ids):
        logits = np.zeros((len(ego), NUM_THOUGHT, len(VOCABULARY)), np.float32)
        for position in range(NUM_THOUGHT - 1):
            logits[:, position, self.sentence[position + 1]] = 1
        return logits


def _observe(grey: int, *, first: tuple[bool, ...] = (False, False)) -> Observation:
    return Observation(
        frames=np.full((2, 144, 256, 3), grey, np.uint8),
        speed_mps=np.full(2, 5.0),
        yaw_rate_radps=np.zeros(2),
        past_poses_rig=np.ones((2, 16, 3)),
        instructions=("follow the road",) * 2,
        first=np.array(first),
    )


def test_it_remembers_the_frame_of_04_seconds_ago_and_forgets_where_an_episode_begins():
    glass = Glass()
    policy = ModelPolicy(glass, name="m")
    for step in range(6):
        policy.act(_observe(10 * step, first=(step == 0,) * 2))
        assert glass.asked[1][:, 0].tolist() == [step >= 4] * 2 and glass.asked[1][:, 1].all()
    assert glass.asked[0].tolist() == [[10, 50], [10, 50]]
    policy.act(_observe(60, first=(True, False)))
    assert glass.asked[1].tolist() == [[False, True], [True, True]]
    for step in range(4):
        policy.act(_observe(70 + 10 * step))
    assert glass.asked[0].tolist() == [[60, 100], [60, 100]] and glass.asked[1].all()


def test_a_past_that_was_not_lived_is_unknown():
    glass = Glass()
    policy = ModelPolicy(glass, name="m")
    for step in range(17):
        policy.act(_observe(0, first=(step == 0,) * 2))
        assert glass.asked[2][:, HISTORY_KNOWN].tolist() == [float(step >= 16)] * 2


def test_asked_at_every_fourth_step_the_older_frame_is_the_last_one():
    glass = Glass()
    policy = ModelPolicy(glass, name="m", stride_steps=4)
    for act in range(6):
        policy.act(_observe(10 * act, first=(act == 0,) * 2))
        assert glass.asked[1][:, 0].tolist() == [act > 0] * 2 and glass.asked[2][:, HISTORY_KNOWN].tolist() == [float(act >= 4)] * 2
    assert glass.asked[0].tolist() == [[40, 50], [40, 50]]
    with pytest.raises(ValueError, match="must divide the 4 steps"):
        ModelPolicy(glass, name="m", stride_steps=3)


def test_it_drives_the_likeliest_proposal():
    plan = ModelPolicy(Glass(), name="m").act(_observe(0, first=(True, True)))
    assert plan.trajectory.curvature_per_m.shape == (2, 64) and plan.proposals.curvature_per_m.shape == (2, 6, 64)
    assert np.allclose(plan.trajectory.curvature_per_m, 0.4 * CAR.max_curvature_per_m / 2)
    assert np.allclose(plan.scores.sum(axis=1), 1) and (plan.scores.argmax(axis=1) == 4).all()
    assert plan.thoughts is None


def test_a_camera_that_fails_is_a_missing_image_not_a_black_one():
    glass = Glass()
    policy = ModelPolicy(glass, name="m")
    policy.act(replace(_observe(0, first=(True, True)), frames=None))
    assert not glass.asked[1].any()
    policy.act(_observe(50))
    policy.act(replace(_observe(50), frames=None))
    assert glass.asked[1].tolist() == [[False, False]] * 2


def test_a_thought_is_written_word_by_word_and_stays():
    policy = ModelPolicy(Glass(), name="m", think_every=15)
    words = int((Glass().sentence != 0).sum()) - 1
    spoken = [policy.act(_observe(0, first=(step == 0,) * 2)).thoughts for step in range(words + 3)]
    assert spoken[words - 2] == (None, None) and spoken[words - 1] == (THOUGHT, THOUGHT) == spoken[-1]
    assert policy.act(_observe(0, first=(True, False))).thoughts == (None, THOUGHT)


def test_a_restart_in_mid_sentence_drops_that_sentence_only():
    policy = ModelPolicy(Glass(), name="m", think_every=1)
    spoken = [policy.act(_observe(0, first=(step in (0, 3), step == 0))).thoughts for step in range(30)]
    complete = next(step for step, thoughts in enumerate(spoken) if thoughts[1] == THOUGHT)
    assert spoken[complete] == (None, THOUGHT) and spoken[-1] == (THOUGHT, THOUGHT)


def test_nan_from_the_network_never_reaches_the_wheel():
    glass = Glass()
    glass.plan = lambda *arguments: (np.full((2, 6, 64, 2), np.nan, np.float32), np.zeros((2, 6), np.float32))
    with pytest.raises(FloatingPointError, match="policy m"):
        ModelPolicy(glass, name="m").act(_observe(0))


class GlassRig(Glass):
    num_frames, num_views = 4, 3

    def see(self, images, cameras=None):
        self.cameras = cameras
        return super().see(images)


def _observe_rig(grey: int, **changes) -> Observation:
    """Front, left and right are a grey level apart, as are the two items."""
    frames = np.full((2, 3, 144, 256, 3), grey, np.uint8) + np.arange(3, dtype=np.uint8)[None, :, None, None, None]
    return replace(_observe(grey, **changes), frames=frames[:, 0], rig_frames=frames, cameras=FRONT3.cameras)


def test_four_frames_of_three_cameras_are_remembered_oldest_first():
    glass = GlassRig()
    policy = ModelPolicy(glass, name="m")
    for step in range(14):
        policy.act(_observe_rig(10 * step, first=(step == 0,) * 2))
        assert glass.asked[1][0].tolist() == [ago <= step for ago in (12, 8, 4, 0) for _ in range(3)]
    assert glass.asked[0][1].tolist() == [10 * step + view for step in (1, 5, 9, 13) for view in range(3)]
    assert np.array_equal(glass.cameras[:3], CameraCodec().encode(FRONT3.cameras)) and len(glass.cameras) == 6
    policy.act(_observe_rig(140, first=(True, False)))
    assert glass.asked[1].sum(axis=1).tolist() == [3, 12]


def test_a_camera_that_drops_out_is_a_missing_view():
    glass = GlassRig()
    policy = ModelPolicy(glass, name="m")
    policy.act(replace(_observe_rig(50), rig_valid=np.array([[True, False, True], [True, True, True]])))
    assert glass.asked[1][:, -3:].tolist() == [[True, False, True], [True, True, True]] and glass.asked[0][:, -3:].tolist() == [
        [50, 0, 52],
        [50, 51, 52],
    ]
    policy.act(replace(_observe_rig(60), rig_frames=None))  # a body with one camera
    assert glass.asked[1][:, -3:].tolist() == [[True, False, False]] * 2 and np.isfinite(policy.act(_observe_rig(60)).scores).all()

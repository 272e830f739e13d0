"""Samples: what a clip teaches, row by row."""

from dataclasses import fields, replace

import numpy as np
import pytest

from motorworks.bodies.body import CAR, integrate, respond
from motorworks.datatypes.clip import Clip, Motion
from motorworks.datatypes.thought import Thought
from motorworks.datatypes.trajectory import Trajectory
from motorworks.tokens.action import ActionCodec
from motorworks.tokens.ego import HISTORY_KNOWN
from motorworks.tokens.text import TextCodec
from motorworks.train.samples import Samples, concat, mirror, samples_from_arrays, samples_from_clip


def driven_clip(num: int = 90, *, motion: bool = True, frames: bool = True) -> Clip:
    """A car weaving at changing speed, simulated by the body itself."""
    generator = np.random.default_rng(0)
    pose, speed, curvature = np.zeros(3), np.array(6.0), np.array(0.0)
    rows = []
    for step in range(num):
        before = (*pose, speed)
        pose, speed, curvature, accel = respond(CAR, pose, speed, curvature, np.array(np.sin(step / 9)), np.array(0.05 * np.cos(step / 7)))
        rows.append((*before, curvature, accel))  # controls of a row are held until the next
    table = np.array(rows)
    state = Motion(kind="simulated", poses_world=table[:, :3], speed_mps=table[:, 3], accel_mps2=table[:, 5], curvature_per_m=table[:, 4])
    return Clip(
        recording_id="r",
        source="town",
        body="car",
        licence="CC0-1.0",
        timestamp_us=np.arange(num) * 100_000,
        motion=state if motion else None,
        frames=generator.integers(0, 256, (num, 64, 128, 3), dtype=np.uint8) if frames else None,
        instructions=("turn left ahead",) * num,
        thoughts=(Thought(decision="turn left", cause="the route turns left"), *(None,) * (num - 1)),
    )


def test_controls_replay_to_the_recorded_poses():
    clip = driven_clip()
    samples = samples_from_clip(clip, stride=5)
    assert clip.motion is not None
    trajectory = ActionCodec(body=CAR).denormalise(samples.controls[:3])
    poses, speeds = integrate(trajectory, samples.speed_mps[:3])
    for row, start in enumerate((0, 5, 10)):
        length = samples.controls_valid[row].sum()
        world = clip.motion.poses_world[start + 1 : start + 1 + length]
        dx, dy = (world - clip.motion.poses_world[start])[:, :2].T
        yaw = clip.motion.poses_world[start, 2]
        ahead = np.stack([np.cos(yaw) * dx + np.sin(yaw) * dy, -np.sin(yaw) * dx + np.cos(yaw) * dy], axis=1)
        assert np.abs(poses[row, :length, :2] - ahead).max() < 0.02
        assert np.allclose(speeds[row, :length], clip.motion.speed_mps[start + 1 : start + 1 + length], atol=1e-3)


def test_indices_masks_and_unknown_past():
    samples = samples_from_clip(driven_clip(90), stride=2)
    steps = samples.frame_index[:, 1, 0]
    assert steps[-1] + 10 <= 89 and samples.controls_valid.sum(axis=1).min() >= 10
    assert np.array_equal(samples.frame_index[:, 0, 0], np.where(steps >= 4, steps - 4, -1))
    assert np.array_equal(samples.next_frame_index, np.where(steps + 5 < 90, steps + 5, -1))
    assert np.array_equal(samples.ego[:, HISTORY_KNOWN], (steps >= 16).astype(np.float32))
    assert TextCodec().decode_thought(samples.thought_ids[0]) == Thought(decision="turn left", cause="the route turns left")
    assert not samples.thought_ids[1:].any()


def test_a_clip_may_lack_motion_or_frames():
    blind = samples_from_clip(driven_clip(frames=False))
    assert len(blind) and (blind.frame_index == -1).all() and blind.controls_valid.any(axis=1).all()
    silent = samples_from_clip(driven_clip(motion=False))
    assert len(silent) == 45 and not silent.controls_valid.any() and not silent.ego_valid.any() and (silent.next_frame_index >= 0).any()
    assert len(samples_from_clip(driven_clip(8))) == 0  # too short to teach driving


def test_concat_keeps_every_sample_at_its_own_frames():
    parts = [samples_from_clip(driven_clip(50)), samples_from_clip(driven_clip(frames=False)), samples_from_clip(driven_clip(40))]
    whole = concat(parts)
    assert len(whole) == sum(map(len, parts))
    last = whole.select(np.arange(len(whole) - len(parts[2]), len(whole)))
    assert np.array_equal(last.frames[last.frame_index[:, 1, 0]], parts[2].frames[parts[2].frame_index[:, 1, 0]])
    assert ((whole.frame_index == -1).sum()) == sum((part.frame_index == -1).sum() for part in parts)
    with pytest.raises(ValueError, match="no samples"):
        concat([])


def test_mirror_is_an_involution():
    samples = samples_from_clip(driven_clip())
    once = mirror(samples)
    twice = mirror(once)
    for item in fields(Samples):
        assert np.array_equal(getattr(twice, item.name), getattr(samples, item.name), equal_nan=True), item.name
    assert np.array_equal(once.controls[..., 1], -samples.controls[..., 1]) and np.array_equal(once.controls[..., 0], samples.controls[..., 0])
    assert TextCodec().decode_thought(once.thought_ids[0]) == Thought(decision="turn right", cause="the route turns right")


def test_on_policy_arrays_and_bad_indices():
    arrays = {
        "images": np.zeros((2, 64, 128, 3), np.uint8),
        "ego": samples_from_clip(driven_clip()).ego[:2],
        "instructions": ("follow the road",) * 2,
        "trajectory": Trajectory(accel_mps2=np.ones((2, 64)), curvature_per_m=np.full((2, 64), 0.05)),
        "speed_mps": np.array([3.0, 4.0]),
        "body": CAR,
    }
    samples = samples_from_arrays(frame_index=np.array([[-1, 0], [0, 1]]), **arrays)
    assert samples.controls_valid.all() and np.allclose(samples.controls[..., 1], 0.5) and np.allclose(samples.controls[..., 0], 1 / 3)
    with pytest.raises(ValueError, match="frame 2"):
        samples_from_arrays(frame_index=np.array([[-1, 0], [0, 2]]), **arrays)
    with pytest.raises(ValueError, match="weight has 1 rows"):
        replace(samples, weight=np.ones(1, np.float32))


def test_what_the_driver_does_next_is_not_in_the_question():
    clip = driven_clip()
    assert clip.motion is not None
    now = 30
    future = np.arange(90) >= now
    changed = replace(
        clip.motion,
        accel_mps2=np.where(future, -1.0, clip.motion.accel_mps2),
        curvature_per_m=np.where(future, 0.15, clip.motion.curvature_per_m),
    )
    one, other = (samples_from_clip(item, stride=1).select(np.array([now])) for item in (clip, replace(clip, motion=changed)))
    assert np.array_equal(one.ego, other.ego) and not np.array_equal(one.controls, other.controls)

"""On-policy data as samples: frames of the same episode are linked, never across its start."""

import numpy as np
from jaxtyping import Float, Int64

from motorworks.bodies.body import CAR, Body
from motorworks.datatypes.observation import NUM_PAST_POSES
from motorworks.datatypes.on_policy import OnPolicy
from motorworks.datatypes.trajectory import Trajectory
from motorworks.geometry.array import Array
from motorworks.tokens.ego import EgoCodec
from motorworks.train.samples import FORESIGHT_STEPS, FRAME_GAP_STEPS, NUM_LATER, Samples, samples_from_arrays

TURN_STEPS = 20


def samples_from_on_policy(data: OnPolicy, *, body: Body = CAR, num_frames: int = 2) -> Samples:
    """A sample of every row and environment. Older frames need a stride that divides the gap between them (4 steps); where it does not divide
    the foresight (5 steps), nothing is foreseen."""
    if FRAME_GAP_STEPS % data.stride_steps:
        raise ValueError(f"stride_steps {data.stride_steps} must divide {FRAME_GAP_STEPS}: the model's older frame would be missing")
    age = data.age_steps
    num_rows, num_envs = age.shape
    t, b = (grid.ravel() for grid in np.meshgrid(np.arange(num_rows), np.arange(num_envs), indexing="ij"))
    back = FRAME_GAP_STEPS // data.stride_steps
    ago = np.arange(num_frames)[::-1]  # in frames
    lived = (age[t, b][:, None] >= ago * FRAME_GAP_STEPS) & (t[:, None] >= ago * back)
    codec = EgoCodec()
    ego = codec.encode(data.speed_mps[t, b], data.yaw_rate_radps[t, b], data.past_poses_rig[t, b], body.name)
    early = age[t, b] < NUM_PAST_POSES  # as in driving: a past that was not lived is unknown
    ego[early] = codec.without_history(ego[early])
    return samples_from_arrays(
        images=data.images.reshape(-1, *data.images.shape[2:]),
        frame_index=np.where(lived, (t[:, None] - ago * back) * num_envs + b[:, None], -1),
        next_frame_index=_foreseen(data, FORESIGHT_STEPS)[t, b],
        later_frame_index=np.stack([_foreseen(data, FORESIGHT_STEPS * (2 + later))[t, b] for later in range(NUM_LATER)], axis=1),
        ego=ego,
        instructions=tuple(data.instructions[i][j] for i, j in zip(t, b, strict=True)),
        trajectory=data.labels[t, b],
        speed_mps=data.speed_mps[t, b],
        body=body,
        weight=_weight(data.labels[t, b], body),
        thoughts=tuple(data.thoughts[i][j] for i, j in zip(t, b, strict=True)),
        step=t * data.stride_steps,
        road=None if data.road is None else data.road[t, b],
    )


def _weight(labels: Trajectory, body: Body) -> Float[Array, " num"]:
    """Turns are few and hard, so they are drawn twice as often: where the label's mean curvature over 2 s is an eighth of the body's lock."""
    turn_per_m = np.abs(np.asarray(labels.curvature_per_m)[:, :TURN_STEPS].mean(axis=-1))
    return np.where(turn_per_m > body.max_curvature_per_m / 8, 2.0, 1.0).astype(np.float32)


def _foreseen(data: OnPolicy, steps: int) -> Int64[Array, "time batch"]:
    """The picture that is `steps` ahead in the same episode, or -1."""
    num_rows, num_envs = data.age_steps.shape
    found = np.full((num_rows, num_envs), -1, np.int64)
    rows, rest = divmod(steps, data.stride_steps)
    if rest == 0 and num_rows > rows:
        same = data.age_steps[rows:] == data.age_steps[:-rows] + steps
        found[:-rows] = np.where(same, np.arange(rows * num_envs, num_rows * num_envs).reshape(-1, num_envs), -1)
    return found

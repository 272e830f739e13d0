"""On-policy data as samples: frames of the same episode are linked, never across its start."""

import numpy as np
from jaxtyping import Int64

from motorworks.bodies.body import CAR, Body
from motorworks.datatypes.observation import NUM_PAST_POSES
from motorworks.datatypes.on_policy import OnPolicy
from motorworks.geometry.array import Array
from motorworks.tokens.ego import EgoCodec
from motorworks.train.samples import FORESIGHT_STEPS, FRAME_GAP_STEPS, Samples, samples_from_arrays


def samples_from_on_policy(data: OnPolicy, *, stride: int = 2, body: Body = CAR) -> Samples:
    """Every `stride`-th step of every environment."""
    num_steps, num_envs = data.first.shape
    age = episode_age(data)
    steps = np.arange(0, num_steps, stride)
    t, b = (grid.ravel() for grid in np.meshgrid(steps, np.arange(num_envs), indexing="ij"))
    older = np.where(age[t, b] >= FRAME_GAP_STEPS, (t - FRAME_GAP_STEPS) * num_envs + b, -1)
    later = np.minimum(t + FORESIGHT_STEPS, num_steps - 1)
    same = (t + FORESIGHT_STEPS < num_steps) & (age[later, b] == age[t, b] + FORESIGHT_STEPS)
    codec = EgoCodec()
    ego = codec.encode(data.speed_mps[t, b], data.yaw_rate_radps[t, b], data.past_poses_rig[t, b], body.name)
    early = age[t, b] < NUM_PAST_POSES  # as in driving: a past that was not lived is unknown
    ego[early] = codec.without_history(ego[early])
    return samples_from_arrays(
        images=data.images.reshape(-1, *data.images.shape[2:]),
        frame_index=np.stack([older, t * num_envs + b], axis=1),
        next_frame_index=np.where(same, later * num_envs + b, -1),
        ego=ego,
        instructions=tuple(data.instructions[i][j] for i, j in zip(t, b, strict=True)),
        trajectory=data.labels[t, b],
        speed_mps=data.speed_mps[t, b],
        body=body,
        thoughts=tuple(data.thoughts[i][j] for i, j in zip(t, b, strict=True)),
        step=t,
    )


def episode_age(data: OnPolicy) -> Int64[Array, "time batch"]:
    """Steps since the episode began; a tape that starts in the middle counts from its own start."""
    age = np.zeros(data.first.shape, np.int64)
    for t in range(1, len(age)):
        age[t] = np.where(data.first[t], 0, age[t - 1] + 1)
    return age

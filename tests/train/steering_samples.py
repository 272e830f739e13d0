"""Samples in which the picture says how to steer: small enough to learn from in seconds."""

import numpy as np

from motorworks.bodies.body import CAR
from motorworks.datatypes.thought import Thought
from motorworks.datatypes.trajectory import Trajectory
from motorworks.tokens.ego import EgoCodec
from motorworks.train.samples import Samples, samples_from_arrays


def steering_samples(num: int = 32) -> Samples:
    """The brighter side of the road says how to steer."""
    generator = np.random.default_rng(0)
    side = generator.uniform(-1, 1, num + 5)
    ramp = np.linspace(-1, 1, 128)[None, None, :, None] * side[:, None, None, None]
    images = np.clip(128 + 90 * ramp + generator.normal(size=(num + 5, 64, 128, 3)) * 8, 0, 255).astype(np.uint8)
    here = np.arange(num)
    return samples_from_arrays(
        images=images,
        frame_index=np.stack([np.where(here < 4, -1, here - 4), here], axis=1),
        next_frame_index=here + 5,
        ego=EgoCodec().encode(np.full(num, 8.0), np.zeros(num), None),
        instructions=("follow the road",) * num,
        trajectory=Trajectory(accel_mps2=np.full((num, 64), 0.5), curvature_per_m=np.repeat(0.05 * side[:num, None], 64, axis=1)),
        speed_mps=np.full(num, 8.0),
        body=CAR,
        thoughts=(Thought(decision="keep going", cause="the road is clear"),) * num,
    )

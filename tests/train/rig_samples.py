"""Samples of a rig with history in which one picture alone says how to steer, and today's ahead how fast to go."""

import numpy as np

from motorworks.bodies.body import CAR
from motorworks.datatypes.rig import FRONT3
from motorworks.datatypes.trajectory import Trajectory
from motorworks.tokens.camera import CameraCodec
from motorworks.tokens.ego import EgoCodec
from motorworks.train.samples import Samples, samples_from_arrays


def rig_samples(num: int = 64, *, frame: int, camera: int, num_frames: int = 4, seed: int = 0) -> Samples:
    """Upright or level bars in picture `frame` (0 the oldest) of camera `camera` of FRONT3, whose sides come in a random order. Between the
    oldest and today's there is nothing to see."""
    generator = np.random.default_rng(seed)
    bars = 60 * np.sign(np.sin(np.arange(128) * np.pi / 8))
    kinds = np.stack([np.broadcast_to(bars[:64, None], (64, 128)), np.broadcast_to(bars, (64, 128))])
    which = generator.integers(0, 2, (num, num_frames, 3))
    bare = np.isin(np.arange(num_frames), (0, num_frames - 1))[None, :, None, None, None]
    pictures = (128 + kinds[which] * bare + generator.normal(size=(num, num_frames, 3, 64, 128)) * 10).clip(0, 255).astype(np.uint8)
    order = np.array([[0, *(1, 2)[:: generator.choice((-1, 1))]] for _ in range(num)])  # which camera is each view of a sample
    steer, faster = 0.05 * (2.0 * which[:, frame, camera] - 1), 2.0 * which[:, -1, 0] - 1  # that teaches the eye what bars are
    return samples_from_arrays(
        images=np.repeat(pictures.reshape(-1, 64, 128, 1), 3, axis=-1),
        frame_index=np.take_along_axis(np.arange(which.size).reshape(which.shape), order[:, None], axis=2),
        cameras=CameraCodec().encode(FRONT3.cameras)[order],
        ego=EgoCodec().encode(np.full(num, 8.0), np.zeros(num), None),
        instructions=("follow the road",) * num,
        trajectory=Trajectory(accel_mps2=np.repeat(faster[:, None], 64, axis=1), curvature_per_m=np.repeat(steer[:, None], 64, axis=1)),
        speed_mps=np.full(num, 8.0),
        body=CAR,
    )

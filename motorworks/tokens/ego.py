"""Ego motion in: speed, yaw rate, past poses and the body's size as one short vector."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from motorworks.datatypes.observation import NUM_PAST_POSES
from motorworks.geometry.array import Array

NUM_NOW = 2  # speed, yaw rate
POSE_STRIDE = 2  # every second past pose: 0.2 s apart
NUM_POSES = NUM_PAST_POSES // POSE_STRIDE
HISTORY = slice(NUM_NOW, NUM_NOW + 3 * NUM_POSES)
NOW_KNOWN = HISTORY.stop
HISTORY_KNOWN = HISTORY.stop + 1
BODY = slice(HISTORY.stop + 2, HISTORY.stop + 4)
NUM_EGO = BODY.stop
# What a model knows a body by: wheelbase / 3 m, top speed / 20 m/s. Part of the code, not read from `bodies`: a body whose
# limits are tuned must still look the same to a model trained before.
BODY_CODES = {"car": (0.93, 0.75), "donkey": (0.09, 0.1), "highway_car": (0.9, 2.25)}
_POSE_SCALE = np.array([10.0, 1.0, 0.2])  # m, m, rad


@dataclass(frozen=True, kw_only=True)
class EgoCodec:
    """[speed/10, yaw rate, 8 scaled poses, now known?, history known?, wheelbase/3, top speed/20]; unknown parts are zero."""

    num_ego: int = NUM_EGO

    def encode(
        self,
        speed_mps: Float[Array, " batch"],
        yaw_rate_radps: Float[Array, " batch"],
        past_poses_rig: Float[Array, "batch 16 3"] | None,
        body_name: str = "car",
    ) -> Float[Array, "batch ego"]:
        """The vector; without `past_poses_rig` the history is marked unknown."""
        speed = np.asarray(speed_mps, np.float32)
        ego = self.missing(len(speed), body_name)
        ego[:, 0] = speed / 10
        ego[:, 1] = yaw_rate_radps
        ego[:, NOW_KNOWN] = 1
        if past_poses_rig is not None:
            poses = np.asarray(past_poses_rig)[:, POSE_STRIDE - 1 :: POSE_STRIDE] / _POSE_SCALE
            ego[:, HISTORY] = np.clip(poses, -10, 10).reshape(len(speed), 3 * NUM_POSES)
            ego[:, HISTORY_KNOWN] = 1
        return ego

    def missing(self, num: int, body_name: str = "car") -> Float[Array, "batch ego"]:
        """No telemetry: only the body is known."""
        if body_name not in BODY_CODES:
            raise ValueError(f"body_name {body_name!r} has no code among {tuple(BODY_CODES)}; add it to tokens.ego.BODY_CODES")
        ego = np.zeros((num, NUM_EGO), np.float32)
        ego[:, BODY] = BODY_CODES[body_name]
        return ego

    def without_history(self, ego: Float[Array, "batch ego"]) -> Float[Array, "batch ego"]:
        """The same with the past poses forgotten: against copying the past instead of looking."""
        out = np.array(ego, np.float32)
        out[:, HISTORY] = 0
        out[:, HISTORY_KNOWN] = 0
        return out

    def mirror(self, ego: Float[Array, "batch ego"]) -> Float[Array, "batch ego"]:
        """Left and right swapped."""
        out = np.array(ego, np.float32)
        out[:, 1] *= -1
        poses = out[:, HISTORY].reshape(len(out), NUM_POSES, 3)
        out[:, HISTORY] = (poses * np.array([1, -1, -1], np.float32)).reshape(len(out), 3 * NUM_POSES)
        return out

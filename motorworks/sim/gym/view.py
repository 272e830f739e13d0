"""What a Gymnasium policy sees of an observation: the scene as a vector, or the camera and what a car may know."""

from typing import Any, Protocol

import numpy as np
from gymnasium import spaces
from jaxtyping import Float32

from motorworks.bodies.body import CAR
from motorworks.datatypes.observation import NUM_PAST_POSES, Observation
from motorworks.geometry.array import Array
from motorworks.tokens.scene import SceneCodec
from motorworks.tokens.text import INSTRUCTIONS

Seen = Float32[Array, "batch feature"] | dict[str, Array]
_BOUND = 4.0  # of every feature; the codecs keep within 2 or so
_YAW_RATE_RADPS, _POSE = 0.5, np.array([20.0, 5.0, 0.5])  # typical sizes: a sharp bend; 1.6 s back


class View(Protocol):
    """Observation to arrays, batch first."""

    renders: bool  # needs the camera

    def space(self, example: Observation) -> spaces.Space[Any]:
        """Of one environment, shaped like `example`."""
        ...

    def __call__(self, observation: Observation) -> Seen: ...


class SceneView:
    """Privileged: the scene by `tokens.scene.SceneCodec`, a flat float32 vector."""

    renders = False

    def __init__(self) -> None:
        self._codec = SceneCodec()

    def space(self, example: Observation) -> spaces.Box:
        """As long as the codec makes it."""
        return spaces.Box(-_BOUND, _BOUND, (self(example).shape[1],), np.float32)

    def __call__(self, observation: Observation) -> Float32[Array, "batch feature"]:
        """One row for each environment."""
        if observation.scene is None:
            raise ValueError("this world gives no scene; make the environment with view='camera'")
        return np.clip(self._codec.encode(observation.scene), -_BOUND, _BOUND).astype(np.float32)


class CameraView:
    """What a car has: `image`, the forward camera (height, width, RGB), and `vector`: speed, yaw rate, 16 past poses, instruction as one-hot."""

    renders = True

    def space(self, example: Observation) -> spaces.Dict:
        """As large as the camera's picture."""
        seen = self(example)
        return spaces.Dict(
            image=spaces.Box(0, 255, seen["image"].shape[1:], np.uint8), vector=spaces.Box(-_BOUND, _BOUND, seen["vector"].shape[1:], np.float32)
        )

    def __call__(self, observation: Observation) -> dict[str, Array]:
        """One row of each for each environment."""
        if observation.frames is None:
            raise ValueError("this world gives no camera frames; make the environment with view='scene'")
        words = np.zeros((len(observation.instructions), len(INSTRUCTIONS)))
        for row, text in zip(words, observation.instructions, strict=True):
            row[INSTRUCTIONS.index(text)] = 1.0
        motion = np.stack([observation.speed_mps / CAR.max_speed_mps, observation.yaw_rate_radps / _YAW_RATE_RADPS], axis=-1)
        past = (observation.past_poses_rig / _POSE).reshape(len(words), 3 * NUM_PAST_POSES)
        vector = np.clip(np.concatenate([motion, past, words], axis=-1), -_BOUND, _BOUND).astype(np.float32)
        return {"image": observation.frames, "vector": vector}


VIEWS: dict[str, type[SceneView] | type[CameraView]] = {"scene": SceneView, "camera": CameraView}


def make_view(name: str) -> View:
    """By its name."""
    if name not in VIEWS:
        raise ValueError(f"view {name!r} is not one of {sorted(VIEWS)}")
    return VIEWS[name]()

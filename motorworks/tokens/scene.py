"""A scene as a flat vector for the privileged teacher: encode only, nothing is decoded from it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from motorworks.datatypes.scene import Scene
from motorworks.geometry.array import Array

_FAR_M = 60.0
_SPEED_MPS = 15.0


@dataclass(frozen=True, kw_only=True)
class SceneCodec:
    """Every entry lies within about [-2, 2]; a distance that is far or absent saturates at 1."""

    num_agents: int = 8
    path_stride: int = 3  # of the 2 m path points

    def encode(self, scene: Scene) -> Float32[Array, "batch feature"]:
        """Ego, route, right of way, lead and the nearest agents, in that order."""

        def near(distance_m: Array) -> Array:
            return np.minimum(distance_m, _FAR_M) / _FAR_M

        def braking(distance_m: Array) -> Array:
            """Deceleration that would stop there, over a hard 5 m/s2."""
            return np.clip(scene.speed_mps**2 / (2 * np.maximum(distance_m, 0.5)) / 5, 0, 2)

        columns = [
            scene.speed_mps / _SPEED_MPS,
            scene.speed_limit_mps / _SPEED_MPS,
            (scene.speed_mps - scene.speed_limit_mps) / _SPEED_MPS,
            np.clip(scene.lateral_offset_m, -4, 4) / 2,
            np.clip(scene.heading_error_rad, -1, 1) * 2,
            near(scene.remaining_m),
            near(scene.junction_gap_m),
            scene.junction_blocked,
            scene.turn == 1,
            scene.turn == -1,
            np.minimum(scene.junction_gap_m, 8.0) / 8,
            braking(scene.junction_gap_m),
            np.minimum(scene.lead_gap_m, 8.0) / 8,
            braking(scene.lead_gap_m),
            near(scene.lead_gap_m),
            np.isfinite(scene.lead_gap_m),
            np.where(np.isfinite(scene.lead_gap_m), scene.lead_speed_mps, _SPEED_MPS) / _SPEED_MPS,
        ]
        curvature = np.clip(scene.path_curvature_per_m[:, :: self.path_stride] * 10, -2, 2)
        agents, valid = self._nearest(scene)
        x, y, yaw, speed = (agents[..., i] for i in range(4))
        around = np.stack(
            [np.clip(x, -_FAR_M, _FAR_M) / 30, np.clip(y, -_FAR_M / 2, _FAR_M / 2) / 15, np.cos(yaw), np.sin(yaw), speed / _SPEED_MPS], -1
        )
        around = np.concatenate([around * valid[..., None], valid[..., None]], -1).reshape(len(valid), -1)
        return np.concatenate([np.stack(columns, -1), curvature, around], -1).astype(np.float32)

    def _nearest(self, scene: Scene) -> tuple[Array, Array]:
        """The nearest agents in order of distance, padded to the codec's count."""
        missing = self.num_agents - scene.agents_valid.shape[1]
        agents, valid = scene.agents_rig, scene.agents_valid
        if missing > 0:
            agents, valid = np.pad(agents, ((0, 0), (0, missing), (0, 0))), np.pad(valid, ((0, 0), (0, missing)))
        distance = np.where(valid, np.hypot(agents[..., 0], agents[..., 1]), np.inf)
        order = np.argsort(distance, axis=1, kind="stable")[:, : self.num_agents]
        return np.take_along_axis(agents, order[..., None], 1), np.take_along_axis(valid, order, 1)

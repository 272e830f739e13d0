"""A scene as a flat vector: what the privileged teacher drives by, and what a camera model learns to read from its picture. Encode only."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from motorworks.datatypes.agent import CHILD, CYCLIST, EMERGENCY, FIRST_OBJECT, FIRST_WALKER
from motorworks.datatypes.scene import GREEN, RED, STOP_CAUSES, YELLOW, Scene
from motorworks.geometry.array import Array

_FAR_M = 60.0
_SPEED_MPS = 15.0
_ROOM_M = 4.0
NUM_ROAD = 49  # see SceneCodec.encode_road


@dataclass(frozen=True, kw_only=True)
class SceneCodec:
    """Every entry lies within about [-2, 2]; a distance that is far or absent saturates at 1."""

    num_agents: int = 12
    path_stride: int = 3  # of the 2 m path points

    def encode(self, scene: Scene) -> Float32[Array, "batch feature"]:
        """Ego, route, rooms, right of way, lead and the nearest agents, in that order."""
        return np.concatenate([self.encode_road(scene), self._around(scene)], -1, dtype=np.float32)

    def encode_road(self, scene: Scene) -> Float32[Array, "batch road"]:
        """The first part of `encode`, without the agents around: where the road goes, what is ahead, what to stop for."""
        curvature = np.clip(scene.path_curvature_per_m[:, :: self.path_stride] * 10, -2, 2)
        columns = np.stack([*_ego_and_route(scene), *_right_of_way(scene), *_lead(scene)], -1)
        return np.concatenate([columns, curvature], -1).astype(np.float32)

    def _around(self, scene: Scene) -> Array:
        agents, valid = self._nearest(scene)
        x, y, yaw, speed, length, width, kind, rate = (agents[..., i] for i in range(8))
        features = [
            np.clip(x, -_FAR_M, _FAR_M) / 30,
            np.clip(y, -_FAR_M / 2, _FAR_M / 2) / 15,
            np.cos(yaw),
            np.sin(yaw),
            np.clip(speed, -2 * _SPEED_MPS, 2 * _SPEED_MPS) / _SPEED_MPS,
            np.clip(length, 0, 20) / 10,
            np.clip(width, 0, 4) / 2,
            np.clip(rate, -1, 1),
            kind == EMERGENCY,
            kind == CYCLIST,
            (kind >= FIRST_WALKER) & (kind < FIRST_OBJECT),
            kind == CHILD,
            kind >= FIRST_OBJECT,
        ]
        around = np.stack(features, -1)
        return np.concatenate([around * valid[..., None], valid[..., None]], -1).reshape(len(valid), -1)

    def _nearest(self, scene: Scene) -> tuple[Array, Array]:
        """The nearest agents in order of distance, padded to the codec's count."""
        missing = self.num_agents - scene.agents_valid.shape[1]
        agents, valid = scene.agents_rig, scene.agents_valid
        if missing > 0:
            agents, valid = np.pad(agents, ((0, 0), (0, missing), (0, 0))), np.pad(valid, ((0, 0), (0, missing)))
        distance = np.where(valid, np.hypot(agents[..., 0], agents[..., 1]), np.inf)
        order = np.argsort(distance, axis=1, kind="stable")[:, : self.num_agents]
        return np.take_along_axis(agents, order[..., None], 1), np.take_along_axis(valid, order, 1)


def _near(distance_m: Array, far_m: float = _FAR_M) -> Array:
    return np.minimum(distance_m, far_m) / far_m


def _braking(scene: Scene, distance_m: Array) -> Array:
    """Deceleration that would stop there, over a hard 5 m/s2."""
    return np.clip(scene.speed_mps**2 / (2 * np.maximum(distance_m, 0.5)) / 5, 0, 2)


def _ego_and_route(scene: Scene) -> list[Array]:
    return [
        scene.speed_mps / _SPEED_MPS,
        scene.speed_limit_mps / _SPEED_MPS,
        (scene.speed_mps - scene.speed_limit_mps) / _SPEED_MPS,
        np.clip(scene.lateral_offset_m, -4, 4) / 2,
        np.clip(scene.heading_error_rad, -1, 1) * 2,
        np.clip(scene.curvature_per_m * 10, -2, 2),
        _near(scene.remaining_m),
        np.clip(scene.left_room_m, 0, 2 * _ROOM_M) / _ROOM_M,
        np.clip(scene.left_own_m, 0, 2 * _ROOM_M) / _ROOM_M,
        np.clip(scene.right_room_m, 0, 2 * _ROOM_M) / _ROOM_M,
    ]


def _right_of_way(scene: Scene) -> list[Array]:
    return [
        _near(scene.junction_gap_m),
        _near(scene.junction_gap_m, 8.0),
        _braking(scene, scene.junction_gap_m),
        scene.junction_blocked,
        scene.turn == 1,
        scene.turn == -1,
        *(scene.light == light for light in (GREEN, YELLOW, RED)),
        _near(scene.stop_gap_m),
        _near(scene.stop_gap_m, 8.0),
        _braking(scene, scene.stop_gap_m),
        np.isfinite(scene.stop_gap_m),
        *(scene.stop_cause == cause for cause in range(1, len(STOP_CAUSES))),
        _near(scene.siren_gap_m),
        np.isfinite(scene.siren_gap_m),
    ]


def _lead(scene: Scene) -> list[Array]:
    return [
        _near(scene.lead_gap_m),
        _near(scene.lead_gap_m, 8.0),
        _braking(scene, scene.lead_gap_m),
        np.isfinite(scene.lead_gap_m),
        np.where(np.isfinite(scene.lead_gap_m), np.clip(scene.lead_speed_mps, -2 * _SPEED_MPS, 2 * _SPEED_MPS), _SPEED_MPS) / _SPEED_MPS,
    ]

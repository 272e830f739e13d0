"""Scenes made by hand."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from motorworks.datatypes.agent import CAR
from motorworks.datatypes.scene import NUM_NEAREST, NUM_PATH_POINTS, PATH_SPACING_M, Scene


def make_scene(agents: list[list[float]] | None = None, *, curvature_per_m: float = 0.0, **overrides: Any) -> Scene:
    """One scene on an arc at 8 m/s in a lane of a 1+1 road. `agents`: x y yaw speed (length width kind yaw_rate), a car by default."""
    s = PATH_SPACING_M * np.arange(NUM_PATH_POINTS)
    yaw = curvature_per_m * s
    path = np.stack([np.sin(yaw) / curvature_per_m, (1 - np.cos(yaw)) / curvature_per_m], -1) if curvature_per_m else np.stack([s, 0 * s], -1)
    rows = np.zeros((1, NUM_NEAREST, 8))
    valid = np.zeros((1, NUM_NEAREST), np.bool_)
    for i, agent in enumerate(agents or ()):
        rows[0, i] = [*agent, *[4.6, 1.85, CAR, 0.0][len(agent) - 4 :]]
        valid[0, i] = True
    far = np.inf
    one: dict[str, float] = {
        "lateral_offset_m": 0.0,
        "heading_error_rad": 0.0,
        "speed_mps": 8.0,
        "curvature_per_m": curvature_per_m,
        "speed_limit_mps": 10.0,
        "remaining_m": 300.0,
        "left_room_m": 5.25,
        "left_own_m": 1.75,
        "right_room_m": 1.75,
        "junction_gap_m": far,
        "stop_gap_m": far,
        "siren_gap_m": far,
        "lead_gap_m": far,
        "lead_speed_mps": 0.0,
    }
    kinds: dict[str, tuple[float, type]] = {
        "junction_blocked": (0, np.bool_),
        "turn": (0, np.int64),
        "light": (0, np.int64),
        "stop_cause": (0, np.int64),
    }
    fields: dict[str, Any] = {name: np.array([overrides.pop(name, value)], np.float64) for name, value in one.items()}
    fields |= {name: np.array([overrides.pop(name, value)], kind) for name, (value, kind) in kinds.items()}
    if overrides:
        raise TypeError(f"make_scene: no such scene field: {sorted(overrides)}")
    e, psi = fields["lateral_offset_m"][0], fields["heading_error_rad"][0]
    x, y = path[:, 0], path[:, 1] - e
    path = np.stack([np.cos(psi) * x + np.sin(psi) * y, -np.sin(psi) * x + np.cos(psi) * y], -1)
    return Scene(
        path_rig_m=path[None], path_curvature_per_m=np.full((1, NUM_PATH_POINTS), curvature_per_m), agents_rig=rows, agents_valid=valid, **fields
    )  # fmt: skip


@pytest.fixture
def scene_with() -> Callable[..., Scene]:
    """`make_scene`."""
    return make_scene

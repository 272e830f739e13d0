"""SceneCodec: bounded whatever the scene, and what it must tell apart."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from motorworks.datatypes.scene import NUM_NEAREST, NUM_PATH_POINTS, Scene
from motorworks.tokens.scene import SceneCodec

CODEC = SceneCodec()
FLOATS = [
    "lateral_offset_m",
    "heading_error_rad",
    "speed_mps",
    "curvature_per_m",
    "speed_limit_mps",
    "remaining_m",
    "left_room_m",
    "left_own_m",
    "right_room_m",
    "junction_gap_m",
    "stop_gap_m",
    "siren_gap_m",
    "lead_gap_m",
    "lead_speed_mps",
]


def _scene(seed: int, batch: int = 3) -> Scene:
    rng = np.random.default_rng(seed)
    values = {name: np.where(rng.random(batch) < 0.3, np.inf, rng.uniform(0, 30, batch)) for name in FLOATS}
    for name in ("lateral_offset_m", "heading_error_rad", "curvature_per_m", "speed_mps", "speed_limit_mps", "lead_speed_mps"):
        values[name] = rng.uniform(0, 2, batch)
    agents = rng.normal(0, 20, (batch, NUM_NEAREST, 8))
    agents[..., 6] = rng.integers(0, 11, (batch, NUM_NEAREST))
    return Scene(
        path_rig_m=rng.normal(size=(batch, NUM_PATH_POINTS, 2)),
        path_curvature_per_m=rng.normal(size=(batch, NUM_PATH_POINTS)),
        junction_blocked=rng.random(batch) < 0.5,
        turn=rng.integers(-1, 2, batch),
        light=rng.integers(0, 4, batch),
        stop_cause=rng.integers(0, 6, batch),
        agents_rig=agents,
        agents_valid=rng.random((batch, NUM_NEAREST)) < 0.7,
        **values,
    )


@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=30)
def test_bounded(seed: int) -> None:
    features = CODEC.encode(_scene(seed))
    assert features.dtype == np.float32 and np.isfinite(features).all() and np.abs(features).max() <= 4.0


def test_light_line_siren_and_kind_are_told_apart() -> None:
    scene = _scene(1, 1)
    scene = replace(scene, agents_valid=np.ones_like(scene.agents_valid))
    changes = [
        {"light": np.array([k])} for k in range(4)
    ] + [{"stop_cause": np.array([k]), "light": np.array([0])} for k in range(1, 6)] + [{"siren_gap_m": np.array([7.0])}]  # fmt: skip
    for kind in (0, 4, 5, 6, 7, 8):
        agents = scene.agents_rig.copy()
        agents[..., 6] = kind
        changes.append({"agents_rig": agents})
    rows = {CODEC.encode(replace(scene, **change)).tobytes() for change in changes}
    assert len(rows) >= len(changes) - 2  # some of the changes are the scene itself


def test_the_nearest_come_first_and_the_rest_is_dropped() -> None:
    scene = _scene(2, 1)
    shuffled = np.random.default_rng(0).permutation(NUM_NEAREST)
    other = replace(scene, agents_rig=scene.agents_rig[:, shuffled], agents_valid=scene.agents_valid[:, shuffled])
    assert np.array_equal(CODEC.encode(scene), CODEC.encode(other))

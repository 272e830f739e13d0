"""Tiny recordings of each foreign layout, made on the spot."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from motorworks.datatypes.clip import Clip, Motion
from motorworks.datatypes.thought import Thought


@pytest.fixture
def make_tub(tmp_path: Path, write_tub: Callable[..., Path]) -> Callable[..., Path]:
    """`make_tub(name, ...)` writes a Donkeycar v2 tub in the test's own folder."""
    return lambda name="tub", num=100, **options: write_tub(tmp_path / name, num, **options)


@pytest.fixture
def make_segment(tmp_path: Path) -> Callable[..., Path]:
    """`make_segment()` writes a comma2k19 segment: 5 s at 20 Hz, an arc at 10 m/s turning left at 0.1 rad/s, seen by a device 0.02 rad askew."""

    def make(name: str = "0", route: str = "route_a", num: int = 100, edit: Callable[[dict[str, np.ndarray]], object] | None = None) -> Path:
        segment = tmp_path / route / name
        (segment / "global_pose").mkdir(parents=True)
        times = 1000.0 + np.arange(num) * 0.05
        yaw = 0.3 + 0.1 * (times - times[0])
        radius_m, ahead_m = 100.0, 1.6
        rear = np.stack([radius_m * (np.sin(yaw) - np.sin(yaw[0])), -radius_m * (np.cos(yaw) - np.cos(yaw[0])), 0 * yaw], -1)
        enu_m = rear + ahead_m * np.stack([np.cos(yaw), np.sin(yaw), 0 * yaw], -1)
        velocity = 10.0 * np.stack([np.cos(yaw), np.sin(yaw), 0 * yaw], -1)
        # on the equator at longitude 0: east = +y, north = +z, up = +x
        ecef_from_enu = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
        device = yaw + 0.02
        forward = np.stack([np.cos(device), np.sin(device), 0 * yaw], -1) @ ecef_from_enu.T
        down = np.broadcast_to(ecef_from_enu @ [0.0, 0.0, -1.0], forward.shape)
        rotation = np.stack([forward, np.cross(down, forward), down], axis=-1)
        arrays = {
            "frame_times": times,
            "frame_positions": [6378137.0, 0, 0] + enu_m @ ecef_from_enu.T,
            "frame_orientations": Rotation.from_matrix(rotation).as_quat(scalar_first=True),
            "frame_velocities": velocity @ ecef_from_enu.T,
        }
        if edit:
            edit(arrays)
        for file, array in arrays.items():
            with (segment / "global_pose" / file).open("wb") as out:
                np.save(out, array)
        return segment

    return make


@pytest.fixture
def make_clip() -> Callable[..., Clip]:
    """`make_clip(num, seed)`: smooth pictures and a real drive of random controls."""

    def make(num: int = 40, seed: int = 0, *, recording_id: str = "r", frames: bool = True, height: int = 24, width: int = 32) -> Clip:
        rng = np.random.default_rng(seed)
        base = np.linspace(0, 200, height * width).reshape(height, width)
        pictures = (base[None, :, :, None] * rng.uniform(0.6, 1, (1, 1, 1, 3)) + np.arange(num)[:, None, None, None]).astype(np.uint8)
        values = rng.normal(size=(3, num)).astype(np.float32)
        motion = Motion(kind="measured", poses_world=rng.normal(size=(num, 3)), speed_mps=values[0], accel_mps2=values[1], curvature_per_m=values[2])
        thoughts = tuple(Thought(decision="stop", cause="a junction is near") if step % 3 else None for step in range(num))
        return Clip(
            recording_id=recording_id,
            source="town",
            body="car",
            licence="CC0-1.0",
            timestamp_us=np.arange(num, dtype=np.int64) * 100_000,
            frames=pictures if frames else None,
            motion=motion,
            instructions=("follow the road",) * num,
            thoughts=thoughts,
            tags=("a",),
        )

    return make

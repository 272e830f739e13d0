"""What a rig's cameras look at, worked out once: for each pixel a point of the ground or a direction of the sky.

A point of the camera's frame (x right, y down, z along the axis) lands at column `cx + f x / z` and row `cy + f y / z`; pixel (u, v) is
centred at (u + 0.5, v + 0.5). *Depth* is z, along the camera's axis.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from motorworks.datatypes.rig import Camera, Rig
from motorworks.geometry.array import Array
from motorworks.sim.codes import PAINT_M_PER_PX

NUM_LEVELS = 48  # of distance on the ground, evenly spaced in its logarithm
NEAREST_M, FARTHEST_M = 1.0, 400.0
NUM_AZIMUTHS, NUM_ELEVATIONS, ELEVATION_STEP_RAD = 1024, 256, np.pi / 720  # of the sky: a quarter of a degree up to 64 degrees
MAX_TAPS = 6
TAP_M = 0.45  # far pixels take about one sample a length of ground this long
NOISE_PX, GRAINS = 256, 16
BEAM_REACH_M = 32.0


class Cameras(NamedTuple):
    """Tables of one rig, by camera. Ground points are in the rig frame and in paint pixels."""

    focal: Array  # [camera]
    centre: Array  # [camera, 2] column, row
    position: Array  # [camera, 3] rig frame, m
    rotation: Array  # [camera, 3, 3] rig_from_camera
    ground: Array  # [camera, row, column, 2] float32: where the middle of the pixel meets the ground
    extent: Array  # [camera, row, column, 4] float32: what the pixel covers along its ray and across it
    taps: Array  # [camera, row, column] uint8: 0 is sky
    level: Array  # [camera, row, column] uint8: distance on the ground, NUM_LEVELS
    reach: Array  # [camera, row] float64: the row's farthest sample from the rig's origin, paint pixels
    sky: Array  # [camera, row, column] int32: elevation step * NUM_AZIMUTHS + azimuth step in the rig frame
    beam: Array  # [camera, row, column] uint8: how much of the rig's own headlights falls there, of 255


def level_m() -> Float[Array, " level"]:
    """Distance of each ground level."""
    return NEAREST_M * (FARTHEST_M / NEAREST_M) ** (np.arange(NUM_LEVELS) / (NUM_LEVELS - 1))


def beam_share(x_rig_m: Array, y_rig_m: Array) -> Array:
    """Light of low-beam headlights at a point ahead of the rig, 0 .. 1."""
    ahead = np.maximum(x_rig_m - 2.0, 0.0)
    across = np.exp(-((y_rig_m / (1.4 + 0.28 * ahead)) ** 2))
    return np.where(x_rig_m > 2.0, across * np.exp(-((ahead / BEAM_REACH_M) ** 2)) * (1.0 - np.exp(-ahead / 2.0)), 0.0)


def _rays(camera: Camera, rows: Array, columns: Array) -> Array:
    """Directions in the rig frame through image positions (px), one unit long along the camera's axis."""
    x = (columns - camera.centre_px[0]) / camera.focal_px
    y = (rows - camera.centre_px[1]) / camera.focal_px
    return np.stack([x, y, np.ones_like(x)], axis=-1) @ camera.rig_from_camera.T


def _meets(camera: Camera, rays: Array) -> Array:
    """Ground points (rig frame, m) of rays; those above the horizon far out along their heading."""
    height = camera.position_rig_m[2]
    far = FARTHEST_M / np.maximum(np.hypot(rays[..., 0], rays[..., 1]), 1e-6)
    depth = np.where(rays[..., 2] < 0, np.minimum(height / np.maximum(-rays[..., 2], 1e-9), far), far)
    return np.asarray(camera.position_rig_m[:2]) + depth[..., None] * rays[..., :2]


def _table_of(camera: Camera) -> dict[str, Array]:
    rows, columns = np.meshgrid(np.arange(camera.height_px) + 0.5, np.arange(camera.width_px) + 0.5, indexing="ij")
    rays = _rays(camera, rows, columns)
    is_ground = rays[..., 2] < -camera.position_rig_m[2] / FARTHEST_M
    middle = _meets(camera, rays)
    along = _meets(camera, _rays(camera, rows - 0.5, columns)) - _meets(camera, _rays(camera, rows + 0.5, columns))
    across = _meets(camera, _rays(camera, rows, columns + 0.5)) - _meets(camera, _rays(camera, rows, columns - 0.5))
    # a pixel at the horizon covers half the town; its middle is what counts
    long = np.linalg.norm(along, axis=-1, keepdims=True)
    along *= np.minimum(1.0, 40.0 / np.maximum(long, 1e-9))
    across *= np.minimum(1.0, 4.0 / np.maximum(np.linalg.norm(across, axis=-1, keepdims=True), 1e-9))
    taps = np.where(is_ground, np.clip(np.round(np.linalg.norm(along, axis=-1) / TAP_M), 1, MAX_TAPS), 0)
    away = np.linalg.norm(middle - np.asarray(camera.position_rig_m[:2]), axis=-1)
    level = np.log(np.maximum(away, NEAREST_M) / NEAREST_M) / np.log(FARTHEST_M / NEAREST_M) * (NUM_LEVELS - 1)
    covers = np.linalg.norm(middle, axis=-1) + np.linalg.norm(along, axis=-1) + np.linalg.norm(across, axis=-1)
    elevation = np.arctan2(rays[..., 2], np.hypot(rays[..., 0], rays[..., 1])) / ELEVATION_STEP_RAD
    azimuth = np.arctan2(rays[..., 1], rays[..., 0]) / (2 * np.pi) * NUM_AZIMUTHS
    sky = np.clip(elevation, 0, NUM_ELEVATIONS - 1).astype(np.int32) * NUM_AZIMUTHS + (azimuth.astype(np.int32) & (NUM_AZIMUTHS - 1))
    return {
        "ground": (middle / PAINT_M_PER_PX).astype(np.float32),
        "extent": (np.concatenate([along, across], axis=-1) / PAINT_M_PER_PX).astype(np.float32),
        "taps": taps.astype(np.uint8),
        "level": np.clip(np.round(level), 0, NUM_LEVELS - 1).astype(np.uint8),
        "reach": np.where(is_ground, covers, 0.0).max(axis=1) / PAINT_M_PER_PX,
        "sky": sky.astype(np.int32),
        "beam": np.round(255 * beam_share(middle[..., 0], middle[..., 1])).astype(np.uint8),
    }


@lru_cache(maxsize=8)
def camera_tables(rig: Rig) -> Cameras:
    """Tables of every camera of the rig; about 1 MB a camera at 256x144."""
    tables = [_table_of(camera) for camera in rig.cameras]
    return Cameras(
        focal=np.array([camera.focal_px for camera in rig.cameras]),
        centre=np.array([camera.centre_px for camera in rig.cameras]),
        position=np.array([camera.position_rig_m for camera in rig.cameras], np.float64),
        rotation=np.stack([np.ascontiguousarray(camera.rig_from_camera) for camera in rig.cameras]),
        **{name: np.ascontiguousarray(np.stack([table[name] for table in tables])) for name in tables[0]},
    )


class Textures(NamedTuple):
    """Patterns that are the same everywhere."""

    grain: Array  # [NOISE_PX * NOISE_PX] uint8, 0 .. GRAINS - 1: tiling blotches
    clouds: Array  # [NUM_ELEVATIONS * NUM_AZIMUTHS] uint8, 0 .. GRAINS - 1
    static: Array  # [4096 + 65536] int8: normal noise, standard deviation 24, of a sensor


def _grain() -> UInt8[Array, " pixel"]:
    rng = np.random.default_rng(5)
    coarse = np.kron(rng.standard_normal((NOISE_PX // 8, NOISE_PX // 8)), np.ones((8, 8)))
    middle = np.kron(rng.standard_normal((NOISE_PX // 2, NOISE_PX // 2)), np.ones((2, 2)))
    return np.clip(8 + 1.5 * coarse + 1.5 * middle + 1.5 * rng.standard_normal((NOISE_PX, NOISE_PX)), 0, GRAINS - 1).astype(np.uint8).ravel()


def _clouds() -> UInt8[Array, " direction"]:
    """A layer of clouds seen from below: noise on a plane overhead, so that they flatten towards the horizon."""
    rng = np.random.default_rng(11)
    elevation = np.maximum(np.arange(NUM_ELEVATIONS) + 0.5, 2.0) * ELEVATION_STEP_RAD
    azimuth = np.arange(NUM_AZIMUTHS) / NUM_AZIMUTHS * 2 * np.pi
    radius = (1.0 / np.tan(elevation + 0.06))[:, None]
    x, y = radius * np.cos(azimuth), radius * np.sin(azimuth)
    total = np.zeros(x.shape)
    for octave, strength in ((0.8, 1.0), (1.7, 0.6), (3.9, 0.33), (8.3, 0.2)):
        for _ in range(3):
            heading, phase, bend = rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi, 2), rng.uniform(0.7, 1.3)
            along = np.cos(heading) * x + np.sin(heading) * y
            across = -np.sin(heading) * x + np.cos(heading) * y
            fade = np.exp(-((octave * radius / 14.0) ** 2))
            total += strength * fade * np.sin(octave * along + phase[0] + 1.2 * np.sin(bend * octave * across + phase[1]))
    return np.clip(GRAINS / 2 + 2.2 * total, 0, GRAINS - 1).astype(np.uint8).ravel()


@lru_cache(maxsize=1)
def textures() -> Textures:
    """Made once, 0.1 s."""
    static = np.clip(np.random.default_rng(17).standard_normal(4096 + 65536) * 24, -96, 96).astype(np.int8)
    return Textures(grain=_grain(), clouds=_clouds(), static=static)

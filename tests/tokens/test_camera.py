"""CameraCodec: the numbers follow the pictures, through crop and scale."""

import numpy as np
import pytest

from motorworks.datatypes.rig import FRONT, SURROUND7, Camera
from motorworks.tokens.camera import NUM_CAMERA, CameraCodec
from motorworks.tokens.image import ImageCodec

ROLLED = Camera(
    name="c",
    width_px=320,
    height_px=240,
    focal_px=200.0,
    centre_px=(150.0, 130.0),
    position_rig_m=(0.5, 0.3, 1.2),
    yaw_rad=0.7,
    pitch_rad=0.1,
    roll_rad=-0.2,
)
WIDE = Camera(name="w", width_px=300, height_px=100, focal_px=120.0, centre_px=(155.0, 45.0), position_rig_m=(0.5, 0.3, 1.2), yaw_rad=-2.0)


def test_the_towns_front_camera_is_halved_below_its_sky():
    (row,) = CameraCodec().encode(FRONT.cameras)
    # 256x144 at focal 140 and centre (128, 60): 16 rows of sky go, the rest is halved; forward is the rig's x, right is -y, down is -z
    assert row.tolist() == pytest.approx([70, 70, 64, 22, 1.4, 0, 1.5, 0, 0, 1, -1, 0, 0, 0, -1, 0])


@pytest.mark.parametrize("camera", [ROLLED, WIDE, *SURROUND7.cameras[1:3]])
def test_a_point_lands_in_the_models_picture_where_the_numbers_say(camera: Camera):
    row = CameraCodec().encode([camera])[0].astype(np.float64)
    rotation = row[7:].reshape(3, 3)
    point = camera.rig_from_camera @ [0.6, 0.1, 6.0] + camera.position_rig_m
    x, y, z = camera.rig_from_camera.T @ (point - camera.position_rig_m)
    full = np.array([camera.centre_px[0] + camera.focal_px * x / z, camera.centre_px[1] + camera.focal_px * y / z])
    picture = np.zeros((camera.height_px, camera.width_px, 3), np.uint8)
    at_row, at_column = int(full[1]), int(full[0])
    picture[at_row - 3 : at_row + 4, at_column - 3 : at_column + 4] = 255
    small = ImageCodec().encode(picture)[..., 0].astype(np.float64)
    spots = (np.array(np.meshgrid(np.arange(128), np.arange(64))) + 0.5) * small
    seen = spots.sum(axis=(1, 2)) / small.sum()  # centre of the spot: column, row
    x, y, z = rotation.T @ (point - row[4:7])
    assert np.abs(row[2:4] + row[:2] * [x / z, y / z] - seen).max() < 0.5


def test_a_mirrored_camera_sees_the_mirrored_point_in_the_mirrored_column():
    rows = CameraCodec().encode([ROLLED, None])
    mirrored = CameraCodec().mirror(rows)
    assert not rows[1].any() and not mirrored[1].any() and np.array_equal(CameraCodec().mirror(mirrored), rows)

    def pixel(row, point):
        x, y, z = row[7:].reshape(3, 3).T @ (point - row[4:7])
        return row[2:4] + row[:2] * [x / z, y / z]

    point = np.array([8.0, 5.0, 1.0])
    column, line = pixel(rows[0], point)
    assert pixel(mirrored[0], point * [1, -1, 1]) == pytest.approx([128 - column, line], abs=1e-3)
    assert rows.shape == (2, NUM_CAMERA)

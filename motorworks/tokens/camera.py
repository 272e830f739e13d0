"""A camera's calibration as numbers: what the model is told of where a picture was taken from, and which way each of its pixels looks."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32

from motorworks.datatypes.rig import Camera
from motorworks.geometry.array import Array
from motorworks.tokens.image import ImageCodec

NUM_CAMERA = 16  # focal x y, centre x y (px of the model's picture), position x y z (m), rotation (rig_from_camera, row by row)


@dataclass(frozen=True, kw_only=True)
class CameraCodec:
    """Of the pictures that `image` makes: its crop and its scale are followed, so the numbers do not depend on a recording's resolution.

    All zeros means that nothing is known of a camera.
    """

    image: ImageCodec = field(default_factory=ImageCodec)

    def encode(self, cameras: Sequence[Camera | None]) -> Float32[Array, "camera 16"]:
        """A row for each camera, in the order given."""
        rows = np.zeros((len(cameras), NUM_CAMERA), np.float32)
        for row, camera in zip(rows, cameras, strict=True):
            if camera is not None:
                row[:] = self._numbers(camera)
        return rows

    def _numbers(self, camera: Camera) -> list[float]:
        top, left, height, width = self.image.crop_px(camera.height_px, camera.width_px)
        across, down = self.image.width_px / width, self.image.height_px / height
        focal = (camera.focal_px * across, camera.focal_px * down)
        centre = ((camera.centre_px[0] - left) * across, (camera.centre_px[1] - top) * down)
        return [*focal, *centre, *camera.position_rig_m, *camera.rig_from_camera.ravel()]

    def mirror(self, rows: Float32[Array, "*batch 16"]) -> Float32[Array, "*batch 16"]:
        """Of the mirrored pictures: left and right swapped in the rig and in the picture."""
        mirrored = rows.copy()
        known = rows[..., 0] > 0
        mirrored[..., 2] = np.where(known, self.image.width_px - rows[..., 2], 0)
        mirrored[..., 5] *= -1
        # rig_from_camera between two mirrors, diag(1, -1, 1) of the rig and diag(-1, 1, 1) of the camera
        mirrored[..., 7:] *= np.outer([1, -1, 1], [-1, 1, 1]).ravel().astype(np.float32)
        return mirrored

"""The town's camera as pictures of a drive see it."""

from motorworks.factory.report.strips import GroundCamera
from motorworks.sim import camera as town


def town_camera() -> GroundCamera:
    """The town's forward camera, as one that can paint on its road."""
    return GroundCamera(
        focal_px=town.FOCAL_PX,
        centre_px=(town.CX_PX, town.CY_PX),
        height_m=town.CAMERA_HEIGHT_M,
        ahead_m=town.CAMERA_AHEAD_M,
        width_px=town.WIDTH_PX,
        height_px=town.HEIGHT_PX,
    )

"""The town's camera as pictures of a drive see it."""

from motorworks.datatypes.rig import FRONT
from motorworks.factory.report.strips import GroundCamera


def town_camera() -> GroundCamera:
    """The town's forward camera, as one that can paint on its road."""
    camera = FRONT.cameras[0]
    ahead_m, _, height_m = camera.position_rig_m
    return GroundCamera(
        focal_px=camera.focal_px,
        centre_px=camera.centre_px,
        height_m=height_m,
        ahead_m=ahead_m,
        width_px=camera.width_px,
        height_px=camera.height_px,
        pitch_rad=camera.pitch_rad,
    )

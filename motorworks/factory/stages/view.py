"""The town's camera as the report's pictures and the drive's video see it."""

from motorworks.factory.report.strips import GroundCamera
from motorworks.sim import camera

TOWN_CAMERA = GroundCamera(
    focal_px=camera.FOCAL_PX, centre_px=(camera.CX_PX, camera.CY_PX), height_m=camera.CAMERA_HEIGHT_M, ahead_m=camera.CAMERA_AHEAD_M,
    width_px=camera.WIDTH_PX, height_px=camera.HEIGHT_PX,
)  # fmt: skip

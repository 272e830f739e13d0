"""A camera rig by its calibration: pinholes without distortion, each fixed to the body."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from motorworks.geometry.array import Array


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Intrinsics in pixels; extrinsics in the rig frame: position, then yaw (left positive), pitch (down positive), roll (right side down)."""

    name: str
    width_px: int
    height_px: int
    focal_px: float
    centre_px: tuple[float, float]  # column, row
    position_rig_m: tuple[float, float, float]
    yaw_rad: float = 0.0
    pitch_rad: float = 0.0
    roll_rad: float = 0.0

    def __post_init__(self) -> None:
        if min(self.width_px, self.height_px, self.focal_px, self.position_rig_m[2]) <= 0:
            raise ValueError(f"camera {self.name}: size, focal length and height above the ground must be positive: {self}")

    @property
    def rig_from_camera(self) -> Float[Array, "3 3"]:
        """Rotation: columns are the camera's right, down and forward axes in the rig frame."""
        cy, sy, cp, sp, cr, sr = (f(a) for a in (self.yaw_rad, self.pitch_rad, self.roll_rad) for f in (np.cos, np.sin))
        yaw = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1.0]])
        pitch = np.array([[cp, 0, sp], [0, 1.0, 0], [-sp, 0, cp]])
        roll = np.array([[1.0, 0, 0], [0, cr, -sr], [0, sr, cr]])
        looks = np.array([[0, 0, 1.0], [-1.0, 0, 0], [0, -1.0, 0]])
        return yaw @ pitch @ roll @ looks


@dataclass(frozen=True, kw_only=True)
class Rig:
    """Cameras in order; the first is the one that looks ahead, which every policy sees. All of one size."""

    name: str
    cameras: tuple[Camera, ...]

    def __post_init__(self) -> None:
        sizes = {(camera.width_px, camera.height_px) for camera in self.cameras}
        if len(sizes) != 1:
            raise ValueError(f"rig {self.name}: cameras need one common size, got {sorted(sizes)}")


def _camera(name: str, x: float, y: float, z: float, yaw_deg: float, focal_px: float = 140.0, row: float = 60.0) -> Camera:
    return Camera(
        name=name,
        width_px=256,
        height_px=144,
        focal_px=focal_px,
        centre_px=(128.0, row),
        position_rig_m=(x, y, z),
        yaw_rad=float(np.deg2rad(yaw_deg)),
    )


_FRONT = _camera("front", 1.4, 0.0, 1.5, 0.0)
FRONT = Rig(name="front", cameras=(_FRONT,))
FRONT3 = Rig(name="front3", cameras=(_FRONT, _camera("front_left", 1.4, 0.4, 1.5, 55.0), _camera("front_right", 1.4, -0.4, 1.5, -55.0)))
SURROUND7 = Rig(
    name="surround7",
    cameras=(
        *FRONT3.cameras,
        _camera("tele", 1.4, 0.0, 1.5, 0.0, focal_px=330.0, row=68.0),
        _camera("rear_left", 1.0, 0.7, 1.3, 125.0),
        _camera("rear_right", 1.0, -0.7, 1.3, -125.0),
        _camera("rear", -0.8, 0.0, 1.2, 180.0),
    ),
)
RIGS = {rig.name: rig for rig in (FRONT, FRONT3, SURROUND7)}


def rig_of(num_views: int) -> Rig:
    """The smallest of ours with so many cameras."""
    for rig in RIGS.values():
        if len(rig.cameras) >= num_views:
            return rig
    raise ValueError(f"num_views {num_views}: the largest rig, {SURROUND7.name}, has {len(SURROUND7.cameras)} cameras")

"""How good a reprojection is, against pictures taken from where it claims to look."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from motorworks.datatypes.rig import Camera
from motorworks.geometry.array import Array
from motorworks.geometry.se2 import compose
from motorworks.sim.replay_warp import flat_disparity, plan_move, reproject

METHODS = ("none", "flat", "deep")
# picture and depth along the axis, as seen by the camera of an ego at a world pose
Render = Callable[[Float[Array, " 3"]], tuple[UInt8[Array, "height width 3"], Float[Array, "height width"]]]


@dataclass(frozen=True, kw_only=True)
class WarpError:
    """Of one kind of move, over many pictures."""

    method: str  # one of METHODS
    offset: tuple[float, float, float]  # x_m y_m yaw_rad from the recorded rig
    psnr_db: float  # of the mean squared error over all pictures
    ground_db: float  # over pixels of the flat ground alone
    upright_db: float  # over pixels of what stands up from it
    unseen_frac: float
    num: int


def psnr_db(a: UInt8[Array, "*shape"], b: UInt8[Array, "*shape"]) -> float:
    """Peak signal to noise; inf for equal pictures."""
    return _db((a.astype(np.float64) - b) ** 2)


def _db(squared: Float[Array, " pixel"]) -> float:
    """Of squared errors; NaN for no pixels, inf for no error."""
    mean = float(squared.mean()) if squared.size else float("nan")
    return float("inf") if mean == 0.0 else 10.0 * float(np.log10(255.0**2 / mean))


def _stands(camera: Camera, depth_m: Float[Array, "height width"]) -> Bool[Array, "height width"]:
    """Pixels nearer than the empty ground (or sky) would be, by 5 %."""
    with np.errstate(divide="ignore"):
        ground_m = 1.0 / flat_disparity(camera)
    return depth_m < 0.95 * np.minimum(ground_m, 1e9)


def reprojection_errors(
    render: Render, camera: Camera, poses_world: Sequence[Float[Array, " 3"]], offsets: Sequence[tuple[float, float, float]]
) -> list[WarpError]:
    """Each picture is taken at a pose, moved by each offset (rig frame) and compared with the picture taken there."""
    taken = [render(np.asarray(pose)) for pose in poses_world]
    rows = []
    for offset in offsets:
        move = plan_move(camera, camera, np.array(offset))
        squares: dict[str, list[Array]] = {method: [] for method in METHODS}
        unseen, upright = dict.fromkeys(METHODS, 0.0), []
        for pose, (picture, depth_m) in zip(poses_world, taken, strict=True):
            truth, truth_depth_m = render(compose(np.asarray(pose), np.array(offset)))
            upright.append(_stands(camera, truth_depth_m))
            for method in METHODS:
                seen, share = (picture, 0.0) if method == "none" else reproject(picture, camera, move, depth_m=depth_m if method == "deep" else None)
                squares[method].append(((seen.astype(np.float64) - truth) ** 2).mean(axis=-1))
                unseen[method] += share / len(taken)
        stands = np.stack(upright)
        ground = ~stands & (np.arange(camera.height_px) > camera.centre_px[1])[:, None]
        for method in METHODS:
            whole, on_ground, on_upright = (_db(np.stack(squares[method])[part]) for part in (..., ground, stands))
            rows.append(
                WarpError(
                    method=method,
                    offset=offset,
                    psnr_db=whole,
                    ground_db=on_ground,
                    upright_db=on_upright,
                    unseen_frac=unseen[method],
                    num=len(taken),
                )
            )
    return rows

"""Real pictures with poses and lidar to test reprojection on: scenes in TRI's Dataset Governance Policy layout (github TRI-ML/dgp).

At one sample a second this is no clip; it is read here only to be measured. Their frames: the vehicle's is ours (x forward, y left, z up, origin on
the ground, as the lidar's ground returns at z = 0.1 m show); a camera's pose is in the world, quaternions are w x y z.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from motorworks.clips.readers.dgp import matrix_of
from motorworks.datatypes.rig import Camera
from motorworks.geometry.array import Array
from motorworks.geometry.kernel import kernel
from motorworks.sim.replay_check import psnr_db
from motorworks.sim.replay_warp import Move, flat_disparity_of, reproject

SPREAD_PX = 6  # how far a lidar return speaks for the pixels around it, at 484 pixels width
GROUND_BAND_M = 0.3
OWN_BODY_M = 5.0  # nearer ground than this may be hidden by the vehicle's own bonnet, which travels along: left out of every comparison


@dataclass(frozen=True, kw_only=True)
class View:
    """One picture, where its camera stood in the world, and the lidar sweep nearest in time."""

    scene: str
    camera: Camera  # its rotation in the rig is not used here: `world_from_camera` is the whole of it
    time_us: int
    picture: UInt8[Array, "height width 3"]
    world_from_camera: Float[Array, "4 4"]
    points_world_m: Float[Array, "point 3"]
    up_world: Float[Array, " 3"]  # normal of the ground around the vehicle
    height_m: float  # of the camera above that ground


@dataclass(frozen=True, kw_only=True)
class RealWarpError:
    """One picture moved to where another real one was taken, against that one, over the pixels the recording saw."""

    scene: str
    camera: str
    moved_m: float
    none_db: float
    flat_db: float
    deep_db: float
    seen_frac: float


def _ground(points_m: Float[Array, "point 3"]) -> Float[Array, " 3"]:
    """a, b, c of the plane z = a x + b y + c through the low returns within 15 m (least squares, twice, on what lies near it)."""
    near = points_m[(np.hypot(points_m[:, 0], points_m[:, 1]) < 15.0) & (np.abs(points_m[:, 2]) < 0.5)]
    plane = np.array([0.0, 0.0, float(np.median(near[:, 2]))])
    for band_m in (GROUND_BAND_M, GROUND_BAND_M / 3):
        flat = near[np.abs(near[:, :2] @ plane[:2] + plane[2] - near[:, 2]) < band_m]
        plane = np.linalg.lstsq(np.column_stack([flat[:, :2], np.ones(len(flat))]), flat[:, 2], rcond=None)[0]
    return plane


def read_views(folder: Path, *, width_px: int = 484) -> list[View]:
    """All pictures of one scene folder, shrunk to `width_px`; ValueError names what is not there."""
    documents = sorted(folder.glob("scene_*.json"))
    if not documents:
        raise ValueError(f"{folder}: no scene_*.json; give one scene's folder of a DGP dataset")
    scene = json.loads(documents[0].read_text())
    data = {entry["key"]: entry for entry in scene["data"]}
    views = []
    for sample in scene["samples"]:
        calibration = json.loads((folder / "calibration" / f"{sample['calibration_key']}.json").read_text())
        intrinsics = dict(zip(calibration["names"], calibration["intrinsics"], strict=True))
        entries = [data[key] for key in sample["datum_keys"]]
        sweep = next(entry["datum"]["point_cloud"] for entry in entries if "point_cloud" in entry["datum"])
        points_m = np.load(folder / sweep["filename"])["data"][:, :3]
        world_from_rig, plane = matrix_of(sweep["pose"]), _ground(points_m)
        up = world_from_rig[:3, :3] @ (np.array([-plane[0], -plane[1], 1.0]) / np.hypot(1.0, np.hypot(plane[0], plane[1])))
        on_ground = world_from_rig[:3, :3] @ (0.0, 0.0, plane[2]) + world_from_rig[:3, 3]
        world_m = points_m @ world_from_rig[:3, :3].T + world_from_rig[:3, 3]
        for entry in entries:
            if "image" not in entry["datum"]:
                continue
            name, image = entry["id"]["name"], entry["datum"]["image"]
            pose, k = matrix_of(image["pose"]), intrinsics[name]
            height_m = float(up @ (pose[:3, 3] - on_ground))
            # one focal length: their fx and fy differ by up to 1 %, so the height is shrunk by a little more
            scale = width_px / image["width"]
            height_px = round(image["height"] * scale * k["fx"] / k["fy"])
            centre = (k["cx"] * scale, k["cy"] * height_px / image["height"])
            with Image.open(folder / image["filename"]) as file:
                picture = np.asarray(file.convert("RGB").resize((width_px, height_px), Image.Resampling.BOX))
            camera = Camera(
                name=name, width_px=width_px, height_px=height_px, focal_px=k["fx"] * scale, centre_px=centre, position_rig_m=(0.0, 0.0, height_m)
            )
            views.append(
                View(
                    scene=folder.name,
                    camera=camera,
                    time_us=int(np.datetime64(entry["id"]["timestamp"].rstrip("Z"), "us").astype(np.int64)),
                    picture=picture,
                    world_from_camera=pose,
                    points_world_m=world_m,
                    up_world=up,
                    height_m=height_m,
                )
            )
    return views


@kernel
def _spread(columns: Any, rows: Any, near: Any, radius: int, distance: Any, disparity: Any) -> None:
    """Every pixel takes the disparity of the nearest return within `radius`; of equally near ones the nearer thing."""
    for i in range(len(near)):
        for v in range(max(rows[i] - radius, 0), min(rows[i] + radius + 1, disparity.shape[0])):
            for u in range(max(columns[i] - radius, 0), min(columns[i] + radius + 1, disparity.shape[1])):
                far = (v - rows[i]) ** 2 + (u - columns[i]) ** 2
                if far < distance[v, u] or (far == distance[v, u] and near[i] > disparity[v, u]):
                    distance[v, u], disparity[v, u] = far, near[i]


def _empty_disparity(view: View) -> Float[Array, "height width"]:
    return flat_disparity_of(view.camera, view.world_from_camera[:3, :3].T @ view.up_world, view.height_m)


def lidar_depth_m(view: View, *, spread_px: int = SPREAD_PX) -> Float[Array, "height width"]:
    """Depth along the axis: the lidar's where a return lies near, the empty ground's or infinity elsewhere."""
    camera = view.camera
    points_m = (view.points_world_m - view.world_from_camera[:3, 3]) @ view.world_from_camera[:3, :3]
    # what lies within noise of the plane is the plane: a road with ripples tears
    above_m = points_m @ (view.world_from_camera[:3, :3].T @ view.up_world) + view.height_m
    points_m = points_m[(points_m[:, 2] > 0.5) & (np.abs(above_m) > 0.1 + 0.01 * points_m[:, 2])]
    columns = np.floor(camera.centre_px[0] + camera.focal_px * points_m[:, 0] / points_m[:, 2]).astype(np.int64)
    rows = np.floor(camera.centre_px[1] + camera.focal_px * points_m[:, 1] / points_m[:, 2]).astype(np.int64)
    inside = (columns >= 0) & (columns < camera.width_px) & (rows >= 0) & (rows < camera.height_px)
    disparity = _empty_disparity(view).astype(np.float64)
    distance = np.full(disparity.shape, np.inf)
    _spread(columns[inside], rows[inside], 1.0 / points_m[inside, 2], spread_px, distance, disparity)
    with np.errstate(divide="ignore"):
        return 1.0 / disparity


def move_between(recorded: View, wanted: View) -> Move:
    """From the wanted view back to the recorded one, all six degrees of freedom; the ground is the recorded one's plane."""
    recorded_from_wanted = np.linalg.inv(recorded.world_from_camera) @ wanted.world_from_camera
    up = wanted.world_from_camera[:3, :3].T @ recorded.up_world
    rise_m = float(recorded.up_world @ (wanted.world_from_camera[:3, 3] - recorded.world_from_camera[:3, 3]))
    return Move(
        rotation=np.ascontiguousarray(recorded_from_wanted[:3, :3]),
        shift=np.ascontiguousarray(recorded_from_wanted[:3, 3]),
        up=np.ascontiguousarray(up),
        height=recorded.height_m + rise_m,
    )


def real_errors(views: list[View], *, least_m: float = 0.5) -> list[RealWarpError]:
    """Each camera's picture moved to its own next and last pose, where the vehicle moved at least `least_m` meanwhile."""
    rows = []
    for recorded in views:
        for wanted in views:
            moved_m = float(np.linalg.norm(wanted.world_from_camera[:3, 3] - recorded.world_from_camera[:3, 3]))
            if wanted.camera.name != recorded.camera.name or wanted.time_us <= recorded.time_us or moved_m < least_m:
                continue
            move, depth_m = move_between(recorded, wanted), lidar_depth_m(recorded)
            flat, _ = reproject(recorded.picture, recorded.camera, move, wanted=wanted.camera)
            deep, _ = reproject(recorded.picture, recorded.camera, move, wanted=wanted.camera, depth_m=depth_m)
            white = np.full_like(recorded.picture, 255)
            white[[0, -1]], white[:, [0, -1]] = 0, 0  # a picture goes on as its edge: black where it was never seen
            seen = reproject(white, recorded.camera, move, wanted=wanted.camera)[0][..., 0] > 128
            seen &= _empty_disparity(wanted) < 1.0 / OWN_BODY_M
            truth = wanted.picture[seen]
            rows.append(
                RealWarpError(
                    scene=recorded.scene,
                    camera=recorded.camera.name,
                    moved_m=moved_m,
                    none_db=psnr_db(recorded.picture[: seen.shape[0]][seen], truth),
                    flat_db=psnr_db(flat[seen], truth),
                    deep_db=psnr_db(deep[seen], truth),
                    seen_frac=float(seen.mean()),
                )
            )
    return rows

"""The same pictures on a GPU: the functions of sim/camera.py, called band by band from a CUDA kernel, into an array that torch sees as it is.

One block a picture, one thread a band of rows; a thread clips every face to its band, so bands share nothing but the picture.
Thin: never run on a GPU so far; the bands are tested on the CPU, the GPU by tests marked `gpu`.
"""

from functools import lru_cache
from typing import Any

import numpy as np

from motorworks.datatypes.rig import Rig
from motorworks.geometry.array import Array
from motorworks.geometry.kernel import kernel
from motorworks.sim import camera_palette as tint
from motorworks.sim.agents import Agents
from motorworks.sim.camera import Scratch, Things, Towns, draw_picture, make_scratch
from motorworks.sim.camera_faces import Canvas
from motorworks.sim.camera_ground import shares
from motorworks.sim.camera_lens import drop_out, is_out, mix, soil_picture
from motorworks.sim.camera_palette import Palettes, empty_palettes, set_palette
from motorworks.sim.camera_tables import Cameras, camera_tables, textures
from motorworks.sim.ground import TownMap
from motorworks.sim.look import FROZEN, Look
from motorworks.sim.shapes import shape_tables

BANDS = 36  # of four rows at 144


@kernel
def band_canvas(frame: Array, picture: int, thread: int, scratch: Scratch, palettes: Palettes, town: int, grain: Array) -> Canvas:
    """The part of the scratch that a thread owns, and the depth that the threads of a picture share."""
    return Canvas(
        frame, scratch.inverse_depth[picture], scratch.tags[picture], scratch.eye[thread], scratch.face[thread], scratch.points[thread],
        scratch.edges[thread], scratch.corners[thread], palettes.tints[town], palettes.fog[town], grain, scratch.rows[thread], scratch.box[thread],
    )  # fmt: skip


@kernel
def shows_dropout(lights: Array, camera: int, clock: int) -> bool:
    """A frozen camera shows its first picture."""
    return is_out(lights, camera) and not (int(lights[tint.DROPOUT_KIND]) == FROZEN and clock == 0)


@kernel
def draw_band(
    picture: int, band: int, bands: int, images: Array, egos: int, poses: Array, cams: Cameras, things: Things, towns: Towns, agents: Agents,
    palettes: Palettes, scratch: Scratch,
) -> None:  # fmt: skip
    """Rows of one picture, before its lens; `picture` counts environments, then cameras."""
    num_cameras = cams.focal.shape[0]
    env, camera = picture // num_cameras, picture % num_cameras
    town, thread = env // egos, picture * bands + band
    lights, frame = palettes.lights[town], images[env, camera]
    if shows_dropout(lights, camera, towns.clock[town]):
        if band == 0:
            drop_out(frame, int(lights[tint.DROPOUT_KIND]), things.textures.static, mix(int(lights[tint.NOISE_SEED]) + 7 * camera, towns.clock[town]))
        return
    canvas = band_canvas(frame, picture, thread, scratch, palettes, town, things.textures.grain.reshape(-1))
    canvas.rows[0], canvas.rows[1], canvas.rows[2] = band * frame.shape[0] // bands, (band + 1) * frame.shape[0] // bands, 0
    draw_picture(
        canvas, scratch.order[thread], scratch.keys[thread], scratch.cover[thread], camera, cams, things, towns, town, poses[env], env - town * egos,
        agents, palettes,
    )  # fmt: skip


@kernel
def soil_band(
    picture: int, band: int, bands: int, images: Array, egos: int, cams: Cameras, things: Things, towns: Towns, palettes: Palettes, scratch: Scratch
) -> None:
    """The lens over rows of one picture, once all its bands are drawn: bloom asks what stands before the sun."""
    num_cameras = cams.focal.shape[0]
    env, camera = picture // num_cameras, picture % num_cameras
    town, thread = env // egos, picture * bands + band
    if shows_dropout(palettes.lights[town], camera, towns.clock[town]):
        return
    canvas = band_canvas(images[env, camera], picture, thread, scratch, palettes, town, things.textures.grain.reshape(-1))
    soil_picture(canvas, palettes.lights[town], camera, things.textures.static)


def band_scratch(num_pictures: int, height_px: int, width_px: int, bands: int = BANDS) -> Scratch:
    """Scratch by picture (depth) and by thread (everything else)."""
    each, small = make_scratch(num_pictures, height_px, width_px), make_scratch(num_pictures * bands, 1, width_px)
    return small._replace(inverse_depth=each.inverse_depth, tags=each.tags)


def _cuda() -> Any:
    try:
        from numba import cuda
    except ImportError as error:
        raise RuntimeError("drawing on a GPU needs the package numba-cuda; install it, or use sim.renderer.Renderer on the CPU") from error
    if not cuda.is_available():
        raise RuntimeError("drawing on a GPU: numba finds no CUDA device; use sim.renderer.Renderer on the CPU")
    return cuda


@lru_cache(maxsize=1)
def _kernel() -> Any:
    cuda = _cuda()

    @cuda.jit
    def draw(draws, bands, images, egos, poses, cams, things, towns, agents, palettes, scratch):  # type: ignore[no-untyped-def]
        picture, band = cuda.blockIdx.x, cuda.threadIdx.x
        if not draws[picture // cams.focal.shape[0]]:
            return
        draw_band(picture, band, bands, images, egos, poses, cams, things, towns, agents, palettes, scratch)
        cuda.syncthreads()
        soil_band(picture, band, bands, images, egos, cams, things, towns, palettes, scratch)

    return draw


def to_device(value: Any) -> Any:
    """A NamedTuple of host arrays, nested as it may be, as the same of device arrays."""
    if isinstance(value, tuple):
        return type(value)(*(to_device(part) for part in value))
    return _cuda().to_device(np.ascontiguousarray(value))


class CudaRenderer:
    """As sim.renderer.Renderer, with pictures that stay on the GPU: `torch.as_tensor(renderer.draw(...))` makes no copy.

    Maps are copied there by `load_maps`, whenever the bank or the slots have changed. Raises RuntimeError where there is no GPU.
    """

    def __init__(self, rig: Rig, num_towns: int, egos_per_town: int = 1, bands: int = BANDS) -> None:
        height, width, cameras = rig.cameras[0].height_px, rig.cameras[0].width_px, len(rig.cameras)
        if height % bands:
            raise ValueError(f"CudaRenderer: {bands} bands do not divide {height} rows evenly")
        self._egos, self._bands, self._pictures = egos_per_town, bands, num_towns * egos_per_town * cameras
        shapes, index = shape_tables()
        self._cams = to_device(camera_tables(rig))
        self._things = to_device(Things(textures=textures(), shapes=shapes, shape_index=index, shares=shares()))
        self._palettes, self._palettes_there = empty_palettes(num_towns), None
        self._scratch = to_device(band_scratch(self._pictures, height, width, bands))
        self._images = to_device(np.zeros((num_towns * egos_per_town, cameras, height, width, 3), np.uint8))
        self._maps: Any = None

    def reset_env(self, town: int, town_map: TownMap, look: Look) -> None:
        """Another map, light and weather in a town; call load_maps before the next draw."""
        set_palette(self._palettes, town, town_map.light_seed, look)
        self._palettes_there = None

    def load_maps(self, towns: Towns) -> None:
        """Copy paint, scenery, signals and slots to the GPU."""
        self._maps = to_device(towns)

    def draw(self, draws: Array, poses: Array, agents: Agents, clock: Array) -> Any:
        """Pictures of all [env, camera, row, column, 3], new for `draws`, as a device array; drawn over by the next call."""
        if self._maps is None:
            raise RuntimeError("CudaRenderer.draw: call load_maps first")
        if self._palettes_there is None:
            self._palettes_there = to_device(self._palettes)
        towns = self._maps._replace(clock=to_device(clock.astype(np.int64)))
        _kernel()[self._pictures, self._bands](
            to_device(draws), self._bands, self._images, self._egos, to_device(poses), self._cams, self._things, towns, to_device(agents),
            self._palettes_there, self._scratch,
        )  # fmt: skip
        return self._images

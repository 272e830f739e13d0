"""The same pictures on a GPU: the functions of sim/camera.py, called band by band from a CUDA kernel, into an array that torch sees as it is.

One block a picture, one thread a band of rows; a thread clips every face to its band, so bands share nothing but the picture.
Thin: never run on a GPU so far; the bands are tested on the CPU, the GPU by tests marked `gpu`.
"""

from typing import Any

from numba import cuda

from motorworks.datatypes.rig import Rig
from motorworks.geometry.array import Array
from motorworks.geometry.kernel import kernel
from motorworks.sim.agents import Agents
from motorworks.sim.bank import PAINT_PX, Bank
from motorworks.sim.camera import Scratch, Things, Towns, canvas_of, draw_picture, make_scratch
from motorworks.sim.camera_lens import drop_out, is_out, soil_picture
from motorworks.sim.camera_palette import Palettes
from motorworks.sim.camera_tables import Cameras
from motorworks.sim.device import need_gpu, send, to_device
from motorworks.sim.ground import TownMap
from motorworks.sim.look import Look
from motorworks.sim.renderer import Renderer

BANDS = 36  # of four rows at 144


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
    if is_out(lights, camera, towns.clock[town]):
        if band == 0:
            drop_out(frame, lights, camera, towns.clock[town], things.textures.static)
        return
    canvas = canvas_of(frame, picture, thread, scratch, palettes, town, things.textures.grain)
    canvas.rows[0], canvas.rows[1], canvas.rows[2] = band * frame.shape[0] // bands, (band + 1) * frame.shape[0] // bands, 0
    draw_picture(
        canvas, scratch.order[thread], scratch.keys[thread], scratch.cover[thread], camera, cams, things, towns, town, poses[env], env - town * egos,
        agents, palettes,
    )  # fmt: skip


@kernel
def soil_band(
    picture: int,
    band: int,
    bands: int,
    images: Array,
    flat: Array,
    egos: int,
    cams: Cameras,
    things: Things,
    towns: Towns,
    palettes: Palettes,
    scratch: Scratch,
) -> None:
    """The lens over rows of one picture, once all its bands are drawn: bloom asks what stands before the sun."""
    num_cameras = cams.focal.shape[0]
    env, camera = picture // num_cameras, picture % num_cameras
    town, thread = env // egos, picture * bands + band
    if is_out(palettes.lights[town], camera, towns.clock[town]):
        return
    canvas = canvas_of(images[env, camera], picture, thread, scratch, palettes, town, things.textures.grain)
    soil_picture(canvas, flat[env, camera], palettes.lights[town], camera, things.textures.static)


def band_scratch(num_pictures: int, height_px: int, width_px: int, bands: int = BANDS) -> Scratch:
    """Scratch by picture (depth) and by thread (everything else)."""
    each, small = make_scratch(num_pictures, height_px, width_px), make_scratch(num_pictures * bands, 1, width_px)
    return small._replace(inverse_depth=each.inverse_depth, tags=each.tags)


@cuda.jit(cache=True)
def draw_bands(
    draws: Array, bands: int, images: Array, flat: Array, egos: int, poses: Array, cams: Cameras, things: Things, towns: Towns, agents: Agents,
    palettes: Palettes, scratch: Scratch,
) -> None:  # fmt: skip
    """One block a picture, one thread a band."""
    picture, band = cuda.blockIdx.x, cuda.threadIdx.x
    if draws[picture // cams.focal.shape[0]]:  # the same for all threads of a block, so that they meet
        draw_band(picture, band, bands, images, egos, poses, cams, things, towns, agents, palettes, scratch)
        cuda.syncthreads()
        soil_band(picture, band, bands, images, flat, egos, cams, things, towns, palettes, scratch)


class CudaRenderer(Renderer):
    """As Renderer, from device arrays into a device array: `torch.as_tensor(renderer.draw(...))` makes no copy. Labels are drawn on the CPU."""

    def __init__(self, rig: Rig, num_towns: int, egos_per_town: int = 1, bands: int = BANDS) -> None:
        super().__init__(rig, num_towns, egos_per_town)
        if self._height % bands:
            raise ValueError(f"CudaRenderer: {bands} bands do not divide {self._height} rows evenly")
        need_gpu()
        self._bands, self._num_towns, self._pictures = bands, num_towns, num_towns * egos_per_town * len(rig.cameras)
        self._cams_there, self._things_there, self._palettes_there = to_device(self._cams), to_device(self._things), to_device(self._palettes)
        self._scratch_there = to_device(band_scratch(self._pictures, self._height, self._width, bands))
        self._images_there = to_device(self._images)
        self._flat_there = self._images_there.reshape(*self._images.shape[:2], self._height * self._width * 3)

    def reset_env(self, town: int, town_map: TownMap, look: Look) -> None:
        """Another map, light and weather in a town."""
        super().reset_env(town, town_map, look)
        send(self._palettes, self._palettes_there, town, self._num_towns)

    def draw(self, draws: Array, bank: Bank, slots: Array, poses: Array, agents: Agents, clock: Array, spread: Any = None) -> Any:
        """Pictures of all [env, camera, row, column, 3], new for `draws`, which is the only array from the host; drawn over by the next call."""
        towns = Towns(bank.paint.reshape(bank.paint.shape[0], PAINT_PX * PAINT_PX), bank.scenery, bank.num_scenery, bank.signals, slots, clock)
        draw_bands[self._pictures, self._bands](
            to_device(draws), self._bands, self._images_there, self._flat_there, self._egos, poses, self._cams_there, self._things_there, towns,
            agents, self._palettes_there, self._scratch_there,
        )  # fmt: skip
        return self._images_there

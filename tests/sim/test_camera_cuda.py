"""What the GPU does, band by band, is what the CPU does at once."""

import numpy as np
import pytest

from motorworks.datatypes.rig import FRONT3
from motorworks.datatypes.scenario import Scenario
from motorworks.sim import camera_cuda
from motorworks.sim.camera import Things
from motorworks.sim.camera_ground import shares
from motorworks.sim.camera_tables import camera_tables, textures
from motorworks.sim.look import draw_look
from motorworks.sim.renderer import Renderer, _towns
from motorworks.sim.shapes import shape_tables
from motorworks.sim.town import Town

_BANDS = 9


def _scene() -> tuple[Town, Renderer, np.ndarray]:
    """Two towns, one with everything on the lens, and their pictures on the CPU."""
    town = Town(2, renders=False, rig=FRONT3)
    town.reset([Scenario(town_seed=seed, route_seed=seed, num_agents=12) for seed in (3, 4)])
    renderer = Renderer(FRONT3, 2)
    for env, look in enumerate(
        (draw_look(np.random.default_rng(0)), draw_look(np.random.default_rng(1), rain=0.8, dirt=0.6, low_sun=True, dropout=4))
    ):
        renderer.reset_env(env, town._maps[env], look)
    images = renderer.draw(np.ones(2, bool), town._bank.arrays, town._slots, town._chassis.pose, town._agents, town._clock, lambda run, n: run(0))
    return town, renderer, images.copy()


@pytest.mark.slow  # it compiles the drawing a second time
def test_a_picture_in_bands_is_the_picture_at_once() -> None:
    town, renderer, expected = _scene()
    cams, (shapes, index) = camera_tables(FRONT3), shape_tables()
    things = Things(textures=textures(), shapes=shapes, shape_index=index, shares=shares())
    towns, images = _towns(town._bank.arrays, town._slots, town._clock), np.zeros_like(expected)
    scratch = camera_cuda.band_scratch(6, *expected.shape[2:4], _BANDS)
    for picture in range(6):
        common = (images, 1)
        for band in range(_BANDS):
            camera_cuda.draw_band(picture, band, _BANDS, *common, town._chassis.pose, cams, things, towns, town._agents, renderer._palettes, scratch)
        for band in range(_BANDS):
            camera_cuda.soil_band(picture, band, _BANDS, *common, cams, things, towns, renderer._palettes, scratch)
    assert np.array_equal(images, expected)


def test_bands_must_divide_the_picture_or_the_gpu_be_there() -> None:
    with pytest.raises((ValueError, RuntimeError), match=r"bands do not divide|numba"):
        camera_cuda.CudaRenderer(FRONT3, 1, bands=7)


@pytest.mark.gpu
def test_the_gpu_draws_what_the_cpu_draws() -> None:
    town, renderer, expected = _scene()
    there = camera_cuda.CudaRenderer(FRONT3, 2)
    there._palettes = renderer._palettes
    there.load_maps(_towns(town._bank.arrays, town._slots, town._clock))
    images = there.draw(np.ones(2, bool), town._chassis.pose, town._agents, town._clock)
    assert hasattr(images, "__cuda_array_interface__")
    # the GPU fuses multiplications and additions: a few edges differ by a grey level or a pixel
    assert (np.abs(images.copy_to_host().astype(int) - expected) > 2).mean() < 0.002

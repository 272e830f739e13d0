"""A GPU steps and draws what the CPU does: in Numba's simulator bit for bit, compiled for a GPU where numba-cuda is, and on a GPU where one is."""

import importlib.util
import inspect
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numba import cuda, typeof

from motorworks.datatypes.rig import FRONT3
from motorworks.datatypes.scenario import Scenario
from motorworks.policy.expert import Expert
from motorworks.sim import camera_cuda, town_cuda
from motorworks.sim.agents import MAX_AGENTS
from motorworks.sim.camera import Towns
from motorworks.sim.renderer import Renderer
from motorworks.sim.rules import empty_lists
from motorworks.sim.town import Town

needs_gpu = pytest.mark.skipif(not cuda.is_available(), reason="numba finds no GPU")
idle_grid = pytest.mark.filterwarnings("ignore:Grid size")  # a test's grids leave most of a GPU idle


def test_the_simulated_gpu_is_the_cpu_bit_for_bit() -> None:
    script = Path(__file__).with_name("cuda_simulator.py")
    run = subprocess.run([sys.executable, script], env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}, capture_output=True, text=True)
    assert run.stdout.strip() == "bit for bit", run.stderr[-3000:]


def _reached(function: Any, found: dict[str, Any]) -> dict[str, Any]:
    """The kernels that a function calls, and those that they call, by name."""
    for name in function.__code__.co_names:
        inner = getattr(function.__globals__.get(name), "py_func", None)
        if inner is not None and f"{inner.__module__}.{name}" not in found:
            found[f"{inner.__module__}.{name}"] = inner
            _reached(inner, found)
    return found


def test_kernels_of_a_step_and_a_picture_use_nothing_that_a_gpu_lacks() -> None:
    reached = _reached(camera_cuda.draw_bands.py_func, _reached(town_cuda.advance_threads.py_func, {}))
    lacking = ("np.sqrt(", "np.exp(", "np.floor(", "np.ceil(", ".reshape(")
    found = [f"{name} {word}" for name, kernel in reached.items() for word in lacking if word in inspect.getsource(kernel)]
    assert len(reached) > 80 and not found, f"use math, or floor and ceil of geometry/kernel.py: {found}"


def test_without_a_gpu_there_is_a_plain_word() -> None:
    if cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(RuntimeError, match="no CUDA device"):
        town_cuda.CudaTown(1)


def _types_of_a_step() -> tuple[Any, ...]:
    town = Town(2, renders=False)
    return tuple(typeof(value) for value in (np.ones(2, bool), True, 1, town.arrays, empty_lists(1, 1, MAX_AGENTS), np.zeros((2, 4))))


def _types_of_a_draw() -> tuple[Any, ...]:
    arrays, renderer = Town(2, renders=False).arrays, Renderer(FRONT3, 2)
    bank, scratch = arrays.bank, camera_cuda.band_scratch(6, 144, 256)
    towns = Towns(bank.paint.reshape(len(bank.paint), -1), bank.scenery, bank.num_scenery, bank.signals, arrays.slots, arrays.clock)
    given = (
        renderer._images,
        renderer._images.reshape(2, 3, -1),
        1,
        arrays.pose,
        renderer._cams,
        renderer._things,
        towns,
        arrays.agents,
        renderer._palettes,
        scratch,
    )
    return tuple(typeof(value) for value in (np.ones(2, bool), 36, *given))


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed: pip install 'motorworks[cuda]'")
@pytest.mark.parametrize("kernel", ["step", "draw"])
def test_every_launched_kernel_compiles_for_a_gpu(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """To PTX, which needs no GPU."""
    monkeypatch.setattr("numba.cuda.dispatcher.get_current_device", lambda: SimpleNamespace(compute_capability=(9, 0)))
    launched, types = (town_cuda.advance_threads, _types_of_a_step()) if kernel == "step" else (camera_cuda.draw_bands, _types_of_a_draw())
    ptx, _ = cuda.compile(launched.py_func, types, device=False, abi="numba", cc=(9, 0))
    assert ".target sm_90" in ptx and ".visible .entry" in ptx and ".extern" not in ptx


def _apart(here: np.ndarray, there: Any) -> float:
    """Share of values further apart than a GPU's fused multiplications and other sines explain."""
    value, other = np.asarray(here, np.float64), np.asarray(there.copy_to_host(), np.float64)
    return float((~np.isclose(value, other, rtol=0.0, atol=1e-5, equal_nan=True)).mean())


def _beside(num: int, steps: int, **as_of_town: Any) -> tuple[Town, Any]:
    """A town on the CPU and the same on the GPU after the same commands."""
    scenarios = [Scenario(town_seed=seed % 4, route_seed=seed, num_agents=20) for seed in range(num)]
    cpu, gpu, driver = Town(num, **as_of_town), town_cuda.CudaTown(num, **as_of_town), Expert()
    seen, _ = cpu.reset(scenarios), gpu.reset(scenarios)
    for _ in range(steps):
        plan = driver.act(seen).trajectory
        seen = cpu.step(plan).observation
        gpu.step(plan)
    return cpu, gpu


@pytest.mark.gpu
@needs_gpu
@idle_grid
def test_the_gpu_steps_as_the_cpu_does() -> None:
    cpu, gpu = _beside(16, 20, renders=False)
    for part in ("agents", "facts"):
        for name, value, other in zip(getattr(cpu.arrays, part)._fields, getattr(cpu.arrays, part), getattr(gpu.arrays, part), strict=True):
            assert _apart(value, other) == 0.0, f"{part}: {name}"


@pytest.mark.gpu
@needs_gpu
@idle_grid
def test_the_gpu_draws_what_the_cpu_draws() -> None:
    cpu, gpu = _beside(4, 5, rig=FRONT3)
    expected = cpu._frames(np.zeros(4, bool))
    # fused arithmetic moves a few edges by a grey level or a pixel
    assert expected is not None and (np.abs(gpu.frames.copy_to_host().astype(int) - expected) > 2).mean() < 0.002


@pytest.mark.gpu
@needs_gpu
@idle_grid
def test_torch_sees_pictures_and_facts_where_they_are() -> None:
    torch = pytest.importorskip("torch")
    _, gpu = _beside(2, 1, copies_frames=False)
    frames, path = torch.as_tensor(gpu.frames, device="cuda"), torch.as_tensor(gpu.arrays.facts.path, device="cuda")
    for seen, there in ((frames, gpu.frames), (path, gpu.arrays.facts.path)):
        assert seen.data_ptr() == there.__cuda_array_interface__["data"][0] and tuple(seen.shape) == tuple(there.shape)
    assert frames.dtype == torch.uint8 and np.array_equal(path.cpu().numpy(), gpu._facts.path)

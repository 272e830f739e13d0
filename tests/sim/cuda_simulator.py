"""A town in Numba's CUDA simulator beside the CPU's, bit for bit. Run by test_town_cuda.py in a process of its own, for it is chosen at import.

The simulator runs launchers and threads in Python; the functions that they call are those compiled for the CPU, given the arrays behind its fakes.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from motorworks.datatypes.rig import FRONT3
from motorworks.datatypes.scenario import Scenario
from motorworks.policy.expert import Expert
from motorworks.sim import camera_cuda, town_cuda
from motorworks.sim.device import to_device
from motorworks.sim.look import draw_look
from motorworks.sim.renderer import Renderer
from motorworks.sim.town import Town


def _unmasked(value: Any) -> Any:
    if isinstance(value, tuple):
        return type(value)(*(_unmasked(part) for part in value))
    return getattr(getattr(value, "_item", value), "_ary", value)


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args: function(*(_unmasked(value) for value in args))


for module, names in ((town_cuda, ("advance_alone",)), (camera_cuda, ("draw_band", "soil_band"))):
    for name in names:
        setattr(module, name, _compiled(getattr(module, name)))


def _same(here: Any, there: Any, what: str) -> None:
    for name, value, other in zip(here._fields, here, _unmasked(there), strict=True):
        if isinstance(value, tuple):
            _same(value, other, f"{what} {name}")
        else:
            assert np.array_equal(value, other, equal_nan=value.dtype.kind == "f"), f"{what}: {name}"


def drive(num_steps: int, scenarios: list[Scenario], **as_of_town: Any) -> None:
    """The same drive in both, with one town started anew half-way."""
    cpu, gpu = Town(len(scenarios), **as_of_town), town_cuda.CudaTown(len(scenarios), **as_of_town)
    driver, egos = Expert(), as_of_town.get("egos_per_town", 1)
    seen, also = cpu.reset(scenarios), gpu.reset(scenarios)
    for number in range(num_steps):
        if number == num_steps // 2:
            ids, anew = np.arange(egos), [Scenario(town_seed=9, route_seed=1, num_agents=15)] * egos
            seen, also = cpu.reset(anew, ids), gpu.reset(anew, ids)
        plan = driver.act(seen).trajectory
        step, other = cpu.step(plan), gpu.step(plan)
        seen, also = step.observation, other.observation
        for part in ("agents", "facts", "pose", "routes", "slots", "clock"):
            if part in ("agents", "facts"):
                _same(getattr(cpu.arrays, part), getattr(gpu.arrays, part), f"step {number}, {part}")
            else:
                assert np.array_equal(getattr(cpu.arrays, part), _unmasked(getattr(gpu.arrays, part))), f"step {number}: {part}"
        assert np.array_equal(step.progress_m, other.progress_m) and np.array_equal(step.terminated, other.terminated)
        if seen.frames is not None:
            assert np.array_equal(seen.frames, also.frames), f"step {number}: frames"
    assert np.array_equal(cpu.snapshot().agents_world, gpu.snapshot().agents_world)


def draw_through_dirt() -> None:
    """Three cameras, one dropped out, rain and a low sun on the lens."""
    town = Town(2, renders=False)
    town.reset([Scenario(town_seed=seed, route_seed=seed, num_agents=12) for seed in (3, 4)])
    looks = draw_look(np.random.default_rng(0)), draw_look(np.random.default_rng(1), rain=0.8, dirt=0.6, low_sun=True, dropout=4)
    cpu, gpu = Renderer(FRONT3, 2), camera_cuda.CudaRenderer(FRONT3, 2, bands=9)
    for renderer in (cpu, gpu):
        for env, look in enumerate(looks):
            renderer.reset_env(env, town._maps[env], look)
    shown = ("bank", "slots", "pose", "agents", "clock")
    expected = cpu.draw(np.ones(2, bool), *(getattr(town.arrays, name) for name in shown), lambda run, n: run(0))
    images = gpu.draw(np.ones(2, bool), *(to_device(getattr(town.arrays, name)) for name in shown))
    assert np.array_equal(images.copy_to_host(), expected), "pictures"


if __name__ == "__main__":
    mixed = [
        Scenario(town_seed=seed, route_seed=seed, num_agents=12, kind=kind)
        for seed, kind in enumerate(("traffic", "stalled_car", "crowded_crosswalk"))
    ]
    drive(20, mixed, renders=False)
    drive(20, [Scenario(town_seed=seed, route_seed=0, num_agents=8) for seed in (5, 6) for _ in range(2)], renders=False, egos_per_town=2)
    drive(2, mixed[:2])
    draw_through_dirt()
    print("bit for bit")

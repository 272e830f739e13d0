"""The town on a GPU: one thread an environment runs the very functions that the CPU runs, and torch sees what they write.

Maps, routes, agents, facts and pictures live there. Staging, the policies' own bodies, the ends of episodes and the words stay on the CPU, so a
step copies poses there and facts back. Thin: never run on a GPU so far; tests run it in Numba's CUDA simulator and compile it for one.
"""

from typing import Any

import numpy as np
from jaxtyping import Int
from numba import cuda

from motorworks.geometry.array import Array
from motorworks.sim.advance import TownArrays, advance_alone
from motorworks.sim.agents import MAX_AGENTS
from motorworks.sim.bank import MAX_LANES
from motorworks.sim.camera_cuda import CudaRenderer
from motorworks.sim.device import fetch, need_gpu, room_for, send, to_device
from motorworks.sim.renderer import Labels, Renderer
from motorworks.sim.rules import Lists, empty_lists
from motorworks.sim.town import Town
from motorworks.sim.world import Snapshot

THREADS = 32  # of a block


@cuda.jit(cache=True)
def advance_threads(live: Array, moves: bool, num_egos: int, town: TownArrays, lists: Lists, egos: Array) -> None:
    """One environment a thread."""
    e = cuda.grid(1)
    if e < live.shape[0] and live[e]:
        advance_alone(e, moves, num_egos, town, lists, egos)


class CudaTown(Town):
    """As Town, on a GPU. RuntimeError where there is none.

    `arrays` and `frames` are there, and each step writes them anew: `torch.as_tensor(world.frames)` or `torch.as_tensor(world.arrays.facts.path)`
    copies nothing. With `copies_frames=False` pictures stay there and observations have none.
    """

    def __init__(
        self, num_envs: int, renders: bool = True, max_steps: int | None = None, *, copies_frames: bool = True, **as_of_town: Any
    ) -> None:  # fmt: skip
        need_gpu()
        super().__init__(num_envs, renders, max_steps, **as_of_town)
        here, slots, towns = self.arrays, self._bank.num_slots, self._num_towns
        self._here, self._copies_frames, self.frames = here, copies_frames, None
        self.arrays = TownArrays(*(room_for(part) if part is here.bank else to_device(part) for part in here))
        lists = empty_lists(1, (slots + towns) * MAX_LANES, MAX_AGENTS)
        self._wide_lists = to_device(lists._replace(after=np.full((towns, MAX_AGENTS), -1, np.int32)))
        self._egos_there, self._loaded = to_device(np.zeros((towns, 4))), [""] * slots

    def _send(self, town: int) -> None:
        """What was staged for a town, and its map where the GPU does not have it."""
        here, there, slot, name = self._here, self.arrays, int(self._slots[town]), self._maps[town].name
        if self._loaded[slot] != name:
            send(here.bank, there.bank, slot, self._bank.num_slots)
            self._loaded[slot] = name
        for part in ("slots", "routes", "num_points", "agents", "facts"):
            send(getattr(here, part), getattr(there, part), town, self._num_towns)

    def _advance(self, live: Array, *, moves: bool) -> None:
        towns = live.reshape(self._num_towns, self._egos).any(axis=1)
        if not moves:
            for town in np.flatnonzero(towns):
                self._send(int(town))
        for part in ("clock", "pose", "speed", "accel"):
            send(getattr(self._here, part), getattr(self.arrays, part))
        blocks = -(-self._num_towns // THREADS)
        advance_threads[blocks, THREADS](to_device(towns), moves, self._egos, self.arrays, self._wide_lists, self._egos_there)
        fetch(self._facts, self.arrays.facts)

    def _leave(self, gone: Array) -> None:
        modes, there = ("mode", "hold"), self.arrays.agents
        for name in modes:
            getattr(there, name).copy_to_host(getattr(self._agents, name))
        super()._leave(gone)
        for name in modes:
            send(getattr(self._agents, name), getattr(there, name))

    def _new_renderer(self) -> Renderer:
        return CudaRenderer(self.rig, self._num_towns, self._egos)

    def _frames(self, draws: Array) -> Array | None:
        self.frames = super()._frames(draws)
        return self.frames.copy_to_host() if self._copies_frames else None

    def snapshot(self) -> Snapshot:
        """The true state now."""
        fetch(self._agents, self.arrays.agents)
        return super().snapshot()

    def labels(self, env_ids: Int[Array, " n"]) -> Labels:
        """As Town's, drawn on the CPU."""
        fetch(self._agents, self.arrays.agents)
        return super().labels(env_ids)

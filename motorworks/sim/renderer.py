"""The cameras of a batch of environments: tables, palettes and scratch, so that a world only says what stands where."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int, UInt8, UInt16

from motorworks.datatypes.agent import AGENT_KINDS
from motorworks.datatypes.rig import Rig
from motorworks.geometry.array import Array
from motorworks.sim.agents import Agents
from motorworks.sim.bank import Bank
from motorworks.sim.camera import FIRST_MATERIAL, SKY, Things, Towns, draw_rigs, label_rigs, make_scratch
from motorworks.sim.camera_ground import shares
from motorworks.sim.camera_palette import empty_palettes, set_palette
from motorworks.sim.camera_tables import camera_tables, textures
from motorworks.sim.ground import TREE, TownMap
from motorworks.sim.look import Look
from motorworks.sim.shapes import shape_tables

_SCENERY_NAMES = ("tree", "building", "lamp post", "sign", "signal head", "hedge", "bollard")
_MATERIAL_NAMES = (
    "grass", "asphalt", "white paint", "yellow paint", "verge", "junction", "pavement", "kerb", "parking", "island", "red asphalt",
)  # fmt: skip
SEMANTIC_CLASSES: dict[int, str] = (
    dict(enumerate(AGENT_KINDS))
    | {TREE + i: name for i, name in enumerate(_SCENERY_NAMES)}
    | {SKY: "sky"}
    | {FIRST_MATERIAL + i: name for i, name in enumerate(_MATERIAL_NAMES)}
)


@dataclass(frozen=True, kw_only=True)
class Labels:
    """What each pixel shows. Edges that a thing covers by less than half belong to what is behind; glow, rain and dirt hide nothing."""

    depth_m: Float32[Array, "batch camera height width"]  # along the camera's axis; inf is sky
    semantic: UInt8[Array, "batch camera height width"]  # SEMANTIC_CLASSES
    instance: UInt16[Array, "batch camera height width"]  # agent slot + 1; 0 is ground, sky and scenery


class Renderer:
    """Draws all cameras of a rig. Environment `town * egos_per_town + m` is body `m` of that town, agent slot `m`, which it does not see.

    Same seeds, same pixels, for any number of environments and threads.
    """

    def __init__(self, rig: Rig, num_towns: int, egos_per_town: int = 1, threads: int = 1) -> None:
        self.rig, self._egos, self._threads = rig, egos_per_town, threads
        self._height, self._width = rig.cameras[0].height_px, rig.cameras[0].width_px
        self._cams, self._palettes = camera_tables(rig), empty_palettes(num_towns)
        shapes, index = shape_tables()
        self._things = Things(textures=textures(), shapes=shapes, shape_index=index, shares=shares())
        self._scratch = make_scratch(threads, self._height, self._width)
        self._images = np.zeros((num_towns * egos_per_town, len(rig.cameras), self._height, self._width, 3), np.uint8)

    def reset_env(self, town: int, town_map: TownMap, look: Look) -> None:
        """Another map, light and weather in a town. Raises ValueError for a look out of range."""
        set_palette(self._palettes, town, town_map.light_seed, look)

    def draw(
        self, draws: Array, bank: Bank, slots: Array, poses: Array, agents: Agents, clock: Array, spread: Callable[[Callable[[int], None], int], None]
    ) -> UInt8[Array, "env camera height width 3"]:
        """Pictures of all, new for `draws` [env] bool. The array is the renderer's own and is drawn over by the next call.

        `slots` [town] into the bank, `poses` [env, 3] of the rig (rear axle), `clock` [town] in steps; `spread(run, n)` calls run(0 .. n - 1).
        """
        envs, towns, flat = np.flatnonzero(draws), _towns(bank, slots, clock), self._images.reshape(*self._images.shape[:2], -1)
        bounds = np.linspace(0, len(envs), self._threads + 1).astype(int)

        def run(part: int) -> None:
            mine = envs[bounds[part] : bounds[part + 1]]
            draw_rigs(
                part, mine, self._images, flat, self._egos, poses, self._cams, self._things, towns, agents, self._palettes, self._scratch
            )  # fmt: skip

        spread(run, self._threads)
        return self._images

    def labels(self, envs: Int[Array, " batch"], bank: Bank, slots: Array, poses: Array, agents: Agents, clock: Array) -> Labels:
        """Depth, class and instance of these environments' pixels, as their pictures show them now."""
        shape = (len(envs), len(self.rig.cameras), self._height, self._width)
        labels = Labels(depth_m=np.zeros(shape, np.float32), semantic=np.zeros(shape, np.uint8), instance=np.zeros(shape, np.uint16))
        frame = np.zeros((self._height, self._width, 3), np.uint8)
        label_rigs(
            0, np.asarray(envs, np.int64), frame, self._egos, poses, self._cams, self._things, _towns(bank, slots, clock), agents, self._palettes,
            self._scratch, labels.depth_m, labels.semantic, labels.instance,
        )  # fmt: skip
        return labels


def _towns(bank: Bank, slots: Array, clock: Array) -> Towns:
    return Towns(
        paint=bank.paint.reshape(len(bank.paint), -1),
        scenery=bank.scenery,
        num_scenery=bank.num_scenery,
        signals=bank.signals,
        slots=slots.astype(np.int64),
        clock=clock.astype(np.int64),
    )

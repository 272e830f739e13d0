"""A whole town that never moves: its roads, its ground from above, and what stands beside the road."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int8, UInt8

from motorworks.geometry.array import Array
from motorworks.sim.codes import (
    ASPHALT,
    BOLLARD,
    BUILDING,
    GRASS,
    HEADING_M_PER_PX,
    HEADING_SCALE,
    HEDGE,
    ISLAND,
    JUNCTION,
    JUNCTION_CODE,
    KERB,
    LAMP_POST,
    OFF_CODE,
    PAINT_M_PER_PX,
    PARKING,
    PAVEMENT,
    RED_ASPHALT,
    SCENERY_COLUMNS,
    SIGN,
    SIGN_CROSSING,
    SIGN_LIMIT,
    SIGN_ROUNDABOUT,
    SIGN_SCHOOL,
    SIGN_STOP,
    SIGN_WORKS,
    SIGN_YIELD,
    SIGNAL_HEAD,
    TREE,
    VERGE,
    WHITE,
    YELLOW,
)
from motorworks.sim.lane_book import SHOULDER_M
from motorworks.sim.lanes import Network
from motorworks.sim.network import build_network
from motorworks.sim.paint import heading_town, paint_town
from motorworks.sim.scenery import MAX_SCENERY, place_scenery

__all__ = [
    "ASPHALT", "BOLLARD", "BUILDING", "GRASS", "HEADING_M_PER_PX", "HEADING_SCALE", "HEDGE", "ISLAND", "JUNCTION", "JUNCTION_CODE", "KERB",
    "LAMP_POST", "MAX_SCENERY", "OFF_CODE", "PAINT_M_PER_PX", "PARKING", "PAVEMENT", "RED_ASPHALT", "SCENERY_COLUMNS", "SHOULDER_M", "SIGN",
    "SIGNAL_HEAD", "SIGN_CROSSING", "SIGN_LIMIT", "SIGN_ROUNDABOUT", "SIGN_SCHOOL", "SIGN_STOP", "SIGN_WORKS", "SIGN_YIELD", "TREE", "VERGE",
    "WHITE", "YELLOW", "TownMap", "build_town", "furnish",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TownMap:
    """Everything about a town that never moves."""

    name: str
    network: Network
    paint: UInt8[Array, "y x"]  # material per pixel, PAINT_M_PER_PX
    heading: Int8[Array, "y x"]  # driving direction code per pixel, HEADING_M_PER_PX
    scenery: Float[Array, "object 9"]  # SCENERY_COLUMNS
    light_seed: int  # of the camera's palette


def furnish(network: Network, seed: int) -> TownMap:
    """Paint a network and put houses and trees beside it."""
    heading = heading_town(network)
    paint = paint_town(network)
    scenery = place_scenery(network, heading, np.random.default_rng((seed, 0x71)))
    return TownMap(name=network.name, network=network, paint=paint, heading=heading, scenery=scenery, light_seed=seed)


@lru_cache(maxsize=96)
def build_town(seed: int) -> TownMap:
    """The whole town `seed`; some tens of milliseconds, remembered."""
    return furnish(build_network(seed), seed)

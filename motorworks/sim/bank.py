"""The maps in use, side by side in one set of arrays, so that a batch of environments shares them and a kernel reads them all."""

from typing import NamedTuple

import numpy as np

from motorworks.geometry.array import Array
from motorworks.sim.ground import HEADING_M_PER_PX, OFF_CODE, PAINT_M_PER_PX, TownMap
from motorworks.sim.lanes import MAX_NEXT, MAX_RIVALS, Lanes

SIZE_M = 640.0
PAINT_PX = int(SIZE_M / PAINT_M_PER_PX)  # a side
MAX_LANES, MAX_POINTS, MAX_SIGNALS, MAX_SCENERY = 640, 26_000, 64, 900
SPARE_SLOTS, MAX_SLOTS = 16, 160
_LANE_IDS = ("next", "source", "left", "right", "opposite", "rivals")  # columns that hold lane ids: shifted by slot
_FLOATS = ("length", "step", "limit", "left_room", "left_own", "right_room")
_FLAGS = {"gives_way": np.bool_, "kind": np.int8, "control": np.int8}


class Bank(NamedTuple):
    """Lanes of slot k have ids from `k * MAX_LANES`; its signals ids from `k * MAX_SIGNALS`. Outside a town: grass, off the road."""

    lanes: Lanes
    signals: Array  # [slot, MAX_SIGNALS, 4] int32, see lanes.SIGNAL_COLUMNS
    heading: Array  # [slot, y, x] int8
    paint: Array  # [slot, y, x] uint8
    scenery: Array  # [slot, MAX_SCENERY, 9]
    num_scenery: Array  # [slot]


def _empty_bank(num: int) -> Bank:
    rows: dict[str, Array] = {}
    for name in Lanes._fields:
        wide = {"next": (MAX_NEXT,), "rivals": (MAX_RIVALS,), "gives_way": (MAX_RIVALS,)}.get(name, ())
        kind = np.float64 if name in _FLOATS else _FLAGS.get(name, np.int32)
        rows[name] = np.zeros((num * MAX_POINTS, 5)) if name == "points" else np.zeros((num * MAX_LANES, *wide), kind)
    heading = int(SIZE_M / HEADING_M_PER_PX)
    return Bank(
        lanes=Lanes(**rows),
        signals=np.ones((num, MAX_SIGNALS, 4), np.int32),
        heading=np.empty((num, heading, heading), np.int8),
        paint=np.zeros((num, PAINT_PX, PAINT_PX), np.uint8),  # untouched pages cost no memory
        scenery=np.zeros((num, MAX_SCENERY, 9)),
        num_scenery=np.zeros(num, np.int32),
    )


class MapBank:
    """Loads each town once, into a slot that no environment uses any more."""

    def __init__(self, num_envs: int) -> None:
        self.num_slots = min(num_envs + SPARE_SLOTS, MAX_SLOTS)
        self.arrays = _empty_bank(self.num_slots)
        self._slot_of: dict[str, int] = {}  # by town, least recently used first
        self._used_by: list[str | None] = [None] * num_envs

    def load(self, env: int, town: TownMap) -> int:
        """The slot of a town, for an environment that leaves the one it was in."""
        self._used_by[env] = town.name
        slot = self._slot_of.pop(town.name, None)
        if slot is None:
            slot = self._free_slot(town)
            _fill(self.arrays, slot, town)
        self._slot_of[town.name] = slot
        return slot

    def _free_slot(self, town: TownMap) -> int:
        if len(self._slot_of) < self.num_slots:
            return next(slot for slot in range(self.num_slots) if slot not in self._slot_of.values())
        used = set(self._used_by)
        for name in self._slot_of:
            if name not in used:
                return self._slot_of.pop(name)
        raise ValueError(f"{town.name}: more than {self.num_slots} different towns at once; give environments towns in common")


def _fill(bank: Bank, slot: int, town: TownMap) -> None:
    """Copy a town into a slot, its ids shifted."""
    lanes, room = town.network.lanes, {"lanes": MAX_LANES, "points": MAX_POINTS, "signals": MAX_SIGNALS, "scenery rows": MAX_SCENERY}
    have = {"lanes": len(lanes.first), "points": len(lanes.points), "signals": len(town.network.signals), "scenery rows": len(town.scenery)}
    for what, number in have.items():
        if number > room[what]:
            raise ValueError(f"{town.name}: {number} {what}, {room[what]} fit; cut the map into a smaller one or raise the limit in sim/bank.py")
    if max(town.network.size_m) > SIZE_M:
        raise ValueError(f"{town.name}: {town.network.size_m} m, {SIZE_M} m fit; cut the map into a smaller one or raise SIZE_M in sim/bank.py")
    at, points_at = slot * MAX_LANES, slot * MAX_POINTS
    for name, value in lanes._asdict().items():
        target = getattr(bank.lanes, name)
        if name == "points":
            target[points_at : points_at + len(value)] = value
            continue
        if name in _LANE_IDS:
            value = np.where(value >= 0, value + at, -1)
        elif name == "signal":
            value = np.where(value >= 0, value + slot * MAX_SIGNALS, -1)
        elif name == "first":
            value = value + points_at
        target[at : at + len(value)] = value
    bank.signals[slot, : len(town.network.signals)] = town.network.signals
    for target, value, empty in ((bank.heading[slot], town.heading, OFF_CODE), (bank.paint[slot], town.paint, 0)):
        height, width = value.shape
        target[:height, :width] = value
        if empty or target[height:].any() or target[:, width:].any():
            target[height:] = target[:, width:] = empty
    bank.scenery[slot, : len(town.scenery)] = town.scenery
    bank.num_scenery[slot] = len(town.scenery)

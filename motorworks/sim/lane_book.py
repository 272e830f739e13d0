"""Collects a town's lanes while it is built, and packs them into flat arrays."""

import msgspec
import numpy as np

from motorworks.geometry.array import Array
from motorworks.sim.lanes import DRIVE, FREE, LANE_WIDTH_M, MAX_NEXT, MAX_RIVALS, Lanes

SHOULDER_M = 0.5  # paved beyond the outermost lane
LATERAL_ACCEL_MPS2 = 2.0  # comfortable, for the speeds that traffic takes bends at


class LaneRow(msgspec.Struct, kw_only=True):
    """One lane before it is packed."""

    line: Array  # [point, 4] x, y, yaw, curvature
    limit_mps: float
    kind: int = DRIVE
    junction: int = -1
    turn: int = 0
    source: int = -1
    control: int = FREE
    signal: int = -1
    left: int = -1
    right: int = -1
    opposite: int = -1
    left_room_m: float = LANE_WIDTH_M / 2 + SHOULDER_M
    left_own_m: float = LANE_WIDTH_M / 2
    right_room_m: float = LANE_WIDTH_M / 2 + SHOULDER_M
    on_ring: bool = False
    next: list[int] = msgspec.field(default_factory=list)
    rivals: dict[int, bool] = msgspec.field(default_factory=dict)  # rival: whether this one gives way to it


class LaneBook:
    """Rows by lane id; `pack` makes the arrays."""

    def __init__(self) -> None:
        self.rows: list[LaneRow] = []

    def add(self, row: LaneRow) -> int:
        """The new lane's id. A connector is entered as a successor of its source."""
        self.rows.append(row)
        lane = len(self.rows) - 1
        if row.source >= 0:
            self.rows[row.source].next.append(lane)
        return lane

    def rivalry(self, a: int, b: int, a_gives_way: bool, b_gives_way: bool) -> None:
        """Two connectors that cannot be used at once."""
        self.rows[a].rivals[b] = a_gives_way
        self.rows[b].rivals[a] = b_gives_way

    def pack(self) -> Lanes:
        """The arrays. ValueError where a lane has more successors or rivals than the arrays hold."""
        rows = self.rows
        count = np.array([len(row.line) for row in rows])
        points = np.concatenate([row.line for row in rows])
        steps = np.array([np.hypot(*(row.line[1, :2] - row.line[0, :2])) for row in rows])
        limit = np.array([row.limit_mps for row in rows])
        slow = np.minimum(np.repeat(limit, count), np.sqrt(LATERAL_ACCEL_MPS2 / np.maximum(np.abs(points[:, 3]), 1e-4)))
        following = np.full((len(rows), MAX_NEXT), -1, np.int32)
        rivals = np.full((len(rows), MAX_RIVALS), -1, np.int32)
        gives_way = np.zeros((len(rows), MAX_RIVALS), np.bool_)
        for lane, row in enumerate(rows):
            if len(row.next) > MAX_NEXT or len(row.rivals) > MAX_RIVALS:
                raise ValueError(
                    f"lane {lane} has {len(row.next)} successors (at most {MAX_NEXT}) and {len(row.rivals)} rivals (at most {MAX_RIVALS}); "
                    "make its junction smaller"
                )
            following[lane, : len(row.next)] = row.next
            rivals[lane, : len(row.rivals)] = list(row.rivals)
            gives_way[lane, : len(row.rivals)] = list(row.rivals.values())

        def ints(values: list[int], kind: type = np.int32) -> Array:
            return np.array(values, kind)

        return Lanes(
            first=ints([0, *np.cumsum(count)[:-1]]),
            num_points=count.astype(np.int32),
            length=steps * (count - 1),
            step=steps,
            limit=limit,
            kind=ints([row.kind for row in rows], np.int8),
            junction=ints([row.junction for row in rows]),
            turn=ints([row.turn for row in rows]),
            source=ints([row.source for row in rows]),
            next=following,
            num_next=ints([len(row.next) for row in rows]),
            left=ints([row.left for row in rows]),
            right=ints([row.right for row in rows]),
            opposite=ints([row.opposite for row in rows]),
            control=ints([row.control for row in rows], np.int8),
            signal=ints([row.signal for row in rows]),
            rivals=rivals,
            num_rivals=ints([len(row.rivals) for row in rows]),
            gives_way=gives_way,
            left_room=np.array([row.left_room_m for row in rows]),
            left_own=np.array([row.left_own_m for row in rows]),
            right_room=np.array([row.right_room_m for row in rows]),
            points=np.column_stack([points, slow]).astype(np.float64),
        )

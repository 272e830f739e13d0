"""Who is about when an episode starts: traffic of all kinds near the route, people on the pavements, parked cars. Seeds in, arrays out."""

import numpy as np
from jaxtyping import Float

from motorworks.bodies.body import CAR as EGO_BODY
from motorworks.datatypes.agent import BUS, CAR, CHILD, CYCLIST, PEDESTRIAN, TRUCK, VAN
from motorworks.geometry.array import Array
from motorworks.sim.agents import LANE, STATIC, Agents
from motorworks.sim.lanes import LANE_WIDTH_M, WALK, Lanes, Network
from motorworks.sim.route import LANE as LANE_ID
from motorworks.sim.route import LANE_S, YAW, Route, lane_points

CLEAR_OF_EGO_M = 14.0
MIX = ((CAR, 0.72), (VAN, 0.1), (TRUCK, 0.06), (BUS, 0.04), (CYCLIST, 0.08))
SIZES_M = {  # length, width, height: ranges of round numbers
    CAR: ((3.9, 4.9), (1.75, 1.9), (1.4, 1.6)),
    VAN: ((5.0, 6.0), (1.9, 2.05), (2.0, 2.6)),
    TRUCK: ((7.5, 10.0), (2.35, 2.5), (3.2, 3.8)),
    BUS: ((9.5, 11.0), (2.5, 2.55), (3.0, 3.2)),
    CYCLIST: ((1.75, 1.85), (0.55, 0.65), (1.65, 1.8)),
    PEDESTRIAN: ((0.45, 0.55), (0.5, 0.6), (1.6, 1.9)),
    CHILD: ((0.35, 0.45), (0.4, 0.5), (1.05, 1.4)),
}
WALKER_FRAC, MAX_PARKED = 0.25, 6
PARKING_ROOM_M = LANE_WIDTH_M / 2 + 1.9


def point_at(lanes: Lanes, lane: int, s: float) -> Float[Array, " 5"]:
    """x, y, yaw, curvature, comfortable speed at distance s along a lane."""
    points = lane_points(lanes, lane)
    nodes = np.arange(len(points)) * lanes.step[lane]
    return np.array([np.interp(s, nodes, points[:, k]) for k in range(5)])


class Crowd:
    """Fills the free slots of one environment's agents, one after the other."""

    def __init__(self, network: Network, route: Route, agents: Agents, rng: np.random.Generator, first_slot: int) -> None:
        self.lanes, self.route, self.agents, self.rng = network.lanes, route, agents, rng
        self._num = first_slot
        self.kept_clear: set[int] = set()  # lanes on which ordinary traffic does not start
        ego = route.points[0]
        self.ego_xy = ego[:2] + EGO_BODY.centre_ahead_m * np.array([np.cos(ego[YAW]), np.sin(ego[YAW])])
        self.ego_lane, self.ego_s = int(ego[LANE_ID]), float(ego[LANE_S])

    @property
    def num_free(self) -> int:
        """Slots left."""
        return len(self.agents.mode) - self._num

    def add(self, kind: int, lane: int, s: float, *, offset_m: float = 0.0, mode: int = LANE, **fields: float) -> int:
        """Someone on a lane, with an ordinary temper unless `fields` say otherwise; the slot. Raises where no slot is free."""
        slot = self._place(kind, point_at(self.lanes, lane, s)[:3] if lane >= 0 else np.zeros(3), mode)
        agents, rng = self.agents, self.rng
        agents.lane[slot], agents.s[slot], agents.offset[slot], agents.goal[slot] = lane, s, offset_m, offset_m
        x, y, yaw = agents.pose[slot]
        agents.pose[slot, :2] = x - offset_m * np.sin(yaw), y + offset_m * np.cos(yaw)
        agents.next_lane[slot] = self.lanes.next[lane, rng.integers(self.lanes.num_next[lane])]
        self._set(slot, fields)
        agents.pose[slot, 2] += np.pi * agents.backward[slot]
        return slot

    def add_loose(self, kind: int, pose_world: Float[Array, " 3"], *, mode: int = STATIC, **fields: float) -> int:
        """Someone or something off all lanes: it stands, or walks straight on."""
        slot = self._place(kind, np.asarray(pose_world, np.float64), mode)
        self._set(slot, fields)
        return slot

    def _set(self, slot: int, fields: dict[str, float]) -> None:
        for name, value in fields.items():
            getattr(self.agents, name)[slot] = value

    def _place(self, kind: int, pose: Array, mode: int) -> int:
        if self.num_free < 1:
            raise ValueError(f"more than {len(self.agents.mode)} agents in one environment; ask for fewer (num_agents)")
        slot, agents, rng = self._num, self.agents, self.rng
        self._num += 1
        agents.mode[slot], agents.kind[slot], agents.pose[slot] = mode, kind, pose
        if kind in SIZES_M:
            for target, (low, high) in zip((agents.length, agents.width, agents.height), SIZES_M[kind], strict=True):
                target[slot] = rng.uniform(low, high)
        agents.shade[slot], agents.rng[slot] = rng.random(), rng.integers(1, 2**63)
        agents.headway[slot], agents.gap[slot] = rng.uniform(1.0, 1.8), rng.uniform(3.0, 4.5)
        agents.eagerness[slot] = rng.uniform(0.75, 1.05)
        return slot

    def populate(self, num: int, *, parks: bool = True) -> None:
        """Ordinary traffic: vehicles and cyclists near the route, people near its crossings, a few parked cars; fewer where there is no room."""
        num_walkers = round(num * WALKER_FRAC)
        placed = 0
        for attempt in range(8 * num):
            if placed >= num - num_walkers or self.num_free <= num_walkers + MAX_PARKED:
                break
            lead = attempt == 0 and self.rng.random() < 0.7
            placed += self._try_vehicle("lead" if lead else "oncoming" if self.rng.random() < 0.45 else "around")
        self._walkers(num_walkers)
        if parks:
            self._parked()

    def _try_vehicle(self, wish: str) -> bool:
        rng, lanes = self.rng, self.lanes
        lane, s = self._spot(wish)
        kind = int(rng.choice([kind for kind, _ in MIX], p=[share for _, share in MIX]))
        if kind in (TRUCK, BUS) and wish == "lead":
            kind = CAR
        long = SIZES_M[kind][0][1]
        if lane < 0 or lane in self.kept_clear or lanes.source[lane] >= 0 or not long / 2 + 1.0 < s < lanes.length[lane] - long / 2 - 1.0:
            return False
        pose, behind = point_at(lanes, lane, s), lane == self.ego_lane and s < self.ego_s
        others = self.agents.pose[: self._num, :2]
        crowded = self._num and (np.hypot(*(others - pose[:2]).T) - self.agents.length[: self._num] / 2).min() < 7.0 + long / 2
        if np.hypot(*(pose[:2] - self.ego_xy)) < CLEAR_OF_EGO_M + long / 2 + (10.0 if behind else 0.0) or crowded:
            return False
        slot = self.add(kind, lane, s, offset_m=-1.1 if kind == CYCLIST else 0.0)
        agents = self.agents
        temper = rng.random()  # a sixth each are timid and aggressive
        if wish == "lead":
            agents.eagerness[slot] = rng.uniform(0.5, 0.85)
        elif temper > 0.84:
            agents.eagerness[slot], agents.headway[slot], agents.gap[slot] = rng.uniform(1.05, 1.2), rng.uniform(0.8, 1.0), rng.uniform(2.5, 3.0)
        elif temper < 0.16:
            agents.eagerness[slot], agents.headway[slot], agents.gap[slot] = rng.uniform(0.6, 0.75), rng.uniform(1.8, 2.2), rng.uniform(4.5, 6.0)
        if kind == CYCLIST:
            agents.eagerness[slot] = rng.uniform(3.5, 5.5) / max(lanes.limit[lane], 5.0)
        agents.speed[slot] = 0.7 * agents.eagerness[slot] * pose[4]
        return True

    def _spot(self, wish: str) -> tuple[int, float]:
        """A lane and a place on it: ahead on the route, oncoming beside it, or anywhere around the route's junctions."""
        lanes, rng, ahead = self.lanes, self.rng, self.route.points
        if wish == "lead":
            point = ahead[int(rng.uniform(18, 50))]
            return int(point[LANE_ID]), float(point[LANE_S])
        roads = [lane for lane in self.route.chain if lanes.source[lane] < 0]
        if wish == "oncoming":
            beside = [int(lanes.opposite[lane]) for lane in roads if lanes.opposite[lane] >= 0]
            if not beside:
                return -1, 0.0
            lane = beside[int(rng.integers(len(beside)))]
        else:
            near = [int(k) for lane in roads for k in lanes.next[lane, : lanes.num_next[lane]]]
            ends = [int(lanes.next[k, 0]) if lanes.source[k] >= 0 else k for k in near]
            sides = sorted({int(lanes.opposite[end]) for end in ends if lanes.opposite[end] >= 0} | set(ends) | set(roads))
            lane = sides[int(rng.integers(len(sides)))]
        step = int(rng.integers(3))
        while step == 2 and lanes.left[lane] >= 0:
            lane = int(lanes.left[lane])
        return lane, float(rng.uniform(4.0, max(lanes.length[lane] - 6.0, 4.5)))

    def _walkers(self, num: int) -> None:
        lanes, rng = self.lanes, self.rng
        pavements = np.flatnonzero((lanes.kind == WALK) & (lanes.source < 0) & (lanes.length > 3.0))
        if len(pavements) == 0 or num == 0:
            return
        middle = np.array([lane_points(lanes, lane)[lanes.num_points[lane] // 2, :2] for lane in pavements])
        route = self.route.points[::10, :2]
        away = np.hypot(middle[:, None, 0] - route[None, :, 0], middle[:, None, 1] - route[None, :, 1]).min(axis=1)
        near = pavements[np.argsort(away, kind="stable")[: max(12, len(pavements) // 3)]]
        for _ in range(num):
            lane = int(near[rng.integers(len(near))])
            kind = CHILD if rng.random() < 0.15 else PEDESTRIAN
            slot = self.add(kind, lane, float(rng.uniform(0.5, lanes.length[lane] - 0.5)), offset_m=float(rng.uniform(-0.5, 0.5)))
            self.agents.speed[slot] = 1.2

    def _parked(self) -> None:
        lanes, rng = self.lanes, self.rng
        for lane in dict.fromkeys(self.route.chain):
            if lanes.source[lane] >= 0 or lanes.right[lane] >= 0 or lanes.right_room[lane] < PARKING_ROOM_M:
                continue
            s = 14.0
            while s < lanes.length[lane] - 16.0 and self.num_free > 4 and self._num_parked() < MAX_PARKED:
                if rng.random() < 0.3:
                    kind = VAN if rng.random() < 0.2 else CAR
                    self.park(kind, lane, s)
                s += 7.5

    def park(self, kind: int, lane: int, s: float, **fields: float) -> int:
        """A vehicle standing in the parking lane beside a lane."""
        x, y, yaw = point_at(self.lanes, lane, s)[:3]
        right = self.lanes.right_room[lane] - 1.15
        return self.add_loose(kind, np.array([x + right * np.sin(yaw), y - right * np.cos(yaw), yaw]), **fields)

    def _num_parked(self) -> int:
        return int((self.agents.mode == STATIC).sum())

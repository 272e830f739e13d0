"""A scenario's route through a town, and where its traffic starts. Seeds in, arrays out."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from motorworks.bodies.body import CAR
from motorworks.datatypes.scenario import Scenario
from motorworks.geometry.array import Array
from motorworks.sim.network import Network, build_network

MIN_LENGTH_M, MAX_LENGTH_M = 200.0, 300.0
TAIL_M = 95.0  # route known beyond its end, so the path ahead is always full
MAX_POINTS = int(MAX_LENGTH_M + TAIL_M) + 2
MAX_AGENTS = 32
CLEAR_OF_EGO_M = 14.0
COLUMNS = ("x_m", "y_m", "yaw_rad", "curvature_per_m", "limit_mps", "lane", "lane_s_m", "entry_m", "exit_m", "turn", "connector", "slow_mps")
X, Y, YAW, CURVATURE, LIMIT, LANE, LANE_S, ENTRY, EXIT, TURN, CONNECTOR, SLOW = range(len(COLUMNS))


class Route(NamedTuple):
    """Points every metre from the start; per point also its lane and the current or next junction (entry_m is inf if none)."""

    points: Array  # [point, len(COLUMNS)]
    length_m: float
    start_speed_mps: float


class Agents(NamedTuple):
    """Traffic as arrays, `[agent]` for one scenario, `[env, agent]` in a world; kernels move it in place."""

    lane: Array
    s: Array  # of the box centre, along the lane
    speed: Array
    accel: Array
    next_lane: Array
    hold: Array  # the connector this agent has the right of way on, else -1
    arrival: Array  # step at which it came to its junction's line, else -1
    rng: Array  # uint64 state, for turns
    pose: Array  # [..., 3] x, y, yaw of the box centre
    valid: Array
    length: Array
    width: Array
    eagerness: Array  # desired speed over the limit
    headway: Array
    stop_period: Array  # steps between the stops of a stop-and-go driver; 0: drives on
    stop_steps: Array
    shade: Array  # colour, 0..1


def empty_agents(shape: tuple[int, ...]) -> Agents:
    """No traffic."""

    def ints(fill: int) -> Array:
        return np.full(shape, fill, np.int32)

    def floats(fill: float) -> Array:
        return np.full(shape, fill, np.float64)

    return Agents(
        lane=ints(0),
        s=floats(0),
        speed=floats(0),
        accel=floats(0),
        next_lane=ints(-1),
        hold=ints(-1),
        arrival=ints(-1),
        rng=np.ones(shape, np.uint64),
        pose=np.zeros((*shape, 3)),
        valid=np.zeros(shape, np.bool_),
        length=floats(4.5),
        width=floats(1.8),
        eagerness=floats(1),
        headway=floats(1.5),
        stop_period=ints(0),
        stop_steps=ints(0),
        shade=floats(0),
    )


def _walk(network: Network, rng: np.random.Generator, needed_m: float) -> tuple[list[int], float]:
    """Lanes of a random drive and where on the first it starts."""
    lanes = network.lanes
    lane = int(rng.integers(lanes.first_connector[0]))
    start_m = float(rng.uniform(8.0, max(lanes.length[lane] - 25.0, 9.0)))
    chain, total = [lane], lanes.length[lane] - start_m
    while total < needed_m:
        lane = int(lanes.next[lane, rng.integers(lanes.num_next[lane])])
        chain.append(lane)
        total += lanes.length[lane]
    return chain, start_m


def _route_points(network: Network, chain: list[int], start_m: float, total_m: float) -> Float[Array, "point column"]:
    lanes = network.lanes
    pieces, at, offset = [], [], 0.0
    spans = []  # (entry, exit, turn, lane) of junctions
    for lane in chain:
        piece = lanes.points[lanes.first[lane] : lanes.first[lane] + lanes.num_points[lane]]
        inside = np.arange(len(piece)) * lanes.step[lane]
        keep = slice(None) if lane == chain[0] else slice(1, None)
        pieces.append(np.column_stack([piece, np.full(len(piece), lanes.limit[lane]), np.full(len(piece), lane)])[keep])
        at.append((inside + offset)[keep])
        if lanes.junction[lane] >= 0:
            spans.append((offset - start_m, offset + lanes.length[lane] - start_m, lanes.turn[lane], lane))
        offset += lanes.length[lane]
    joined, s = np.concatenate(pieces), np.concatenate(at) - start_m
    grid = np.arange(int(total_m) + 1, dtype=float)
    out = np.zeros((len(grid), len(COLUMNS)))
    columns = (joined[:, 0], joined[:, 1], np.unwrap(joined[:, 2]), joined[:, 3], joined[:, 5])
    for target, column in zip((X, Y, YAW, CURVATURE, LIMIT), columns, strict=True):
        out[:, target] = np.interp(grid, s, column)
    out[:, SLOW] = np.interp(grid, s, joined[:, 4])
    starts = np.cumsum([0.0, *lanes.length[chain]]) - start_m
    index = np.clip(np.searchsorted(starts, grid, side="right") - 1, 0, len(chain) - 1)
    out[:, LANE], out[:, LANE_S] = np.array(chain)[index], grid - starts[index]
    out[:, [ENTRY, EXIT]], out[:, CONNECTOR] = np.inf, -1
    for entry, leave, turn, lane in reversed(spans):
        out[grid < leave, ENTRY], out[grid < leave, EXIT] = entry, leave
        out[grid < leave, TURN], out[grid < leave, CONNECTOR] = turn, lane
    return out


def plan_route(scenario: Scenario) -> tuple[Route, np.random.Generator, list[int]]:
    """The route with at least one junction within its length, the stream for the rest of the scenario, and the lanes driven."""
    network = build_network(scenario.town_seed)
    rng = np.random.default_rng((scenario.town_seed, scenario.route_seed, 0x72))
    length = float(rng.uniform(MIN_LENGTH_M, MAX_LENGTH_M))
    for _ in range(50):
        chain, start = _walk(network, rng, length + TAIL_M + 1.0)
        points = _route_points(network, chain, start, length + TAIL_M)
        if points[0, ENTRY] < length - 30.0:
            break
    route = Route(points=points, length_m=length, start_speed_mps=float(points[0, SLOW] * rng.uniform(0.5, 0.9)))
    return route, rng, chain


def _spot(network: Network, lane: int, s: float) -> Float[Array, " 3"]:
    lanes = network.lanes
    points = lanes.points[lanes.first[lane] : lanes.first[lane] + lanes.num_points[lane]]
    at = np.arange(len(points)) * lanes.step[lane]
    return np.array([np.interp(s, at, points[:, k]) for k in range(3)])


def _wish(kind: str, network: Network, route: Route, chain: list[int], rng: np.random.Generator) -> tuple[int, float]:
    """A lane and a place on it: ahead on the route, oncoming beside it, or anywhere around the route's junctions."""
    lanes, ahead = network.lanes, route.points
    if kind == "lead":
        point = ahead[int(rng.uniform(18, 50))]
        return int(point[LANE]), float(point[LANE_S])
    roads = [lane for lane in chain if network.opposite[lane] >= 0]
    if kind == "oncoming":
        lane = int(network.opposite[roads[int(rng.integers(len(roads)))]])
    else:
        near = [int(k) for lane in roads for k in lanes.next[lane, : lanes.num_next[lane]]]
        ends = [int(lanes.next[k, 0]) for k in near]
        sides = sorted({int(network.opposite[e]) for e in ends} | set(ends))
        lane = sides[int(rng.integers(len(sides)))]
    return lane, float(rng.uniform(4.0, lanes.length[lane] - 6.0))


def place_agents(scenario: Scenario, route: Route, rng: np.random.Generator, chain: list[int]) -> Agents:
    """Traffic near the route, at legal gaps, never within CLEAR_OF_EGO_M of the ego; fewer than asked for where the roads are full."""
    if scenario.num_agents > MAX_AGENTS:
        raise ValueError(f"scenario {scenario.name}: num_agents {scenario.num_agents} is more than {MAX_AGENTS}; ask for fewer")
    network = build_network(scenario.town_seed)
    lanes, agents, ego = network.lanes, empty_agents((MAX_AGENTS,)), route.points[0]
    ego_xy = ego[:2] + CAR.centre_ahead_m * np.array([np.cos(ego[YAW]), np.sin(ego[YAW])])
    placed = 0
    for attempt in range(8 * scenario.num_agents):
        if placed == scenario.num_agents:
            break
        kind = "lead" if attempt == 0 and rng.random() < 0.8 else ("oncoming" if rng.random() < 0.45 else "around")
        lane, s = _wish(kind, network, route, chain, rng)
        pose, length = _spot(network, lane, s), float(rng.uniform(4.0, 4.9) if rng.random() < 0.85 else rng.uniform(5.4, 6.4))
        others = agents.pose[:placed, :2]
        behind = lane == int(ego[LANE]) and s < ego[LANE_S]
        crowded = placed and np.hypot(*(others - pose[:2]).T).min() < 11.0
        if np.hypot(*(pose[:2] - ego_xy)) < CLEAR_OF_EGO_M + (10.0 if behind else 0.0) or crowded or (lanes.junction[lane] >= 0):
            continue
        agents.lane[placed], agents.s[placed], agents.pose[placed] = lane, s, pose
        agents.length[placed], agents.width[placed] = length, 1.75 + 0.06 * (length - 4.0) + rng.uniform(0, 0.12)
        agents.eagerness[placed] = rng.uniform(0.5, 0.8) if kind == "lead" else rng.uniform(0.75, 1.05)
        agents.headway[placed], agents.shade[placed] = rng.uniform(1.0, 1.8), rng.random()
        if rng.random() < (0.35 if kind == "lead" else 0.12):
            agents.stop_period[placed], agents.stop_steps[placed] = int(rng.integers(130, 260)), int(rng.integers(25, 60))
        agents.speed[placed] = 0.7 * agents.eagerness[placed] * min(lanes.limit[lane], 9.0)
        agents.next_lane[placed] = lanes.next[lane, rng.integers(lanes.num_next[lane])]
        agents.rng[placed] = rng.integers(1, 2**63)
        agents.valid[placed] = True
        placed += 1
    return agents

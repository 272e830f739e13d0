"""The town: a batch of environments over procedural roads with traffic and a forward camera."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Float, Int

from motorworks.bodies.body import CAR, respond
from motorworks.datatypes.observation import NUM_PAST_POSES, Observation
from motorworks.datatypes.scenario import Scenario
from motorworks.datatypes.scene import NUM_PATH_POINTS, Scene
from motorworks.datatypes.trajectory import DT_S, Trajectory
from motorworks.geometry.array import Array
from motorworks.geometry.se2 import compose, inverse
from motorworks.sim import sensing
from motorworks.sim.camera import HEIGHT_PX, WIDTH_PX, draw
from motorworks.sim.ground import OFF_CODE, TownMap, build_town
from motorworks.sim.network import MAX_NEXT, Lanes
from motorworks.sim.route import COLUMNS as ROUTE_COLUMNS
from motorworks.sim.route import MAX_AGENTS, MAX_POINTS, Agents, empty_agents, place_agents, plan_route
from motorworks.sim.traffic import NUM_EGO, advance_traffic
from motorworks.sim.world import Snapshot, WorldStep
from motorworks.tokens.text import DEFAULT_INSTRUCTION

NUM_NEAREST = 8
SLOWEST_MEAN_MPS = 3.0  # the time allowed is the route at this speed
ARRIVED_M = 3.0
AHEAD_M, NOW_M = 40.0, 12.0
TURN_WORDS = {-1: "turn right", 0: "go straight", 1: "turn left"}
MAX_LANES, MAX_LANE_POINTS, MAX_CONNECTORS = 224, 11_000, 144

if not np.allclose((sensing.CENTRE_M, 2 * sensing.HALF_LENGTH_M, 2 * sensing.HALF_WIDTH_M), (CAR.centre_ahead_m, CAR.length_m, CAR.width_m)):
    raise ValueError("sim/sensing.py has another size for the car than bodies.CAR; make them agree")


def _empty_bank(num_envs: int) -> Lanes:
    """Room for each environment's own copy of its town's lanes."""
    shapes: dict[str, tuple[tuple[int, ...], type]] = {
        "first": ((MAX_LANES,), np.int32),
        "num_points": ((MAX_LANES,), np.int32),
        "length": ((MAX_LANES,), np.float64),
        "step": ((MAX_LANES,), np.float64),
        "limit": ((MAX_LANES,), np.float64),
        "junction": ((MAX_LANES,), np.int32),
        "turn": ((MAX_LANES,), np.int32),
        "source": ((MAX_LANES,), np.int32),
        "next": ((MAX_LANES, MAX_NEXT), np.int32),
        "num_next": ((MAX_LANES,), np.int32),
        "points": ((MAX_LANE_POINTS, 5), np.float64),
        "conflict": ((MAX_CONNECTORS, MAX_CONNECTORS), np.bool_),
        "first_connector": ((1,), np.int32),
    }
    return Lanes(**{name: np.zeros((num_envs, *shape), kind) for name, (shape, kind) in shapes.items()})


def _instruction(gap_m: float, turn: int) -> str:
    if gap_m >= AHEAD_M:
        return DEFAULT_INSTRUCTION
    return f"{TURN_WORDS[turn]} {'now' if gap_m < NOW_M else 'ahead'}"


class Town:
    """World of `num_envs` towns. Off the road (and the end): the box centre leaves the paved area, or the ego is 7 m from its route.

    Thin: no lane changes, pedestrians, lights or weather yet; on 2+2 roads the route stays in its lane.
    """

    name = "town"

    def __init__(self, num_envs: int, renders: bool = True, max_steps: int | None = None, threads: int = 1) -> None:
        self.num_envs, self.renders, self.max_steps = num_envs, renders, max_steps
        self._threads = max(1, min(threads, num_envs))
        self._pool = ThreadPoolExecutor(self._threads) if self._threads > 1 else None
        n = num_envs
        self._maps: list[TownMap | None] = [None] * n
        self._bank, self._routes = _empty_bank(n), np.zeros((n, MAX_POINTS, len(ROUTE_COLUMNS)))
        self._num_points, self._route_length = np.full(n, 2), np.ones(n)
        self._headings: Array = np.full((n, 1, 1), OFF_CODE, np.int8)
        self._agents, self._egos = empty_agents((n, MAX_AGENTS)), np.zeros((n, NUM_EGO))
        self._ego_boxes = np.zeros((n, 4))
        self._facts = sensing.empty_facts(n, NUM_PATH_POINTS, NUM_NEAREST)
        self._clock, self._time_limit = np.zeros(n, np.int64), np.ones(n, np.int64)
        self._pose, self._speed, self._accel, self._curvature = np.zeros((n, 3)), np.zeros(n), np.zeros(n), np.zeros(n)
        self._past = np.zeros((n, NUM_PAST_POSES, 3))
        self._finished, self._terminated = np.ones(n, np.bool_), np.zeros(n, np.bool_)
        self._off_road, self._completed = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
        self._frames = np.zeros((n, HEIGHT_PX, WIDTH_PX, 3), np.uint8)

    def reset(self, scenarios: Sequence[Scenario], env_ids: Int[Array, " n"] | None = None) -> Observation:
        """Restart the named environments (default: the first `len(scenarios)`, emptying the others); observation of all."""
        ids = np.arange(len(scenarios)) if env_ids is None else np.asarray(env_ids, np.int64)
        if len(ids) != len(scenarios) or len(ids) > self.num_envs:
            raise ValueError(f"reset: {len(scenarios)} scenarios for {len(ids)} of {self.num_envs} environments; give one scenario for each")
        if env_ids is None:
            self._finished[:] = True
        for env, scenario in zip(ids, scenarios, strict=True):
            self._start(int(env), scenario)
        first = np.zeros(self.num_envs, np.bool_)
        first[ids] = True
        self._advance(first, moves=False)
        return self._observe(first, draws=first)

    def _start(self, env: int, scenario: Scenario) -> None:
        town = build_town(scenario.town_seed)
        route, rng, chain = plan_route(scenario)
        self._maps[env] = town
        for name, value in town.network.lanes._asdict().items():
            target = getattr(self._bank, name)[env]
            if any(have > room for have, room in zip(value.shape, target.shape, strict=True)):
                raise ValueError(
                    f"town_seed {scenario.town_seed}: {name} {value.shape} does not fit {target.shape}; raise the MAX_ constants of sim/town.py"
                )
            target[tuple(slice(0, size) for size in value.shape)] = value
        self._load_heading(env, town.heading)
        self._routes[env, : len(route.points)], self._num_points[env] = route.points, len(route.points)
        self._route_length[env] = route.length_m
        for target, value in zip(self._agents, place_agents(scenario, route, rng, chain), strict=True):
            target[env] = value
        self._egos[env] = (-1, 0, -1, -1, -1, route.start_speed_mps, 0, 0)
        self._clock[env] = 0
        self._time_limit[env] = self.max_steps or int(np.ceil(route.length_m / SLOWEST_MEAN_MPS / DT_S))
        self._pose[env], self._speed[env] = route.points[0, :3], route.start_speed_mps
        self._accel[env], self._curvature[env] = 0.0, route.points[0, 3]
        self._facts.progress[env] = 0.0
        # before the first observation: straight back at constant speed
        back = -self._speed[env] * DT_S * np.arange(1, NUM_PAST_POSES + 1)
        self._past[env] = compose(self._pose[env], np.stack([back, np.zeros_like(back), np.zeros_like(back)], axis=-1))
        for flags in (self._finished, self._terminated, self._off_road, self._completed):
            flags[env] = False

    def _load_heading(self, env: int, heading: Array) -> None:
        have, need = self._headings.shape[1:], heading.shape
        if need[0] > have[0] or need[1] > have[1]:
            grown = np.full((self.num_envs, max(have[0], need[0]), max(have[1], need[1])), OFF_CODE, np.int8)
            grown[:, : have[0], : have[1]] = self._headings
            self._headings = grown
        self._headings[env] = OFF_CODE
        self._headings[env, : need[0], : need[1]] = heading

    def _advance(self, live: Array, *, moves: bool) -> None:
        bounds = np.linspace(0, self.num_envs, self._threads + 1).astype(int)

        def run(part: int) -> None:
            part_of = (bounds[part], bounds[part + 1], live)
            sensing.place_egos(
                *part_of,
                moves,
                self._clock,
                DT_S,
                self._pose,
                self._speed,
                self._routes,
                self._num_points,
                self._agents,
                self._egos,
                self._ego_boxes,
                self._facts,
            )
            advance_traffic(*part_of, moves, self._clock, DT_S, self._bank, self._agents, self._egos, self._ego_boxes)
            sensing.sense(
                *part_of, self._pose, self._speed, self._bank, self._routes, self._num_points, self._headings, self._agents, self._egos, self._facts
            )

        self._spread(run, self._threads)

    def _spread(self, run: Callable[[int], None], num: int) -> None:
        """Call run(0..num-1), on the pool where there is one; kernels release the GIL."""
        if self._pool is not None:
            list(self._pool.map(run, range(num)))
            return
        for part in range(num):
            run(part)

    def step(self, trajectories: Trajectory) -> WorldStep:
        """Execute the first control of each trajectory."""
        live = ~self._finished
        accel, curvature = np.asarray(trajectories.accel_mps2, np.float64)[:, 0], np.asarray(trajectories.curvature_per_m, np.float64)[:, 0]
        if not (np.isfinite(accel[live]).all() and np.isfinite(curvature[live]).all()):
            bad = np.flatnonzero(live & ~(np.isfinite(accel) & np.isfinite(curvature)))
            raise ValueError(f"step: the first control of environments {bad.tolist()} is not finite; the policy must answer numbers")
        pose, speed, kappa, felt = respond(CAR, self._pose, self._speed, self._curvature, np.where(live, accel, 0), np.where(live, curvature, 0))
        self._past[live] = np.concatenate([self._pose[:, None], self._past[:, :-1]], axis=1)[live]
        self._pose[live], self._speed[live], self._curvature[live], self._accel[live] = pose[live], speed[live], kappa[live], felt[live]
        self._clock[live] += 1
        before = self._facts.progress.copy()
        self._advance(live, moves=True)
        facts = self._facts
        self._completed |= live & (self._route_length - facts.progress < ARRIVED_M)
        self._off_road |= live & (facts.centre_off | (np.abs(facts.lateral) > sensing.LEAVES_ROUTE_M))
        self._terminated |= live & (facts.collision | self._off_road | self._completed)
        truncated = live & ~self._terminated & (self._clock >= self._time_limit)
        observation = self._observe(np.zeros(self.num_envs, np.bool_), draws=live)
        self._finished |= self._terminated | truncated
        return WorldStep(
            observation=observation,
            terminated=self._terminated.copy(),
            truncated=self._finished & ~self._terminated,
            progress_m=facts.progress - before,
            collision=facts.collision.copy(),
            at_fault=facts.at_fault.copy(),
            off_road=self._off_road.copy(),
            completed=self._completed.copy(),
            wrong_way=facts.wrong_way.copy(),
            lateral_offset_m=facts.lateral.copy(),
            speed_mps=self._speed.copy(),
            accel_mps2=self._accel.copy(),
            curvature_per_m=self._curvature.copy(),
            min_gap_m=facts.min_gap.copy(),
        )

    def _render(self, draws: Array) -> None:
        ids = np.flatnonzero(draws)

        def one(k: int) -> None:
            env = int(ids[k])
            town = self._maps[env]
            if town is None:
                raise ValueError(f"environment {env} was never reset")
            draw(self._frames[env], town, self._pose[env], Agents(*(field[env] for field in self._agents)))

        self._spread(one, len(ids))

    def _observe(self, first: Array, *, draws: Array) -> Observation:
        if self.renders:
            self._render(draws)
        facts, speed = self._facts, self._speed.astype(np.float32)
        scene = Scene(
            path_rig_m=facts.path.copy(),
            path_curvature_per_m=facts.path_curvature.copy(),
            lateral_offset_m=facts.lateral.copy(),
            heading_error_rad=facts.heading_error.copy(),
            speed_mps=self._speed.copy(),
            speed_limit_mps=facts.limit.copy(),
            remaining_m=np.maximum(self._route_length - facts.progress, 0.0),
            junction_gap_m=facts.junction_gap.copy(),
            junction_blocked=facts.junction_blocked.copy(),
            turn=np.where(np.isfinite(facts.junction_gap), facts.turn, 0),
            lead_gap_m=facts.lead_gap.copy(),
            lead_speed_mps=facts.lead_speed.copy(),
            agents_rig=facts.nearest.copy(),
            agents_valid=facts.nearest_valid.copy(),
        )
        return Observation(
            frames=self._frames.copy() if self.renders else None,
            speed_mps=speed,
            yaw_rate_radps=(self._speed * self._curvature).astype(np.float32),
            past_poses_rig=compose(inverse(self._pose)[:, None], self._past).astype(np.float32),
            instructions=tuple(_instruction(float(gap), int(turn)) for gap, turn in zip(facts.junction_gap, scene.turn, strict=True)),
            first=first,
            scene=scene,
        )

    def snapshot(self) -> Snapshot:
        """The true state now."""
        facts, agents = self._facts, self._agents
        return Snapshot(
            ego_world=self._pose.copy(),
            speed_mps=self._speed.copy(),
            accel_mps2=self._accel.copy(),
            curvature_per_m=self._curvature.copy(),
            progress_m=facts.progress.copy(),
            route_length_m=self._route_length.copy(),
            lateral_offset_m=facts.lateral.copy(),
            on_road=facts.on_road.copy(),
            wrong_way=facts.wrong_way.copy(),
            in_junction=facts.in_junction.copy(),
            speed_limit_mps=facts.limit.copy(),
            agents_world=self._agents_world(),
            agents_valid=agents.valid.copy(),
        )

    def _agents_world(self) -> Float[Array, "batch agent 6"]:
        agents = self._agents
        return np.concatenate([agents.pose, np.stack([agents.speed, agents.length, agents.width], axis=-1)], axis=-1)

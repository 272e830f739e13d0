"""The town: a batch of environments over procedural or imported roads, with traffic, people, lights, weather and any camera rig."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from motorworks.bodies.body import CAR, Body
from motorworks.datatypes.observation import NUM_PAST_POSES, Observation
from motorworks.datatypes.rig import FRONT, Rig
from motorworks.datatypes.scenario import Scenario
from motorworks.datatypes.scene import Scene
from motorworks.datatypes.trajectory import DT_S, Trajectory
from motorworks.geometry.array import Array
from motorworks.geometry.se2 import compose, inverse
from motorworks.sim import sensing
from motorworks.sim.advance import TownArrays, advance_envs
from motorworks.sim.agents import ABSENT, MAX_AGENTS, POLICY, empty_agents
from motorworks.sim.bank import MAX_LANES, MapBank
from motorworks.sim.chassis import Chassis
from motorworks.sim.facts import empty_facts
from motorworks.sim.ground import TownMap, build_town
from motorworks.sim.renderer import Labels, Renderer
from motorworks.sim.route import COLUMNS as ROUTE_COLUMNS
from motorworks.sim.route import CONNECTOR, ENTRY, LANE, MAX_POINTS, WORDS, plan_route
from motorworks.sim.rules import empty_lists
from motorworks.sim.staging import Staged, stage
from motorworks.sim.world import Snapshot, WorldStep
from motorworks.tokens.text import DEFAULT_INSTRUCTION

SLOWEST_MEAN_MPS = 3.0  # the time allowed is the route at this speed,
WAIT_AT_JUNCTION_S = 25.0  # and this for each junction on it
ARRIVED_M = 3.0
AHEAD_M, NOW_M = 40.0, 12.0

if not np.allclose((sensing.CENTRE_M, 2 * sensing.HALF_LENGTH_M, 2 * sensing.HALF_WIDTH_M), (CAR.centre_ahead_m, CAR.length_m, CAR.width_m)):
    raise ValueError("sim/sensing.py has another size for the car than bodies.CAR; make them agree")


def build_map(scenario: Scenario) -> TownMap:
    """The procedural town of a scenario."""
    return build_town(scenario.town_seed)


class Town:
    """World of `num_envs` bodies, each in a town of its own, or `egos_per_town` of them in each (self-play).

    Off the road (and the end): the box centre leaves the paved area, or the body is 7 m from its route. A red light, a passed stop sign or a
    taken right of way do not end an episode; they are reported in the step they happen.
    `odometry_noise_frac`: standard deviation of speed (of itself) and yaw rate; positions of the past drift ten times slower.
    """

    name = "town"

    def __init__(
        self,
        num_envs: int,
        renders: bool = True,
        max_steps: int | None = None,
        threads: int = 1,
        *,
        rig: Rig = FRONT,
        body: Body = CAR,
        egos_per_town: int = 1,
        odometry_noise_frac: float = 0.0,
        map_of: Callable[[Scenario], TownMap] = build_map,
    ) -> None:
        if num_envs < 1 or egos_per_town < 1 or num_envs % egos_per_town:
            raise ValueError(f"num_envs {num_envs} must be a positive multiple of egos_per_town {egos_per_town}")
        self.num_envs, self.renders, self.max_steps, self.rig = num_envs, renders, max_steps, rig
        self._map_of, self._noise_frac = map_of, odometry_noise_frac
        self._egos, self._num_towns = egos_per_town, num_envs // egos_per_town
        self._threads = max(1, min(threads, self._num_towns))
        self._pool = ThreadPoolExecutor(self._threads) if self._threads > 1 else None
        n, towns = num_envs, self._num_towns
        self._bank, self._slots = MapBank(towns), np.zeros(towns, np.int64)
        self._maps: list[TownMap | None] = [None] * towns
        self._staged: list[Staged | None] = [None] * n
        self._agents, self._facts = empty_agents((towns, MAX_AGENTS)), empty_facts(n)
        self._lists = empty_lists(self._threads, self._bank.num_slots * MAX_LANES, MAX_AGENTS)
        self._scratch = np.zeros((self._threads, 4))
        self._routes, self._num_points, self._route_length = np.zeros((n, MAX_POINTS, len(ROUTE_COLUMNS))), np.full(n, 2), np.ones(n)
        self._clock, self._time_limit = np.zeros(towns, np.int64), np.ones(n, np.int64)
        self._chassis = Chassis(body, n)
        self.arrays = TownArrays(
            slots=self._slots, clock=self._clock, pose=self._chassis.pose, speed=self._chassis.speed, accel=self._chassis.accel,
            routes=self._routes, num_points=self._num_points, bank=self._bank.arrays, agents=self._agents, facts=self._facts,
        )  # fmt: skip
        self._past = np.zeros((n, NUM_PAST_POSES, 3))
        self._finished, self._terminated = np.ones(n, np.bool_), np.zeros(n, np.bool_)
        self._off_road, self._completed = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
        self._renderer: Renderer | None = None

    def reset(self, scenarios: Sequence[Scenario], env_ids: Int[Array, " n"] | None = None) -> Observation:
        """Restart the named environments (default: the first `len(scenarios)`, emptying the others); observation of all.

        With several bodies in a town: whole towns at a time, each body with the town's scenario. Raises ValueError for an unknown kind, an
        impossible parameter or a map that does not fit, HeldOut for a held-out town that only an evaluation may open.
        """
        ids = np.arange(len(scenarios)) if env_ids is None else np.asarray(env_ids, np.int64)
        if len(ids) != len(scenarios) or len(ids) > self.num_envs:
            raise ValueError(f"reset: {len(scenarios)} scenarios for {len(ids)} of {self.num_envs} environments; give one scenario for each")
        if env_ids is None:
            self._finished[:] = True
        groups: dict[int, list[Scenario]] = {}
        for env, scenario in zip(ids, scenarios, strict=True):
            groups.setdefault(int(env) // self._egos, []).append(scenario)
        for town, wanted in groups.items():
            if len(wanted) != self._egos or len(set(wanted)) > 1:
                raise ValueError(f"reset: town {town} needs one scenario for each of its {self._egos} bodies, all the same; got {wanted}")
            self._start(town, wanted[0])
        first = np.zeros(self.num_envs, np.bool_)
        first[ids] = True
        self._advance(first, moves=False)
        return self._observe(first, draws=first)

    def _start(self, town: int, scenario: Scenario) -> None:
        town_map = self._map_of(scenario)
        fresh = empty_agents((MAX_AGENTS,))
        fresh.mode[: self._egos] = POLICY
        fresh.length[: self._egos], fresh.width[: self._egos] = CAR.length_m, CAR.width_m
        fresh.rng[: self._egos] = np.arange(1, self._egos + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(scenario.route_seed)
        staged = stage(town_map, scenario, fresh, self._egos)
        self._maps[town], self._slots[town] = town_map, self._bank.load(town, town_map)
        shift = int(self._slots[town]) * MAX_LANES
        for name in ("lane", "next_lane", "hold"):
            lanes = getattr(fresh, name)
            lanes[lanes >= 0] += shift
        for target, value in zip(self._agents, fresh, strict=True):
            target[town] = value
        self._clock[town] = 0
        for m in range(self._egos):
            self._start_body(town * self._egos + m, staged if m == 0 else self._other_route(staged, town_map, scenario, m), shift)
        if self._renderer is not None:
            self._renderer.reset_env(town, town_map, staged.look)

    def _other_route(self, staged: Staged, town_map: TownMap, scenario: Scenario, m: int) -> Staged:
        """Another body's own way through the same town."""
        rng = np.random.default_rng((scenario.town_seed, scenario.route_seed, 0x73, m))
        return replace(staged, route=plan_route(town_map.network, scenario, rng))

    def _start_body(self, env: int, staged: Staged, shift: int) -> None:
        route, points = staged.route, staged.route.points.copy()
        points[:, LANE] += shift
        points[:, CONNECTOR] += np.where(points[:, CONNECTOR] >= 0, shift, 0)
        self._staged[env] = staged
        self._routes[env, : len(points)], self._num_points[env] = points, len(points)
        self._route_length[env] = route.length_m
        entries = points[: int(route.length_m), ENTRY]
        allowed_s = route.length_m / SLOWEST_MEAN_MPS + WAIT_AT_JUNCTION_S * len(np.unique(entries[np.isfinite(entries)])) + staged.time_s
        self._time_limit[env] = self.max_steps or int(np.ceil(allowed_s / DT_S))
        self._chassis.place(env, points[0, :3], route.start_speed_mps, points[0, 3], staged.grip)
        for column in self._facts:
            column[env] = 0
        self._facts.junction_gap[env] = np.inf
        # before the first observation: straight back at constant speed
        back = -route.start_speed_mps * DT_S * np.arange(1, NUM_PAST_POSES + 1)
        self._past[env] = compose(points[0, :3], np.stack([back, np.zeros_like(back), np.zeros_like(back)], axis=-1))
        for flags in (self._finished, self._terminated, self._off_road, self._completed):
            flags[env] = False

    def _advance(self, live: Array, *, moves: bool) -> None:
        bounds = np.linspace(0, self._num_towns, self._threads + 1).astype(int)
        towns = live.reshape(self._num_towns, self._egos).any(axis=1)

        def run(part: int) -> None:
            start, stop = int(bounds[part]), int(bounds[part + 1])
            advance_envs(part, start, stop, towns, moves, self._egos, self.arrays, self._lists, self._scratch)

        self._spread(run, self._threads)

    def _spread(self, run: Callable[[int], None], num: int) -> None:
        """Call run(0..num-1), on the pool where there is one; kernels release the GIL."""
        if self._pool is not None:
            list(self._pool.map(run, range(num)))
            return
        for part in range(num):
            run(part)

    def step(self, trajectories: Trajectory) -> WorldStep:
        """Execute the first control of each trajectory; what exceeds the body's limits is clipped by the body, NaN raises ValueError."""
        live = ~self._finished
        accel, curvature = np.asarray(trajectories.accel_mps2, np.float64)[:, 0], np.asarray(trajectories.curvature_per_m, np.float64)[:, 0]
        past = np.concatenate([self._chassis.pose[:, None], self._past[:, :-1]], axis=1)
        self._chassis.step(live, accel, curvature, DT_S)
        self._past[live] = past[live]
        self._clock[live.reshape(self._num_towns, self._egos).any(axis=1)] += 1
        before = self._facts.progress.copy()
        self._advance(live, moves=True)
        facts, clock = self._facts, np.repeat(self._clock, self._egos)
        self._completed |= live & (self._route_length - facts.progress < ARRIVED_M)
        self._off_road |= live & (facts.centre_off | (np.abs(facts.lateral) > sensing.LEAVES_ROUTE_M))
        self._terminated |= live & (facts.collision | self._off_road | self._completed)
        truncated = live & ~self._terminated & (clock >= self._time_limit)
        observation = self._observe(np.zeros(self.num_envs, np.bool_), draws=live)
        self._finished |= self._terminated | truncated
        if self._egos > 1:
            self._leave(self._finished.reshape(self._num_towns, self._egos))
        return WorldStep(
            observation=observation,
            terminated=self._terminated.copy(),
            truncated=self._finished & ~self._terminated,
            progress_m=np.where(live, facts.progress - before, 0.0),
            collision=facts.collision.copy(),
            at_fault=facts.at_fault.copy(),
            off_road=self._off_road.copy(),
            completed=self._completed.copy(),
            wrong_way=facts.wrong_way.copy(),
            red_light=facts.red_light & live,
            stop_sign=facts.stop_sign & live,
            gave_no_way=facts.gave_no_way & live,
            blocks_siren=facts.blocks_siren & live,
            lateral_offset_m=facts.lateral.copy(),
            speed_mps=self._chassis.speed.copy(),
            accel_mps2=self._chassis.accel.copy(),
            curvature_per_m=self._chassis.curvature.copy(),
            min_gap_m=facts.min_gap.copy(),
        )

    def _leave(self, gone: Array) -> None:
        """Who has finished is out of the others' way."""
        self._agents.mode[:, : self._egos][gone] = ABSENT
        self._agents.hold[:, : self._egos][gone] = -1

    def _new_renderer(self) -> Renderer:
        return Renderer(self.rig, self._num_towns, self._egos, self._threads)

    def _frames(self, draws: Array) -> Array | None:
        """Pictures of every camera, those of `draws` new: [env, camera, height, width, 3]."""
        if self._renderer is None:
            self._renderer = self._new_renderer()
            for town, (town_map, staged) in enumerate(zip(self._maps, self._staged[:: self._egos], strict=True)):
                if town_map is not None and staged is not None:
                    self._renderer.reset_env(town, town_map, staged.look)
        arrays = self.arrays
        return self._renderer.draw(draws, arrays.bank, arrays.slots, arrays.pose, arrays.agents, arrays.clock, self._spread)

    def draw_once(self, scenario: Scenario) -> Array:
        """Pictures of a scenario's first moment, [camera, height, width, 3], without anything that moves: for compiling and for looking."""
        self._start(0, scenario)
        frames = self._frames(np.ones(self.num_envs, np.bool_))
        assert frames is not None
        return frames[0]

    def _observe(self, first: Array, *, draws: Array) -> Observation:
        frames = self._frames(draws) if self.renders else None
        past = compose(inverse(self._chassis.pose)[:, None], self._past)
        noise = self._noise_frac * self._facts.noise
        past[..., :2] += 0.1 * noise[:, None, 2:3] * past[..., :2]
        speed = (self._chassis.speed * (1.0 + noise[:, 0])).astype(np.float32)
        return Observation(
            frames=None if frames is None else frames[:, 0].copy(),
            rig_frames=None if frames is None or len(self.rig.cameras) == 1 else frames.copy(),
            cameras=self.rig.cameras,
            speed_mps=speed,
            yaw_rate_radps=(self._chassis.speed * self._chassis.curvature + noise[:, 1]).astype(np.float32),
            past_poses_rig=past.astype(np.float32),
            instructions=tuple(self._instruction(env) for env in range(self.num_envs)),
            first=first,
            scene=self._scene(),
        )

    def _instruction(self, env: int) -> str:
        word, gap, staged = int(self._facts.word[env]), float(self._facts.word_gap[env]), self._staged[env]
        if word < 0 or gap >= (NOW_M if staged is not None and staged.late_hints else AHEAD_M):
            return DEFAULT_INSTRUCTION
        return f"{WORDS[word]} {'now' if gap < NOW_M else 'ahead'}"

    def _scene(self) -> Scene:
        facts = self._facts
        return Scene(
            path_rig_m=facts.path.copy(),
            path_curvature_per_m=facts.path_curvature.copy(),
            lateral_offset_m=facts.lateral.copy(),
            heading_error_rad=facts.heading_error.copy(),
            speed_mps=self._chassis.speed.copy(),
            curvature_per_m=self._chassis.curvature.copy(),
            speed_limit_mps=facts.limit.copy(),
            remaining_m=np.maximum(self._route_length - facts.progress, 0.0),
            left_room_m=facts.left_room.copy(),
            left_own_m=facts.left_own.copy(),
            right_room_m=facts.right_room.copy(),
            junction_gap_m=facts.junction_gap.copy(),
            junction_blocked=np.isfinite(facts.stop_gap),
            turn=np.where(np.isfinite(facts.junction_gap), facts.turn, 0),
            light=facts.light.copy(),
            stop_gap_m=facts.stop_gap.copy(),
            stop_cause=facts.stop_cause.copy(),
            siren_gap_m=facts.siren_gap.copy(),
            lead_gap_m=facts.lead_gap.copy(),
            lead_speed_mps=facts.lead_speed.copy(),
            agents_rig=facts.nearest.copy(),
            agents_valid=facts.nearest_valid.copy(),
        )

    def snapshot(self) -> Snapshot:
        """The true state now."""
        facts = self._facts
        agents = self._agents_world()
        valid = np.repeat(self._agents.mode != ABSENT, self._egos, axis=0)
        valid[np.arange(self.num_envs), np.arange(self.num_envs) % self._egos] = False  # not itself
        return Snapshot(
            ego_world=self._chassis.pose.copy(),
            speed_mps=self._chassis.speed.copy(),
            accel_mps2=self._chassis.accel.copy(),
            curvature_per_m=self._chassis.curvature.copy(),
            progress_m=facts.progress.copy(),
            route_length_m=self._route_length.copy(),
            lateral_offset_m=facts.lateral.copy(),
            on_road=facts.on_road.copy(),
            wrong_way=facts.wrong_way.copy(),
            in_junction=facts.in_junction.copy(),
            speed_limit_mps=facts.limit.copy(),
            agents_world=agents,
            agents_valid=valid,
            agents_kind=np.repeat(self._agents.kind.astype(np.uint8), self._egos, axis=0),
            red_light=facts.red_light.copy(),
            stop_sign=facts.stop_sign.copy(),
            gave_no_way=facts.gave_no_way.copy(),
            blocks_siren=facts.blocks_siren.copy(),
            collision_agent=facts.collision_agent.copy(),
            tags=tuple(staged.tags if staged is not None else () for staged in self._staged),
        )

    def _agents_world(self) -> Float[Array, "batch agent 6"]:
        agents = self._agents
        rows = np.concatenate([agents.pose, np.stack([agents.speed, agents.length, agents.width], axis=-1)], axis=-1)
        return np.repeat(rows, self._egos, axis=0)

    def labels(self, env_ids: Int[Array, " n"]) -> Labels:
        """Depth, class and instance of every pixel of the named environments' pictures as they are now; drawn on request."""
        self._frames(np.zeros(self.num_envs, np.bool_))
        assert self._renderer is not None
        return self._renderer.labels(np.asarray(env_ids), self._bank.arrays, self._slots, self._chassis.pose, self._agents, self._clock)

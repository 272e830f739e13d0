"""A list of foreign single environments as one World: batched, no auto-reset, observations in our frame."""

from collections.abc import Hashable, Sequence

import msgspec
import numpy as np
from jaxtyping import Bool, Float, Int

from motorworks.datatypes.observation import NUM_PAST_POSES, Observation
from motorworks.datatypes.scenario import Scenario
from motorworks.datatypes.trajectory import DT_S, Trajectory
from motorworks.geometry.array import Array
from motorworks.geometry.se2 import compose, inverse
from motorworks.metrics.overlap import agent_boxes, ego_boxes, gap_between_m
from motorworks.sim.agents import MAX_AGENTS
from motorworks.sim.others.car import CarState, ForeignCar
from motorworks.sim.world import Snapshot, WorldStep
from motorworks.tokens.text import DEFAULT_INSTRUCTION

_STANDING_MPS = 0.3  # below this a yaw rate says nothing of the curvature


class _Seat(msgspec.Struct, kw_only=True):
    """One environment: its car, what it last said, and the memory that an observation needs."""

    car: ForeignCar
    state: CarState | None = None
    past_world: Float[Array, "16 3"] = msgspec.field(default_factory=lambda: np.zeros((NUM_PAST_POSES, 3)))
    accel_mps2: float = 0.0
    progress_step_m: float = 0.0
    over: bool = True
    slots: dict[Hashable, int] = msgspec.field(default_factory=dict)  # of the others, for the whole episode

    def now(self) -> CarState:
        """The state; of an environment that was never reset, a car at rest at the origin."""
        if self.state is not None:
            return self.state
        return CarState(
            pose_world=np.zeros(3), speed_mps=0.0, yaw_rate_radps=0.0, progress_m=0.0, route_length_m=1.0, lateral_offset_m=0.0, on_road=True
        )

    def start(self, scenario: Scenario, *, renders: bool) -> None:
        self.state = state = self.car.reset(scenario, renders=renders)
        back = -state.speed_mps * DT_S * np.arange(1, NUM_PAST_POSES + 1)  # as if it had always driven straight on
        self.past_world = compose(state.pose_world, np.stack([back, np.zeros_like(back), np.zeros_like(back)], axis=-1))
        self.accel_mps2, self.progress_step_m, self.over = 0.0, 0.0, False
        self.slots = {}
        self._seat_others(state)

    def advance(self, accel_mps2: float, curvature_per_m: float) -> None:
        body, before = self.car.body, self.now()
        state = self.car.step(
            float(np.clip(accel_mps2, -body.max_decel_mps2, body.max_accel_mps2)),
            float(np.clip(curvature_per_m, -body.max_curvature_per_m, body.max_curvature_per_m)),
        )
        self.past_world = np.concatenate([before.pose_world[None], self.past_world[:-1]])
        self.accel_mps2, self.progress_step_m = (state.speed_mps - before.speed_mps) / DT_S, state.progress_m - before.progress_m
        self.state, self.over = state, state.collision or state.off_road or state.completed or state.timeout
        self._seat_others(state)

    def _seat_others(self, state: CarState) -> None:
        """Newcomers take free slots, nearest first; who leaves frees none, or a slot would change who it is."""
        new = [(float(np.hypot(*(one.box_world[:2] - state.pose_world[:2]))), who) for who, one in state.others.items() if who not in self.slots]
        for _, who in sorted(new, key=lambda item: (item[0], str(item[1])))[: MAX_AGENTS - len(self.slots)]:
            self.slots[who] = len(self.slots)

    def agents(self) -> tuple[Float[Array, "agent 6"], Bool[Array, " agent"], Array]:
        boxes, valid, kinds = np.zeros((MAX_AGENTS, 6)), np.zeros(MAX_AGENTS, np.bool_), np.zeros(MAX_AGENTS, np.uint8)
        for who, one in self.now().others.items():
            if who in self.slots:
                slot = self.slots[who]
                boxes[slot], valid[slot], kinds[slot] = one.box_world, True, one.kind
        return boxes, valid, kinds

    def curvature_per_m(self) -> float:
        state = self.now()
        return state.yaw_rate_radps / state.speed_mps if abs(state.speed_mps) > _STANDING_MPS else 0.0


class GymWorld:
    """World over foreign cars. What they do not tell: `scene` is None, the instruction is always "follow the road", lights, signs, right of
    way and sirens count as never violated, and every collision as the policy's fault.
    """

    def __init__(self, cars: Sequence[ForeignCar]) -> None:
        names = {car.name for car in cars}
        if len(names) != 1:
            raise ValueError(f"a world needs cars of one simulator, at least one; got {sorted(names)}")
        self.name, self.num_envs, self.body = names.pop(), len(cars), cars[0].body  # scores need the body's box
        self._seats = [_Seat(car=car) for car in cars]
        self._renders = False

    @property
    def renders(self) -> bool:
        """Whether observations carry frames."""
        return self._renders

    @renders.setter
    def renders(self, wanted: bool) -> None:
        if wanted and not all(seat.car.has_camera for seat in self._seats):
            raise ValueError(f"{self.name} has no forward camera here: a policy that needs frames cannot drive it")
        self._renders = wanted

    def reset(self, scenarios: Sequence[Scenario], env_ids: Int[Array, " n"] | None = None) -> Observation:
        """Restart the named environments (default: the first `len(scenarios)`, emptying the others); observation of all."""
        ids = np.arange(len(scenarios)) if env_ids is None else np.asarray(env_ids)
        if len(ids) != len(scenarios) or len(ids) > self.num_envs:
            raise ValueError(f"reset: {len(scenarios)} scenarios for {len(ids)} of {self.num_envs} environments; give one scenario for each")
        if env_ids is None:
            for seat in self._seats:
                seat.over = True
        for env, scenario in zip(ids, scenarios, strict=True):
            self._seats[env].start(scenario, renders=self._renders)
        return self._observe(np.isin(np.arange(self.num_envs), ids))

    def step(self, trajectories: Trajectory) -> WorldStep:
        """Execute the first control of each trajectory."""
        accel, curvature = (np.asarray(values, np.float64)[:, 0] for values in (trajectories.accel_mps2, trajectories.curvature_per_m))
        live = np.array([not seat.over for seat in self._seats])
        bad = live & ~(np.isfinite(accel) & np.isfinite(curvature))
        if bad.any():
            raise ValueError(f"step: the first control of environments {np.flatnonzero(bad).tolist()} is not finite; the policy must answer numbers")
        for seat, a, k in zip(self._seats, accel, curvature, strict=True):
            if seat.over:
                seat.progress_step_m = 0.0
            else:
                seat.advance(float(a), float(k))
        return self._report(self._observe(np.zeros(self.num_envs, np.bool_)))

    def _column(self, name: str) -> Array:
        return np.array([getattr(seat.now(), name) for seat in self._seats])

    def _curvature(self) -> Float[Array, " batch"]:
        return np.array([seat.curvature_per_m() for seat in self._seats])

    def _report(self, observation: Observation) -> WorldStep:
        collision, off_road, completed = (self._column(name) for name in ("collision", "off_road", "completed"))
        terminated, never = collision | off_road | completed, np.zeros(self.num_envs, np.bool_)
        return WorldStep(
            observation=observation,
            terminated=terminated,
            truncated=self._column("timeout") & ~terminated,
            progress_m=np.array([seat.progress_step_m for seat in self._seats]),
            collision=collision,
            at_fault=collision.copy(),
            off_road=off_road,
            completed=completed,
            wrong_way=self._column("wrong_way"),
            red_light=never,
            stop_sign=never.copy(),
            gave_no_way=never.copy(),
            blocks_siren=never.copy(),
            lateral_offset_m=self._column("lateral_offset_m"),
            speed_mps=self._column("speed_mps"),
            accel_mps2=np.array([seat.accel_mps2 for seat in self._seats]),
            curvature_per_m=self._curvature(),
            min_gap_m=np.array([_min_gap_m(seat) for seat in self._seats]),
        )

    def _observe(self, first: Bool[Array, " batch"]) -> Observation:
        past = np.stack([compose(inverse(seat.now().pose_world), seat.past_world) for seat in self._seats])
        frames = [seat.now().frame for seat in self._seats] if self._renders else []
        shape = next((frame.shape for frame in frames if frame is not None), None)
        return Observation(
            frames=None if shape is None else np.stack([np.zeros(shape, np.uint8) if frame is None else frame for frame in frames]),
            speed_mps=self._column("speed_mps").astype(np.float32),
            yaw_rate_radps=self._column("yaw_rate_radps").astype(np.float32),
            past_poses_rig=past.astype(np.float32),
            instructions=(DEFAULT_INSTRUCTION,) * self.num_envs,
            first=first,
        )

    def snapshot(self) -> Snapshot:
        """The true state now; what the simulator does not tell is zero."""
        boxes, valid, kinds = (np.stack(column) for column in zip(*(seat.agents() for seat in self._seats), strict=True))
        never = np.zeros(self.num_envs, np.bool_)
        return Snapshot(
            ego_world=self._column("pose_world"),
            speed_mps=self._column("speed_mps"),
            accel_mps2=np.array([seat.accel_mps2 for seat in self._seats]),
            curvature_per_m=self._curvature(),
            progress_m=self._column("progress_m"),
            route_length_m=self._column("route_length_m"),
            lateral_offset_m=self._column("lateral_offset_m"),
            on_road=self._column("on_road"),
            wrong_way=self._column("wrong_way"),
            in_junction=self._column("in_junction"),
            speed_limit_mps=self._column("speed_limit_mps"),
            agents_world=boxes,
            agents_valid=valid,
            agents_kind=kinds,
            red_light=never,
            stop_sign=never.copy(),
            gave_no_way=never.copy(),
            blocks_siren=never.copy(),
            collision_agent=np.full(self.num_envs, -1),
            tags=((self.name,),) * self.num_envs,
        )

    def close(self) -> None:
        """Close every environment."""
        for seat in self._seats:
            seat.car.close()


def _min_gap_m(seat: _Seat) -> float:
    boxes, valid, _ = seat.agents()
    if not valid.any():
        return float("inf")
    return float(gap_between_m(ego_boxes(seat.now().pose_world[None], seat.car.body), agent_boxes(boxes[valid])).min())

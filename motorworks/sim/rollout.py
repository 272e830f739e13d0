"""Rolling a policy out over scenarios, and turning what happened into a clip."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Bool

from motorworks.datatypes.clip import Clip, Motion
from motorworks.datatypes.observation import Observation
from motorworks.datatypes.rig import Camera
from motorworks.datatypes.rollout import Rollout
from motorworks.datatypes.scenario import Scenario
from motorworks.datatypes.thought import Thought
from motorworks.datatypes.trajectory import Plan, Trajectory
from motorworks.geometry.array import Array
from motorworks.policy.policy import Policy
from motorworks.sim.world import Snapshot, World, WorldStep

STEP_US = 100_000
Watch = Callable[[Observation, Plan, WorldStep, Bool[Array, " batch"]], None]
_COLUMNS = (
    "ego_world",
    "speed_mps",
    "accel_mps2",
    "curvature_per_m",
    "progress_m",
    "lateral_offset_m",
    "on_road",
    "wrong_way",
    "in_junction",
    "speed_limit_mps",
    "agents_world",
    "agents_valid",
    "red_light",
    "stop_sign",
    "gave_no_way",
    "blocks_siren",
)


@dataclass(frozen=True, kw_only=True)
class _Tape:
    """One episode while it is being recorded."""

    index: int
    scenario: Scenario
    rows: dict[str, list[Array]] = field(default_factory=lambda: {name: [] for name in _COLUMNS})
    plans: list[tuple[Array, Array]] = field(default_factory=list)
    thoughts: list[Thought | None] = field(default_factory=list)
    instructions: list[str] = field(default_factory=list)
    frames: list[Array] = field(default_factory=list)  # of one camera, or of a rig in its order
    cameras: list[Camera] = field(default_factory=list)  # of a rig

    def record(self, env: int, snapshot: Snapshot, observation: Observation, *, frame: bool) -> None:
        for name, rows in self.rows.items():
            rows.append(np.array(getattr(snapshot, name)[env]))
        self.instructions.append(observation.instructions[env])
        if frame and observation.rig_frames is not None:
            self.frames.append(observation.rig_frames[env].copy())
            self.cameras[:] = observation.cameras
        elif frame and observation.frames is not None:
            self.frames.append(observation.frames[env].copy())

    def pictures(self) -> dict[str, Any]:
        """Of the camera that looks ahead, and of the others by name."""
        if not self.frames:
            return {}
        frames = np.stack(self.frames)
        if frames.ndim == 4:
            return {"frames": frames}
        sides = {camera.name: frames[:, place] for place, camera in enumerate(self.cameras[1:], start=1)}
        return {"frames": frames[:, 0], "side_frames": sides, "cameras": tuple(self.cameras)}

    def record_plan(self, env: int, plan: Plan, *, trajectory: bool) -> None:
        if trajectory:
            kept = plan.intended
            self.plans.append((np.asarray(kept.accel_mps2[env], np.float32), np.asarray(kept.curvature_per_m[env], np.float32)))
        self.thoughts.append(plan.thoughts[env] if plan.thoughts is not None else None)


def _finish(tape: _Tape, env: int, policy: Policy, step: WorldStep, snapshot: Snapshot) -> Rollout:
    """The tape as a rollout. Applied controls move to the row of the step that applied them; the last row repeats the one before."""
    columns = {name: np.array(rows) for name, rows in tape.rows.items()}
    for name in ("accel_mps2", "curvature_per_m"):
        columns[name] = np.append(columns[name][1:], columns[name][-1])
    # what the step from row t did stands in row t
    for name in ("red_light", "stop_sign", "gave_no_way", "blocks_siren"):
        columns[name] = np.append(columns[name][1:], False)
    used = int(np.flatnonzero(columns["agents_valid"].any(axis=0)).max(initial=-1)) + 1
    columns["agents_world"], columns["agents_valid"] = columns["agents_world"][:, :used], columns["agents_valid"][:, :used]
    floats = {name: value.astype(np.float32) if value.dtype == np.float64 and name != "ego_world" else value for name, value in columns.items()}
    plans = None
    if tape.plans:
        accel, curvature = (np.stack([*column, column[-1]]) for column in zip(*tape.plans, strict=True))
        plans = Trajectory(accel_mps2=accel, curvature_per_m=curvature)
    ending = {"collision": step.collision[env], "off_road": step.off_road[env], "completed": step.completed[env], "timeout": step.truncated[env]}
    outcome = next((name for name, happened in ending.items() if happened), "cut")
    thoughts = (*tape.thoughts, tape.thoughts[-1])
    return Rollout(
        scenario=tape.scenario,
        policy=policy.name,
        outcome=outcome,
        collision_at_fault=bool(step.collision[env] and step.at_fault[env]),
        collision_agent=int(snapshot.collision_agent[env]) if step.collision[env] else -1,
        agents_kind=snapshot.agents_kind[env, :used].copy(),
        tags=snapshot.tags[env],
        route_length_m=float(snapshot.route_length_m[env]),
        plans=plans,
        thoughts=thoughts if any(thoughts) else None,
        instructions=tuple(tape.instructions),
        **tape.pictures(),
        **floats,
    )


def iterate_rollouts(
    world: World, policy: Policy, scenarios: Sequence[Scenario], *, keep_frames: bool = False, keep_plans: bool = False, on_step: Watch | None = None
) -> Iterator[tuple[int, Rollout]]:
    """(index of the scenario, rollout) as each finishes; a free environment takes the next scenario at once."""
    world.renders = policy.uses_camera or keep_frames
    waiting = iter(enumerate(scenarios))
    tapes: dict[int, _Tape] = {env: _Tape(index=i, scenario=s) for env, (i, s) in zip(range(world.num_envs), waiting, strict=False)}
    if not tapes:
        return
    observation = world.reset([tape.scenario for tape in tapes.values()])
    snapshot = world.snapshot()
    for env, tape in tapes.items():
        tape.record(env, snapshot, observation, frame=keep_frames)
    while tapes:
        seen = observation if policy.privileged else replace(observation, scene=None)
        plan = policy.act(seen)
        step = world.step(plan.trajectory)
        snapshot = world.snapshot()
        if on_step is not None:
            on_step(seen, plan, step, np.isin(np.arange(world.num_envs), list(tapes)))
        fresh: dict[int, _Tape] = {}
        for env in list(tapes):
            tapes[env].record_plan(env, plan, trajectory=keep_plans)
            tapes[env].record(env, snapshot, step.observation, frame=keep_frames)
            if step.terminated[env] or step.truncated[env]:
                tape = tapes.pop(env)
                yield tape.index, _finish(tape, env, policy, step, snapshot)
                index, scenario = next(waiting, (None, None))
                if index is not None and scenario is not None:
                    fresh[env] = _Tape(index=index, scenario=scenario)
        observation = step.observation
        if fresh:
            observation = world.reset([tape.scenario for tape in fresh.values()], np.array(list(fresh)))
            snapshot = world.snapshot()
            for env, tape in fresh.items():
                tape.record(env, snapshot, observation, frame=keep_frames)
            tapes.update(fresh)


def iterate_excerpts(world: World, policy: Policy, scenarios: Iterator[Scenario], *, num: int, num_steps: int, gap_steps: int) -> Iterator[Rollout]:
    """`num` recordings of up to `num_steps` rows, with frames, of drives that go on unseen for `gap_steps` between them.

    What teaches is many places, not many frames: neighbouring pictures are alike, and the camera is what costs (docs/log.md).
    """
    world.renders = True
    driven = [next(scenarios) for _ in range(world.num_envs)]
    observation, tapes, made, t = world.reset(driven), dict[int, _Tape](), 0, 0
    while made < num:
        phase, t = t % (num_steps + gap_steps), t + 1
        if phase == 0:
            tapes = {env: _Tape(index=env, scenario=scenario) for env, scenario in enumerate(driven)}
            _record(tapes, world.snapshot(), observation)
        plan = policy.act(observation if policy.privileged else replace(observation, scene=None))
        world.renders = t % (num_steps + gap_steps) < num_steps
        step = world.step(plan.trajectory)
        observation, ended = step.observation, step.terminated | step.truncated
        if tapes:
            snapshot = world.snapshot()
            for env, tape in tapes.items():
                tape.record_plan(env, plan, trajectory=False)
            _record(tapes, snapshot, observation)
            for env in [env for env in tapes if ended[env] or phase + 2 == num_steps][: num - made]:
                made += 1
                yield _finish(tapes.pop(env), env, policy, step, snapshot)
        done = np.flatnonzero(ended)
        if len(done):
            for env in done:
                driven[env] = next(scenarios)
            observation = world.reset([driven[env] for env in done], done)


def _record(tapes: dict[int, _Tape], snapshot: Snapshot, observation: Observation) -> None:
    for env, tape in tapes.items():
        tape.record(env, snapshot, observation, frame=True)


def roll_out(
    world: World, policy: Policy, scenarios: Sequence[Scenario], *, keep_frames: bool = False, keep_plans: bool = False, on_step: Watch | None = None
) -> list[Rollout]:
    """Drive every scenario once, any number of them, in order.

    Sets `world.renders`; only privileged policies see the scene. Frames take 110 kB a step: with `keep_frames` use
    `iterate_rollouts` and let each rollout go. `on_step(observation, plan, step, live)` watches every step of the batch.
    """
    found = dict(iterate_rollouts(world, policy, scenarios, keep_frames=keep_frames, keep_plans=keep_plans, on_step=on_step))
    return [found[i] for i in range(len(scenarios))]


def clip_from_rollout(rollout: Rollout, thoughts: tuple[Thought | None, ...] | None = None) -> Clip:
    """What happened, as a recording: same rows, same clock."""
    num = len(rollout.speed_mps)
    return Clip(
        recording_id=f"{rollout.scenario.name}-{rollout.policy}",
        source="town",
        body="car",
        licence="CC0-1.0 (generated)",
        timestamp_us=np.arange(num, dtype=np.int64) * STEP_US,
        frames=rollout.frames,
        side_frames=rollout.side_frames,
        cameras=rollout.cameras,
        motion=Motion(
            kind="simulated",
            poses_world=rollout.ego_world,
            speed_mps=rollout.speed_mps,
            accel_mps2=rollout.accel_mps2,
            curvature_per_m=rollout.curvature_per_m,
        ),
        instructions=rollout.instructions,
        thoughts=thoughts if thoughts is not None else rollout.thoughts,
        tags=("town", rollout.outcome),
    )

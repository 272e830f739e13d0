"""Recorded clips as a closed-loop world: the policy drives, the recording shows what it would have seen.

The place along the recorded path picks the frame, which is reprojected to where the ego is; standing still holds it. An episode ends where the
recording does (`completed`), out of time (`truncated`), or where the ego leaves the range that reprojection can answer for (`off_road`), and
`reasons` says why. What is not in a recording is not in this world: other agents repeat what they did and react to nothing, there are no
collisions, lanes or lights to judge, and `observation.scene` is None.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from motorworks.bodies.body import Body, check_commands, respond
from motorworks.bodies.dynamics import empty_state, place_body, respond_dynamic
from motorworks.datatypes.observation import NUM_PAST_POSES, Observation
from motorworks.datatypes.rig import Camera
from motorworks.datatypes.scenario import TRAFFIC, Scenario
from motorworks.datatypes.trajectory import DT_S, NUM_STEPS, Trajectory
from motorworks.geometry.array import Array
from motorworks.geometry.se2 import compose, inverse
from motorworks.sim.replay_clip import ReplayClip
from motorworks.sim.replay_path import Paths, join_paths, locate, place_at
from motorworks.sim.replay_warp import disparity_of, lens_of, pack, plan_move, warp_deep, warp_flat
from motorworks.sim.world import Snapshot, WorldStep
from motorworks.tokens.text import DEFAULT_INSTRUCTION

OFFSET = "offset"  # scenario kind: starts beside the recording
OFFSET_PARAMS = ("lateral_m", "heading_rad", "start_m")
HEADING_LIMIT_RAD = 0.5  # a camera 85 degrees wide then still has two thirds of its view
TIME_FACTOR = 2.0  # of the recorded time
ARRIVED_FRAC = 0.5  # of the wheelbase before the end of the path


class Replay:
    """World of `num_envs` drives through `clips`. A scenario names world "replay", `route_seed` the clip, and kind "offset" may give where to
    start: lateral_m (left), heading_rad, start_m (along the path).

    `camera`: the policy's own camera, the recorded one by default. `lateral_limit_m` is one body width by default. All clips need one body and
    one picture size; `body` replaces theirs (say, by a dynamic one), on a road of `grip`.
    """

    name = "replay"

    def __init__(
        self,
        num_envs: int,
        clips: Sequence[ReplayClip],
        *,
        camera: Camera | None = None,
        body: Body | None = None,
        grip: float = 1.0,
        lateral_limit_m: float | None = None,
        heading_limit_rad: float = HEADING_LIMIT_RAD,
        max_steps: int | None = None,
        renders: bool = True,
    ) -> None:
        if not clips:
            raise ValueError("a replay needs at least one clip")
        bodies = {clip.clip.body for clip in clips}
        if len(bodies) != 1:
            raise ValueError(f"clips of one replay need one body, got {sorted(bodies)}; make one world for each")
        self.num_envs, self.renders, self.clips = num_envs, renders, tuple(clips)
        # a recording has nothing to show to who backs away along it
        self.body, self.grip, self.max_steps = replace(body or clips[0].body, can_reverse=False), grip, max_steps
        self.camera = camera or clips[0].camera
        self.lateral_limit_m = self.body.width_m if lateral_limit_m is None else lateral_limit_m
        self.heading_limit_rad = heading_limit_rad
        if not (self.lateral_limit_m > 0.0 and 0.0 < heading_limit_rad < np.pi / 2):
            raise ValueError(f"lateral_limit_m {self.lateral_limit_m} must be above 0, heading_limit_rad {heading_limit_rad} in (0, pi/2)")
        n = num_envs
        self.paths: Paths = join_paths([clip.path() for clip in clips])
        self._disparity = [None if clip.depth_m is None else disparity_of(clip.depth_m) for clip in clips]
        self._clip_id, self._near, self._row = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64)
        self._place, self._start_m = np.zeros((n, 3)), np.zeros(n)  # along_m, lateral_m, heading error
        self._start_row, self._clock, self._time_limit = np.zeros(n, np.int64), np.zeros(n, np.int64), np.ones(n, np.int64)
        self._state = empty_state(n)  # pose, speed and accel of either kind of body
        self._past = np.zeros((n, NUM_PAST_POSES, 3))
        self._finished, self._terminated = np.ones(n, np.bool_), np.zeros(n, np.bool_)
        self._off, self._completed = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
        self._reasons = [""] * n
        self._unseen = np.zeros(n)
        self._frames = np.zeros((n, self.camera.height_px, self.camera.width_px, 3), np.uint8)
        most = max(clip.camera.height_px * clip.camera.width_px for clip in clips)
        self._packed, self._found = np.empty(most, np.uint64), np.empty(self._frames.shape[1:3], np.float32)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why each environment's episode ended; empty while it goes on."""
        return tuple(self._reasons)

    @property
    def unseen_frac(self) -> Float[Array, " batch"]:
        """Share of each newest frame that the recording never saw, filled by guessing."""
        return self._unseen.copy()

    def reset(self, scenarios: Sequence[Scenario], env_ids: Int[Array, " n"] | None = None) -> Observation:
        """Restart the named environments (default: the first `len(scenarios)`, emptying the others); observation of all."""
        ids = np.arange(len(scenarios)) if env_ids is None else np.asarray(env_ids, np.int64)
        if len(ids) != len(scenarios) or len(ids) > self.num_envs:
            raise ValueError(f"reset: {len(scenarios)} scenarios for {len(ids)} of {self.num_envs} environments; give one scenario for each")
        starts = [self._offsets(scenario) for scenario in scenarios]  # all are checked before any is started
        if env_ids is None:
            self._finished[:] = True
        for env, scenario, offsets in zip(ids, scenarios, starts, strict=True):
            self._start(int(env), scenario.route_seed, offsets)
        first = np.zeros(self.num_envs, np.bool_)
        first[ids] = True
        self._find(first)
        self._start_m[ids] = self._place[ids, 0]
        self._start_row[ids] = self._row[ids]
        for env in ids:
            left = len(self.clips[self._clip_id[env]].clip.timestamp_us) - self._start_row[env]
            self._time_limit[env] = self.max_steps or int(np.ceil(TIME_FACTOR * left)) + 20
        return self._observe(first, draws=first)

    def _offsets(self, scenario: Scenario) -> Mapping[str, float]:
        if scenario.world != self.name:
            raise ValueError(f"scenario {scenario.name} is of world {scenario.world!r}; a replay needs world={self.name!r}")
        if scenario.route_seed >= len(self.clips):
            raise ValueError(f"scenario {scenario.name}: route_seed {scenario.route_seed} names a clip, there are {len(self.clips)}")
        if scenario.kind not in (TRAFFIC, OFFSET):
            raise ValueError(f"scenario {scenario.name}: a recording cannot stage {scenario.kind!r}, only {TRAFFIC!r} (as it was) and {OFFSET!r}")
        given = dict(scenario.params)
        unknown = sorted(set(given) - set(OFFSET_PARAMS))
        length_m = float(self.paths.points[self.paths.last[scenario.route_seed], 3])
        if unknown or not all(np.isfinite(list(given.values()))):
            raise ValueError(f"scenario {scenario.name}: params are finite numbers by the names {OFFSET_PARAMS}, got {given}")
        offsets = {name: given.get(name, 0.0) for name in OFFSET_PARAMS}
        if abs(offsets["lateral_m"]) > self.lateral_limit_m or abs(offsets["heading_rad"]) > self.heading_limit_rad:
            raise ValueError(f"scenario {scenario.name} starts out of range: limits are {self.lateral_limit_m} m and {self.heading_limit_rad} rad")
        if not 0.0 <= offsets["start_m"] < length_m:
            raise ValueError(f"scenario {scenario.name}: start_m {offsets['start_m']} lies outside the path of {length_m:.1f} m")
        return offsets

    def _start(self, env: int, clip_id: int, offsets: Mapping[str, float]) -> None:
        clip = self.clips[clip_id]
        self._clip_id[env] = clip_id
        on_path, self._near[env] = place_at(self.paths, clip_id, offsets["start_m"])
        pose = compose(on_path, np.array([0.0, offsets["lateral_m"], offsets["heading_rad"]]))
        row = int(self.paths.points[self._near[env], 4])
        speed, curvature = float(clip.motion.speed_mps[row]), float(clip.motion.curvature_per_m[row])
        place_body(env, pose[0], pose[1], pose[2], min(speed, self.body.max_speed_mps), curvature, self._state)
        # before the first observation: straight back at constant speed
        back = -speed * DT_S * np.arange(1, NUM_PAST_POSES + 1)
        self._past[env] = compose(pose, np.stack([back, np.zeros_like(back), np.zeros_like(back)], axis=-1))
        self._clock[env], self._reasons[env] = 0, ""
        for flags in (self._finished, self._terminated, self._off, self._completed):
            flags[env] = False

    def _find(self, live: Bool[Array, " batch"]) -> None:
        locate(live, self._clip_id, self._state.pose, self.paths, self._near, self._row, self._place)

    def _move(self, live: Bool[Array, " batch"], accel: Float[Array, " batch"], curvature: Float[Array, " batch"]) -> None:
        state = self._state
        accel, curvature = np.where(live, accel, 0.0), np.where(live, curvature, 0.0)
        self._past[live] = np.concatenate([state.pose[:, None], self._past[:, :-1]], axis=1)[live]
        if self.body.dynamics == "dynamic":
            for mine, new in zip(state, respond_dynamic(self.body, state, accel, curvature, self.grip), strict=True):
                mine[live] = new[live]
            return
        pose, speed, kappa, felt = respond(self.body, state.pose, state.speed, state.curvature, accel, curvature)
        for mine, new in ((state.pose, pose), (state.speed, speed), (state.curvature, kappa), (state.accel, felt), (state.yaw_rate, speed * kappa)):
            mine[live] = new[live]

    def step(self, trajectories: Trajectory) -> WorldStep:
        """Execute the first control of each trajectory."""
        live = ~self._finished
        accel, curvature = np.asarray(trajectories.accel_mps2, np.float64)[:, 0], np.asarray(trajectories.curvature_per_m, np.float64)[:, 0]
        if len(accel) != self.num_envs:
            raise ValueError(f"step: {len(accel)} trajectories for {self.num_envs} environments")
        check_commands(accel, curvature, live)
        before = self._place[:, 0].copy()
        self._move(live, accel, curvature)
        self._clock[live] += 1
        self._find(live)
        for env in np.flatnonzero(live):
            self._judge(int(env))
        truncated = live & ~self._terminated & (self._clock >= self._time_limit)
        for env in np.flatnonzero(truncated):
            self._reasons[env] = f"out of time after {self._clock[env] * DT_S:.1f} s"
        observation = self._observe(np.zeros(self.num_envs, np.bool_), draws=live)
        self._finished |= self._terminated | truncated
        never, state = np.zeros(self.num_envs, np.bool_), self._state
        return WorldStep(
            observation=observation,
            terminated=self._terminated.copy(),
            truncated=self._finished & ~self._terminated,
            progress_m=self._place[:, 0] - before,
            collision=never,
            at_fault=never.copy(),
            off_road=self._off.copy(),
            completed=self._completed.copy(),
            wrong_way=never.copy(),
            red_light=never.copy(),
            stop_sign=never.copy(),
            gave_no_way=never.copy(),
            blocks_siren=never.copy(),
            lateral_offset_m=self._place[:, 1].copy(),
            speed_mps=state.speed.copy(),
            accel_mps2=state.accel.copy(),
            curvature_per_m=state.curvature.copy(),
            min_gap_m=np.full(self.num_envs, np.inf),
        )

    def _judge(self, env: int) -> None:
        along, lateral, heading = self._place[env]
        if abs(lateral) > self.lateral_limit_m:
            self._reasons[env] = (
                f"off range: {abs(lateral):.2f} m {'left' if lateral > 0 else 'right'} of the recording, limit {self.lateral_limit_m} m"
            )
        elif abs(heading) > self.heading_limit_rad:
            self._reasons[env] = f"off range: heading {heading:+.2f} rad off the recording, limit {self.heading_limit_rad} rad"
        self._off[env] = bool(self._reasons[env])
        end_m = self.paths.points[self.paths.last[self._clip_id[env]], 3]
        self._completed[env] = not self._off[env] and end_m - along <= ARRIVED_FRAC * self.body.wheelbase_m
        if self._completed[env]:
            self._reasons[env] = "end of the clip"
        self._terminated[env] = self._off[env] or self._completed[env]

    def _draw(self, env: int) -> None:
        clip, row = self.clips[self._clip_id[env]], int(self._row[env])
        frames, disparity = clip.clip.frames, self._disparity[self._clip_id[env]]
        if frames is None:
            raise ValueError("a replay clip has frames")
        recorded_from_ego = compose(inverse(clip.motion.poses_world[row]), self._state.pose[env])
        move = plan_move(clip.camera, self.camera, recorded_from_ego)
        packed, out = self._packed[: clip.camera.height_px * clip.camera.width_px], self._frames[env]
        pack(np.ascontiguousarray(frames[row]), packed)
        if disparity is None:
            unseen = warp_flat(packed, lens_of(clip.camera), out, lens_of(self.camera), move, self._found)
        else:
            unseen = warp_deep(packed, disparity[row], lens_of(clip.camera), out, lens_of(self.camera), move, self._found)
        self._unseen[env] = unseen / self._found.size

    def _observe(self, first: Bool[Array, " batch"], *, draws: Bool[Array, " batch"]) -> Observation:
        if self.renders:
            for env in np.flatnonzero(draws):
                self._draw(int(env))
        frames: UInt8[Array, "batch height width 3"] | None = self._frames.copy() if self.renders else None
        state = self._state
        return Observation(
            frames=frames,
            speed_mps=state.speed.astype(np.float32),
            yaw_rate_radps=state.yaw_rate.astype(np.float32),
            past_poses_rig=compose(inverse(state.pose)[:, None], self._past).astype(np.float32),
            instructions=tuple(self._instruction(env) for env in range(self.num_envs)),
            first=first,
        )

    def _instruction(self, env: int) -> str:
        given = self.clips[self._clip_id[env]].clip.instructions
        return DEFAULT_INSTRUCTION if given is None else given[self._row[env]]

    def snapshot(self) -> Snapshot:
        """The true state now. `on_road` means within range: a recording knows no road; its speed limit is the body's."""
        n, state = self.num_envs, self._state
        never = np.zeros(n, np.bool_)
        ends = self.paths.points[self.paths.last[self._clip_id], 3]
        return Snapshot(
            ego_world=state.pose.copy(),
            speed_mps=state.speed.copy(),
            accel_mps2=state.accel.copy(),
            curvature_per_m=state.curvature.copy(),
            progress_m=self._place[:, 0] - self._start_m,
            route_length_m=ends - self._start_m,
            lateral_offset_m=self._place[:, 1].copy(),
            on_road=~self._off,
            wrong_way=never,
            in_junction=never.copy(),
            speed_limit_mps=np.full(n, self.body.max_speed_mps),
            agents_world=np.zeros((n, 0, 6)),
            agents_valid=np.zeros((n, 0), np.bool_),
            agents_kind=np.zeros((n, 0), np.uint8),
            red_light=never.copy(),
            stop_sign=never.copy(),
            gave_no_way=never.copy(),
            blocks_siren=never.copy(),
            collision_agent=np.full(n, -1),
            tags=tuple(self.clips[clip_id].clip.tags for clip_id in self._clip_id),
        )

    def ahead_rig_m(self, distance_m: Float[Array, " batch"]) -> Float[Array, "batch 3"]:
        """Privileged: the recorded pose that far ahead along the path, in the ego's rig frame; the path's end beyond it."""
        there = [place_at(self.paths, int(self._clip_id[env]), self._place[env, 0] + distance_m[env])[0] for env in range(self.num_envs)]
        return compose(inverse(self._state.pose), np.stack(there))

    def recorded_speed_mps(self) -> Float[Array, " batch"]:
        """Privileged: how fast the recording was driven here."""
        return np.array([self.clips[self._clip_id[env]].motion.speed_mps[self._row[env]] for env in range(self.num_envs)], np.float64)

    def recorded_controls(self) -> Trajectory:
        """Privileged: the controls that were recorded from as long after the start as the episode has run; zeros after the end."""
        accel = np.zeros((self.num_envs, NUM_STEPS), np.float32)
        curvature = accel.copy()
        for env in range(self.num_envs):
            motion, start = self.clips[self._clip_id[env]].motion, int(self._start_row[env] + self._clock[env])
            for out, column in ((accel[env], motion.accel_mps2), (curvature[env], motion.curvature_per_m)):
                part = column[start : start + NUM_STEPS]
                out[: len(part)] = part
        return Trajectory(accel_mps2=accel, curvature_per_m=curvature)


def replay_scenarios(num_clips: int, *, lateral_m: Sequence[float] = (0.0,), heading_rad: Sequence[float] = (0.0,)) -> list[Scenario]:
    """Every clip from every start."""
    plain = [Scenario(world=Replay.name, town_seed=0, route_seed=clip, num_agents=0) for clip in range(num_clips)]
    starts = [(lateral, heading) for lateral in lateral_m for heading in heading_rad]
    return [
        scenario if lateral == heading == 0.0 else replace(scenario, kind=OFFSET, params=(("lateral_m", lateral), ("heading_rad", heading)))
        for scenario in plain
        for lateral, heading in starts
    ]

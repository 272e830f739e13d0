"""A World as small as can be, for tests of what stands on the protocol: a straight lane along x, alone, with a toy camera."""

import numpy as np

from motorworks.bodies.body import CAR, respond
from motorworks.datatypes.observation import NUM_PAST_POSES, Observation
from motorworks.datatypes.scene import NUM_NEAREST, NUM_PATH_POINTS, PATH_SPACING_M, Scene
from motorworks.datatypes.trajectory import DT_S
from motorworks.geometry.se2 import compose, inverse
from motorworks.sim.agents import MAX_AGENTS
from motorworks.sim.world import Snapshot, WorldStep
from motorworks.tokens.text import DEFAULT_INSTRUCTION

HALF_ROAD_M, LIMIT_MPS, LONGEST_STEPS = 3.5, 10.0, 200


class LaneWorld:
    """Routes of 40 to 59 m by `route_seed`; the start is off centre by up to 1 m and turned a little, by the same seed."""

    name = "lane"

    def __init__(self, num_envs, renders=False):
        self.num_envs, self.renders = num_envs, renders
        n = num_envs
        self.pose, self.speed, self.curvature, self.accel = np.zeros((n, 3)), np.zeros(n), np.zeros(n), np.zeros(n)
        self.length, self.clock, self.over = np.ones(n), np.zeros(n, np.int64), np.ones(n, np.bool_)
        self.past, self.scenarios = np.zeros((n, NUM_PAST_POSES, 3)), [None] * n

    def reset(self, scenarios, env_ids=None):
        ids = np.arange(len(scenarios)) if env_ids is None else np.asarray(env_ids)
        for env, scenario in zip(ids, scenarios, strict=True):
            rng = np.random.default_rng((scenario.town_seed, scenario.route_seed))
            self.pose[env] = 0.0, rng.uniform(-1, 1), rng.uniform(-0.05, 0.05)
            self.speed[env], self.curvature[env], self.accel[env] = 5.0, 0.0, 0.0
            self.length[env], self.clock[env], self.over[env] = 40.0 + scenario.route_seed % 20, 0, False
            self.past[env], self.scenarios[env] = self.pose[env], scenario
        return self._observe(np.isin(np.arange(self.num_envs), ids))

    def step(self, trajectories):
        live, before = ~self.over, self.pose[:, 0].copy()
        accel, curvature = np.asarray(trajectories.accel_mps2)[:, 0], np.asarray(trajectories.curvature_per_m)[:, 0]
        pose, speed, kappa, felt = respond(CAR, self.pose, self.speed, self.curvature, accel, curvature, DT_S)
        self.past[live] = np.concatenate([self.pose[:, None], self.past[:, :-1]], axis=1)[live]
        self.pose[live], self.speed[live], self.curvature[live], self.accel[live] = pose[live], speed[live], kappa[live], felt[live]
        self.clock[live] += 1
        off, done = np.abs(self.pose[:, 1]) > HALF_ROAD_M, self.pose[:, 0] >= self.length
        terminated = off | done
        truncated = ~terminated & (self.clock >= LONGEST_STEPS)
        self.over |= terminated | truncated
        no = np.zeros(self.num_envs, np.bool_)
        return WorldStep(
            observation=self._observe(no),
            terminated=terminated,
            truncated=truncated,
            progress_m=self.pose[:, 0] - before,
            collision=no,
            at_fault=no,
            off_road=off,
            completed=done & ~off,
            wrong_way=np.abs(self.pose[:, 2]) > np.pi / 2,
            red_light=no,
            stop_sign=no,
            gave_no_way=no,
            blocks_siren=no,
            lateral_offset_m=self.pose[:, 1].copy(),
            speed_mps=self.speed.copy(),
            accel_mps2=self.accel.copy(),
            curvature_per_m=self.curvature.copy(),
            min_gap_m=np.full(self.num_envs, np.inf),
        )

    def _observe(self, first):
        n, far = self.num_envs, np.full(self.num_envs, np.inf)
        ahead = self.pose[:, :1] + PATH_SPACING_M * np.arange(NUM_PATH_POINTS)
        path = np.stack([ahead, np.zeros_like(ahead), np.zeros_like(ahead)], axis=-1)
        scene = Scene(
            path_rig_m=compose(inverse(self.pose)[:, None], path)[..., :2],
            path_curvature_per_m=np.zeros((n, NUM_PATH_POINTS)),
            lateral_offset_m=self.pose[:, 1].copy(),
            heading_error_rad=self.pose[:, 2].copy(),
            speed_mps=self.speed.copy(),
            curvature_per_m=self.curvature.copy(),
            speed_limit_mps=np.full(n, LIMIT_MPS),
            remaining_m=np.maximum(self.length - self.pose[:, 0], 0.0),
            left_room_m=np.full(n, HALF_ROAD_M),
            left_own_m=np.full(n, HALF_ROAD_M),
            right_room_m=np.full(n, HALF_ROAD_M),
            junction_gap_m=far,
            junction_blocked=np.zeros(n, np.bool_),
            turn=np.zeros(n, np.int64),
            light=np.zeros(n, np.int64),
            stop_gap_m=far,
            stop_cause=np.zeros(n, np.int64),
            siren_gap_m=far,
            lead_gap_m=far,
            lead_speed_mps=np.zeros(n),
            agents_rig=np.zeros((n, NUM_NEAREST, 8)),
            agents_valid=np.zeros((n, NUM_NEAREST), np.bool_),
        )
        frames = None
        if self.renders:
            frames = np.zeros((n, 36, 48, 3), np.uint8)
            frames[:, 18:] = 90
            column = np.clip(24 + 6 * self.pose[:, 1], 0, 47).astype(int)
            frames[np.arange(n), 18:, column] = 255
        return Observation(
            frames=frames,
            speed_mps=self.speed.astype(np.float32),
            yaw_rate_radps=(self.speed * self.curvature).astype(np.float32),
            past_poses_rig=compose(inverse(self.pose)[:, None], self.past).astype(np.float32),
            instructions=(DEFAULT_INSTRUCTION,) * n,
            first=first,
            scene=scene,
        )

    def snapshot(self):
        n, no = self.num_envs, np.zeros(self.num_envs, np.bool_)
        return Snapshot(
            ego_world=self.pose.copy(),
            speed_mps=self.speed.copy(),
            accel_mps2=self.accel.copy(),
            curvature_per_m=self.curvature.copy(),
            progress_m=self.pose[:, 0].copy(),
            route_length_m=self.length.copy(),
            lateral_offset_m=self.pose[:, 1].copy(),
            on_road=np.abs(self.pose[:, 1]) <= HALF_ROAD_M,
            wrong_way=no,
            in_junction=no,
            speed_limit_mps=np.full(n, LIMIT_MPS),
            agents_world=np.zeros((n, MAX_AGENTS, 6)),
            agents_valid=np.zeros((n, MAX_AGENTS), np.bool_),
            agents_kind=np.zeros((n, MAX_AGENTS), np.uint8),
            red_light=no,
            stop_sign=no,
            gave_no_way=no,
            blocks_siren=no,
            collision_agent=np.full(n, -1),
            tags=((),) * n,
        )

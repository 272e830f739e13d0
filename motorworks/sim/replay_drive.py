"""Policies and probes on recorded clips: how far they keep to the recording, and how far they stray from it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from motorworks.datatypes.observation import Observation
from motorworks.datatypes.rig import Camera
from motorworks.datatypes.scenario import Scenario
from motorworks.datatypes.score import Score, ScoreRow
from motorworks.datatypes.trajectory import NUM_STEPS, Plan, Trajectory
from motorworks.geometry.array import Array
from motorworks.metrics.aggregate import score_rows
from motorworks.policy.policy import Policy
from motorworks.policy.probes import ConstantVelocity, StandStill
from motorworks.sim.replay import Replay, replay_scenarios
from motorworks.sim.replay_clip import ReplayClip

LOOK_AHEAD_S = 0.4
LOOK_AHEAD_FRAC = 1.2  # of the wheelbase at least
SPEED_GAIN_PER_S = 2.0


class LogReplay:
    """Repeats the recorded controls, blind: where it strays, body and recording differ."""

    name = "log_replay"
    privileged = True
    uses_camera = False

    def __init__(self, world: Replay) -> None:
        self.world = world

    def act(self, observation: Observation) -> Plan:
        """One plan per batch item."""
        return Plan(trajectory=self.world.recorded_controls())


class PathFollower:
    """Pure pursuit of the recorded path at the recorded speed: the upper bound of keeping to it."""

    name = "path_follower"
    privileged = True
    uses_camera = False

    def __init__(self, world: Replay) -> None:
        self.world = world

    def act(self, observation: Observation) -> Plan:
        """One plan per batch item; the circle through a point ahead (Coulter 1992: curvature = 2 y / distance^2)."""
        body, speed = self.world.body, np.asarray(observation.speed_mps, np.float64)
        goal = self.world.ahead_rig_m(np.maximum(LOOK_AHEAD_FRAC * body.wheelbase_m, LOOK_AHEAD_S * speed))
        curvature = 2.0 * goal[:, 1] / np.maximum(goal[:, 0] ** 2 + goal[:, 1] ** 2, 1e-6)
        accel = SPEED_GAIN_PER_S * (np.maximum(self.world.recorded_speed_mps(), 0.2 * body.wheelbase_m) - speed)
        held = (np.repeat(values[:, None], NUM_STEPS, axis=1).astype(np.float32) for values in (accel, curvature))
        return Plan(trajectory=Trajectory(accel_mps2=next(held), curvature_per_m=next(held)))


@dataclass(frozen=True, kw_only=True)
class ReplayDrive:
    """One episode. Row t is the state after step t."""

    scenario: Scenario
    policy: str
    reason: str  # why it ended
    completed: bool
    off_range: bool
    progress_m: float
    route_length_m: float
    pose_world: Float[Array, "time 3"]
    lateral_m: Float[Array, " time"]
    speed_mps: Float[Array, " time"]
    unseen_frac: Float[Array, " time"]  # of each picture; 0 for a policy without camera


def drive_clips(world: Replay, policy: Policy, scenarios: Sequence[Scenario]) -> Iterator[ReplayDrive]:
    """Every scenario once, `world.num_envs` at a time, in order."""
    world.renders = policy.uses_camera
    for start in range(0, len(scenarios), world.num_envs):
        yield from _drive_batch(world, policy, scenarios[start : start + world.num_envs])


def _drive_batch(world: Replay, policy: Policy, scenarios: Sequence[Scenario]) -> list[ReplayDrive]:
    observation = world.reset(scenarios)
    num = len(scenarios)
    ended, rows = np.zeros(num, np.bool_), []
    lengths = np.zeros(num, np.int64)
    while not ended.all():
        step = world.step(policy.act(observation).trajectory)
        observation = step.observation
        unseen = world.unseen_frac if policy.uses_camera else np.zeros(world.num_envs)
        rows.append((world.snapshot().ego_world, step.lateral_offset_m, step.speed_mps, unseen))
        lengths[~ended] += 1
        ended = (step.terminated | step.truncated)[:num]
    snapshot = world.snapshot()
    columns = [np.stack(column) for column in zip(*rows, strict=True)]
    return [
        ReplayDrive(
            scenario=scenario,
            policy=policy.name,
            reason=world.reasons[env],
            completed=bool(step.completed[env]),
            off_range=bool(step.off_road[env]),
            progress_m=float(snapshot.progress_m[env]),
            route_length_m=float(snapshot.route_length_m[env]),
            pose_world=columns[0][: lengths[env], env],
            lateral_m=columns[1][: lengths[env], env],
            speed_mps=columns[2][: lengths[env], env],
            unseen_frac=columns[3][: lengths[env], env],
        )
        for env, scenario in enumerate(scenarios)
    ]


def score_drive(drive: ReplayDrive) -> list[Score]:
    """Survival (share of the recorded path before the end of the episode), whether it left the range, and how far it strayed meanwhile.

    Read survival and off_range_frac together: who stands still never leaves the range.
    """
    deviation, moved = np.abs(drive.lateral_m), np.abs(drive.speed_mps).sum() > 0.0
    survival = 1.0 if drive.completed else float(np.clip(drive.progress_m / drive.route_length_m, 0.0, 1.0))
    return [
        Score(metric="survival_frac", value=survival),
        Score(metric="completed_frac", value=float(drive.completed)),
        Score(metric="off_range_frac", value=float(drive.off_range)),
        Score(metric="lateral_deviation_m", value=float(deviation.mean()), valid=bool(moved)),
        Score(metric="lateral_deviation_worst_m", value=float(deviation.max()), valid=bool(moved)),
        Score(metric="unseen_frac", value=float(drive.unseen_frac.mean()), valid=bool(drive.unseen_frac.any())),
    ]


def replay_report(
    clips: Sequence[ReplayClip],
    policies: Sequence[Policy],
    *,
    lateral_m: Sequence[float] = (0.0,),
    heading_rad: Sequence[float] = (0.0,),
    camera: Camera | None = None,
    num_envs: int = 8,
) -> list[ScoreRow]:
    """Rows of `policies` and of every probe on every clip from every start, with intervals over the drives."""
    scenarios = replay_scenarios(len(clips), lateral_m=lateral_m, heading_rad=heading_rad)
    world = Replay(min(num_envs, len(scenarios)), clips, camera=camera)
    probes: list[Policy] = [StandStill(), ConstantVelocity(), LogReplay(world), PathFollower(world)]
    rows: list[ScoreRow] = []
    for policy in (*probes, *policies):
        scores = [score_drive(drive) for drive in drive_clips(world, policy, scenarios)]
        rows.extend(score_rows(scores, policy=policy.name, world=Replay.name))
    return rows

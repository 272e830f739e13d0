"""On-policy collection: the student drives and makes its own mistakes; the labeller says what it should have done there."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, UInt8

from motorworks.datatypes.observation import Observation
from motorworks.datatypes.on_policy import OnPolicy
from motorworks.datatypes.scenario import Scenario
from motorworks.datatypes.scene import Scene
from motorworks.datatypes.trajectory import Plan, Trajectory
from motorworks.geometry.array import Array
from motorworks.policy.policy import Policy
from motorworks.sim.world import World


def collect(
    world: World,
    student: Policy,
    labeller: Policy,
    scenarios: Iterator[Scenario],
    *,
    num_steps: int,
    labeller_drives_frac: float,
    shrink: Callable[[UInt8[Array, "batch height width 3"]], UInt8[Array, "batch h w 3"]],
    seed: int,
    score: Callable[[Scene, Plan], Float[Array, "batch proposal"]] | None = None,
    on_step: Callable[[int], None] = lambda t: None,
) -> OnPolicy:
    """Drives `num_steps` in every environment. Who drives is drawn per episode; both always answer, so memories stay whole.

    `score` judges the student's proposals in the same state (for the reward-driven polish).
    """
    rng = np.random.default_rng(seed)
    world.renders = True
    observation = world.reset([next(scenarios) for _ in range(world.num_envs)])
    labeller_drives = rng.random(world.num_envs) < labeller_drives_frac
    rows: dict[str, list] = {name: [] for name in ("images", "observation", "accel", "curvature", "thoughts", "scores")}
    ended, completed = 0, 0
    for t in range(num_steps):
        plan = student.act(_seen_by(student, observation))
        label = labeller.act(_seen_by(labeller, observation))
        _keep(rows, observation, label, shrink)
        if score is not None and observation.scene is not None:
            rows["scores"].append(score(observation.scene, plan))
        step = world.step(_mix(plan.trajectory, label.trajectory, labeller_drives))
        observation = step.observation
        done = np.flatnonzero(step.terminated | step.truncated)
        if len(done):
            ended, completed = ended + len(done), completed + int(step.completed[done].sum())
            labeller_drives[done] = rng.random(len(done)) < labeller_drives_frac
            observation = world.reset([next(scenarios) for _ in done], done)
        on_step(t + 1)
    return _stack(rows, ended, completed / max(ended, 1))


def _seen_by(policy: Policy, observation: Observation) -> Observation:
    return observation if policy.privileged else replace(observation, scene=None)


def _mix(student: Trajectory, labeller: Trajectory, labeller_drives: Bool[Array, " batch"]) -> Trajectory:
    pick = labeller_drives[:, None]
    return Trajectory(
        accel_mps2=np.where(pick, labeller.accel_mps2, student.accel_mps2),
        curvature_per_m=np.where(pick, labeller.curvature_per_m, student.curvature_per_m),
    )


def _keep(rows: dict[str, list], observation: Observation, label: Plan, shrink: Callable[[Array], Array]) -> None:
    if observation.frames is None:
        raise ValueError("the world did not render: collection needs camera frames")
    rows["images"].append(shrink(observation.frames))
    rows["observation"].append(replace(observation, frames=None, scene=None))
    rows["accel"].append(np.asarray(label.trajectory.accel_mps2, np.float32))
    rows["curvature"].append(np.asarray(label.trajectory.curvature_per_m, np.float32))
    rows["thoughts"].append(label.thoughts or (None,) * len(observation.speed_mps))


def _stack(rows: dict[str, list], num_ended: int, completed_frac: float) -> OnPolicy:
    seen: list[Observation] = rows["observation"]
    return OnPolicy(
        images=np.stack(rows["images"]),
        speed_mps=np.stack([o.speed_mps for o in seen]),
        yaw_rate_radps=np.stack([o.yaw_rate_radps for o in seen]),
        past_poses_rig=np.stack([o.past_poses_rig for o in seen]),
        instructions=tuple(o.instructions for o in seen),
        first=np.stack([o.first for o in seen]),
        labels=Trajectory(accel_mps2=np.stack(rows["accel"]), curvature_per_m=np.stack(rows["curvature"])),
        thoughts=tuple(rows["thoughts"]),
        proposal_scores=np.stack(rows["scores"]) if rows["scores"] else None,
        num_ended=num_ended,
        completed_frac=completed_frac,
    )

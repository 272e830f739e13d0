"""On-policy collection: the student drives and makes its own mistakes; the labeller says what it should have done there."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8

from motorworks.datatypes.observation import Observation
from motorworks.datatypes.on_policy import OnPolicy
from motorworks.datatypes.scenario import Scenario
from motorworks.datatypes.scene import Scene
from motorworks.datatypes.trajectory import Plan, Trajectory
from motorworks.geometry.array import Array
from motorworks.policy.policy import Policy
from motorworks.sim.world import World, WorldStep

Score = Callable[[Scene, Plan], Float[Array, "batch proposal"]]


class Collector:
    """Drives that go on from one `gather` to the next, so that short rounds still see whole routes.

    Only every `stride`-th step is drawn, labelled and kept: neighbouring pictures are alike, and what teaches is many drives, not many
    frames (docs/log.md). Who drives by a camera plans at these steps and follows its plan between them; who sees the scene plans at every step.
    """

    def __init__(
        self,
        world: World,
        scenarios: Iterator[Scenario],
        *,
        shrink: Callable[[UInt8[Array, "batch height width 3"]], UInt8[Array, "batch h w 3"]],
        sense: Callable[[Scene], Float[Array, "batch road"]],
        stride: int,
        seed: int,
    ) -> None:
        self.world, self._scenarios, self._shrink, self._sense, self._stride = world, scenarios, shrink, sense, stride
        self._rng = np.random.default_rng(seed)
        self._age = np.zeros(world.num_envs, np.int64)
        self._observation: Observation | None = None

    def gather(
        self,
        student: Policy,
        labeller: Policy,
        *,
        num_steps: int,
        labeller_drives_frac: float,
        score: Score | None = None,
        on_step: Callable[[int], None] = lambda t: None,
    ) -> OnPolicy:
        """Drives `num_steps` in every environment. Who drives is drawn per episode and call; a student that may drive always answers, so
        its memory stays whole. `score` judges the student's proposals in the same state (for the reward-driven polish).
        """
        if num_steps < 1 or num_steps % self._stride:
            raise ValueError(f"gather: num_steps {num_steps} must be a positive multiple of the stride {self._stride}")
        alone = labeller_drives_frac == 1.0 and score is None
        labeller_drives = self._rng.random(self.world.num_envs) < labeller_drives_frac
        rows: dict[str, list] = {name: [] for name in ("images", "observation", "age", "accel", "curvature", "thoughts", "road", "scores")}
        ended, completed = 0, 0
        observation = self._observation or self._start()
        plan: Plan | None = None
        label: Plan
        for t in range(num_steps):
            since = t % self._stride
            if since == 0:
                seen = replace(observation, first=self._age < self._stride)  # whoever looks now has not seen the start of a younger drive
                plan = None if alone else student.act(_seen_by(student, seen))
                label = labeller.act(_seen_by(labeller, seen if labeller.uses_camera else observation))
                self._keep(rows, observation, label)
                if score is not None and plan is not None and observation.scene is not None:
                    rows["scores"].append(score(observation.scene, plan))
            elif labeller_drives.any() and not labeller.uses_camera:
                label = labeller.act(_seen_by(labeller, observation))
            self.world.renders = since + 1 == self._stride
            told = _held(label, since if labeller.uses_camera else 0, self._age)
            step = self.world.step(told if plan is None else _mix(_held(plan, since, self._age), told, labeller_drives))
            observation, done = self._go_on(step)
            ended, completed = ended + len(done), completed + int(step.completed[done].sum())
            labeller_drives[done] = self._rng.random(len(done)) < labeller_drives_frac
            on_step(t + 1)
        self._observation = observation
        return _stack(rows, self._stride, ended, completed / max(ended, 1))

    def _start(self) -> Observation:
        self.world.renders = True
        return self.world.reset([next(self._scenarios) for _ in range(self.world.num_envs)])

    def _go_on(self, step: WorldStep) -> tuple[Observation, Array]:
        """The next observation, with the next scenario where a drive has ended, and where that is."""
        done = np.flatnonzero(step.terminated | step.truncated)
        self._age += 1
        self._age[done] = 0
        if len(done) == 0:
            return step.observation, done
        return self.world.reset([next(self._scenarios) for _ in done], done), done

    def _keep(self, rows: dict[str, list], observation: Observation, label: Plan) -> None:
        if observation.frames is None:
            raise ValueError("the world did not render: collection needs camera frames")
        rows["images"].append(self._shrink(observation.frames))
        rows["observation"].append(replace(observation, frames=None, scene=None))
        rows["age"].append(self._age.copy())
        rows["accel"].append(np.asarray(label.intended.accel_mps2, np.float32))
        rows["curvature"].append(np.asarray(label.intended.curvature_per_m, np.float32))
        if observation.scene is not None:
            rows["road"].append(self._sense(observation.scene))
        rows["thoughts"].append(label.thoughts or (None,) * len(observation.speed_mps))


def _seen_by(policy: Policy, observation: Observation) -> Observation:
    return observation if policy.privileged else replace(observation, scene=None)


def _held(plan: Plan, since: int, age: Int64[Array, " batch"]) -> Trajectory:
    """What a plan of `since` steps ago wants now; a drive that began after it keeps its speed until it is looked at."""
    ours = (age >= since)[:, None]
    driven = plan.trajectory
    return Trajectory(
        accel_mps2=np.where(ours, driven.accel_mps2[:, since:], 0.0), curvature_per_m=np.where(ours, driven.curvature_per_m[:, since:], 0.0)
    )


def _mix(student: Trajectory, labeller: Trajectory, labeller_drives: Bool[Array, " batch"]) -> Trajectory:
    pick = labeller_drives[:, None]
    num = min(student.accel_mps2.shape[1], labeller.accel_mps2.shape[1])
    return Trajectory(
        accel_mps2=np.where(pick, labeller.accel_mps2[:, :num], student.accel_mps2[:, :num]),
        curvature_per_m=np.where(pick, labeller.curvature_per_m[:, :num], student.curvature_per_m[:, :num]),
    )


def _stack(rows: dict[str, list], stride: int, ended: int, completed_frac: float) -> OnPolicy:
    seen: list[Observation] = rows["observation"]
    return OnPolicy(
        stride_steps=stride,
        images=np.stack(rows["images"]),
        speed_mps=np.stack([o.speed_mps for o in seen]),
        yaw_rate_radps=np.stack([o.yaw_rate_radps for o in seen]),
        past_poses_rig=np.stack([o.past_poses_rig for o in seen]),
        instructions=tuple(o.instructions for o in seen),
        age_steps=np.stack(rows["age"]),
        labels=Trajectory(accel_mps2=np.stack(rows["accel"]), curvature_per_m=np.stack(rows["curvature"])),
        thoughts=tuple(rows["thoughts"]),
        proposal_scores=np.stack(rows["scores"]) if rows["scores"] else None,
        road=np.stack(rows["road"]) if rows["road"] else None,
        num_ended=ended,
        completed_frac=completed_frac,
    )

"""The expert: a privileged driver that keeps the lane, the limit, the gap and the right of way, and says why."""

import numpy as np
from jaxtyping import Bool, Float

from motorworks.datatypes.observation import Observation
from motorworks.datatypes.scene import PATH_SPACING_M, Scene
from motorworks.datatypes.thought import Thought
from motorworks.datatypes.trajectory import DT_S, Plan, Trajectory
from motorworks.geometry.array import Array
from motorworks.policy.lane_plan import plan_along_path

LATERAL_ACCEL_MPS2 = 2.0
BEND_DECEL_MPS2 = 1.3  # how gently it slows before a bend
STOP_BEFORE_LINE_M = 1.0
MAX_LINE_DECEL_MPS2 = 5.0  # harder than this it no longer stops for the line
BEND_PER_M = 1.0 / 45.0  # tighter than this is worth a word
SPEED_CHANGE_MPS = 0.4  # within 1 s, to be called slowing down or speeding up


def speed_profile(scene: Scene) -> Float[Array, "batch point"]:
    """Speeds along the path within the limit and the lateral acceleration, reachable by gentle braking."""
    bends = np.sqrt(LATERAL_ACCEL_MPS2 / np.maximum(np.abs(scene.path_curvature_per_m), 1e-4))
    allowed = np.minimum(bends, np.asarray(scene.speed_limit_mps)[:, None])
    for i in range(allowed.shape[1] - 2, -1, -1):
        allowed[:, i] = np.minimum(allowed[:, i], np.sqrt(allowed[:, i + 1] ** 2 + 2 * BEND_DECEL_MPS2 * PATH_SPACING_M))
    return allowed


def must_yield(scene: Scene) -> Bool[Array, " batch"]:
    """The junction is taken, and the ego is before its line and can still stop there."""
    room = np.maximum(scene.junction_gap_m - STOP_BEFORE_LINE_M, 0.05)
    return scene.junction_blocked & (scene.junction_gap_m > 0.0) & (scene.speed_mps**2 / (2 * room) < MAX_LINE_DECEL_MPS2)


def drive(scene: Scene) -> Trajectory:
    """The expert's plan for each scene."""
    stop = np.where(must_yield(scene), scene.junction_gap_m - STOP_BEFORE_LINE_M, np.inf)
    return plan_along_path(
        scene, scene.speed_limit_mps, np.zeros_like(scene.speed_mps), speed_profile_mps=speed_profile(scene), stop_gap_m=stop, follows_lead=True
    )


class Expert:
    """Drives by the scene. Its thoughts are read from its own plan and the same scene, so they agree with what it does."""

    name = "expert"
    privileged = True
    uses_camera = False

    def act(self, observation: Observation) -> Plan:
        """One plan per batch item."""
        scene = observation.scene
        if scene is None:
            raise ValueError("expert: observation.scene is missing; only a world gives it, and only to privileged policies")
        trajectory = drive(scene)
        return Plan(trajectory=trajectory, thoughts=_explain(scene, trajectory))


def explain(scene: Scene) -> tuple[Thought, ...]:
    """The decision the expert takes in each scene, and its cause."""
    return _explain(scene, drive(scene))


def _explain(scene: Scene, plan: Trajectory) -> tuple[Thought, ...]:
    speeds = scene.speed_mps[:, None] + np.cumsum(plan.accel_mps2, axis=1) * DT_S
    bends, yields = scene.path_curvature_per_m[:, :4].mean(axis=1), must_yield(scene)
    return tuple(
        _explain_one(scene, i, speed_1s=float(speeds[i, 9]), speed_3s=float(speeds[i, 29]), yields=bool(yields[i]), bend_per_m=float(bends[i]))
        for i in range(len(speeds))
    )


def _explain_one(scene: Scene, i: int, *, speed_1s: float, speed_3s: float, yields: bool, bend_per_m: float) -> Thought:
    """What the plan does (the decision), and the strongest reason in the scene for it (the cause)."""
    v, limit, turn = float(scene.speed_mps[i]), float(scene.speed_limit_mps[i]), int(scene.turn[i])
    junction, gap, lead = float(scene.junction_gap_m[i]), float(scene.lead_gap_m[i]), float(scene.lead_speed_mps[i])
    follows = gap < 5.0 + 2.5 * v and lead < max(0.9 * limit, v - 0.5)
    yields = yields and not (follows and gap < junction)
    hindrance = None
    if yields:
        hindrance = "the junction is occupied"
    elif follows:
        hindrance = "a vehicle ahead has stopped" if lead < 0.5 else "a vehicle ahead is slower"
    if hindrance and v < 0.3 and speed_1s < 0.5:
        return Thought(decision="wait", cause=hindrance)
    if hindrance and speed_3s < 0.3 and v >= 0.3:
        return Thought(decision="stop", cause=hindrance)
    if turn and junction < 1.0 and speed_1s > v - 1.0:
        side = "left" if turn > 0 else "right"
        return Thought(decision=f"turn {side}", cause=f"the route turns {side}")
    if speed_1s < v - SPEED_CHANGE_MPS:
        calm = "a junction is near" if turn and junction < 40.0 else "a bend is near"
        return Thought(decision="slow down", cause=hindrance or calm)
    if speed_1s > v + SPEED_CHANGE_MPS:
        return Thought(decision="speed up", cause="the limit is higher" if v > 0.75 * limit else "the road is clear")
    if abs(bend_per_m) > BEND_PER_M:
        side = "left" if bend_per_m > 0 else "right"
        return Thought(decision=f"follow the bend {side}", cause=f"the road bends {side}")
    return Thought(decision="keep going", cause=hindrance if follows and hindrance else "the road is clear")

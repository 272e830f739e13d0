"""Do the words agree with the motion? A rule over the plan, so a chain of thought cannot say one thing and drive another."""

import numpy as np
from jaxtyping import Float

from motorworks.bodies.body import CAR, Body, integrate
from motorworks.datatypes.rollout import Rollout
from motorworks.datatypes.score import Score
from motorworks.datatypes.thought import Thought
from motorworks.datatypes.trajectory import DT_S, Trajectory
from motorworks.geometry.array import Array

_NOW_S, _LOOK_S = 1.0, 3.0  # speeds are judged at both; turns over the whole plan
_SPEED_BAND_MPS = 0.3
_KEEP_BAND_MPS = 1.0
_CREEP_MPS = 1.0
_BEND_RAD = 0.03
_TURN_RAD = 0.05  # of a turn that is nearly over
_SHIFT_M = 0.25  # sideways within the look, or within the plan
_HARD_MPS = 2.0  # lost in the first second


def agrees(thought: Thought, trajectory: Trajectory, speed_mps: float | Float[Array, ""], body: Body = CAR) -> bool:
    """True where one plan does what its decision says."""
    poses, speeds = integrate(trajectory, np.asarray(speed_mps), can_reverse=body.can_reverse)
    now = float(speed_mps)
    look = round(_LOOK_S / DT_S) - 1
    at_once, later = float(speeds[round(_NOW_S / DT_S) - 1]) - now, float(speeds[look]) - now
    soon, slowest = now + later, float(speeds[: look + 1].min())
    yaw, across = poses[:, 2], poses[:, 1]
    # a turn still some metres ahead shows as a little yaw late in the plan, or as braking for it
    left, right, slowing = float(yaw.max()), float(-yaw.min()), min(at_once, later) < -_SPEED_BAND_MPS
    # a shift shows as a step aside early or late; a start from standing may not have got there yet
    aside_left, aside_right = float(across.max()) > _SHIFT_M or left > _BEND_RAD, float(across.min()) < -_SHIFT_M or right > _BEND_RAD
    rules = {
        "keep going": abs(at_once) <= _KEEP_BAND_MPS and now + at_once > _CREEP_MPS,
        "speed up": max(at_once, later) > _SPEED_BAND_MPS,
        "slow down": slowing or slowest < _CREEP_MPS,
        "stop": slowest < _CREEP_MPS or later < -2.0,
        "wait": soon < _CREEP_MPS,
        "turn left": left > _TURN_RAD or (slowing and right < _TURN_RAD),
        "turn right": right > _TURN_RAD or (slowing and left < _TURN_RAD),
        "follow the bend left": left > _BEND_RAD,
        "follow the bend right": right > _BEND_RAD,
        "reverse": soon < 0 or now < 0,
        "pass on the left": aside_left or slowing,
        "pass on the right": aside_right or slowing,
        "change lane left": aside_left or slowing,
        "change lane right": aside_right or slowing,
        "pull over": aside_right or slowing or slowest < _CREEP_MPS,
        "brake hard": at_once < -min(_HARD_MPS, max(now - _SPEED_BAND_MPS, 0.1)),
    }
    return bool(rules[thought.decision])


def score_agreement(rollout: Rollout, body: Body = CAR) -> Score:
    """Share of the steps with a thought and a plan at which they agree; invalid where the rollout keeps neither."""
    if rollout.plans is None or rollout.thoughts is None:
        return Score(metric="thought_agrees_frac", value=0.0, valid=False)
    num = len(rollout.plans.accel_mps2)
    judged = [
        agrees(thought, rollout.plans[step], float(rollout.speed_mps[step]), body)
        for step, thought in enumerate(rollout.thoughts[:num])
        if thought is not None
    ]
    return Score(metric="thought_agrees_frac", value=float(np.mean(judged)) if judged else 0.0, valid=bool(judged))

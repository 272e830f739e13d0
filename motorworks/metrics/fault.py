"""Who was hit, and whose fault it was: the rule that NAVSIM and nuPlan share, on the state of the first contact.

At fault: the front hit someone; someone who stood was hit; or a side did while the ego was in several lanes or off the road. Not at fault:
the ego stood; it was hit from behind; a side was hit in its lane. Where the boxes say nothing, the world's word is taken.
"""

from dataclasses import dataclass

import numpy as np

from motorworks.bodies.body import CAR, Body
from motorworks.datatypes.rollout import Rollout
from motorworks.datatypes.trajectory import DT_S
from motorworks.metrics import thresholds
from motorworks.metrics.encounters import several_lanes
from motorworks.metrics.overlap import agent_boxes, boxes_touch, contact_window_s, ego_boxes

_JUST_AFTER_S = 1e-3  # so that boxes that have just met overlap in spite of rounding
EGO_STOOD, AGENT_STOOD, FROM_BEHIND, FRONT, SIDE, UNKNOWN = CONTACTS = ("ego stood", "agent stood", "from behind", "front", "side", "unknown")


@dataclass(frozen=True, kw_only=True)
class Collision:
    """How a drive ended in a collision. `agent` and `kind` are -1 where nobody can be named."""

    agent: int
    kind: int  # datatypes.agent
    contact: str  # one of CONTACTS
    at_fault: bool


def collision_of(rollout: Rollout, body: Body = CAR) -> Collision | None:
    """The collision that ended the drive; None if none did."""
    if rollout.outcome != "collision":
        return None
    agent = _struck(rollout, body)
    kind = int(rollout.agents_kind[agent]) if agent >= 0 else -1
    contact = _contact(rollout, agent, body) if agent >= 0 else UNKNOWN
    between = bool(several_lanes(rollout, body)[-1] or not rollout.on_road[-1])
    by_contact = {EGO_STOOD: False, AGENT_STOOD: True, FROM_BEHIND: False, FRONT: True, SIDE: between}
    return Collision(agent=agent, kind=kind, contact=contact, at_fault=by_contact.get(contact, rollout.collision_at_fault))


def _struck(rollout: Rollout, body: Body) -> int:
    """The slot that the world names, else the nearest of those the ego touches in the end, else -1."""
    if rollout.collision_agent >= 0:
        if rollout.collision_agent >= rollout.agents_world.shape[1]:
            raise ValueError(f"{rollout.scenario.name}: collision_agent {rollout.collision_agent} of {rollout.agents_world.shape[1]} agents")
        return rollout.collision_agent
    agents = np.asarray(rollout.agents_world[-1], np.float64)
    ego = ego_boxes(np.asarray(rollout.ego_world[-1], np.float64), body)
    touched = boxes_touch(ego[None], agent_boxes(agents)) & rollout.agents_valid[-1]
    if not touched.any():
        return -1
    away_m = np.linalg.norm(agents[:, :2] - ego[:2], axis=-1)
    return int(np.argmin(np.where(touched, away_m, np.inf)))


def _contact(rollout: Rollout, agent: int, body: Body) -> str:
    pose, other = np.asarray(rollout.ego_world[-1], np.float64), np.asarray(rollout.agents_world[-1, agent], np.float64)
    speed = float(rollout.speed_mps[-1])
    start, end = contact_window_s(ego_boxes(pose, body)[None], np.array([speed]), agent_boxes(other)[None], other[None, 3])
    if not start[0] <= 0.0 <= end[0]:
        return UNKNOWN  # the world sees contact otherwise than we do
    if abs(speed) <= thresholds.STOPPED_MPS:
        return EGO_STOOD
    if abs(other[3]) <= thresholds.STOPPED_MPS:
        return AGENT_STOOD
    # a walker hit head on is half a metre behind the bumper one step later: go back to the moment of contact
    moment_s = float(np.clip(start[0] + _JUST_AFTER_S, -DT_S, 0.0))
    heading = np.array([np.cos(pose[2]), np.sin(pose[2])])
    axle, box = pose[:2] + speed * moment_s * heading, agent_boxes(other, moment_s)
    to_agent = box[:2] - axle
    angle = np.arccos(np.clip(to_agent @ heading / max(float(np.linalg.norm(to_agent)), 1e-9), -1.0, 1.0))
    if angle > thresholds.BEHIND_RAD:
        return FROM_BEHIND
    front_m = body.length_m - body.rear_overhang_m
    bumper = np.array([*(axle + front_m * heading), pose[2], 0.0, body.width_m])
    return FRONT if boxes_touch(bumper[None], box[None])[0] else SIDE

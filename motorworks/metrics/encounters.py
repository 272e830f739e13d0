"""Ego against every agent at every step: where it is, how far away, whether they touch and when they would. Scores aggregate these."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from motorworks.bodies.body import CAR, Body
from motorworks.datatypes.rollout import Rollout
from motorworks.datatypes.score import StepValues
from motorworks.geometry.array import Array
from motorworks.metrics import thresholds
from motorworks.metrics.overlap import agent_boxes, contact_window_s, ego_boxes, gap_between_m


@dataclass(frozen=True, kw_only=True)
class Encounters:
    """One rollout's geometry. Entries of agents that are not there (`valid` false) mean nothing."""

    ahead_m: Float[Array, "time agent"]  # from box centre to box centre, along the ego's heading
    left_m: Float[Array, "time agent"]
    contact_from_s: Float[Array, "time agent"]  # if both keep their velocity; from > until: never
    contact_until_s: Float[Array, "time agent"]
    in_the_way: Bool[Array, "time agent"]  # ahead; in a junction, between lanes or off the road: or beside
    valid: Bool[Array, "time agent"]

    @property
    def touches(self) -> Bool[Array, "time agent"]:
        """The boxes overlap now."""
        return self.valid & (self.contact_from_s <= 0.0) & (self.contact_until_s >= 0.0)

    @property
    def contact_s(self) -> Float[Array, "time agent"]:
        """Time until they touch; inf where they would not, or only beyond the horizon of 5 s."""
        meets = self.valid & (self.contact_from_s <= self.contact_until_s) & (self.contact_until_s >= 0.0)
        return np.where(meets, np.maximum(self.contact_from_s, 0.0), np.inf)


def encounters(rollout: Rollout, body: Body = CAR) -> Encounters:
    """The geometry that collisions, gaps and times to collision are read from."""
    valid = np.asarray(rollout.agents_valid, bool)
    agents = np.where(valid[..., None], np.asarray(rollout.agents_world, np.float64), 0.0)
    poses, speed = np.asarray(rollout.ego_world, np.float64), np.asarray(rollout.speed_mps, np.float64)
    ego, cos, sin = ego_boxes(poses, body)[:, None], np.cos(poses[:, 2])[:, None], np.sin(poses[:, 2])[:, None]
    dx, dy = agents[..., 0] - ego[..., 0], agents[..., 1] - ego[..., 1]
    ahead, left = dx * cos + dy * sin, dy * cos - dx * sin
    reach_m = (np.abs(speed)[:, None] + np.abs(agents[..., 3])) * thresholds.TTC_HORIZON_S
    radii_m = (np.hypot(body.length_m, body.width_m) + np.hypot(agents[..., 4], agents[..., 5])) / 2
    near = valid & (dx * dx + dy * dy <= (reach_m + radii_m) ** 2)  # the others cannot meet within the horizon
    start, end = np.full(valid.shape, np.inf), np.full(valid.shape, -np.inf)
    step, agent = np.nonzero(near)
    close = agents[step, agent]
    start[near], end[near] = contact_window_s(ego[step, 0], speed[step], agent_boxes(close), close[:, 3])
    beside_counts = np.asarray(rollout.in_junction, bool) | several_lanes(rollout, body) | ~np.asarray(rollout.on_road, bool)
    in_the_way = valid & ((ahead > body.length_m / 2) | (beside_counts[:, None] & (ahead > -body.length_m / 2)))
    return Encounters(ahead_m=ahead, left_m=left, contact_from_s=start, contact_until_s=end, in_the_way=in_the_way, valid=valid)


def several_lanes(rollout: Rollout, body: Body = CAR) -> Bool[Array, " time"]:
    """True where a side of the body reaches over a line between lanes. Lanes are taken to lie 3.5 m apart about the route's."""
    width = 2 * thresholds.LANE_HALF_WIDTH_M
    offset = np.asarray(rollout.lateral_offset_m, np.float64)
    return np.abs(offset - width * np.round(offset / width)) + body.width_m / 2 > thresholds.LANE_HALF_WIDTH_M


def gaps(rollout: Rollout, body: Body = CAR) -> StepValues:
    """`gap_m` to each agent's box; 0 where they touch."""
    valid = np.asarray(rollout.agents_valid, bool)
    agents = np.where(valid[..., None], np.asarray(rollout.agents_world, np.float64), 0.0)
    ego = ego_boxes(np.asarray(rollout.ego_world, np.float64), body)[:, None]
    return StepValues(metric="gap_m", values=gap_between_m(ego, agent_boxes(agents)), valid=valid)


def collisions(met: Encounters) -> StepValues:
    """`collision`: 1 where the boxes overlap."""
    return StepValues(metric="collision", values=met.touches.astype(np.float64), valid=met.valid)


def times_to_collision(met: Encounters, rollout: Rollout, body: Body = CAR) -> StepValues:
    """`time_to_collision_s` with each agent that is not behind, both at constant velocity, at most 5 s. Never rewarded.

    Not valid where the ego stands: it is not closing in on anyone.
    """
    moving = np.abs(np.asarray(rollout.speed_mps)) > 0.1
    values = np.minimum(met.contact_s, thresholds.TTC_HORIZON_S)
    return StepValues(metric="time_to_collision_s", values=values, valid=met.valid & (met.ahead_m > -body.length_m / 2) & moving[:, None])

"""What led to a failure, by rules over the seconds before it. The first rule that fits tells; the order is that of how sure each is.

Rules see what a rollout keeps: tracks, boxes, kinds and flags. They do not see the map, the lights or what buildings hid.
"""

from functools import cached_property

import numpy as np
from jaxtyping import Float

from motorworks.bodies.body import CAR, Body
from motorworks.datatypes.agent import FIRST_OBJECT, FIRST_WALKER
from motorworks.datatypes.rollout import Rollout
from motorworks.datatypes.trajectory import DT_S
from motorworks.geometry.array import Array
from motorworks.geometry.se2 import wrap_angle
from motorworks.metrics import thresholds
from motorworks.metrics.encounters import Encounters, encounters
from motorworks.metrics.fault import AGENT_STOOD, EGO_STOOD, FROM_BEHIND, SIDE, Collision
from motorworks.metrics.overlap import agent_boxes, boxes_touch, ego_boxes

_LEAD_UP_S = 3.0  # what led to it began no earlier
_RULE_S = 6.0  # a junction takes this long to cross
_HIDDEN_S = 2.5
_STANDS_MPS = 0.3
_BRAKED_BY_MPS = 2.5  # that much slower within the lead-up: braked
_MOVED_OVER_M = 1.0
_BESIDE_M, _IN_LANE_M = 1.5, 1.2  # of an agent's centre from the ego's track
_STUCK_S = 10.0
_BEND_MPS2 = 4.0
_NEAR_M = 15.0


class Story:
    """A rollout with the geometry that the rules ask for, worked out once and only where asked."""

    def __init__(self, rollout: Rollout, body: Body = CAR) -> None:
        self.rollout, self.body = rollout, body
        self.speed = np.asarray(rollout.speed_mps, np.float64)
        self.agents = np.where(rollout.agents_valid[..., None], np.asarray(rollout.agents_world, np.float64), 0.0)

    @cached_property
    def met(self) -> Encounters:
        """Where every agent was, seen from the ego."""
        return encounters(self.rollout, self.body)

    @cached_property
    def ego(self) -> Float[Array, "time 5"]:
        """The ego's boxes."""
        return ego_boxes(np.asarray(self.rollout.ego_world, np.float64), self.body)

    def lead_up(self, step: int, seconds: float = _LEAD_UP_S) -> slice:
        """The steps of those seconds up to and with this one."""
        return slice(max(0, step - round(seconds / DT_S)), step + 1)

    def away_m(self, step: int) -> Float[Array, " agent"]:
        """Between box centres; inf for who is not there."""
        return np.where(self.met.valid[step], np.hypot(self.met.ahead_m[step], self.met.left_m[step]), np.inf)

    def nearest(self, step: int, among: Array, within_m: float = _NEAR_M) -> int:
        """The nearest of some agents, -1 if none is near."""
        away = np.where(among, self.away_m(step), np.inf)
        return int(np.argmin(away)) if len(away) and away.min() <= within_m else -1

    def nearest_of_kind(self, step: int, kind: int) -> int:
        """The nearest agent of a kind within 60 m."""
        return self.nearest(step, np.asarray(self.rollout.agents_kind) == kind, 60.0)

    def nearest_conflict(self, step: int) -> int:
        """The moving agent that would be met first, else the nearest that moves."""
        moving = (np.abs(self.agents[step, :, 3]) > _STANDS_MPS) & self.met.valid[step]
        soon = np.where(moving, self.met.contact_s[step], np.inf)
        return int(np.argmin(soon)) if len(soon) and np.isfinite(soon.min()) else self.nearest(step, moving, 40.0)

    def standing_ahead(self, step: int, within_m: float = _NEAR_M) -> int:
        """The nearest agent that stands ahead in the ego's lane, or just beside it."""
        ahead = (self.met.ahead_m[step] > 0) & (np.abs(self.met.left_m[step]) < 2 * thresholds.LANE_HALF_WIDTH_M)
        return self.nearest(step, ahead & (np.abs(self.agents[step, :, 3]) <= _STANDS_MPS), within_m)

    def beside_track_m(self, step: int, agent: int, until: int) -> float:
        """How far left of the ego's track up to `until` the agent was at `step`."""
        track = self.ego[step : until + 1]
        delta = self.agents[step, agent, :2] - track[:, :2]
        near = int(np.argmin((delta**2).sum(axis=1)))
        yaw = track[near, 2]
        return float(delta[near, 1] * np.cos(yaw) - delta[near, 0] * np.sin(yaw))

    def was_hidden(self, step: int, agent: int) -> bool:
        """Whether another agent's box stood between ego and this one lately, or it appeared only lately."""
        seconds = self.lead_up(step, _HIDDEN_S)
        there = self.met.valid[seconds, agent]
        if not there.all():
            return True
        eye, target = self.ego[seconds, :2], self.agents[seconds, agent, :2]
        ray = target - eye
        line = np.concatenate(
            [(eye + target) / 2, np.arctan2(ray[:, 1], ray[:, 0])[:, None], np.linalg.norm(ray, axis=1)[:, None], np.zeros((len(ray), 1))], axis=1
        )
        between = boxes_touch(line[:, None], agent_boxes(self.agents[seconds])) & self.met.valid[seconds]
        between[:, agent] = False
        return bool(between.any())


def collision_cause(story: Story, hit: Collision) -> str:
    """One of CAUSES for the collision that ended the drive."""
    rollout, last = story.rollout, len(story.speed) - 1
    stood, ahead_m = hit.contact == EGO_STOOD, float(story.met.ahead_m[last, hit.agent]) if hit.agent >= 0 else 0.0
    if hit.contact == FROM_BEHIND or (stood and ahead_m < -story.body.length_m / 2):
        return "hit from behind"
    recent = story.lead_up(last, _RULE_S)
    for flags, cause in (
        (rollout.red_light, "ego ran a red light"),
        (rollout.stop_sign, "ego ran a stop sign"),
        (rollout.gave_no_way, "ego gave no way"),
    ):
        if np.asarray(flags[recent]).any():
            return cause
    if hit.agent < 0:
        return "not known"
    if stood and abs(ahead_m) < story.body.length_m / 2:
        return "hit from the side"
    if np.asarray(rollout.wrong_way[story.lead_up(last, 1.0)]).any():
        return "ego drove against traffic"
    return _between_two(story, hit, last)


def _between_two(story: Story, hit: Collision, last: int) -> str:
    """What ego and the agent did to each other, where no rule of the road had been broken."""
    window, agent = story.lead_up(last), hit.agent
    offsets = np.asarray(story.rollout.lateral_offset_m, np.float64)[window]
    seen = window.start + int(np.argmax(story.met.valid[window, agent]))  # where it was first there
    speeds = story.agents[seen : last + 1, agent, 3]
    turned = abs(float(wrap_angle(story.agents[last, agent, 2] - story.ego[last, 2])))
    if FIRST_WALKER <= hit.kind < FIRST_OBJECT:
        return "someone stepped out from behind another" if story.was_hidden(last, agent) else "someone crossed on foot"
    if hit.kind >= FIRST_OBJECT or (hit.contact == AGENT_STOOD and np.abs(speeds).max() <= _STANDS_MPS):
        return "something stood in the way"
    if abs(offsets[-1] - offsets[0]) > _MOVED_OVER_M and not story.rollout.in_junction[window].any():
        return "ego left its lane"
    if turned > 0.75 * np.pi:
        return "oncoming in ego's lane"
    if turned > 0.25 * np.pi:
        return "crossing traffic"
    was, came = abs(story.beside_track_m(seen, agent, last)), abs(story.beside_track_m(last, agent, last))
    if was > _BESIDE_M and came < was - _MOVED_OVER_M / 2:
        return "cut-in"
    if hit.contact == SIDE and came > _IN_LANE_M:
        return "hit from the side"
    if hit.contact == EGO_STOOD:
        return "not known"
    return "the one ahead braked" if speeds.max() - speeds[-1] > _BRAKED_BY_MPS else "ego did not slow for the one ahead"


def off_road_cause(story: Story, step: int) -> tuple[str, int]:
    """One of CAUSES, and the agent that was swerved around (-1 for none)."""
    window = story.lead_up(step, 2.0)
    if (np.abs(story.speed**2 * np.asarray(story.rollout.curvature_per_m, np.float64))[window] > _BEND_MPS2).any():
        return "too fast in a bend", -1
    start = window.start
    other = story.nearest(start, (story.met.ahead_m[start] > 0) & (np.abs(story.met.left_m[start]) < _IN_LANE_M + story.body.width_m / 2))
    if other >= 0:
        return "swerved around someone", other
    if np.asarray(story.rollout.in_junction[window]).any():
        return "astray in a junction", -1
    return ("over the left edge" if story.rollout.lateral_offset_m[step] > 0 else "over the right edge"), -1


def wrong_way_cause(story: Story, start: int, stop: int) -> tuple[str, int]:
    """One of CAUSES, and the agent that was passed (-1 for none)."""
    for step in range(story.lead_up(start, 2.0).start, stop, round(1.0 / DT_S)):
        other = story.standing_ahead(step)
        if other >= 0:
            return "passed something that stood", other
    return "kept too far left", -1


def timeout_cause(story: Story) -> tuple[str, int]:
    """One of CAUSES, and the agent that stood in the way (-1 for none). A light is known only from the driver's own thoughts."""
    last, window = len(story.speed) - 1, story.lead_up(len(story.speed) - 1, _STUCK_S)
    if np.abs(story.speed[window]).mean() > _STANDS_MPS:
        return "too slow", -1
    thoughts = story.rollout.thoughts
    if thoughts is not None and any(thought is not None and "light" in thought.cause for thought in thoughts[window]):
        return "waited at a light", -1
    other = story.standing_ahead(last, _NEAR_M)
    return ("stuck behind something that stood", other) if other >= 0 else ("stood without a reason", -1)


def line_cause(story: Story, step: int) -> str:
    """How the ego came over a line it should have stopped at."""
    window = story.lead_up(step, 2.0)
    if np.abs(story.speed[step]) < 2.0:
        return "rolled over the line"
    braked = float(np.asarray(story.rollout.accel_mps2, np.float64)[window].min()) < -1.0
    return "braked too late" if braked else "did not brake"

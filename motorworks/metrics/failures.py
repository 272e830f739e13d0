"""The failures of a drive: what, who was at fault, what led to it, when, and about whom. Causes are rules (causes.py), not certainties."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from motorworks.bodies.body import CAR, Body
from motorworks.datatypes.agent import AGENT_KINDS, EMERGENCY
from motorworks.datatypes.failure import Failure
from motorworks.datatypes.rollout import Rollout
from motorworks.datatypes.trajectory import DT_S
from motorworks.geometry.array import Array
from motorworks.metrics.causes import Story, collision_cause, line_cause, off_road_cause, timeout_cause, wrong_way_cause
from motorworks.metrics.closed_loop import require_finite, route_completion
from motorworks.metrics.fault import collision_of

_APART_S = 2.0  # two spells of one kind this near are one failure
_LEAST_WRONG_WAY_M = 1.0


def explain_failures(rollout: Rollout, body: Body = CAR) -> list[Failure]:
    """Every failure of a drive, by step: each broken rule, and how the drive ended. Empty for a clean arrival.

    Raises ValueError for a rollout with a number that is not finite.
    """
    require_finite(rollout)
    story = Story(rollout, body)
    found = [*_rules(story), *_roads(story), *_sirens(story), *_ending(story)]
    return sorted(found, key=lambda failure: failure.step)


def failure_counts(failures: Sequence[Failure]) -> list[dict[str, object]]:
    """Rows what, fault, cause, num: the most frequent first."""
    counted = Counter((failure.what, failure.fault, failure.cause) for failure in failures)
    ordered = sorted(counted.items(), key=lambda entry: (-entry[1], entry[0]))
    return [{"what": what, "fault": fault, "cause": cause, "num": num} for (what, fault, cause), num in ordered]


def _make(story: Story, kind: str, step: int, severity: float, *, fault: str, cause: str, detail: str = "", agent: int = -1) -> Failure:
    named = AGENT_KINDS[int(story.rollout.agents_kind[agent])] if agent >= 0 else ""
    return Failure(
        kind=kind,
        scenario=story.rollout.scenario,
        step=step,
        severity=severity,
        detail=detail,
        fault=fault,
        cause=cause,
        agent=agent,
        agent_kind=named,
    )


def _rules(story: Story) -> list[Failure]:
    found = []
    for kind in ("red_light", "stop_sign", "gave_no_way"):
        for step, _ in _spells(getattr(story.rollout, kind)):
            speed = abs(float(story.speed[step]))
            agent = story.nearest_conflict(step) if kind == "gave_no_way" else -1
            found.append(_make(story, kind, step, speed, fault="ego", cause=line_cause(story, step), detail=f"at {speed:.1f} m/s", agent=agent))
    return found


def _roads(story: Story) -> list[Failure]:
    """Spells off the road and against traffic; the last spell off the road may be the end of the drive."""
    rollout, last = story.rollout, len(story.speed) - 1
    found = []
    for start, stop in _spells(~np.asarray(rollout.on_road, bool)):
        if rollout.outcome == "off_road" and stop > last - round(_APART_S / DT_S):
            continue  # told as the ending
        cause, agent = off_road_cause(story, start)
        metres = float(np.abs(story.speed[start:stop]).sum() * DT_S)
        # a wheel over the edge on a drive that went on: less of the route lost than any ending
        found.append(_make(story, "off_road", start, 0.0, fault="ego", cause=cause, agent=agent, detail=f"a wheel, for {metres:.1f} m"))
    for start, stop in _spells(rollout.wrong_way):
        metres = float(np.abs(story.speed[start:stop])[np.asarray(rollout.wrong_way[start:stop], bool)].sum() * DT_S)
        if metres >= _LEAST_WRONG_WAY_M:
            cause, agent = wrong_way_cause(story, start, stop)
            found.append(_make(story, "wrong_way", start, metres, fault="ego", cause=cause, agent=agent, detail=f"for {metres:.0f} m"))
    return found


def _sirens(story: Story) -> list[Failure]:
    found = []
    for start, stop in _spells(story.rollout.blocks_siren):
        seconds = (stop - start) * DT_S
        agent = story.nearest_of_kind(start, EMERGENCY)
        found.append(_make(story, "blocked_siren", start, seconds, fault="ego", cause="made no room", agent=agent, detail=f"for {seconds:.1f} s"))
    return found


def _ending(story: Story) -> list[Failure]:
    rollout, last = story.rollout, len(story.speed) - 1
    missing = 1.0 - route_completion(rollout)
    done = f"{1 - missing:.0%} of the route done"
    if rollout.outcome == "collision":
        hit = collision_of(rollout, story.body)
        assert hit is not None
        cause, speed = collision_cause(story, hit), abs(float(story.speed[last]))
        fault = "ego" if hit.at_fault else "other"
        detail = f"at {speed:.1f} m/s, contact: {hit.contact}"
        return [_make(story, "collision", last, speed, fault=fault, cause=cause, agent=hit.agent, detail=detail)]
    if rollout.outcome == "off_road":
        cause, agent = off_road_cause(story, last)
        return [_make(story, "off_road", last, missing, fault="ego", cause=cause, agent=agent, detail=done)]
    if rollout.outcome == "timeout":
        cause, agent = timeout_cause(story)
        fault = "nobody" if cause in ("stuck behind something that stood", "waited at a light") else "ego"
        return [_make(story, "timeout", last, missing, fault=fault, cause=cause, agent=agent, detail=done)]
    return []


def _spells(flags: Bool[Array, " time"]) -> list[tuple[int, int]]:
    """(first step, step after the last) of each spell; shorter breaks than `_APART_S` do not end one."""
    steps = np.flatnonzero(np.asarray(flags, bool))
    if len(steps) == 0:
        return []
    breaks = np.flatnonzero(np.diff(steps) >= round(_APART_S / DT_S))
    starts, stops = np.r_[steps[0], steps[breaks + 1]], np.r_[steps[breaks], steps[-1]] + 1
    return [(int(start), int(stop)) for start, stop in zip(starts, stops, strict=True)]

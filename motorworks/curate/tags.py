"""The tags of a clip: what happens in it, where, and in which light. They combine, as predicates do.

Tags look at the whole clip, what comes later too: they are for search and coverage, never an input of a policy. Thresholds are at the scale of
a car. Rain is no tag: brightness and contrast do not tell it.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from motorworks.curate.detect import VEHICLES
from motorworks.curate.evidence import Evidence, look_at
from motorworks.curate.manoeuvres import find_lane_changes, find_roundabouts, find_stop_and_go, find_turns, is_curvy
from motorworks.curate.predicates import Predicate, Span, by_light, by_motion, by_sight
from motorworks.datatypes.clip import Clip

STILL_MPS = 0.3
SLOW_MPS, FAST_MPS = 5.0, 22.0  # under 18 km/h, over 80 km/h
HARD_MPS2 = 3.0  # nuPlan calls 4.05 uncomfortable at any moment; this must last 0.3 s
NIGHT_LEVEL, DAY_LEVEL, BRIGHT_LEVEL = 40.0, 75.0, 190.0  # mean luma of 255; cameras that lift the night's exposure will be called dusk
FLAT_LEVEL = 22.0  # standard deviation of luma: fog, a dirty lens, a tunnel wall; which of them the picture does not say
NEAR_FRAC = 0.25  # of the picture's height

STOPPED = by_motion("still", lambda drive: np.abs(drive.speed_mps) < STILL_MPS).lasting(0.5).named("stopped")
REVERSE = by_motion("reverse", lambda drive: drive.speed_mps <= -STILL_MPS)
SLOW = (by_motion("below", lambda drive: np.abs(drive.speed_mps) < SLOW_MPS) & ~STOPPED).lasting(1.0).named("slow")
FAST = by_motion("above", lambda drive: drive.speed_mps >= FAST_MPS).lasting(1.0).named("fast")
# a crawl that ends is no hard brake, however short its last step
_BRAKES = by_motion("brakes", lambda drive: (drive.accel_mps2 <= -HARD_MPS2) & (drive.speed_mps > STILL_MPS))
HARD_BRAKE = _BRAKES.lasting(0.3).named("hard brake")
LEFT_TURN = by_motion("left turn", lambda drive: find_turns(drive)["left turn"])
RIGHT_TURN = by_motion("right turn", lambda drive: find_turns(drive)["right turn"])
U_TURN = by_motion("u-turn", lambda drive: find_turns(drive)["u-turn"])
LANE_CHANGE_LEFT = by_motion("lane change left", lambda drive: find_lane_changes(drive, side=1))
LANE_CHANGE_RIGHT = by_motion("lane change right", lambda drive: find_lane_changes(drive, side=-1))
ROUNDABOUT = by_motion("roundabout-like", find_roundabouts)
STOP_AND_GO = by_motion("stop and go", lambda drive: find_stop_and_go(np.abs(drive.speed_mps) < STILL_MPS))
CURVY = by_motion("bends", is_curvy).lasting(1.0).named("curvy")
DARK = by_light("dark", lambda light: light.brightness < NIGHT_LEVEL)
BRIGHT = by_light("bright", lambda light: light.brightness >= BRIGHT_LEVEL)
LOW_CONTRAST = by_light("low contrast", lambda light: (light.contrast < FLAT_LEVEL) & (light.brightness >= NIGHT_LEVEL))
PERSON_NEAR = by_sight("person near", frozenset({"person"}), min_height_frac=NEAR_FRAC)
VEHICLE_AHEAD = by_sight("vehicle ahead", VEHICLES, min_height_frac=0.1, band_frac=(0.4, 0.6))
FOLLOW = (VEHICLE_AHEAD.lasting(2.0) & ~STOPPED).named("follow")

TAGS: Mapping[str, Predicate] = {
    predicate.name: predicate
    for predicate in (
        HARD_BRAKE,
        U_TURN,
        LEFT_TURN,
        RIGHT_TURN,
        ROUNDABOUT,
        LANE_CHANGE_LEFT,
        LANE_CHANGE_RIGHT,
        REVERSE,
        STOP_AND_GO,
        STOPPED,
        FOLLOW,
        PERSON_NEAR,
        FAST,
        SLOW,
        CURVY,
        DARK,
        BRIGHT,
        LOW_CONTRAST,
    )
}


def tag_spans(evidence: Evidence, tags: Mapping[str, Predicate] = TAGS) -> tuple[Span, ...]:
    """All spans of all tags, by start."""
    spans = [replace(span, tag=name) for name, predicate in tags.items() for span in predicate.spans(evidence)]
    return tuple(sorted(spans, key=lambda span: (span.start, -span.stop)))


def tag(clip: Clip, evidence: Evidence | None = None) -> Clip:
    """The clip with the names of its tags beside those it came with."""
    found = {span.tag for span in tag_spans(evidence or look_at(clip))}
    return replace(clip, tags=(*clip.tags, *(name for name in TAGS if name in found and name not in clip.tags)))

"""A clip in one plain sentence, to be searched by text; and the conditions it was driven in, to count what has been covered."""

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
from jaxtyping import Int8

from motorworks.curate.evidence import Evidence
from motorworks.curate.manoeuvres import find_roundabouts, find_turns, is_curvy
from motorworks.curate.tags import DAY_LEVEL, FAST_MPS, NIGHT_LEVEL, SLOW_MPS, STILL_MPS, TAGS, tag_spans
from motorworks.datatypes.trajectory import DT_S
from motorworks.geometry.array import Array
from motorworks.tokens.text import DEFAULT_INSTRUCTION

UNKNOWN = "unknown"
ROAD_MPS = 14.0  # 50 km/h: faster is no town street
CONDITIONS: Mapping[str, tuple[str, ...]] = {
    "light": ("day", "dusk", "night", UNKNOWN),
    "speed": ("standing", "slow", "town", "road", "fast", UNKNOWN),
    "road": ("straight", "curvy", "junction", UNKNOWN),
}
_VERBS = {
    "hard brake": "brakes hard",
    "u-turn": "makes a U-turn",
    "left turn": "turns left",
    "right turn": "turns right",
    "roundabout-like": "goes round what looks like a roundabout",
    "lane change left": "changes lane to the left",
    "lane change right": "changes lane to the right",
    "reverse": "drives backwards",
    "stop and go": "stops and goes",
    "stopped": "stands",
    "follow": "follows a vehicle",
}
_STATES = {"person near": "a person near", "curvy": "curvy road", "dark": "dark", "bright": "bright", "low contrast": "low contrast"}
_SAYS_NOTHING = ("the driver chose so", "the road is clear")
_MAX_EVENTS, _MAX_CAUSES = 6, 3


def conditions(evidence: Evidence) -> dict[str, Int8[Array, " time"]]:
    """Per axis of CONDITIONS, the index of the condition at each step."""
    codes = {axis: np.full(evidence.num, names.index(UNKNOWN), np.int8) for axis, names in CONDITIONS.items()}
    if evidence.light is not None:
        codes["light"] = np.digitize(-evidence.light.brightness, [-DAY_LEVEL, -NIGHT_LEVEL], right=True).astype(np.int8)
    if evidence.drive is not None:
        codes["speed"] = np.digitize(np.abs(evidence.drive.speed_mps), [STILL_MPS, SLOW_MPS, ROAD_MPS, FAST_MPS]).astype(np.int8)
        junction = np.logical_or.reduce([*find_turns(evidence.drive).values(), find_roundabouts(evidence.drive)])
        codes["road"] = np.where(junction, 2, is_curvy(evidence.drive)).astype(np.int8)
    return codes


def count_cells(clips: Iterable[Evidence]) -> Counter[tuple[str, str, str, str]]:
    """Steps per tag and condition (light, speed, road): the table of what has been covered. A step counts once for each of its tags.

    The tag "any" counts every step once; tags that a clip came with count for all of it.
    """
    cells: Counter[tuple[str, str, str, str]] = Counter()
    for evidence in clips:
        codes = conditions(evidence)
        names = list(zip(*([CONDITIONS[axis][code] for code in codes[axis]] for axis in ("light", "speed", "road")), strict=True))
        masks = {name: predicate.mask(evidence) for name, predicate in TAGS.items()}
        masks |= {name: np.ones(evidence.num, bool) for name in ("any", *evidence.clip.tags)}
        for tag, mask in masks.items():
            cells.update((tag, *names[step]) for step in np.flatnonzero(mask))
    return cells


def describe(evidence: Evidence) -> str:
    """One sentence from tags, thoughts and instructions: "a car brakes hard, then turns left; because the light is red; dark"."""
    spans = tag_spans(evidence)
    events: list[str] = []
    for span in spans:
        verb = _VERBS.get(span.tag)
        if verb and events[-1:] != [verb] and (span.tag != "stopped" or (span.stop - span.start) * DT_S >= 1.0):
            events.append(verb)
    found = {span.tag for span in spans}
    more = ["does more"] if len(events) > _MAX_EVENTS else []
    parts = [f"a {evidence.clip.body} {', then '.join([*events[:_MAX_EVENTS], *more] or [_pace(evidence)])}"]
    # which reason goes with which event is not said: thoughts change more often than what the car does
    causes = _unique(thought.cause for thought in evidence.clip.thoughts or () if thought and thought.cause not in _SAYS_NOTHING)
    parts += [f"because {' and '.join(causes[:_MAX_CAUSES])}"] if causes else []
    told = _unique(words for words in evidence.clip.instructions or () if words != DEFAULT_INSTRUCTION)
    told_as = "told to" if evidence.clip.instruction_kind != "derived" else "as if told to"
    parts += [f"{told_as} {' and '.join(told[:_MAX_CAUSES])}"] if told else []
    states = _unique([*(_STATES[name] for name in _STATES if name in found), *(tag for tag in evidence.clip.tags if tag not in TAGS)])
    return "; ".join([*parts, *([", ".join(states)] if states else [])])


def _pace(evidence: Evidence) -> str:
    """How it drives where it does nothing else: by most of its steps."""
    if evidence.drive is None:
        return "is seen"
    codes = conditions(evidence)["speed"]
    return {"standing": "stands", "slow": "drives slowly", "fast": "drives fast"}.get(CONDITIONS["speed"][np.bincount(codes).argmax()], "drives")


def _unique(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))

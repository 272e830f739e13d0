"""Route hints for clips that came without: read off the path that was driven later, and marked so, since nobody wished for them aloud.

A turn at a junction and a lane change have words; whether the road offered a choice where the car went straight on, and which exit of a
roundabout was taken, the path does not tell, so there the hint is "follow the road".
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from jaxtyping import Bool

from motorworks.bodies.body import BODIES, CAR
from motorworks.curate.evidence import Drive, look_at
from motorworks.curate.filters import runs
from motorworks.curate.manoeuvres import find_lane_changes, find_turns
from motorworks.datatypes.clip import Clip
from motorworks.geometry.array import Array
from motorworks.tokens.text import DEFAULT_INSTRUCTION, INSTRUCTIONS

AHEAD_M, NOW_M = 40.0, 12.0  # along the path, to where the manoeuvre begins: as the town's route says it


def instruct(clip: Clip) -> Clip:
    """The clip with an instruction per step, `instruction_kind` "derived", where it has none in our words and its path tells.

    Only of bodies as large as a car: a small one's track bends as tightly as a junction, with nothing to choose there.
    """
    if clip.instructions and set(clip.instructions) <= set(INSTRUCTIONS):
        return clip
    if clip.motion is None or BODIES[clip.body].max_speed_mps < CAR.max_speed_mps:
        return replace(clip, instructions=None, instruction_kind=None) if clip.instructions else clip
    drive = look_at(replace(clip, frames=None, encoded={})).drive
    assert drive is not None, "a clip with motion has a drive"
    return replace(clip, instructions=_derive(drive), instruction_kind="derived")


def _derive(drive: Drive) -> tuple[str, ...]:
    """The nearest manoeuvre of each step, if it begins within AHEAD_M or goes on."""
    along_m = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(drive.x_m), np.diff(drive.y_m)))])
    words = [DEFAULT_INSTRUCTION] * len(along_m)
    for start, stop, name in sorted(_manoeuvres(drive), reverse=True):  # the earliest is written last: it hides those behind it
        words[start:stop] = [f"{name} now"] * (stop - start)
        for step in range(start):
            if along_m[start] - along_m[step] < AHEAD_M:
                words[step] = f"{name} {'now' if along_m[start] - along_m[step] < NOW_M else 'ahead'}"
    return tuple(words)


def _manoeuvres(drive: Drive) -> Iterator[tuple[int, int, str]]:
    turns = find_turns(drive)
    masks: dict[str, Bool[Array, " time"]] = {"turn left": turns["left turn"], "turn right": turns["right turn"]}
    masks |= {f"change to the {word} lane": find_lane_changes(drive, side=side) for word, side in (("left", 1), ("right", -1))}
    for name, mask in masks.items():
        yield from ((start, stop, name) for start, stop in runs(mask))

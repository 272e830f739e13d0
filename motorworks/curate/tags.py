"""What happens in a clip, as predicates that can be joined: `braking.before(turning, within_s=5)`, `~standing & dark`.

A predicate says of every 10 Hz step whether it holds, from ego motion at the scale of a car and from brightness; where a clip lacks what
it reads, it holds nowhere. After the composable predicates of RefAV (Davidson et al. 2025).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from motorworks.bodies.body import BODIES
from motorworks.curate.embed import block_means, brightness
from motorworks.curate.filters import runs
from motorworks.curate.label import at_car_scale
from motorworks.datatypes.clip import Clip
from motorworks.datatypes.trajectory import DT_S
from motorworks.geometry.array import Array

Mask = Bool[Array, " time"]


@dataclass(frozen=True, kw_only=True)
class Signals:
    """What predicates read of a clip; motion at the scale of a car. None: not known."""

    num_steps: int
    speed_mps: Float[Array, " time"] | None
    accel_mps2: Float[Array, " time"] | None
    yaw_rad: Float[Array, " time"] | None  # unwrapped
    position_m: Float[Array, "time 2"] | None
    light: Float[Array, " time"] | None  # mean brightness, of 255
    contrast: Float[Array, " time"] | None  # spread of brightness over blocks, of 255


def signals_of(clip: Clip) -> Signals:
    """Of a clip with its pictures decoded."""
    speed = accel = yaw = position = light = contrast = None
    if clip.motion is not None:
        motion = at_car_scale(clip.motion, BODIES[clip.body])
        speed, yaw, position = motion.speed_mps, np.unwrap(motion.poses_world[:, 2]), motion.poses_world[:, :2]
        accel = _smooth(np.gradient(speed, DT_S), 0.5)
    if clip.frames is not None:
        blocks = block_means(brightness(clip.frames[:, ::4, ::4]), 4, 8).reshape(len(clip.frames), -1)
        light, contrast = blocks.mean(axis=1), blocks.std(axis=1)
    return Signals(
        num_steps=len(clip.timestamp_us), speed_mps=speed, accel_mps2=accel, yaw_rad=yaw, position_m=position, light=light, contrast=contrast
    )


@dataclass(frozen=True)
class Predicate:
    """Where something holds; joined by & | ~."""

    where: Callable[[Signals], Mask]

    def __call__(self, signals: Signals) -> Mask:
        return self.where(signals)

    def __and__(self, other: "Predicate") -> "Predicate":
        return Predicate(lambda signals: self(signals) & other(signals))

    def __or__(self, other: "Predicate") -> "Predicate":
        return Predicate(lambda signals: self(signals) | other(signals))

    def __invert__(self) -> "Predicate":
        return Predicate(lambda signals: ~self(signals))

    def lasting(self, seconds: float) -> "Predicate":
        """Only runs of at least so long."""

        def where(signals: Signals) -> Mask:
            mask = np.zeros(signals.num_steps, bool)
            for start, stop in runs(self(signals)):
                mask[start:stop] = (stop - start) * DT_S >= seconds - 1e-9
            return mask

        return Predicate(where)

    def before(self, other: "Predicate", *, within_s: float) -> "Predicate":
        """Where this holds and the other begins to hold within so long."""

        def where(signals: Signals) -> Mask:
            later, mask, ahead = other(signals), self(signals).copy(), round(within_s / DT_S)
            begins = np.flatnonzero(later & ~np.concatenate([[False], later[:-1]]))
            step = np.arange(signals.num_steps)
            following = np.searchsorted(begins, step, side="right")
            gap = np.where(following < len(begins), np.append(begins, 10**9)[following] - step, 10**9)
            return mask & (gap <= ahead)

        return Predicate(where)


def _of_motion(where: Callable[[Signals], Array]) -> Predicate:
    return Predicate(lambda signals: np.zeros(signals.num_steps, bool) if signals.speed_mps is None else np.asarray(where(signals), bool))


def _of_pictures(where: Callable[[Signals], Array]) -> Predicate:
    return Predicate(lambda signals: np.zeros(signals.num_steps, bool) if signals.light is None else np.asarray(where(signals), bool))


def _turned(signals: Signals, seconds: float) -> Float[Array, " time"]:
    """Change of heading over the window around each step."""
    half, yaw = max(1, round(seconds / DT_S / 2)), signals.yaw_rad
    assert yaw is not None
    step = np.arange(signals.num_steps)
    return yaw[np.minimum(step + half, len(yaw) - 1)] - yaw[np.maximum(step - half, 0)]


def _lane_change(signals: Signals, side: int) -> Mask:
    """2.5 to 5 m to the side within 6 s, at the end headed as at the start, at speed."""
    assert signals.position_m is not None and signals.yaw_rad is not None and signals.speed_mps is not None
    span, mask = round(6 / DT_S), np.zeros(signals.num_steps, bool)
    for start in range(0, signals.num_steps - span, 5):
        stop = start + span
        turned = signals.yaw_rad[start : stop + 1] - signals.yaw_rad[start]
        if signals.speed_mps[start : stop + 1].min() < 5 or abs(turned[-1]) > 0.06 or np.abs(turned).max() > 0.3:
            continue
        offset = signals.position_m[stop] - signals.position_m[start]
        left_m = -np.sin(signals.yaw_rad[start]) * offset[0] + np.cos(signals.yaw_rad[start]) * offset[1]
        if 2.5 <= side * left_m <= 5.0:
            mask[start : stop + 1] = True
    return mask


standing = _of_motion(lambda s: np.abs(s.speed_mps) < 0.3)
moving = _of_motion(lambda s: np.abs(s.speed_mps) >= 0.3)
turning = _of_motion(lambda s: np.abs(_turned(s, 4)) > 0.7)
dark = _of_pictures(lambda s: s.light < 50)
bright = _of_pictures(lambda s: s.light > 185)

SCENARIOS: Mapping[str, Predicate] = {
    "stop": standing.lasting(1.0),
    "long wait": standing.lasting(8.0),
    "pull away": standing.before(_of_motion(lambda s: s.speed_mps > 1.5), within_s=3.0),
    "hard brake": _of_motion(lambda s: (s.accel_mps2 < -3.0) & (s.speed_mps > 0)).lasting(0.3),
    "hard acceleration": _of_motion(lambda s: (s.accel_mps2 > 2.5) & (s.speed_mps > 0)).lasting(0.3),
    "reverse": _of_motion(lambda s: s.speed_mps < -0.3).lasting(0.5),
    "turn left": (_of_motion(lambda s: _turned(s, 4) > 0.7) & moving).lasting(0.5),
    "turn right": (_of_motion(lambda s: _turned(s, 4) < -0.7) & moving).lasting(0.5),
    "u-turn": _of_motion(lambda s: np.abs(_turned(s, 12)) > 2.6) & moving,
    "bend left": (_of_motion(lambda s: (_turned(s, 4) > 0.15) & (s.speed_mps > 3)) & ~turning).lasting(1.5),
    "bend right": (_of_motion(lambda s: (_turned(s, 4) < -0.15) & (s.speed_mps > 3)) & ~turning).lasting(1.5),
    "lane change left": _of_motion(lambda s: _lane_change(s, 1)),
    "lane change right": _of_motion(lambda s: _lane_change(s, -1)),
    "brake before a turn": _of_motion(lambda s: s.accel_mps2 < -1.0).before(turning, within_s=4.0),
    "cruise": (_of_motion(lambda s: (s.speed_mps > 3) & (np.abs(s.accel_mps2) < 0.7) & (np.abs(_turned(s, 4)) < 0.08))).lasting(3.0),
}
LIGHTS: Mapping[str, Predicate] = {"dark": dark, "bright": bright, "flat light": _of_pictures(lambda s: s.contrast < 12) & ~dark & ~bright}
SPEEDS: Mapping[str, Predicate] = {
    "standing": standing,
    "slow": moving & _of_motion(lambda s: np.abs(s.speed_mps) < 6),
    "town speed": _of_motion(lambda s: (np.abs(s.speed_mps) >= 6) & (np.abs(s.speed_mps) < 17)),
    "fast": _of_motion(lambda s: np.abs(s.speed_mps) >= 17),
}


@dataclass(frozen=True, kw_only=True)
class Tagged:
    """A clip's tags: scenarios as spans of steps, conditions by what holds most of the time."""

    spans: tuple[tuple[str, int, int], ...]  # scenario, start, stop
    light: str  # dark, bright, flat light, daylight, unseen
    speed: str  # a key of SPEEDS, or unknown

    @property
    def scenarios(self) -> tuple[str, ...]:
        """Each once, in the order of SCENARIOS."""
        found = {name for name, _, _ in self.spans}
        return tuple(name for name in SCENARIOS if name in found)


def tag(clip: Clip) -> Tagged:
    """All tags of a clip with its pictures decoded."""
    signals = signals_of(clip)
    spans = [(name, start, stop) for name, holds in SCENARIOS.items() for start, stop in runs(holds(signals))]
    light = "unseen" if signals.light is None else _mostly(LIGHTS, signals, "daylight")
    return Tagged(spans=tuple(spans), light=light, speed="unknown" if signals.speed_mps is None else _mostly(SPEEDS, signals, "slow"))


def with_tags(clip: Clip, tagged: Tagged) -> Clip:
    """The clip with its scenarios among its tags."""
    return replace(clip, tags=tuple(dict.fromkeys([*clip.tags, *tagged.scenarios])))


def describe(clip: Clip, tagged: Tagged) -> str:
    """One plain sentence for a search by words."""
    what = ", then ".join(dict.fromkeys(name for name, _, _ in sorted(tagged.spans, key=lambda span: span[1]))) or "nothing of note"
    words = [f"{clip.body.replace('_', ' ')}: {what}", f"{tagged.light}, {tagged.speed}"]
    words += [", ".join(sorted(set(clip.instructions)))] if clip.instructions else []
    thoughts = dict.fromkeys(f"{one.decision} because {one.cause}" for one in clip.thoughts or () if one is not None)
    return "; ".join([*words, *thoughts, *clip.tags])


def _mostly(conditions: Mapping[str, Predicate], signals: Signals, otherwise: str) -> str:
    shares = {name: float(holds(signals).mean()) for name, holds in conditions.items()}
    best = max(shares, key=lambda name: shares[name])
    return best if shares[best] >= 0.5 or (otherwise == "slow" and shares[best] > 0) else otherwise


def _smooth(values: Float[Array, " time"], seconds: float) -> Float[Array, " time"]:
    width = max(1, round(seconds / DT_S))
    padded = np.pad(values, (width // 2, width - 1 - width // 2), mode="edge")
    return np.convolve(padded, np.full(width, 1 / width), mode="valid")

"""Questions about each step of a clip, which combine: `(HARD_BRAKE.before(LEFT_TURN, 5.0) & ~DARK).spans(look_at(clip))`.

A predicate says yes, no or "not known" at each step (Kleene's logic): without motion nothing is stopped, and nothing is known not to be.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool

from motorworks.curate.detect import any_near
from motorworks.curate.evidence import Drive, Evidence, Light
from motorworks.curate.filters import runs
from motorworks.datatypes.trajectory import DT_S
from motorworks.geometry.array import Array


@dataclass(frozen=True, kw_only=True)
class Truth:
    """Per step: known to hold, known not to hold; neither is "not known"."""

    yes: Bool[Array, " time"]
    no: Bool[Array, " time"]


@dataclass(frozen=True, kw_only=True)
class Predicate:
    """A question about each step of a clip."""

    name: str
    judge: Callable[[Evidence], Truth]

    def __and__(self, other: "Predicate") -> "Predicate":
        return _join(f"({self.name} & {other.name})", self, other, lambda a, b: Truth(yes=a.yes & b.yes, no=a.no | b.no))

    def __or__(self, other: "Predicate") -> "Predicate":
        return _join(f"({self.name} | {other.name})", self, other, lambda a, b: Truth(yes=a.yes | b.yes, no=a.no & b.no))

    def __invert__(self) -> "Predicate":
        return Predicate(name=f"~{self.name}", judge=lambda evidence: _swap(self.judge(evidence)))

    def lasting(self, least_s: float) -> "Predicate":
        """Only where it holds for `least_s` or longer without a break."""

        def judge(evidence: Evidence) -> Truth:
            truth = self.judge(evidence)
            return Truth(yes=_long(truth.yes, least_s), no=~_long(~truth.no, least_s))

        return Predicate(name=f"{self.name}.lasting({least_s:g})", judge=judge)

    def named(self, name: str) -> "Predicate":
        """The same under a word of its own."""
        return replace(self, name=name)

    def before(self, other: "Predicate", within_s: float) -> "Predicate":
        """Where it holds and the other does at a later step, at most `within_s` on. Past the clip's end nothing is known."""

        def later(a: Truth, b: Truth) -> Truth:
            num, reach = len(b.yes), round(within_s / DT_S)
            soon = _soon(np.append(b.yes, np.zeros(reach, bool)), reach)[:num]
            maybe = _soon(np.append(~b.no, np.ones(reach, bool)), reach)[:num]
            return Truth(yes=a.yes & soon, no=a.no | ~maybe)

        return _join(f"{self.name}.before({other.name}, {within_s:g})", self, other, later)

    def mask(self, evidence: Evidence) -> Bool[Array, " time"]:
        """Where it is known to hold."""
        return self.judge(evidence).yes

    def spans(self, evidence: Evidence) -> tuple["Span", ...]:
        """Steps at which it is known to hold, as runs."""
        return tuple(Span(tag=self.name, start=start, stop=stop) for start, stop in runs(self.mask(evidence)))


@dataclass(frozen=True, kw_only=True)
class Span:
    """Steps [start, stop) of a clip."""

    tag: str
    start: int
    stop: int


def by_motion(name: str, hold: Callable[[Drive], Bool[Array, " time"]]) -> Predicate:
    """A predicate over motion; without motion it is not known."""
    return Predicate(name=name, judge=lambda evidence: _known(evidence.num, None if evidence.drive is None else hold(evidence.drive)))


def by_light(name: str, hold: Callable[[Light], Bool[Array, " time"]]) -> Predicate:
    """A predicate over brightness and contrast; without pictures it is not known."""
    return Predicate(name=name, judge=lambda evidence: _known(evidence.num, None if evidence.light is None else hold(evidence.light)))


def by_sight(name: str, kinds: frozenset[str], *, min_height_frac: float = 0.0, band_frac: tuple[float, float] = (0.0, 1.0)) -> Predicate:
    """A predicate over detections: one of `kinds` is that near and its centre in that part of the width."""

    def hold(evidence: Evidence) -> Truth:
        if evidence.detections is None:
            return _known(evidence.num, None)
        seen = [any_near(things, kinds, min_height_frac=min_height_frac, band_frac=band_frac) for things in evidence.detections]
        return _known(evidence.num, np.array(seen, bool))

    return Predicate(name=name, judge=hold)


def by_thought(name: str, *, decision: str | None = None, cause: str | None = None) -> Predicate:
    """A predicate over the clip's thoughts; a step without one is not known."""

    def hold(evidence: Evidence) -> Truth:
        thoughts = evidence.clip.thoughts or (None,) * evidence.num
        known = np.array([thought is not None for thought in thoughts], bool)
        said = [thought is not None and decision in (None, thought.decision) and cause in (None, thought.cause) for thought in thoughts]
        return Truth(yes=np.array(said, bool), no=known & ~np.array(said, bool))

    return Predicate(name=name, judge=hold)


def by_tag(tag: str) -> Predicate:
    """A tag that the clip came with, as of a simulated drive; where it is absent nothing is known."""

    def hold(evidence: Evidence) -> Truth:
        return replace(_known(evidence.num, None), yes=np.full(evidence.num, tag in evidence.clip.tags))

    return Predicate(name=tag, judge=hold)


def _join(name: str, one: Predicate, other: Predicate, judge: Callable[[Truth, Truth], Truth]) -> Predicate:
    return Predicate(name=name, judge=lambda evidence: judge(one.judge(evidence), other.judge(evidence)))


def _known(num: int, yes: Bool[Array, " time"] | None) -> Truth:
    return Truth(yes=np.zeros(num, bool), no=np.zeros(num, bool)) if yes is None else Truth(yes=yes, no=~yes)


def _swap(truth: Truth) -> Truth:
    return Truth(yes=truth.no, no=truth.yes)


def _long(mask: Bool[Array, " time"], least_s: float) -> Bool[Array, " time"]:
    long = np.zeros(len(mask), bool)
    for start, stop in runs(mask):
        long[start:stop] = (stop - start) * DT_S >= least_s - 1e-9
    return long


def _soon(mask: Bool[Array, " time"], reach: int) -> Bool[Array, " time"]:
    """Whether any of the next `reach` steps is true, the step itself left out."""
    total, here = np.concatenate([[0], np.cumsum(mask)]), np.arange(len(mask))
    return total[np.minimum(here + 1 + reach, len(mask))] > total[here + 1]

"""Labellers: who puts thoughts to a clip. Each looks at the observed past of a step only; each leaves a label set of its own.

Label sets are values beside the clips and never in them: several opinions on one step are kept, and compared in `agreement.py`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import msgspec

from motorworks.clips.record import pack_runs, unpack_runs
from motorworks.curate.detect import VEHICLES, Detection, Detector, any_near
from motorworks.curate.label import LabelConfig, label_from_motion
from motorworks.curate.vlm import VlmLabeller
from motorworks.datatypes.clip import Clip
from motorworks.datatypes.thought import Thought
from motorworks.datatypes.trajectory import DT_S

Thoughts = tuple[Thought | None, ...]


@dataclass(frozen=True, kw_only=True)
class LabelSet:
    """One labeller's thoughts on one clip, a step each; None where it says nothing."""

    labeller: str
    version: str
    clip_id: str
    thoughts: Thoughts
    num_unread: int = 0  # answers of a language model that were no thought

    @property
    def num_labelled(self) -> int:
        """Steps with a thought."""
        return sum(thought is not None for thought in self.thoughts)

    def to_row(self) -> dict[str, Any]:
        """A row of a side table: plain columns to ask by, and the thoughts as runs."""
        return {
            "clip_id": self.clip_id,
            "labeller": self.labeller,
            "version": self.version,
            "num_steps": len(self.thoughts),
            "num_labelled": self.num_labelled,
            "num_unread": self.num_unread,
            "decisions": sorted({thought.decision for thought in self.thoughts if thought}),
            "causes": sorted({thought.cause for thought in self.thoughts if thought}),
            "runs": msgspec.msgpack.encode(pack_runs([thought and (thought.decision, thought.cause) for thought in self.thoughts])),
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "LabelSet":
        """The set of `to_row`; a torn row or a word outside the vocabulary raises."""
        name = f"label row of {row['labeller']} on clip {row['clip_id']}"
        try:
            words = unpack_runs(msgspec.msgpack.decode(row["runs"]))
            thoughts = tuple(pair and Thought(decision=pair[0], cause=pair[1]) for pair in words)
        except (ValueError, TypeError, IndexError) as error:
            raise ValueError(f"{name}: field runs cannot be read: {error}; label the clip again") from error
        if len(thoughts) != row["num_steps"]:
            raise ValueError(f"{name}: field runs has {len(thoughts)} steps, num_steps says {row['num_steps']}; label the clip again")
        return cls(
            labeller=row["labeller"], version=row["version"], clip_id=row["clip_id"], thoughts=thoughts, num_unread=int(row.get("num_unread", 0))
        )


class Labeller(Protocol):
    """Words a clip."""

    @property
    def name(self) -> str:
        """A word or two, one of its own."""
        ...

    @property
    def version(self) -> str:
        """Changes whenever the same clip might get other words."""
        ...

    def label(self, clip: Clip) -> Thoughts:
        """A thought per step, from what was observed up to that step; None where it says nothing."""
        ...


@dataclass(frozen=True, kw_only=True)
class SceneLabeller:
    """The thoughts that a simulated clip came with: whoever drove it knew the scene. Recorded clips get none."""

    name: str = "scene"
    version: str = "1"

    def label(self, clip: Clip) -> Thoughts:
        """As they are."""
        simulated = clip.motion is not None and clip.motion.kind == "simulated"
        return clip.thoughts if simulated and clip.thoughts else (None,) * len(clip.timestamp_us)


@dataclass(frozen=True, kw_only=True)
class MotionLabeller:
    """The rule of `label.py` on its own: decisions from the last second of motion, whatever the clip came with."""

    name: str = "motion"
    config: LabelConfig = field(default_factory=LabelConfig)

    @property
    def version(self) -> str:
        """Other thresholds give other words."""
        return f"1 {_hash(self.config)}"

    def label(self, clip: Clip) -> Thoughts:
        """From motion; nothing is struck out here, since that takes the future."""
        return label_from_motion(replace(clip, thoughts=None), self.config)


@dataclass(frozen=True, kw_only=True)
class SightLabeller:
    """Decisions from motion, and a cause where one is in the picture when the car slows, stops or waits: a person, a cyclist, a vehicle.

    That something is there does not prove that it is why; signals are not read, since a detector does not say their colour.
    """

    detector: Detector
    config: LabelConfig = field(default_factory=LabelConfig)
    look_back_s: float = 1.0
    near_frac: float = 0.25  # of the picture's height: a person 6.5 m away, by a lens that sees 55 degrees upright
    grows: float = 1.05  # of a vehicle ahead over the look back: it is being closed upon

    @property
    def name(self) -> str:
        """Says by whose eyes."""
        return f"motion and {self.detector.name}"

    @property
    def version(self) -> str:
        """Of the rule with its thresholds, and of the detector."""
        return f"1 {_hash(self.config, self.look_back_s, self.near_frac, self.grows)}, detector {self.detector.version}"

    def label(self, clip: Clip) -> Thoughts:
        """From motion and the pictures of the last second."""
        thoughts = label_from_motion(replace(clip, thoughts=None), self.config)
        if clip.frames is None:
            return thoughts
        slows = [thought is not None and thought.decision in ("slow down", "stop", "wait", "brake hard") for thought in thoughts]
        look = round(self.look_back_s / DT_S)
        wanted = sorted({past for step, slow in enumerate(slows) if slow for past in (step, max(0, step - look // 2), max(0, step - look))})
        seen = dict(zip(wanted, self.detector.detect(clip.frames[wanted]), strict=True)) if wanted else {}
        labelled = list(thoughts)
        for step, thought in enumerate(thoughts):
            if thought is not None and slows[step]:
                past = [seen[at] for at in (max(0, step - look), max(0, step - look // 2), step)]
                labelled[step] = replace(thought, cause=self._cause(thought, past) or thought.cause)
        return tuple(labelled)

    def _cause(self, thought: Thought, past: Sequence[Sequence[Detection]]) -> str | None:
        """The nearest to harm first; seen in two of three pictures, so that a detector's blink is no cause."""

        def near(kinds: frozenset[str], band_frac: tuple[float, float]) -> bool:
            return sum(any_near(things, kinds, min_height_frac=self.near_frac, band_frac=band_frac) for things in past) >= 2

        people, ahead, aside = frozenset({"person"}), (0.35, 0.65), (0.0, 1.0)
        if near(frozenset({"bicycle"}), ahead):
            return "a cyclist is ahead"
        if near(people, ahead):
            return "someone is in the way"
        if near(VEHICLES, ahead):
            heights = [
                max((t.height_frac for t in things if t.kind in VEHICLES and ahead[0] <= t.centre_frac <= ahead[1]), default=0.0) for things in past
            ]
            if thought.decision == "wait":
                return "a vehicle ahead has stopped"
            return "a vehicle ahead is slower" if heights[-1] > self.grows * heights[0] > 0 else None
        return "someone is near the road" if near(people, aside) else None


def label_clip(labeller: Labeller, clip_id: str, clip: Clip) -> LabelSet:
    """One labeller on one clip."""
    if isinstance(labeller, VlmLabeller):
        answers = labeller.answers(clip)
        thoughts, unread = labeller.hold(answers, len(clip.timestamp_us)), sum(answer.thought is None for answer in answers)
    else:
        thoughts, unread = labeller.label(clip), 0
    if len(thoughts) != len(clip.timestamp_us):
        raise ValueError(f"labeller {labeller.name} gave {len(thoughts)} thoughts for the {len(clip.timestamp_us)} steps of clip {clip_id}")
    return LabelSet(labeller=labeller.name, version=labeller.version, clip_id=clip_id, thoughts=thoughts, num_unread=unread)


def _hash(*settings: object) -> str:
    return hashlib.sha256(repr(settings).encode()).hexdigest()[:8]

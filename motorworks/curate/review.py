"""A page to look at labels with: one HTML file with pictures in it, disagreements first, answered by keyboard."""

import base64
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from PIL import Image

from motorworks.clips.place import whole_file
from motorworks.clips.record import front_frames
from motorworks.curate.describe import describe
from motorworks.curate.evidence import look_at
from motorworks.curate.labellers import LabelSet, Thoughts
from motorworks.datatypes.clip import Clip
from motorworks.datatypes.thought import CAUSES, DECISIONS, Thought
from motorworks.datatypes.trajectory import DT_S
from motorworks.geometry.array import Array

KINDS = ("decision", "cause", "one says nothing", "same")  # how labellers differ, the gravest first
_STRIP_HEIGHT_PX, _STRIP_PICTURES, _WEBP_QUALITY = 108, 6, 55
_PAST_S = 2.0  # shown before the steps in question


@dataclass(frozen=True, kw_only=True)
class Question:
    """Steps [start, stop) of a clip over which no labeller changes its mind."""

    clip_id: str
    start: int
    stop: int
    kind: str  # one of KINDS
    said: Mapping[str, Thought | None]  # by labeller, of those who have seen the clip


@dataclass(frozen=True, kw_only=True)
class Review:
    """What went into a page."""

    path: Path
    num_questions: int
    num_left_out: int  # too short, or beyond the page's size
    num_by_kind: Mapping[str, int]  # of all, left out or not


def write_review(clips: Mapping[str, Clip], labels: Sequence[LabelSet], path: Path, *, max_questions: int = 200, least_s: float = 0.3) -> Review:
    """One page that needs nothing beside it. Clips by their id; what was labelled and is not among them is left out."""
    of_clip: dict[str, list[LabelSet]] = {clip_id: [] for clip_id in clips}
    for one in labels:
        of_clip.get(one.clip_id, []).append(one)
    everything = [question for clip_id, sets in of_clip.items() for question in find_questions(clip_id, sets)]
    long = [question for question in everything if (question.stop - question.start) * DT_S >= least_s - 1e-9]
    asked = sorted(long, key=lambda question: (KINDS.index(question.kind), question.start - question.stop))[:max_questions]
    by_kind = {kind: sum(question.kind == kind for question in everything) for kind in KINDS}
    shown = {question.clip_id: clips[question.clip_id] for question in asked}
    data = {
        "kinds": KINDS,
        "decisions": DECISIONS,
        "causes": CAUSES,
        "dt_s": DT_S,
        "clips": {clip_id: _clip_facts(clip) for clip_id, clip in shown.items()},
        "questions": _with_strips(asked, shown),
    }
    page_id = hashlib.sha256(repr([(question.clip_id, question.start, question.stop) for question in asked]).encode()).hexdigest()[:12]
    page = _template().render(data=data, page_id=page_id, by_kind=by_kind, num_left_out=len(everything) - len(asked))
    with whole_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return Review(path=path, num_questions=len(asked), num_left_out=len(everything) - len(asked), num_by_kind=by_kind)


def find_questions(clip_id: str, labels: Sequence[LabelSet]) -> list[Question]:
    """A clip in parts over which no labeller changes its mind; where none says anything there is nothing to ask."""
    lengths = {len(one.thoughts) for one in labels}
    if len(lengths) > 1:
        raise ValueError(f"clip {clip_id}: its label sets have {sorted(lengths)} steps; label it again")
    names = [one.labeller for one in labels]
    names = [name if names.count(name) == 1 else f"{name} ({one.version})" for name, one in zip(names, labels, strict=True)]
    rows = list(zip(*(one.thoughts for one in labels), strict=True))
    edges = [0, *(step for step in range(1, len(rows)) if rows[step] != rows[step - 1]), len(rows)]
    return [
        Question(
            clip_id=clip_id,
            start=start,
            stop=stop,
            kind=_kind(rows[start]),
            said=dict(zip(names, rows[start], strict=True)),
        )
        for start, stop in pairwise(edges)
        if rows and any(rows[start])
    ]


def _kind(said: Thoughts) -> str:
    spoken = [thought for thought in said if thought is not None]
    if len({thought.decision for thought in spoken}) > 1:
        return KINDS[0]
    if len(set(spoken)) > 1:
        return KINDS[1]
    return KINDS[2] if len(spoken) < len(said) else KINDS[3]


def _clip_facts(clip: Clip) -> dict[str, Any]:
    """What is drawn about a whole clip: a sentence, and speed and turning at every other step."""
    evidence = look_at(clip)
    drive = evidence.drive
    lines = {} if drive is None else {"speed_mps": np.asarray(clip.motion.speed_mps), "yaw_rate_radps": drive.yaw_rate_radps}
    return {
        "num_steps": len(clip.timestamp_us),
        "source": f"{clip.source}, {clip.recording_id}",
        "sentence": describe(evidence),
        "lines": {name: [round(float(value), 3) for value in values[::2]] for name, values in lines.items()},
    }


def _with_strips(questions: Sequence[Question], clips: Mapping[str, Clip]) -> list[dict[str, Any]]:
    """Questions as the page wants them, in order; a clip's pictures are decoded once and let go."""
    strips: dict[tuple[str, int], tuple[str, list[int]]] = {}
    for clip_id, clip in clips.items():
        frames = front_frames(clip)
        if frames is not None:
            strips |= {(clip_id, question.start): _strip(frames, question) for question in questions if question.clip_id == clip_id}
    made = []
    for question in questions:
        picture, steps = strips.get((question.clip_id, question.start), ("", []))
        said = [[name, thought and [thought.decision, thought.cause]] for name, thought in question.said.items()]
        row = {"clip": question.clip_id, "start": question.start, "stop": question.stop, "kind": question.kind, "said": said}
        made.append(row | {"picture": picture, "steps": steps})
    return made


def _strip(frames: UInt8[Array, "time height width 3"], question: Question) -> tuple[str, list[int]]:
    """Pictures from a little before the question to its end, side by side as one WebP, and their steps."""
    first, last = max(0, question.start - round(_PAST_S / DT_S)), question.stop - 1
    steps = sorted(set(np.linspace(first, last, _STRIP_PICTURES).round().astype(int).tolist()))
    width = max(1, round(frames.shape[2] * _STRIP_HEIGHT_PX / frames.shape[1]))
    strip = Image.new("RGB", (width * len(steps), _STRIP_HEIGHT_PX))
    for number, step in enumerate(steps):
        strip.paste(Image.fromarray(np.asarray(frames[step])).resize((width, _STRIP_HEIGHT_PX)), (number * width, 0))
    file = io.BytesIO()
    strip.save(file, "WEBP", quality=_WEBP_QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}", steps


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("review.html.j2")

"""A vision-language model as a labeller: any of Hugging Face's that takes several pictures and a chat. Its answer is a thought or nothing."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from motorworks.datatypes.clip import Clip
from motorworks.datatypes.thought import CAUSES, DECISIONS, Thought
from motorworks.datatypes.trajectory import DT_S
from motorworks.tokens.text import BECAUSE

_ASK = """These pictures are from a camera looking ahead on a {body}, {gap_s:g} s apart; the last one is now.{speed}
Say what the driver decides now and why. Answer with one line: a decision, the word "because", a cause. Use only these words.
Decisions: {decisions}.
Causes: {causes}."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the model said at one step; `thought` is None where that was none."""

    step: int
    text: str
    thought: Thought | None


class VlmLabeller:
    """Asks a model every `every_s`, shows it pictures of the observed past, and lets an answer stand until the next question.

    `version` holds the name of the model and a hash of the question, since another question gets other answers.
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
        *,
        name: str = "vlm",
        model_name: str | None = None,
        num_pictures: int = 3,
        gap_s: float = 1.0,
        every_s: float = 1.0,
        batch: int = 4,
        max_new_tokens: int = 24,
    ) -> None:
        if num_pictures < 1 or batch < 1 or min(gap_s, every_s) < DT_S:
            raise ValueError(f"vlm labeller {name}: needs a picture, a batch of one and steps of {DT_S} s at least")
        self.model, self.processor, self.name = model, processor, name
        self.num_pictures, self.gap, self.every = num_pictures, round(gap_s / DT_S), round(every_s / DT_S)
        self.batch, self.max_new_tokens = batch, max_new_tokens
        asked = f"{_ASK}{DECISIONS}{CAUSES}{num_pictures} {gap_s:g} {every_s:g}"
        model_name = model_name or getattr(model.config, "name_or_path", "") or type(model).__name__
        self.version = f"{model_name} asked {hashlib.sha256(asked.encode()).hexdigest()[:8]}"

    def label(self, clip: Clip) -> tuple[Thought | None, ...]:
        """A thought per step; without pictures nothing is said."""
        return self.hold(self.answers(clip), len(clip.timestamp_us))

    def hold(self, answers: Sequence[Answer], num: int) -> tuple[Thought | None, ...]:
        """Each answer from its step on to the next."""
        thoughts: list[Thought | None] = [None] * num
        for answer in answers:
            thoughts[answer.step : answer.step + self.every] = [answer.thought] * min(self.every, num - answer.step)
        return tuple(thoughts)

    def answers(self, clip: Clip) -> tuple[Answer, ...]:
        """Asks from the first step with a whole past on."""
        if clip.frames is None:
            return ()
        steps = list(range(self.gap * (self.num_pictures - 1), len(clip.timestamp_us), self.every))
        texts = [text for start in range(0, len(steps), self.batch) for text in self._ask(clip, steps[start : start + self.batch])]
        return tuple(Answer(step=step, text=text, thought=read_answer(text)) for step, text in zip(steps, texts, strict=True))

    def _ask(self, clip: Clip, steps: Sequence[int]) -> list[str]:
        import torch
        from PIL import Image

        assert clip.frames is not None
        pictures, questions = [], []
        for step in steps:
            past = range(step - self.gap * (self.num_pictures - 1), step + 1, self.gap)
            pictures.append([Image.fromarray(np.asarray(clip.frames[at])) for at in past])
            content = [*({"type": "image"} for _ in past), {"type": "text", "text": question(clip, step, gap_s=self.gap * DT_S)}]
            chat = [{"role": "user", "content": content}]
            questions.append(self.processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=False))
        # the padding goes before the question, so that every answer starts at one place
        inputs = self.processor(text=questions, images=pictures, return_tensors="pt", padding=True, padding_side="left")
        inputs = inputs.to(self.model.device, dtype=self.model.dtype)
        with torch.inference_mode():
            said = self.model.generate(**inputs, max_new_tokens=self.max_new_tokens, do_sample=False)
        return self.processor.batch_decode(said[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def question(clip: Clip, step: int, *, gap_s: float) -> str:
    """What is asked at a step; the speed of now is told where it is known."""
    speed = "" if clip.motion is None else f" The speed is {float(clip.motion.speed_mps[step]):.1f} m/s."
    return _ASK.format(body=clip.body, gap_s=gap_s, speed=speed, decisions="; ".join(DECISIONS), causes="; ".join(CAUSES))


def read_answer(text: str) -> Thought | None:
    """The thought of an answer; None for anything but "decision because cause" in our words, a full stop and capitals aside."""
    decision, because, cause = " ".join(text.strip().rstrip(".").lower().split()).partition(f" {BECAUSE} ")
    if not because or decision not in DECISIONS or cause not in CAUSES:
        return None
    return Thought(decision=decision, cause=cause)

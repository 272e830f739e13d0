"""The model as ONNX files: vision, plan and think apart, so each image is seen once and thinking never delays a plan."""

import contextlib
import io
import logging
import warnings
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from motorworks.models.config import ModelConfig
from motorworks.models.driving_model import DrivingModel
from motorworks.models.graphs import PlanGraph, ThinkGraph, VisionGraph
from motorworks.tokens.image import HEIGHT_PX, WIDTH_PX
from motorworks.tokens.text import NUM_INSTRUCTION, NUM_THOUGHT

OPSET = 20
_STATE = ("latents", "latents_valid", "ego", "instruction_ids")


def export_graphs(model: DrivingModel, out_dir: Path) -> dict[str, Path]:
    """Writes vision.onnx, plan.onnx and think.onnx with batch one (what a vehicle runs), each checked and in one file."""
    if model.config.action_head != "proposals":
        raise ValueError(
            f"the action head {model.config.action_head!r} decodes in a loop and cannot be exported yet: "
            "distil into a model with action_head='proposals' (its plan is one graph)"
        )
    if model.config.calibrated:
        raise ValueError(
            f"a calibrated model (num_views {model.config.num_views}) cannot be exported yet: the vision graph has no input for cameras; "
            "distil into a model with calibrated=False and num_views=1"
        )
    out_dir.mkdir(parents=True, exist_ok=True)
    training = model.training
    model.eval()
    state = _example_state(model.config)
    thought = torch.zeros((1, NUM_THOUGHT), dtype=torch.int64)
    image = torch.zeros((1, HEIGHT_PX, WIDTH_PX, 3), dtype=torch.uint8)
    graphs: tuple[tuple[str, nn.Module, tuple[Tensor, ...], tuple[str, ...], tuple[str, ...]], ...] = (
        ("vision", VisionGraph(model), (image,), ("images",), ("latents",)),
        ("plan", PlanGraph(model), state, _STATE, ("controls", "logits")),
        ("think", ThinkGraph(model), (*state, thought), (*_STATE, "thought_ids"), ("logits",)),
    )
    try:
        return {name: _export(graph, example, out_dir / f"{name}.onnx", inputs, outputs) for name, graph, example, inputs, outputs in graphs}
    finally:
        model.train(training)


def _example_state(config: ModelConfig) -> tuple[Tensor, ...]:
    latents = torch.zeros((1, config.num_frames, config.latents_per_frame, config.vision_dim))
    valid = torch.ones((1, config.num_frames), dtype=torch.bool)
    return latents, valid, torch.zeros((1, config.num_ego)), torch.zeros((1, NUM_INSTRUCTION), dtype=torch.int64)


def _export(graph: nn.Module, example: tuple[Tensor, ...], file: Path, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> Path:
    device = next(graph.parameters()).device
    temporary = file.with_suffix(".tmp.onnx")
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), _quiet("torch.onnx", "onnxscript"):
        warnings.simplefilter("ignore")  # the exporter warns about its own internals
        program = torch.onnx.export(
            graph,
            tuple(value.to(device) for value in example),
            dynamo=True,
            opset_version=OPSET,
            verbose=False,
            input_names=list(inputs),
            output_names=list(outputs),
        )
        if program is None:
            raise RuntimeError(f"{file}: torch.onnx.export gave no program")
        program.save(temporary, external_data=False)  # one file: what is hashed is what is loaded
    onnx.checker.check_model(onnx.load(temporary), full_check=True)
    return temporary.replace(file)


@contextlib.contextmanager
def _quiet(*names: str):  # type: ignore[no-untyped-def]
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)

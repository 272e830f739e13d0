"""A TensorFlow.js graph model as ONNX: convolution networks of a fixed input size, as detectors in npm packages are.

The few operations that such graphs have; another one is refused by name. Shapes that the graph computes from constants are folded.
"""

import json
import math
from base64 import b64decode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from motorworks.geometry.array import Array

_OPSET = 18
_DTYPES = {"float32": np.float32, "int32": np.int32, "float16": np.float16, "uint8": np.uint8, "uint16": np.uint16, "bool": np.bool_}
_TO_NCHW, _TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]


def onnx_from_tfjs(model: Path) -> bytes:
    """The ONNX file of a model.json and the weight files beside it; inputs and outputs keep their names."""
    import onnx
    from onnx import TensorProto, helper

    told = json.loads(model.read_text())
    if told.get("format") != "graph-model":
        raise ValueError(f"{model}: format is {told.get('format')!r}: only a graph-model can be converted")
    graph = _Graph(model, read_weights(model))
    placeholders = []
    for node in _in_order(told["modelTopology"]["node"]):
        if node["op"] == "Placeholder":
            shape = [int(dim["size"]) for dim in node["attr"]["shape"]["shape"].get("dim", [])]
            placeholders.append(helper.make_tensor_value_info(node["name"], TensorProto.FLOAT, shape))
        elif node["op"] != "Const":
            graph.add(node)
    infos = [
        helper.make_tensor_value_info(_output(name), TensorProto.FLOAT, [int(dim["size"]) for dim in output["tensorShape"]["dim"]])
        for name, output in told["signature"]["outputs"].items()
    ]
    tensors = [onnx.numpy_helper.from_array(graph.constants[name], name) for name in sorted(graph.used & graph.constants.keys())]
    made = helper.make_model(
        helper.make_graph(graph.nodes, model.stem, placeholders, infos, tensors), opset_imports=[helper.make_opsetid("", _OPSET)]
    )
    made.ir_version = 8
    onnx.checker.check_model(made)
    return made.SerializeToString()


def read_weights(model: Path) -> dict[str, Array]:
    """Every weight of a model.json by name; those kept as float16 or as scaled integers become float32."""
    weights: dict[str, Array] = {}
    for group in json.loads(model.read_text())["weightsManifest"]:
        data, start = b"".join((model.parent / name).read_bytes() for name in group["paths"]), 0
        for entry in group["weights"]:
            kept = entry.get("quantization")
            dtype = np.dtype(_DTYPES[kept["dtype"] if kept else entry["dtype"]])
            num = math.prod(entry["shape"])
            if start + num * dtype.itemsize > len(data):
                raise ValueError(f"{model}: weight {entry['name']} ends past the {len(data)} bytes of {group['paths']}: fetch the files again")
            values = np.frombuffer(data, dtype, num, start).reshape(entry["shape"])
            start += num * dtype.itemsize
            if kept:
                values = values.astype(np.float32) * kept.get("scale", 1.0) + kept.get("min", 0.0)
                values = values.astype(_DTYPES[entry["dtype"]])
            weights[entry["name"]] = values
    return weights


class _Graph:
    """ONNX nodes as they are added, and the constants they may use."""

    def __init__(self, model: Path, constants: Mapping[str, Array]) -> None:
        self.model, self.constants = model, dict(constants)
        self.nodes: list[Any] = []
        self.used: set[str] = set()

    def add(self, node: Mapping[str, Any]) -> None:
        """One TensorFlow node: folded where all it needs is known, else translated."""
        name, op = node["name"], node["op"]
        inputs = [_output(one) for one in node.get("input", []) if not one.startswith("^")]
        if op in _FOLDS and all(one in self.constants for one in inputs):
            self.constants[name] = _FOLDS[op](*(self.constants[one] for one in inputs))
        elif op in _TRANSLATES:
            _TRANSLATES[op](self, name, inputs, {key: _value(value) for key, value in node.get("attr", {}).items()})
        else:
            raise ValueError(f"{self.model}: node {name} is a {op}, which is not translated; known are {sorted(_TRANSLATES)}")

    def emit(self, op: str, inputs: list[str], outputs: list[str], **attributes: Any) -> None:
        """One ONNX node."""
        from onnx import helper

        self.used |= set(inputs)
        self.nodes.append(helper.make_node(op, inputs, outputs, **attributes))

    def keep(self, name: str, values: Array) -> str:
        """A constant of our own."""
        self.constants[name] = values
        return name

    def in_nchw(self, op: str, name: str, inputs: list[str], attr: Mapping[str, Any], **attributes: Any) -> None:
        """An ONNX node that wants channels first, between two transposes where TensorFlow has them last; the runtime cancels pairs of them."""
        if attr.get("data_format", "NHWC") == "NCHW":
            self.emit(op, inputs, [name], **attributes)
            return
        self.emit("Transpose", [inputs[0]], [f"{name}/first"], perm=_TO_NCHW)
        self.emit(op, [f"{name}/first", *inputs[1:]], [f"{name}/done"], **attributes)
        self.emit("Transpose", [f"{name}/done"], [name], perm=_TO_NHWC)


def _convolve(graph: _Graph, name: str, inputs: list[str], attr: Mapping[str, Any]) -> None:
    weight = graph.constants[inputs[1]]  # height width in out; a convolution by groups has fewer "in" than the picture has channels
    first = attr.get("data_format", "NHWC") == "NCHW"
    strides, dilations = ([one[axis] for axis in ((2, 3) if first else (1, 2))] for one in (attr["strides"], attr.get("dilations") or [1] * 4))
    kernel = graph.keep(f"{name}/weight", np.ascontiguousarray(weight.transpose(3, 2, 0, 1)))
    graph.in_nchw("Conv", name, [inputs[0], kernel], attr, strides=strides, dilations=dilations, auto_pad=_pad_mode(attr))


def _depthwise(graph: _Graph, name: str, inputs: list[str], attr: Mapping[str, Any]) -> None:
    weight = graph.constants[inputs[1]]  # height width in times
    height, width, channels, times = weight.shape
    kernel = graph.keep(f"{name}/weight", np.ascontiguousarray(weight.transpose(2, 3, 0, 1).reshape(channels * times, 1, height, width)))
    first = attr.get("data_format", "NHWC") == "NCHW"
    strides, dilations = ([one[axis] for axis in ((2, 3) if first else (1, 2))] for one in (attr["strides"], attr.get("dilations") or [1] * 4))
    graph.in_nchw("Conv", name, [inputs[0], kernel], attr, strides=strides, dilations=dilations, group=channels, auto_pad=_pad_mode(attr))


def _pool(graph: _Graph, name: str, inputs: list[str], attr: Mapping[str, Any]) -> None:
    axes = (2, 3) if attr.get("data_format", "NHWC") == "NCHW" else (1, 2)
    sizes, strides = ([attr[key][axis] for axis in axes] for key in ("ksize", "strides"))
    graph.in_nchw("MaxPool", name, inputs, attr, kernel_shape=sizes, strides=strides, auto_pad=_pad_mode(attr))


def _resize(graph: _Graph, name: str, inputs: list[str], attr: Mapping[str, Any]) -> None:
    height, width = (int(size) for size in graph.constants[inputs[1]])
    modes = {(False, True): "half_pixel", (True, False): "align_corners", (False, False): "asymmetric"}
    mode = modes[attr.get("align_corners", False), attr.get("half_pixel_centers", False)]
    size = graph.keep(f"{name}/size", np.array([height, width], np.int64))
    graph.in_nchw("Resize", name, [inputs[0], "", "", size], {}, mode="linear", coordinate_transformation_mode=mode, axes=[2, 3])


def _pad(graph: _Graph, name: str, inputs: list[str], attr: Mapping[str, Any]) -> None:
    pads = graph.keep(f"{name}/pads", graph.constants[inputs[1]].T.reshape(-1).astype(np.int64))
    graph.emit("Pad", [inputs[0], pads, *inputs[2:3]], [name])


def _split(graph: _Graph, name: str, inputs: list[str], attr: Mapping[str, Any]) -> None:
    sizes = graph.constants[inputs[1]]
    outputs = [name, *(f"{name}:{number}" for number in range(1, len(sizes)))]
    kept = graph.keep(f"{name}/sizes", sizes.astype(np.int64))
    graph.emit("Split", [inputs[0], kept], outputs, axis=int(graph.constants[inputs[2]]))


def _plain(op: str) -> Callable[..., None]:
    return lambda graph, name, inputs, attr: graph.emit(op, inputs, [name])


def _reshape(graph: _Graph, name: str, inputs: list[str], attr: Mapping[str, Any]) -> None:
    shape = graph.keep(f"{name}/shape", graph.constants[inputs[1]].astype(np.int64))
    graph.emit("Reshape", [inputs[0], shape], [name])


_TRANSLATES: dict[str, Callable[..., None]] = {
    "Add": _plain("Add"),
    "AddV2": _plain("Add"),
    "BiasAdd": _plain("Add"),
    "Mul": _plain("Mul"),
    "Sub": _plain("Sub"),
    "Sigmoid": _plain("Sigmoid"),
    "Relu": _plain("Relu"),
    "Identity": _plain("Identity"),
    "LeakyRelu": lambda graph, name, inputs, attr: graph.emit("LeakyRelu", inputs, [name], alpha=attr.get("alpha", 0.2)),
    "Transpose": lambda graph, name, inputs, attr: graph.emit("Transpose", inputs[:1], [name], perm=graph.constants[inputs[1]].tolist()),
    "ConcatV2": lambda graph, name, inputs, attr: graph.emit("Concat", inputs[:-1], [name], axis=int(graph.constants[inputs[-1]])),
    "Reshape": _reshape,
    "Conv2D": _convolve,
    "DepthwiseConv2dNative": _depthwise,
    "MaxPool": _pool,
    "ResizeBilinear": _resize,
    "Pad": _pad,
    "PadV2": _pad,
    "SplitV": _split,
}


def _fold_sparse(indices: Array, shape: Array, values: Array, default: Array) -> Array:
    dense = np.full(shape, default)
    dense[tuple(np.asarray(indices).reshape(-1, len(shape)).T)] = values
    return dense


_FOLDS: dict[str, Callable[..., Array]] = {
    "SparseToDense": _fold_sparse,
    "Add": np.add,
    "AddV2": np.add,
    "Mul": np.multiply,
    "ConcatV2": lambda *parts: np.concatenate(parts[:-1], axis=int(parts[-1])),
}


def _in_order(nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each after what it needs; a file need not keep that order."""
    by_name, done, ordered = {node["name"]: node for node in nodes}, set(), []
    for node in nodes:
        stack = [node]
        while stack:
            needs = [by_name[name] for one in stack[-1].get("input", []) if (name := one.removeprefix("^").split(":")[0]) not in done]
            if needs:
                stack += needs
            elif (last := stack.pop())["name"] not in done:
                done.add(last["name"])
                ordered.append(last)
    return ordered


def _output(name: str) -> str:
    """TensorFlow's name of a node's output: its first has none of its own."""
    return name.removesuffix(":0")


def _pad_mode(attr: Mapping[str, Any]) -> str:
    return {"VALID": "VALID", "SAME": "SAME_UPPER"}[attr["padding"]]


def _value(attribute: Mapping[str, Any]) -> Any:
    """An attribute as tfjs writes it: a text is base64, a whole number may be text."""
    if "s" in attribute:
        return b64decode(attribute["s"]).decode()
    if "i" in attribute:
        return int(attribute["i"])
    if "list" in attribute:
        return [int(one) for one in attribute["list"].get("i", [])]
    return attribute.get("b", attribute.get("f"))

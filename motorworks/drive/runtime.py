"""The runtime socket, and ONNX Runtime behind it: a verified bundle as the `Infer` that a policy asks."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime
from jaxtyping import Bool, Float, Int64, UInt8

from motorworks.bodies.body import BODIES
from motorworks.drive.bundle import Bundle
from motorworks.geometry.array import Array
from motorworks.policy.infer import Infer
from motorworks.policy.model import ModelPolicy


class Runtime(Protocol):
    """Turns a verified bundle into an Infer; TensorRT, OpenVINO or others plug in here."""

    def __call__(self, bundle: Bundle, *, threads: int) -> Infer:
        """Loads the graphs from the bundle's memory, never again from disk."""
        ...


class OrtInfer:
    """The bundle's graphs in ONNX Runtime. Items of a batch run one by one, as in the vehicle.

    Dynamic int8 scales activations by the whole tensor, so a batched run would answer differently from the vehicle's single one.
    """

    def __init__(self, bundle: Bundle, *, threads: int = 1) -> None:
        manifest = bundle.manifest
        self._load({name: bundle.payload[file] for name, file in manifest.graphs.items()}, manifest.num_frames, manifest.frame_gap_steps, threads)

    @classmethod
    def from_graphs(cls, graphs: Mapping[str, Path], *, num_frames: int = 2, frame_gap_steps: int = 4, threads: int = 1) -> "OrtInfer":
        """Graph files that are not a bundle yet: for parity checks in the factory. A vehicle opens bundles."""
        infer = cls.__new__(cls)
        infer._load({name: file.read_bytes() for name, file in graphs.items()}, num_frames, frame_gap_steps, threads)
        return infer

    def _load(self, graphs: Mapping[str, bytes], num_frames: int, frame_gap_steps: int, threads: int) -> None:
        if threads < 1:
            raise ValueError(f"threads {threads} must be at least 1")
        self.num_frames, self.frame_gap_steps, self.num_views = num_frames, frame_gap_steps, 1
        self._sessions = {name: _session(graph, threads) for name, graph in graphs.items()}
        self._one_at_a_time = threading.Lock()  # two pools computing at once on two cores doubled the time

    def see(self, images: UInt8[Array, "batch 64 128 3"], cameras: Float[Array, "batch 16"] | None = None) -> Float[Array, "batch latent channel"]:
        """Latents of each image. No bundle asks for cameras yet (export.onnx)."""
        return self._run("vision", images)[0]

    def plan(
        self,
        latents: Float[Array, "batch picture latent channel"],
        latents_valid: Bool[Array, "batch picture"],
        ego: Float[Array, "batch ego"],
        instruction_ids: Int64[Array, "batch 8"],
    ) -> tuple[Float[Array, "batch proposal 64 2"], Float[Array, "batch proposal"]]:
        """Normalised controls of every proposal, and their logits."""
        controls, logits = self._run("plan", latents, latents_valid, ego, instruction_ids)
        return controls, logits

    def think(
        self,
        latents: Float[Array, "batch picture latent channel"],
        latents_valid: Bool[Array, "batch picture"],
        ego: Float[Array, "batch ego"],
        instruction_ids: Int64[Array, "batch 8"],
        thought_ids: Int64[Array, "batch 16"],
    ) -> Float[Array, "batch 16 vocab"]:
        """Logits of the word that follows each position."""
        if "think" not in self._sessions:
            raise ValueError("this bundle has no think graph: drive it with think_every=0, or release it with one")
        return self._run("think", latents, latents_valid, ego, instruction_ids, thought_ids)[0]

    def foresee(
        self,
        latents: Float[Array, "batch picture latent channel"],
        latents_valid: Bool[Array, "batch picture"],
        ego: Float[Array, "batch ego"],
        instruction_ids: Int64[Array, "batch 8"],
    ) -> Float[Array, "batch latent channel"]:
        """Not in a vehicle: the world head is dropped at export."""
        raise NotImplementedError("a vehicle bundle has no world head; ask the checkpoint's TorchInfer for surprise")

    def _run(self, graph: str, *arrays: Array) -> list[Array]:
        session = self._sessions[graph]
        inputs = session.get_inputs()
        values = [_as_input(array, spec.type) for array, spec in zip(arrays, inputs, strict=True)]
        items = []
        with self._one_at_a_time:
            for index in range(len(values[0])):
                items.append(session.run(None, {spec.name: value[index : index + 1] for spec, value in zip(inputs, values, strict=True)}))
        return items[0] if len(items) == 1 else [np.concatenate(parts) for parts in zip(*items, strict=True)]


def bundle_policy(bundle: Bundle, *, threads: int = 1, think_every: int = 0, name: str | None = None) -> ModelPolicy:
    """The policy of a verified bundle, on ONNX Runtime."""
    manifest = bundle.manifest
    return ModelPolicy(
        OrtInfer(bundle, threads=threads), name=name or f"{manifest.model}@{manifest.release}", body=BODIES[manifest.body], think_every=think_every
    )


def _session(graph: bytes, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # several spinning pools on two cores starve each other
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


_DTYPES = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(bool)": np.bool_, "tensor(int64)": np.int64}


def _as_input(array: Array, kind: str) -> Array:
    return np.ascontiguousarray(array, dtype=_DTYPES[kind])

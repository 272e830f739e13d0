"""int8 for CPUs: ONNX Runtime's dynamic quantisation, weights per channel, activations as they come."""

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process


@dataclass(frozen=True, kw_only=True)
class Quantised:
    """The int8 graphs, and what they saved."""

    graphs: Mapping[str, Path]
    before_bytes: Mapping[str, int]
    after_bytes: Mapping[str, int]

    @property
    def size_ratio(self) -> float:
        """All graphs, after over before."""
        return sum(self.after_bytes.values()) / sum(self.before_bytes.values())


def quantise_graphs(graphs: Mapping[str, Path], out_dir: Path, *, keep_fp32: tuple[str, ...] = ()) -> Quantised:
    """Quantises MatMul and Gemm weights of every graph to int8; node names in `keep_fp32` stay as they are."""
    out_dir.mkdir(parents=True, exist_ok=True)
    done = {}
    for name, source in graphs.items():
        prepared, file = out_dir / f"{name}.prepared.onnx", out_dir / f"{name}.onnx"
        temporary = out_dir / f"{name}.tmp.onnx"
        with _without_advice():
            quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
            quantize_dynamic(
                str(prepared),
                str(temporary),
                op_types_to_quantize=["MatMul", "Gemm"],
                per_channel=True,
                weight_type=QuantType.QInt8,
                # 7-bit weights: without VNNI, two int8 products overflow the 16-bit sum, silently
                reduce_range=True,
                nodes_to_exclude=list(keep_fp32),
                extra_options={"DefaultTensorType": 1},
            )
        prepared.unlink()
        done[name] = temporary.replace(file)
    before = {name: file.stat().st_size for name, file in graphs.items()}
    return Quantised(graphs=done, before_bytes=before, after_bytes={name: file.stat().st_size for name, file in done.items()})


@contextlib.contextmanager
def _without_advice():  # type: ignore[no-untyped-def]
    """quantize_dynamic logs advice to the root logger even after pre-processing."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)

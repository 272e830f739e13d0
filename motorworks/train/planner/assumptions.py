"""What is not known and has to be assumed: a value, how low and how high it may be, and why."""

from collections.abc import Iterator
from dataclasses import Field, dataclass, field, fields
from typing import Any


def _assumed(value: float, low: float, high: float, unit: str, source: str) -> Any:
    return field(default=value, metadata={"low": low, "high": high, "unit": unit, "source": source})


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """Every one with its range; `ranges` walks over them. "Judgement" means that nobody measured it here."""

    # a step
    kernel_efficiency: float = _assumed(
        0.6,
        0.5,
        0.7,
        "of peak",
        "products alone. With it this model gives 0.88 of torchtitan's published rate for Llama 70B on 256 H100 and 1.07 for 8B on 8 (docs/plan.md)",
    )
    hbm_efficiency: float = _assumed(0.8, 0.7, 0.9, "of peak", "streaming kernels on data-centre GPUs; judgement")
    link_efficiency: float = _assumed(0.75, 0.5, 0.9, "of line rate", "NCCL bus bandwidth of large messages, less where thousands meet; judgement")
    traffic: float = _assumed(
        4.0, 2.0, 8.0, "bytes", "moved by norms, SiLU, rotations and sums per byte kept for the backward pass: compiled 2-4, eager 8; judgement"
    )
    hop_us: float = _assumed(5.0, 2.0, 20.0, "µs", "a node's hop in a ring; judgement")
    overlap: float = _assumed(
        0.85, 0.5, 1.0, "of compute", "time behind which FSDP's collectives hide; tensor parallelism's do not hide at all; judgement"
    )
    straggler: float = _assumed(0.05, 0.0, 0.15, "of a step", "waiting for the slowest of all ranks; judgement")
    batch_tokens: float = _assumed(
        16e6, 4e6, 32e6, "tokens", "a step at most: Llama 3 405B ended at 16M (arXiv 2407.21783, 3.4.1); beyond it more data is wasted"
    )
    reserve_gb: float = _assumed(8.0, 4.0, 12.0, "GB", "CUDA context, NCCL's buffers, workspaces, fragmentation; judgement")
    # staying up
    failures: float = _assumed(
        3.79, 2.34, 6.50, "per 1,000 node-days", "Llama 3: 419 stops in 54 days of 2,048 nodes; RSC-2 and RSC-1 of Meta (arXiv 2410.21680)"
    )
    checkpoint_s: float = _assumed(5.0, 1.0, 60.0, "s", "the step's stall: asynchronous copy; to memory 1 s; written while all wait 60 s; derived")
    detect_s: float = _assumed(60.0, 15.0, 600.0, "s", "from failure to knowing: a watchdog; warm spares 15 s; NCCL's default time-out 600 s")
    restart_s: float = _assumed(300.0, 60.0, 1200.0, "s", "from knowing to stepping: warm spares 60 s; new nodes 20 minutes; judgement")
    # a turn
    samples_per_clip: float = _assumed(
        40.0, 10.0, 90.0, "samples", "of a clip of 20 s: one every 0.5 s; every 2 s; every 0.2 s as train.samples takes them"
    )
    kept: float = _assumed(0.5, 0.2, 0.8, "of clips", "what curating keeps; judgement")
    passes: float = _assumed(1.0, 1.0, 2.0, "passes", "over what is kept, in pretraining; judgement")
    sft: float = _assumed(0.1, 0.02, 0.3, "of pretraining's samples", "labelled with thoughts; judgement")
    rl: float = _assumed(0.05, 0.01, 0.3, "of pretraining's samples", "decisions driven and learnt from; judgement")
    distil: float = _assumed(0.2, 0.05, 0.5, "of pretraining's samples", "that the student is taught on; judgement")
    labels_per_clip: float = _assumed(4.0, 1.0, 20.0, "forward passes", "with a thought written, on every clip before curating; judgement")
    exam_decisions: float = _assumed(20e6, 2e6, 100e6, "decisions", "of 100,000 closed-loop scenarios of 20 s at 10 Hz; judgement")
    serve_efficiency: float = _assumed(
        0.25, 0.1, 0.4, "of peak", "forward passes alone: labelling, driving in simulation, teaching, examining; judgement"
    )
    clip_mb: float = _assumed(10.0, 3.0, 40.0, "MB", "of a clip in store; judgement")
    storage_gb_per_s: float = _assumed(500.0, 100.0, 2000.0, "GB/s", "that the store delivers to all nodes; judgement")
    between_h: float = _assumed(6.0, 2.0, 24.0, "h", "of a turn in which no stage runs: queues, starts, compiling, gates; judgement")

    def __post_init__(self) -> None:
        for one in fields(self):
            if not getattr(self, one.name) >= 0:
                raise ValueError(f"{one.name} {getattr(self, one.name)} must not be negative")
        for name in ("kernel_efficiency", "hbm_efficiency", "link_efficiency", "serve_efficiency", "overlap", "kept"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} {getattr(self, name)} must be above 0 and at most 1")
        for name in ("failures", "batch_tokens", "samples_per_clip", "passes", "storage_gb_per_s"):
            if getattr(self, name) == 0:
                raise ValueError(f"{name} must be positive")


def ranges() -> Iterator[tuple[Field[Any], float, float]]:
    """Each assumption with its lowest and highest value."""
    for one in fields(Assumptions):
        yield one, one.metadata["low"], one.metadata["high"]

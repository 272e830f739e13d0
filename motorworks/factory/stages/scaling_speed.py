"""How fast this machine trains the members of a scaling grid: what turns minutes into an amount of data. A few steps on noise, kept as an
artifact, so that the same command plans the same grid again tomorrow."""

import json
from dataclasses import dataclass

from motorworks.factory.artifact import Inputs
from motorworks.factory.step import Output


@dataclass(frozen=True, kw_only=True)
class ScalingSpeedConfig:
    """Which members, and over how many steps; one step before them warms up."""

    widths: tuple[int, ...]
    num_steps: int = 6
    batch_size: int | None = None  # None: each member's own
    device: str = "cpu"
    precision: str = "fp32"
    threads: int = 1


def run(config: ScalingSpeedConfig, inputs: Inputs, out: Output) -> None:
    """Leaves speed.json, a row a width: params, flops_per_sample, samples_per_s."""
    from motorworks.train.scaling_run import samples_per_s, size_of

    rows, how = [], {name: getattr(config, name) for name in ("num_steps", "batch_size", "device", "precision", "threads")}
    for done, width in enumerate(config.widths, start=1):
        speed = samples_per_s(width, **how)
        rows.append({"width": width, "samples_per_s": speed} | size_of(width))
        out.progress(done, len(config.widths), "widths")
    out.volatile("speed.json").write_text(json.dumps(rows, indent=1))
    out.thin("Measured once, beside whatever else ran then: delete the artifact to measure again.")

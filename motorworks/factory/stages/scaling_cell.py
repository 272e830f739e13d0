"""Runs of a scaling grid: each a real training from nothing, judged on recordings that none of them saw. The largest is this stage too, with
the forecast about it as an input: it cannot be made before there is one."""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from motorworks.factory.artifact import Inputs
from motorworks.factory.errors import BadInput
from motorworks.factory.fingerprint import digest
from motorworks.factory.step import Output


@dataclass(frozen=True, kw_only=True)
class ScalingCellConfig:
    """Every width with every share of `most_samples` (or of all there are, where there are fewer), in whole recordings, with every seed."""

    widths: tuple[int, ...]  # models.scaled
    data_fracs: tuple[float, ...]
    most_samples: int  # of the largest run
    passes: int = 2  # over its samples, for every run
    batch_size: int | None = None  # None: each member's own
    device: str = "cpu"
    precision: str = "fp32"  # of training; every run is judged in fp32
    threads: int = 1  # of one run; runs are items, so several go on at once with several workers
    seed: int = 0
    num_seeds: int = 1  # of `seed` and those after it: runs that differ in nothing else

    def __post_init__(self) -> None:
        if not self.widths or not self.data_fracs or min(self.data_fracs) <= 0 or max(self.data_fracs) > 1:
            raise ValueError(f"give widths, and data_fracs in (0, 1]: {self}")
        if min(self.most_samples, self.threads, self.num_seeds) < 1 or not 1 <= self.passes <= 4:
            raise ValueError(
                f"most_samples, threads and num_seeds must be positive and passes 1 to 4 (more are no longer as good as new samples): {self}"
            )
        if self.precision not in ("fp32", "bf16") or (self.batch_size is not None and self.batch_size < 1):
            raise ValueError(f"precision must be fp32 or bf16, and batch_size positive or None: {self}")


def run(config: ScalingCellConfig, inputs: Inputs, out: Output) -> None:
    """Leaves cells.json (a row a run: what it was, its loss) and cells/<name>/ with model.safetensors and curves.json."""
    samples = inputs.one("samples")
    _check_forecast(config, inputs)
    runs = planned_runs(config, samples.path)
    # a run made for an earlier forecast is not taken for this one's: a forecast is tested by what was not there yet
    read = {"samples": samples.digest, "forecast": [forecast.digest for forecast in inputs.many("forecast")]}
    keys = {digest(read | one)[:32]: one for one in runs}
    folders = out.items("cell", list(keys), partial(_train, config, samples.path, keys), depends_on=_bits(config))
    rows = [json.loads((folder / "cell.json").read_text()) for folder in folders]
    for folder, row in zip(folders, rows, strict=True):
        for file in ("model.safetensors", "curves.json", "clock.json"):
            out.link(folder / file, f"cells/{row['name']}/{file}")
    out.volatile("cells/*/clock.json")
    (out.path / "cells.json").write_text(json.dumps(rows, indent=1))
    out.record(num_runs=len(rows), flops=sum(row["flops"] for row in rows), best_loss=min(row["loss"] for row in rows))
    wanted = round(max(config.data_fracs) * config.most_samples)
    if max(row["num_samples"] for row in rows) < 0.9 * wanted:
        out.thin(f"{wanted} samples were wanted and there are fewer: all amounts shrank in proportion. Give more clips.")
    if config.num_seeds == 1:
        out.thin("One run each: the scatter between seeds is seen only as scatter about the law.")


def planned_runs(config: ScalingCellConfig, samples: Path) -> list[dict[str, Any]]:
    """Width, distinct samples and seed of every run, and its name."""
    from motorworks.train.nested import first_recordings

    ends = json.loads((samples / "ends.json").read_text())["train"]
    most = min(config.most_samples, ends[-1])
    amounts = [first_recordings(ends, round(frac * most)) for frac in config.data_fracs]
    if len(set(amounts)) < len(amounts):
        raise BadInput(f"{samples} holds {ends[-1]} samples of {len(ends)} recordings: too few recordings for {len(amounts)} different amounts")
    cells = [(width, num, config.seed + more) for width in config.widths for num in amounts for more in range(config.num_seeds)]
    return [{"name": f"w{width}-d{num}-s{seed}", "width": width, "num_samples": num, "seed": seed} for width, num, seed in cells]


def _check_forecast(config: ScalingCellConfig, inputs: Inputs) -> None:
    for forecast in inputs.many("forecast"):
        told = json.loads((forecast.path / "forecast.json").read_text())["largest"]
        for planned in planned_runs(config, inputs.one("samples").path):
            if any(told[name] != planned[name] for name in ("width", "num_samples")):
                about = f"{told['width']} wide on {told['num_samples']} samples"
                raise BadInput(f"{forecast} is about a run {about}, this one is {planned['name']}: give both steps the same width and samples")


def _bits(config: ScalingCellConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in ("passes", "batch_size", "device", "precision", "threads")}


def _train(config: ScalingCellConfig, folder: Path, keys: dict[str, dict[str, Any]], key: str, out: Path) -> None:
    """One run."""
    import numpy as np

    from motorworks.factory.stages.fit_model import curve_rows
    from motorworks.train.checkpoint import save
    from motorworks.train.sample_files import load_samples
    from motorworks.train.scaling_run import train_run

    planned = keys[key]
    train, held_out = (load_samples(folder / f"{part}.npz") for part in ("train", "held_out"))
    ends = np.array(json.loads((folder / "ends.json").read_text())["held_out"])
    train = train.select(np.arange(planned["num_samples"]))
    done = train_run(planned["width"], train, held_out, ends, seed=planned["seed"], **_bits(config))
    save(out / "model.safetensors", done.model)
    (out / "cell.json").write_text(json.dumps(planned | done.facts, indent=1))
    (out / "curves.json").write_text(json.dumps(curve_rows(done.fitted.curves)))
    clock = {name: value for name, value in vars(done.fitted).items() if name != "curves"}
    (out / "clock.json").write_text(json.dumps(clock))

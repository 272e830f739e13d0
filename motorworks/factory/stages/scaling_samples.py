"""What every run of a scaling grid draws from: recordings held out, and the others in one order of which each run sees the beginning."""

import json
from dataclasses import dataclass

from motorworks.factory.artifact import Inputs
from motorworks.factory.errors import BadInput
from motorworks.factory.step import Output


@dataclass(frozen=True, kw_only=True)
class ScalingSamplesConfig:
    """Which recordings are held out, and the order of the others, follow from the seed and their names."""

    held_out_frac: float = 0.15
    seed: int = 0


def run(config: ScalingSamplesConfig, inputs: Inputs, out: Output) -> None:
    """Leaves train.npz and held_out.npz, recording after recording, and ends.json: how many samples the first i + 1 recordings hold."""
    from motorworks.train.nested import compact, nested_by_recording
    from motorworks.train.sample_files import load_samples, save_samples

    curated = inputs.one("samples").path
    samples = load_samples(curated / "samples.npz")
    kept = [row for row in json.loads((curated / "clips.json").read_text()) if "num_samples" in row]
    recording = [row["recording_id"] for row in kept for _ in range(row["num_samples"])]
    moved = samples.controls_valid.any(axis=1).nonzero()[0]  # only they have a loss
    try:
        nested = nested_by_recording([recording[row] for row in moved], held_out_frac=config.held_out_frac, seed=config.seed)
    except ValueError as error:
        raise BadInput(f"{curated}: {error}") from error
    save_samples(out.path / "train.npz", compact(samples, moved[nested.train]))
    save_samples(out.path / "held_out.npz", compact(samples, moved[nested.held_out]))
    ends = {"train": nested.train_ends.tolist(), "held_out": nested.held_out_ends.tolist()}
    (out.path / "ends.json").write_text(json.dumps(ends))
    out.record(
        num_train=len(nested.train),
        num_held_out=len(nested.held_out),
        num_train_recordings=len(nested.train_ends),
        num_held_out_recordings=len(nested.held_out_ends),
    )
    out.thin("Recordings are held out, not towns: other drives of a held-out recording's town are trained on.")

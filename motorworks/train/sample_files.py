"""Samples on disk: one uncompressed npz, whole or absent."""

import os
from dataclasses import fields
from pathlib import Path

import numpy as np

from motorworks.train.samples import Samples


def save_samples(path: Path, samples: Samples) -> None:
    """Writes to a temporary name, then renames."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.npz")
    try:
        np.savez(draft, **{item.name: getattr(samples, item.name) for item in fields(Samples)})
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def load_samples(path: Path) -> Samples:
    """All arrays in memory."""
    with np.load(path) as arrays:
        missing = [item.name for item in fields(Samples) if item.name not in arrays.files]
        if missing:
            raise ValueError(f"{path} has no {', '.join(missing)}; run curate again")
        return Samples(**{item.name: arrays[item.name] for item in fields(Samples)})

"""A training run that kills itself with the signal that cannot be caught: `dying.py FOLDER STEP`. Run by test_engine.py."""

import os
import signal
import sys
from pathlib import Path

import torch
from steering_samples import steering_samples

from motorworks.models.config import family
from motorworks.models.driving_model import DrivingModel
from motorworks.train.fit_config import FitConfig
from motorworks.train.loop import fit
from motorworks.train.snapshot import SnapshotConfig

CONFIG = FitConfig(steps=9, batch_size=8, record_every=2)


def model() -> DrivingModel:
    torch.manual_seed(0)
    return DrivingModel(family("pico"))


if __name__ == "__main__":

    def die(step: int, row: dict[str, float]) -> None:
        if step == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)

    fit(model(), steering_samples(), CONFIG, threads=1, snapshots=SnapshotConfig(folder=Path(sys.argv[1]), every_steps=3), on_progress=die)

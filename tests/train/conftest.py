"""A model small enough to train in a test."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from motorworks.models.config import family
from motorworks.models.driving_model import DrivingModel

sys.path.append(str(Path(__file__).parent))  # tests here import `steering_samples` by name


@pytest.fixture
def small_model():
    """One layer of everything, the same weights every time."""
    torch.manual_seed(0)
    return DrivingModel(replace(family("pico"), depth=1, vision_depth=1)).eval()

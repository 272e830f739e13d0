"""A model small enough to train in a test."""

from dataclasses import replace

import pytest
import torch

from motorworks.models.config import family
from motorworks.models.driving_model import DrivingModel


@pytest.fixture
def small_model():
    """One layer of everything, the same weights every time."""
    torch.manual_seed(0)
    return DrivingModel(replace(family("pico"), depth=1, vision_depth=1)).eval()

"""Each fault of a clip is named, and a good clip has none."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from motorworks.curate.quality import assess
from motorworks.datatypes.clip import Clip

Drive = Callable[..., Clip]


@pytest.fixture
def good(drive: Drive) -> Clip:
    """A textured road that moves as fast as the car does: faster, slower, faster."""
    clip = drive(np.sin(np.arange(100) / 8) * 4, np.zeros(100), speed=1.0)
    return replace(clip, frames=_film(clip.motion.speed_mps))


def _film(speed_mps: np.ndarray) -> np.ndarray:
    texture = np.kron(np.random.default_rng(0).integers(40, 210, (72, 400, 3)), np.ones((1, 4, 1))).astype(np.uint8)
    return np.stack([texture[:, int(offset) % 1400 : int(offset) % 1400 + 128] for offset in np.cumsum(np.abs(speed_mps)) * 0.8])


def _blur(clip: Clip) -> Clip:
    from scipy.ndimage import gaussian_filter

    return replace(clip, frames=gaussian_filter(clip.frames, (0, 12, 12, 0)))


def _cover(clip: Clip) -> Clip:
    frames = clip.frames.copy()
    frames[:, :, :50] = 60
    return replace(clip, frames=frames)


def _late(clip: Clip) -> Clip:
    time_us = clip.timestamp_us.copy()
    time_us[50:] += 60_000
    return replace(clip, timestamp_us=time_us)


FAULTS = {
    "blurred": _blur,
    "lens covered": _cover,
    "blown out": lambda clip: replace(clip, frames=np.where(np.arange(72)[None, :, None, None] < 40, 255, clip.frames).astype(np.uint8)),
    "dropped frames": lambda clip: replace(clip, frames=clip.frames[np.arange(100) // 3 * 3]),
    "dark": lambda clip: replace(clip, frames=clip.frames // 32),
    "frozen": lambda clip: replace(clip, frames=np.repeat(clip.frames[:1], 100, axis=0)),
    "clock": _late,
    "telemetry against video": lambda clip: replace(clip, frames=_film(9 - clip.motion.speed_mps)),
    "parked": lambda clip: replace(clip, motion=replace(clip.motion, speed_mps=0 * clip.motion.speed_mps)),
}


def test_a_good_clip_has_no_fault(good: Clip) -> None:
    assert assess(good).reasons == ()
    assert assess(replace(good, frames=None)).reasons == () and assess(replace(good, motion=None)).reasons == ()


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_named(good: Clip, fault: str) -> None:
    assert any(reason.startswith(fault) for reason in assess(FAULTS[fault](good)).reasons)


def test_real_clips_are_mostly_good(shared_data: Path) -> None:
    from motorworks.clips.reader import read

    clips = read([shared_data / "donkeycar_tubs"]).clips
    assert sum(bool(assess(clip).reasons) for clip in clips) <= 0.2 * len(clips)

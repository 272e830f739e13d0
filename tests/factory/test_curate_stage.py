"""Clips through the stage with a model that foresees: each kept clip gets its surprise, and surprising steps weigh more."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from motorworks.clips.store import ClipStore, write_clips
from motorworks.curate.mixture import MixtureConfig
from motorworks.datatypes.clip import Clip, Motion
from motorworks.factory.artifact import Artifact, Inputs
from motorworks.factory.errors import BadUsage
from motorworks.factory.run import Runner
from motorworks.factory.stages import curate
from motorworks.factory.stages.curate import CurateConfig
from motorworks.factory.stages.surprised import mean_known
from motorworks.factory.step import Output, Step
from motorworks.models.config import family
from motorworks.models.driving_model import DrivingModel
from motorworks.tokens.image import ImageCodec
from motorworks.train.checkpoint import load, save
from motorworks.train.evaluate import surprise
from motorworks.train.sample_files import load_samples

NUM = 60


@dataclass(frozen=True, kw_only=True)
class Made:
    seed: int = 0


def ingested(config: Made, inputs: Inputs, out: Output) -> None:
    """Two drives past a moving texture, one of them twice as fast, and one that ends after two seconds."""
    clips = [_clip("slow", 5.0, NUM), _clip("fast", 10.0, NUM), _clip("short", 7.0, 20)]
    write_clips(out.path, clips)
    kept = [{"clip_id": row.clip_id, "recording_id": row.recording_id, "split": "train"} for row in ClipStore(out.path).rows]
    (out.path / "index.json").write_text(json.dumps(kept))


def model(config: Made, inputs: Inputs, out: Output) -> None:
    torch.manual_seed(config.seed)
    save(out.path / "model.safetensors", DrivingModel(family("pico")))


def _clip(name: str, speed_mps: float, num: int) -> Clip:
    texture = np.random.default_rng(len(name)).integers(0, 255, (144, 256 + round(speed_mps) * num, 3), np.uint8)
    frames = np.stack([texture[:, round(speed_mps) * step :][:, :256] for step in range(num)])
    values = np.zeros(num, np.float32)
    poses = np.stack([speed_mps * 0.1 * np.arange(num), values, values], axis=1)
    motion = Motion(kind="measured", poses_world=poses, speed_mps=values + speed_mps, accel_mps2=values, curvature_per_m=values)
    times = np.arange(num) * 100_000
    return Clip(recording_id=name, source="town", body="car", licence="", timestamp_us=times, frames=frames, motion=motion)


def curated(root: Path, config: CurateConfig, *, foresees: bool) -> dict[str, Artifact]:
    clips, model_step = (Step(name=f"toy/{name.__name__}", run=name, config=Made()) for name in (ingested, model))
    inputs = {"clips": clips} | ({"foresees": model_step} if foresees else {})
    return Runner(root).make(Step(name="toy/turn1/curate", run=curate.run, config=config, inputs=inputs))


def rows(made: dict[str, Artifact]) -> dict[str, dict]:
    found = json.loads((made["toy/turn1/curate"].path / "clips.json").read_text())
    return {row["recording_id"]: row for row in found if "recording_id" in row}


def test_each_kept_clip_gets_its_mean_surprise(tmp_path: Path) -> None:
    made = curated(tmp_path, CurateConfig(), foresees=True)
    found, store = rows(made), ClipStore(made["toy/ingested"].path)
    assert set(found) == {"slow", "fast"}  # what was dropped has none
    foresees, codec = load(made["toy/model"].path / "model.safetensors")[0], ImageCodec()
    for row in found.values():
        clip = store.read_front(row["clip_id"])
        steps = surprise(foresees, replace(clip, frames=codec.encode(clip.frames)))
        assert np.isnan(steps[:5]).all() and np.isfinite(steps).sum() > 20
        assert row["surprise"] == pytest.approx(np.nanmean(steps), rel=1e-5) and row["surprise"] > 0
    assert found["slow"]["surprise"] != found["fast"]["surprise"]


def test_without_a_model_there_is_no_number_and_weights_stay(tmp_path: Path) -> None:
    plain, told = (curated(tmp_path / str(with_model), CurateConfig(), foresees=with_model) for with_model in (False, True))
    assert all("surprise" not in row for row in rows(plain).values())
    weights = [load_samples(made["toy/turn1/curate"].path / "samples.npz").weight for made in (plain, told)]
    assert np.array_equal(*weights)  # it is told, and changes nothing that no gain asks for


def test_a_gain_draws_surprising_steps_more_and_needs_a_model(tmp_path: Path) -> None:
    config = CurateConfig(mixture=MixtureConfig(surprise_gain=1.0))
    made = curated(tmp_path, config, foresees=True)
    assert np.ptp(load_samples(made["toy/turn1/curate"].path / "samples.npz").weight) > 0.3
    with pytest.raises(BadUsage, match="give the curate step one as its input 'foresees'"):
        curated(tmp_path / "blind", config, foresees=False)


def test_a_clip_of_which_no_step_is_known_has_no_mean() -> None:
    assert mean_known(np.full(4, np.nan)) is None and mean_known(np.array([np.nan, 1.0, 3.0])) == 2.0

"""A scaling grid small enough for a test: samples whose controls can be read off ego and picture, and runs of seconds."""

import json
from dataclasses import dataclass, replace

import numpy as np

from motorworks.bodies.body import CAR
from motorworks.datatypes.trajectory import NUM_STEPS, Trajectory
from motorworks.factory.artifact import Inputs
from motorworks.factory.step import Output, RecipeOptions, Step
from motorworks.tokens.ego import NUM_EGO
from motorworks.train.sample_files import save_samples
from motorworks.train.samples import samples_from_arrays
from recipes.scaling import SCALING, law

TOY = replace(
    SCALING,
    widths=(16, 24, 32),
    largest_width=40,
    data_fracs=(0.25, 0.5, 0.75),
    num_seeds=2,
    num_samples=640,
    passes=1,
    num_scenarios=2,
    num_resamples=20,
)


@dataclass(frozen=True, kw_only=True)
class Curated:
    num_recordings: int = 24
    samples_each: int = 32


def curated(config: Curated, inputs: Inputs, out: Output) -> None:
    generator, num = np.random.default_rng(0), config.num_recordings * config.samples_each
    ego = generator.normal(size=(num, NUM_EGO)).astype(np.float32)
    images = np.broadcast_to((127 + 60 * np.tanh(ego[:, :1, None, None])).astype(np.uint8), (num, 64, 128, 3))
    hold = np.ones(NUM_STEPS)
    save_samples(
        out.path / "samples.npz",
        samples_from_arrays(
            images=images.copy(),
            frame_index=np.stack([np.full(num, -1), np.arange(num)], axis=1),
            ego=ego,
            instructions=("follow the road",) * num,
            trajectory=Trajectory(accel_mps2=ego[:, :1] * hold, curvature_per_m=0.02 * ego[:, 1:2] * hold),
            speed_mps=np.full(num, 8.0, np.float32),
            body=CAR,
        ),
    )
    rows = [{"clip_id": f"c{at}", "recording_id": f"r{at // 2}", "num_samples": config.samples_each} for at in range(config.num_recordings)]
    (out.path / "clips.json").write_text(json.dumps([*rows, {"clip_id": "dark", "dropped": "dark"}]))


def toy(options: RecipeOptions) -> tuple[Step, ...]:
    return law("toyscaling/turn1", TOY, options, Step(name="toyscaling/turn1/curate", run=curated, config=Curated()))


def few(options: RecipeOptions) -> tuple[Step, ...]:
    return law("few/turn1", TOY, options, Step(name="few/turn1/curate", run=curated, config=Curated(num_recordings=5)))


def two_sizes(options: RecipeOptions) -> tuple[Step, ...]:
    few_cells = replace(TOY, widths=(16, 24))
    return law("twosizes/turn1", few_cells, options, Step(name="twosizes/turn1/curate", run=curated, config=Curated()))

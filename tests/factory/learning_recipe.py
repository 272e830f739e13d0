"""Two steps: samples, and a model trained on them; to be made by one process or several."""

import os
from dataclasses import dataclass

from steering_samples import steering_samples

from motorworks.factory.artifact import Inputs
from motorworks.factory.stages import fit_model
from motorworks.factory.stages.fit_model import FitModelConfig
from motorworks.factory.step import Output, RecipeOptions, Step
from motorworks.train.fit_config import FitConfig
from motorworks.train.sample_files import save_samples


@dataclass(frozen=True, kw_only=True)
class Gather:
    num: int = 32


def gather(config: Gather, inputs: Inputs, out: Output) -> None:
    save_samples(out.path / "samples.npz", steering_samples(config.num))


def learning(options: RecipeOptions) -> Step:
    samples = Step(name="learning/turn1/samples", run=gather, config=Gather())
    fit = FitConfig(steps=int(os.environ.get("STEPS") or 100), batch_size=8, record_every=1)
    config = FitModelConfig(model="pico", threads=1, fit=fit)
    return Step(name="learning/turn1/fit", run=fit_model.run, config=config, inputs={"samples": samples})

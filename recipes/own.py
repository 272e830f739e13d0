"""A member of your own size on your own clips: `motorworks run own --clips PATH --width 256 --views 3 --frames 4`.

clips ─► ingest ─► curate ─► pretrain ─► sft ─► compare
"""

from dataclasses import replace

from motorworks.factory.stages import compare, curate, fit_model, ingest, town_clips
from motorworks.factory.stages.compare import CompareConfig
from motorworks.factory.stages.curate import CurateConfig
from motorworks.factory.stages.fit_model import FitModelConfig
from motorworks.factory.stages.town_clips import TownClipsConfig
from motorworks.factory.step import RecipeOptions, Step
from motorworks.models.config import looking
from motorworks.models.scaled import scaled
from motorworks.train.fit_config import FitConfig, LossWeights

WIDTH = 128
STEPS = (400, 200)
NUM_RECORDINGS = 128  # of the town, 8 s each, beside yours: they know why a driver does what it does
SEEING = LossWeights(action=1.0, reasoned=0.0, language=0.0, world=0.5)
SPEAKING = LossWeights(action=1.0, reasoned=0.3, language=0.3, world=0.1)


def own(options: RecipeOptions) -> Step:
    """Width, depth, heads, rate and batch follow from one number; what it drives like in towns that it never saw is the last step."""
    here, member = f"own/turn{options.turn}", scaled(options.width or WIDTH)
    sees = {"num_views": options.views, "num_frames": options.frames}
    shape = looking(member.config, **sees)
    town = Step(name="own/town_clips", run=town_clips.run, config=TownClipsConfig(num_recordings=NUM_RECORDINGS, num_views=options.views))
    read = Step(name=f"{here}/ingest", run=ingest.run, config=ingest.given(options), inputs={"town": (town,)})
    samples = {"samples": Step(name=f"{here}/curate", run=curate.run, config=CurateConfig(**sees), inputs={"clips": read})}
    look = FitConfig(steps=STEPS[0], batch_size=member.batch_size, lr=member.lr, losses=SEEING, seed=options.seed)
    speak = replace(look, steps=STEPS[1], lr=member.lr / 2, losses=SPEAKING, think_every=2)
    seen = Step(name=f"{here}/pretrain", run=fit_model.run, config=FitModelConfig(model=shape, fit=look), inputs=samples)
    tuned = Step(name=f"{here}/sft", run=fit_model.run, config=FitModelConfig(model=shape, fit=speak), inputs=samples | {"start": seen})
    judged = CompareConfig(title="Your model", question="Did fine-tuning help it drive?", arms=("pretrain", "sft"))
    return Step(name=f"{here}/compare", run=compare.run, config=judged, inputs={"pretrain": (seen,), "sft": (tuned,)})

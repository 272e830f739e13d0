"""Ablations: what a choice is worth, in closed loop on held-out towns. `motorworks run ablations` makes all of them; one alone is
`motorworks run --recipe recipes.ablations:heads` (or `:world`, `:vision`, `:thoughts`, `:views`).

Every arm is pretrained and fine-tuned on the same curated town clips, with two seeds, and drives the same scenarios.
"""

from collections.abc import Mapping
from dataclasses import replace

from motorworks.factory.stages import compare, curate, fit_model, ingest, town_clips
from motorworks.factory.stages.compare import CompareConfig
from motorworks.factory.stages.curate import CurateConfig
from motorworks.factory.stages.fit_model import FitModelConfig
from motorworks.factory.stages.town_clips import TownClipsConfig
from motorworks.factory.step import RecipeOptions, Step
from motorworks.models.config import ModelConfig, family, looking
from motorworks.train.fit_config import FitConfig, LossWeights

MEMBER = "pico"
SEEDS = (1, 2)
NUM_RECORDINGS = 128  # 8 s each
NUM_RIG_RECORDINGS = 96  # with three cameras, of 1.1 MB of samples a second
NUM_SCENARIOS = 24
NUM_TAIL = 31  # staged ones: every kind in turn
SEEING = LossWeights(action=1.0, reasoned=0.0, language=0.0, world=0.5)
SPEAKING = LossWeights(action=1.0, reasoned=0.3, language=0.3, world=0.1)
PRETRAIN = FitConfig(steps=200, batch_size=32, lr=2e-3, losses=SEEING)
SFT = FitConfig(steps=100, batch_size=32, lr=1e-3, losses=SPEAKING, think_every=2)

Models = tuple[Step, ...]  # one of each seed


def ablations(options: RecipeOptions) -> tuple[Step, ...]:
    """All of them; all but `views`, whose clips have three cameras, over the same clips."""
    return heads(options), world(options), vision(options), *thoughts(options), views(options)


def heads(options: RecipeOptions) -> Step:
    """Proposals, one of them (plain L1 regression), tokens, flow, flow beside tokens, and all three."""
    shape = family(MEMBER)
    shapes = {
        "proposals": shape,
        "l1": replace(shape, num_proposals=1),
        "tokens": replace(shape, action_head="tokens"),
        "flow": replace(shape, action_head="flow", flow_insulated=False),  # alone, so its gradient must teach the backbone
        "flow_and_tokens": replace(shape, action_head="flow", extra_heads=("tokens",)),
        "all_three": replace(shape, action_head="flow", extra_heads=("tokens", "proposals")),
    }
    arms = {name: _train(options, "heads", name, of) for name, of in shapes.items()}
    return _judge("heads", "Action heads", "Which head drives best after the same steps?", arms)


def world(options: RecipeOptions) -> Step:
    """The world head on and off, at a sixteenth, a quarter and all of the clips: DriveVLA-W0 (arXiv 2510.12796) finds that it pays with data."""
    arms = {}
    for times, share in ((1, 1 / 16), (4, 0.25), (16, 1.0)):
        for name, weight in (("off", 0.0), ("on", 0.5)):
            look = replace(PRETRAIN, losses=replace(SEEING, world=weight))
            tune = replace(SFT, losses=replace(SPEAKING, world=weight / 5))
            arms[f"{name}_{times}x"] = _train(options, "world", f"{name}_{times}x", family(MEMBER), share=share, pretrain=look, sft=tune)
    pairs = tuple((f"on_{times}x", f"off_{times}x") for times in (1, 4, 16))
    return _judge("world", "World head", "Does foreseeing help, and does it help more with more clips?", arms, pairs=pairs)


def vision(options: RecipeOptions) -> Step:
    """Vision tokens of an image."""
    arms = {f"{num}_tokens": _train(options, "vision", f"{num}_tokens", replace(family(MEMBER), latents_per_frame=num)) for num in (8, 16, 32)}
    return _judge("vision", "Vision tokens", "How many tokens of an image does driving need?", arms)


def thoughts(options: RecipeOptions) -> tuple[Step, ...]:
    """One model that drives without a thought, with thoughts in words, without words, and when its gate says so: in ordinary traffic, and
    where something is staged for it."""
    shape = replace(family(MEMBER), latent_thoughts=4, thought_gate=True)
    tune = replace(SFT, losses=replace(SPEAKING, reasoned=0.5, latent=0.5, gate=0.1), think_every=1)
    models = _train(options, "thoughts", "thinker", shape, sft=tune)
    thinking = {"text": "text", "latent": "latent", "adaptive_text": "text"}
    arms = {"off": models} | dict.fromkeys(thinking, models)
    easy = _judge("thoughts", "Thinking", "Does thinking before acting drive better?", arms, thinking=thinking, adaptive=("adaptive_text",))
    asked = replace(easy.config, title="Thinking, hard scenarios", question="And where something is staged?", tail=True, num_scenarios=NUM_TAIL)
    return easy, replace(easy, name="ablations/turn1/thoughts_hard/compare", config=asked)


def views(options: RecipeOptions) -> Step:
    """The camera ahead alone and with two sides, now and 0.4 s ago or four pictures of each, back to 1.2 s; over the same samples."""
    samples = _clips(options, num_recordings=NUM_RIG_RECORDINGS, num_views=3, num_frames=4)
    arms = {}
    for cameras, num_views in (("front", 1), ("three", 3)):
        for num_frames in (2, 4):
            shape, arm = looking(family(MEMBER), num_views=num_views, num_frames=num_frames), f"{cameras}_{num_frames}_frames"
            arms[arm] = _train(options, "views", arm, shape, samples=samples)
    return _judge("views", "Cameras and history", "Do side cameras and a longer past help it drive?", arms)


def _clips(options: RecipeOptions, *, num_recordings: int = NUM_RECORDINGS, num_views: int = 1, num_frames: int = 2) -> Step:
    of = f"rig{num_views}_" if num_views > 1 else ""
    recorded = TownClipsConfig(num_recordings=num_recordings, num_views=num_views)
    town = Step(name=f"ablations/{of}town_clips", run=town_clips.run, config=recorded)
    read = Step(name=f"ablations/turn1/{of}ingest", run=ingest.run, config=ingest.given(options), inputs={"town": (town,)})
    chosen = CurateConfig(num_views=num_views, num_frames=num_frames)
    return Step(name=f"ablations/turn1/{of}curate", run=curate.run, config=chosen, inputs={"clips": read})


def _train(
    options: RecipeOptions,
    study: str,
    arm: str,
    shape: ModelConfig,
    *,
    samples: Step | None = None,
    share: float = 1.0,
    pretrain: FitConfig = PRETRAIN,
    sft: FitConfig = SFT,
) -> Models:
    learns_from, models = {"samples": samples or _clips(options)}, []
    for seed in SEEDS:
        here = f"ablations/turn1/{study}/{arm}_{seed}"
        look = FitModelConfig(model=shape, fit=replace(pretrain, seed=seed), share=share, threads=1)
        tune = FitModelConfig(model=shape, fit=replace(sft, seed=seed), share=share, threads=1, only_thoughtful=True)
        seen = Step(name=f"{here}/pretrain", run=fit_model.run, config=look, inputs=learns_from)
        models.append(Step(name=f"{here}/sft", run=fit_model.run, config=tune, inputs=learns_from | {"start": seen}))
    return tuple(models)


def _judge(
    study: str,
    title: str,
    question: str,
    arms: Mapping[str, Models],
    *,
    pairs: tuple[tuple[str, str], ...] = (),
    thinking: Mapping[str, str] | None = None,
    adaptive: tuple[str, ...] = (),
) -> Step:
    config = CompareConfig(
        title=title,
        question=question,
        arms=tuple(arms),
        pairs=pairs,
        thinking=thinking or {},
        adaptive=adaptive,
        num_scenarios=NUM_SCENARIOS,
    )
    return Step(name=f"ablations/turn1/{study}/compare", run=compare.run, config=config, inputs=arms)

"""How loss falls with size and data: a grid of small runs, a forecast, and then the one large run that it was about.

clips ─► ingest ─► curate ─► samples ─► grid ─► forecast ─► largest ─► check, wheel
"""

from dataclasses import dataclass, replace

from motorworks.factory.stages import (
    curate,
    ingest,
    scaling_cell,
    scaling_check,
    scaling_forecast,
    scaling_samples,
    scaling_speed,
    scaling_wheel,
    town_clips,
)
from motorworks.factory.stages.curate import CurateConfig
from motorworks.factory.stages.scaling_cell import ScalingCellConfig
from motorworks.factory.stages.scaling_check import ScalingCheckConfig
from motorworks.factory.stages.scaling_forecast import ScalingForecastConfig
from motorworks.factory.stages.scaling_samples import ScalingSamplesConfig
from motorworks.factory.stages.scaling_speed import ScalingSpeedConfig
from motorworks.factory.stages.scaling_wheel import ScalingWheelConfig
from motorworks.factory.stages.town_clips import TownClipsConfig
from motorworks.factory.step import RecipeOptions, Step

SAMPLES_PER_EXCERPT = 30  # of the town: 8 s at 5 Hz, less those with under a second to come and what curation drops


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The grid; each dial from its smallest to what the largest run has."""

    widths: tuple[int, ...] = (16, 32, 64, 96, 128)  # 26,000 to 1.1 million parameters
    largest_width: int = 192  # 3 million
    data_fracs: tuple[float, ...] = (1 / 5, 3 / 10, 9 / 20, 2 / 3)  # of what the largest run sees: it is the next of the row
    num_seeds: int = 2  # of every run: they scatter by a per cent
    num_samples: int = 16_000  # of the largest run
    passes: int = 2  # moments 0.2 s apart are alike: with four, runs on few drives overfit (docs/scaling.md)
    held_out_frac: float = 0.15
    num_scenarios: int = 12
    num_resamples: int = 300
    batch_size: int | None = None  # None: each member's own
    device: str = "cpu"  # of the town's pictures, of every run, and of whoever is driven at the end
    precision: str = "fp32"  # of training; runs are judged in fp32
    threads: int = 1  # of a run; runs of the grid go on side by side: see --workers


SCALING = Sizes()
SMALL = Sizes(widths=(16, 24, 40, 64), largest_width=96, num_seeds=1, num_samples=7500)  # to 650,000 parameters


def scaling(options: RecipeOptions) -> tuple[Step, ...]:
    """With `options.num_samples` the largest run sees that many: `motorworks scaling --minutes` chooses it."""
    return chain("scaling", replace(SCALING, num_samples=options.num_samples or SCALING.num_samples), options)


def small(options: RecipeOptions) -> tuple[Step, ...]:
    """`motorworks run --recipe recipes.scaling:small`: a tenth of the compute, for a look at all of it."""
    return chain("small_scaling", SMALL, options)


def chain(name: str, sizes: Sizes, options: RecipeOptions) -> tuple[Step, ...]:
    """Clips of the user's, and of the town where there are none; then the law of what was curated. How fast the machine is stands beside."""
    here = f"{name}/turn{options.turn}"
    town = TownClipsConfig(num_recordings=_excerpts(sizes), device=sizes.device, threads=sizes.threads, seed=1 + options.seed)
    driven = {} if options.clips else {"town": Step(name=f"{name}/town_clips", run=town_clips.run, config=town)}
    read = Step(name=f"{here}/ingest", run=ingest.run, config=ingest.given(options), inputs=driven)
    chosen = Step(name=f"{here}/curate", run=curate.run, config=CurateConfig(), inputs={"clips": read})
    return speed(name, sizes), *law(here, sizes, options, chosen)


def speed(name: str, sizes: Sizes) -> Step:
    """How fast each member trains here."""
    how = {"batch_size": sizes.batch_size, "device": sizes.device, "precision": sizes.precision, "threads": sizes.threads}
    pace = ScalingSpeedConfig(widths=(*sizes.widths, sizes.largest_width), **how)
    return Step(name=f"{name}/speed", run=scaling_speed.run, config=pace)


def law(here: str, sizes: Sizes, options: RecipeOptions, curated: Step) -> tuple[Step, ...]:
    """The grid, the forecast that sees the grid alone, the largest run that needs the forecast, the check of one against the other; and drives."""
    split = ScalingSamplesConfig(held_out_frac=sizes.held_out_frac, seed=options.seed)
    samples = {"samples": Step(name=f"{here}/samples", run=scaling_samples.run, config=split, inputs={"samples": curated})}
    cells = ScalingCellConfig(
        widths=sizes.widths,
        data_fracs=sizes.data_fracs,
        most_samples=sizes.num_samples,
        passes=sizes.passes,
        batch_size=sizes.batch_size,
        device=sizes.device,
        precision=sizes.precision,
        threads=sizes.threads,
        seed=options.seed,
        num_seeds=sizes.num_seeds,
    )
    last = replace(cells, widths=(sizes.largest_width,), data_fracs=(1.0,))
    told = ScalingForecastConfig(largest=last, num_resamples=sizes.num_resamples, seed=options.seed)
    checked = ScalingCheckConfig(num_resamples=sizes.num_resamples, seed=options.seed)
    driven = ScalingWheelConfig(num_scenarios=sizes.num_scenarios, device=sizes.device, threads=sizes.threads)
    grid = Step(name=f"{here}/grid", run=scaling_cell.run, config=cells, inputs=samples)
    forecast = Step(name=f"{here}/forecast", run=scaling_forecast.run, config=told, inputs=samples | {"grid": grid})
    largest = Step(name=f"{here}/largest", run=scaling_cell.run, config=last, inputs=samples | {"forecast": forecast})
    check = Step(name=f"{here}/check", run=scaling_check.run, config=checked, inputs={"grid": grid, "forecast": forecast, "largest": largest})
    return check, Step(name=f"{here}/wheel", run=scaling_wheel.run, config=driven, inputs={"grid": grid, "largest": largest})


def _excerpts(sizes: Sizes) -> int:
    """Of the town, with a few to spare."""
    return round(sizes.num_samples / (1 - sizes.held_out_frac) / SAMPLES_PER_EXCERPT) + 6

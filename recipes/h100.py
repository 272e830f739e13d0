"""One large GPU: the factory's line with a member of 37M parameters, four members of 37M to 322M side by side, and a scaling grid of 1M to 52M
with a forecast for 167M. Five commands, each under ten minutes but the grid, which takes sixteen; what is made stays, and a command that was
stopped goes on. docs/h100.md says what each costs and what to bring back.

    motorworks run --recipe recipes.h100:clips                    drives of the town, drawn on the GPU
    motorworks run --recipe recipes.h100:pace                     MFU, and Hugging Face's Trainer beside us
    motorworks run --recipe recipes.h100:members --workers 4      all members trained and judged in closed loop, the pace on the same page
    motorworks run h100 --workers 8                               the whole line, down to a student that fits in a car
    motorworks run --recipe recipes.h100:scaling --workers 2      a scaling grid, its forecast, and the run that it was about
    motorworks run --recipe recipes.h100:rehearsal --workers 2    all of it, small, on two CPU cores: it needs no GPU

Steps come from arithmetic, for none of this has run on a GPU yet. An H100 multiplies 989 TFLOP/s in bf16 (data sheet, dense); at 40 % of it a step
of 256 samples, 10 to 92 GFLOP each, takes 7, 18, 32 and 59 ms. Eager kernels are launched from Python in some 40 ms a step, so the small
members wait for that: 40, 40, 45, 65 ms, and 800 steps of all four are 150 s. What the CPU does is known from two cores (docs/log.md): the
expert's plan 0.15 ms, video 2,000 frames/s, a labelled sample of a drive 1 to 2 ms, so 1,536 recordings take 80 s and the line's drives 3 minutes.

The grid: a step of the member of 448 with all losses is some 2,400 kernels (operators that are no views, counted on a CPU), which makes 17 us each
of those 40 ms. A step of the action alone is 1,030, 1,250, 1,660, 2,250 and 3,000 for widths of 128, 192, 320, 512 and 768: 17, 21, 28, 38 and 51 ms,
longer than their arithmetic (64 samples of 0.3 to 35 GFLOP). Four amounts are 1.62 times the 39,000 samples of the largest run; with two passes and
two seeds a width takes 3,900 steps of 64, the largest 2,440: 410 s for the four, and 125 s. To read samples, judge and write some 3.3 s a run: 105 s.
"""

from dataclasses import dataclass, replace

from motorworks.factory.stages import check_device, compare, fit_model
from motorworks.factory.stages import pace as pace_stage
from motorworks.factory.stages.check_device import CheckDeviceConfig
from motorworks.factory.stages.compare import CompareConfig
from motorworks.factory.stages.fit_model import FitModelConfig
from motorworks.factory.stages.pace import PaceConfig
from motorworks.factory.step import RecipeOptions, Step
from motorworks.models.scaled import scaled
from motorworks.train.fit_config import FitConfig, LossWeights
from recipes import scaling as grids
from recipes import tiny

SEEING = LossWeights(action=1.0, reasoned=0.0, language=0.0, world=0.5)
SPEAKING = LossWeights(action=1.0, reasoned=0.3, language=0.3, world=0.1)
INSTEAD = "motorworks run --recipe recipes.h100:rehearsal --workers 2"


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much of everything; the chain is the same."""

    name: str
    line: tiny.Sizes
    widths: tuple[int, ...]  # of the members (models.scaled)
    pace_steps: tuple[int, int] = (4, 16)  # warm, timed
    pace_batch_size: int = 512  # of 322M parameters and bf16 some 40 GB
    compiles: bool = True  # the blocks of the largest member, for minutes
    member_steps: tuple[int, int] = (600, 200)  # three passes over the clips, then the thoughts
    num_scenarios: int = 24
    grid: grids.Sizes  # of the same clips; device, precision and threads are those of the line


H100 = Scale(
    name="h100",
    widths=(448, 640, 768, 960),  # 37, 99, 171 and 322 million parameters
    grid=grids.Sizes(
        widths=(128, 192, 320, 512),  # 1.1 to 52 million of the fast plan's parameters
        largest_width=768,  # 167 million
        num_samples=39_000,  # what is not held out of all clips
        batch_size=64,  # a step takes as long with 32; more would leave the smallest runs too few steps
    ),
    line=tiny.Sizes(
        num_recordings=1536,
        model=scaled(448).config,
        student="nano",  # 4.6 MB
        pretrain_steps=600,
        sft_steps=300,
        num_envs=128,
        num_scenarios=24,
        batch_size=256,
        lr_frac=128 / 448,
        device="cuda",
        precision="bf16",
        threads=8,
    ),
)
REHEARSAL = Scale(
    name="rehearsal",
    widths=(16, 24, 32, 40),
    pace_steps=(1, 2),
    pace_batch_size=8,
    compiles=False,
    member_steps=(4, 4),
    num_scenarios=2,
    grid=grids.Sizes(
        widths=(16, 24, 32),
        largest_width=40,
        data_fracs=(0.3, 0.5, 0.75),
        num_samples=200,
        num_seeds=1,
        passes=1,
        batch_size=8,
        num_scenarios=2,
        num_resamples=20,
    ),
    line=replace(
        H100.line,
        num_recordings=12,
        model="nano",
        student="pico",
        pretrain_steps=4,
        sft_steps=4,
        teacher_iterations=2,
        teacher_envs=8,
        rl_steps=16,
        rl_fit_steps=3,
        rl_last_fit_steps=4,
        gate_scenarios=2,
        distil_warm_steps=4,
        distil_steps=16,
        distil_fit_steps=3,
        distil_last_fit_steps=4,
        num_envs=4,
        num_scenarios=2,
        num_drives=5,
        num_plans=500,
        batch_size=16,
        device="cpu",
        threads=1,  # two are many times slower on tensors this small when anything else runs
    ),
)


def h100(options: RecipeOptions) -> tuple[Step, ...]:
    """The line of `tiny`, larger, on the GPU."""
    return _device(H100), *tiny.chain(H100.name, H100.line, options)


def clips(options: RecipeOptions) -> tuple[Step, ...]:
    """What the others learn from, and the town's kernels compiled."""
    return _device(H100), _samples(H100, options)


def pace(options: RecipeOptions) -> tuple[Step, ...]:
    """How fast each member trains."""
    return _device(H100), *_paces(H100, options)


def members(options: RecipeOptions) -> tuple[Step, ...]:
    """What each member's size is worth at the wheel, after the same steps on the same clips."""
    return _device(H100), *_paces(H100, options), _judged(H100, options)


def scaling(options: RecipeOptions) -> tuple[Step, ...]:
    """How loss falls with size and data, larger: four sizes by four amounts of data, and a forecast for the member of 768."""
    return _device(H100), *_grid(H100, options)


def rehearsal(options: RecipeOptions) -> tuple[Step, ...]:
    """Every step of the above at toy size: the line, the grid, then the members, whose page it writes (`motorworks report rehearsal`: the line's;
    `rehearsal_scaling`: the grid's)."""
    line = tiny.chain(REHEARSAL.name, REHEARSAL.line, options)
    return _device(REHEARSAL), *line, *_grid(REHEARSAL, options), *_paces(REHEARSAL, options), _judged(REHEARSAL, options)


def scaling_rehearsal(options: RecipeOptions) -> tuple[Step, ...]:
    """The grid's part of the rehearsal."""
    return _device(REHEARSAL), *_grid(REHEARSAL, options)


def _device(scale: Scale) -> Step:
    config = CheckDeviceConfig(device=scale.line.device, instead=INSTEAD, threads=scale.line.threads)
    return Step(name=f"{scale.name}/device", run=check_device.run, config=config)


def _samples(scale: Scale, options: RecipeOptions) -> Step:
    return tiny.clips(scale.name, f"{scale.name}/turn1", 1, scale.line, options, {}, {})["curate"]


def _paces(scale: Scale, options: RecipeOptions) -> tuple[Step, ...]:
    """Every loss on, AdamW for both; the largest member once more with its blocks compiled, last, because that may go wrong."""
    warm, timed = scale.pace_steps
    fit = FitConfig(steps=warm + timed, batch_size=scale.pace_batch_size, precision=scale.line.precision, losses=SPEAKING, muon=False)
    fits = [(f"width_{width}", width, fit) for width in scale.widths]
    fits.append((f"width_{scale.widths[-1]}_again", scale.widths[-1], replace(fit, compile=scale.compiles)))
    samples = {"samples": _samples(scale, options)}
    steps = []
    for name, width, fit in fits:
        config = PaceConfig(model=scaled(width).config, fit=fit, warm_steps=warm, device=scale.line.device, threads=scale.line.threads)
        steps.append(Step(name=f"{scale.name}_members/turn1/{name}/pace", run=pace_stage.run, config=config, inputs=samples))
    return tuple(steps)


def _grid(scale: Scale, options: RecipeOptions) -> tuple[Step, ...]:
    """As recipes.scaling, of the clips that the others learn from."""
    name, line = f"{scale.name}_scaling", scale.line
    sizes = replace(scale.grid, device=line.device, precision=line.precision, threads=line.threads)
    return grids.speed(name, sizes), *grids.law(f"{name}/turn1", sizes, options, _samples(scale, options))


def _judged(scale: Scale, options: RecipeOptions) -> Step:
    samples, arms = {"samples": _samples(scale, options)}, {}
    for width in scale.widths:
        here, member = f"{scale.name}_members/turn1/width_{width}", scaled(width)
        lr = 2 * member.lr  # the rule's is for batches of 32, these are of 256: a guess
        look = FitConfig(steps=scale.member_steps[0], batch_size=scale.line.batch_size, lr=lr, losses=SEEING, precision=scale.line.precision, seed=1)
        speak = replace(look, steps=scale.member_steps[1], lr=lr / 2, losses=SPEAKING, think_every=2)
        seeing = FitModelConfig(model=member.config, fit=look, device=scale.line.device, threads=scale.line.threads)
        seen = Step(name=f"{here}/pretrain", run=fit_model.run, config=seeing, inputs=samples)
        speaking = replace(seeing, fit=speak, only_thoughtful=True)
        arms[f"width_{width}"] = (Step(name=f"{here}/sft", run=fit_model.run, config=speaking, inputs=samples | {"start": seen}),)
    config = CompareConfig(
        title="Members",
        question="Does a larger member drive better after the same steps on the same clips?",
        arms=tuple(arms),
        num_scenarios=scale.num_scenarios,
        device=scale.line.device,
    )
    return Step(name=f"{scale.name}_members/turn1/sizes/compare", run=compare.run, config=config, inputs=arms)

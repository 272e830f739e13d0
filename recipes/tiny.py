"""The factory on one screen: two CPU cores, minutes, no download. Read it from top to bottom and you have seen the line.

clips ─► ingest ─► curate ─► pretrain ─► sft ─► rl ─► distil ─► adapt ─► evaluate ─► release ─► drive ─► mine ─┐
    └───────────────────────◄──────────── hard clips, new scenarios ◄──────────────────────────────────────────┘
"""

from dataclasses import dataclass

from motorworks.factory.stages import adapt, curate, distil, drive, evaluate, fit_model, ingest, mine, release, rl, teacher, town_clips
from motorworks.factory.stages.on_policy import OnPolicyConfig
from motorworks.factory.step import RecipeOptions, Step
from motorworks.train.fit_config import FitConfig, LossWeights, PolishConfig


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much of everything: all that differs between a smoke test, a laptop and more."""

    num_recordings: int = 64  # of the town, about 35 s each
    num_redriven: int = 24  # mined scenarios that the expert drives for the next turn
    model: str = "nano"  # "base" puts a pretrained SmolLM2-135M behind our eyes and hands
    student: str = "pico"
    pretrain_steps: int = 500
    sft_steps: int = 300
    teacher_iterations: int = 48
    teacher_envs: int = 64
    rl_rounds: tuple[float, ...] = (0.5, 0.2, 0.0, 0.0)  # share of episodes that the teacher drives
    rl_steps: int = 150  # of every environment and round
    rl_fit_steps: int = 110
    distil_rounds: tuple[float, ...] = (0.5, 0.0, 0.0)
    distil_steps: int = 150
    distil_fit_steps: int = 250
    num_envs: int = 32
    num_scenarios: int = 16  # held out
    num_drives: int = 10  # of the fleet
    num_plans: int = 500  # timed
    batch_size: int = 64
    threads: int = 2


TINY = Sizes()


def tiny(options: RecipeOptions) -> tuple[Step, ...]:
    """One whole turn in minutes; with `options.turn` above 1 the turns before it too, of which nothing is made twice."""
    return chain("tiny", TINY, options)


def chain(name: str, sizes: Sizes, options: RecipeOptions) -> tuple[Step, ...]:
    """The line of turn 1, 2, …: a turn reads what the one before mined, and goes on from its weights."""
    steps: dict[str, Step] = {}
    for turn in range(1, options.turn + 1):
        steps = _turn(f"{name}/turn{turn}", name, turn, sizes, options, steps)
    return (steps["mine"],)


def _turn(here: str, name: str, turn: int, sizes: Sizes, options: RecipeOptions, before: dict[str, Step]) -> dict[str, Step]:
    def learn(steps: int, lr: float, losses: LossWeights) -> FitConfig:
        return FitConfig(steps=steps, batch_size=sizes.batch_size, lr=lr, losses=losses, seed=turn)

    def loop(rounds: tuple[float, ...], num_steps: int, fit: FitConfig) -> OnPolicyConfig:
        return OnPolicyConfig(
            labeller_drives_frac=rounds,
            num_steps=num_steps,
            fit=fit,
            num_envs=sizes.num_envs,
            threads=sizes.threads,
            last_fit_factor=2.0,
            seed=10 * turn,
        )

    seeing = LossWeights(action=1.0, reasoned=0.0, language=0.0, world=0.5)  # look, foresee, steer
    speaking = LossWeights(action=1.0, reasoned=0.3, language=0.3, world=0.1)  # decide, say why, steer
    driving = LossWeights(action=1.0, reasoned=0.1, language=0.1, world=0.05)  # steer, and forget neither

    # real clips in, synthetic ones beside them; what the last turn mined is driven again by the expert
    town = Step(
        name=f"{name}/town_clips",
        run=town_clips.run,
        config=town_clips.TownClipsConfig(num_recordings=sizes.num_recordings, threads=sizes.threads),
    )
    driven, mined = (town,), {}
    if before:
        mined = {"mined": before["mine"]}
        again = town_clips.TownClipsConfig(num_recordings=sizes.num_redriven, threads=sizes.threads)
        driven = (town, Step(name=f"{here}/redriven_clips", run=town_clips.run, config=again, inputs=mined))
    clips = Step(
        name=f"{here}/ingest",
        run=ingest.run,
        config=ingest.IngestConfig(paths=options.clips),
        inputs={"town": driven, **mined, **({"previous": before["ingest"]} if before else {})},
    )
    samples = Step(name=f"{here}/curate", run=curate.run, config=curate.CurateConfig(), inputs={"clips": clips})

    # a model that sees, says and steers: by looking, then by example, then on its own drives
    start, start_small = ({"start": before["rl"]}, {"start": before["distil"]}) if before else ({}, {})
    pretrained = Step(
        name=f"{here}/pretrain",
        run=fit_model.run,
        inputs={"samples": samples, **start},
        config=fit_model.FitModelConfig(model=sizes.model, threads=sizes.threads, fit=learn(sizes.pretrain_steps, 1e-3, seeing)),
    )
    tuned = Step(
        name=f"{here}/sft",
        run=fit_model.run,
        inputs={"samples": samples, "start": pretrained},
        config=fit_model.FitModelConfig(only_thoughtful=True, threads=sizes.threads, fit=learn(sizes.sft_steps, 6e-4, speaking)),
    )
    coach = Step(
        name=f"{name}/teacher",
        run=teacher.run,
        config=teacher.TeacherConfig(num_iterations=sizes.teacher_iterations, num_envs=sizes.teacher_envs, threads=sizes.threads),
    )
    reinforced = Step(
        name=f"{here}/rl",
        run=rl.run,
        config=rl.RlConfig(loop=loop(sizes.rl_rounds, sizes.rl_steps, learn(sizes.rl_fit_steps, 6e-4, driving)), polish=PolishConfig()),
        inputs={"start": tuned, "samples": samples, "teacher": coach, **mined},
    )

    # a small one for the car, checked, judged, signed
    student = Step(
        name=f"{here}/distil",
        run=distil.run,
        inputs={"parent": reinforced, "samples": samples, **mined, **start_small},
        config=distil.DistilConfig(
            student=sizes.student,
            warm_start=learn(sizes.distil_fit_steps, 1.5e-3, speaking),
            loop=loop(sizes.distil_rounds, sizes.distil_steps, learn(sizes.distil_fit_steps, 1e-3, driving)),
        ),
    )
    adapted = Step(
        name=f"{here}/adapt",
        run=adapt.run,
        config=adapt.AdaptConfig(num_plans=sizes.num_plans, threads=sizes.threads),
        inputs={"student": student, "shadow": reinforced, "samples": samples},
    )
    judged = Step(
        name=f"{here}/evaluate",
        run=evaluate.run,
        config=evaluate.EvaluateConfig(num_scenarios=sizes.num_scenarios, threads=sizes.threads),
        inputs={
            "clips": clips,
            "teacher": coach,
            "pretrain": pretrained,
            "sft": tuned,
            "rl": reinforced,
            "distil": student,
            "adapted": adapted,
            **({"previous_release": before["adapt"]} if before else {}),
        },
    )
    released = Step(
        name=f"{here}/release", run=release.run, config=release.ReleaseStepConfig(release=turn), inputs={"adapted": adapted, "evaluated": judged}
    )

    # the fleet drives it, and what went wrong is what comes next
    drives = Step(
        name=f"{here}/drive",
        run=drive.run,
        config=drive.DriveConfig(turn=turn, num_drives=sizes.num_drives, threads=sizes.threads),
        inputs={"release": released, "adapted": adapted},
    )
    failures = Step(
        name=f"{here}/mine", run=mine.run, config=mine.MineStepConfig(threads=sizes.threads), inputs={"drive": drives, "model": reinforced}
    )
    return {"ingest": clips, "rl": reinforced, "distil": student, "adapt": adapted, "mine": failures}

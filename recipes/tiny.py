"""The factory on one screen: two CPU cores, minutes, no download. Read it from top to bottom and you have seen the line.

clips ─► ingest ─► curate ─► pretrain ─► sft ─► rl ─► distil ─► adapt ─► evaluate ─► release ─► drive ─► mine ─┐
    └───────────────────────◄──────────── hard clips, new scenarios ◄──────────────────────────────────────────┘
"""

from dataclasses import dataclass, replace

from motorworks.factory.stages import adapt, curate, distil, drive, evaluate, fit_model, ingest, mine, release, rl, teacher, town_clips
from motorworks.factory.stages.adapt import AdaptConfig
from motorworks.factory.stages.curate import CurateConfig
from motorworks.factory.stages.distil import DistilConfig
from motorworks.factory.stages.drive import DriveConfig
from motorworks.factory.stages.evaluate import EvaluateConfig
from motorworks.factory.stages.fit_model import FitModelConfig
from motorworks.factory.stages.gate import GateConfig
from motorworks.factory.stages.mine import MineStepConfig
from motorworks.factory.stages.on_policy import OnPolicyConfig
from motorworks.factory.stages.release import ReleaseStepConfig
from motorworks.factory.stages.reward import RewardConfig
from motorworks.factory.stages.rl import RlConfig
from motorworks.factory.stages.teacher import TeacherConfig
from motorworks.factory.stages.town_clips import TownClipsConfig
from motorworks.factory.step import RecipeOptions, Step
from motorworks.models.config import ModelConfig
from motorworks.train.fit_config import FitConfig, LossWeights, PolishConfig

Line = dict[str, Step]  # the steps of one turn, by stage


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much of everything: all that differs between a smoke test, a laptop and more."""

    num_recordings: int = 256  # of the town, 8 s each
    num_redriven: int = 24  # mined scenarios that the expert drives for the next turn
    model: str | ModelConfig = "nano"  # "base" puts a pretrained SmolLM2-135M behind our eyes and hands
    student: str = "pico"
    pretrain_steps: int = 150
    sft_steps: int = 100
    teacher_iterations: int = 24
    teacher_envs: int = 64
    rl_rounds: tuple[float, ...] = (1.0, 0.5, 0.0, 0.0)  # share of drives that the labeller drives
    rl_steps: int = 280  # of every drive and round
    rl_fit_steps: int = 100  # of a round
    rl_last_fit_steps: int = 240
    gate_scenarios: int = 12  # that decide who labels and whether the polish stays
    distil_warm_steps: int = 300
    distil_rounds: tuple[float, ...] = (1.0, 0.5, 0.0, 0.0)
    distil_steps: int = 560
    distil_fit_steps: int = 250
    distil_last_fit_steps: int = 2000
    distil_polish_steps: int = 480  # of every drive, judged by the reward
    num_envs: int = 64  # that drive at once
    num_scenarios: int = 16  # held out
    num_tail: int = 31  # of them staged, for a few drivers
    num_drives: int = 10  # of the fleet
    num_plans: int = 500  # timed
    batch_size: int = 64
    lr_frac: float = 1.0  # of the rates below, which suit nano; they fall as one over the width (models.scaled)
    device: str = "cpu"
    precision: str = "fp32"  # of the model's training
    threads: int = 2

    @property
    def gate(self) -> GateConfig:
        """Drives that decide."""
        return GateConfig(num_scenarios=self.gate_scenarios, threads=self.threads)


TINY = Sizes()


def tiny(options: RecipeOptions) -> tuple[Step, ...]:
    """One whole turn in minutes; with `options.turn` above 1 the turns before it too, of which nothing is made twice."""
    return chain("tiny", TINY, options)


def chain(name: str, sizes: Sizes, options: RecipeOptions) -> tuple[Step, ...]:
    """The line of turn 1, 2, …: a turn reads what the one before mined, and goes on from its weights."""
    steps: Line = {}
    for turn in range(1, options.turn + 1):
        before, steps = steps, {}
        for part in (clips, model, car, road):
            steps |= part(name, f"{name}/turn{turn}", turn, sizes, options, steps, before)
    return (steps["mine"],)


def clips(name: str, here: str, turn: int, sizes: Sizes, options: RecipeOptions, now: Line, before: Line) -> Line:
    """Real clips in, synthetic ones beside them; what the last turn mined is driven again by the expert."""
    where = {"num_envs": sizes.num_envs, "device": sizes.device, "threads": sizes.threads}
    drive_town = TownClipsConfig(num_recordings=sizes.num_recordings, **where)
    town = (Step(name=f"{name}/town_clips", run=town_clips.run, config=drive_town),)
    mined, previous = {}, {}
    if before:
        mined, previous = {"mined": before["mine"]}, {"previous": before["ingest"]}
        redrive = replace(drive_town, num_recordings=sizes.num_redriven)
        town += (Step(name=f"{here}/redriven_clips", run=town_clips.run, config=redrive, inputs=mined),)
    read = Step(name=f"{here}/ingest", run=ingest.run, config=ingest.given(options), inputs={"town": town, **mined, **previous})
    chosen = Step(name=f"{here}/curate", run=curate.run, config=CurateConfig(), inputs={"clips": read})
    return {"ingest": read, "curate": chosen}


def model(name: str, here: str, turn: int, sizes: Sizes, options: RecipeOptions, now: Line, before: Line) -> Line:
    """A model that sees, says and steers: by looking, then by example, then on its own drives."""
    seeing = LossWeights(action=1.0, reasoned=0.0, language=0.0, world=0.5)
    speaking = LossWeights(action=1.0, reasoned=0.3, language=0.3, world=0.1)
    steering = LossWeights(action=1.0, reasoned=0.0, language=0.0, world=0.0, road=1.0)
    telling = LossWeights(action=1.0, reasoned=0.3, language=0.3, world=0.0, road=1.0)
    lr, size, precision = sizes.lr_frac, sizes.batch_size, sizes.precision
    look = FitConfig(steps=sizes.pretrain_steps, batch_size=size, lr=2e-3 * lr, losses=seeing, seed=turn, precision=precision)
    speak = replace(look, steps=sizes.sft_steps, lr=1e-3 * lr, losses=speaking, think_every=2)
    drives = OnPolicyConfig(
        labeller_drives_frac=sizes.rl_rounds,
        num_steps=sizes.rl_steps,
        num_envs=sizes.num_envs,
        fit=replace(look, steps=sizes.rl_fit_steps, lr=1.5e-3 * lr, losses=steering),
        last_fit=replace(look, steps=sizes.rl_last_fit_steps, lr=1.5e-3 * lr, losses=telling, think_every=8),
        device=sizes.device,
        threads=sizes.threads,
        seed=10 * turn,
    )
    samples, start = {"samples": now["curate"]}, {"start": before["rl"]} if before else {}
    mined = {"mined": before["mine"]} if before else {}

    pretrained = FitModelConfig(model=sizes.model, fit=look, device=sizes.device, threads=sizes.threads)
    tuned = replace(pretrained, fit=speak, only_thoughtful=True)
    coached = TeacherConfig(num_iterations=sizes.teacher_iterations, num_envs=sizes.teacher_envs, threads=sizes.threads)
    pretrain = Step(name=f"{here}/pretrain", run=fit_model.run, config=pretrained, inputs=samples | start)
    sft = Step(name=f"{here}/sft", run=fit_model.run, config=tuned, inputs=samples | {"start": pretrain})
    coach = Step(name=f"{name}/teacher", run=teacher.run, config=coached)
    reinforced = RlConfig(loop=drives, reward=RewardConfig(gate=sizes.gate))
    return {
        "pretrain": pretrain,
        "sft": sft,
        "teacher": coach,
        "rl": Step(name=f"{here}/rl", run=rl.run, config=reinforced, inputs=samples | mined | {"start": sft, "teacher": coach}),
    }


def car(name: str, here: str, turn: int, sizes: Sizes, options: RecipeOptions, now: Line, before: Line) -> Line:
    """A small one for the car: taught, fitted, judged, signed."""
    steering = LossWeights(action=1.0, reasoned=0.0, language=0.0, world=0.0, road=1.0)
    speaking = LossWeights(action=1.0, reasoned=0.1, language=0.2, world=0.0, road=1.0)
    warm = FitConfig(steps=sizes.distil_warm_steps, batch_size=sizes.batch_size, lr=2e-3, losses=speaking, seed=turn, think_every=4)
    drives = OnPolicyConfig(
        labeller_drives_frac=sizes.distil_rounds,
        num_steps=sizes.distil_steps,
        num_envs=sizes.num_envs,
        fit=replace(warm, steps=sizes.distil_fit_steps, losses=steering),
        last_fit=replace(warm, steps=sizes.distil_last_fit_steps, think_every=8),
        threads=sizes.threads,
        device=sizes.device,
        known_share=0.35,  # its parent's own drives among it
        seed=10 * turn + 5,
    )
    choosing = RewardConfig(
        polish=PolishConfig(steps=300, lr=3e-3, kl_weight=0.02),
        num_steps=sizes.distil_polish_steps,
        gate=sizes.gate,
        slack_frac=0.1,  # of so few routes
    )
    taught = DistilConfig(student=sizes.student, loop=drives, warm_start=warm, reward=choosing)
    start, mined = ({"start": before["distil"]}, {"mined": before["mine"]}) if before else ({}, {})
    samples, parent = {"samples": now["curate"]}, now["rl"]

    student = Step(name=f"{here}/distil", run=distil.run, config=taught, inputs=samples | start | mined | {"parent": parent})
    fitted = AdaptConfig(num_plans=sizes.num_plans, threads=sizes.threads)
    adapted = Step(name=f"{here}/adapt", run=adapt.run, config=fitted, inputs=samples | {"student": student, "shadow": parent})
    stages = {stage: now[stage] for stage in ("pretrain", "sft", "rl", "teacher")} | {"distil": student, "adapted": adapted}
    rival = {"previous_release": before["adapt"]} if before else {}
    # a driver a process: see --workers
    exam = EvaluateConfig(num_scenarios=sizes.num_scenarios, num_tail=sizes.num_tail, device=sizes.device, threads=1)
    judged = Step(name=f"{here}/evaluate", run=evaluate.run, config=exam, inputs=stages | rival | {"clips": now["ingest"]})
    signed = ReleaseStepConfig(release=turn)
    released = Step(name=f"{here}/release", run=release.run, config=signed, inputs={"adapted": adapted, "evaluated": judged})
    return {"distil": student, "adapt": adapted, "evaluate": judged, "release": released}


def road(name: str, here: str, turn: int, sizes: Sizes, options: RecipeOptions, now: Line, before: Line) -> Line:
    """The fleet drives it, and what went wrong is what comes next."""
    fleet, found = DriveConfig(turn=turn, num_drives=sizes.num_drives, threads=sizes.threads), MineStepConfig(threads=sizes.threads)
    drives = Step(name=f"{here}/drive", run=drive.run, config=fleet, inputs={"release": now["release"], "adapted": now["adapt"]})
    return {"drive": drives, "mine": Step(name=f"{here}/mine", run=mine.run, config=found, inputs={"drive": drives, "model": now["rl"]})}

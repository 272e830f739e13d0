"""One turn of the factory over so many clips: hours of every stage, days and dollars of the whole, and which assumption matters most."""

import math
from dataclasses import dataclass, replace

from motorworks.models.config import ModelConfig
from motorworks.train.planner import shapes
from motorworks.train.planner.assumptions import Assumptions, ranges
from motorworks.train.planner.goodput import Failures, best_interval_s, goodput, mtbf_s
from motorworks.train.planner.gpus import Gpu
from motorworks.train.planner.search import ASSUMED, Choice, choose

H_PER_DAY, S_PER_H = 24.0, 3600.0


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Hours of wall time on all GPUs, failures included where it trains."""

    name: str
    hours: float
    how: str


@dataclass(frozen=True, kw_only=True)
class Turn:
    """All stages of one turn, one after the other."""

    num_clips: float
    stages: tuple[Stage, ...]
    num_gpus: int

    @property
    def days(self) -> float:
        """Wall time."""
        return sum(stage.hours for stage in self.stages) / H_PER_DAY

    def usd(self, usd_per_hour: float) -> float:
        """Every GPU is paid for from the beginning to the end."""
        return self.days * H_PER_DAY * self.num_gpus * usd_per_hour


@dataclass(frozen=True, kw_only=True)
class Swing:
    """What one assumption at its lowest and highest does to the days of a turn, everything planned anew for it. NaN: no plan fits."""

    name: str
    unit: str
    source: str
    low: float
    usual: float
    high: float
    days_at_low: float
    days_at_high: float

    @property
    def days(self) -> float:
        """How far apart they are."""
        return abs(self.days_at_high - self.days_at_low)


def failures_of(gpu: Gpu, num_gpus: int, assumed: Assumptions) -> Failures:
    """The job's own."""
    mean = mtbf_s(num_gpus=num_gpus, gpus_per_node=gpu.gpus_per_node, failures_per_1000_node_days=assumed.failures)
    return Failures(mtbf_s=mean, detect_s=assumed.detect_s, restart_s=assumed.restart_s, checkpoint_s=assumed.checkpoint_s)


def kept_share(gpu: Gpu, num_gpus: int, assumed: Assumptions) -> float:
    """Goodput at the best interval."""
    failures = failures_of(gpu, num_gpus, assumed)
    return goodput(failures, best_interval_s(failures))


def plan_turn(config: ModelConfig, gpu: Gpu, num_gpus: int, num_clips: float, assumed: Assumptions, choice: Choice) -> Turn:
    """The stages in their order. The student's own training is left out: it is a thousandth of its parent's."""
    rate = choice.best.samples_per_s * kept_share(gpu, num_gpus, assumed)
    flops, served = shapes.forward_flops(config), num_gpus * gpu.peak_flops * assumed.serve_efficiency
    look = config.num_frames * flops["eye"] + flops["decoder"] + flops["ends"]
    samples = num_clips * assumed.kept * assumed.samples_per_clip * assumed.passes
    seconds = (
        ("ingest", num_clips * assumed.clip_mb / (assumed.storage_gb_per_s * 1e3), "clips × clip_mb / storage_gb_per_s: read once from the store"),
        (
            "label and curate",
            num_clips * assumed.labels_per_clip * look / served,
            "clips × labels_per_clip × forward FLOP / (GPUs × peak × serve_efficiency)",
        ),
        ("pretrain", samples / rate, "clips × kept × samples_per_clip × passes / (samples a second × goodput)"),
        ("sft", samples * assumed.sft / rate, "sft of that"),
        (
            "rl, driving",
            samples * assumed.rl * look / served,
            "rl of those samples forward, on all GPUs at serve_efficiency; the simulator beside it is not counted",
        ),
        ("rl, learning", samples * assumed.rl / rate, "and trained on once"),
        ("distil", samples * assumed.distil * look / served, "distil of those samples forward through the parent"),
        ("evaluate", assumed.exam_decisions * look / served, "exam_decisions forward at serve_efficiency"),
        ("between stages", assumed.between_h * S_PER_H, "between_h"),
    )
    stages = tuple(Stage(name=name, hours=value / S_PER_H, how=how) for name, value, how in seconds)
    return Turn(num_clips=num_clips, stages=stages, num_gpus=num_gpus)


def swings(config: ModelConfig, gpu: Gpu, num_gpus: int, num_clips: float, assumed: Assumptions, choice: Choice) -> list[Swing]:
    """Every assumption alone, the one that moves the turn most first."""

    def days(name: str, value: float) -> float:
        changed = replace(assumed, **{name: value})
        try:
            anew = choose(config, gpu, num_gpus, changed) if name in ASSUMED else choice
        except ValueError:
            return float("nan")
        return plan_turn(config, gpu, num_gpus, num_clips, changed, anew).days

    found = [
        Swing(
            name=one.name,
            unit=one.metadata["unit"],
            source=one.metadata["source"],
            low=low,
            usual=getattr(assumed, one.name),
            high=high,
            days_at_low=days(one.name, low),
            days_at_high=days(one.name, high),
        )
        for one, low, high in ranges()
    ]
    return sorted(found, key=lambda one: math.inf if math.isnan(one.days) else -one.days)

"""Short chains of real stages, for tests of what a user may do wrong."""

from dataclasses import dataclass, replace

from motorworks.drive.latency import Latency
from motorworks.engine.engine import Limits
from motorworks.export.budget import VehicleBudget, check_budget
from motorworks.export.parity import Parity
from motorworks.factory.artifact import Inputs
from motorworks.factory.stages import ingest, release
from motorworks.factory.stages.ingest import IngestConfig
from motorworks.factory.stages.release import ReleaseStepConfig
from motorworks.factory.step import Output, RecipeOptions, Step


def only_ingest(options: RecipeOptions) -> Step:
    """The door and nothing behind it."""
    return Step(name="door/turn1/ingest", run=ingest.run, config=IngestConfig(paths=options.clips))


def hurried_ingest(options: RecipeOptions) -> Step:
    """The same, with little time and memory for a recording."""
    limits = Limits(timeout_s=10.0, memory_bytes=800 << 20, attempts=1)
    given = IngestConfig(paths=options.clips, licence_allow=options.licence_allow, limits=limits)
    return Step(name="door/turn1/ingest", run=ingest.run, config=given)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What an adapt stage might have measured on a slow computer with a careless int8."""

    plan_p99_ms: float = 140.0
    pose_error_1s_m: float = 0.3


def adapt_badly(config: Measured, inputs: Inputs, out: Output) -> None:
    """Given measurements against the real budget, recorded as adapt does."""
    latency = Latency(
        plan_p50_ms=20.0,
        plan_p99_ms=config.plan_p99_ms,
        plan_max_ms=config.plan_p99_ms,
        num_plans=500,
        num_over_deadline=50,
        pace_s=0.01,
        threads=2,
        peak_rss_mb=200.0,
        size_mb=3.0,
        cold_s=0.5,
    )
    fp32 = Parity(
        num=128,
        max_output_error=1e-6,
        accel_error_mps2=0.0,
        curvature_error_per_m=0.0,
        pose_error_1s_m=0.0,
        pose_error_3s_m=0.0,
        max_pose_error_1s_m=0.0,
        same_proposal_frac=1.0,
    )
    out.record(misses=check_budget(VehicleBudget(), latency, fp32, replace(fp32, pose_error_1s_m=config.pose_error_1s_m)))


def over_budget(options: RecipeOptions) -> Step:
    """A release of what must not be released."""
    adapted = Step(name="slow/turn1/adapt", run=adapt_badly, config=Measured())
    return Step(name="slow/turn1/release", run=release.run, config=ReleaseStepConfig(release=1), inputs={"adapted": adapted, "evaluated": adapted})

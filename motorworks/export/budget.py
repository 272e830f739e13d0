"""The vehicle budget: what a bundle may cost and how far int8 may lead it from its checkpoint. Missed once, it is not released."""

from dataclasses import dataclass

from motorworks.drive.latency import Latency
from motorworks.export.parity import Parity


@dataclass(frozen=True, kw_only=True)
class VehicleBudget:
    """Limits of one vehicle computer; parity limits are gates on the bundle against its checkpoint."""

    plan_p99_ms: float = 100.0
    size_mb: float = 50.0
    memory_mb: float = 1000.0
    max_fp32_error: float = 1e-4  # largest difference of outputs over their size, checkpoint against fp32 graphs
    max_pose_error_1s_m: float = 0.1  # mean, checkpoint against the bundle's graphs
    min_plans: int = 500

    def __post_init__(self) -> None:
        for name in ("plan_p99_ms", "size_mb", "memory_mb", "max_fp32_error", "max_pose_error_1s_m", "min_plans"):
            if not getattr(self, name) > 0:
                raise ValueError(f"budget {name} {getattr(self, name)} must be positive")


@dataclass(frozen=True, kw_only=True)
class BudgetRow:
    """One line of the budget table."""

    name: str
    value: float
    unit: str
    limit: float
    ok: bool


def budget_rows(budget: VehicleBudget, latency: Latency, fp32: Parity, deployed: Parity) -> list[BudgetRow]:
    """Every line, kept or missed. A value that is not a number is a miss."""
    upper = (
        ("plan_p99_ms", latency.plan_p99_ms, "ms", budget.plan_p99_ms),
        ("size_mb", latency.size_mb, "MB", budget.size_mb),
        ("memory_mb", latency.peak_rss_mb, "MB", budget.memory_mb),
        ("fp32_error", fp32.max_output_error, "", budget.max_fp32_error),
        ("pose_error_1s_m", deployed.pose_error_1s_m, "m", budget.max_pose_error_1s_m),
    )
    rows = [BudgetRow(name=name, value=value, unit=unit, limit=limit, ok=bool(value <= limit)) for name, value, unit, limit in upper]
    return [
        *rows,
        BudgetRow(name="num_plans", value=latency.num_plans, unit="plans", limit=budget.min_plans, ok=latency.num_plans >= budget.min_plans),
    ]


def check_budget(budget: VehicleBudget, latency: Latency, fp32: Parity, deployed: Parity) -> list[str]:
    """The misses, in words; empty means the bundle may be released."""
    return [
        f"{row.name} is {row.value:.4g} {row.unit}, the budget is {row.limit:g}".replace("  ", " ")
        for row in budget_rows(budget, latency, fp32, deployed)
        if not row.ok
    ]

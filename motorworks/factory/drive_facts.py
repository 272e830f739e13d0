"""What is said of one drive: for scripts and for people."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from motorworks.datatypes.rollout import Rollout
from motorworks.datatypes.trajectory import DT_S
from motorworks.drive.bundle import Bundle
from motorworks.drive.log import StepLog
from motorworks.drive.triggers import Event
from motorworks.drive.vehicle import FALLBACK, LATE, OK, VehicleConfig
from motorworks.factory.show import columns
from motorworks.metrics.closed_loop import route_completion


@dataclass(frozen=True, kw_only=True)
class Drive:
    """One drive: what happened in the world, and what the vehicle says of it."""

    rollout: Rollout
    steps: tuple[StepLog, ...]
    events: tuple[Event, ...]
    log: Path


def facts_of(bundle: Bundle, root: Path, done: Drive) -> dict[str, Any]:
    """What `--json` prints; latencies are wall time of every plan of this drive."""
    rollout, manifest = done.rollout, bundle.manifest
    took_ms = np.array([step.latency_s for step in done.steps if step.latency_s is not None]) * 1000
    health = Counter(step.health for step in done.steps)
    return {
        "model": manifest.model,
        "release": manifest.release,
        "precision": manifest.precision,
        "bundle": str(bundle.path),
        "trusted_root": str(root),
        "scenario": rollout.scenario.name,
        "outcome": rollout.outcome,
        "collision_at_fault": rollout.collision_at_fault,
        "route_completion_frac": route_completion(rollout),
        "route_length_m": rollout.route_length_m,
        "duration_s": round(len(done.steps) * DT_S, 1),
        "mean_speed_mps": float(rollout.speed_mps.mean()),
        "num_plans": len(took_ms),
        "plan_p50_ms": float(np.percentile(took_ms, 50)),
        "plan_p99_ms": float(np.percentile(took_ms, 99)),
        "plan_max_ms": float(took_ms.max()),
        "deadline_ms": VehicleConfig().deadline_s * 1000,
        "health": {name: health[name] for name in (OK, LATE, FALLBACK)},
        "num_events": len(done.events),
        "events": dict(Counter(event.trigger for event in done.events)),
        "log": str(done.log),
    }


def fact_lines(facts: dict[str, Any]) -> str:
    """The same for people."""
    driven = f"{facts['route_completion_frac']:.0%} of {facts['route_length_m']:.0f} m in {facts['duration_s']:.1f} s"
    at_fault = ", at fault" if facts["collision_at_fault"] else ""
    took = ", ".join(f"{name} {facts[f'plan_{name}_ms']:.1f} ms" for name in ("p50", "p99", "max"))
    health = ", ".join(f"{num} {name}" for name, num in facts["health"].items())
    events = ", ".join(f"{num} {name}" for name, num in facts["events"].items())
    rows = {
        facts["scenario"]: f"{facts['outcome'].replace('_', ' ')}{at_fault}, {driven}, {3.6 * facts['mean_speed_mps']:.0f} km/h on average",
        "bundle": f"{facts['model']}, release {facts['release']}, {facts['precision']}, verified against {facts['trusted_root']}",
        "plans": f"{facts['num_plans']}, {took}; deadline {facts['deadline_ms']:.0f} ms",
        "health": health,
        "events": f"{facts['num_events']} ({events})" if events else "none",
        "log": facts["log"],
    }
    if facts["video"]:
        rows["video"] = facts["video"]
    return columns(list(rows.items()))

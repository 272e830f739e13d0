"""The fleet drives the released bundle: verified, at 10 Hz with a deadline and a fallback, logged, a shadow model beside it."""

import json
import pickle
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motorworks.factory.artifact import Inputs
from motorworks.factory.stages.strips import choose_drives, draw_strips
from motorworks.factory.step import Output

if TYPE_CHECKING:
    from motorworks.drive.vehicle import VehiclePolicy


@dataclass(frozen=True, kw_only=True)
class DriveConfig:
    """Scenarios of fleet towns, new ones every turn: never trained on before, never part of the evaluation."""

    turn: int
    num_drives: int = 10
    num_staged: int = 4  # of the drives: scenarios of the long tail
    num_agents: int = 12
    disagreement_m: float = 2.0
    threads: int = 2


def run(config: DriveConfig, inputs: Inputs, out: Output) -> None:
    """Leaves packs/ of clips, drives.pickle (rollouts with the logs' columns), drive.log, events.json and film strips."""
    from motorworks.clips.store import ClipWriter
    from motorworks.sim.curriculum import LONG_TAIL, tail_scenarios
    from motorworks.sim.rollout import clip_from_rollout, iterate_rollouts
    from motorworks.sim.seeds import FLEET_SEEDS, town_scenarios
    from motorworks.sim.town import Town

    first = FLEET_SEEDS[(config.turn - 1) * config.num_drives]
    kinds = LONG_TAIL[(config.turn - 1) * config.num_staged % len(LONG_TAIL) :] + LONG_TAIL
    scenarios = town_scenarios(first, config.num_drives - config.num_staged, num_agents=config.num_agents)
    staged = first + len(scenarios)
    scenarios += tail_scenarios(staged, config.num_staged, kinds=kinds, num_agents=config.num_agents) if config.num_staged else []
    policy = _vehicle(config, inputs, out)
    drives: list[dict[str, Any]] = []
    rollouts, clips = [], ClipWriter(out.path)
    for _, rollout in iterate_rollouts(Town(1), policy, scenarios, keep_frames=True, keep_plans=True):
        clip = replace(clip_from_rollout(rollout), source="drive")
        logs = policy.logs
        drives.append(
            {
                "rollout": replace(rollout, frames=None),
                "clip": clips.add(clip),
                "disagreement_m": [log.shadow_distance_m for log in logs],
                "health": [log.health for log in logs],
            }
        )
        rollouts.append(rollout)
        out.progress(len(rollouts), len(scenarios), "drives")
    clips.close()
    policy.vehicle.log.close()
    events = policy.vehicle.events.flush()
    (out.path / "drives.pickle").write_bytes(pickle.dumps(drives))
    (out.path / "events.json").write_text(
        json.dumps([{"trigger": event.trigger, "step": event.step, "severity": event.severity} for event in events], indent=1)
    )
    completion = [min(float(rollout.progress_m.max()) / rollout.route_length_m, 1.0) for rollout in rollouts]
    draw_strips(out, [rollouts[index] for index in choose_drives(completion, num_worst=2)])
    health = [state for drive in drives for state in drive["health"]]
    out.record(
        num_drives=len(drives),
        route_completion_frac=sum(completion) / len(completion),
        km=sum(float(r.progress_m.max()) for r in rollouts) / 1000,
        outcomes={name: sum(r.outcome == name for r in rollouts) for name in sorted({r.outcome for r in rollouts})},
        health={name: health.count(name) for name in sorted(set(health))},
        num_events=len(events),
        num_clips_saved=len(drives),
    )
    out.thin("The fleet's clock is simulated, so that a turn repeats bit for bit and no plan is late; real deadlines: adapt, `motorworks drive`.")


def _vehicle(config: DriveConfig, inputs: Inputs, out: Output) -> "VehiclePolicy":
    from motorworks.bodies.body import CAR
    from motorworks.drive.bundle import VehicleIdentity, open_bundle
    from motorworks.drive.clock import SimClock
    from motorworks.drive.log import LogWriter
    from motorworks.drive.runtime import OrtInfer, bundle_policy
    from motorworks.drive.shadow import Shadow
    from motorworks.drive.triggers import EventRecorder, TriggerLimits, standard_triggers
    from motorworks.drive.vehicle import Vehicle, VehiclePolicy
    from motorworks.policy.model import ModelPolicy

    release, adapted = inputs.one("release"), inputs.one("adapted")
    with tempfile.TemporaryDirectory() as scratch:  # a new vehicle: it has seen no release yet
        bundle = open_bundle(release.path / "bundle", release.path / "trusted_root.json", VehicleIdentity(body=CAR.name), Path(scratch) / "seen.json")
    graphs = {name: adapted.path / "shadow" / f"{name}.onnx" for name in ("vision", "plan", "think")}
    shadow = ModelPolicy(OrtInfer.from_graphs(graphs, threads=config.threads), name="shadow")
    vehicle = Vehicle(
        bundle_policy(bundle, threads=config.threads, think_every=1),
        body=CAR,
        clock=SimClock(),
        shadow=Shadow(shadow, body=CAR),
        events=EventRecorder(standard_triggers(TriggerLimits(disagreement_m=config.disagreement_m))),
        log=LogWriter(out.path / "drive.log"),
    )
    return VehiclePolicy(vehicle)

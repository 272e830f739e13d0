"""`motorworks drive`: one released bundle as the vehicle drives it, in a process without a training stack.

Seed N (from 0) is held-out town N with its first route: for N below the evaluation's number of scenarios, the very drive that was judged.
With `--scenario KIND` it is the first held-out town from 1000 + N on that has a place for what is to be staged; with a scenario's whole
name, as reports and logs give it, exactly that one.
Looking is not training: what is driven here stays under `vehicle/`, which no stage reads. The vehicle is the artifacts folder's own: what
it has once driven, it never goes back behind. Thin: a root that came with its bundle proves it whole, not whose it is; and the world waits
for each plan, though a late one is driven as late (`drive.loop` runs against a world that does not wait).
"""

import datetime
import hashlib
import json
import os
from pathlib import Path

from jaxtyping import Bool

from motorworks.bodies.body import CAR
from motorworks.datatypes.observation import Observation
from motorworks.datatypes.scenario import TRAFFIC, Scenario
from motorworks.datatypes.trajectory import Plan
from motorworks.drive.bundle import Bundle, BundleRefused, VehicleIdentity, open_bundle
from motorworks.drive.latency import time_plans
from motorworks.drive.log import Header, LogWriter
from motorworks.drive.manifest import MANIFEST_FILE
from motorworks.drive.runtime import bundle_policy
from motorworks.drive.triggers import EventRecorder
from motorworks.drive.vehicle import Vehicle, VehiclePolicy
from motorworks.factory.commands import DriveOptions
from motorworks.factory.drive_facts import Drive, fact_lines, facts_of
from motorworks.factory.drive_rerun import load_rerun, write_recording
from motorworks.factory.drive_video import write_video
from motorworks.factory.errors import BadUsage
from motorworks.factory.progress import Progress, progress_for
from motorworks.factory.recipe import nearest
from motorworks.factory.show import find_artifact
from motorworks.factory.store import Store
from motorworks.geometry.array import Array
from motorworks.policy.model import ModelPolicy
from motorworks.sim.curriculum import is_possible, tail_scenarios
from motorworks.sim.rollout import roll_out
from motorworks.sim.scenarios import SCENARIOS
from motorworks.sim.seeds import FIRST_HELD_OUT_SEED, held_out_open, town_scenarios
from motorworks.sim.town import Town
from motorworks.sim.world import WorldStep

WORLDS = ("town",)
VEHICLE, BUNDLE, TRUSTED_ROOT = "vehicle", "bundle", "trusted_root.json"
THREADS = 2
DEFAULT_SEED, DEFAULT_DIFFICULTY_FRAC = 7, 0.5
PURPOSE = "a look that no stage reads"
FIRST_STAGED = 1000  # held-out towns from here on are for staged scenarios


def drive(options: DriveOptions) -> None:
    """Verify, drive, print; nothing is loaded from a bundle that does not verify."""
    scenario = scenario_of(options)
    video, recording = _checked_file(options.video, "--video", ".mp4"), _checked_file(options.rrd, "--rrd", ".rrd")
    if recording is not None:
        load_rerun()
    folder = find_bundle(options)
    root = find_root(folder, options.artifacts)
    vehicle = options.artifacts / VEHICLE
    bundle = open_bundle(folder, root, VehicleIdentity(body=CAR.name), vehicle / "seen.json")
    progress = progress_for()
    try:
        done = drive_bundle(bundle, scenario, vehicle / "logs", progress, films=video is not None or recording is not None)
        if video is not None:
            write_video(video, done.rollout, done.steps, progress)
        if recording is not None:
            write_recording(recording, done.rollout, done.steps, progress)
    finally:
        progress.close()
    files = {name: None if file is None else str(file) for name, file in (("video", video), ("rrd", recording))}
    facts = facts_of(bundle, root, done) | files
    print(json.dumps(facts, indent=1, allow_nan=False) if options.json else fact_lines(facts))
    if recording is not None and not options.json:
        print(f"look at the recording with: rerun {recording}")


def scenario_of(options: DriveOptions) -> Scenario:
    """Where to drive."""
    if options.world not in WORLDS:
        raise BadUsage(f"no world is called {options.world!r}{nearest(options.world, WORLDS)}")
    if any(sign.isdigit() for sign in options.scenario):
        return _named(options)
    seed = DEFAULT_SEED if options.seed is None else options.seed
    difficulty = DEFAULT_DIFFICULTY_FRAC if options.difficulty is None else options.difficulty
    if seed < 0:
        raise BadUsage(f"--seed {seed}: seeds count from 0")
    if options.scenario not in SCENARIOS:
        raise BadUsage(f"no scenario is called {options.scenario!r}{nearest(options.scenario, tuple(SCENARIOS))}")
    if not 0.0 <= difficulty <= 1.0:
        raise BadUsage(f"--difficulty {difficulty}: from 0, easy, to 1, hard")
    if options.scenario == TRAFFIC:
        if options.difficulty is not None:
            raise BadUsage(f"--difficulty {difficulty}: plain traffic has none; say what is to be staged with --scenario KIND")
        return town_scenarios(FIRST_HELD_OUT_SEED + seed, 1)[0]
    with held_out_open(PURPOSE):
        return tail_scenarios(FIRST_HELD_OUT_SEED + FIRST_STAGED + seed, 1, kinds=(options.scenario,), difficulty_frac=difficulty)[0]


def _named(options: DriveOptions) -> Scenario:
    """The scenario that a report or a log names."""
    for flag, given in (("--seed", options.seed), ("--difficulty", options.difficulty)):
        if given is not None:
            raise BadUsage(f"{flag} {given}: the name {options.scenario!r} says it already")
    try:
        scenario = Scenario.named(options.scenario)
    except ValueError as error:
        raise BadUsage(f"--scenario: {error}") from error
    if scenario.world != options.world or scenario.kind not in SCENARIOS:
        raise BadUsage(f"--scenario {scenario.name}: nothing here stages {scenario.kind!r} in world {scenario.world!r}")
    with held_out_open(PURPOSE):
        if not is_possible(scenario):
            raise BadUsage(f"--scenario {scenario.name}: its town has no place for {scenario.kind}; give --scenario {scenario.kind} --seed N")
    return scenario


def find_bundle(options: DriveOptions) -> Path:
    """The bundle's folder: itself, that of a release's folder, or that of an artifact by name."""
    given = Path(options.bundle)
    if given.is_dir():
        return given / BUNDLE if (given / BUNDLE).is_dir() else given
    store = Store(options.artifacts)
    releases = {one.name for one in store.artifacts() if (one.path / BUNDLE).is_dir()}
    if options.bundle.partition("@")[0] not in releases:
        raise BadUsage(f"{options.bundle!r} is neither a folder nor an artifact with a bundle{nearest(options.bundle, sorted(releases))}")
    return find_artifact(store, options.bundle).path / BUNDLE


def find_root(folder: Path, artifacts: Path) -> Path:
    """The root this vehicle pins: the one laid beside the bundle, else that of the artifacts' own keys."""
    candidates = (folder.parent / TRUSTED_ROOT, artifacts / "keys" / TRUSTED_ROOT)
    for root in candidates:
        if root.is_file():
            return root
    fix = f"put the {TRUSTED_ROOT} of whoever signed it beside the bundle ({candidates[0]}) or at {candidates[1]}"
    raise BundleRefused(folder, "nothing here says whose signatures to trust", fix)


def drive_bundle(bundle: Bundle, scenario: Scenario, logs: Path, progress: Progress, *, films: bool) -> Drive:
    """The vehicle at 10 Hz with deadline and fallback on the real clock, through one scenario."""
    think_every = 1 if "think" in bundle.manifest.graphs else 0
    model = bundle_policy(bundle, threads=THREADS, think_every=think_every)
    # the first calls of a session take several times as long, and a car is started before it drives; this one's memory is thrown away
    time_plans(ModelPolicy(model.infer, name="warm-up", think_every=think_every), num_plans=0, pace_s=0.0)
    manifest, now = bundle.manifest, datetime.datetime.now(datetime.UTC)
    drive_id = f"{now:%Y%m%dT%H%M%SZ}-{scenario.name}-release{manifest.release}-{os.getpid()}"
    events, log = EventRecorder(), logs / f"{drive_id}.log"
    header = Header(
        policy=model.name,
        body=manifest.body,
        release=manifest.release,
        manifest_sha256=hashlib.sha256(bundle.payload[MANIFEST_FILE]).hexdigest(),
        drive_id=drive_id,
        facts={"scenario": scenario.name, "bundle": str(bundle.path), "started_utc": now.isoformat()},
    )
    progress.started(f"drive {scenario.name}", 1, 1)
    with LogWriter(log) as writer:
        writer.write(header)
        policy = VehiclePolicy(Vehicle(model, body=CAR, events=events, log=writer))

        def watch(seen: Observation, plan: Plan, step: WorldStep, live: Bool[Array, " batch"]) -> None:
            progress.advance(len(policy.logs), None, "steps", f"{3.6 * float(step.speed_mps[0]):.0f} km/h")

        with held_out_open(PURPOSE):
            rollout = roll_out(Town(1), policy, [scenario], keep_frames=films, keep_plans=films, on_step=watch)[0]
    return Drive(rollout=rollout, steps=tuple(policy.logs), events=tuple(events.flush()), log=log)


def _checked_file(file: Path | None, option: str, suffix: str) -> Path | None:
    """Before driving, not after: the file can be written where it is wanted."""
    if file is None:
        return None
    if file.suffix.lower() != suffix or file.is_dir():
        raise BadUsage(f"{option} {file}: give a file that ends in {suffix}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadUsage(f"{option} {file}: its folder cannot be made ({error})") from error
    return file

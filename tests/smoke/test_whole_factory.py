"""The whole factory at toy size, as a user runs it: one turn, the same again, the next turn; and a run that is killed."""

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from motorworks.bodies.body import CAR
from motorworks.clips.store import ClipStore
from motorworks.drive.bundle import VehicleIdentity, open_bundle
from motorworks.factory.store import WORK, Store
from motorworks.models.driving_model import DrivingModel
from motorworks.models.scaled import scaled

pytestmark = [pytest.mark.smoke, pytest.mark.slow]

REPO = Path(__file__).parents[2]
STAGES = ("ingest", "curate", "pretrain", "sft", "rl", "distil", "adapt", "evaluate", "release", "drive", "mine")
PROBES = {"stand_still", "constant_velocity", "expert"}
MODELS = {"teacher", "pretrain", "sft", "rl_before_polish", "rl", "distil_before_polish", "distil", "released_int8"}
METRICS = {"route_completion_frac", "driving_score", "epdms_style", "collisions_per_km"}
FIRST_TURN = {"small/town_clips", "small/teacher", *(f"small/turn1/{stage}" for stage in STAGES)}


@dataclass(frozen=True, kw_only=True)
class Ran:
    """One command that ended well."""

    root: Path
    outcomes: dict[str, str]
    digests: dict[str, str]
    report: Path

    def record(self, name: str) -> dict[str, Any]:
        return json.loads((self.root / name / "dev" / "record.json").read_text())

    def rows(self, name: str, file: str) -> Any:
        return json.loads((self.root / name / "dev" / file).read_text())


def command(root: Path, clips: Path, *more: str, recipe: str = "small") -> list[str]:
    chain = ("--recipe", f"tests.smoke.small_factory:{recipe}", "--artifacts", str(root), "--clips", str(clips))
    return [sys.executable, "-m", "motorworks", "run", *chain, "--json", *more]


def surroundings() -> dict[str, str]:
    one_thread = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    return {**os.environ, **one_thread, "PYTHONPATH": os.pathsep.join([str(REPO), os.environ.get("PYTHONPATH", "")])}


def run(root: Path, clips: Path, *more: str, recipe: str = "small") -> Ran:
    done = subprocess.run(command(root, clips, *more, recipe=recipe), cwd=REPO, env=surroundings(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    answer = json.loads(done.stdout)
    rows = answer["artifacts"]
    outcomes, digests = ({row["name"]: row[key] for row in rows} for key in ("outcome", "digest"))
    return Ran(root=root, outcomes=outcomes, digests=digests, report=Path(answer["report"]))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory, write_tub: Callable[..., Path]) -> Path:
    """Two recordings of a small car, so that one is held out; one torn picture; one video of nothing."""
    folder = tmp_path_factory.mktemp("recordings") / "mine"
    for number, name in enumerate(("tub_a", "tub_b")):

        def weave(index: int, record: dict[str, Any], number: int = number) -> None:
            record["user/angle"] = math.sin(index / 20 + number)

        write_tub(folder / name, 400, created_at=1.7e9 + 1000 * number, edit=weave)
    torn = folder / "tub_a" / "images" / "390_cam_image_array_.jpg"
    torn.write_bytes(torn.read_bytes()[:-60])
    (folder / "empty.mp4").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, clips: Path) -> Ran:
    """Turn 1."""
    return run(tmp_path_factory.mktemp("artifacts"), clips)


@pytest.fixture(scope="module")
def second(first: Ran, clips: Path) -> Ran:
    """Turn 2, after turn 1."""
    return run(first.root, clips, "--turn", "2")


def test_every_stage_leaves_a_record(first: Ran) -> None:
    assert set(first.outcomes) == FIRST_TURN
    for name, outcome in first.outcomes.items():
        assert outcome.startswith("built"), (name, outcome)
        record = first.record(name)
        assert record["digest"] == first.digests[name] and record["timings"]["wall_s"] >= 0
    assert not list((first.root / WORK).iterdir())


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(first: Ran) -> None:
    reasons = {row["path"]: row["reason"] for row in first.rows("small/turn1/ingest", "quarantine.json")}
    assert reasons.keys() == {"mine/empty.mp4", "mine/tub_a/images/390_cam_image_array_.jpg"}
    assert reasons["mine/empty.mp4"] == "0 bytes"
    assert "picture unreadable" in reasons["mine/tub_a/images/390_cam_image_array_.jpg"]
    tubs = {row["recording_id"]: row["split"] for row in first.rows("small/turn1/ingest", "index.json") if row["source"] == "donkeycar"}
    assert sorted(tubs.values()) == ["held_out", "train"]


def test_the_table_holds_every_probe_and_every_model(first: Ran) -> None:
    found: dict[str, set[str]] = {}
    for row in first.rows("small/turn1/evaluate", "scores.json"):
        found.setdefault(row["policy"], set()).add(row["metric"])
        assert row["low"] <= row["mean"] <= row["high"] and row["num"] >= 1
    assert found.keys() == PROBES | MODELS
    assert all(metrics >= METRICS for metrics in found.values())
    metrics = first.record("small/turn1/evaluate")["metrics"]
    # not a toy result: the expert arrives, and who stands still does not
    assert metrics["expert_completion_frac"] > 0.9 > 0.1 > metrics["stand_still_completion_frac"]


def test_held_out_real_clips_are_asked_open_loop(first: Ran) -> None:
    rows = first.rows("small/turn1/evaluate", "open_loop.json")
    assert {row["source"] for row in rows} == {"donkeycar"}
    assert {row["baseline"] for row in rows} == {"constant_velocity", "constant_curvature"}
    assert {row["model"].partition(" ")[0] for row in rows} == {"pretrain", "sft", "rl", "distil"}
    assert all(row["low"] < row["high"] for row in rows), "an interval of no width: the moments were resampled as one"


def test_the_released_bundle_verifies(first: Ran, tmp_path: Path) -> None:
    release = first.root / "small" / "turn1" / "release" / "dev"
    bundle = open_bundle(release / "bundle", release / "trusted_root.json", VehicleIdentity(body=CAR.name), tmp_path / "seen.json")
    assert bundle.manifest.release == 1 and bundle.manifest.precision == "int8"
    assert first.record("small/turn1/adapt")["metrics"]["misses"] == []


def test_the_report_needs_nothing_beside_it(first: Ran, second: Ran) -> None:
    for ran in (first, second):
        page = ran.report.read_text(encoding="utf-8")
        assert ran.report.stat().st_size < 10_000_000
        assert not re.findall(r"https?://", page)
        assert not re.findall(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=[\"'](?!data:)", page)
        assert "mine/empty.mp4" in page


def test_a_size_of_ones_own_is_trained_on_ones_own_clips_and_driven(tmp_path: Path, clips: Path) -> None:
    mine = shutil.copytree(clips, tmp_path / "mine")
    for number, picture in enumerate(sorted(mine.glob("tub_*/images/*.jpg"))):  # theirs are plain, which curation drops
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (120, 160, 3), np.uint8)).save(picture)
    made = run(tmp_path / "artifacts", mine, "--width", "24", recipe="own")
    assert all(outcome.startswith("built") for outcome in made.outcomes.values())
    curated = {row["recording_id"] for row in made.rows("own/turn1/curate", "clips.json") if row.get("num_samples")}
    tubs = {row["recording_id"]: row["split"] for row in made.rows("own/turn1/ingest", "index.json") if row["source"] == "donkeycar"}
    assert {name for name, split in tubs.items() if split == "train"} <= curated
    assert made.record("own/turn1/sft")["metrics"]["params"] == sum(value.numel() for value in DrivingModel(scaled(24).config).parameters())
    policies = {row["policy"] for row in made.rows("own/turn1/compare", "scores.json")}
    assert policies == {"pretrain", "sft", "pretrain/1", "sft/1"} | PROBES
    assert "Your model" in made.report.read_text(encoding="utf-8")


def test_nothing_changed_is_nothing_made(first: Ran, clips: Path) -> None:
    began_s = time.perf_counter()
    again = run(first.root, clips)
    print(f"repeated run: {time.perf_counter() - began_s:.1f} s")
    assert set(again.outcomes.values()) == {"reused"}
    assert again.digests == first.digests


def test_turn_two_makes_only_what_the_mined_clips_change(first: Ran, second: Ran) -> None:
    assert {name for name, outcome in second.outcomes.items() if outcome == "reused"} == FIRST_TURN
    built = {name for name, outcome in second.outcomes.items() if outcome.startswith("built")}
    assert built == {"small/turn2/redriven_clips", *(f"small/turn2/{stage}" for stage in STAGES)}
    assert second.record("small/turn2/ingest")["items"]["recording"] == {"reused": 3, "computed": 0}
    # the probes, the teacher, and the last release, which was driven as released then
    assert second.record("small/turn2/evaluate")["items"]["policy"] == {"reused": 5, "computed": len(MODELS) - 1}
    policies = {row["policy"] for row in second.rows("small/turn2/evaluate", "scores.json")}
    assert policies == PROBES | MODELS | {"previous_release"}
    earlier = {row["metric"]: row for row in first.rows("small/turn1/evaluate", "scores.json") if row["policy"] == "released_int8"}
    for row in second.rows("small/turn2/evaluate", "scores.json"):
        if row["policy"] == "previous_release":
            assert row["mean"] == earlier[row["metric"]]["mean"]


def test_what_went_wrong_comes_back_as_clips(first: Ran, second: Ran) -> None:
    def clip_ids(ran: Ran, name: str) -> set[str]:
        return set(ClipStore(ran.root / name / "dev").index)

    mined, redriven = clip_ids(first, "small/turn1/mine"), clip_ids(second, "small/turn2/redriven_clips")
    assert mined and redriven
    index = {row["clip_id"]: row for row in second.rows("small/turn2/ingest", "index.json")}
    before = {row["clip_id"]: row for row in first.rows("small/turn1/ingest", "index.json")}
    assert index.keys() == before.keys() | mined | redriven
    assert {index[clip_id]["source"] for clip_id in mined} == {"drive"}
    assert {index[clip_id]["source"] for clip_id in redriven} == {"town"}
    assert all(index[clip_id]["split"] == "train" for clip_id in mined | redriven)
    assert all(index[clip_id]["split"] == row["split"] for clip_id, row in before.items())  # a held-out recording stays held out
    manifest = second.record("small/turn2/release")["metrics"]["manifest"]
    assert manifest["release"] == 2


def kill_inside(root: Path, clips: Path, stage: str) -> None:
    """Start the run, and kill it with no warning while `stage` is being made."""
    folder = root / WORK
    child = subprocess.Popen(
        command(root, clips, recipe="small_to_sft"), cwd=REPO, env=surroundings(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        until_s = time.monotonic() + 120
        while child.poll() is None and time.monotonic() < until_s:
            if any(path.name.startswith(f"small+{stage}@") for path in (folder.iterdir() if folder.is_dir() else ())):
                time.sleep(0.2)  # some way into it
                break
            time.sleep(0.005)
    finally:
        child.kill()
        _, said = child.communicate()
    assert child.returncode == -signal.SIGKILL, said.decode()[-4000:]
    assert Store(root).find(f"small/{stage.replace('+', '/')}", "dev") is None
    assert any(folder.iterdir()), "it was killed between stages, not inside one"


def test_killed_in_the_middle_it_ends_with_the_same_digests(first: Ran, clips: Path, tmp_path: Path) -> None:
    for stage in ("town_clips", "turn1+pretrain"):
        kill_inside(tmp_path, clips, stage)
        for artifact in Store(tmp_path).artifacts():
            assert artifact.digest == first.digests[artifact.name]
    again = run(tmp_path, clips, recipe="small_to_sft")
    assert again.outcomes["small/turn1/curate"] == "reused" and again.outcomes["small/turn1/pretrain"].startswith("built")
    assert again.digests == {name: first.digests[name] for name in again.digests}
    assert not list((tmp_path / WORK).iterdir())

"""`motorworks drive`: a random model, really exported and signed, driven for some seconds; and everything that must be refused."""

import dataclasses
import functools
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import av
import msgspec
import numpy as np
import pytest

from motorworks.drive.log import read_log
from motorworks.factory import cli, commands, drive_command, drive_video
from motorworks.sim.ground import build_town
from motorworks.sim.seeds import FIRST_HELD_OUT_SEED, is_held_out
from motorworks.sim.town import Town

NUM_STEPS = 25
FACTS = {
    "model": str,
    "release": int,
    "precision": str,
    "bundle": str,
    "trusted_root": str,
    "scenario": str,
    "outcome": str,
    "collision_at_fault": bool,
    "route_completion_frac": float,
    "route_length_m": float,
    "duration_s": float,
    "mean_speed_mps": float,
    "num_plans": int,
    "plan_p50_ms": float,
    "plan_p99_ms": float,
    "plan_max_ms": float,
    "deadline_ms": float,
    "health": dict,
    "num_events": int,
    "events": dict,
    "log": str,
    "video": str,
    "rrd": type(None),
}


@pytest.fixture(scope="session")
def released(tmp_path_factory) -> Path:
    """An artifacts folder with releases 1 and 2 of one random model, a turn each."""
    import torch

    from motorworks.export.bundle import ModelCard, ReleaseConfig, build_bundle
    from motorworks.export.keys import ensure_keys
    from motorworks.export.onnx import export_graphs
    from motorworks.models.config import family
    from motorworks.models.driving_model import DrivingModel

    root = tmp_path_factory.mktemp("released")
    torch.manual_seed(0)
    model = DrivingModel(dataclasses.replace(family("pico"), depth=1, vision_depth=1))
    graphs, keys = export_graphs(model, root / ".graphs"), ensure_keys(root / "keys")
    card = ModelCard(model="random", precision="fp32", num_params=1)
    for release in (1, 2):
        folder = root / f"toy/turn{release}/release/dev"
        build_bundle(folder / "bundle", graphs, card, ReleaseConfig(release=release), keys)
        shutil.copyfile(keys.trusted_root, folder / "trusted_root.json")
        (folder / "record.json").write_text(json.dumps({"digest": "d", "fingerprint": "f", "created": f"2026-11-2{release}"}))
    build_bundle(root / "mute" / "bundle", {name: graphs[name] for name in ("vision", "plan")}, card, ReleaseConfig(release=1), keys)
    sft = root / "toy/turn1/sft/dev"
    sft.mkdir(parents=True)
    (sft / "record.json").write_text(json.dumps({"digest": "d", "fingerprint": "f", "created": "2026-11-20"}))
    return root


@dataclass(frozen=True, kw_only=True)
class Place:
    """Artifacts of one test's own, and what a command there ends with."""

    artifacts: Path

    def drive(self, *arguments: str) -> int:
        return cli.main(["drive", *arguments, "--artifacts", str(self.artifacts)])

    @property
    def logs(self) -> list[Path]:
        return sorted((self.artifacts / "vehicle" / "logs").glob("*"))


@pytest.fixture
def place(released, tmp_path, monkeypatch) -> Place:
    monkeypatch.setattr(drive_command, "Town", functools.partial(Town, max_steps=NUM_STEPS))
    shutil.copytree(released, tmp_path / "artifacts")
    return Place(artifacts=tmp_path / "artifacts")


def test_a_drive_with_a_video_never_imports_torch_and_says_everything_as_json(released, tmp_path):
    shutil.copytree(released, tmp_path / "artifacts")
    script = f"""
import functools, sys
from motorworks.factory import cli, drive_command
drive_command.Town = functools.partial(drive_command.Town, max_steps={NUM_STEPS})
code = cli.main(["drive", "toy/turn1/release@dev", "--artifacts", "artifacts", "--seed", "7", "--video", "films/out.mp4", "--json"])
rooms = [f"motorworks.{{room}}" for room in ("train", "models", "curate", "export", "factory.stages")]
print([name for name in ("torch", "onnx", "transformers", "safetensors", *rooms) if name in sys.modules], file=sys.stderr)
sys.exit(code)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(cli.__file__).parents[2]), *sys.path])}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip().splitlines()[-1] == "[]"
    facts = json.loads(done.stdout)
    assert {name: type(value) for name, value in facts.items()} == FACTS
    assert facts["scenario"] == "town-1000007-0-10" and facts["release"] == 1 and facts["outcome"] in ("timeout", "off_road", "collision")
    assert 0 < facts["plan_p50_ms"] <= facts["plan_p99_ms"] <= facts["plan_max_ms"] and 0 <= facts["route_completion_frac"] < 1
    num_steps = sum(facts["health"].values())
    assert num_steps == round(10 * facts["duration_s"]) <= NUM_STEPS and facts["num_plans"] <= num_steps
    log = read_log(tmp_path / facts["log"])
    assert len(log.steps) == num_steps and not log.message
    assert log.headers[0].release == 1 and log.headers[0].facts["scenario"] == facts["scenario"] and len(log.headers[0].manifest_sha256) == 64
    with av.open(str(tmp_path / "films/out.mp4")) as container:
        stream = container.streams.video[0]
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        assert stream.average_rate == 10
    assert len(pictures) == num_steps + 1 + drive_video.END_FRAMES
    assert pictures[0].shape == (drive_video.PICTURE_PX + drive_video.PANEL_PX, drive_video.WIDTH_PX, 3) and pictures[0].std() > 20
    assert [file.name for file in (tmp_path / "films").iterdir()] == ["out.mp4"]


def test_without_json_people_read_the_same(place, capsys):
    assert place.drive("toy/turn2/release") == 0
    said = capsys.readouterr().out
    assert said.startswith("town-1000007-0-10  ") and "random, release 2, fp32" in said and "km/h" in said and "deadline 100 ms" in said
    assert str(place.logs[0]) in said and "video" not in said


def test_a_bundle_that_does_not_think_drives_all_the_same(place):
    assert place.drive(str(place.artifacts / "mute")) == 0
    steps = read_log(place.logs[0]).steps
    assert steps and not any(step.thought or "failed" in step.reason for step in steps)


def test_a_seed_is_the_held_out_town_that_evaluate_judges():
    from motorworks.factory.stages.evaluate import EvaluateConfig, _scenarios

    judged = _scenarios(EvaluateConfig())
    for seed in (0, 7):
        driven = drive_command.scenario_of(commands.DriveOptions(bundle="b", seed=seed))
        assert driven == judged[seed] and is_held_out(driven)


def test_a_staged_scenario_is_driven_in_a_held_out_town_that_has_a_place_for_it(place, capsys):
    options = commands.DriveOptions(bundle="b", seed=3, scenario="roundabout_entry", difficulty=0.8)
    scenario = drive_command.scenario_of(options)
    assert scenario == drive_command.scenario_of(options) and is_held_out(scenario) and scenario.town_seed >= FIRST_HELD_OUT_SEED + 1003
    assert place.drive("toy/turn1/release", "--seed", "3", "--scenario", "roundabout_entry", "--difficulty", "0.8", "--json") == 0
    assert json.loads(capsys.readouterr().out)["scenario"] == scenario.name and scenario.name.endswith("-roundabout_entry-0.80")


def test_a_scenario_is_driven_again_by_its_name(place, capsys):
    from motorworks.factory.stages.evaluate import held_out, held_out_tail

    tail = held_out_tail(4, 10)
    for scenario in (*held_out(3, 10), *tail):
        assert drive_command.scenario_of(commands.DriveOptions(bundle="b", scenario=scenario.name)) == scenario
    name = tail[-1].name
    assert place.drive("toy/turn1/release", "--scenario", name, "--json") == 0
    assert json.loads(capsys.readouterr().out)["scenario"] == name
    without = next(seed for seed in range(100) if not build_town(seed).network.on_ring.any())
    assert place.drive("toy/turn1/release", "--scenario", f"town-{without}-0-10-roundabout_entry-0.50") == 2
    assert "its town has no place for roundabout_entry; give --scenario roundabout_entry --seed N" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["plan.onnx", "manifest.json", "metadata/targets.json"])
def test_one_flipped_byte_ends_with_four_and_leaves_nothing(place, capsys, name):
    file = place.artifacts / "toy/turn1/release/dev/bundle" / name
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    assert place.drive("toy/turn1/release", "--json") == 4
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("motorworks: bundle refused: ") and file.name in captured.err
    assert not (place.artifacts / "vehicle").exists(), "what was refused is neither remembered nor driven"


def test_an_older_release_is_refused_once_a_newer_one_was_driven(place, capsys):
    assert place.drive("toy/turn1/release") == 0
    assert place.drive("toy/turn2/release") == 0
    assert place.drive("toy/turn1/release") == 4
    assert "already seen" in capsys.readouterr().err and len(place.logs) == 2
    assert place.drive("toy/turn2/release") == 0, "the same release again is no step back"


def test_a_folder_is_driven_under_the_root_beside_it_or_that_of_the_keys(place, tmp_path, capsys):
    release = place.artifacts / "toy/turn1/release/dev"
    for given in (release, release / "bundle"):
        assert place.drive(str(given), "--json") == 0
        assert json.loads(capsys.readouterr().out)["trusted_root"] == str(release / "trusted_root.json")
    alone = shutil.copytree(release / "bundle", tmp_path / "alone" / "bundle")
    assert place.drive(str(alone), "--json") == 0
    assert json.loads(capsys.readouterr().out)["trusted_root"] == str(place.artifacts / "keys" / "trusted_root.json")
    shutil.rmtree(place.artifacts / "keys")
    assert place.drive(str(alone)) == 4
    assert "nothing here says whose signatures to trust; put the trusted_root.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("toy/turn1/release", "--world", "twon"), "no world is called 'twon': did you mean town?"),
        (("toy/turn1/release", "--seed", "-1"), "--seed -1: seeds count from 0"),
        (("toy/turn1/release", "--video", "out.avi"), "give a file that ends in .mp4"),
        (("toy/turn1/release", "--rrd", "out.mp4"), "--rrd out.mp4: give a file that ends in .rrd"),
        (("toy/turn1/release", "--scenario", "cutin"), "no scenario is called 'cutin': did you mean cut_in?"),
        (("toy/turn1/release", "--scenario", "cut_in", "--difficulty", "1.5"), "--difficulty 1.5: from 0, easy, to 1, hard"),
        (("toy/turn1/release", "--scenario", "cut_in", "--difficulty", "nan"), "--difficulty nan"),
        (("toy/turn1/release", "--difficulty", "0.8"), "--difficulty 0.8: plain traffic has none; say what is to be staged with --scenario KIND"),
        (("toy/turn1/release", "--scenario", "town-7-0-10", "--seed", "3"), "--seed 3: the name 'town-7-0-10' says it already"),
        (("toy/turn1/release", "--scenario", "town-7-0-10-fog-0.50", "--difficulty", "0.5"), "--difficulty 0.5: the name"),
        (("toy/turn1/release", "--scenario", "town-7-0"), "'town-7-0' is not a scenario's name, as town-12-0-10"),
        (("toy/turn1/release", "--scenario", "town-7-0-10-fog-0.50-ab12ef"), "staged with given parameters, which its name does not tell"),
        (("toy/turn1/release", "--scenario", "town-7-0-10-fogg-0.50"), "nothing here stages 'fogg' in world 'town'"),
        (("toy/turn1/release", "--scenario", "track-7-0-10"), "nothing here stages 'traffic' in world 'track'"),
        (("toy/turn1/release", "--scenario", "town-7-0-99"), "num_agents 99 is more than 32"),
        (("toy/turn1/relaese",), "neither a folder nor an artifact with a bundle: did you mean toy/turn1/release"),
        (("toy/turn1/sft",), "neither a folder nor an artifact with a bundle"),
        (("toy/turn1/release@v2",), "has no version 'v2'"),
    ],
)
def test_wrong_usage_is_one_line_and_ends_with_two(place, capsys, arguments, said):
    assert place.drive(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and said in captured.err and not place.logs


def test_a_recording_without_rerun_says_how_to_install_it_before_anything_is_driven(place, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "rerun", None)
    assert place.drive("toy/turn1/release", "--rrd", str(tmp_path / "out.rrd")) == 2
    assert "pip install 'motorworks[viz]'" in capsys.readouterr().err and not place.logs


def test_a_seed_that_is_no_number_ends_with_two(place):
    with pytest.raises(SystemExit) as caught:
        place.drive("toy/turn1/release", "--seed", "x")
    assert caught.value.code == 2


def test_a_video_that_fails_leaves_the_old_one_and_the_log(place, tmp_path, capsys, monkeypatch):
    video = tmp_path / "out.mp4"
    video.write_bytes(b"the old one")

    def torn(rollout, steps):
        yield from list(whole(rollout, steps))[:3]
        raise OSError("the disk is full")

    whole = drive_video.draw_frames
    monkeypatch.setattr(drive_video, "draw_frames", torn)
    assert place.drive("toy/turn1/release", "--video", str(video)) == 1
    assert "the disk is full" in capsys.readouterr().err
    assert video.read_bytes() == b"the old one" and [file.name for file in tmp_path.iterdir() if file.is_file()] == ["out.mp4"]
    assert read_log(place.logs[0]).steps


def test_the_panel_shows_health_and_the_end_shows_the_outcome(place, monkeypatch):
    seen = {}
    monkeypatch.setattr(drive_command, "write_video", lambda path, rollout, steps, progress: seen.update(rollout=rollout, steps=steps))
    assert place.drive("toy/turn1/release", "--video", str(place.artifacts / "out.mp4")) == 0
    steps = [with_health(seen["steps"][0], health) for health in ("ok", "late", "fallback")]
    images = [np.asarray(image) for image in drive_video.draw_frames(seen["rollout"], steps)]
    assert images[0].shape[0] % 2 == images[0].shape[1] % 2 == 0, "H.264 halves its colours"
    pill = (drive_video.PICTURE_PX + 38, drive_video.WIDTH_PX - 140)
    assert [tuple(image[pill]) for image in images[:3]] == [drive_video._HEALTH[health] for health in ("ok", "late", "fallback")]
    assert len(images) == 3 + 1 + drive_video.END_FRAMES and np.array_equal(images[-1], images[-2])
    assert tuple(images[-1][45, drive_video.CAMERA_PX // 2]) == drive_video._PANEL, "the outcome lies over the last picture"


def with_health(step, health):
    return msgspec.structs.replace(step, health=health, reason="" if health == "ok" else "a reason of some length " * 6)

"""Found by words and by looks, handed on with faces blurred, reviewed: what one types about clips that were ingested."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motorworks.bodies.body import integrate
from motorworks.clips.manifest import Manifest
from motorworks.clips.store import ClipStore, write_clips
from motorworks.curate.meaning import installed_source
from motorworks.datatypes.clip import Clip, Motion
from motorworks.datatypes.trajectory import Trajectory
from motorworks.factory import cli

FACE_ROWS, FACE_COLUMNS = slice(36, 108), slice(92, 164)
pytest.importorskip("cv2")
pytest.importorskip("lance")


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory, drawn_face: Callable[[int], np.ndarray]) -> Path:
    """A store of two drives past a face, one straight on, one with a left turn; examined."""
    folder = tmp_path_factory.mktemp("clips")
    write_clips(
        folder / "drives",
        [_drive("straight", np.zeros(80), drawn_face(30)), _drive("turning", np.repeat([0.0, 0.1, 0.0], [24, 32, 24]), drawn_face(40))],
    )
    assert cli.main(["ingest", str(folder / "drives"), "--artifacts", str(folder / "art"), "--json"]) == 0
    return folder


def _drive(name: str, curvature: np.ndarray, face: np.ndarray) -> Clip:
    """At 5 m/s, past blocks of light and shade; a face in the middle."""
    num = len(curvature)
    poses, speeds = integrate(Trajectory(accel_mps2=np.zeros(num), curvature_per_m=curvature), 5.0)
    motion = Motion(
        kind="measured",
        poses_world=np.concatenate([np.zeros((1, 3)), poses[:-1]]),
        speed_mps=np.append(5.0, speeds[:-1]),
        accel_mps2=np.zeros(num),
        curvature_per_m=curvature,
    )
    street = np.random.default_rng(len(name)).integers(30, 220, (9, 40, 3)).astype(np.uint8).repeat(16, axis=0).repeat(16, axis=1)
    frames = np.stack([street[:, 3 * step : 3 * step + 256] for step in range(num)])
    frames[:, FACE_ROWS, FACE_COLUMNS] = face[FACE_ROWS, FACE_COLUMNS]
    clock = np.arange(num, dtype=np.int64) * 100_000
    return Clip(recording_id=name, source="video", body="car", licence="CC0-1.0", timestamp_us=clock, frames=frames, motion=motion)


def _answer(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    capsys.readouterr()
    assert cli.main(list(arguments)) == code
    said = capsys.readouterr()
    return json.loads(said.out) if code == 0 else said.err


def test_clips_are_found_by_words_and_by_looks(ingested: Path, capsys: pytest.CaptureFixture[str]) -> None:
    art = ["--artifacts", str(ingested / "art"), "--json"]
    found = _answer(capsys, "search", "straight", "on", *art)
    assert found["found"][0]["recording_id"] == "straight"
    assert _answer(capsys, "search", "left", "turn", *art)["found"][0]["recording_id"] == "turning"
    like = found["found"][0]["clip_id"]
    near = _answer(capsys, "search", "--like", like[:8], "--num", "1", *art)["found"]
    assert [row["clip_id"] != like for row in near] == [True] and near[0]["score"] <= 1.0
    assert "data:image/jpeg" in Path(found["page"]).read_text()
    assert not _answer(capsys, "search", "zebra", *art)["found"]


def test_what_was_found_stands_in_tables_over_the_packs(ingested: Path, capsys: pytest.CaptureFixture[str]) -> None:
    art = ["--artifacts", str(ingested / "art")]
    sql = "SELECT recording_id, speed FROM clips JOIN looks USING (clip_id) WHERE list_contains(scenarios, 'left turn')"
    assert _answer(capsys, "search", "--sql", sql, *art, "--json") == [{"recording_id": "turning", "speed": "town"}]
    examine = ingested / "art/clips/turn1/examine/dev"
    manifest, store = Manifest(examine / "train.manifest"), ClipStore(examine)
    manifest.check()
    pin = json.loads((examine / "pins/turn.json").read_text())
    assert (
        len(manifest) == 1  # of two recordings one is held out
        and pin["manifest"] == manifest.digest
        and pin["packs"] == store.packs
        and set(pin["tables"]) == {"clips", "looks", "embeddings"}
    )
    assert "--sql" in _answer(capsys, "search", "--sql", "SELECT nothing FROM nowhere", *art, code=2)


@pytest.mark.parametrize("layout", ["lerobot", "webdataset"])
def test_export_blurs_unless_it_is_declined(ingested: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], layout: str) -> None:
    if layout == "lerobot":
        pytest.importorskip("pandas")
    art = ["--artifacts", str(ingested / "art"), "--json"]
    card = _answer(capsys, "export", str(tmp_path / "blurred"), "--layout", layout, *art)
    assert card["clips"] == 2 and "cascade" in card["blurred_with"] and card["regions_blurred"]["face"] >= 0.8 * card["pictures_looked_at"] > 0
    assert json.loads((tmp_path / "blurred/motorworks_export.json").read_text())["licences"] == card["licences"]
    plain = _answer(capsys, "export", str(tmp_path / "plain"), "--layout", layout, "--no-blur", *art)
    assert plain["blurred_with"] is None and plain["pictures_looked_at"] == 0
    one = _answer(capsys, "export", str(tmp_path / "one"), "--layout", layout, "--licence-allow", "MIT", *art, code=2)
    assert "no clip is left to export" in one and not (tmp_path / "one").exists()


def test_review_writes_its_page_of_questions(ingested: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = _answer(capsys, "review", "--no-serve", "--artifacts", str(ingested / "art"), "--json")
    assert made["questions"] > 0 and "turn left" in Path(made["page"]).read_text()


def test_what_is_asked_wrongly_is_told(ingested: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    art = ["--artifacts", str(ingested / "art")]
    assert "search for what?" in _answer(capsys, "search", *art, code=2)
    assert "have an id that begins with 'zz'" in _answer(capsys, "search", "--like", "zz", *art, code=2)
    assert "holds no examined clips" in _answer(capsys, "search", "left", "--artifacts", str(tmp_path), code=2)
    assert "needs pip install" in _answer(capsys, "search", "left", "--encoder", "installed", *art, code=2) or installed_source() is not None
    assert "is no examination" in _answer(capsys, "search", "left", "--of", "clips/turn1/ingest", *art, code=2)


def test_ingest_blurs_before_anything_is_kept(ingested: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "art"
    _answer(capsys, "ingest", str(ingested / "drives"), "--blur", "--artifacts", str(root), "--json")

    def contrast(store: Path) -> float:
        clips = ClipStore(store)
        return max(float(clips.read_front(clip_id).frames[40, 60:84, 116:140].std()) for clip_id in clips.index)

    assert contrast(root / "clips/turn1/ingest/dev") < 0.5 * contrast(ingested / "art/clips/turn1/ingest/dev")
    record = json.loads((root / "clips/turn1/ingest/dev/record.json").read_text())
    assert any("looked for with faces by cascade" in note for note in record["metrics"]["notes"])

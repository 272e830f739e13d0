"""Recordings through the door, looked at, and shown: the whole of `motorworks ingest`."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from motorworks.clips.store import write_clips
from motorworks.factory import cli

WriteTub = Callable[..., Path]


@pytest.fixture
def drives(tmp_path: Path, write_tub: WriteTub) -> Path:
    """A tub, the same tub uploaded again, a broken one, and a file of noise."""
    folder = tmp_path / "drives"
    tub = write_tub(folder / "tub", 90)
    shutil.copytree(tub, folder / "again" / "tub")
    shutil.rmtree(write_tub(folder / "broken", 70) / "images")
    (folder / "noise.mp4").write_bytes(bytes(range(256)) * 40)
    return folder


def _rows(root: Path, stage: str, file: str) -> list[dict[str, Any]]:
    return json.loads((root / f"clips/turn1/{stage}/dev/{file}").read_text())


def test_ingest_leaves_a_page_with_everything_that_came_and_did_not(drives: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "art"
    assert cli.main(["ingest", str(drives), "--artifacts", str(root), "--json"]) == 0
    page = Path(json.loads(capsys.readouterr().out)["report"]).read_text()
    rows = _rows(root, "examine", "clips.json")
    assert len(rows) == 1 and rows[0]["light"] != "unknown"  # uploaded twice, taken once
    for words in ("noise.mp4", "drives/broken", "Map", "What is missing", "To look at", "data:image/jpeg;base64"):
        assert words in page
    assert cli.main(["ingest", str(drives), "--artifacts", str(root), "--json"]) == 0
    outcomes = [row["outcome"] for row in json.loads(capsys.readouterr().out)["artifacts"]]
    assert outcomes == ["reused", "reused"]


def test_a_new_turn_examines_only_new_packs(drives: Path, tmp_path: Path, write_tub: WriteTub, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "art"
    assert cli.main(["ingest", str(drives), "--artifacts", str(root)]) == 0
    write_tub(drives / "fresh", 80, edit=lambda index, record: record.update({"user/throttle": 0.2}))
    assert cli.main(["ingest", str(drives), "--artifacts", str(root)]) == 0
    capsys.readouterr()
    record = json.loads((root / "clips/turn1/examine/dev/record.json").read_text())
    assert record["items"]["pack"] == {"reused": 1, "computed": 1}
    assert len(_rows(root, "examine", "clips.json")) == 2


def test_a_clip_that_lies_in_two_packs_is_examined_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Facts of a pack do not depend on other packs, so they may be reused beside new ones."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    from broken_inputs import clip

    root, store = tmp_path / "art", tmp_path / "store"
    for seeds in ((1, 2), (2, 3)):
        write_clips(store, [clip(seed) for seed in seeds])
        assert cli.main(["ingest", str(store), "--artifacts", str(root)]) == 0
    assert sorted(row["recording_id"] for row in _rows(root, "examine", "clips.json")) == ["stored-1", "stored-2", "stored-3"]
    assert json.loads((root / "clips/turn1/examine/dev/record.json").read_text())["items"]["pack"] == {"reused": 1, "computed": 1}

"""Bad input through the whole door: set aside by name, the rest goes on; or one clear refusal, and nothing left behind."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from motorworks.factory import cli
from motorworks.factory.errors import KeptVersionChanged, StageFailed
from motorworks.factory.run import Runner
from motorworks.factory.step import RecipeOptions
from motorworks.factory.store import Store

WriteTub = Callable[..., Path]
HERE = str(Path(__file__).parent)


@pytest.fixture(autouse=True)
def recipes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The short chains, importable by name."""
    monkeypatch.syspath_prepend(HERE)
    import ingest_recipe

    yield ingest_recipe
    sys.modules.pop("ingest_recipe", None)


def ingest(root: Path, *paths: Path, more: tuple[str, ...] = (), recipe: str = "only_ingest") -> int:
    chain = ("--recipe", f"ingest_recipe:{recipe}", "--artifacts", str(root), "--json")
    return cli.main(["run", *chain, "--clips", *map(str, paths), *more])


def rows(root: Path, file: str) -> list[dict[str, Any]]:
    return json.loads((root / "door/turn1/ingest/dev" / f"{file}.json").read_text())


def test_an_empty_folder_is_named_with_what_is_understood(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "drives"
    empty.mkdir()
    assert ingest(tmp_path / "art", empty) == 3
    said = capsys.readouterr()
    assert said.out == "" and "Traceback" not in said.err
    assert f"motorworks: {empty} is an empty folder" in said.err
    for layout in ("Donkeycar v2 tub", "comma2k19", "dash-cam video", "clip store"):
        assert layout in said.err
    assert not Store(tmp_path / "art").artifacts()


def test_a_path_that_is_not_there_is_named_before_anything_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "own", "--artifacts", str(tmp_path / "art"), "--clips", str(tmp_path / "nowhere")]) == 3
    said = capsys.readouterr().err
    assert f"motorworks: {tmp_path / 'nowhere'}: no such file or folder" in said and "town_clips" not in said


def test_nothing_readable_at_all_lists_every_reason(tmp_path: Path, write_tub: WriteTub, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "drives"
    tub = write_tub(folder / "tub", 70)
    shutil.rmtree(tub / "images")
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "noise.mkv").write_bytes(bytes(range(256)) * 40)
    assert ingest(tmp_path / "art", folder) == 3
    said = capsys.readouterr().err
    assert "motorworks: no clip could be read:" in said and "Traceback" not in said
    for line in ("drives/empty.mp4: 0 bytes", "drives/noise.mkv: undecodable", "drives/tub/images: the folder of pictures is missing"):
        assert line in said
    assert not Store(tmp_path / "art").artifacts()


def test_each_fault_is_quarantined_by_name_and_the_rest_is_ingested(tmp_path: Path, write_tub: WriteTub, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "drives"

    def back(index: int, record: dict[str, Any]) -> None:
        record["_timestamp_ms"] -= 10_000 * (index >= 100)

    def nan(index: int, record: dict[str, Any]) -> None:
        record["user/throttle"] = float("nan") if index == 100 else 0.5

    edits: dict[str, Any] = {"sound": None, "torn": None, "truncated": None, "back": back, "nan": nan}
    for number, (name, edit) in enumerate(edits.items()):
        write_tub(folder / name, 200, created_at=1.7e9 + 1000 * number, edit=edit)
    picture, catalog = folder / "torn/images/100_cam_image_array_.jpg", folder / "truncated/catalog_1.catalog"
    picture.write_bytes(picture.read_bytes()[:-60])
    catalog.write_text(catalog.read_text()[:-40])
    (folder / "empty.mp4").write_bytes(b"")

    assert ingest(tmp_path / "art", folder) == 0
    reasons = {row["path"]: row["reason"] for row in rows(tmp_path / "art", "quarantine")}
    expected = {
        "drives/torn/images/100_cam_image_array_.jpg": "picture unreadable",
        "drives/truncated/catalog_1.catalog": "line 140: not a whole record",
        "drives/back": "_timestamp_ms goes back by 9.950 s; cut there",
        "drives/nan/catalog_1.catalog": "line 41: user/throttle is nan; cut there",
        "drives/empty.mp4": "0 bytes",
    }
    assert reasons.keys() == expected.keys()
    assert all(reason in reasons[path] for path, reason in expected.items()), reasons
    assert str(tmp_path) not in json.dumps(rows(tmp_path / "art", "quarantine"))

    num_steps: dict[str, list[int]] = {}
    for row in rows(tmp_path / "art", "index"):
        num_steps.setdefault(row["tags"][0], []).append(row["num_steps"])
    # ten seconds each: whole, or in two with the fault between them
    assert num_steps.pop("tub:sound") == [100] and num_steps.pop("tub:truncated") == [100]
    assert num_steps.keys() == {"tub:torn", "tub:back", "tub:nan"}
    assert all(sorted(found) == [50, 50] for found in num_steps.values()), num_steps
    record = json.loads((tmp_path / "art/door/turn1/ingest/dev/record.json").read_text())
    assert record["metrics"]["num_quarantined"] == 5
    said = capsys.readouterr().err
    assert all(f"set aside {path}: " in said for path in expected)


def test_only_clips_under_allowed_licences_are_taken(tmp_path: Path, write_tub: WriteTub) -> None:
    tub = write_tub(tmp_path / "tub", 70)
    assert ingest(tmp_path / "art", tub, recipe="hurried_ingest", more=("--licence-allow", "MIT")) == 3
    assert ingest(tmp_path / "art", tub, recipe="hurried_ingest", more=("--licence-allow", "MIT", "unstated")) == 0


def test_namesakes_in_two_folders_are_both_named(tmp_path: Path, write_tub: WriteTub) -> None:
    write_tub(tmp_path / "drives/tub", 70)
    for day in ("monday", "tuesday"):
        (tmp_path / "drives" / day).mkdir()
        (tmp_path / "drives" / day / "front.mp4").write_bytes(b"")
    assert ingest(tmp_path / "art", tmp_path / "drives") == 0
    assert [row["path"] for row in rows(tmp_path / "art", "quarantine")] == ["drives/monday/front.mp4", "drives/tuesday/front.mp4"]


def test_what_an_earlier_run_read_does_not_change_the_answer(tmp_path: Path, write_tub: WriteTub) -> None:
    tub = write_tub(tmp_path / "a/tub_before", 70)
    assert ingest(tmp_path / "used", tub) == 0
    renamed = shutil.copytree(tub, tmp_path / "b/tub_after")
    assert ingest(tmp_path / "used", renamed) == ingest(tmp_path / "fresh", renamed) == 0
    assert rows(tmp_path / "used", "index") == rows(tmp_path / "fresh", "index")
    assert rows(tmp_path / "fresh", "index")[0]["tags"] == ["tub:tub_after"]


def test_a_stored_clip_comes_back_as_itself(tmp_path: Path, write_tub: WriteTub) -> None:
    assert ingest(tmp_path / "art", write_tub(tmp_path / "tub", 70)) == 0
    stored = tmp_path / "art/door/turn1/ingest/dev"
    assert ingest(tmp_path / "again", stored, tmp_path / "tub") == 0
    assert rows(tmp_path / "again", "index") == rows(tmp_path / "art", "index")


def test_over_budget_is_not_released_and_says_by_how_much(tmp_path: Path, recipes: Any, capsys: pytest.CaptureFixture[str]) -> None:
    lines = "plan_p99_ms is 140 ms, the budget is 100; pose_error_1s_m is 0.3 m, the budget is 0.1"
    with pytest.raises(StageFailed, match=f"not released: {lines}"):
        Runner(tmp_path).make(recipes.over_budget(RecipeOptions()))
    assert [artifact.name for artifact in Store(tmp_path).artifacts()] == ["slow/turn1/adapt"]
    assert not list(tmp_path.rglob("bundle")) and not list(tmp_path.rglob("*.onnx"))
    assert cli.main(["run", "--recipe", "ingest_recipe:over_budget", "--artifacts", str(tmp_path)]) == 1
    assert capsys.readouterr().err.strip().splitlines()[-1] == f"motorworks: not released: {lines}"


def test_a_kept_version_is_kept(tmp_path: Path, recipes: Any, write_tub: WriteTub, capsys: pytest.CaptureFixture[str]) -> None:
    tub, root, keep = write_tub(tmp_path / "tub", 70), tmp_path / "art", ("--version", "spring")
    assert ingest(root, tub, more=keep) == 0
    answer = json.loads(capsys.readouterr().out)
    assert Path(answer["report"]).name == "report-spring.html" and Path(answer["report"]).is_file()
    before = Store(root).find("door/turn1/ingest", "spring")

    catalog = tub / "catalog_0.catalog"
    catalog.write_text(catalog.read_text().replace('"user/angle": 0.0', '"user/angle": 0.5', 1))
    with pytest.raises(KeptVersionChanged, match=r"door/turn1/ingest@spring is kept(.|\n)*config\.paths\[0\]\.content: "):
        Runner(root, version="spring").make(recipes.only_ingest(RecipeOptions(clips=(tub,))))
    assert ingest(root, tub, more=keep) == 2
    said = capsys.readouterr().err
    assert "config.paths[0].content" in said and "use another --version" in said
    assert Store(root).find("door/turn1/ingest", "spring") == before
    assert ingest(root, tub) == 0  # dev goes its own way

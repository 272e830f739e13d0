"""Every kind of broken input at once: each has its line in the quarantine, nothing else has, and the rest is ingested."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from motorworks.factory import cli

HERE = str(Path(__file__).parent)


def test_thirty_kinds_of_broken_input_have_a_line_each_and_the_rest_is_taken(
    tmp_path: Path, write_tub: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(HERE)
    import broken_inputs as broken
    import deadly_reader
    import ingest_recipe  # noqa: F401  # by name, below

    from motorworks.clips import reader

    monkeypatch.setattr(reader.find, "__defaults__", ((deadly_reader.DeadlyReader(), *reader.READERS),))
    folder = tmp_path / "drives"
    expected: dict[str, str] = {}
    for name in ("videos", "telemetry", "settings", "tubs", "segments", "stores"):
        (folder / name).mkdir(parents=True)
        arguments = (write_tub,) if name == "tubs" else ()
        expected |= {f"drives/{name}/{path}": reason for path, reason in getattr(broken, name)(folder / name, *arguments)}
    for name, reason in (("segfault", "SIGSEGV"), ("loop", "ran longer than"), ("hoard", "of memory")):
        (folder / f"{name}.deadly").write_text(name)
        expected[f"drives/{name}.deadly"] = reason
    sound = write_tub(folder / "sound" / "tub", 100, created_at=1.8e9)

    chain = ("--recipe", "ingest_recipe:hurried_ingest", "--artifacts", str(tmp_path / "art"), "--json")
    assert cli.main(["run", *chain, "--clips", str(folder)]) == 0
    made = tmp_path / "art/door/turn1/ingest/dev"
    found = {row["path"]: row["reason"] for row in json.loads((made / "quarantine.json").read_text())}
    assert len(expected) >= 30
    assert {path: found.get(path, "is not in the list") for path, reason in expected.items() if reason not in found.get(path, "")} == {}
    assert found.keys() - expected.keys() == set()
    index = json.loads((made / "index.json").read_text())
    assert f"tub:{sound.name}" in {tag for row in index for tag in row["tags"]} and "file:good.mp4" in {tag for row in index for tag in row["tags"]}
    without_motion = [row for row in index if "file:drive.mp4" in row["tags"]]
    assert len(without_motion) == 9 and {row["motion_kind"] for row in without_motion} == {None}  # a bad CSV costs the motion, not the video
    sys.modules.pop("ingest_recipe", None)

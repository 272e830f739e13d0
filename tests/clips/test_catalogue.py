"""Tables over packs: made from them, never against them, and read again as they were."""

import multiprocessing
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from motorworks.clips.catalogue import TABLES, Catalogue, CatalogueBroken, clip_schema
from motorworks.clips.store import PACKS, ClipStore, write_clips
from motorworks.datatypes.clip import Clip

pytest.importorskip("lance")
pytest.importorskip("duckdb")
arrow = pytest.importorskip("pyarrow")
MakeClip = Callable[..., Clip]


@pytest.fixture
def root(make_clip: MakeClip, tmp_path: Path) -> Path:
    """A store of five clips in two packs."""
    write_clips(tmp_path, [make_clip(40, seed, recording_id=f"r{seed}") for seed in range(3)])
    write_clips(tmp_path, [make_clip(60, seed, recording_id=f"r{seed}", frames=False) for seed in range(3, 5)])
    return tmp_path


def _labels(catalogue: Catalogue, word: str) -> "arrow.Table":
    ids = catalogue.query("select clip_id from clips order by clip_id")["clip_id"]
    return arrow.table({"clip_id": ids, "label": [word] * len(ids)})


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_rows_come_from_packs_once_and_again_after_a_loss(root: Path, make_clip: MakeClip) -> None:
    catalogue = Catalogue(root)
    assert catalogue.sync() == 5 and catalogue.sync() == 0
    asked = "select recording_id, num_steps, len(cameras) as cameras, start_byte, pack from clips order by recording_id"
    rows = catalogue.query(asked).to_pylist()
    assert [(row["recording_id"], row["num_steps"], row["cameras"]) for row in rows] == [
        ("r0", 40, 1),
        ("r1", 40, 1),
        ("r2", 40, 1),
        ("r3", 60, 0),
        ("r4", 60, 0),
    ]
    write_clips(root, [make_clip(50, 9, recording_id="r9"), make_clip(40, 0, recording_id="r0")])  # one of them is there already
    assert catalogue.sync() == 1
    expected = {stored.row.clip_id for stored in ClipStore(root).index.values()}
    shutil.rmtree(root / TABLES)
    assert Catalogue(root).sync() == 6
    assert {row["clip_id"].hex() for row in Catalogue(root).query("select clip_id from clips").to_pylist()} == expected


def test_a_label_writes_few_bytes_and_touches_no_pack(root: Path) -> None:
    catalogue = Catalogue(root)
    catalogue.sync()
    packs = {path: path.stat().st_mtime_ns for path in (root / PACKS).iterdir()}
    before = _bytes(root / TABLES)
    catalogue.put("label", _labels(catalogue, "good"))
    assert _bytes(root / TABLES) - before < 5000
    assert packs == {path: path.stat().st_mtime_ns for path in (root / PACKS).iterdir()}
    joined = catalogue.query("select count(*) as num from clips join label using (clip_id) where label = 'good' and num_steps = 60")
    assert joined.to_pylist() == [{"num": 2}]


def test_a_pin_is_read_as_it_was(root: Path, make_clip: MakeClip) -> None:
    catalogue = Catalogue(root)
    catalogue.sync()
    catalogue.put("label", _labels(catalogue, "good"))
    catalogue.table("label").tags.create("turn1", 1)  # a pin was cut short here
    catalogue.pin("turn1", manifest="abc")
    write_clips(root, [make_clip(50, 9, recording_id="r9")])
    catalogue.sync()
    catalogue.put("label", _labels(catalogue, "bad"))
    catalogue.put("speed", _labels(catalogue, "fast"))
    catalogue.compact(keep=timedelta(0))
    then = Catalogue.at(root, "turn1")
    assert then.tables == ("clips", "label")
    assert then.query("select label, count(*) as num from clips join label using (clip_id) group by label").to_pylist() == [
        {"label": "good", "num": 5}
    ]
    assert catalogue.query("select label, count(*) as num from label group by label").to_pylist() == [{"label": "bad", "num": 6}]
    with pytest.raises(CatalogueBroken, match="for reading"):
        then.sync()
    with pytest.raises(FileExistsError, match="never changed"):
        catalogue.pin("turn1")


def test_what_is_missing_is_named(root: Path) -> None:
    catalogue = Catalogue(root)
    with pytest.raises(CatalogueBroken, match=r"no table 'clips'.*sync"):
        catalogue.table("clips")
    catalogue.sync()
    catalogue.pin("turn1")
    with pytest.raises(CatalogueBroken, match="no pin 'turn2': there is turn1"):
        Catalogue.at(root, "turn2")
    with pytest.raises(ValueError, match="no column clip_id"):
        catalogue.put("label", arrow.table({"id": [1]}))
    with pytest.raises(ValueError, match="clip_id is string, not the 16 bytes"):
        catalogue.put("label", arrow.table({"clip_id": ["00ff"]}))
    next((root / PACKS).iterdir()).unlink()
    with pytest.raises(CatalogueBroken, match=r"pack .* is gone"):
        Catalogue.at(root, "turn1")
    (root / "pins/turn1.json").write_text("{")
    with pytest.raises(CatalogueBroken, match="is no pin"):
        Catalogue.at(root, "turn1")


def test_processes_at_once_take_every_clip_once(tmp_path: Path) -> None:
    """Each has some clips that the next has too; at first there is no table, then one that knows none of them."""
    context = multiprocessing.get_context("spawn")  # Lance does not survive a fork
    with context.Pool(4) as pool:
        for first in (0, 1000):
            found = pool.map(_insert, [(tmp_path, range(start, start + 20)) for start in range(first, first + 40, 10)], chunksize=1)
            assert sum(found) == 50
    asked = "select count(*) as num, count(distinct clip_id) as ids from clips"
    assert Catalogue(tmp_path).query(asked).to_pylist() == [{"num": 100, "ids": 100}]


def _insert(task: tuple[Path, range]) -> int:
    root, ids = task
    empty = dict.fromkeys(clip_schema().names)
    rows = arrow.Table.from_pylist([{**empty, "clip_id": number.to_bytes(16, "big"), "pack": str(ids)} for number in ids], clip_schema())
    return Catalogue(root).insert(rows.to_reader())

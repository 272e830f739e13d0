"""Look at every clip once: how good it is, what happens in it, what it is like; then which repeat each other, and what is missing."""

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motorworks.curate.deduplicate import DuplicateConfig
from motorworks.curate.quality import QualityConfig
from motorworks.engine.engine import Failure, Limits
from motorworks.factory.artifact import Artifact, Inputs
from motorworks.factory.clip_facts import Row, coverage_of, examine_pack, read_facts
from motorworks.factory.clip_tables import have_tables, write_tables
from motorworks.factory.step import Output

if TYPE_CHECKING:
    from motorworks.clips.store import ClipStore
    from motorworks.curate.deduplicate import ClipFeatures

STRIPS = "strips"


@dataclass(frozen=True, kw_only=True)
class ExamineConfig:
    """Thresholds, and how many clips are shown."""

    quality: QualityConfig = field(default_factory=QualityConfig)
    duplicates: DuplicateConfig = field(default_factory=DuplicateConfig)
    strips_per_scenario: int = 2
    most_on_map: int = 4000
    limits: Limits = field(default_factory=lambda: Limits(timeout_s=3600.0, memory_bytes=6 << 30))  # of one pack


def run(config: ExamineConfig, inputs: Inputs, out: Output) -> None:
    """Leaves clips.json (a row per clip), coverage.json, map.json, strips/ with strips.json; packs/ with tables/ over them,
    train.manifest and a pin."""
    from motorworks.clips.store import ClipStore
    from motorworks.curate.deduplicate import find_duplicates

    ingest = inputs.one("clips")
    index = {row["clip_id"]: row for row in json.loads((ingest.path / "index.json").read_text())}
    store = ClipStore(ingest.path)
    packs = store.packs
    folders = out.try_items("pack", packs, partial(examine_pack, ingest.path, config.quality), depends_on=config.quality, limits=config.limits)
    rows: list[Row] = []
    features: list[ClipFeatures] = []
    failed: list[Row] = []
    for pack, folder in zip(packs, folders, strict=True):
        if isinstance(folder, Failure):
            failed.append({"path": pack, "reason": f"examining it {folder.reason}"})
            continue
        for row, found in read_facts(folder):
            if store.index[row["clip_id"]].pack == pack:  # of a clip that lies in two, the first
                rows.append({**index[row["clip_id"]], **row, "pack": pack})
                features.append(replace(found, body=rows[-1]["body"]))
    order = sorted(range(len(rows)), key=lambda place: (rows[place]["source"], rows[place]["recording_id"], rows[place]["start_us"]))
    rows, features = [rows[place] for place in order], [features[place] for place in order]
    for duplicate in find_duplicates(features, config.duplicates):
        rows[duplicate.clip] |= {"duplicate_of": rows[duplicate.of]["clip_id"], "duplicate_exact": duplicate.exact}
    _write(out.path / "clips.json", rows)
    _write(out.path / "failed.json", failed)
    _write(out.path / "coverage.json", [coverage_of(rows)])
    _map(config, rows, features, out)
    _strips(config, rows, store, out)
    _tables(ingest, packs, rows, features, out)
    good = [row for row in rows if not row["reasons"]]
    out.record(
        num_clips=len(rows),
        seconds_s=sum(row["num_steps"] for row in rows) / 10,
        num_good=len(good),
        num_distinct=sum("duplicate_of" not in row for row in good),
        num_duplicates=sum("duplicate_of" in row for row in rows),
        set_aside_by_reason=Counter(row["reasons"][0].partition(":")[0] for row in rows if row["reasons"]),
        scenarios=Counter(name for row in rows for name in row["scenarios"]),
        num_failed_packs=len(failed),
    )
    out.thin("Tags come from ego motion and brightness: what other road users do is not told on clips without a known scene.")


def _tables(ingest: Artifact, packs: list[str], rows: list[Row], features: "list[ClipFeatures]", out: Output) -> None:
    """The packs are linked, so that the artifact is a store of its own, with everything known about its clips."""
    if not have_tables():
        out.thin("No tables over the clips: pip install 'motorworks[data]' brings Lance.")
        return
    for pack in packs:
        out.link(ingest.path / "packs" / pack, f"packs/{pack}")
    out.volatile("tables/*")  # Lance names files at random
    out.record(num_manifest_entries=write_tables(out.path, rows, features))


def _map(config: ExamineConfig, rows: list[Row], features: "list[ClipFeatures]", out: Output) -> None:
    """Where each clip lies among the others by its looks; every n-th where there are many."""
    import numpy as np

    from motorworks.curate.cluster import map_2d

    with_pictures = [place for place, one in enumerate(features) if one.embedding is not None]
    vectors = np.stack([features[place].embedding for place in with_pictures]).astype(np.float32) if with_pictures else np.zeros((0, 1), np.float32)
    chosen = range(0, len(with_pictures), max(1, -(-len(with_pictures) // config.most_on_map)))
    flat = map_2d(vectors[list(chosen)]) if len(chosen) else np.zeros((0, 2))
    points = [
        {"clip_id": rows[with_pictures[place]]["clip_id"], "x": round(float(x), 4), "y": round(float(y), 4)}
        for place, (x, y) in zip(chosen, flat, strict=True)
    ]
    _write(out.path / "map.json", points)


def _strips(config: ExamineConfig, rows: list[Row], store: "ClipStore", out: Output) -> None:
    """Some clips of every scenario, and of every kind of fault."""
    from motorworks.factory.report.clip_strips import strip_jpeg

    (out.path / STRIPS).mkdir()
    shown: dict[str, list[Row]] = {}
    for row in rows:
        groups = [f"set aside, {row['reasons'][0].partition(':')[0]}"] if row["reasons"] else [*row["scenarios"], f"source {row['source']}"]
        for group in groups:
            shown.setdefault(group, []).append(row)
    listed = []
    for group, members in sorted(shown.items()):
        pictures = [row for row in members if store.index[row["clip_id"]].row.views and "unreadable" not in "".join(row["reasons"])]
        for row in pictures[:: max(1, len(pictures) // config.strips_per_scenario)][: config.strips_per_scenario]:
            file = f"{STRIPS}/{row['clip_id']}.jpg"
            if not (out.path / file).exists():
                (out.path / file).write_bytes(strip_jpeg(store.read_front(row["clip_id"]).frames))
            listed.append({"group": group, "file": file, "clip_id": row["clip_id"]})
    _write(out.path / "strips.json", listed)


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1))

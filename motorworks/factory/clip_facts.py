"""What one look at a clip finds, pack by pack: quality, tags, a sentence, and the features that tell repeats."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motorworks.curate.quality import QualityConfig

if TYPE_CHECKING:
    from motorworks.curate.deduplicate import ClipFeatures
    from motorworks.datatypes.clip import Clip

FACTS, VECTORS = "facts.json", "vectors.npz"
_ARE_CONDITIONS = ("dark", "bright", "low contrast", "fast", "slow", "curvy")  # of the light, the speed and the road
Row = dict[str, Any]


def examine_clip(clip: "Clip", clip_id: str, content_id: str, quality: QualityConfig) -> "tuple[Row, ClipFeatures]":
    """What is kept about a clip whose pictures are decoded."""
    import numpy as np

    from motorworks.curate.deduplicate import features_of
    from motorworks.curate.describe import CONDITIONS, conditions, describe
    from motorworks.curate.evidence import look_at
    from motorworks.curate.quality import assess
    from motorworks.curate.tags import tag_spans

    judged, evidence = assess(clip, quality), look_at(clip)
    spans = tag_spans(evidence)
    most = {axis: CONDITIONS[axis][int(np.bincount(codes).argmax())] for axis, codes in conditions(evidence).items()}
    row = {
        "clip_id": clip_id,
        "content_id": content_id,
        "start_us": int(clip.timestamp_us[0]),
        "scenarios": sorted({span.tag for span in spans}),
        "spans": [(span.tag, span.start, span.stop) for span in spans],
        **most,
        "description": describe(evidence),
        **{name: value if not isinstance(value, float) else round(value, 4) for name, value in asdict(judged).items()},
    }
    return row, features_of(clip, content_id=content_id)


def examine_pack(store_path: Path, quality: QualityConfig, pack: str, folder: Path) -> None:
    """Leaves facts.json and vectors.npz of all clips of a pack: what lies in other packs does not change them."""
    import numpy as np

    from motorworks.clips.pack import PackBroken
    from motorworks.clips.store import ClipStore

    store = ClipStore(store_path, packs=[pack])
    rows: list[Row] = []
    arrays: dict[str, Any] = {}
    for clip_id, stored in store.index.items():
        try:
            clip = store.read_front(clip_id)
        except PackBroken as error:
            rows.append(_unreadable(clip_id, stored.row.content_id, stored.row.start_us, str(error).replace(str(store_path), "")))
            continue
        row, found = examine_clip(clip, clip_id, stored.row.content_id, quality)
        parts = {"embedding": found.embedding, "looks": found.signature.looks, "motion": found.signature.motion}
        arrays |= {
            f"{name}_{len(rows)}": value.astype(np.float32) if name == "embedding" else value for name, value in parts.items() if value is not None
        }
        rows.append(row)
    np.savez(folder / VECTORS, **arrays)
    (folder / FACTS).write_text(json.dumps(rows))


def read_facts(folder: Path) -> "Iterator[tuple[Row, ClipFeatures]]":
    """What `examine_pack` left, clip by clip; the body is not among it."""
    import numpy as np

    from motorworks.curate.deduplicate import ClipFeatures, Signature

    with np.load(folder / VECTORS) as vectors:
        for place, row in enumerate(json.loads((folder / FACTS).read_text())):
            embedding, looks, motion = (vectors.get(f"{name}_{place}") for name in ("embedding", "looks", "motion"))
            signature = Signature(looks=looks, motion=motion)
            yield row, ClipFeatures(content_id=row["content_id"], body="", embedding=embedding, signature=signature)


def coverage_of(rows: list[Row]) -> Row:
    """Scenario by condition over the good clips, and what is missing in words."""
    from motorworks.curate.coverage import CoverageRow, cover
    from motorworks.curate.describe import CONDITIONS
    from motorworks.curate.tags import TAGS

    seen = [
        CoverageRow(
            seconds_s=row["num_steps"] / 10, scenarios=row["scenarios"], conditions={name: row[name] for name in ("light", "speed", "road", "source")}
        )
        for row in rows
        if not row["reasons"]
    ]
    table = cover(seen, scenarios=[name for name in TAGS if name not in _ARE_CONDITIONS], conditions=CONDITIONS)
    return {
        "scenarios": table.scenarios,
        "conditions": table.conditions,
        "num_clips": table.num_clips.tolist(),
        "of_condition": table.of_condition.tolist(),
        "missing": table.missing(),
    }


def _unreadable(clip_id: str, content_id: str, start_us: int, reason: str) -> Row:
    empty = {"scenarios": [], "spans": [], "light": "unknown", "speed": "unknown", "road": "unknown", "description": ""}
    return {"clip_id": clip_id, "content_id": content_id, "start_us": start_us, **empty, "reasons": [f"unreadable: {reason}"]}

"""What an examination leaves for those who ask later: Lance tables over the packs, the manifest that training reads, and a pin of both."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from motorworks.curate.deduplicate import ClipFeatures

MANIFEST, PIN = "train.manifest", "turn"
_QUALITY = ("sharpness", "brightness", "blown_frac", "still_frac", "repeated_frac", "flow_correlation", "bad_frac", "clock_jitter_s")
_WORDS = ("split", "light", "speed", "road", "description")
Row = dict[str, Any]


def have_tables() -> bool:
    """Whether Lance is installed; it comes with motorworks[data]."""
    return importlib.util.find_spec("lance") is not None


def write_tables(folder: Path, rows: Sequence[Row], features: "Sequence[ClipFeatures]") -> int:
    """In a folder with packs/: tables `clips`, `looks` and `embeddings` by clip_id, train.manifest of the clips worth training on, and the
    pin `turn`. Returns the number of the manifest's entries."""
    from motorworks.clips.catalogue import Catalogue
    from motorworks.clips.manifest import Manifest, write_manifest
    from motorworks.clips.store import ClipStore

    catalogue, store = Catalogue(folder), ClipStore(folder)
    catalogue.sync()
    catalogue.put("looks", _looks(rows))
    if (embeddings := _embeddings(rows, features)) is not None:
        catalogue.put("embeddings", embeddings)
    chosen = [row["clip_id"] for row in rows if row["split"] == "train" and not row["reasons"] and "duplicate_of" not in row]
    num = write_manifest(folder / MANIFEST, (store.index[clip_id] for clip_id in chosen))
    catalogue.pin(PIN, manifest=Manifest(folder / MANIFEST).digest)
    return num


def _looks(rows: Sequence[Row]) -> Any:
    import pyarrow as arrow

    texts, numbers = arrow.string(), arrow.float32()
    columns = {
        "clip_id": _ids([row["clip_id"] for row in rows]),
        "scenarios": arrow.array([row["scenarios"] for row in rows], arrow.list_(texts)),
        "reasons": arrow.array([row["reasons"] for row in rows], arrow.list_(texts)),
        "duplicate_of": arrow.array([bytes.fromhex(row["duplicate_of"]) if "duplicate_of" in row else None for row in rows], arrow.binary(16)),
        **{name: arrow.array([row[name] for row in rows], texts) for name in _WORDS},
        **{name: arrow.array([row.get(name) for row in rows], numbers) for name in _QUALITY},
    }
    return arrow.table(columns)


def _embeddings(rows: Sequence[Row], features: "Sequence[ClipFeatures]") -> Any:
    """None where no clip has pictures."""
    import numpy as np
    import pyarrow as arrow

    seen = [(row["clip_id"], one.embedding) for row, one in zip(rows, features, strict=True) if one.embedding is not None]
    if not seen:
        return None
    vectors = np.stack([vector for _, vector in seen]).astype(np.float32)
    column = arrow.FixedSizeListArray.from_arrays(arrow.array(vectors.reshape(-1)), vectors.shape[1])
    return arrow.table({"clip_id": _ids([clip_id for clip_id, _ in seen]), "vector": column})


def _ids(clip_ids: Sequence[str]) -> Any:
    import pyarrow as arrow

    return arrow.array([bytes.fromhex(clip_id) for clip_id in clip_ids], arrow.binary(16))

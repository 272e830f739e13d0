"""What an examination leaves for those who ask later: Lance tables over the packs, the manifest that training reads, and a pin of both."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from motorworks.curate.deduplicate import ClipFeatures

MANIFEST, PIN, EMBEDDINGS = "train.manifest", "turn", "embeddings"
_QUALITY = ("sharpness", "brightness", "blown_frac", "still_frac", "repeated_frac", "flow_correlation", "bad_frac", "clock_jitter_s")
_WORDS = ("split", "light", "speed", "road", "description")
Row = dict[str, Any]


def have_tables() -> bool:
    """Whether Lance is installed; it comes with motorworks[data]."""
    return importlib.util.find_spec("lance") is not None


def write_tables(folder: Path, rows: Sequence[Row], features: "Sequence[ClipFeatures]") -> int:
    """In a folder with packs/: tables `clips`, `looks` and `embeddings` by clip_id, train.manifest of the clips worth training on, and the
    pin `turn`. Returns the number of the manifest's entries."""
    import numpy as np

    from motorworks.clips.catalogue import Catalogue
    from motorworks.clips.manifest import Manifest, write_manifest
    from motorworks.clips.store import ClipStore
    from motorworks.curate.embed import LayoutEmbedder
    from motorworks.curate.search import index_vectors, vector_table

    catalogue, store = Catalogue(folder), ClipStore(folder)
    catalogue.sync()
    catalogue.put("looks", _looks(rows))
    seen = {row["clip_id"]: one.embedding for row, one in zip(rows, features, strict=True) if one.embedding is not None}
    if seen:
        catalogue.put(EMBEDDINGS, vector_table(list(seen), np.stack(list(seen.values())), embedder=LayoutEmbedder().name))
        index_vectors(catalogue.table(EMBEDDINGS))
    chosen = [row["clip_id"] for row in rows if row["split"] == "train" and not row["reasons"] and "duplicate_of" not in row]
    num = write_manifest(folder / MANIFEST, (store.index[clip_id] for clip_id in chosen))
    catalogue.pin(PIN, manifest=Manifest(folder / MANIFEST).digest)
    return num


def _looks(rows: Sequence[Row]) -> Any:
    import pyarrow as arrow

    texts, numbers = arrow.string(), arrow.float32()
    columns = {
        "clip_id": arrow.array([bytes.fromhex(row["clip_id"]) for row in rows], arrow.binary(16)),
        "scenarios": arrow.array([row["scenarios"] for row in rows], arrow.list_(texts)),
        "reasons": arrow.array([row["reasons"] for row in rows], arrow.list_(texts)),
        "duplicate_of": arrow.array([bytes.fromhex(row["duplicate_of"]) if "duplicate_of" in row else None for row in rows], arrow.binary(16)),
        **{name: arrow.array([row[name] for row in rows], texts) for name in _WORDS},
        **{name: arrow.array([row.get(name) for row in rows], numbers) for name in _QUALITY},
    }
    return arrow.table(columns)

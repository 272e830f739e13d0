"""What an ingest left and what a look at it found, for the commands that ask about clips: search, export, review."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from motorworks.clips.catalogue import Catalogue
from motorworks.clips.store import ClipStore
from motorworks.curate.search import Found, VectorIndex, WordIndex, index_vectors, vector_table
from motorworks.datatypes.clip import Clip
from motorworks.factory.artifact import Artifact
from motorworks.factory.clip_tables import EMBEDDINGS, PIN
from motorworks.factory.errors import BadUsage
from motorworks.factory.fingerprint import digest
from motorworks.factory.show import find_artifact
from motorworks.factory.store import Store

MEANINGS = "meanings"
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Examined clips: a row of facts each, by id, and the store that they lie in."""

    examine: Artifact
    rows: dict[str, Row]
    store: ClipStore

    @property
    def good(self) -> list[Row]:
        """Neither set aside nor a repeat of another."""
        return [row for row in self.rows.values() if not row["reasons"] and "duplicate_of" not in row]

    def clip_id(self, start: str) -> str:
        """The whole id of one that begins so."""
        found = [clip_id for clip_id in self.rows if clip_id.startswith(start)]
        if len(found) != 1:
            raise BadUsage(f"{len(found)} clips of {self.examine} have an id that begins with {start!r}: `motorworks search WORDS` shows ids")
        return found[0]

    def by_words(self, words: str, num: int) -> list[Found]:
        """The best descriptions; a name as a file's or a scenario's is a word too."""
        return self._words.search(words, num)

    def by_meaning(self, words: str, num: int, indexes: Path, source: str | Path) -> list[Found]:
        """The descriptions that mean most nearly this, by a sentence encoder; the index is built once, in `indexes`."""
        from motorworks.curate.meaning import SentenceEmbedder

        embedder = SentenceEmbedder(source)
        tables = Catalogue(indexes / f"{self.examine.digest[:16]}-{digest(embedder.name)[:8]}")
        if MEANINGS not in tables.tables:
            vectors = embedder.embed([row["description"] for row in self.rows.values()])
            tables.put(MEANINGS, vector_table(list(self.rows), vectors, embedder=embedder.name))
            index_vectors(tables.table(MEANINGS))
        return VectorIndex(tables.table(MEANINGS)).search(embedder.embed([words])[0], num)

    def like(self, clip_id: str, num: int) -> list[Found]:
        """The clips that look most like one; itself is not among them."""
        tables = Catalogue.at(self.examine.path, PIN)
        index = VectorIndex(tables.table(EMBEDDINGS)) if EMBEDDINGS in tables.tables else None
        vector = index.vector(clip_id) if index is not None else None
        if index is None or vector is None:
            raise BadUsage(f"clip {clip_id} has no picture that could be compared")
        return [found for found in index.search(vector, num + 1) if found.clip_id != clip_id][:num]

    def clips(self, rows: Sequence[Row]) -> Iterator[Clip]:
        """One after another, pictures still encoded."""
        return (self.store.read(row["clip_id"], decode=False) for row in rows)

    @cached_property
    def _words(self) -> WordIndex:
        names = ("description", "light", "speed", "road", "source", "recording_id")
        said = [" ".join([*(row[name] for name in names), *row["scenarios"], *row["tags"]]) for row in self.rows.values()]
        return WordIndex(list(self.rows), said)


def open_corpus(artifacts: Path, of: str) -> Corpus:
    """Of the examination called `of` (NAME[@VERSION]), or the newest one."""
    store = Store(artifacts)
    if of:
        examine = find_artifact(store, of)
    else:
        examined = [one for one in store.artifacts() if one.name.endswith("/examine")]
        if not examined:
            raise BadUsage(f"{artifacts} holds no examined clips: `motorworks ingest PATH` makes some")
        examine = max(examined, key=lambda one: str(one.record["created"]))
    if not (examine.path / "clips.json").is_file() or "clips" not in examine.record["inputs"]:
        raise BadUsage(f"{examine} is no examination of clips: give one that ends with /examine")
    (ingest,) = examine.record["inputs"]["clips"]
    rows = json.loads((examine.path / "clips.json").read_text())
    return Corpus(examine=examine, rows={row["clip_id"]: row for row in rows}, store=ClipStore(find_artifact(store, ingest).path))

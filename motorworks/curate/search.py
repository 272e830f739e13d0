"""Clips like this one, and clips by words: nearest vectors, exactly for few and by an index of Lance's for many; words by BM25."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from motorworks.geometry.array import Array

EXACT_UP_TO = 50_000  # vectors: below it a matrix product is quicker than any index
_NPROBES, _REFINE = 20, 5  # recall 0.999 of the ten nearest at 100k vectors of 384, measured


@dataclass(frozen=True, kw_only=True)
class Found:
    """A clip and how near it is: cosine for vectors, BM25 for words."""

    clip_id: str
    score: float


class VectorIndex:
    """Vectors of length 1 by clip: a Lance dataset with the columns of `vector_table`, perhaps indexed."""

    def __init__(self, dataset: Any):
        self._dataset, self.indexed = dataset, bool(dataset.describe_indices())
        self.embedder = (dataset.schema.metadata or {}).get(b"embedder", b"").decode()
        self._exact: tuple[list[bytes], Any] | None = None

    def __len__(self) -> int:
        return int(self._dataset.count_rows())

    def vector(self, clip_id: str) -> Float[Array, " dim"] | None:
        """A clip's own, or None."""
        ids = self._dataset.to_table(columns=["clip_id"])["clip_id"].to_pylist()
        place = bytes.fromhex(clip_id)
        return np.array(self._dataset.take([ids.index(place)], columns=["vector"])["vector"][0].as_py()) if place in ids else None

    def search(self, query: Float[Array, " dim"], num: int = 10, *, exact: bool = False) -> list[Found]:
        """The nearest by cosine, best first."""
        if self.indexed and not exact:
            nearest = {"column": "vector", "q": query.astype(np.float32), "k": num, "nprobes": _NPROBES, "refine_factor": _REFINE, "metric": "cosine"}
            rows = self._dataset.to_table(columns=["clip_id", "_distance"], nearest=nearest).to_pydict()
            return [Found(clip_id=clip_id.hex(), score=1 - distance) for clip_id, distance in zip(rows["clip_id"], rows["_distance"], strict=True)]
        if self._exact is None:
            table = self._dataset.to_table(columns=["clip_id", "vector"])
            vectors = table["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(len(table), -1)
            self._exact = table["clip_id"].to_pylist(), vectors
        ids, vectors = self._exact
        scores = vectors @ query.astype(np.float32)
        best = np.argpartition(-scores, min(num, len(scores) - 1))[:num]
        return [Found(clip_id=ids[place].hex(), score=float(scores[place])) for place in best[np.argsort(-scores[best], kind="stable")]]


def vector_table(clip_ids: Sequence[str], vectors: Float[Array, "num dim"], *, embedder: str) -> Any:
    """The Arrow table clip_id (16 bytes), vector; `embedder` is the name of what made the vectors."""
    import pyarrow

    if len(clip_ids) != len(vectors) or not len(vectors):
        raise ValueError(f"{len(clip_ids)} clip ids and {len(vectors)} vectors: as many of each, and at least one")
    ids = pyarrow.array([bytes.fromhex(clip_id) for clip_id in clip_ids], pyarrow.binary(16))
    values = pyarrow.array(np.ascontiguousarray(vectors, np.float32).reshape(-1))
    columns = {"clip_id": ids, "vector": pyarrow.FixedSizeListArray.from_arrays(values, vectors.shape[1])}
    return pyarrow.table(columns).replace_schema_metadata({"embedder": embedder})


def index_vectors(dataset: Any) -> None:
    """Gives a dataset of vectors the index that makes many of them quick to search; few have none."""
    num = int(dataset.count_rows())
    if num > EXACT_UP_TO:
        partitions = 2 ** round(math.log2(math.sqrt(num)))
        dataset.create_index("vector", index_type="IVF_RQ", metric="cosine", num_partitions=partitions, num_bits=1)


class WordIndex:
    """Descriptions by clip, searched by words (BM25, Robertson and Zaragoza 2009; k1 1.2, b 0.75). Plurals and -ing are cut; nothing is learnt."""

    def __init__(self, clip_ids: Sequence[str], descriptions: Sequence[str]):
        self._ids = list(clip_ids)
        documents = [Counter(_words(text)) for text in descriptions]
        self._lengths = np.array([sum(document.values()) for document in documents], np.float64)
        self._postings: dict[str, list[tuple[int, int]]] = {}
        for number, document in enumerate(documents):
            for word, times in document.items():
                self._postings.setdefault(word, []).append((number, times))

    def search(self, query: str, num: int = 10) -> list[Found]:
        """The best first; clips that share no word with the query are not found."""
        scores = np.zeros(len(self._ids))
        mean_length = max(self._lengths.mean(), 1e-9) if len(self._lengths) else 1.0
        for word in set(_words(query)):
            rows = self._postings.get(word, [])
            rarity = math.log(1 + (len(self._ids) - len(rows) + 0.5) / (len(rows) + 0.5))
            for number, times in rows:
                scores[number] += rarity * times * 2.2 / (times + 1.2 * (0.25 + 0.75 * self._lengths[number] / mean_length))
        best = np.argsort(-scores, kind="stable")[:num]
        return [Found(clip_id=self._ids[place], score=float(scores[place])) for place in best if scores[place] > 0]


def _words(text: str) -> list[str]:
    words = re.findall(r"[a-z0-9]+", text.lower())
    return [re.sub(r"(ing|es|s)$", "", word) if len(word) > 4 else word for word in words]

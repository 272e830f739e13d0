"""What is near is found, by vectors and by words."""

from pathlib import Path

import numpy as np
import pytest

from motorworks.clips.catalogue import Catalogue
from motorworks.curate import search
from motorworks.curate.search import VectorIndex, WordIndex, index_vectors, vector_table

pytest.importorskip("lance")


def _vectors(num: int, dim: int = 32) -> np.ndarray:
    rng = np.random.default_rng(0)
    vectors = np.repeat(rng.normal(size=(num // 10, dim)), 10, axis=0) + 0.4 * rng.normal(size=(num, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _index(folder: Path, vectors: np.ndarray, embedder: str) -> VectorIndex:
    tables = Catalogue(folder)
    tables.put("vectors", vector_table([f"{number:032x}" for number in range(len(vectors))], vectors, embedder=embedder))
    index_vectors(tables.table("vectors"))
    return VectorIndex(tables.table("vectors"))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_index_finds_what_an_exact_search_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "EXACT_UP_TO", 1000)
    vectors = _vectors(6000)
    index = _index(tmp_path, vectors, "layout-1")
    assert index.indexed and len(index) == 6000
    recall = []
    for query in vectors[::300]:
        exact = [one.clip_id for one in index.search(query, exact=True)]
        recall.append(len({one.clip_id for one in index.search(query)} & set(exact)) / 10)
    assert np.mean(recall) >= 0.95
    assert index.search(vectors[17])[0].clip_id == f"{17:032x}"


def test_few_vectors_are_searched_exactly_and_replaced_whole(tmp_path: Path) -> None:
    vectors = _vectors(50)
    _index(tmp_path, vectors, "layout-1")
    index = _index(tmp_path, vectors[:40], "dino")
    best = index.search(vectors[3], 3)
    assert not index.indexed and index.embedder == "dino" and len(index) == 40
    assert best[0].clip_id == f"{3:032x}" and best[0].score == pytest.approx(1, abs=1e-5)
    np.testing.assert_array_equal(index.vector(f"{3:032x}"), vectors[3])
    assert index.vector(f"{45:032x}") is None
    with pytest.raises(ValueError, match="40 clip ids and 50 vectors"):
        vector_table([f"{number:032x}" for number in range(40)], vectors, embedder="dino")


def test_words_find_what_they_describe() -> None:
    descriptions = [
        "a car brakes hard, then turns left; dark",
        "a car follows the road; day",
        "a small car turns right and stops",
        "a car turns left; day",
    ]
    index = WordIndex(list("abcd"), descriptions)
    assert index.search("turning left in the dark")[0].clip_id == "a"
    assert {one.clip_id for one in index.search("turn left")} >= {"a", "d"}
    assert index.search("aeroplane") == []

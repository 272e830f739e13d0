"""What is near is found, by vectors and by words."""

from pathlib import Path

import numpy as np
import pytest

from motorworks.curate import search
from motorworks.curate.search import VectorIndex, WordIndex, build_index

pytest.importorskip("lance")


def _vectors(num: int, dim: int = 32) -> np.ndarray:
    rng = np.random.default_rng(0)
    vectors = np.repeat(rng.normal(size=(num // 10, dim)), 10, axis=0) + 0.4 * rng.normal(size=(num, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_index_finds_what_an_exact_search_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "EXACT_UP_TO", 1000)
    vectors = _vectors(6000)
    index = build_index(tmp_path / "index", [f"{number:032x}" for number in range(6000)], vectors, embedder="layout-1")
    assert index.indexed and len(index) == 6000
    recall = []
    for query in vectors[::300]:
        exact = [one.clip_id for one in index.search(query, exact=True)]
        recall.append(len({one.clip_id for one in index.search(query)} & set(exact)) / 10)
    assert np.mean(recall) >= 0.95
    assert index.search(vectors[17])[0].clip_id == f"{17:032x}"


def test_few_vectors_are_searched_exactly_and_an_index_is_replaced_whole(tmp_path: Path) -> None:
    vectors = _vectors(50)
    build_index(tmp_path / "index", [str(number) for number in range(50)], vectors, embedder="layout-1")
    index = build_index(tmp_path / "index", [str(number) for number in range(40)], vectors[:40], embedder="dino")
    best = index.search(vectors[3], 3)
    assert not index.indexed and index.embedder == "dino" and best[0].clip_id == "3" and best[0].score == pytest.approx(1, abs=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == ["index"]
    with pytest.raises(ValueError, match="40 clip ids and 50 vectors"):
        build_index(tmp_path / "index", [str(number) for number in range(40)], vectors, embedder="dino")
    (tmp_path / "index/index.json").write_text("{")
    with pytest.raises(ValueError, match="is no index of clips"):
        VectorIndex(tmp_path / "index")


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

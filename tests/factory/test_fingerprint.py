"""Fingerprints: the same for the same, another for another, and strict about what cannot be written down."""

import enum
from dataclasses import dataclass, make_dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from motorworks.factory.content import RACY_NS, StatCache, path_content
from motorworks.factory.errors import BadInput, CannotFingerprint
from motorworks.factory.fingerprint import changes, digest, plain

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def write_down(value):
    return plain(value, where="config", content=lambda path: {"content": path.name})


class Colour(enum.Enum):
    RED = 1


@dataclass(frozen=True)
class Frozen:
    path: Path = Path("clips")
    colour: Colour = Colour.RED


@given(PLAIN)
@settings(deadline=None)
def test_plain_values_are_written_as_they_are(value):
    assert write_down(value) == value
    assert changes(write_down(value), write_down(value)) == []


@given(PLAIN, PLAIN)
@settings(deadline=None)
@example({"a": None}, {})
@example([1], [True])
@example(1, 1.0)
def test_something_is_said_to_have_changed_exactly_where_the_digests_differ(one, other):
    assert bool(changes(write_down(one), write_down(other))) == (digest(write_down(one)) != digest(write_down(other)))


@given(st.dictionaries(st.text(), st.integers(), min_size=2))
@settings(deadline=None)
def test_order_of_keys_does_not_count(mapping):
    assert digest(write_down(mapping)) == digest(write_down(dict(reversed(mapping.items()))))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (float("nan"), "config.x is nan"),
        (float("inf"), "config.x is inf"),
        (print, "builtin_function_or_method"),
        (lambda: 0, "function"),
        (object(), "builtins.object"),
        ({1, 2}, "builtins.set"),
        (b"raw", "builtins.bytes"),
        (np.int64(3), "numpy.int64"),
        (np.zeros(2), "numpy.ndarray"),
        ({1: 2}, "keys must be text"),
        (make_dataclass("Loose", ["a"])(a=1), "frozen=True"),
    ],
)
def test_what_cannot_be_written_down_raises_and_names_the_field(value, said):
    with pytest.raises(CannotFingerprint, match=said) as caught:
        write_down({"x": value})
    assert "config.x" in str(caught.value)


def test_dataclasses_say_their_type_and_paths_their_content():
    written = write_down(Frozen())
    assert written["type"].endswith("Frozen") and written["path"] == {"content": "clips"}
    assert written["colour"]["name"] == "RED"


def test_content_sees_changes_renames_and_new_files_but_not_the_place(tmp_path):
    def content(folder):
        return path_content(folder, StatCache())["content"]

    for place in ("a", "b"):
        (tmp_path / place / "clip").mkdir(parents=True)
        (tmp_path / place / "clip" / "x").write_text("1")
    before = content(tmp_path / "a" / "clip")
    assert before == content(tmp_path / "b" / "clip")
    (tmp_path / "a" / "clip" / "x").rename(tmp_path / "a" / "clip" / "y")
    renamed = content(tmp_path / "a" / "clip")
    (tmp_path / "a" / "clip" / "z").touch()
    assert len({before, renamed, content(tmp_path / "a" / "clip")}) == 3
    (tmp_path / "b" / "clip" / "loop").symlink_to(tmp_path / "b")  # a link to a folder above does not run for ever
    assert content(tmp_path / "b" / "clip")
    (tmp_path / "b" / "clip" / "nowhere").symlink_to(tmp_path / "missing")
    assert content(tmp_path / "b" / "clip")
    with pytest.raises(BadInput, match="no such file"):
        path_content(tmp_path / "none", StatCache())


def test_stat_cache_reads_again_only_what_moved(tmp_path, monkeypatch):
    import os

    file = tmp_path / "clip.bin"
    file.write_text("one")
    long_ago_ns = file.stat().st_mtime_ns - 10 * RACY_NS
    os.utime(file, ns=(long_ago_ns, long_ago_ns))
    cache = StatCache(tmp_path / "cache.json")
    first = cache.sha256(file)
    cache.save()
    with monkeypatch.context() as patched:
        patched.setattr("motorworks.factory.content.sha256_file", lambda path: pytest.fail("read again"))
        assert StatCache(tmp_path / "cache.json").sha256(file) == first
    file.write_text("two")  # young: hashed, and not remembered
    changed = StatCache(tmp_path / "cache.json")
    assert changed.sha256(file) != first
    (tmp_path / "cache.json").write_text("{torn")
    assert StatCache(tmp_path / "cache.json").sha256(file) == changed.sha256(file)

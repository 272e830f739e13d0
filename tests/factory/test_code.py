"""Which edits make a stage new: those of code that it can reach."""

import pytest

from motorworks.factory import code


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "edited"
    (folder / "deep").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "deep" / "__init__.py").write_text("")
    (folder / "stage.py").write_text(
        "def run():\n    from edited.deep import late\n    from . import near\n    import motorworks.factory.report.html\n"
    )
    for name in ("deep/late", "near", "unrelated", "deep/unreached"):
        (folder / f"{name}.py").write_text("VALUE = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def revision() -> str:
    code._source.cache_clear()
    code._origin.cache_clear()
    return code.code_revision("edited.stage")


def test_reached_code_counts_and_other_code_does_not(package):
    before = revision()
    for name in ("unrelated", "deep/unreached"):
        (package / f"{name}.py").write_text("VALUE = 2\n")
    assert revision() == before
    seen = {before}
    for name in ("stage", "deep/late", "near", "deep/__init__"):
        file = package / f"{name}.py"
        file.write_text(file.read_text() + "OTHER = 2\n")
        seen.add(revision())
    assert len(seen) == 5


def test_the_machinery_that_moves_artifacts_does_not_count(package):
    (package / "near.py").write_text("from motorworks.factory.step import Output\n")
    reached = set()
    original = code._source

    def spy(name, roots):
        reached.add(name)
        return original(name, roots)

    code._source, before = spy, code._source
    try:
        revision_of = code.code_revision("edited.stage")
    finally:
        code._source = before
    assert revision_of and "edited.near" in reached
    assert not reached & code.MACHINERY


def test_every_machinery_module_exists():
    for name in code.MACHINERY:
        assert code._path(name, frozenset({"motorworks"})) is not None, name

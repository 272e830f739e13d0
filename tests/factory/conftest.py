"""The toy recipe is a module that stages, fingerprints and spawned processes can import by name."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

HERE = str(Path(__file__).parent)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    if HERE not in sys.path:
        sys.path.append(HERE)
    import toy_recipe

    return toy_recipe

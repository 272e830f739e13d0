"""What every room's tests share: where the real recordings are, and one thread."""

import os
from pathlib import Path

import pytest

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # two threads on small tensors beside a busy neighbour are several times slower than one


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real recordings; a test that needs it is skipped where it is absent."""
    folder = Path(os.environ.get("MOTORWORKS_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real recordings at {folder}: set MOTORWORKS_DATA")
    return folder


class Golden:
    """Texts that are reviewed as a diff; `make golden` writes them afresh."""

    def __init__(self, folder: Path):
        self._folder = folder

    def check(self, name: str, text: str) -> None:
        """The text is what lies in tests/golden/<name>."""
        path = self._folder / name
        if os.environ.get("MOTORWORKS_GOLDEN") == "refresh":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert path.is_file(), f"{path} is missing: run `make golden` and review it"
        assert text == path.read_text(), f"{path.name} changed: if that is meant, run `make golden` and review the diff"


@pytest.fixture(scope="session")
def golden() -> Golden:
    """Compare with tests/golden/; give such a test a name with `golden` in it."""
    return Golden(Path(__file__).parent / "golden")

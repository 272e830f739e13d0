"""What every room's tests share: where the real recordings are, and one thread."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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


def _write_tub(
    tub: Path,
    num: int = 100,
    *,
    created_at: float = 1.7e9,
    deleted: tuple[int, ...] = (),
    edit: Callable[[int, dict], object] | None = None,
    angle: float = 0.0,
    throttle: float = 0.5,
) -> Path:
    (tub / "images").mkdir(parents=True)
    lines = []
    for index in range(num):
        image = f"{index}_cam_image_array_.jpg"
        Image.fromarray(np.full((24, 32, 3), (index * 2) % 250, np.uint8)).save(tub / "images" / image)
        record = {
            "_index": index,
            "_session_id": "s_0",
            "_timestamp_ms": 1_700_000_000_000 + 50 * index,
            "cam/image_array": image,
            "user/angle": angle,
            "user/mode": "user",
            "user/throttle": throttle,
        }
        if edit:
            edit(index, record)
        lines.append(json.dumps(record))
    (tub / "catalog_0.catalog").write_text("\n".join(lines[:60]) + "\n")
    (tub / "catalog_1.catalog").write_text("\n".join(lines[60:]) + "\n")
    manifest = [
        ["cam/image_array", "user/angle", "user/throttle", "user/mode"],
        ["image_array", "float", "float", "str"],
        {},
        {"created_at": created_at},
        {"paths": ["catalog_0.catalog", "catalog_1.catalog"], "current_index": num, "max_len": 60, "deleted_indexes": list(deleted)},
    ]
    (tub / "manifest.json").write_text("\n".join(json.dumps(line) for line in manifest) + "\n")
    return tub


@pytest.fixture(scope="session")
def write_tub() -> Callable[..., Path]:
    """`write_tub(folder, num, ...)` writes a Donkeycar v2 tub at 20 Hz; `edit(index, record)` may change a record before it is written."""
    return _write_tub

"""What every room's tests share: where the real recordings are, and one thread."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

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


@pytest.fixture(scope="session")
def drawn_face() -> Callable[[int], np.ndarray]:
    """`drawn_face(width_px)`: a face amid a grey picture of 256 by 144, that a face finder takes for one."""
    return _drawn_face


def _drawn_face(width_px: int) -> np.ndarray:
    """Hair, brows, eyes, nose and mouth on a grey street of 144 rows."""
    picture = np.full((144, 256, 3), 120, np.uint8)
    y, x = np.mgrid[0:144, 0:256] - np.array([72, 128])[:, None, None]
    a, b = width_px * 0.42, width_px * 0.55

    def spot(across: float, down: float, wide: float, high: float, colour: tuple[int, int, int]) -> None:
        picture[((x - across * a) / (wide * a)) ** 2 + ((y - down * b) / (high * b)) ** 2 < 1] = colour

    spot(0, 0, 1, 1, (210, 180, 160))
    spot(0, -0.75, 1.05, 0.45, (50, 35, 25))
    for side in (-0.42, 0.42):
        spot(side, -0.15, 0.25, 0.1, (40, 30, 30))
        spot(side, -0.32, 0.32, 0.05, (60, 45, 40))
    spot(0, 0.15, 0.08, 0.2, (235, 205, 190))
    spot(0, 0.5, 0.4, 0.1, (120, 50, 50))
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(width_px / 40)))

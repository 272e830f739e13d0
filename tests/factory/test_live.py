"""While a stage trains, the five figures of its run stand in the progress line; what it leaves knows nothing of them."""

import json
import re
import sys
from pathlib import Path

import pytest

from motorworks.factory.progress import Silent
from motorworks.factory.run import Runner
from motorworks.factory.step import RecipeOptions

sys.path.append(str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[1] / "train"))
import learning_recipe

FIGURES = re.compile(r"loss (\d+\.\d{3}) · allocated (\d+), busy (\d+), goodput (\d+), MFU (\d+), effective (\d+) %")


class Noted(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int | None, str]] = []

    def advance(self, done: int, total: int | None, unit: str, note: str) -> None:
        """Steps and what is said of them."""
        if unit == "steps":
            self.told.append((done, total, note))


def test_the_five_figures_are_told_at_every_recorded_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPS", "5")
    noted = Noted()
    artifact = Runner(tmp_path, progress=noted).make(learning_recipe.learning(RecipeOptions()))["learning/turn1/fit"]
    assert [told[:2] for told in noted.told] == [(done, 5) for done in range(1, 6)]
    curve, metrics = json.loads((artifact.path / "curves.json").read_text()), artifact.metrics
    for row, (_, _, note) in zip(curve, noted.told, strict=True):
        found = FIGURES.fullmatch(note)
        assert found is not None and float(found[1]) == pytest.approx(row["loss"], abs=6e-4)
    assert not any(name.endswith("_s") for row in curve for name in row["parts"])
    allocated, busy, goodput, mfu, effective = (int(value) for value in found.groups()[1:])
    assert allocated == round(100 * metrics["allocated_frac"]) and 0 < effective <= mfu and 0 < busy <= goodput <= 100  # nothing was lost

"""A trained member as a folder of the Hub: what is in it is what the records say, and it is read back."""

import json
from pathlib import Path

import pytest
import torch

from motorworks.factory import cli
from motorworks.factory.publish import card
from motorworks.factory.store import Store
from motorworks.models.config import family
from motorworks.models.driving_model import DrivingModel
from motorworks.train.checkpoint import load_folder, save


def _artifact(root: Path, name: str, record: dict[str, object]) -> Path:
    folder = root / name / "dev"
    folder.mkdir(parents=True)
    base = {"name": name, "version": "dev", "stage": "s:run", "created": "2026-01-02T03:04:05Z", "fingerprint": "f", "fingerprint_fields": {}}
    machine = {"processor": "a processor", "num_cores": 2}
    rest = {"inputs": {}, "machine": machine, "timings": {"wall_s": 1.0}, "items": {}, "metrics": {}, "thin": [], "volatile": [], "digest": "d" * 64}
    (folder / "record.json").write_text(json.dumps({**base, **rest, **record}))
    return folder


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    root = tmp_path / "art"
    clips = _artifact(root, "tiny/turn1/ingest", {"metrics": {"clips_by_source": {"town": 3}, "seconds_by_source": {"town": 24.0}}})
    (clips / "index.json").write_text(json.dumps([{"licence": "CC-BY-4.0"}, {"licence": "MIT"}]))
    _artifact(root, "tiny/turn1/curate", {"inputs": {"clips": ["tiny/turn1/ingest@dev"]}})
    fitted = {"inputs": {"samples": ["tiny/turn1/curate@dev"]}, "metrics": {"params": 12345, "last_loss": 0.5}, "thin": ["little data"]}
    torch.manual_seed(0)
    save(_artifact(root, "tiny/turn1/sft", fitted) / "model.safetensors", DrivingModel(family("pico")))
    judged = _artifact(root, "tiny/turn1/evaluate", {"inputs": {"sft": ["tiny/turn1/sft@dev"]}})
    row = {"policy": "sft", "world": "town", "metric": "route_completion_frac", "mean": 0.31, "low": 0.2, "high": 0.4, "num": 16}
    (judged / "scores.json").write_text(json.dumps([row, {**row, "policy": "rl", "mean": 0.99}]))
    return root


def test_the_folder_holds_the_model_its_shape_and_what_the_records_say(artifacts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "hub"
    assert cli.main(["publish", "tiny/turn1/sft", str(out), "--artifacts", str(artifacts)]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    torch.manual_seed(0)
    expected = DrivingModel(family("pico")).state_dict()
    model, config = load_folder(out)
    assert config == family("pico") and all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())
    text = (out / "README.md").read_text()
    for words in (
        "3 clips of town, 24 s",
        "CC-BY-4.0, MIT",
        "params: 1.234e+04",
        "| sft | town | route_completion_frac | 0.310 | 0.200 to 0.400 | 16 |",
    ):
        assert words in text
    assert "little data" in text and "0.990" not in text
    assert cli.main(["publish", "tiny/turn1/sft", str(out), "--artifacts", str(artifacts)]) == 2
    assert "exists: give a new folder" in capsys.readouterr().err


def test_nothing_is_said_that_no_record_says(artifacts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lonely = next(one for one in Store(artifacts).artifacts() if one.name == "tiny/turn1/curate")
    assert "nothing is said about how it drives" in card(lonely, [], [])
    assert cli.main(["publish", "tiny/turn1/curate", str(tmp_path / "hub"), "--artifacts", str(artifacts)]) == 2
    assert "holds no model.safetensors" in capsys.readouterr().err and not (tmp_path / "hub").exists()


def test_a_config_of_another_shape_is_refused(artifacts: Path, tmp_path: Path) -> None:
    out = tmp_path / "hub"
    assert cli.main(["publish", "tiny/turn1/sft", str(out), "--artifacts", str(artifacts)]) == 0
    facts = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps({**facts, "depth": 7}))
    with pytest.raises(ValueError, match=r"config.json: depth is 7, the weights are of 2"):
        load_folder(out)

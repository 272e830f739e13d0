"""The recipe for a GPU: its rehearsal is the same graph, without a GPU it says what to do, and a pace is measured and shown."""

import importlib.util
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from motorworks.factory.errors import StageFailed
from motorworks.factory.report.write import write_report
from motorworks.factory.run import Runner, order
from motorworks.factory.stages import check_device, pace
from motorworks.factory.stages.check_device import CheckDeviceConfig
from motorworks.factory.stages.pace import PaceConfig
from motorworks.factory.step import RecipeOptions, Step
from motorworks.models.scaled import scaled
from motorworks.train.fit_config import FitConfig
from recipes import h100

sys.path.append(str(Path(__file__).parent))
import toy_scaling

OPTIONS = RecipeOptions()


def _graph(*goals: Step, scale: h100.Scale) -> set[tuple[str, str, tuple[str, ...]]]:
    """Names, stages and what each reads, with the sizes taken out of the names."""

    def plain(name: str) -> str:
        for number, width in enumerate(scale.widths):
            name = re.sub(rf"width_{width}(?=_|/)", f"member {number}", name)
        return name.removeprefix(scale.name)

    return {(plain(step.name), step.stage, tuple(sorted(plain(read.name) for read in step.steps_read()))) for step in order(*goals)}


def test_the_rehearsal_is_the_same_graph() -> None:
    whole = (*h100.h100(OPTIONS), *h100.clips(OPTIONS), *h100.pace(OPTIONS), *h100.scaling(OPTIONS), *h100.members(OPTIONS))
    assert _graph(*whole, scale=h100.H100) == _graph(*h100.rehearsal(OPTIONS), scale=h100.REHEARSAL)
    on = {name: {getattr(step.config, "device", "") for step in order(*goals)} for name, goals in (("h100", whole), ("r", h100.rehearsal(OPTIONS)))}
    assert on == {"h100": {"cuda", ""}, "r": {"cpu", ""}}
    loops = [step.config.loop for step in order(*whole) if hasattr(step.config, "loop")]
    assert [loop.device for loop in loops] == ["cuda", "cuda"] and all(loop.fit.precision == "bf16" for loop in loops[:1])


def test_without_a_gpu_the_first_step_says_what_runs_here(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    for recipe in (h100.h100, h100.scaling):
        first = order(*recipe(OPTIONS))[0]
        assert first.run is check_device.run
        with pytest.raises(StageFailed, match=r"torch .* finds none.*recipes\.h100:rehearsal"):
            Runner(tmp_path).make(*recipe(OPTIONS))


@pytest.mark.slow
def test_the_rehearsed_grid_trains_in_bf16_and_says_what_the_largest_will_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = Step(name="toy/turn1/curate", run=toy_scaling.curated, config=toy_scaling.Curated(num_recordings=24, samples_each=12))
    monkeypatch.setattr(h100, "_samples", lambda scale, options: samples)  # in place of drives of the town
    goals = h100.scaling_rehearsal(OPTIONS)
    made = Runner(tmp_path).make(*goals)
    here, sizes = "rehearsal_scaling/turn1", h100.REHEARSAL.grid
    rows, last = (json.loads((made[f"{here}/{stage}"].path / "cells.json").read_text()) for stage in ("grid", "largest"))
    assert len(rows) == 9 and {row["batch_size"] for row in [*rows, *last]} == {sizes.batch_size}
    assert [row["width"] for row in last] == [sizes.largest_width]
    configs = [step.config for step in order(*goals) if hasattr(step.config, "precision")]
    assert len(configs) == 3 and all(config.precision == "bf16" for config in configs)
    assert {row["width"] for row in json.loads((made["rehearsal_scaling/speed"].path / "speed.json").read_text())} == {*sizes.widths, 40}
    assert "error_frac" in json.loads((made[f"{here}/check"].path / "check.json").read_text())
    page = write_report(tmp_path, "rehearsal_scaling", 1).read_text()
    assert "isoFLOP" in page and "incomplete" not in page


def test_a_pace_is_measured_and_shown(tmp_path: Path) -> None:
    samples = Step(name="toy/samples", run=toy_scaling.curated, config=toy_scaling.Curated(num_recordings=1))
    fit = FitConfig(steps=3, batch_size=4, muon=False, precision="bf16")
    steps = [Step(name="toy/turn1/device", run=check_device.run, config=CheckDeviceConfig(device="cpu", instead="", threads=1))]
    for width in (16, 24):
        config = PaceConfig(model=scaled(width).config, fit=fit, warm_steps=1, threads=1)
        steps.append(Step(name=f"toy/turn1/width_{width}/pace", run=pace.run, config=config, inputs={"samples": samples}))
    made = Runner(tmp_path).make(*steps)
    assert made["toy/turn1/device"].metrics["peak_gemm_bf16_flops"] > 0
    artifact = made["toy/turn1/width_16/pace"]
    row = artifact.metrics
    assert 0 < row["mfu_frac"] < 1 and row["tokens_per_s"] > row["samples_per_s"] > 0 and row["peak_memory_gb"] is None
    if importlib.util.find_spec("accelerate") is None:
        assert row["trainer_ratio"] is None and "pip install accelerate" in artifact.record["thin"][0]
    page = write_report(tmp_path, "toy", 1).read_text()
    assert page.index("width 16") < page.index("width 24") and "Warm steps of 4 samples in bf16 on cpu" in page and "incomplete" not in page


def test_a_pace_of_nothing_is_refused() -> None:
    fit = FitConfig(steps=4, muon=False)
    for wrong in (replace(fit, muon=True), replace(fit, think_every=2)):
        with pytest.raises(ValueError, match="fit needs"):
            PaceConfig(model=scaled(16).config, fit=wrong, warm_steps=1)
    with pytest.raises(ValueError, match="more than the 4 warm steps"):
        PaceConfig(model=scaled(16).config, fit=fit, warm_steps=4)

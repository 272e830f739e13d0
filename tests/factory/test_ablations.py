"""Ablations: the chains hold what they say, and the page shows what `compare` left."""

import json
from dataclasses import asdict
from pathlib import Path
from xml.etree import ElementTree

import pytest

from motorworks.factory.ablation_docs import standalone
from motorworks.factory.report.ablations_page import markdown, plots
from motorworks.factory.report.records import read_turn
from motorworks.factory.report.write import write_report
from motorworks.factory.run import order
from motorworks.factory.stages.compare import CompareConfig
from motorworks.factory.step import RecipeOptions, Step
from recipes import ablations


def _chain(goal: Step) -> dict[str, Step]:
    return {step.name.removeprefix("ablations/turn1/"): step for step in order(goal)}


def test_arms_of_heads_differ_in_their_heads_alone() -> None:
    steps = _chain(ablations.heads(RecipeOptions()))
    tuned = {name: step.config for name, step in steps.items() if name.endswith("_1/sft")}
    plain = asdict(tuned["heads/proposals_1/sft"].model)
    for name, config in tuned.items():
        different = {field for field, value in asdict(config.model).items() if value != plain[field]}
        assert different <= {"action_head", "extra_heads", "flow_insulated", "num_proposals"}, name
        assert config.fit == tuned["heads/proposals_1/sft"].fit
    shapes = {
        tuple(asdict(config.model)[name] for name in ("action_head", "extra_heads", "flow_insulated", "num_proposals")) for config in tuned.values()
    }
    assert len(shapes) == len(tuned) == len(steps["heads/compare"].config.arms)
    seeds = {config.fit.seed for name, step in steps.items() if name.endswith("/sft") for config in (step.config,)}
    assert seeds == set(ablations.SEEDS) and len({id(step) for name, step in steps.items() if name == "curate"}) == 1


def test_the_other_studies_vary_what_they_are_about() -> None:
    world, vision = (_chain(study(RecipeOptions())) for study in (ablations.world, ablations.vision))
    easy, hard = (_chain(goal) for goal in ablations.thoughts(RecipeOptions()))
    arms = [world[f"world/{arm}_1/pretrain"].config for arm in world["world/compare"].config.arms]
    assert {(config.fit.losses.world > 0, config.share) for config in arms} == {(on, share) for on in (True, False) for share in (1 / 16, 0.25, 1.0)}
    tokens = [vision[f"vision/{arm}_1/sft"].config.model.latents_per_frame for arm in vision["vision/compare"].config.arms]
    assert tokens == [8, 16, 32]
    judged, staged = easy["thoughts/compare"], hard["thoughts_hard/compare"]
    assert staged.inputs == judged.inputs and staged.config.tail and not judged.config.tail
    rigs = _chain(ablations.views(RecipeOptions()))
    seen = [rigs[f"views/{arm}_1/sft"].config.model for arm in rigs["views/compare"].config.arms]
    assert [(shape.num_views, shape.num_frames) for shape in seen] == [(1, 2), (1, 4), (3, 2), (3, 4)]
    assert (rigs["rig3_curate"].config.num_views, rigs["rig3_curate"].config.num_frames) == (3, 4)  # one set of samples for all
    assert all(judged.inputs[arm] is judged.inputs["off"] for arm in judged.config.arms)  # the same models
    assert judged.config.thinking == {"text": "text", "latent": "latent", "adaptive_text": "text"}


def test_a_comparison_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="name none but them"):
        CompareConfig(title="t", question="q", arms=("a", "b"), thinking={"c": "text"})
    with pytest.raises(ValueError, match="two or more"):
        CompareConfig(title="t", question="q", arms=("a",))


def test_the_page_shows_every_arm_and_its_interval(tmp_path: Path) -> None:
    folder = tmp_path / "ablations/turn1/heads/compare/dev"
    folder.mkdir(parents=True)
    interval = {"world": "town", "num": 24}
    scores = [
        {"policy": policy, "metric": "driving_score", "mean": mean, "low": mean - 4, "high": mean + 4, **interval}
        for policy, mean in (("proposals", 40.0), ("proposals/1", 39.0), ("tokens", 46.0), ("tokens/1", 47.0), ("stand_still", 9.0))
    ]
    paired = [{"a": "tokens", "b": "proposals", "metric": "driving_score", "mean": 6.0, "low": 1.5, "high": 9.0, "num": 24}]
    for name, rows in (("scores", scores), ("paired", paired)):
        (folder / f"{name}.json").write_text(json.dumps(rows))
    metrics = {"title": "Action heads", "question": "Which?", "arms": ["proposals", "tokens"], "num_scenarios": 24, "num_seeds": 1}
    record = {"name": "ablations/turn1/heads/compare", "metrics": metrics, "thin": ["one seed <only>"], "inputs": {}, "created": "2026-01-02"}
    (folder / "record.json").write_text(json.dumps(record))
    page = write_report(tmp_path, "ablations", 1).read_text()
    for words in (
        "Action heads",
        "Which? 24 held-out scenarios, 1 training seeds",
        "46 <small>[42, 50]</small>",
        "tokens − proposals",
        "one seed &lt;only&gt;",
    ):
        assert words in page
    assert "incomplete" not in page and 'class="z"' in page and "tokens/1" in page
    record = next(iter(read_turn(tmp_path, "ablations", 1).records.values()))
    drawing = ElementTree.fromstring(standalone(plots(record)[0]))  # a file of its own, well-formed, with its colours
    assert drawing.tag.endswith("}svg") and "--good:" in drawing[0].text
    table = markdown(record)
    assert "| `tokens` | 46 [42, 50] |" in table and "| `stand_still` | 9 [5, 13] |" in table and "| *tokens − proposals* | +6 [1.5, 9] |" in table

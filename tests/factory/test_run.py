"""What is made again, what is not, and what is never overwritten."""

from dataclasses import replace
from pathlib import Path

import pytest

from motorworks.engine.process import ProcessEngine
from motorworks.factory.errors import BadUsage, KeptVersionChanged
from motorworks.factory.run import Runner, order
from motorworks.factory.step import RecipeOptions, Step


def chain(toy, **changes):
    goal = toy.toy(RecipeOptions())
    gathered = goal.inputs["gather"]
    return replace(goal, inputs={"gather": replace(gathered, config=replace(gathered.config, **changes))})


def test_second_run_reuses_everything(toy, tmp_path):
    first = Runner(tmp_path).make(chain(toy))
    runner = Runner(tmp_path)
    second = runner.make(chain(toy))
    assert set(runner.outcomes.values()) == {"reused"}
    assert {name: one.record for name, one in first.items()} == {name: one.record for name, one in second.items()}
    record = second["toy/turn1/gather"].record
    assert record["metrics"] == {"num_items": 3, "curve": [1, 2.5]}
    assert record["timings"]["wall_s"] >= 0 and record["timings"]["peak_rss_mb"] > 1
    assert second["toy/turn1/count"].record["thin"] == ["only counts"]
    assert second["toy/turn1/count"].record["inputs"] == {"gather": ["toy/turn1/gather@dev"]}


def test_dev_is_rebuilt_and_equal_content_stops_the_rebuilding(toy, tmp_path):
    Runner(tmp_path).make(chain(toy))
    runner = Runner(tmp_path)
    runner.make(chain(toy, pause_s=0.001))  # another config, the same files
    assert runner.outcomes["toy/turn1/gather"].startswith("built")
    assert runner.outcomes["toy/turn1/count"] == "reused"
    runner = Runner(tmp_path)
    made = runner.make(chain(toy, num_items=5))
    assert runner.outcomes["toy/turn1/count"].startswith("built")
    assert (made["toy/turn1/count"].path / "count.txt").read_text() == "5"


def test_only_new_items_are_computed(toy, tmp_path):
    Runner(tmp_path).make(chain(toy))
    made = Runner(tmp_path).make(chain(toy, num_items=5))
    assert made["toy/turn1/gather"].record["items"] == {"item": {"reused": 3, "computed": 2}}
    made = Runner(tmp_path).make(chain(toy, num_items=5, factor=2.0))  # what the items depend on
    assert made["toy/turn1/gather"].record["items"] == {"item": {"reused": 0, "computed": 5}}
    turn2 = Runner(tmp_path).make(toy.toy(RecipeOptions(turn=2)))
    assert turn2["toy/turn2/gather"].record["items"] == {"item": {"reused": 4, "computed": 0}}


def test_a_shard_that_an_artifact_links_does_not_change_with_the_artifact(toy, tmp_path):
    made = Runner(tmp_path).make(chain(toy))
    item = made["toy/turn1/gather"].path / "items/item0/item.txt"
    assert item.read_text() == "item0 1.0"
    Runner(tmp_path).make(chain(toy, factor=3.0))
    assert item.read_text() == "item0 3.0"
    again = Runner(tmp_path).make(chain(toy))
    assert item.read_text() == "item0 1.0"
    assert again["toy/turn1/gather"].record["items"]["item"] == {"reused": 3, "computed": 0}


def test_kept_version_names_what_changed(toy, tmp_path):
    kept = Runner(tmp_path, version="spring").make(chain(toy))
    with pytest.raises(KeptVersionChanged, match=r"toy/turn1/gather@spring is kept(.|\n)*config\.num_items: 3 → 4"):
        Runner(tmp_path, version="spring").make(chain(toy, num_items=4))
    assert Runner(tmp_path, version="spring").make(chain(toy)) == kept


def test_keeping_a_dev_turn_copies_nothing_anew(toy, tmp_path):
    dev = Runner(tmp_path).make(chain(toy))
    runner = Runner(tmp_path, version="v1")
    kept = runner.make(chain(toy))
    assert runner.outcomes["toy/turn1/gather"] == "reused toy/turn1/gather@dev"
    assert kept["toy/turn1/gather"].digest == dev["toy/turn1/gather"].digest
    Runner(tmp_path).make(chain(toy, num_items=9))  # dev moves on, v1 stays
    assert len(list(kept["toy/turn1/gather"].path.glob("items/*"))) == 3
    assert Runner(tmp_path).store.find("toy/turn1/gather", "v1").record["version"] == "v1"


def test_plan_says_what_would_happen(toy, tmp_path):
    states = [(one.state, one.why) for one in Runner(tmp_path).plan(chain(toy))]
    assert states == [("run", "not made yet"), ("waits", "after toy/turn1/gather")]
    assert not list(tmp_path.rglob("record.json"))
    Runner(tmp_path).make(chain(toy))
    assert [one.state for one in Runner(tmp_path).plan(chain(toy))] == ["cached", "cached"]
    assert Runner(tmp_path).plan(chain(toy, factor=2.0))[0].why == "config.factor: 1.0 → 2.0"


def test_a_stage_alone_needs_its_inputs(toy, tmp_path):
    goal = chain(toy)
    with pytest.raises(BadUsage, match="run `motorworks stage toy/turn1/gather` first"):
        Runner(tmp_path).make_only(goal)
    Runner(tmp_path).make_only(goal.inputs["gather"])
    assert (Runner(tmp_path).make_only(goal).path / "count.txt").read_text() == "3"
    asked = Runner(tmp_path).check_ready(goal, num=1)
    Runner(tmp_path).make_only(goal, asked=asked)
    with pytest.raises(BadUsage, match=r"is another step on .* code or environment differ: code"):
        Runner(tmp_path).make_only(goal, asked={**asked, "code": "of another node"})


def test_clips_count_by_content_not_by_place(toy, tmp_path):
    for place in ("here", "there"):
        (tmp_path / place / "tub").mkdir(parents=True)
        (tmp_path / place / "tub" / "frame").write_text("road")
    root = tmp_path / "artifacts"
    Runner(root).make(chain(toy, clips=(tmp_path / "here" / "tub",)))
    runner = Runner(root)
    runner.make(chain(toy, clips=(tmp_path / "there" / "tub",)))
    assert runner.outcomes["toy/turn1/gather"] == "reused"
    (tmp_path / "there" / "tub" / "frame").write_text("ditch")
    assert "content" in Runner(root).plan(chain(toy, clips=(tmp_path / "there" / "tub",)))[0].why


def test_clashing_names_and_circles_are_refused(toy):
    first = Step(name="toy/x", run=toy.gather, config=toy.Gather())
    other = Step(name="toy/x", run=toy.gather, config=toy.Gather(num_items=1))
    with pytest.raises(BadUsage, match="two different steps are called toy/x"):
        order(first, other)
    assert order(first, Step(name="toy/x", run=toy.gather, config=toy.Gather())) == [first]
    circle = Step(name="toy/y", run=toy.gather, config=None, inputs={"a": Step(name="toy/y", run=toy.gather, config=None)})
    with pytest.raises(BadUsage, match="circle"):
        order(circle)
    with pytest.raises(BadUsage, match="function of a module"):
        Step(name="toy/z", run=lambda config, inputs, out: None, config=None)
    with pytest.raises(BadUsage, match="not a name"):
        Step(name="../escape", run=toy.gather, config=None)


def test_list_does_not_look_into_artifacts(toy, tmp_path):
    made = Runner(tmp_path).make(chain(toy))
    assert [one.name for one in Runner(tmp_path).store.artifacts()] == sorted(made)
    assert Runner(tmp_path).store.sweep() == 0
    assert not list((tmp_path / ".tmp").iterdir())


def test_paths_in_the_record_are_relative_to_nothing(toy, tmp_path):
    made = Runner(tmp_path / "a").make(chain(toy))
    moved = Path((tmp_path / "a").rename(tmp_path / "b"))
    runner = Runner(moved)
    assert runner.make(chain(toy))["toy/turn1/count"].digest == made["toy/turn1/count"].digest
    assert set(runner.outcomes.values()) == {"reused"}


def test_where_work_runs_does_not_change_what_is_made(toy, tmp_path):
    here = Runner(tmp_path / "here").make(chain(toy, num_items=5))
    processes = Runner(tmp_path / "processes", engine=ProcessEngine(2)).make(chain(toy, num_items=5))
    assert {name: one.digest for name, one in here.items()} == {name: one.digest for name, one in processes.items()}
    assert processes["toy/turn1/gather"].record["machine"]["num_workers"] == 2

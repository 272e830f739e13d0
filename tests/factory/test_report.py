"""The report renders from whatever a turn left, escapes what it shows, and needs nothing beside it."""

import json
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorworks.bodies.body import CAR
from motorworks.datatypes.failure import Failure
from motorworks.datatypes.scenario import Scenario
from motorworks.datatypes.trajectory import Trajectory
from motorworks.factory.report.charts import Curve, curves, ticks
from motorworks.factory.report.long_tail import read_failure, replay_command, worst_failures
from motorworks.factory.report.records import STAGES, read_turn
from motorworks.factory.report.strips import draw_plan
from motorworks.factory.report.write import write_report

sys.path.append(str(Path(__file__).parent))
from fake_turn import CAMERA, explained, failure_lines, group_rows, leave, leave_whole_turn, road_frames


class Page(HTMLParser):
    """Unclosed tags and everything a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href", "data", "action", "xlink:href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag


def parsed(path: Path) -> tuple[str, Page]:
    page, text = Page(), path.read_text()
    page.feed(text)
    assert page.open == []
    return text, page


def test_a_whole_turn_is_one_file_that_fetches_nothing(tmp_path: Path) -> None:
    leave_whole_turn(tmp_path)
    path = write_report(tmp_path, "tiny", 1)
    text, page = parsed(path)
    assert path == tmp_path / "tiny/turn1/report.html"
    assert all(value.startswith(("#", "data:image/")) for value in page.fetched) and "url(" not in text and "@import" not in text
    assert path.stat().st_size < 10_000_000
    assert [entry.name for entry in path.parent.iterdir() if entry.name.startswith(".")] == []
    for said in (
        "85.5 %",
        "14.2 ms",
        "truncated at line 212",
        "leaves the lane in a left bend",
        "polish is 40 updates only",
        "12.5 points",
        "does not beat it",
    ):
        assert said in text, said


def test_words_from_outside_are_escaped_and_files_outside_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    leave_whole_turn(tmp_path)
    text, page = parsed(write_report(tmp_path, "tiny", 1))
    assert page.scripts == 1 and "hit &lt;script&gt;alert(1)&lt;/script&gt; lead" in text and "<b>44</b>" not in text
    assert text.count("data:image/") == 1


@pytest.mark.parametrize("stage", STAGES)
def test_one_stage_alone_renders_and_the_others_are_named(tmp_path: Path, stage: str) -> None:
    whole = tmp_path / "whole"
    leave_whole_turn(whole)
    (tmp_path / "tiny/turn1").mkdir(parents=True)
    (whole / "tiny/turn1" / stage).rename(tmp_path / "tiny/turn1" / stage)
    text, _ = parsed(write_report(tmp_path, "tiny", 1))
    missing = re.search(r"No record of: ([^.]*)\.", text)
    assert missing and missing.group(1).split(", ") == [other for other in STAGES if other != stage]


def test_the_long_tail_shows_the_worst_first_and_the_rest_on_demand(tmp_path: Path) -> None:
    leave_whole_turn(tmp_path)
    text, _ = parsed(write_report(tmp_path, "tiny", 1))
    section = text[text.index('<section id="situations">') : text.index('<section id="vehicle">')]
    shown, _, folded_away = section[section.index("<table") :].partition("<details>")
    assert shown.index("every drive") < shown.index("plain traffic") < shown.index("cut in") and "gps route error" not in shown
    assert "gps route error" in folded_away and "all 33 rows, worst first" in folded_away
    assert section.count("<h3>By kind of road") == 1 and "roundabout" in section
    by_tag = section[section.index("<h3>By kind of road") :]
    assert "cut in" not in by_tag, "a situation is not told twice"
    assert "47 drives of the released model in 31 staged situations" in section and "1 drive of a kind at most" in section
    row = shown[shown.index("<td>cut in</td>") :].partition("</tr>")[0]
    assert "<small>" not in row, "one drive has no interval"


def test_failures_are_counted_by_cause_and_the_worst_can_be_driven_again(tmp_path: Path) -> None:
    leave_whole_turn(tmp_path)
    text, _ = parsed(write_report(tmp_path, "tiny", 1))
    section = text[text.index('<section id="failures">') : text.index('<section id="strips">')]
    assert "11 failures of the released model in 47 drives: 5 × ran out of time, 3 × left the road" in section
    counted = [[cell for cell in re.findall(r"<td>(.*?)</td>", row)] for row in re.findall(r"<tr>(<td>.*?)</tr>", section)]
    assert counted[0] == ["every failure", "", "", "11", "1", "3"], "the released model first, then the expert, then the probes"
    assert counted[1] == ["ran out of time", "its own", "stood without a reason", "5", "", ""]
    assert "motorworks drive tiny/turn1/release --scenario town-1000003-0-10</code>" in section
    assert "motorworks drive tiny/turn1/release --scenario town-1001006-0-10-cut_in-0.50</code>" in section
    fog = next(line["text"] for line in failure_lines() if line["scenario"]["kind"] == "fog")
    assert section.partition(fog)[2].startswith("</li>"), "its name does not tell the parameters, so no command is made up"


def test_failures_of_another_version_are_counted_and_an_older_turn_says_what_is_absent(tmp_path: Path) -> None:
    folder = leave(tmp_path, "evaluate", {}, files={"failures.json": [*failure_lines()[:1], {"policy": "expert", "what": "hit"}]})
    text, _ = parsed(write_report(tmp_path, "tiny", 1))
    assert "1 rows of failures.json were written by another version" in text and "evaluate left no by_scenario.json" in text
    assert "<code>motorworks drive" not in text and "Nothing was released" in text
    (folder / "failures.json").write_text("[]")
    assert "0 failures of the released model." in parsed(write_report(tmp_path, "tiny", 1))[0]
    (folder / "failures.json").unlink()
    (folder / "by_odd.json").write_text(json.dumps(group_rows({"all": 16, "roundabout": 4})))
    text, _ = parsed(write_report(tmp_path, "tiny", 1))
    assert "evaluate left no failures.json" in text and "roundabout" in text


def test_the_worst_are_of_many_kinds_and_of_different_drives() -> None:
    scenarios = [Scenario(town_seed=seed, route_seed=0) for seed in range(4)]
    slow = Failure(kind="timeout", scenario=scenarios[0], step=9, severity=0.2, fault="ego")
    hit = Failure(kind="collision", scenario=scenarios[1], step=5, severity=3.0, fault="ego")
    found = [
        slow,
        hit,
        replace(hit, severity=9.0, fault="other", scenario=scenarios[2]),
        replace(hit, severity=7.0, scenario=scenarios[3]),
        replace(slow, kind="red_light", scenario=scenarios[3]),
    ]
    assert worst_failures(found, 3) == [found[3], slow, hit] and worst_failures([], 3) == []


def test_a_failure_is_read_as_it_was_and_replayed_only_if_its_name_tells_all() -> None:
    plain = Failure(kind="timeout", scenario=Scenario(town_seed=1, route_seed=2, num_agents=3), step=9, severity=0.2, fault="ego")
    for scenario in (plain.scenario, replace(plain.scenario, kind="fog", difficulty_frac=0.25, params=(("visibility_m", 40.0),))):
        failure = replace(plain, scenario=scenario)
        assert read_failure(json.loads(json.dumps(explained("expert", failure)))) == failure
    assert read_failure({"kind": "timeout"}) is None and read_failure({**explained("expert", plain), "kind": "fell asleep"}) is None
    assert replay_command(plain.scenario, "toy") == "motorworks drive toy --scenario town-1-2-3" and replay_command(plain.scenario, None) == ""
    assert replay_command(replace(plain.scenario, kind="fog", difficulty_frac=1 / 3), "toy") == "", "its name has two digits only"


def test_an_empty_record_renders(tmp_path: Path) -> None:
    for stage in STAGES:
        folder = tmp_path / "tiny/turn1" / stage / "dev"
        folder.mkdir(parents=True)
        (folder / "record.json").write_text("{}")
    parsed(write_report(tmp_path, "tiny", 1))


def test_the_second_turn_is_set_against_the_first(tmp_path: Path) -> None:
    leave_whole_turn(tmp_path, turn=1)
    leave_whole_turn(tmp_path, turn=2)
    assert "The turn before completed 85.5 %; this one +0.0 points." in parsed(write_report(tmp_path, "tiny", 2))[0]


def test_more_pictures_than_a_mail_takes_are_left_out_and_counted(tmp_path: Path) -> None:
    folder = leave(tmp_path, "drive", {})
    for name in "abc":
        (folder / f"{name}.jpg").write_bytes(np.random.default_rng(0).bytes(3_000_000))
    (folder / "strips.json").write_text(json.dumps([{"file": f"{name}.jpg", "title": name, "caption": ""} for name in "abc"]))
    path = write_report(tmp_path, "tiny", 1)
    assert path.stat().st_size < 10_000_000 and path.read_text().count("data:image/") == 2 and "1 more strips" in path.read_text()


def test_a_kept_version_has_its_own_page(tmp_path: Path) -> None:
    folder = leave(tmp_path, "rl", {})
    folder.rename(folder.with_name("best"))
    assert write_report(tmp_path, "tiny", 1, "best").name == "report-best.html"


@settings(deadline=None, max_examples=100)
@given(low=st.floats(-1e6, 1e6), span=st.floats(1e-6, 1e6))
def test_ticks_cover_what_they_measure_in_few_even_steps(low: float, span: float) -> None:
    found = ticks(low, low + span)
    assert found[0] <= low + 1e-6 * span + 1e-9 and found[-1] >= low + span - 1e-6 * span - 1e-9 and 2 <= len(found) <= 8
    assert np.diff(found) == pytest.approx(found[1] - found[0], rel=1e-3)


def test_a_curve_keeps_its_level_and_drops_what_is_not_finite() -> None:
    drawn = str(curves([Curve(label="loss", xs=range(5000), ys=[2.0, float("nan")] * 2500)], title="loss"))
    heights = {float(y) for y in re.findall(r",([0-9.]+)", re.search(r'points="([^"]*)"', drawn).group(1))}
    assert len(heights) == 1 and "nan" not in drawn and drawn.count(",") < 300


def test_nothing_there_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="motorworks run tiny --turn 3"):
        write_report(tmp_path, "tiny", 3)


def test_a_torn_json_names_its_file(tmp_path: Path) -> None:
    folder = leave(tmp_path, "evaluate", {})
    (folder / "scores.json").write_text('[{"policy": ')
    with pytest.raises(ValueError, match=r"scores\.json is not JSON"):
        write_report(tmp_path, "tiny", 1)


def test_lineage_puts_inputs_first(tmp_path: Path) -> None:
    leave_whole_turn(tmp_path)
    turn = read_turn(tmp_path, "tiny", 1)
    names = list(turn.records)
    assert all(names.index(read) < names.index(name) for name, record in turn.records.items() for read in record.reads)


def test_a_straight_plan_lies_on_the_camera_axis_and_a_left_one_to_its_left() -> None:
    black = np.zeros((144, 256, 3), np.uint8)
    columns = []
    for curvature in (0.0, 0.05, -0.05):
        plan = Trajectory(accel_mps2=np.zeros(64), curvature_per_m=np.full(64, curvature))
        blue = np.asarray(draw_plan(black, plan, 6.0, CAMERA, width_px=256))[:, :, 2] > 20
        assert blue.any() and not blue[: 144 // 2 - 8].any()
        columns.append(np.nonzero(blue)[1].mean())
    assert columns[0] == pytest.approx(127.5, abs=1.0) and columns[1] < columns[0] - 5 < columns[0] + 5 < columns[2]


def test_the_horizon_is_where_pitch_puts_it() -> None:
    far, ahead = CAMERA.project(np.array([[1e6, 0.0], [-5.0, 0.0]]))
    assert far[0, 1] == pytest.approx(72 - 150.0 * np.tan(0.05), abs=0.01) and ahead.tolist() == [True, False]


def test_a_strip_of_a_standing_car_has_no_band() -> None:
    frames = road_frames(3)
    plan = Trajectory(accel_mps2=np.zeros(64), curvature_per_m=np.zeros(64))
    assert np.abs(np.asarray(draw_plan(frames[0], plan, 0.0, CAMERA, width_px=256)).astype(int) - frames[0]).max() <= 1
    assert CAR.width_m > 1.1  # the band stays inside the car's own width

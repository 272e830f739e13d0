"""The report renders from whatever a turn left, escapes what it shows, and needs nothing beside it."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from motorworks.bodies.body import CAR
from motorworks.datatypes.thought import Thought
from motorworks.datatypes.trajectory import Trajectory
from motorworks.factory.report.charts import Curve, curves, ticks
from motorworks.factory.report.records import STAGES, read_turn
from motorworks.factory.report.strips import GroundCamera, draw_plan, draw_strip, pick_steps
from motorworks.factory.report.write import write_report

CHAIN = {
    "curate": ["ingest"],
    "pretrain": ["curate"],
    "sft": ["curate", "pretrain"],
    "teacher": [],
    "rl": ["sft", "teacher"],
    "distil": ["rl", "curate"],
    "adapt": ["distil"],
    "evaluate": ["sft", "rl", "distil", "adapt", "curate"],
    "release": ["adapt", "evaluate"],
    "drive": ["release"],
    "mine": ["drive", "evaluate"],
}
CAMERA = GroundCamera(focal_px=150.0, centre_px=(128.0, 72.0), height_m=1.4, pitch_rad=0.05, ahead_m=1.6, width_px=256, height_px=144)


def leave(root: Path, stage: str, metrics: dict, *, turn: int = 1, thin: tuple[str, ...] = (), files: dict | None = None) -> Path:
    folder = root / f"tiny/turn{turn}" / stage / "dev"
    folder.mkdir(parents=True)
    for name, rows in (files or {}).items():
        (folder / name).write_text(json.dumps(rows))
    wall = 5.0 + 13 * len(stage)
    record = {
        "name": f"tiny/turn{turn}/{stage}",
        "version": "dev",
        "stage": f"motorworks.factory.stages.{stage}:run",
        "created": "2026-01-02T03:04:05Z",
        "fingerprint": f"{len(stage):064x}",
        "digest": (stage.encode().hex() * 8)[:64],
        "machine": {"processor": "two cores", "memory_mb": 8000},
        "metrics": metrics,
        "thin": list(thin),
        "timings": {"wall_s": wall, "cpu_s": wall * 0.8, "wait_s": wall * 0.1, "peak_rss_mb": 900.0},
        "inputs": {read: [f"tiny/turn{turn}/{read}@dev"] for read in CHAIN.get(stage, [])},
    }
    (folder / "record.json").write_text(json.dumps(record))
    return folder


def loss_curve(rng: np.random.Generator) -> list[dict]:
    loss = 2.5 * np.exp(-np.arange(600) / 150) + 0.3 + rng.normal(0, 0.05, 600).clip(-0.1, 0.1)
    return [
        {
            "step": int(step),
            "loss": float(value),
            "parts": {"action": float(value) * 0.6, "language": float(value) * 0.3, "world": float(value) * 0.1},
        }
        for step, value in enumerate(loss)
    ]


def score_lines() -> list[dict]:
    completion = {"stand_still": 0.01, "constant_velocity": 0.21, "sft": 0.66, "rl": 0.85, "distil": 0.86, "released_int8": 0.855, "expert": 0.98}
    lines = []
    for policy, value in completion.items():
        for metric, scale in (
            ("route_completion_frac", 1.0),
            ("driving_score", 92.0),
            ("epdms_style", 0.8),
            ("success_frac", 0.9),
            ("time_to_collision_s", 4.0),
            ("comfort_frac", 0.95),
        ):
            mean = value * scale
            lines.append(
                {
                    "policy": policy,
                    "world": "town",
                    "metric": metric,
                    "mean": mean,
                    "low": mean - 0.06 * scale * (1 - value),
                    "high": mean + 0.05 * scale * (1 - value),
                    "num": 24,
                }
            )
        if policy != "stand_still":
            lines.append(
                {
                    "policy": policy,
                    "world": "town",
                    "metric": "collisions_per_km",
                    "mean": 8 * (1 - value),
                    "low": 5 * (1 - value),
                    "high": 12 * (1 - value),
                    "num": 24,
                }
            )
    return lines


def open_loop_lines() -> list[dict]:
    lines = []
    for metric, mean, diff in (("action_error_frac", 0.11, -0.03), ("ade_1s_m", 0.09, -0.01), ("ade_3s_m", 0.61, 0.02)):
        for baseline, shift in (("constant_velocity", 0.0), ("constant_curvature", 0.01)):
            lines.append(
                {
                    "model": "released_int8",
                    "metric": metric,
                    "mean": mean,
                    "low": mean * 0.9,
                    "high": mean * 1.1,
                    "num": 180,
                    "baseline": baseline,
                    "diff_mean": diff - shift,
                    "diff_low": diff - shift - 0.008,
                    "diff_high": diff - shift + 0.008,
                }
            )
    return lines


def road_frames(num: int) -> np.ndarray:
    frames = np.zeros((num, 144, 256, 3), np.uint8)
    frames[:, :64] = (150, 185, 215)
    frames[:, 64:] = (88, 120, 76)
    for row in range(64, 144):
        half = int((row - 60) * 1.9)
        frames[:, row, max(128 - half, 0) : 128 + half] = (84, 86, 92)
    return frames


def strip_image() -> Image.Image:
    num = 40
    plans = Trajectory(accel_mps2=np.zeros((num, 64)), curvature_per_m=np.linspace(0, 0.03, num)[:, None] * np.ones(64))
    thoughts = tuple(Thought(decision="follow the bend left", cause="the road bends left") for _ in range(num))
    return draw_strip(road_frames(num), plans, np.full(num, 8.0), thoughts, CAMERA, steps=pick_steps(num))


def leave_whole_turn(root: Path, turn: int = 1) -> None:
    rng = np.random.default_rng(0)
    leave(
        root,
        "ingest",
        {
            "clips_by_source": {"donkeycar": 61, "comma2k19": 12, "video": 3, "town": 160},
            "seconds_by_source": {"donkeycar": 812.0, "comma2k19": 60.0, "video": 30.0, "town": 4100.0},
            "notes": ["comma2k19 segment: no video in this copy; motion only"],
        },
        turn=turn,
        thin=("dash-cam video gives no motion",),
        files={
            "quarantine.json": [
                {"path": "tub_3/catalog_7.catalog", "reason": "truncated at line 212"},
                {"path": "img/<b>44</b>.jpg", "reason": "torn JPEG"},
            ]
        },
    )
    leave(
        root,
        "curate",
        {
            "kept": 201,
            "dropped_by_reason": {"parked": 14, "duplicate": 9, "dark": 3, "frozen": 9},
            "samples": 41000,
            "split": {"train": 171, "held_out": 30},
        },
        turn=turn,
    )
    train = {"samples_per_s": 212.0, "tokens_per_s": 14100.0, "mfu_frac": 0.31, "busy_frac": 0.93, "stall_frac": 0.02, "params": 3_100_000}
    for stage in ("pretrain", "sft", "distil"):
        leave(root, stage, train, turn=turn, files={"curves.json": loss_curve(rng)})
    leave(
        root,
        "teacher",
        train,
        turn=turn,
        files={"curves.json": [{"step": step * 1000, "return": 10 - 9 * 0.97**step, "completion_frac": 1 - 0.9 * 0.96**step} for step in range(80)]},
    )
    leave(root, "rl", train, turn=turn, files={"curves.json": loss_curve(rng)}, thin=("polish is 40 updates only",))
    leave(
        root,
        "adapt",
        {"parity_max_abs": 0.004, "latency": {"p50_ms": 9.4, "p99_ms": 14.2}},
        turn=turn,
        files={
            "budget.json": [
                {"name": "plan_p99", "value": 14.2, "unit": "ms", "limit": 100, "ok": True},
                {"name": "bundle_size", "value": 4.1, "unit": "MB", "limit": 20, "ok": True},
            ]
        },
    )
    folder = leave(
        root,
        "evaluate",
        {},
        turn=turn,
        files={
            "scores.json": score_lines(),
            "open_loop.json": open_loop_lines(),
            "paired.json": [
                {"a": "rl", "b": "sft", "metric": "route_completion_frac", "mean": 0.19, "low": 0.1, "high": 0.27},
                {"a": "released_int8", "b": "distil", "metric": "collisions_per_km", "mean": 0.1, "low": -0.3, "high": 0.4},
            ],
            "strips.json": [
                {"file": "worst.jpg", "title": "Worst: town 1000003", "caption": "leaves the lane in a left bend"},
                {"file": "../../../../secret.jpg", "title": "outside", "caption": ""},
            ],
        },
    )
    (folder / "strips").mkdir()
    strip_image().save(folder / "strips" / "worst.jpg", quality=85)
    leave(root, "release", {"released": True, "manifest": {"model": "student", "version": 1}}, turn=turn)
    leave(root, "drive", {"route_completion_frac": 0.9}, turn=turn)
    leave(
        root,
        "mine",
        {"scenarios": 5},
        turn=turn,
        files={
            "failures.json": [
                {"name": "collision-town-1-2-10-0044", "kind": "collision", "severity": 3.2, "detail": "hit <script>alert(1)</script> lead"}
            ]
        },
    )


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

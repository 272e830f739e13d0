"""A turn that was never driven: records and files as the stages leave them, for whoever reads them."""

import json
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image

from motorworks.datatypes.failure import Failure
from motorworks.datatypes.scenario import TRAFFIC, Scenario
from motorworks.datatypes.thought import Thought
from motorworks.datatypes.trajectory import Trajectory
from motorworks.factory.report.strips import GroundCamera, draw_strip, pick_steps
from motorworks.sim.scenarios import SCENARIOS

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
TAGS = ("give way", "left turn", "low visibility", "priority road", "right turn", "roundabout", "stop sign", "traffic light")
SKILL = {"stand_still": 0.03, "constant_velocity": 0.14, "released_int8": 0.5, "expert": 0.99}


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


def group_rows(groups: dict[str, int]) -> list[dict]:
    """Rows of a few drivers for each group of so many drives; the later a group comes, the better the released model does there."""
    lines = []
    for place, (group, num) in enumerate(groups.items()):
        for policy, skill in SKILL.items():
            mean = skill * (0.3 + 1.4 * place / len(groups)) if policy == "released_int8" else skill
            for metric, scale in (("route_completion_frac", 1.0), ("driving_score", 88.0), ("success_frac", 0.8), ("at_fault_collision_frac", 0.2)):
                value = min(mean, 1.0) * scale
                # as bootstrap.py leaves it: one drive says nothing about another
                low, high = (max(value - 0.15 * scale, 0.0), min(value + 0.15 * scale, scale)) if num > 1 else (-math.inf, math.inf)
                row = {
                    "policy": policy,
                    "world": "town",
                    "metric": metric,
                    "mean": value,
                    "low": low,
                    "high": high,
                    "num": num,
                }
                lines.append({**row, "group": group, "km": 0.2 * num})
    return lines


def explained(policy: str, failure: Failure) -> dict:
    """A line of failures.json."""
    return {"policy": policy, **asdict(failure), "text": failure.text}


def failure_lines() -> list[dict]:
    def at(seed: int, kind: str = TRAFFIC, **fields: tuple) -> Scenario:
        return Scenario(town_seed=1_000_000 + seed, route_seed=0, kind=kind, **fields)

    hit = {"kind": "collision", "step": 81, "agent": 3, "agent_kind": "car"}
    found = [
        ("released_int8", Failure(**hit, scenario=at(3), severity=4.0, fault="ego", cause="ego did not slow for the one ahead", detail="at 4.0 m/s")),
        ("released_int8", Failure(**hit, scenario=at(1006, "cut_in"), severity=9.0, fault="other", cause="cut-in", detail="at 9.0 m/s")),
        ("expert", Failure(kind="off_road", scenario=at(5), step=9, severity=0.0, fault="ego", cause="astray in a junction", detail="a wheel")),
    ]
    found += [
        ("released_int8", Failure(kind="timeout", scenario=at(seed), step=900, severity=0.6, fault="ego", cause="stood without a reason"))
        for seed in range(4, 9)
    ]
    found += [
        (driver, Failure(kind="off_road", scenario=at(seed), step=70, severity=0.9, fault="ego", cause=f"over the {side} edge"))
        for driver in ("released_int8", "constant_velocity")
        for seed, side in ((9, "left"), (10, "right"), (11, "right"))
    ]
    found += [
        ("released_int8", Failure(kind="red_light", scenario=at(12, "fog", params=(("visibility_m", 40.0),)), step=44, severity=6.0, fault="ego"))
    ]
    return [explained(policy, failure) for policy, failure in found]


def long_tail_files() -> dict[str, list[dict]]:
    kinds = [kind for kind in SCENARIOS if kind != TRAFFIC]
    return {
        "by_scenario.json": group_rows({"all": 47, **dict.fromkeys(kinds, 1), TRAFFIC: 16}),
        "by_odd.json": group_rows({"all": 47, "cut_in": 1, **dict.fromkeys(TAGS, 9)}),
        "failures.json": failure_lines(),
    }


def leave_clips(root: Path, turn: int) -> None:
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


def leave_models(root: Path, turn: int) -> None:
    rng = np.random.default_rng(0)
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


def leave_vehicle(root: Path, turn: int) -> None:
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


def leave_judged(root: Path, turn: int) -> None:
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
            **long_tail_files(),
            "strips.json": [
                {"file": "worst.jpg", "title": "Worst: town 1000003", "caption": "leaves the lane in a left bend"},
                {"file": "../../../../secret.jpg", "title": "outside", "caption": ""},
            ],
        },
    )
    (folder / "strips").mkdir()
    strip_image().save(folder / "strips" / "worst.jpg", quality=85)


def leave_whole_turn(root: Path, turn: int = 1) -> None:
    leave_clips(root, turn)
    leave_models(root, turn)
    leave_vehicle(root, turn)
    leave_judged(root, turn)
    release = leave(root, "release", {"released": True, "manifest": {"model": "student", "version": 1}}, turn=turn)
    (release / "bundle").mkdir()
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

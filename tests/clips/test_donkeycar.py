"""Tubs: frames and units, and every fault named while the rest goes on."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from motorworks.bodies.body import DONKEY, integrate
from motorworks.clips.reader import read
from motorworks.clips.readers.donkeycar import DonkeycarReader
from motorworks.datatypes.trajectory import Trajectory

MakeTub = Callable[..., Path]


def test_a_whole_tub_is_one_clip_at_ten_hertz(make_tub: MakeTub) -> None:
    result = read([make_tub(num=100, angle=0.5)])
    assert not result.quarantine and len(result.clips) == 1
    clip = result.clips[0]
    assert clip.source == "donkeycar" and clip.body == "donkey" and len(clip.timestamp_us) == 50 and clip.frames.shape == (50, 24, 32, 3)
    np.testing.assert_allclose(clip.frames[:, 12, 16, 0], np.arange(50) * 4, atol=3)  # every second picture
    assert clip.timestamp_us[0] == 1_700_000_000_000_000
    # right steering is negative curvature; throttle one half settles at half the top speed; the car starts from rest
    assert clip.motion.kind == "commanded" and clip.motion.speed_mps[0] == 0
    np.testing.assert_allclose(clip.motion.curvature_per_m[5:], -0.5 * DONKEY.max_curvature_per_m, rtol=1e-6)
    np.testing.assert_allclose(clip.motion.speed_mps[25:], 0.5 * DONKEY.max_speed_mps, rtol=1e-2)
    assert clip.motion.poses_world[-1, 2] < 0


def test_the_controls_of_each_row_lead_to_the_next(make_tub: MakeTub) -> None:
    def edit(index: int, record: dict) -> None:
        record["user/angle"], record["user/throttle"] = np.sin(index / 9), -0.4 if 40 < index < 70 else 0.6

    motion = read([make_tub(edit=edit)]).clips[0].motion
    assert motion.speed_mps.min() < -0.3  # it reverses
    driven = Trajectory(accel_mps2=motion.accel_mps2[:-1], curvature_per_m=motion.curvature_per_m[:-1])
    poses, speeds = integrate(driven, motion.speed_mps[0], can_reverse=True)
    np.testing.assert_allclose(speeds, motion.speed_mps[1:], atol=1e-5)
    np.testing.assert_allclose(poses, motion.poses_world[1:], atol=1e-4)


def test_gaps_cut_and_short_pieces_go(make_tub: MakeTub) -> None:
    def edit(index: int, record: dict) -> None:
        record["_timestamp_ms"] += 1000 * (index >= 80) + 300 * (index >= 110)  # 1 s is a gap; 0.35 s in all is not

    clips = read([make_tub(num=160, edit=edit)]).clips
    assert [len(clip.timestamp_us) for clip in clips] == [40, 43]
    assert clips[1].motion.speed_mps[0] == 0  # 1.05 s later it stands
    assert clips[0].recording_id == clips[1].recording_id
    short = read([make_tub("short", num=40)])
    assert not short.clips and "no gap-free piece" in short.quarantine[0].reason


def test_torn_and_missing_pictures_cut_there(make_tub: MakeTub) -> None:
    tub = make_tub(num=210)
    torn, gone = tub / "images" / "70_cam_image_array_.jpg", tub / "images" / "140_cam_image_array_.jpg"
    torn.write_bytes(torn.read_bytes()[:-60])
    gone.unlink()
    result = read([tub])
    assert [entry.path for entry in result.quarantine] == [torn, gone]
    assert "unreadable" in result.quarantine[0].reason and "missing" in result.quarantine[1].reason
    assert [len(clip.timestamp_us) for clip in result.clips] == [35, 35, 35]


def test_truncated_catalog_names_file_and_line(make_tub: MakeTub) -> None:
    tub = make_tub(num=130)
    catalog = tub / "catalog_1.catalog"
    catalog.write_text(catalog.read_text()[:-40])
    result = read([tub])
    assert [entry.path for entry in result.quarantine] == [catalog] and result.quarantine[0].reason.startswith("line 70:")
    assert len(result.clips) == 1 and len(result.clips[0].timestamp_us) == 65


@pytest.mark.parametrize(
    ("field", "value"), [("user/angle", float("nan")), ("user/throttle", float("inf")), ("user/angle", None), ("user/throttle", "fast")]
)
def test_bad_telemetry_names_the_field_and_cuts(make_tub: MakeTub, field: str, value: object) -> None:
    result = read([make_tub(num=140, edit=lambda index, record: record.update({field: value}) if index == 70 else None)])
    assert len(result.quarantine) == 1 and field in result.quarantine[0].reason and "line 11" in result.quarantine[0].reason
    assert [len(clip.timestamp_us) for clip in result.clips] == [35, 35]
    assert all(np.isfinite(clip.motion.poses_world).all() for clip in result.clips)


@pytest.mark.parametrize("value", [1e300, float("nan"), float("inf"), "noon", None])
def test_an_absurd_time_costs_one_record(make_tub: MakeTub, value: object) -> None:
    result = read([make_tub(num=140, edit=lambda index, record: record.update(_timestamp_ms=value) if index == 70 else None)])
    assert len(result.quarantine) == 1 and "line 11" in result.quarantine[0].reason and len(result.clips[0].timestamp_us) == 70


@pytest.mark.parametrize("created_at", [float("nan"), 1e300])
def test_an_absurd_time_of_making_is_not_used(make_tub: MakeTub, created_at: float) -> None:
    assert read([make_tub(created_at=created_at)]).clips[0].recording_id == "donkeycar-1700000000000000"


def test_clock_going_back_cuts_and_is_named(make_tub: MakeTub) -> None:
    result = read([make_tub(num=160, edit=lambda index, record: record.update(_timestamp_ms=record["_timestamp_ms"] - 5000 * (index >= 80)))])
    assert len(result.quarantine) == 1 and "goes back by 4.950 s" in result.quarantine[0].reason and "line 21" in result.quarantine[0].reason
    assert [len(clip.timestamp_us) for clip in result.clips] == [40, 40]


def test_a_clock_standing_still_skips_the_record(make_tub: MakeTub) -> None:
    result = read([make_tub(num=100, edit=lambda index, record: record.update(_timestamp_ms=record["_timestamp_ms"] - 50 * (index == 50)))])
    assert len(result.clips) == 1 and "record before" in result.quarantine[0].reason


def test_deleted_records_are_left_out(make_tub: MakeTub) -> None:
    result = read([make_tub(num=160, deleted=tuple(range(75, 90)))])
    assert [len(clip.timestamp_us) for clip in result.clips] == [38, 35] and not result.quarantine


def test_a_torn_manifest_still_reads_all_catalogs(make_tub: MakeTub) -> None:
    tub = make_tub(num=100)
    (tub / "manifest.json").write_text((tub / "manifest.json").read_text()[:150])
    result = read([tub])
    assert len(result.clips[0].timestamp_us) == 50 and result.quarantine[0].path == tub / "manifest.json"


def test_a_missing_catalog_or_image_folder_is_named(make_tub: MakeTub) -> None:
    tub = make_tub(num=140)
    (tub / "catalog_0.catalog").unlink()
    result = read([tub])
    assert result.quarantine[0].path.name == "catalog_0.catalog" and len(result.clips[0].timestamp_us) == 40
    (tub / "images").rename(tub / "pictures")
    result = read([tub])
    assert not result.clips and result.quarantine[-1].path == tub / "images"


def test_a_copy_under_another_name_is_the_same_recording(make_tub: MakeTub) -> None:
    names = {read([make_tub(name)]).clips[0].recording_id for name in ("one", "copy of one")}
    assert len(names) == 1
    assert read([make_tub("other", created_at=1.6e9)]).clips[0].recording_id not in names


def test_a_pilot_that_drove_is_what_is_learnt(make_tub: MakeTub) -> None:
    pilot = {"user/mode": "local", "pilot/angle": -1.0, "pilot/throttle": 0.3}
    motion = read([make_tub(edit=lambda _, record: record.update(pilot))]).clips[0].motion
    np.testing.assert_allclose(motion.curvature_per_m[-1], DONKEY.max_curvature_per_m)
    np.testing.assert_allclose(motion.speed_mps[-1], 0.3 * DONKEY.max_speed_mps, rtol=1e-3)


def test_real_tubs(shared_data: Path) -> None:
    result = read([shared_data / "donkeycar_tubs"])
    assert not result.quarantine
    assert len({clip.recording_id for clip in result.clips}) == 2
    total_s = sum(len(clip.timestamp_us) for clip in result.clips) / 10
    assert 250 < total_s < 270 and sum(len(clip.timestamp_us) >= 72 for clip in result.clips) >= 12
    assert min(clip.motion.speed_mps.min() for clip in result.clips) < -0.5


def test_the_yaw_gyro_agrees_with_our_sign(shared_data: Path) -> None:
    """Left is positive: the gyro about the upward axis turns with the commanded curvature, a tenth of a second later."""
    tub = next(iter(sorted((shared_data / "donkeycar_tubs").iterdir())))
    records = [json.loads(line) for name in ("catalog_0.catalog", "catalog_1.catalog") for line in (tub / name).read_text().splitlines()]
    time_us = np.array([record["_timestamp_ms"] * 1000 for record in records])
    gyro = np.radians([record["imu/gyr_y"] for record in records])
    pairs = [
        (clip.motion.speed_mps * clip.motion.curvature_per_m, np.interp(clip.timestamp_us + 100_000, time_us, gyro))
        for clip in DonkeycarReader().read(tub).clips
    ]
    commanded, measured = (np.concatenate(column) for column in zip(*pairs, strict=True))
    assert np.corrcoef(commanded, measured)[0, 1] > 0.7

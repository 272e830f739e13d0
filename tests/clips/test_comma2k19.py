"""Segments: earth-centred poses to ours, with or without video, and every fault named."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from motorworks.bodies.body import integrate
from motorworks.clips.reader import read
from motorworks.datatypes.trajectory import Trajectory

MakeSegment = Callable[..., Path]


def test_an_arc_is_recovered_in_our_frame(make_segment: MakeSegment) -> None:
    result = read([make_segment()])
    clip = result.clips[0]
    assert clip.frames is None and any("video.hevc missing: motion only" in note for note in result.notes) and not result.quarantine
    assert clip.motion.kind == "measured" and clip.body == "highway_car" and len(clip.timestamp_us) == 50
    times = np.arange(50) * 0.1
    yaw = 0.3 + 0.1 * times
    np.testing.assert_allclose(clip.motion.poses_world[:, 2], yaw, atol=1e-6)  # the device's own yaw is taken out
    start = -1.6 * np.array([np.cos(0.3), np.sin(0.3)])  # the rear axle is behind the camera, which starts at the origin
    rear = start + 100 * np.stack([np.sin(yaw) - np.sin(0.3), np.cos(0.3) - np.cos(yaw)], -1)
    np.testing.assert_allclose(clip.motion.poses_world[:, :2], rear, atol=2e-3)
    np.testing.assert_allclose(clip.motion.speed_mps, 10.0, atol=1e-3)
    np.testing.assert_allclose(clip.motion.curvature_per_m, 0.01, atol=1e-5)


def test_segments_of_a_route_are_one_recording(make_segment: MakeSegment) -> None:
    make_segment("0")
    clips = read([make_segment("1").parent]).clips
    assert len(clips) == 2 and {clip.recording_id for clip in clips} == {"comma2k19-route_a"}


def test_nan_position_names_the_file_and_cuts(make_segment: MakeSegment) -> None:
    def edit(arrays: dict[str, np.ndarray]) -> None:
        arrays["frame_positions"][70, 1] = np.nan

    segment = make_segment(num=160, edit=edit)
    result = read([segment])
    assert [entry.path.name for entry in result.quarantine] == ["frame_positions"] and "row 70" in result.quarantine[0].reason
    assert [len(clip.timestamp_us) for clip in result.clips] == [35, 45]
    assert all(np.isfinite(clip.motion.poses_world).all() for clip in result.clips)


def test_clock_going_back_is_named_and_cuts(make_segment: MakeSegment) -> None:
    def edit(arrays: dict[str, np.ndarray]) -> None:
        arrays["frame_times"][80:] -= 2.0

    result = read([make_segment(num=160, edit=edit)])
    assert len(result.quarantine) == 1 and result.quarantine[0].path.name == "frame_times" and "row 80" in result.quarantine[0].reason
    assert [len(clip.timestamp_us) for clip in result.clips] == [40, 40]


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY\x01\x00v\x00", None])
def test_a_torn_or_missing_pose_file_is_quarantined(make_segment: MakeSegment, content: bytes | None) -> None:
    segment = make_segment()
    file = segment / "global_pose" / "frame_orientations"
    file.unlink() if content is None else file.write_bytes(content)
    result = read([segment])
    assert not result.clips and result.quarantine[0].path == file


def test_pose_files_of_different_length_are_refused(make_segment: MakeSegment) -> None:
    result = read([make_segment(edit=lambda arrays: arrays.update(frame_velocities=arrays["frame_velocities"][:-3]))])
    assert not result.clips and "frame_velocities 97" in result.quarantine[0].reason


def _write_hevc(path: Path, num: int) -> None:
    with av.open(str(path), "w", format="hevc") as container:
        stream = container.add_stream(
            "libx265", rate=20, options={"x265-params": "log-level=none:pools=1:frame-threads=1:bframes=0", "preset": "ultrafast"}
        )
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for index in range(num):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((96, 128, 3), 2 * index + 20, np.uint8), format="rgb24")))
        container.mux(stream.encode(None))


def test_video_where_it_is_present(make_segment: MakeSegment) -> None:
    segment = make_segment()
    _write_hevc(segment / "video.hevc", 100)
    clip = read([segment]).clips[0]
    assert clip.frames.shape == (50, 96, 128, 3)
    np.testing.assert_allclose(clip.frames.mean(axis=(1, 2, 3)), 20 + 4 * np.arange(50), atol=2)


@pytest.mark.parametrize("fault", ["empty", "short", "noise"])
def test_a_bad_video_leaves_the_motion(make_segment: MakeSegment, fault: str) -> None:
    segment = make_segment()
    video = segment / "video.hevc"
    if fault == "short":
        _write_hevc(video, 40)
    else:
        video.write_bytes(b"" if fault == "empty" else bytes(range(256)) * 20)
    result = read([segment])
    assert len(result.clips) == 1 and result.clips[0].frames is None
    assert result.quarantine[0].path == video and "motion only" in result.quarantine[0].reason


@pytest.mark.parametrize("values", [np.zeros(0), np.array([np.nan, 10.0]), np.array(["x", "y"])])
def test_bad_can_costs_only_the_comparison(make_segment: MakeSegment, values: np.ndarray) -> None:
    segment = make_segment()
    folder = segment / "processed_log" / "CAN" / "speed"
    folder.mkdir(parents=True)
    for name, array in (("t", np.arange(len(values), dtype=float)), ("value", values)):
        with (folder / name).open("wb") as file:
            np.save(file, array)
    result = read([segment])
    assert len(result.clips) == 1 and not result.quarantine and any("CAN" in note for note in result.notes)


def test_real_segment(shared_data: Path) -> None:
    result = read([shared_data / "comma2k19_example1"])
    motion = result.clips[0].motion
    distance_m = np.linalg.norm(np.diff(motion.poses_world[:, :2], axis=0), axis=1).sum()
    assert abs(distance_m - 1011) < 2 and any("differ by 0.15 m/s rmse" in note for note in result.notes)
    # the controls say where the poses go: 6.4 s ahead within 0.3 m, from every second of the drive
    for start in range(0, 500, 10):
        plan = Trajectory(accel_mps2=motion.accel_mps2[start : start + 64], curvature_per_m=motion.curvature_per_m[start : start + 64])
        poses, _ = integrate(plan, motion.speed_mps[start])
        x, y, yaw = motion.poses_world[start]
        end = motion.poses_world[start + 64, :2] - [x, y]
        in_rig = [np.cos(yaw) * end[0] + np.sin(yaw) * end[1], -np.sin(yaw) * end[0] + np.cos(yaw) * end[1]]
        np.testing.assert_allclose(poses[-1, :2], in_rig, atol=0.3)

"""Video without telemetry."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from motorworks.clips.reader import read
from motorworks.clips.readers.video import DashcamReader


def _write_video(path: Path, times_s: np.ndarray, *, width: int = 320, height: int = 240) -> Path:
    """A video whose brightness tells the time: 20 levels a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "ultrafast", "threads": "1", "crf": "4"})
        stream.width, stream.height, stream.pix_fmt, stream.time_base = width, height, "yuv420p", Fraction(1, 1000)
        stream.codec_context.time_base = Fraction(1, 1000)
        for time_s in times_s:
            frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), 20 + 20 * time_s, np.uint8), format="rgb24")
            frame.pts, frame.time_base = round(time_s * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_frames_only_at_ten_hertz_and_small(tmp_path: Path) -> None:
    result = read([_write_video(tmp_path / "a.mp4", np.arange(0, 5, 1 / 25))])
    clip = result.clips[0]
    assert clip.motion is None and clip.source == "video" and clip.frames.shape == (50, 144, 192, 3) and not result.quarantine
    error = clip.frames.mean(axis=(1, 2, 3)) - (20 + 2 * np.arange(50))  # YUV costs a level or two everywhere; a wrong tick would cost two more
    assert np.abs(error).max() <= 3.5 and np.ptp(error) <= 2.5
    assert any("no telemetry" in note for note in result.notes)


def test_a_gap_in_the_video_cuts(tmp_path: Path) -> None:
    times = np.arange(0, 9, 1 / 20)
    clips = read([_write_video(tmp_path / "a.mkv", times[(times < 4) | (times > 5)])]).clips
    assert [len(clip.timestamp_us) for clip in clips] == [40, 40]


def test_unusable_videos_are_named_and_others_go_on(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "noise.mp4").write_bytes(bytes(range(256)) * 40)
    _write_video(tmp_path / "short.mp4", np.arange(0, 1.5, 1 / 25))
    good = _write_video(tmp_path / "good.mp4", np.arange(0, 4, 1 / 25))
    torn = tmp_path / "torn.mp4"
    torn.write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    result = read([tmp_path])
    reasons = {entry.path.name: entry.reason for entry in result.quarantine}
    assert reasons.keys() == {"empty.mp4", "noise.mp4", "short.mp4", "torn.mp4"}
    assert reasons["empty.mp4"] == "0 bytes" and "undecodable" in reasons["noise.mp4"] and "1.5 s" in reasons["short.mp4"]
    assert len(result.clips) == 1 and result.clips[0].tags == ("file:good.mp4",)


def test_a_renamed_copy_is_the_same_recording(tmp_path: Path) -> None:
    video = _write_video(tmp_path / "a.mp4", np.arange(0, 4, 1 / 25))
    copy = tmp_path / "b.mp4"
    copy.write_bytes(video.read_bytes())
    reader = DashcamReader()
    assert reader.read(video).clips[0].recording_id == reader.read(copy).clips[0].recording_id


def test_real_videos(shared_data: Path) -> None:
    result = read([shared_data / "udacity_lanes"])
    assert [clip.frames.shape for clip in result.clips] == [(89, 144, 256, 3)]
    assert [entry.path.name for entry in result.quarantine] == ["vehicle_test_video.mp4"]

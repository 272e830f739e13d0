"""Motion from a CSV or GPX beside a video, whatever its columns, units and clock are called."""

from pathlib import Path

import numpy as np
import pytest

from motorworks.clips.frames import encode_mp4
from motorworks.clips.reader import read, read_beside

SPEED_MPS, YAW_RATE, SECONDS = 10.0, 0.1, 8


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """8 s of noise that moves, 10 Hz."""
    path = tmp_path / "drive.mp4"
    texture = np.random.default_rng(0).integers(0, 255, (72, 500, 3), np.uint8)
    path.write_bytes(encode_mp4(np.stack([texture[:, 2 * step : 2 * step + 128] for step in range(10 * SECONDS)])))
    return path


def _columns(hz: float = 20.0) -> dict[str, np.ndarray]:
    """A left circle at 10 m/s, starting eastwards, as every kind of sensor sees it."""
    t = np.arange(0, SECONDS + 0.5, 1 / hz)
    yaw = YAW_RATE * t
    east, north = SPEED_MPS / YAW_RATE * np.sin(yaw), SPEED_MPS / YAW_RATE * (1 - np.cos(yaw))
    return {
        "t": t,
        "speed": np.full(len(t), SPEED_MPS),
        "yaw": yaw,
        "rate": np.full(len(t), YAW_RATE),
        "east": east,
        "north": north,
        "lat": 48.0 + np.rad2deg(north / 6_366_000.0),
        "lon": 11.0 + np.rad2deg(east / (6_389_000.0 * np.cos(np.deg2rad(48)))),
        "wheel": np.rad2deg(np.arctan(YAW_RATE / SPEED_MPS * 2.7)) * 15 + 0 * t,
    }


def _write(path: Path, header: str, *columns: np.ndarray, delimiter: str = ",") -> None:
    rows = [delimiter.join(f"{value:.9f}".replace(".", "," if delimiter == ";" else ".") for value in row) for row in zip(*columns, strict=True)]
    path.write_text("\n".join([header, *rows]) + "\n")


LAYOUTS = {
    "speed and yaw": lambda c: ("t,speed_kmh,yaw_deg", c["t"], c["speed"] * 3.6, np.rad2deg(c["yaw"])),
    "speed and heading, dates": lambda c: ("timestamp_ms,speed,heading", 1.7e12 + 1e3 * c["t"], c["speed"], 90 - np.rad2deg(c["yaw"])),
    "speed and yaw rate": lambda c: ("Time [s],v (m/s),yaw_rate", c["t"], c["speed"], c["rate"]),
    "speed and steering": lambda c: ("t,speed,steering_angle", c["t"], c["speed"], c["wheel"]),
    "positions": lambda c: ("t,latitude,longitude", c["t"], c["lat"], c["lon"]),
    "positions and speed": lambda c: ("t,lat,lon,speed_mph", c["t"], c["lat"], c["lon"], c["speed"] / 0.44704),
    "poses": lambda c: ("t,x,y,yaw", c["t"], c["east"], c["north"], c["yaw"]),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_circle_is_recovered_from_every_set_of_columns(video: Path, layout: str) -> None:
    _write(video.with_suffix(".csv"), *LAYOUTS[layout](_columns()))
    result = read([video])
    assert not result.quarantine and len(result.clips) == 1
    motion = result.clips[0].motion
    inner = slice(10, -10)
    np.testing.assert_allclose(motion.speed_mps[inner], SPEED_MPS, rtol=0.02)
    np.testing.assert_allclose(motion.curvature_per_m[inner], YAW_RATE / SPEED_MPS, rtol=0.08)
    turned = np.unwrap(motion.poses_world[:, 2])
    assert turned[-11] - turned[10] == pytest.approx(YAW_RATE * (len(turned) - 21) / 10, rel=0.03)
    assert motion.kind == "measured" and any("motion from" in note for note in result.notes)


def test_a_map_names_columns_units_and_what_the_files_do_not_say(video: Path) -> None:
    columns = _columns()
    _write(video.with_suffix(".csv"), "Zeit;Geschw.;Gier", columns["t"] * 1000, columns["speed"] * 3.6, -np.rad2deg(columns["rate"]), delimiter=";")
    settings = video.with_name("ingest.toml")
    settings.write_text(
        'licence = "CC-BY-4.0"\nbody = "car"\n[columns]\ntime = {column = "Zeit", unit = "ms"}\n'
        'speed = {column = "Geschw.", unit = "km/h"}\nyaw_rate = {column = "Gier", unit = "deg/s", sign = -1}\n'
    )
    (clip,) = read([video]).clips
    assert (clip.licence, clip.body) == ("CC-BY-4.0", "car")
    np.testing.assert_allclose(clip.motion.curvature_per_m[5:-5], YAW_RATE / SPEED_MPS, rtol=0.02)
    assert read_beside(video) == (settings, video.with_suffix(".csv"))


def test_a_gpx_track_once_a_second(video: Path) -> None:
    columns = _columns(hz=1.0)
    points = "".join(
        f'<trkpt lat="{lat:.8f}" lon="{lon:.8f}"><time>2026-05-01T10:00:{second:02d}Z</time></trkpt>'
        for second, (lat, lon) in enumerate(zip(columns["lat"], columns["lon"], strict=True))
    )
    video.with_suffix(".gpx").write_text(f'<gpx xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>{points}</trkseg></trk></gpx>')
    (clip,) = read([video]).clips
    np.testing.assert_allclose(clip.motion.speed_mps[10:-10], SPEED_MPS, rtol=0.03)
    np.testing.assert_allclose(clip.motion.curvature_per_m[10:-10], YAW_RATE / SPEED_MPS, rtol=0.25)


def test_only_what_telemetry_covers_becomes_a_clip(video: Path) -> None:
    columns = {name: values[: 20 * 5] for name, values in _columns().items()}
    _write(video.with_suffix(".csv"), "t,speed,yaw", columns["t"], columns["speed"], columns["yaw"])
    (clip,) = read([video]).clips
    assert len(clip.timestamp_us) == 50
    video.with_name("ingest.toml").write_text("time_offset_s = 100.0\n")
    result = read([video])
    assert not result.clips and "telemetry covers 0 frames" in result.quarantine[0].reason

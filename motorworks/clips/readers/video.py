"""Plain video, with telemetry where a CSV or GPX lies beside it. Without, its motion is None: it can teach a camera to see, not a wheel to turn."""

import hashlib
from pathlib import Path

import av
import numpy as np
from jaxtyping import Bool, Int64, UInt8

from motorworks.clips.clock import MAX_GAP_S, MIN_CLIP_S, TICK_US, cut_pieces
from motorworks.clips.frames import iterate_video
from motorworks.clips.motion import Track, solve
from motorworks.clips.readers.settings import Settings, with_settings
from motorworks.clips.readers.telemetry import TelemetryBroken, read_telemetry, telemetry_of
from motorworks.clips.recording import ClipReader, Quarantined, ReadResult
from motorworks.datatypes.clip import Clip
from motorworks.geometry.array import Array

SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".avi", ".webm", ".ts")
MAX_READ_S = 600.0  # of one file: frames are held in memory, 0.7 GB at this length
_CHUNK_BYTES = 1 << 20


class DashcamReader(ClipReader):
    """Reads one video file."""

    name = "video"
    understands = f"dash-cam video: a file {', '.join(SUFFIXES)}; beside it perhaps a .csv or .gpx of its name, and ingest.toml"

    def recognises(self, path: Path) -> bool:
        """A file with a video's suffix."""
        return path.is_file() and path.suffix.lower() in SUFFIXES

    def beside(self, path: Path) -> tuple[Path, ...]:
        """Its telemetry."""
        source = telemetry_of(path)
        return (source,) if source else ()

    def read(self, path: Path) -> ReadResult:
        """The video as clips; the first 10 minutes of it."""
        return with_settings(path, lambda settings: _read(path, settings))


def _read(path: Path, settings: Settings) -> ReadResult:
    if path.stat().st_size == 0:
        return ReadResult(quarantine=[Quarantined(path=path, reason="0 bytes")])
    quarantine: list[Quarantined] = []
    notes: list[str] = []
    times: list[int] = []
    frames: list[UInt8[Array, "height width 3"]] = []
    try:
        for time_us, frame in iterate_video(path):
            if time_us is None:
                return ReadResult(quarantine=[Quarantined(path=path, reason="frames have no time: put the stream into an mp4 or mkv")])
            if times and time_us - times[0] > MAX_READ_S * 1e6:
                notes.append(f"{path.name}: only the first {MAX_READ_S / 60:.0f} minutes are read; cut the file to use the rest")
                break
            _keep(times, frames, time_us, frame)
    except (av.FFmpegError, ValueError, OSError) as error:
        after = f" after {len(frames)} ticks" if frames else ""
        quarantine.append(Quarantined(path=path, reason=f"undecodable{after} ({error})"))
    clock_us = np.array(times, np.int64)
    if (np.diff(clock_us) < 0).any():
        back_s = clock_us[np.argmax(np.diff(clock_us) < 0)] / 1e6
        quarantine.append(Quarantined(path=path, reason=f"the clock goes back after {back_s:.2f} s; cut there"))
    track = _telemetry(path, settings, quarantine, notes)
    good = np.ones(len(clock_us), bool) if track is None else track.covers(clock_us)
    clips = _to_clips(path, clock_us, good, frames, track, settings)
    if not clips and not quarantine:
        span_s = (times[-1] - times[0]) / 1e6 if times else 0.0
        reason = f"{len(frames)} frames over {span_s:.1f} s: no piece of {MIN_CLIP_S:.0f} s without a gap over {MAX_GAP_S} s"
        if not good.all():
            reason += f", of which telemetry covers {int(good.sum())} frames: its clock is off, or set time_offset_s in ingest.toml"
        quarantine.append(Quarantined(path=path, reason=reason))
    return ReadResult(clips=clips, quarantine=quarantine, notes=notes if clips else [])


def _telemetry(path: Path, settings: Settings, quarantine: list[Quarantined], notes: list[str]) -> Track | None:
    source = telemetry_of(path)
    if source is None:
        notes.append(f"{path.name}: no telemetry, pictures only")
        return None
    try:
        track, said = read_telemetry(source, settings)
    except (TelemetryBroken, OSError) as error:
        quarantine.append(Quarantined(path=source, reason=f"{error}; {path.name} is taken without motion"))
        return None
    notes += said
    return track


def _keep(times: list[int], frames: list[UInt8[Array, "height width 3"]], time_us: int, frame: UInt8[Array, "height width 3"]) -> None:
    """Keeps, of the frames around each tick (counted from the first frame), the nearest."""
    if times:
        tick_us = times[0] + round((times[-1] - times[0]) / TICK_US) * TICK_US
        if round((time_us - times[0]) / TICK_US) * TICK_US + times[0] == tick_us:
            if len(times) > 1 and abs(time_us - tick_us) < abs(times[-1] - tick_us):
                times[-1], frames[-1] = time_us, frame
            return
    times.append(time_us)
    frames.append(frame)


def _to_clips(
    path: Path,
    time_us: Int64[Array, " frame"],
    good: Bool[Array, " frame"],
    frames: list[UInt8[Array, "height width 3"]],
    track: Track | None,
    settings: Settings,
) -> list[Clip]:
    recording_id = f"video-{_fingerprint(path)}"
    driven = None if track is None else solve(track)
    return [
        Clip(
            recording_id=recording_id,
            source="video",
            body=settings.body,
            licence=settings.licence,
            timestamp_us=piece.tick_us,
            frames=np.stack([frames[index] for index in piece.nearest]),
            motion=None if driven is None else driven.motion(piece.tick_us, kind="measured", body=settings.vehicle),
            tags=(f"file:{path.name}",),
        )
        for piece in cut_pieces(time_us, good)
    ]


def _fingerprint(path: Path) -> str:
    """Of the content, so that a copy under another name is the same recording: size, first and last megabyte."""
    size = path.stat().st_size
    with path.open("rb") as file:
        digest = hashlib.sha256(f"{size}".encode() + file.read(_CHUNK_BYTES))
        file.seek(max(0, size - _CHUNK_BYTES))
        digest.update(file.read())
    return digest.hexdigest()[:12]

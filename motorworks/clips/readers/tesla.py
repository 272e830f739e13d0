"""A Tesla's dash-cam folder: an MP4 a minute and camera, the car's own telemetry inside the front camera's. A recording is a folder, or a minute.

Written from the specification, untested on real files: none could be opened here. Files of a minute are taken to begin at the moment in their
name; times are the car's local clock. The heading is used where nine in ten messages have a fix, held while the car stands; else the steering
wheel. Nothing says what the blinkers' wish was, so there are no instructions. No calibration is told. Clips come encoded: a folder's pictures
would not fit in memory.
"""

import re
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import av
import numpy as np

from motorworks.bodies.body import CAR
from motorworks.clips.clock import thinned
from motorworks.clips.motion import MAX_TRACK_GAP_S, Track, yaw_from_heading
from motorworks.clips.readers.pictures import VideoFrames
from motorworks.clips.readers.rig_log import CameraLog, RigLog, clips_of
from motorworks.clips.readers.settings import Settings, with_settings
from motorworks.clips.readers.tesla_sei import Seen, read_seen
from motorworks.clips.readers.video import SUFFIXES
from motorworks.clips.record import encoded
from motorworks.clips.recording import ClipReader, Quarantined, ReadResult, join

_NAME = re.compile(r"(\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d)-(front|back|left_repeater|right_repeater|left_pillar|right_pillar)\.mp4")
_FRONT, _REVERSE = "front", 2
_AUTOPILOT = {0: "none", 1: "self_driving", 2: "autosteer", 3: "cruise_control"}
_LEAST_FIX_FRAC = 0.9
_EVENT = "event.mp4"  # a montage that the car makes of the others


class TeslaReader(ClipReader):
    """Reads one folder, usually an event's, or the minute of one front camera's file."""

    name = "tesla"
    understands = "Tesla dash-cam folder: 2025-12-31_23-59-59-front.mp4 with -back, -left_repeater ... beside it"

    def recognises(self, path: Path) -> bool:
        """A folder with a camera's file by its name; of single files the front camera's."""
        if path.is_dir():
            return any(_NAME.fullmatch(child.name) for child in path.iterdir())
        found = _NAME.fullmatch(path.name)
        return found is not None and found[2] == _FRONT and path.is_file()

    def beside(self, path: Path) -> tuple[Path, ...]:
        """Of a single file the other cameras of its minute."""
        stamp = path.name.removesuffix(f"{_FRONT}{path.suffix}")
        named = () if path.is_dir() else sorted(path.parent.iterdir())
        return tuple(one for one in named if one.name.startswith(stamp) and one.name != path.name and _NAME.fullmatch(one.name))

    def read(self, path: Path) -> ReadResult:
        """Every minute as clips of all its cameras."""
        return with_settings(path, lambda settings: _read(path, settings))


def _read(path: Path, settings: Settings) -> ReadResult:
    minutes: dict[str, dict[str, Path]] = defaultdict(dict)
    results = []
    for file in sorted(path.iterdir() if path.is_dir() else path.parent.iterdir()):
        found = _NAME.fullmatch(file.name)
        if found is not None:
            minutes[found[1]][found[2]] = file
        elif path.is_dir() and file.suffix.lower() in SUFFIXES and file.name != _EVENT:
            reason = "no camera of a Tesla by its name: put it into a folder of its own and it is read as a video"
            results.append(ReadResult(quarantine=[Quarantined(path=file, reason=reason)]))
    stamps = sorted(minutes) if path.is_dir() else [_NAME.fullmatch(path.name)[1]]  # type: ignore[index]  # recognised
    return join([*results, *(_minute(stamp, minutes[stamp], settings) for stamp in stamps)])


def _minute(stamp: str, files: dict[str, Path], settings: Settings) -> ReadResult:
    place = files.get(_FRONT, next(iter(files.values())))
    if _FRONT not in files:
        reason = f"no {stamp}-{_FRONT}.mp4 beside it: a clip needs the camera that looks ahead"
        return ReadResult(quarantine=[Quarantined(path=place, reason=reason)])
    try:
        start = datetime.strptime(stamp, "%Y-%m-%d_%H-%M-%S").replace(tzinfo=UTC)
    except ValueError:
        return ReadResult(quarantine=[Quarantined(path=place, reason=f"its name says {stamp}, which is no date; give it one")])
    start_us, seen, problems = round(start.timestamp()) * 1_000_000, dict[str, Seen](), list[Quarantined]()
    for name in sorted(files, key=lambda name: (name != _FRONT, name)):
        try:
            seen[name] = read_seen(files[name])
            if seen[name].ended is not None:
                problems.append(Quarantined(path=files[name], reason=f"unreadable after {seen[name].time_us[-1] / 1e6:.1f} s ({seen[name].ended})"))
        except (OSError, ValueError, av.FFmpegError) as error:
            reason = "0 bytes" if not files[name].stat().st_size else f"unreadable ({error})"
            left = "the minute is left out" if name == _FRONT else "the minute goes on without this camera"
            problems.append(Quarantined(path=files[name], reason=f"{reason}; {left}"))
            if name == _FRONT:
                return ReadResult(quarantine=problems)
    track, tags, said = _track(seen[_FRONT], start_us, settings)
    problems += [Quarantined(path=files[_FRONT], reason=reason) for reason in said["problems"]]
    cameras = []
    for name, one in seen.items():
        kept_us = one.time_us[thinned(one.time_us)]
        cameras.append(CameraLog(name=name, time_us=start_us + kept_us, pictures=VideoFrames(path=files[name], at=kept_us, within_us=1000)))
    log = RigLog(
        recording_id=f"tesla-{stamp[:10]}",  # the minutes of a day follow on, and saved ones are copies of recent ones
        source="tesla",
        body=CAR.name,
        licence=settings.licence,
        track=track,
        cameras=cameras,
        tags=(f"file:{files[_FRONT].name}", *tags),
        max_gap_s=settings.max_gap_s,
    )
    result = clips_of(log, files[_FRONT])
    return replace(
        result,
        clips=[encoded(clip, _FRONT) for clip in result.clips],
        quarantine=[*problems, *result.quarantine],
        notes=[f"{files[_FRONT].name}: {note}" for note in said["notes"]] if result.clips else [],
    )


def _track(seen: Seen, start_us: int, settings: Settings) -> tuple[Track | None, tuple[str, ...], dict[str, list[str]]]:
    """Motion, tags of who drove, and what is to be told. Reverse gear makes speed negative."""
    said = {name: list[str]() for name in ("problems", "notes")}
    if seen.num_torn:
        reason = f"{seen.num_torn} of {seen.num_torn + len(seen.said_us)} telemetry messages are torn or have fields of another type"
        said["problems"].append(f"{reason} (SeiMetadata of dashcam.proto); left out")
    good = np.all([np.isfinite(values) for values in seen.said.values()], axis=0) & (np.abs(seen.said["lat_deg"]) <= 90)
    if not good.all():
        said["problems"].append(f"{int((~good).sum())} of {len(good)} telemetry messages hold a value that is no number or no latitude; left out")
    good &= np.concatenate([[True], np.diff(seen.said_us) > 0])[: len(good)]
    if good.sum() < 2:
        said["notes"].append("no telemetry in it (parked, or firmware before 2025.44.25): pictures only")
        return None, (), said
    time_us, values = seen.said_us[good], {name: column[good] for name, column in seen.said.items()}
    speed = np.where(values["gear"] == _REVERSE, -np.abs(values["speed_mps"]), values["speed_mps"])
    fix = (values["lat_deg"] != 0) | (values["lon_deg"] != 0)
    course = curvature = None
    if fix.mean() >= _LEAST_FIX_FRAC:
        course = np.interp(time_us, time_us[fix], np.unwrap(yaw_from_heading(values["heading_deg"][fix])))
    else:
        curvature = -np.tan(np.deg2rad(values["wheel_deg"]) / settings.steering_ratio) / CAR.wheelbase_m
    source = "the steering wheel, as few messages have a fix" if course is None else "the heading"
    step_s, whole_s = np.diff(time_us) / 1e6, (seen.time_us[-1] - seen.time_us[0]) / 1e6
    said["notes"].append(f"motion from speed and {source}; telemetry for {step_s[step_s <= MAX_TRACK_GAP_S].sum():.1f} of {whole_s:.1f} s")
    tags = tuple(f"autopilot:{_AUTOPILOT.get(int(state), int(state))}" for state in np.unique(values["autopilot"]))
    offset_us = start_us + round(settings.time_offset_s * 1e6)
    return Track(time_us=time_us + offset_us, speed_mps=speed, course_rad=course, curvature_per_m=curvature), tags, said

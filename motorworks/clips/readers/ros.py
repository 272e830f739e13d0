"""MCAP files and bags of ROS 1 and ROS 2: cameras, calibration, motion and instructions by topics.

Which topics: `ros_topics`; which clock: `ros_clock`; what is kept of a long bag: `ros_log`; frames of motion and cameras: `ros_motion`.
"""

import hashlib
from pathlib import Path

import numpy as np

from motorworks.bodies.body import CAR
from motorworks.clips.readers.pictures import ImageBytes
from motorworks.clips.readers.rig_log import CameraLog, RigLog, clips_of
from motorworks.clips.readers.ros_bag import BagBroken, is_bag, open_bag
from motorworks.clips.readers.ros_clock import Clock, choose_clock
from motorworks.clips.readers.ros_log import BagLog, Series, collect
from motorworks.clips.readers.ros_motion import Frames, camera_of, track_of
from motorworks.clips.readers.ros_topics import TopicsBroken, choose
from motorworks.clips.readers.settings import Settings, with_settings
from motorworks.clips.recording import ClipReader, Quarantined, ReadResult
from motorworks.datatypes.clip import FRONT_CAMERA


class RosReader(ClipReader):
    """Reads one bag."""

    name = "ros"
    understands = "MCAP file or ROS bag: a file .mcap, .bag or .db3, or a ROS 2 bag's folder with metadata.yaml; topics by [topics] in ingest.toml"

    def recognises(self, path: Path) -> bool:
        """A file by its suffix, or the folder that a ROS 2 recorder left."""
        return is_bag(path)

    def read(self, path: Path) -> ReadResult:
        """The bag as clips of all its cameras; the first 10 minutes of it."""
        return with_settings(path, lambda settings: _read(path, settings))


def _read(path: Path, settings: Settings) -> ReadResult:
    quarantine: list[Quarantined] = []
    try:
        with open_bag(path, quarantine) as bag:
            if not bag.topics:
                return ReadResult(quarantine=quarantine or [Quarantined(path=path, reason="no topic in it")])
            chosen = choose(bag.topics, settings.topics)
            said, log = chosen.say(bag.topics), collect(bag, chosen)
    except (BagBroken, TopicsBroken) as error:
        return ReadResult(quarantine=[*quarantine, Quarantined(path=path, reason=str(error))])
    quarantine += [entry for one in log.all_series if (entry := _left_out(path, one)) is not None]
    if not log.shots[FRONT_CAMERA].values:
        return ReadResult(quarantine=quarantine)
    clock, notes = choose_clock(log.stamped), [*log.notes]
    rig_log = _rig_log(path, settings, log, clock, notes, quarantine)
    result = clips_of(rig_log, path)
    notes = [said, f"clock: {clock.why}", *notes] if result.clips else []
    return ReadResult(
        clips=result.clips,
        quarantine=[*quarantine, *result.quarantine],
        notes=[f"{path.name}: {note}" for note in notes],
    )


def _rig_log(path: Path, settings: Settings, log: BagLog, clock: Clock, notes: list[str], quarantine: list[Quarantined]) -> RigLog:
    frames = Frames(log)
    cameras = []
    for name, shots in log.shots.items():
        time_us, kept, back = clock.lay(shots)
        quarantine += [Quarantined(path=path, reason=f"{shots.topic}: {back}")] if back else []
        images = [shots.values[index] for index in kept]
        pictures = ImageBytes(path=path / shots.topic.strip("/"), images=images)
        cameras.append(CameraLog(name=name, time_us=time_us, pictures=pictures, camera=camera_of(name, log, frames, notes) if images else None))
    laid = {}
    for role, series in log.numbers.items():
        time_us, kept, back = clock.lay(series)
        quarantine += [Quarantined(path=path, reason=f"{series.topic}: {back}")] if back else []
        values = np.array([series.values[index] for index in kept], np.float64)
        laid[role] = time_us + round(settings.time_offset_s * 1e6), values
    instructions = []
    if log.texts is not None:
        time_us, kept, _ = clock.lay(log.texts)
        instructions = [(int(time), log.texts.values[index]) for time, index in zip(time_us, kept, strict=True) if log.texts.values[index]]
    return RigLog(
        recording_id=f"ros-{_fingerprint(cameras[0])}",
        source="ros",
        body=CAR.name if settings.path is None else settings.body,
        licence=settings.licence,
        track=track_of(laid, frames, notes),
        cameras=cameras,
        tags=(f"file:{path.name}",),
        instructions=instructions,
        max_gap_s=settings.max_gap_s,
    )


def _left_out(path: Path, series: Series) -> Quarantined | None:
    if series.unusable:
        num, first = len(series.unusable), series.unusable[0]
        return Quarantined(path=path, reason=f"{series.topic}: {num} of {series.num} messages cannot be used and are left out; the first: {first}")
    return None if series.num else Quarantined(path=path, reason=f"{series.topic}: no message; it is left out")


def _fingerprint(front: CameraLog) -> str:
    """Of the pictures, so that a bag converted or under another name is the same recording."""
    digest = hashlib.sha256()
    for image in front.pictures.images:
        digest.update(image)
    return digest.hexdigest()[:12]

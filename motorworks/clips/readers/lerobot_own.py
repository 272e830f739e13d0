"""Episodes that `write_lerobot` wrote: further columns hold what LeRobot has no place for, and videos come back with their own bytes."""

import io
import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from motorworks.clips.clock import TICK_US
from motorworks.clips.export_lerobot import ACTION, IMAGES, STATE
from motorworks.clips.frames import FRAME_HZ, decode_mp4, video_size
from motorworks.clips.readers.lerobot_columns import matrix_of
from motorworks.clips.record import cameras_of, unpack_runs
from motorworks.datatypes.clip import Clip, Motion
from motorworks.datatypes.thought import Thought

_MARK = "motorworks/"


def is_own(episode: Mapping[str, Any]) -> bool:
    """Whether the row of an episode has our columns."""
    return f"{_MARK}recording_id" in episode


def own_clip(
    episode: Mapping[str, Any], rows: Any, *, body: str, tasks: Mapping[int, str], videos: Mapping[str, Path], sizes: Mapping[str, tuple[int, int]]
) -> Clip:
    """The clip that was written. `videos` and `sizes` (height, width) are by feature. Raises ValueError, KeyError or OSError for what is torn."""
    ours = {key.removeprefix(_MARK): value for key, value in episode.items() if key.startswith(_MARK)}
    state, action = matrix_of(rows[STATE]), matrix_of(rows[ACTION])
    if not (np.isfinite(state).all() and np.isfinite(action).all()):
        raise ValueError(f"{STATE} or {ACTION} is not finite")
    num = len(state)
    if num != episode["length"]:
        raise ValueError(f"the data file holds {num} of its {episode['length']} rows")
    encoded = {key.removeprefix(IMAGES): _cut_out(file, float(episode[f"videos/{key}/from_timestamp"]), num) for key, file in videos.items()}
    own_sizes = {key.removeprefix(IMAGES): size for key, size in sizes.items()}
    frames = {}
    if any(video_size(video) != own_sizes[name] for name, video in encoded.items()):  # the codec padded it
        frames = {name: decode_mp4(video, height_px=own_sizes[name][0], width_px=own_sizes[name][1]) for name, video in encoded.items()}
        encoded = {}
    front = next(iter(frames), None)
    thoughts = unpack_runs(json.loads(ours["thoughts"])) if ours["thoughts"] else None
    return Clip(
        recording_id=ours["recording_id"],
        source=ours["source"],
        body=body,
        licence=ours["licence"],
        timestamp_us=int(ours["start_us"]) + TICK_US * np.arange(num, dtype=np.int64),
        frames=frames.pop(front, None),
        side_frames=frames,
        encoded=encoded,
        motion=Motion(
            kind=ours["motion_kind"],
            poses_world=state[:, :3],
            speed_mps=state[:, 3].astype(np.float32),
            accel_mps2=action[:, 0].astype(np.float32),
            curvature_per_m=action[:, 1].astype(np.float32),
        ),
        cameras=cameras_of(json.loads(ours["cameras"])),
        instructions=tuple(tasks[task] for task in rows["task_index"].to_pylist()) if ours["has_instructions"] else None,
        instruction_kind=ours["instruction_kind"] or None,
        thoughts=None if thoughts is None else tuple(words and Thought(decision=words[0], cause=words[1]) for words in thoughts),
        tags=tuple(json.loads(ours["tags"])),
    )


def _cut_out(path: Path, start_s: float, num: int) -> bytes:
    """The episode's packets as an MP4 of its own; it begins at a key frame, for it was joined on."""
    file, first, written = io.BytesIO(), round(start_s * FRAME_HZ), 0
    with av.open(str(path)) as source, av.open(file, "w", format="mp4") as out:
        stream = source.streams.video[0]
        own = out.add_stream_from_template(stream)
        own.time_base = Fraction(1, FRAME_HZ)
        source.seek(int(start_s / stream.time_base), stream=stream)
        for packet in source.demux(stream):
            if not packet.size:
                continue
            index = round(packet.pts * packet.time_base * FRAME_HZ) - first
            if 0 <= index < num:
                if index != written or (index == 0 and not packet.is_keyframe):
                    raise ValueError(f"{path.name}: frame {index} of {num} does not follow on; the videos were changed by other tools")
                packet.stream, packet.time_base = own, Fraction(1, FRAME_HZ)
                packet.pts = packet.dts = index
                packet.duration = 1
                out.mux(packet)
                written += 1
            elif index >= num:
                break
    if written != num:
        raise ValueError(f"{path.name}: ends after {written} of {num} frames")
    return file.getvalue()

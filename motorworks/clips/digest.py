"""What a clip is, as a number: sha256 over its canonical content, the same on every machine."""

import hashlib
import json
from dataclasses import asdict

import numpy as np

from motorworks.datatypes.clip import Clip, Motion
from motorworks.geometry.array import Array

# the canonical type of each stored array; little-endian, C order
POSE_TYPE, VALUE_TYPE, CLOCK_TYPE = np.dtype("<f8"), np.dtype("<f4"), np.dtype("<i8")


def clip_digest(clip: Clip, content: str | None = None) -> str:
    """Names a clip: pictures, motion, clock, words and where it came from. `content` is its content digest where that is known already."""
    about = {
        "recording_id": clip.recording_id,
        "source": clip.source,
        "licence": clip.licence,
        "tags": list(clip.tags),
        "instructions": None if clip.instructions is None else list(clip.instructions),
        **({} if clip.instruction_kind is None else {"instruction_kind": clip.instruction_kind}),
        **({} if not clip.cameras else {"cameras": [asdict(camera) for camera in clip.cameras]}),
        "thoughts": None if clip.thoughts is None else [thought and [thought.decision, thought.cause] for thought in clip.thoughts],
    }
    digest = hashlib.sha256(json.dumps(about, sort_keys=True, separators=(",", ":")).encode())
    digest.update((content or content_digest(clip)).encode())
    return digest.hexdigest()


def content_digest(clip: Clip) -> str:
    """What was seen and driven, whatever it is called: equal for the same recording read twice under two names."""
    digest = hashlib.sha256(f"clip 1 {clip.body} {clip.motion.kind if clip.motion else None}".encode())
    arrays: dict[str, Array] = {**clock_array(clip), **motion_arrays(clip.motion)}
    if clip.frames is not None:
        arrays["frames"] = np.asarray(clip.frames, np.uint8)
        arrays |= {f"frames of {name}": np.asarray(frames, np.uint8) for name, frames in clip.side_frames.items()}
    else:
        arrays |= {f"video of {name}": np.frombuffer(video, np.uint8) for name, video in clip.encoded.items()}
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def clock_array(clip: Clip) -> dict[str, Array]:
    """The clock in its canonical type."""
    return {"timestamp_us": np.asarray(clip.timestamp_us).astype(CLOCK_TYPE)}


def motion_arrays(motion: Motion | None) -> dict[str, Array]:
    """The arrays of a motion in their canonical types; empty for none."""
    if motion is None:
        return {}
    return {
        "poses_world": np.asarray(motion.poses_world).astype(POSE_TYPE),
        **{name: np.asarray(getattr(motion, name)).astype(VALUE_TYPE) for name in ("speed_mps", "accel_mps2", "curvature_per_m")},
    }

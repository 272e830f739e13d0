"""A part of a clip is a clip."""

from dataclasses import replace

from motorworks.datatypes.clip import Clip, Motion


def cut(clip: Clip, start: int, stop: int) -> Clip:
    """Steps [start, stop) of a clip, as views where it can; the recording stays the same, so a split by recording still holds."""
    num = len(clip.timestamp_us)
    if not (start >= 0 and stop <= num and stop - start >= 2):
        raise ValueError(f"clip of {clip.recording_id} has {num} steps: [{start}, {stop}) is not a part of at least 2")
    motion = clip.motion and Motion(
        kind=clip.motion.kind,
        poses_world=clip.motion.poses_world[start:stop],
        speed_mps=clip.motion.speed_mps[start:stop],
        accel_mps2=clip.motion.accel_mps2[start:stop],
        curvature_per_m=clip.motion.curvature_per_m[start:stop],
    )
    return replace(
        clip,
        timestamp_us=clip.timestamp_us[start:stop],
        frames=None if clip.frames is None else clip.frames[start:stop],
        side_frames={name: frames[start:stop] for name, frames in clip.side_frames.items()},
        encoded={},  # an encoded video is cut by decoding it
        motion=motion,
        instructions=clip.instructions and clip.instructions[start:stop],
        thoughts=clip.thoughts and clip.thoughts[start:stop],
    )

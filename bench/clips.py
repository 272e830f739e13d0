"""Clips on one core: frames decoded from a stored video, as the factory reads them."""

import io
import time
from collections.abc import Callable

import av

from bench.figure import Figure
from motorworks.clips.frames import decode_mp4, encode_mp4
from motorworks.policy.expert import Expert
from motorworks.sim.rollout import roll_out
from motorworks.sim.seeds import TRAIN_SEEDS, town_scenarios
from motorworks.sim.town import Town

REPEATS = 5


def measure() -> list[Figure]:
    """A drive of the expert, stored and read back by one thread; the best of several repeats."""
    (drive,) = roll_out(Town(1), Expert(), town_scenarios(TRAIN_SEEDS.start, 1), keep_frames=True)
    if drive.frames is None:
        raise RuntimeError("the drive kept no frames")
    num, height, width = drive.frames.shape[:3]
    video = encode_mp4(drive.frames)
    ours_s = codec_s = float("inf")
    for _ in range(REPEATS):
        ours_s = min(ours_s, _seconds(lambda: len(decode_mp4(video, height_px=height, width_px=width)), num))
        codec_s = min(codec_s, _seconds(lambda: _decode_only(video), num))
    against = f"{num / codec_s:,.0f}/s of the H.264 decoder alone, pictures thrown away; ours: {width}x{height} RGB in one array"
    return [Figure(name="clips.decode_fps_per_core", value=num / ours_s, unit="1/s", against=against, ratio=codec_s / ours_s)]


def _decode_only(video: bytes) -> int:
    with av.open(io.BytesIO(video)) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "NONE", 1
        return sum(1 for _ in container.decode(stream))


def _seconds(read: Callable[[], int], num: int) -> float:
    start = time.perf_counter()
    found = read()
    took_s = time.perf_counter() - start
    if found != num:
        raise RuntimeError(f"{found} frames came back of {num} that were stored")
    return took_s

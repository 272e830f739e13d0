"""Clips on one core: decoded, sampled, streamed, taken in. The same recordings for everyone: drives of the expert, 10 s each, 256x144."""

import io
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path

import av
import numpy as np

from bench.figure import Figure
from motorworks.clips.cut import cut
from motorworks.clips.frames import decode_mp4, encode_mp4, iterate_video
from motorworks.clips.manifest import Manifest, write_manifest
from motorworks.clips.store import PACKS, ClipStore, write_clips
from motorworks.clips.stream import ClipStream, ClipViews, raw_windows
from motorworks.datatypes.clip import Clip
from motorworks.policy.expert import Expert
from motorworks.sim.rollout import clip_from_rollout, roll_out
from motorworks.sim.seeds import TRAIN_SEEDS, town_scenarios
from motorworks.sim.town import Town

REPEATS = 5
NUM_DRIVES, CLIP_STEPS, WINDOW = 12, 100, 8
PEER = "MOTORWORKS_LEROBOT_PYTHON"  # a Python that has lerobot


def measure() -> list[Figure]:
    """One thread each; the best of several repeats."""
    drives, clips = town_clips()
    frames = np.concatenate([drive.frames for drive in drives if drive.frames is not None])
    figures = [*_decoding(frames)]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_clips(root, clips)
        figures += [_taking_in(root), *_sampling(root)]
    return figures


def town_clips() -> tuple[list[Clip], list[Clip]]:
    """Drives of the expert, whole and in pieces of 10 s."""
    drives = [clip_from_rollout(drive) for drive in roll_out(Town(4), Expert(), town_scenarios(TRAIN_SEEDS.start, NUM_DRIVES), keep_frames=True)]
    starts = [(drive, start) for drive in drives for start in range(0, len(drive.timestamp_us) - CLIP_STEPS + 1, CLIP_STEPS)]
    return drives, [cut(drive, start, start + CLIP_STEPS) for drive, start in starts]


def _decoding(frames: np.ndarray) -> list[Figure]:
    num, height, width = frames.shape[:3]
    video = encode_mp4(frames)
    ours_s = _best(lambda: len(decode_mp4(video, height_px=height, width_px=width)), num)
    codec_s = _best(lambda: _decode_only(video), num)
    against = f"{num / codec_s:,.0f}/s of the H.264 decoder alone, pictures thrown away; ours: {width}x{height} RGB in one array"
    figures = [Figure(name="clips.decode_fps_per_core", value=num / ours_s, unit="1/s", against=against, ratio=codec_s / ours_s)]
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        print("clips: no figure beside ffmpeg, for it is not on the PATH", flush=True)
        return figures
    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        file.write(video)
        file.flush()
        one_thread = ("-threads", "1", "-filter_threads", "1", "-filter_complex_threads", "1")
        command = [ffmpeg, "-v", "error", *one_thread, "-i", file.name, "-f", "rawvideo", "-pix_fmt", "rgb24", "-threads", "1", "-y", os.devnull]
        pairs = [(_cpu_s(command), _own_cpu_s(lambda: sum(1 for _ in iterate_video(Path(file.name))))) for _ in range(REPEATS)]
    ratio = min(theirs for theirs, _ in pairs) / (ours_s := min(ours for _, ours in pairs))
    beside = f"{num / (ours_s * ratio):,.0f}/s of ffmpeg -threads 1 to rgb24 in {os.devnull}; ours {num / ours_s:,.0f}/s"
    against = f"{beside}; processor time, {num:,} frames of one file"
    return [*figures, Figure(name="clips.decode_vs_ffmpeg_ratio", value=ratio, unit="times faster", against=against, ratio=ratio)]


def _taking_in(root: Path) -> Figure:
    """Clips that are encoded already, into packs on disk; beside it the same bytes hashed and written."""
    store = ClipStore(root)
    clips = [store.read(clip_id, decode=False) for clip_id in store.index]
    many = (clips * (1 + 400 // len(clips)))[:400]
    nbytes = sum(row.nbytes for row in store.rows) / len(clips)

    def take_in() -> int:
        with tempfile.TemporaryDirectory(dir=root) as folder:
            for start in range(0, len(many), len(clips)):  # each once in a store
                write_clips(Path(folder) / str(start), many[start : start + len(clips)])
        return len(many)

    took_s = _best(take_in, len(many))
    copy_s = _best(lambda: _hash_and_write(root, len(many), int(nbytes)), len(many))
    against = f"{len(many) / copy_s:,.0f}/s of the same {nbytes / 1e3:.0f} kB hashed once (sha256) and written with one fsync; clips of 10 s"
    return Figure(name="clips.ingest_encoded_per_s", value=len(many) / took_s, unit="1/s", against=against, ratio=copy_s / took_s)


def _sampling(root: Path) -> list[Figure]:
    """Beside LeRobot, which gets the same videos, stream-copied into its own layout."""
    from motorworks.clips.export_lerobot import write_lerobot
    from motorworks.train.stream import StreamLoader

    python = os.environ.get(PEER)
    if not python:
        print(f"clips: no figures beside LeRobot: set {PEER} to a Python that has lerobot", flush=True)
        return []
    store = ClipStore(root)
    write_lerobot([store.read(clip_id, decode=False) for clip_id in store.index], root / "lerobot")
    script = Path(__file__).with_name("lerobot_peer.py")
    done = subprocess.run([python, script, root / "lerobot"], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"LeRobot at {PEER}={python} measured nothing (its torchcodec needs the system's ffmpeg):\n{done.stderr[-2000:]}")
    peer = json.loads(done.stdout.splitlines()[-1])
    num = write_manifest(root / "clips.manifest", store.index.values())
    views = ClipViews(Manifest(root / "clips.manifest"), root)
    rng = np.random.default_rng(0)
    draws = [
        (int(number), int(start)) for number, start in zip(rng.integers(num, size=400), rng.integers(CLIP_STEPS - WINDOW, size=400), strict=True)
    ]
    random_s = _best(lambda: sum(len(views.read(number, start, start + WINDOW).timestamp_us) == WINDOW for number, start in draws), len(draws))
    stream = ClipStream(views=views, make=partial(raw_windows, num_frames=WINDOW), span=WINDOW, windows_per_clip=16)
    loader = iter(_forever(StreamLoader(stream, batch_size=32, num_workers=1)))
    next(loader)
    stream_s = _best(lambda: sum(len(batch["frames"]) for batch in islice(loader, 60)), None) / (60 * 32)
    size_mb = sum(path.stat().st_size for path in (root / PACKS).iterdir()) / 1e6
    sizes = f"on disk {size_mb:.1f} MB, there {peer['bytes_on_disk'] / 1e6:.1f} MB"
    beside = f"LeRobot {peer['lerobot_version']} ({peer['backend']}) on the same {num} clips; {sizes}"
    rates = (
        ("clips.random_samples_per_s", len(draws) / random_s, peer["random_samples_per_s"], "one process, 8 frames and the ego window"),
        ("clips.stream_samples_per_s", 1 / stream_s, peer["stream_samples_per_s_per_core"], "shuffled, one worker process, 16 windows a clip"),
    )
    return [
        Figure(name=name, value=ours, unit="1/s", against=f"{theirs:,.0f}/s of {beside}; {words}", ratio=ours / theirs)
        for name, ours, theirs, words in rates
    ]


def _forever(loader):  # type: ignore[no-untyped-def]
    while True:
        yield from loader


def _hash_and_write(root: Path, num: int, nbytes: int) -> int:
    import hashlib

    data = os.urandom(nbytes)
    with tempfile.TemporaryFile(dir=root) as file:
        for _ in range(num):
            hashlib.sha256(data)
            file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return num


def _decode_only(video: bytes) -> int:
    with av.open(io.BytesIO(video)) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "NONE", 1
        return sum(1 for _ in container.decode(stream))


def _best(read: Callable[[], int], num: int | None) -> float:
    """Seconds of the fastest repeat; `num` things must have come of it."""
    best_s = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter()
        found = read()
        best_s = min(best_s, time.perf_counter() - start)
        if num is not None and found != num:
            raise RuntimeError(f"{found} came back of {num}")
    return best_s


def _own_cpu_s(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def _cpu_s(command: list[str]) -> float:
    before = os.times()
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system

"""What curation finds: copies that were planted among different clips, each changed in one of the ways that copies come to be."""

import io
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
from PIL import Image

from bench.clips import town_clips
from bench.figure import Figure
from motorworks.clips.cut import cut
from motorworks.clips.frames import decode_mp4
from motorworks.curate.deduplicate import features_of, find_duplicates
from motorworks.curate.embed import LayoutEmbedder, unit
from motorworks.datatypes.clip import Clip

STEPS, SEEDS, NUM_VECTORS = 80, range(6), 100_000


def measure() -> list[Figure]:
    """Recall and precision over several plantings; every clip is either a different piece of a drive, its mirror image, or planted."""
    _, clips = town_clips()
    moving = [
        clip for clip in clips if clip.motion is not None and np.abs(clip.motion.speed_mps).mean() > 0.5
    ]  # two pieces of one long wait are the same
    found = planted = right = 0
    for seed in SEEDS:
        shown, of = plant(moving, np.random.default_rng(seed))
        duplicates = {entry.clip: entry.of for entry in find_duplicates([features_of(clip) for clip in shown])}
        planted += len(of)
        found += len(duplicates)
        right += sum(of.get(clip) == original for clip, original in duplicates.items())
    return [*_shares(right, planted, found, len(moving)), _search(moving)]


def _shares(right: int, planted: int, found: int, num: int) -> list[Figure]:
    about = f"{planted} copies among {num} town clips, {len(SEEDS)} times: crops of 5 to 10 %, crf 26 to 35, brightness, shifts of 0.3 to 2 s"
    rows = (("recall", right / planted, about), ("precision", right / found, f"{found} found"))
    return [
        Figure(name=f"curation.near_duplicate_{name}_frac", value=value, unit="of 1", against=f"0.95, the bar; {words}", ratio=value / 0.95)
        for name, value, words in rows
    ]


def _search(clips: list[Clip]) -> Figure:
    """Recall of the index against an exact search; the vectors of real pictures, many times with noise of a tenth of their length."""
    from motorworks.clips.catalogue import Catalogue
    from motorworks.curate.search import VectorIndex, index_vectors, vector_table

    rng = np.random.default_rng(0)
    own = np.concatenate([LayoutEmbedder()(clip.frames[::2]) for clip in clips if clip.frames is not None])
    vectors = unit(own[rng.integers(len(own), size=NUM_VECTORS)] + rng.normal(size=(NUM_VECTORS, own.shape[1])) * 0.1 / own.shape[1] ** 0.5)
    with tempfile.TemporaryDirectory() as folder:
        tables = Catalogue(Path(folder))
        tables.put("vectors", vector_table([f"{number:032x}" for number in range(NUM_VECTORS)], vectors, embedder=LayoutEmbedder().name))
        index_vectors(tables.table("vectors"))
        index = VectorIndex(tables.table("vectors"))
        shares, took_s, exact_s = [], 0.0, 0.0
        for query in vectors[rng.integers(NUM_VECTORS, size=100)]:
            index.search(query)  # warm
            start = time.perf_counter()
            found = {one.clip_id for one in index.search(query)}
            took_s += time.perf_counter() - start
            start = time.perf_counter()
            exact = {one.clip_id for one in index.search(query, exact=True)}
            exact_s += time.perf_counter() - start
            shares.append(len(found & exact) / 10)
    recall = float(np.mean(shares))
    against = f"0.95, the bar; {NUM_VECTORS:,} vectors of {own.shape[1]}, {took_s * 10:.1f} ms a query, exact {exact_s * 10:.1f} ms"
    return Figure(name="curation.search_recall_at_10", value=recall, unit="of 1", against=against, ratio=recall / 0.95)


def plant(clips: list[Clip], rng: np.random.Generator) -> tuple[list[Clip], dict[int, int]]:
    """The clips with changed copies and mirror images among them, and which is a copy of which."""
    kinds: tuple[Callable[[Clip, np.random.Generator], Clip], ...] = (_crop, _compress, _relight, _shift, _all)
    shown: list[Clip] = []
    of: dict[int, int] = {}
    for clip in clips:
        start = cut(clip, 0, STEPS)
        shown.append(start)
        kind = int(rng.integers(len(kinds) + 1))
        if kind < len(kinds):
            of[len(shown)] = len(shown) - 1
            shown.append(kinds[kind](clip, rng))
        else:
            shown.append(_mirror(start))
    return shown, of


def _crop(clip: Clip, rng: np.random.Generator, frac: float | None = None) -> Clip:
    start = cut(clip, 0, STEPS)
    assert start.frames is not None
    height, width = start.frames.shape[1:3]
    keep = 1 - (rng.uniform(0.05, 0.1) if frac is None else frac)
    rows, columns = int(height * keep), int(width * keep)
    top, left = rng.integers(height - rows + 1), rng.integers(width - columns + 1)
    inside = start.frames[:, top : top + rows, left : left + columns]
    return replace(
        start, frames=np.stack([np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BILINEAR)) for frame in inside])
    )


def _compress(clip: Clip, rng: np.random.Generator) -> Clip:
    start = cut(clip, 0, STEPS)
    assert start.frames is not None
    height, width = start.frames.shape[1:3]
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": str(rng.integers(26, 36)), "preset": "veryfast", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in start.frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode(None))
    return replace(start, frames=decode_mp4(file.getvalue(), height_px=height, width_px=width))


def _relight(clip: Clip, rng: np.random.Generator) -> Clip:
    start = cut(clip, 0, STEPS)
    assert start.frames is not None
    lit = start.frames * np.float32(rng.uniform(0.75, 1.3)) + np.float32(rng.uniform(-20, 20))
    return replace(start, frames=lit.clip(0, 255).astype(np.uint8))


def _shift(clip: Clip, rng: np.random.Generator) -> Clip:
    later = int(rng.integers(3, len(clip.timestamp_us) - STEPS + 1))
    return cut(clip, later, later + STEPS)


def _all(clip: Clip, rng: np.random.Generator) -> Clip:
    return _relight(_compress(_crop(clip, rng, 0.05), rng), rng)


def _mirror(clip: Clip) -> Clip:
    assert clip.frames is not None and clip.motion is not None
    motion = replace(clip.motion, curvature_per_m=-clip.motion.curvature_per_m, poses_world=clip.motion.poses_world * [1, -1, -1])
    return replace(clip, frames=clip.frames[:, :, ::-1].copy(), motion=motion)

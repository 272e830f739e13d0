"""Training straight from clips on disk: windows of a ClipStream as samples, for data that does not fit in memory."""

from collections.abc import Iterator, Mapping
from dataclasses import fields

import numpy as np
from jaxtyping import Int64

from motorworks.clips.stream import ClipStream
from motorworks.datatypes.clip import Clip
from motorworks.geometry.array import Array
from motorworks.train.batch import gather
from motorworks.train.feed import Cursor, Drawn
from motorworks.train.fit_config import FitConfig
from motorworks.train.samples import FRAME_GAP_STEPS, FRAME_INDICES, MIN_VALID_STEPS, NUM_LATER, Samples, samples_from_clip
from motorworks.train.stream import StreamLoader

_PICTURES = ("frames", *FRAME_INDICES)


def window_steps(num_frames: int = 2) -> int:
    """From the oldest picture to as much future as a sample must have: the span of a stream."""
    return FRAME_GAP_STEPS * (num_frames - 1) + MIN_VALID_STEPS + 1


def sample_windows(clip: Clip, starts: Int64[Array, " window"], *, num_frames: int = 2, num_views: int = 1) -> Mapping[str, Array]:
    """What `ClipStream.make` may be (or a `partial` of it), with span `window_steps(num_frames)`: a row of every field of Samples, the pictures
    of each, the next one last, and which of them there are. Several views need a stream over RigViews."""
    if clip.frames is None:
        raise ValueError(f"clip {clip.recording_id} has no pictures: a stream is for clips that have them")
    every = samples_from_clip(clip, stride=1, num_frames=num_frames, num_views=num_views)
    samples = every.select(np.searchsorted(every.step, starts + FRAME_GAP_STEPS * (num_frames - 1)))
    index = np.concatenate([samples.frame_index.reshape(len(samples), -1), samples.next_frame_index[:, None]], axis=1)
    pictures = {"pictures": every.frames[np.maximum(index, 0)], "present": index >= 0}
    return {**pictures, **{item.name: getattr(samples, item.name) for item in fields(Samples) if item.name not in _PICTURES}}


class FromClips:
    """Batches of a stream whose `make` is `sample_windows`. Windows are drawn evenly: weights do not count. A pass's last batch is left out
    where it is not full. Thin: each rank reads the whole stream and takes its rows."""

    def __init__(self, stream: ClipStream, *, num_workers: int = 0) -> None:
        if stream.span < window_steps():
            raise ValueError(f"ClipStream.span is {stream.span}: {window_steps()} steps make a sample, the future it learns from included")
        self.stream, self.num_workers = stream, num_workers

    def identity(self) -> str:
        """By its numbers and seed."""
        stream = self.stream
        return f"stream of {len(stream.views)} clips, {stream.span} {stream.windows_per_clip} {stream.clips_per_block}, seed {stream.seed}"

    def batches(self, config: FitConfig, *, mine: slice, cursor: Cursor | None, num_later: int = 0) -> Iterator[Drawn]:
        """Pass after pass. Windows hold no picture further ahead than one horizon."""
        if num_later:
            raise ValueError(
                "a stream's windows hold the picture 0.5 s ahead alone: train a model with foresight_horizons 1, or on samples in memory"
            )
        loader = StreamLoader(self.stream, batch_size=config.batch_size, num_workers=self.num_workers)
        generator = np.random.default_rng([config.seed, 1])
        if cursor is not None:
            loader.load_state_dict(cursor["stream"])
            generator.bit_generator.state = cursor["jitter"]
        num_empty = 0  # passes; the rest of one may be
        while num_empty < 2:
            num_empty += 1
            for tensors in loader:
                samples = _samples({name: value.numpy() for name, value in tensors.items()})
                if len(samples) < config.batch_size:
                    break
                num_empty = 0
                batch = gather(
                    samples, np.arange(len(samples)), config.jitter, generator, world=config.losses.world > 0, num_later=num_later, mine=mine
                )
                yield Drawn(batch=batch, cursor={"stream": loader.state_dict(), "jitter": generator.bit_generator.state})
        raise ValueError(f"a pass over {len(self.stream.views)} clips is no full batch of {config.batch_size}: give more clips or a smaller one")


def _samples(arrays: dict[str, Array]) -> Samples:
    pictures, present = arrays.pop("pictures"), arrays.pop("present")
    index = np.where(present, np.arange(present.size).reshape(present.shape), -1)
    return Samples(
        frames=pictures.reshape(-1, *pictures.shape[2:]),
        frame_index=index[:, :-1].reshape(len(index), -1, arrays["cameras"].shape[1]),
        next_frame_index=index[:, -1],
        later_frame_index=np.full((len(index), NUM_LATER), -1, np.int64),
        **arrays,
    )

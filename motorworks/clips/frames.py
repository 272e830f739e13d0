"""Pictures: the size they are kept at, and video files in and out (PyAV)."""

import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import IO

import av
import numpy as np
from av.video.reformatter import Interpolation
from jaxtyping import UInt8
from PIL import Image

from motorworks.geometry.array import Array

MAX_HEIGHT_PX = 144  # frames are shrunk to this at the door: twice the model's input, a hundredth of a 2 Mpx camera's bytes
FRAME_HZ = 10
_MIN_CODED_PX = 64  # x264's lookahead reads past smaller pictures: the same frames then give other bytes once in ten times


def kept_size(width_px: int, height_px: int) -> tuple[int, int]:
    """Width and height a picture is stored at: at most 144 high, aspect kept, both even (yuv420p), never enlarged."""
    scale = min(1.0, MAX_HEIGHT_PX / height_px)
    return max(2, round(width_px * scale / 2) * 2), max(2, round(height_px * scale / 2) * 2)


def open_image(source: Path | IO[bytes], size_px: tuple[int, int] | None = None) -> UInt8[Array, "height width 3"]:
    """A picture's file or bytes, wholly decoded (a torn one raises OSError), in RGB at its kept size (or the one given)."""
    with Image.open(source) as image:
        image.load()
        size_px = size_px or kept_size(*image.size)
        picture = image.convert("RGB")
        return np.asarray(picture if picture.size == size_px else picture.resize(size_px, Image.Resampling.BOX), np.uint8)


def iterate_video(
    source: Path | IO[bytes], size_px: tuple[int, int] | None = None, *, start_us: int | None = None
) -> Iterator[tuple[int | None, UInt8[Array, "height width 3"]]]:
    """Time in microseconds (None where the file has no clock) and picture at kept size (or the one given), frame after frame.

    With a start, decoding begins at the key frame before it.
    """
    with av.open(str(source) if isinstance(source, Path) else source) as container:
        if not container.streams.video:
            raise ValueError("no video stream")
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "NONE", 1
        reformatter = av.video.reformatter.VideoReformatter()
        if start_us is not None and stream.time_base:
            container.seek(int(start_us / 1_000_000 / stream.time_base), stream=stream)
        for frame in container.decode(stream):
            time_us = None if frame.pts is None or frame.time_base is None else round(frame.pts * frame.time_base * 1_000_000)
            if start_us is not None and time_us is not None and time_us < start_us:
                continue
            width, height = size_px or kept_size(frame.width, frame.height)
            picture = reformatter.reformat(frame, width=width, height=height, format="rgb24", interpolation=Interpolation.AREA, threads=1)
            yield time_us, _pixels(picture)


def encode_mp4(frames: UInt8[Array, "time height width 3"], *, hz: int = FRAME_HZ) -> bytes:
    """H.264 (crf 20, yuv420p, a key frame a second, no B-frames) by one thread: on one kind of CPU the same frames give the same bytes.

    `fastdecode` (no CABAC, no deblocking) decodes 1.9 times as fast for a tenth more bytes at the same error; training decodes a clip often.

    Lossy. Sizes that are odd or under 64 are padded by repeating the edge: crop on reading.
    """
    num, height, width = frames.shape[:3]
    more = [max(_MIN_CODED_PX, size + size % 2) - size for size in (height, width)]
    padded = np.pad(frames, ((0, 0), (0, more[0]), (0, more[1]), (0, 0)), mode="edge") if any(more) else frames
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        options = {"crf": "20", "preset": "veryfast", "tune": "fastdecode", "g": str(hz), "bf": "0", "threads": "1"}
        stream = container.add_stream("libx264", rate=Fraction(hz, 1), options=options)
        stream.width, stream.height, stream.pix_fmt = padded.shape[2], padded.shape[1], "yuv420p"
        for index in range(num):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(padded[index]), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, hz)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def decode_mp4(
    data: bytes | memoryview, *, height_px: int, width_px: int, start: int = 0, stop: int | None = None
) -> UInt8[Array, "time height width 3"]:
    """Frames [start, stop) of `encode_mp4`, cropped to their size; decoding begins at the key frame before `start`."""
    with av.open(io.BytesIO(data), format="mp4") as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "NONE", 1
        stop = stream.frames if stop is None else stop  # mp4 says how many there are
        if not 0 <= start <= stop <= stream.frames:
            raise ValueError(f"frames {start} to {stop} of a video of {stream.frames}")
        frames = np.empty((stop - start, height_px, width_px, 3), np.uint8)
        if start and stream.time_base and stream.average_rate:
            container.seek(int(start / stream.average_rate / stream.time_base), stream=stream)
        reformatter, num = av.video.reformatter.VideoReformatter(), 0
        steps_per_tick = float(stream.time_base * stream.average_rate) if start else 0.0
        for frame in container.decode(stream):
            index = round(frame.pts * steps_per_tick) if start else num
            if index >= stop:
                if stop == stream.frames:
                    raise ValueError(f"the video holds more frames than the {stream.frames} it declares")
                break
            if index >= start:
                frames[index - start] = _pixels(reformatter.reformat(frame, format="rgb24", threads=1))[:height_px, :width_px]
                num += 1
    return frames[:num]


def decode_whole(data: bytes | memoryview) -> UInt8[Array, "time height width 3"]:
    """All frames at the size that the video says."""
    height_px, width_px = video_size(data)
    return decode_mp4(data, height_px=height_px, width_px=width_px)


def _pixels(frame: av.VideoFrame) -> UInt8[Array, "height width 3"]:
    """Of an rgb24 frame, without a copy: the array keeps the frame's memory alive."""
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(frame.height, plane.line_size)  # type: ignore[arg-type]  # a plane is a buffer
    return rows[:, : 3 * frame.width].reshape(frame.height, frame.width, 3)


def video_size(data: bytes | memoryview) -> tuple[int, int]:
    """Height and width of a video, from its head alone."""
    with av.open(io.BytesIO(data), format="mp4") as container:
        if not container.streams.video:
            raise ValueError("no video stream")
        return container.streams.video[0].height, container.streams.video[0].width

"""Where a camera's pictures lie: files, compressed bytes inside some other file, or the frames of a video."""

import io
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

import av
import numpy as np
from jaxtyping import Int, UInt8
from PIL import UnidentifiedImageError

from motorworks.clips.frames import iterate_video, open_image
from motorworks.geometry.array import Array


class Pictures(Protocol):
    """One camera's pictures by number, in order of time."""

    def open(self, index: int, size_px: tuple[int, int] | None) -> UInt8[Array, "height width 3"]:
        """At (width, height), or at the size that pictures are kept at; raises OSError, ValueError or av.FFmpegError for what is torn."""
        ...

    def place(self, index: int) -> Path:
        """The file to name when it cannot be read."""
        ...


@dataclass(frozen=True, kw_only=True)
class ImageFiles:
    """A file each."""

    files: Sequence[Path]

    def open(self, index: int, size_px: tuple[int, int] | None) -> UInt8[Array, "height width 3"]:
        return open_image(self.files[index], size_px)

    def place(self, index: int) -> Path:
        return self.files[index]


@dataclass(frozen=True, kw_only=True)
class ImageBytes:
    """JPEG or PNG inside another file."""

    path: Path
    images: Sequence[bytes | memoryview]

    def open(self, index: int, size_px: tuple[int, int] | None) -> UInt8[Array, "height width 3"]:
        try:
            return open_image(io.BytesIO(self.images[index]), size_px)
        except UnidentifiedImageError as error:  # its own words name an address in memory
            raise ValueError("neither JPEG nor PNG") from error

    def place(self, index: int) -> Path:
        return self.path


@dataclass(frozen=True, kw_only=True)
class VideoFrames:
    """Frames of a video by their number in it, or by time; decoded in one pass, by time from the key frame before, those that are listed kept."""

    path: Path
    at: Int[Array, " picture"]  # numbers, or with `within_us` times in microseconds
    within_us: int | None = None  # how far the video's own time may be off
    source: Callable[[], IO[bytes]] | None = None  # of a video inside another file
    _decoded: dict[int, UInt8[Array, "height width 3"]] = field(default_factory=dict, repr=False)
    _ended: list[str] = field(default_factory=list, repr=False)  # one text: why nothing more is to come

    def open(self, index: int, size_px: tuple[int, int] | None) -> UInt8[Array, "height width 3"]:
        if not self._ended:
            self._ended.append(self._decode(size_px))
        at = int(self.at[index])
        if at not in self._decoded:
            wanted = set(self.at.tolist())
            raise ValueError(f"{self._ended[0]}; {len(wanted - self._decoded.keys())} of {len(wanted)} frames are missing")
        return self._decoded[at]

    def place(self, index: int) -> Path:
        return self.path

    def _decode(self, size_px: tuple[int, int] | None) -> str:
        wanted, off = np.unique(self.at).tolist(), dict[int, int]()
        within, start_us = (0, None) if self.within_us is None else (self.within_us, wanted[0] - self.within_us)
        time_us: int | None = None
        try:
            source = self.path if self.source is None else self.source()
            for number, (time_us, frame) in enumerate(iterate_video(source, size_px, start_us=start_us)):
                at = number if self.within_us is None else time_us
                if at is None:
                    raise ValueError("frames have no time")
                if at > wanted[-1] + within:
                    break
                place = bisect_left(wanted, at)
                for near in wanted[max(0, place - 1) : place + 1]:
                    if abs(near - at) <= off.get(near, within):
                        off[near], self._decoded[near] = abs(near - at), frame
        except FileNotFoundError:
            raise
        except (OSError, ValueError, av.FFmpegError) as error:
            return f"undecodable{'' if time_us is None else f' after {time_us / 1e6:.1f} s'} ({error})"
        return "the video ends too early" if self.within_us is None else "the video has no frame at the time"

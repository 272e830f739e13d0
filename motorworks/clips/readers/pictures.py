"""Where a camera's pictures lie: files, compressed bytes inside some other file, or the frames of a video."""

import io
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

import av
from jaxtyping import Int, Int64, UInt8
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
    """Frames of one video by their number in it; decoded in one pass, those that are listed kept."""

    path: Path
    frame: Int[Array, " picture"]
    source: Callable[[], IO[bytes]] | None = None  # of a video inside another file
    _decoded: dict[int, UInt8[Array, "height width 3"]] = field(default_factory=dict, repr=False)

    def open(self, index: int, size_px: tuple[int, int] | None) -> UInt8[Array, "height width 3"]:
        if not self._decoded:
            wanted, source = set(self.frame.tolist()), self.path if self.source is None else self.source()
            self._decoded.update((number, frame) for number, (_, frame) in enumerate(iterate_video(source, size_px)) if number in wanted)
        number = int(self.frame[index])
        if number not in self._decoded:
            raise ValueError(f"the video ends before frame {number}")
        return self._decoded[number]

    def place(self, index: int) -> Path:
        return self.path


@dataclass(frozen=True, kw_only=True)
class VideoSpan:
    """Frames of a part of a video by their time in it, which increases; decoded in one pass from the key frame before, those that are listed kept."""

    path: Path
    time_us: Int64[Array, " picture"]
    within_us: int = 1000  # how far the video's own time may be off
    _decoded: dict[int, UInt8[Array, "height width 3"]] = field(default_factory=dict, repr=False)
    _ended: list[str] = field(default_factory=list, repr=False)  # one text: why nothing more is to come

    def open(self, index: int, size_px: tuple[int, int] | None) -> UInt8[Array, "height width 3"]:
        if not self._ended:
            self._decode(size_px)
        if index not in self._decoded:
            raise ValueError(f"{self._ended[0]}; {len(self.time_us) - len(self._decoded)} of {len(self.time_us)} frames are missing")
        return self._decoded[index]

    def place(self, index: int) -> Path:
        return self.path

    def _decode(self, size_px: tuple[int, int] | None) -> None:
        wanted, found = self.time_us.tolist(), dict[int, int]()
        time_us: int | None = None
        try:
            for time_us, frame in iterate_video(self.path, size_px, start_us=wanted[0] - self.within_us):
                if time_us is None:
                    raise ValueError("frames have no time")
                if time_us > wanted[-1] + self.within_us:
                    break
                place = bisect_left(wanted, time_us)
                for index in (place - 1, place):
                    off_us = abs(wanted[index] - time_us) if 0 <= index < len(wanted) else self.within_us + 1
                    if off_us <= found.get(index, self.within_us):
                        found[index], self._decoded[index] = off_us, frame
            self._ended.append("the video has no frame at the time")
        except FileNotFoundError:
            raise
        except (OSError, ValueError, av.FFmpegError) as error:
            self._ended.append(f"undecodable{'' if time_us is None else f' after {time_us / 1e6:.1f} s'} ({error})")

"""Where a camera's pictures lie: files, compressed bytes inside some other file, or the frames of a video."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

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
    images: Sequence[bytes]

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
    _decoded: dict[int, UInt8[Array, "height width 3"]] = field(default_factory=dict, repr=False)

    def open(self, index: int, size_px: tuple[int, int] | None) -> UInt8[Array, "height width 3"]:
        if not self._decoded:
            wanted = set(self.frame.tolist())
            self._decoded.update((number, frame) for number, (_, frame) in enumerate(iterate_video(self.path, size_px)) if number in wanted)
        number = int(self.frame[index])
        if number not in self._decoded:
            raise ValueError(f"the video ends before frame {number}")
        return self._decoded[number]

    def place(self, index: int) -> Path:
        return self.path

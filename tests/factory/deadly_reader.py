"""A reader of recordings that kill whoever reads them, each in the way its name says."""

import ctypes
import time
from pathlib import Path

from motorworks.clips.recording import ClipReader, ReadResult


class DeadlyReader(ClipReader):
    name = "deadly"
    understands = "a file that kills"

    def recognises(self, path: Path) -> bool:
        return path.suffix == ".deadly"

    def read(self, path: Path) -> ReadResult:
        if path.stem == "segfault":
            ctypes.string_at(0)
        if path.stem == "loop":
            time.sleep(600)
        hoard = []
        while path.stem == "hoard":
            hoard.append(bytes(range(256)) * (1 << 14))
        return ReadResult(notes=[f"{path.stem} was harmless"])

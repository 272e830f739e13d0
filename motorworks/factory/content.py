"""What lies in files, as digests; a stat cache keeps a repeated run from reading everything again."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from motorworks.clips.place import flush
from motorworks.factory.errors import BadInput

# A file changed within this time of being hashed may change again without its stat moving (git's "racy" entries).
RACY_NS = 2_000_000_000


def sha256_file(path: Path) -> str:
    """sha256 of one file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_text(text: str) -> str:
    """sha256 of a text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def files_below(folder: Path) -> Iterator[Path]:
    """Every file below a folder, links followed once, in a fixed order."""
    seen: set[str] = set()

    def walk(here: Path) -> Iterator[Path]:
        real = os.path.realpath(here)
        if real in seen:
            return
        seen.add(real)
        for entry in sorted(os.scandir(here), key=lambda entry: entry.name):
            if entry.is_dir():
                yield from walk(Path(entry.path))
            else:
                yield Path(entry.path)

    yield from walk(folder)


class StatCache:
    """sha256 by (path, size, time of change, inode), kept in one JSON file."""

    def __init__(self, path: Path | None = None):
        self._path = path
        self._known: dict[str, list[Any]] = {}
        self._changed = False
        if path is not None and path.is_file():
            try:
                self._known = json.loads(path.read_text())
            except ValueError:
                self._known = {}  # only a cache: what cannot be read is computed again

    def sha256(self, path: Path) -> str:
        """The file's sha256, read again only if its stat moved; an unreadable file has its error as its content."""
        try:
            stat = path.stat()
            key = str(path.absolute())
            seen = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
            known = self._known.get(key)
            if known is not None and known[:3] == seen:
                return str(known[3])
            found = sha256_file(path)
        except OSError as error:
            return f"unreadable: {error.strerror}"
        if time.time_ns() - stat.st_mtime_ns > RACY_NS:
            self._known[key] = [*seen, found]
            self._changed = True
        return found

    def save(self) -> None:
        """Write the cache beside itself and rename it into place."""
        if self._path is None or not self._changed:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        temporary.write_text(json.dumps(self._known))
        temporary.replace(self._path)
        self._changed = False


def must_exist(path: Path) -> None:
    """Raises BadInput where nothing lies."""
    if not path.exists():
        raise BadInput(f"{path}: no such file or folder")


def path_content(path: Path, cache: StatCache) -> dict[str, Any]:
    """A user's file or folder as (name, number of files, digest of relative paths and contents): where it lies does not matter.

    The last part of the path does count, because recordings are named after it.
    """
    must_exist(path)
    path = path.resolve()
    hasher = hashlib.sha256()
    num_files = 0
    for file in [path] if path.is_file() else files_below(path):
        relative = file.relative_to(path).as_posix() if file != path else path.name
        hasher.update(f"{relative}\0{cache.sha256(file)}\n".encode())
        num_files += 1
    return {"path_named": path.name, "num_files": num_files, "content": hasher.hexdigest()}


def tree_digest(folder: Path, leave_out: Callable[[str], bool] = lambda relative: False) -> str:
    """sha256 over the sorted (relative path, sha256) of the files in a folder, less those left out."""
    hasher = hashlib.sha256()
    lines = []
    for file in files_below(folder):
        relative = file.relative_to(folder).as_posix()
        if not leave_out(relative):
            lines.append(f"{relative}\0{sha256_file(file)}\n")
    for line in sorted(lines):
        hasher.update(line.encode())
    return hasher.hexdigest()


def link_tree(source: Path, target: Path) -> None:
    """Bring a finished folder or file in under another name by hard links; copy where the file system has none."""
    import shutil

    def link(origin: str, destination: str) -> None:
        try:
            os.link(origin, destination)
        except OSError:
            shutil.copy2(origin, destination)

    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_file():
        link(str(source), str(target))
    else:
        shutil.copytree(source, target, copy_function=link, dirs_exist_ok=True)


def flush_tree(folder: Path) -> None:
    """fsync every file and folder below, so that a rename afterwards never shows half of them, even if the power fails."""
    folders = {folder}
    files = list(files_below(folder))
    for file in files:
        folders.update(parent for parent in file.parents if folder in parent.parents)
    # A file system commits many waiting fsyncs in one go: sixteen threads flush 2,000 small files several times faster than one.
    with ThreadPoolExecutor(max_workers=16) as pool:
        list(pool.map(flush, files))
        list(pool.map(flush, sorted(folders, reverse=True)))

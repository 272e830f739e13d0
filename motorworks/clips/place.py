"""Where bytes lie: a folder, or an object store by URL (fsspec). Whole new files and byte ranges; nothing is ever changed in place."""

import contextlib
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

Value = TypeVar("Value")
ATTEMPTS = 5
FIRST_PAUSE_S = 0.2
SILENCE_S = 20.0  # an answer over http that stands still for so long is given up and asked for again


class Place(Protocol):
    """A folder of immutable files."""

    name: str

    def list(self, folder: str, suffix: str) -> list[str]:
        """Names of the files in a folder, sorted; hidden ones are not there yet."""
        ...

    def size(self, path: str) -> int:
        """Bytes of a file; FileNotFoundError where it is not."""
        ...

    def read(self, path: str, start: int, nbytes: int) -> bytes:
        """A range of a file, exactly as long as asked for; else OSError."""
        ...

    def put(self, source: Path, path: str) -> None:
        """Moves a finished local file here under a name that says its content; one that is there already stays."""
        ...


def place_at(root: str | Path) -> Place:
    """A local folder, or what fsspec opens: s3://, gs://, http://, memory:// ..."""
    return RemotePlace(str(root)) if "://" in str(root) else LocalPlace(Path(root))


class LocalPlace:
    """A folder of this machine. Files stay open: they never change."""

    def __init__(self, root: Path):
        self.root, self.name = root, str(root)
        self._open: dict[str, int] = {}

    def __reduce__(self) -> Any:
        return LocalPlace, (self.root,)  # descriptors do not travel

    def __del__(self) -> None:
        for descriptor in self._open.values():
            os.close(descriptor)

    def list(self, folder: str, suffix: str) -> list[str]:
        """Names of the files in a folder."""
        path = self.root / folder
        return sorted(name for name in os.listdir(path) if name.endswith(suffix) and not name.startswith(".")) if path.is_dir() else []

    def size(self, path: str) -> int:
        """Bytes of a file."""
        return os.stat(self.root / path).st_size

    def read(self, path: str, start: int, nbytes: int) -> bytes:
        """A range of a file."""
        if path not in self._open:
            if len(self._open) >= 256:  # a process may hold about a thousand
                os.close(self._open.pop(next(iter(self._open))))
            self._open[path] = os.open(self.root / path, os.O_RDONLY)
        data = os.pread(self._open[path], nbytes, start)
        if len(data) != nbytes:
            raise OSError(f"{self.root / path}: {len(data)} of {nbytes} bytes at {start}: the file is cut short")
        return data

    def put(self, source: Path, path: str) -> None:
        """Renames where it can, so that no half file is ever seen."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        flush(source)
        source.replace(target)
        flush(target.parent)


class RemotePlace:
    """An object store. Every call is tried again, with longer and longer pauses, while the error may pass; each is safe to repeat."""

    def __init__(self, url: str):
        import fsspec

        self.name = url.rstrip("/")
        self._over_http = self.name.startswith(("http://", "https://"))
        self._fs, self._root = fsspec.core.url_to_fs(self.name, **(_http_options() if self._over_http else {}))

    def __reduce__(self) -> Any:
        return RemotePlace, (self.name,)

    def list(self, folder: str, suffix: str) -> list[str]:
        """Names of the files in a folder."""
        try:
            found = self._again(lambda: self._fs.ls(f"{self._root}/{folder}", detail=False))
        except FileNotFoundError:
            return []
        names = (str(path).rstrip("/").rpartition("/")[2] for path in found)
        return sorted(name for name in names if name.endswith(suffix) and not name.startswith("."))

    def size(self, path: str) -> int:
        """Bytes of a file."""
        return int(self._again(lambda: self._fs.size(f"{self._root}/{path}")))

    def read(self, path: str, start: int, nbytes: int) -> bytes:
        """A range of a file; a short answer is an error that may pass."""

        def get() -> bytes:
            data = self._fs.cat_file(f"{self._root}/{path}", start=start, end=start + nbytes)
            if len(data) != nbytes:
                raise OSError(f"{self.name}/{path}: {len(data)} of {nbytes} bytes at {start}")
            return bytes(data)

        return self._again(get)

    def put(self, source: Path, path: str) -> None:
        """Uploads unless it is there whole: the name says the content, so a second upload of it is the same one."""
        target, nbytes = f"{self._root}/{path}", source.stat().st_size

        def upload() -> None:
            if self._fs.exists(target) and self._fs.size(target) == nbytes:
                return
            self._fs.put_file(str(source), target, **({"method": "put"} if self._over_http else {}))  # fsspec would POST
            self._fs.invalidate_cache()
            if self._fs.size(target) != nbytes:
                raise OSError(f"{self.name}/{path}: {self._fs.size(target)} of {nbytes} bytes arrived")

        self._again(upload)
        source.unlink()

    def _again(self, call: Callable[[], Value]) -> Value:
        for attempt in range(ATTEMPTS):
            try:
                return call()
            except Exception as error:  # each back end has errors of its own; what cannot pass fails the last time too
                cause = error.__cause__ if isinstance(error, FileNotFoundError) else error
                if cause is None or isinstance(cause, FileNotFoundError):
                    raise
                if attempt + 1 == ATTEMPTS:  # (over http fsspec calls a file not found that it could not ask for)
                    raise OSError(f"{self.name}: {type(cause).__name__}: {cause} (tried {ATTEMPTS} times)") from error
                time.sleep(FIRST_PAUSE_S * 2**attempt)
        raise AssertionError("unreachable")


def _http_options() -> dict[str, Any]:
    """fsspec waits five minutes for a whole answer; other stores' clients have limits of their own."""
    import aiohttp

    return {"client_kwargs": {"timeout": aiohttp.ClientTimeout(total=None, sock_connect=SILENCE_S, sock_read=SILENCE_S)}}


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` to write to; it takes its place, on disk, when the block ends well, and leaves no trace else."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        yield temporary
        flush(temporary)
        temporary.replace(path)
        flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(folder: Path, *, replace: bool = False) -> Iterator[Path]:
    """As `whole_file`, for an empty folder. One that is there already is refused, or replaced."""
    if folder.exists() and not replace:
        raise FileExistsError(f"{folder} exists: it is written whole, give a new folder")
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.part")
    temporary.mkdir(parents=True)
    try:
        yield temporary
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def flush(path: Path) -> None:
    """A file's bytes, or the names in a folder, reach the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

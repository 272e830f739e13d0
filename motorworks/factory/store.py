"""Artifacts on disk: `root/<name>/<version>/`, with `record.json` written last, and everything renamed into place whole."""

import contextlib
import fcntl
import fnmatch
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from motorworks.factory.artifact import DEV, RECORD, Artifact
from motorworks.factory.content import flush_tree, link_tree, tree_digest
from motorworks.factory.errors import BadInput, BadUsage, Busy

LOCK_ATTEMPTS, LOCK_PAUSE_S = 6, 0.1
WORK, LOCKS, SHARDS, RESUME = ".tmp", ".locks", ".shards", ".resume"
RESUME_DAYS = 30


class Store:
    """One artifacts folder. Nothing in it is half-written, whatever process dies when."""

    def __init__(self, root: Path):
        self.root = root.absolute()

    def find(self, name: str, version: str) -> Artifact | None:
        """The finished artifact, or None."""
        folder = self.root / check_name(name) / check_name(version)
        record = folder / RECORD
        try:
            text = record.read_text()
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            fields = json.loads(text)
            digest, fingerprint = fields["digest"], fields["fingerprint"]
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{record} is damaged ({error!r}): delete the folder {folder} and run again") from error
        assert digest and fingerprint
        return Artifact(name=name, version=version, path=folder, record=fields)

    def versions(self, name: str) -> list[Artifact]:
        """Every finished version of one name, the newest first."""
        folder = self.root / check_name(name)
        names = sorted(entry.name for entry in folder.iterdir() if (entry / RECORD).is_file()) if folder.is_dir() else []
        found = [artifact for version in names if (artifact := self.find(name, version)) is not None]
        return sorted(found, key=lambda artifact: str(artifact.record.get("created", "")), reverse=True)

    def artifacts(self) -> list[Artifact]:
        """Every finished artifact, by name and version."""
        return [artifact for folder in self._folders(self.root) if (artifact := self._at(folder)) is not None]

    def _folders(self, folder: Path) -> Iterator[Path]:
        if (folder / RECORD).is_file():
            yield folder  # what lies below belongs to the artifact
        elif folder.is_dir():
            for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
                if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                    yield from self._folders(Path(entry.path))

    def _at(self, folder: Path) -> Artifact | None:
        name = folder.parent.relative_to(self.root).as_posix()
        return self.find(name, folder.name) if name != "." else None

    @contextlib.contextmanager
    def lock(self, name: str, version: str) -> Iterator[Path]:
        """Hold the only right to make one artifact; yields an empty work folder that is gone afterwards."""
        flat = flat_name(name, version)
        with self._locked(flat) as held:
            if not held:
                raise Busy(f"{name}@{version} is being made by {self._holder(flat)}: wait for it, or use another --version or --artifacts")
            self._clear(flat)  # left by a process that died: it held this lock, and no longer does
            work = self.root / WORK / f"{flat}-{os.getpid()}"
            work.mkdir(parents=True)
            try:
                yield work
            finally:
                shutil.rmtree(work, ignore_errors=True)

    @contextlib.contextmanager
    def _locked(self, flat: str) -> Iterator[bool]:
        path = self.root / LOCKS / f"{flat}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if not _try_lock(descriptor):
                yield False
                return
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}, since {now_utc()}".encode(), 0)
            yield True
        finally:
            os.close(descriptor)

    def _holder(self, flat: str) -> str:
        return (self.root / LOCKS / f"{flat}.lock").read_text() or "another process"

    def _clear(self, flat: str) -> None:
        for stale in (self.root / WORK).glob(f"{flat}-*"):
            shutil.rmtree(stale, ignore_errors=True)

    def resume(self, name: str, version: str, fingerprint: str) -> Path:
        """The folder for what a killed run of exactly this goes on from."""
        return self.root / RESUME / f"{flat_name(name, version)}-{fingerprint[:32]}"

    def sweep(self) -> int:
        """Remove what nobody needs: work folders whose makers are dead, and what a killed run left to go on from where its artifact is there
        by now or nothing touched it for RESUME_DAYS. Returns how many."""
        num = 0
        for stale in (*(self.root / WORK).glob("*"), *(self.root / RESUME).glob("*")):
            flat, _, made_from = stale.name.rpartition("-")
            with self._locked(flat) as held:
                if held and (stale.parent.name == WORK or self._is_over(stale, flat, made_from)):
                    shutil.rmtree(stale, ignore_errors=True)
                    num += 1
        return num

    def _is_over(self, resume: Path, flat: str, fingerprint: str) -> bool:
        name, _, version = flat.replace("+", "/").rpartition("@")
        with contextlib.suppress(BadInput, BadUsage):  # a record that is damaged, a folder that is not ours: its age decides
            made = self.find(name, version)
            if made is not None and made.fingerprint.startswith(fingerprint):
                return True
        touched_s = max(path.lstat().st_mtime for path in (resume, *resume.rglob("*")))
        return time.time() - touched_s > RESUME_DAYS * 86_400

    def finish(self, folder: Path, name: str, version: str, record: dict[str, Any]) -> Artifact:
        """Digest, write the record last, flush, rename into place; an old `dev` goes only when the new one is whole."""
        volatile = record["volatile"]
        record["digest"] = tree_digest(folder, lambda relative: any(fnmatch.fnmatchcase(relative, pattern) for pattern in volatile))
        (folder / RECORD).write_text(json.dumps(record, indent=1, allow_nan=False))
        flush_tree(folder)
        self._place(folder, name, version)
        return Artifact(name=name, version=version, path=self.root / name / version, record=record)

    def keep(self, source: Artifact, version: str, work: Path) -> Artifact:
        """The same artifact under another version, by hard links."""
        folder = work / "kept"
        link_tree(source.path, folder)
        record = {**source.record, "version": version}
        (folder / RECORD).unlink()  # a hard link: writing through it would change the source's record
        (folder / RECORD).write_text(json.dumps(record, indent=1, allow_nan=False))
        flush_tree(folder)
        self._place(folder, source.name, version)
        return Artifact(name=source.name, version=version, path=self.root / source.name / version, record=record)

    def _place(self, folder: Path, name: str, version: str) -> None:
        target = self.root / name / version
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            if version != DEV and (target / RECORD).exists():
                raise BadUsage(f"{name}@{version} is kept and already there")
            target.rename(folder.parent / "replaced")
        folder.rename(target)


def _try_lock(descriptor: int) -> bool:
    for attempt in range(LOCK_ATTEMPTS):  # another run's sweep holds a lock for a moment; a maker holds it for long
        time.sleep(LOCK_PAUSE_S if attempt else 0.0)
        try:
            # lockf, not flock: a forked worker that outlives its parent must not keep the lock.
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            continue
    return False


def check_name(name: str) -> str:
    """A name of letters, digits and ._- with slashes between, none of it hidden."""
    parts = name.split("/")
    if not all(part and not part.startswith(".") and all(letter.isalnum() or letter in "._-" for letter in part) for part in parts):
        raise BadUsage(f"{name!r} is not a name: use letters, digits, '.', '_', '-' and '/'")
    return name


def flat_name(name: str, version: str) -> str:
    """`name@version` as one file name."""
    return f"{check_name(name).replace('/', '+')}@{check_name(version)}"


def now_utc() -> str:
    """The time for people, in UTC to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

"""Over-the-air updates: two slots and a pointer. A new bundle is verified beside the old one, driven on trial, then kept or given back.

At every moment the pointer names a slot that was complete and verified, so a power cut leaves a vehicle that boots. The counters against
rollback rise only when a trial is confirmed: until then the old local slot must still open. Thin: fetching the bundle is left to the
caller, and nothing resumes a half-fetched one.
"""

import contextlib
import datetime
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from motorworks.drive.atomic import sync_folder, write_atomically
from motorworks.drive.bundle import Bundle, BundleRefused, VehicleIdentity, open_bundle, remember

SLOTS = ("a", "b")
MAX_TRIAL_BOOTS = 3


@dataclass(frozen=True, kw_only=True)
class Pointer:
    """Which slot boots; on trial, which one to fall back to and how often it has been tried."""

    slot: str
    trial: bool = False
    previous: str | None = None
    boots: int = 0


class Updater:
    """The slots of one vehicle under `root`. Use: stage, activate, then at every start boot, and report each plan until confirmed."""

    def __init__(self, root: Path, trusted_root: Path, vehicle: VehicleIdentity, *, confirm_after: int = 50) -> None:
        """`confirm_after`: so many good plans end a trial; one bad plan before that ends it too, backwards."""
        if confirm_after < 1:
            raise ValueError(f"confirm_after {confirm_after} must be at least 1")
        self.root, self.trusted_root, self.vehicle, self.confirm_after = root, trusted_root, vehicle, confirm_after
        self.state_file, self._pointer_file = root / "seen.json", root / "pointer.json"
        self._num_good, self._booted = 0, None  # type: int, Bundle | None

    def slot(self, name: str) -> Path:
        """The folder of a slot."""
        return self.root / f"slot_{name}"

    def pointer(self) -> Pointer | None:
        """Which slot boots; None before the first activation."""
        if not self._pointer_file.exists():
            return None
        try:
            return msgspec.json.decode(self._pointer_file.read_bytes(), type=Pointer)
        except msgspec.MsgspecError as error:
            raise BundleRefused(self._pointer_file, f"unreadable ({error})", 'write it anew: {"slot": "a"} or {"slot": "b"}') from error

    def stage(self, source: Path, now: datetime.datetime | None = None) -> Bundle:
        """Copies a bundle into the slot that does not boot, and verifies it there. The running slot is untouched, whatever happens."""
        pointer = self.pointer()
        if pointer and pointer.trial:
            raise BundleRefused(source, f"slot {pointer.slot} is still on trial", "confirm or reject it first")
        slot = self.slot(_other(pointer.slot if pointer else SLOTS[1]))
        shutil.rmtree(slot, ignore_errors=True)
        shutil.copytree(source, slot, symlinks=True)  # a link stays a link, and is refused below
        for folder in [slot, *(entry for entry in slot.rglob("*") if entry.is_dir())]:
            for file in folder.iterdir():
                if file.is_file() and not file.is_symlink():
                    _sync_file(file)
            sync_folder(folder)
        sync_folder(self.root)
        try:
            return self._open(slot, now)
        except BundleRefused:
            shutil.rmtree(slot, ignore_errors=True)
            raise

    def activate(self, now: datetime.datetime | None = None) -> None:
        """Points at the staged slot, on trial. Verifies it again first."""
        pointer = self.pointer()
        if pointer and pointer.trial:
            raise BundleRefused(self.slot(pointer.slot), "is still on trial", "confirm or reject it first")
        staged = _other(pointer.slot if pointer else SLOTS[1])
        self._open(self.slot(staged), now)
        self._point(Pointer(slot=staged, trial=True, previous=pointer.slot if pointer else None))

    def boot(self, now: datetime.datetime | None = None) -> Bundle:
        """The bundle to drive. A trial that was booted too often without being confirmed, or that no longer verifies, is given up."""
        pointer = self.pointer()
        if pointer is None:
            raise BundleRefused(self._pointer_file, "nothing is installed", "stage and activate a bundle first")
        if pointer.trial and pointer.previous and pointer.boots >= MAX_TRIAL_BOOTS:
            pointer = self.reject()
        if pointer.trial:  # counted before the try: a crash while loading counts too
            pointer = replace(pointer, boots=pointer.boots + 1)
            self._point(pointer)
        try:
            self._booted = self._open(self.slot(pointer.slot), now)
        except BundleRefused:
            if not (pointer.trial and pointer.previous):
                raise
            self._booted = self._open(self.slot(self.reject().slot), now)
        self._num_good = 0
        return self._booted

    def report_plan(self, good: bool) -> str:
        """Call after each plan of a trial: "trial", "confirmed", or "rejected" (boot again: the previous slot is back)."""
        pointer = self.pointer()
        if pointer is None or not pointer.trial:
            return "confirmed"
        if not good:
            if pointer.previous is None:
                return "trial"  # nothing to fall back to
            self.reject()
            return "rejected"
        self._num_good += 1
        if self._num_good < self.confirm_after:
            return "trial"
        self.confirm()
        return "confirmed"

    def confirm(self) -> None:
        """Keeps the slot on trial. The pointer first, then the counters: a cut between the two only delays the refusal of older releases."""
        pointer = self.pointer()
        if pointer is None or self._booted is None or self._booted.path != self.slot(pointer.slot):
            raise ValueError("confirm needs the slot on trial to have been booted in this process: call boot first")
        self._point(Pointer(slot=pointer.slot, previous=pointer.previous))
        remember(self.state_file, self._booted.seen)

    def reject(self) -> Pointer:
        """Gives the trial up and points back at the previous slot."""
        pointer = self.pointer()
        if pointer is None or not pointer.trial or pointer.previous is None:
            raise ValueError("no trial with a previous slot to go back to")
        back = Pointer(slot=pointer.previous)
        self._point(back)
        return back

    def _point(self, pointer: Pointer) -> None:
        write_atomically(self._pointer_file, msgspec.json.encode(pointer))

    def _open(self, slot: Path, now: datetime.datetime | None) -> Bundle:
        return open_bundle(slot, self.trusted_root, self.vehicle, self.state_file, now, accept=False)


def _other(slot: str) -> str:
    return SLOTS[1 - SLOTS.index(slot)]


def _sync_file(file: Path) -> None:
    with open(file, "rb") as stream, contextlib.suppress(OSError):  # a few file systems refuse fsync on a read handle
        os.fsync(stream.fileno())

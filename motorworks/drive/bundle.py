"""Opening a bundle: signatures, expiry, rollback, director, lengths and hashes, all offline and all before anything is loaded.

The Update Framework (theupdateframework.github.io, spec 1.0) with one delegated role, `director`, which ties the bundle to a body and a
hardware id: Uptane-shaped, not compliant with Uptane. Thin here: the pinned root must be the bundle's root (no root rotation on the
vehicle), and the clock is the machine's own, only kept from running backwards.
"""

import datetime
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec
from tuf.api.exceptions import DownloadError, RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from motorworks.bodies.body import BODIES
from motorworks.drive.atomic import write_atomically
from motorworks.drive.manifest import MANIFEST_FILE, Manifest, codecs_digest, decode_manifest

DIRECTOR = "director"
METADATA_FILES = ("root.json", "timestamp.json", "snapshot.json", "targets.json", "director.json")
MAX_METADATA_BYTES = 1 << 20
MAX_PAYLOAD_BYTES = 2 << 30
T = TypeVar("T", Root, Timestamp, Snapshot, Targets)


class BundleRefused(Exception):
    """The bundle may not be driven: which file, why, and what to do."""

    def __init__(self, file: Path | str, reason: str, fix: str) -> None:
        super().__init__(f"bundle refused: {file}: {reason}; {fix}")
        self.file, self.reason, self.fix = str(file), reason, fix


@dataclass(frozen=True, kw_only=True)
class VehicleIdentity:
    """Which vehicle this is: its body and its hardware."""

    body: str
    hardware_id: str = "generic-cpu"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The newest versions this vehicle has accepted: it never goes back behind them."""

    versions: Mapping[str, int] = field(default_factory=dict)  # role -> version
    release: int = 0
    time_us: int = 0  # the latest time at which a bundle was accepted, UTC


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A verified bundle, held in memory: what was hashed is what is loaded."""

    path: Path
    manifest: Manifest
    payload: Mapping[str, bytes]
    seen: Seen  # what the vehicle remembers once it accepts this bundle


def open_bundle(
    path: Path,
    trusted_root: Path,
    vehicle: VehicleIdentity,
    state_file: Path | None,
    now: datetime.datetime | None = None,
    *,
    accept: bool = True,
) -> Bundle:
    """Verifies everything, or raises BundleRefused. `accept` writes the seen versions to `state_file` (an update on trial does not)."""
    seen = read_seen(state_file) if state_file else Seen()
    now = now or datetime.datetime.now(datetime.UTC)
    # a clock set back would revive expired metadata: time never runs behind the last acceptance
    now = max(now, datetime.datetime.fromtimestamp(seen.time_us / 1e6, datetime.UTC))
    if not path.is_dir():
        raise BundleRefused(path, "there is no such folder", "give the folder that `release` wrote")
    targets, director, versions = _verify_metadata(path / "metadata", trusted_root, seen, now)
    payload = _verify_payload(path, targets)
    manifest = _read_manifest(path / MANIFEST_FILE, payload, director, vehicle)
    if manifest.release < seen.release:
        raise BundleRefused(
            path / MANIFEST_FILE,
            f"release {manifest.release} is older than release {seen.release}, already seen",
            f"install a newer release (what this vehicle has seen is in {state_file})",
        )
    after = Seen(versions=versions, release=manifest.release, time_us=int(now.timestamp() * 1e6))
    if accept and state_file:
        remember(state_file, after)
    return Bundle(path=path, manifest=manifest, payload=payload, seen=after)


def read_seen(state_file: Path) -> Seen:
    """What this vehicle has accepted so far; nothing yet is fine, an unreadable file is not."""
    if not state_file.exists():
        return Seen()
    try:
        return msgspec.json.decode(state_file.read_bytes(), type=Seen)
    except (msgspec.MsgspecError, OSError) as error:
        fix = "restore it, or delete it knowingly: without it an older bundle is not recognised"
        raise BundleRefused(state_file, f"the vehicle's memory of seen versions is unreadable ({error})", fix) from error


def remember(state_file: Path, seen: Seen) -> None:
    """Writes the counters, atomically; from now on anything older is refused."""
    write_atomically(state_file, msgspec.json.encode(seen, order="sorted"))


def _read_metadata(file: Path, kind: type[T]) -> tuple[bytes, Metadata[T]]:
    try:
        if file.is_symlink() or file.stat().st_size > MAX_METADATA_BYTES:
            raise BundleRefused(file, "is a link or larger than any metadata", "fetch the bundle again")
        data = file.read_bytes()
        metadata: Metadata[T] = Metadata.from_bytes(data)
        if not isinstance(metadata.signed, kind):
            raise BundleRefused(file, f"is {metadata.signed.type} metadata, not {kind.type}", "fetch the bundle again")
        return data, metadata
    except (OSError, RepositoryError, ValueError, KeyError, TypeError) as error:
        raise BundleRefused(file, f"metadata is missing or unreadable ({error})", "fetch the bundle again") from error


def _verify_metadata(folder: Path, trusted_root: Path, seen: Seen, now: datetime.datetime) -> tuple[Targets, Targets, dict[str, int]]:
    """The TUF client workflow (spec 5.3 to 5.6) on files that are already here."""
    unlisted = sorted(p.name for p in folder.glob("*") if p.name not in METADATA_FILES)
    if unlisted:
        raise BundleRefused(folder / unlisted[0], "no metadata of a bundle has this name", "fetch the bundle again")
    pinned_bytes, pinned = _read_metadata(trusted_root, Root)
    root_bytes, _ = _read_metadata(folder / "root.json", Root)
    if root_bytes != pinned_bytes:
        raise BundleRefused(
            folder / "root.json", "is not the root this vehicle trusts", f"use a bundle signed under {trusted_root.name}, or give that root"
        )
    timestamp_bytes, timestamp = _read_metadata(folder / "timestamp.json", Timestamp)
    snapshot_bytes, snapshot = _read_metadata(folder / "snapshot.json", Snapshot)
    targets_bytes, targets = _read_metadata(folder / "targets.json", Targets)
    director_bytes, director = _read_metadata(folder / "director.json", Targets)
    root, listed = pinned.signed, snapshot.signed.meta
    chain = (
        ("root", pinned, root, None, pinned_bytes),
        ("timestamp", timestamp, root, None, timestamp_bytes),
        ("snapshot", snapshot, root, timestamp.signed.snapshot_meta, snapshot_bytes),
        ("targets", targets, root, listed.get("targets.json"), targets_bytes),
        (DIRECTOR, director, targets.signed, listed.get("director.json"), director_bytes),
    )
    versions = {}
    for role, metadata, delegator, meta, data in chain:
        file = folder / f"{role}.json"
        try:
            delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
            if role in ("snapshot", "targets", DIRECTOR):
                if meta is None or meta.hashes is None or meta.version != metadata.signed.version:
                    raise BundleRefused(
                        file, "is not the version the signed snapshot lists", "fetch the bundle again: files of different releases are mixed"
                    )
                meta.verify_length_and_hashes(data)
        except (RepositoryError, DownloadError, ValueError) as error:
            raise BundleRefused(file, f"signature or hash does not hold ({error})", "fetch the bundle again from the release") from error
        if metadata.signed.is_expired(now):
            raise BundleRefused(
                file, f"expired at {metadata.signed.expires:%Y-%m-%d %H:%M} UTC", "fetch a bundle signed more recently, and check the clock"
            )
        if metadata.signed.version < seen.versions.get(role, 0):
            raise BundleRefused(
                file,
                f"version {metadata.signed.version} is older than {seen.versions[role]}, already seen",
                "install a newer release, or move away the vehicle's seen.json to start anew",
            )
        versions[role] = metadata.signed.version
    return targets.signed, director.signed, versions


def _verify_payload(path: Path, targets: Targets) -> dict[str, bytes]:
    """Every signed file with its length and hash, and no file that is not signed."""
    present = set()
    for entry in sorted(path.rglob("*")):
        name = entry.relative_to(path).as_posix()
        if entry.is_symlink() or not (entry.is_dir() or entry.is_file()):
            raise BundleRefused(entry, "is a link or no plain file", "fetch the bundle again")
        if entry.is_file() and not name.startswith("metadata/"):
            present.add(name)
    unlisted = sorted(present - set(targets.targets))
    if unlisted:
        raise BundleRefused(path / unlisted[0], "is not listed in the signed targets", "remove it, or fetch the bundle again")
    if sum(target.length for target in targets.targets.values()) > MAX_PAYLOAD_BYTES:
        raise BundleRefused(path, f"holds more than {MAX_PAYLOAD_BYTES} bytes", "release a smaller model")
    payload = {}
    for name, target in targets.targets.items():
        file = path / name
        if name not in present:
            raise BundleRefused(file, "is signed but missing", "fetch the bundle again")
        if file.stat().st_size != target.length:
            raise BundleRefused(file, f"has {file.stat().st_size} bytes, {target.length} are signed", "fetch the bundle again")
        data = file.read_bytes()
        try:
            target.verify_length_and_hashes(data)
        except RepositoryError as error:
            raise BundleRefused(file, f"content is not what was signed ({error})", "fetch the bundle again") from error
        payload[name] = data
    return payload


def _read_manifest(file: Path, payload: Mapping[str, bytes], director: Targets, vehicle: VehicleIdentity) -> Manifest:
    """The manifest, checked against the director's word and this vehicle."""
    if MANIFEST_FILE not in payload or MANIFEST_FILE not in director.targets:
        raise BundleRefused(file, "is missing, or the director does not assign it", "release the bundle again")
    assignment = director.targets[MANIFEST_FILE]
    try:
        assignment.verify_length_and_hashes(payload[MANIFEST_FILE])
        manifest = decode_manifest(payload[MANIFEST_FILE])
    except (RepositoryError, msgspec.MsgspecError, ValueError) as error:
        raise BundleRefused(file, f"does not hold against the director or the format ({error})", "release the bundle again") from error
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in payload.items() if name != MANIFEST_FILE}
    if hashes != dict(manifest.files):
        raise BundleRefused(file, "lists other files than the signed targets", "release the bundle again")
    custom = assignment.custom or {}
    if vehicle.body != manifest.body or custom.get("body") != vehicle.body:
        raise BundleRefused(file, f"is for body {manifest.body!r}, this vehicle is {vehicle.body!r}", "use a bundle released for this body")
    if vehicle.hardware_id not in custom.get("hardware_ids", ()):
        raise BundleRefused(
            file, f"is for hardware {custom.get('hardware_ids')}, this vehicle is {vehicle.hardware_id!r}", "release for this hardware"
        )
    if manifest.codecs_digest != codecs_digest(BODIES[vehicle.body]):
        raise BundleRefused(file, "was trained behind other codecs than this vehicle software has", "install the matching software, or release again")
    return manifest


def bundle_bytes(bundle: Bundle) -> int:
    """What the bundle takes on disk, metadata included."""
    return sum(os.path.getsize(file) for file in bundle.path.rglob("*") if file.is_file())

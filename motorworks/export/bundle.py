"""Building a bundle: graphs and manifest in a folder, signed as The Update Framework asks, ready for `drive.bundle.open_bundle`."""

import datetime
import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tuf.api.metadata import DelegatedRole, Delegations, Metadata, MetaFile, Signed, Snapshot, TargetFile, Targets, Timestamp

from motorworks.bodies.body import BODIES
from motorworks.drive.atomic import sync_folder
from motorworks.drive.bundle import DIRECTOR
from motorworks.drive.manifest import MANIFEST_FILE, Manifest, codecs_digest, encode_manifest
from motorworks.export.keys import Keys


@dataclass(frozen=True, kw_only=True)
class ReleaseConfig:
    """The counter, the vehicles, and how long the signatures live."""

    release: int
    body: str = "car"
    hardware_ids: tuple[str, ...] = ("generic-cpu",)
    targets_days: int = 365
    timestamp_days: int = 90  # a vehicle cut off for longer must be told anew that this release is still current

    def __post_init__(self) -> None:
        if self.release < 1 or self.targets_days < 1 or self.timestamp_days < 1:
            raise ValueError(f"release, targets_days and timestamp_days count from 1: {self}")
        if self.body not in BODIES:
            raise ValueError(f"body {self.body!r} is not one of {sorted(BODIES)}")


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What the manifest says beyond the files: names, sizes, results, where it came from."""

    model: str
    precision: str
    num_params: int
    num_frames: int = 2
    frame_gap_steps: int = 4
    metrics: Mapping[str, float] = field(default_factory=dict)
    lineage: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()


def build_bundle(
    out: Path, graphs: Mapping[str, Path], card: ModelCard, config: ReleaseConfig, keys: Keys, now: datetime.datetime | None = None
) -> Manifest:
    """Writes and signs the bundle folder `out` (built under another name, renamed last; `out` must not exist)."""
    if out.exists():
        raise ValueError(f"{out}: exists already; a bundle is never changed in place, give a new folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        os.chmod(work, 0o755)
        names = {name: f"{name}.onnx" for name in graphs}
        for name, source in graphs.items():
            shutil.copyfile(source, work / names[name])
        files = {file: hashlib.sha256((work / file).read_bytes()).hexdigest() for file in names.values()}
        manifest = Manifest(
            model=card.model,
            release=config.release,
            body=config.body,
            precision=card.precision,
            graphs=names,
            files=files,
            codecs_digest=codecs_digest(BODIES[config.body]),
            num_params=card.num_params,
            num_frames=card.num_frames,
            frame_gap_steps=card.frame_gap_steps,
            metrics=dict(card.metrics),
            lineage=dict(card.lineage),
            notes=tuple(card.notes),
        )
        (work / MANIFEST_FILE).write_bytes(encode_manifest(manifest))
        sign_bundle(work, config, keys, now)
        os.rename(work, out)
        sync_folder(out.parent)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return manifest


def sign_bundle(folder: Path, config: ReleaseConfig, keys: Keys, now: datetime.datetime | None = None) -> None:
    """Writes `metadata/` over every file of the folder: targets, the director's assignment, snapshot, timestamp."""
    now = (now or datetime.datetime.now(datetime.UTC)).replace(microsecond=0)
    version = config.release
    long, short = now + datetime.timedelta(days=config.targets_days), now + datetime.timedelta(days=config.timestamp_days)
    metadata = folder / "metadata"
    metadata.mkdir(exist_ok=True)

    targets = Targets(version=version, expires=long, delegations=_delegate_director(keys))
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder).as_posix()
        if file.is_file() and not name.startswith("metadata/"):
            targets.targets[name] = TargetFile.from_data(name, file.read_bytes(), ["sha256"])
    director = Targets(version=version, expires=long)
    assignment = TargetFile.from_data(MANIFEST_FILE, (folder / MANIFEST_FILE).read_bytes(), ["sha256"])
    assignment.unrecognized_fields["custom"] = {"body": config.body, "hardware_ids": list(config.hardware_ids), "release": config.release}
    director.targets[MANIFEST_FILE] = assignment

    snapshot = Snapshot(version=version, expires=long, meta={})
    for role, signed in (("targets", targets), (DIRECTOR, director)):
        data = _sign(metadata / f"{role}.json", signed, role, keys)
        snapshot.meta[f"{role}.json"] = MetaFile.from_data(version, data, ["sha256"])
    data = _sign(metadata / "snapshot.json", snapshot, "snapshot", keys)
    _sign(
        metadata / "timestamp.json",
        Timestamp(version=version, expires=short, snapshot_meta=MetaFile.from_data(version, data, ["sha256"])),
        "timestamp",
        keys,
    )
    shutil.copyfile(keys.trusted_root, metadata / "root.json")


def _delegate_director(keys: Keys) -> Delegations:
    public = keys.signers[DIRECTOR].public_key
    role = DelegatedRole(DIRECTOR, [public.keyid], 1, terminating=True, paths=[MANIFEST_FILE])
    return Delegations({public.keyid: public}, roles={DIRECTOR: role})


def _sign(file: Path, signed: Signed, role: str, keys: Keys) -> bytes:
    metadata = Metadata(signed)
    metadata.sign(keys.signers[role])
    data = metadata.to_bytes()
    file.write_bytes(data)
    return data
